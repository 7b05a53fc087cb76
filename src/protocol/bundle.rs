//! Complete configurations of an engine: what makes one valid, to whom it belongs, and its age. No I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::timings::GENERATION_AHEAD_OF_SIGNATURE_MAX;
use super::version::WIRE_VERSION;
use crate::pki::{ChannelRole, NotTrusted, Signature, Signer, TrustRoot, role_name};
use crate::route::CONTROL_PLANE_TIMEOUT_MS;
use crate::types::{ClusterName, Digest, EngineKind};

/// A complete engine configuration: extension → proxy, and the content of a boot snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// [`WIRE_VERSION`].
    pub version: u32,
    /// The cluster that it is for. Agents of other clusters reject it.
    pub cluster: ClusterName,
    /// The engine that it is for. Agents with another engine reject it.
    pub engine: EngineKind,
    /// The digest of `files`, which proxies report as running.
    pub digest: Digest,
    /// The route table from which it was rendered.
    pub routes_digest: Digest,
    /// File name (no directories) to content. For nginx: `nginx.conf`, and `tls-*.conf` for each host with TLS.
    pub files: BTreeMap<String, String>,
    /// The secret files that `files` name, by file name. Their content is never part of a bundle.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub material: BTreeMap<String, Material>,
    /// When the engine accepted it in the extension; not part of the digest. A proxy that starts alone uses it to find out whether
    /// a mounted snapshot is newer than the state on its volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<jiff::Timestamp>,
    /// Increases with every configuration of a cluster, whichever extension signs it, so that an old one cannot be passed off as
    /// the newest: microseconds since 1970 by the extension's clock, or one more than the highest known generation.
    #[serde(default)]
    pub generation: u64,
    /// How long its addresses may go without confirmation by a complete snapshot of the Swarm before a proxy switches to names, in
    /// milliseconds. Default: 30,000; 0: never. Not part of the digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_plane_timeout_ms: Option<u64>,
    /// The extension's signature of everything above. Proxies do not run a configuration without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

/// What a signature on a bundle covers. The digest represents the files: it covers their names and contents.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Signed<'a> {
    version: u32,
    cluster: &'a ClusterName,
    engine: EngineKind,
    digest: &'a Digest,
    routes_digest: &'a Digest,
    material: &'a BTreeMap<String, Material>,
    accepted_at: Option<jiff::Timestamp>,
    generation: u64,
    /// Omitted if absent: an agent that does not know the field can still verify the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    control_plane_timeout_ms: Option<u64>,
}

/// A secret file that a configuration names: where a starting proxy finds it without an extension, and which files need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Material {
    /// The id of the Swarm secret (or config, for a CA) with its content, mounted at [`super::container_contract::material_file`].
    pub secret: String,
    /// The files of the bundle that are left out if it is missing, so that the others can be used.
    pub needed_by: Vec<String>,
}

impl Bundle {
    /// A bundle for the default engine, with its digest.
    pub fn new(cluster: ClusterName, routes_digest: Digest, files: BTreeMap<String, String>) -> Self {
        let digest = Digest::of_json(&files);
        let (version, engine, material) = (WIRE_VERSION, EngineKind::default(), BTreeMap::new());
        Self {
            version,
            cluster,
            engine,
            digest,
            routes_digest,
            files,
            material,
            accepted_at: None,
            generation: 0,
            control_plane_timeout_ms: None,
            signature: None,
        }
    }

    /// The same bundle for this engine.
    #[must_use]
    pub fn with_engine(self, engine: EngineKind) -> Self {
        Self { engine, ..self }
    }

    /// The same bundle with this limit for how long its addresses may go unconfirmed; 0 means forever.
    #[must_use]
    pub fn with_control_plane_timeout_ms(self, ms: u64) -> Self {
        // Absent if it is the default, so that agents that do not know the field still accept configurations.
        Self { control_plane_timeout_ms: (ms != CONTROL_PLANE_TIMEOUT_MS).then_some(ms), ..self }
    }

    /// How long its addresses may go unconfirmed; `None` means forever.
    pub fn control_plane_timeout(&self) -> Option<Duration> {
        let ms = self.control_plane_timeout_ms.unwrap_or(CONTROL_PLANE_TIMEOUT_MS);
        (ms > 0).then(|| Duration::from_millis(ms))
    }

    /// The same bundle as the extension distributes it. The signature is missing if the key cannot sign: then no proxy runs it.
    #[must_use]
    pub fn signed(self, generation: u64, signer: &Signer, now: Timestamp) -> Self {
        let bundle = Self { generation, ..self };
        let signature = signer.sign(&bundle.signed_content(), now);
        Self { signature, ..bundle }
    }

    /// Checks that the extension of `cluster` made this bundle and that it is complete.
    pub fn check_signed(&self, cluster: &ClusterName, root: &TrustRoot) -> Result<(), BundleFault> {
        self.check(cluster)?;
        let signature = self.signature.as_ref().ok_or(BundleFault::Signature(NotTrusted::Unsigned))?;
        let signer = role_name(ChannelRole::Extension, cluster);
        root.verify_signature(&self.signed_content(), signature, &signer).map_err(BundleFault::Signature)
    }

    /// The same, and checks that a proxy with this engine may run it after what it ran before (`had`): not older, and not so
    /// far ahead that no bundle could follow.
    pub fn check_usable(&self, cluster: &ClusterName, engine: EngineKind, root: &TrustRoot, had: u64) -> Result<(), BundleFault> {
        self.check_signed(cluster, root)?;
        if self.engine != engine {
            return Err(BundleFault::Engine { found: self.engine, own: engine });
        }
        let found = self.generation;
        let signed_at = self.signature.as_ref().map_or(Timestamp::MIN, |signature| signature.signed_at);
        let most = signed_at.saturating_add(GENERATION_AHEAD_OF_SIGNATURE_MAX).map_or(i64::MAX, Timestamp::as_microsecond);
        if found > u64::try_from(most).unwrap_or(0) {
            Err(BundleFault::Ahead(found))
        } else if found < had {
            Err(BundleFault::Older { found, had })
        } else {
            Ok(())
        }
    }

    fn signed_content(&self) -> Vec<u8> {
        let Self { version, cluster, engine, digest, routes_digest, material, accepted_at, generation, .. } = self;
        let (version, engine, accepted_at, generation) = (*version, *engine, *accepted_at, *generation);
        let control_plane_timeout_ms = self.control_plane_timeout_ms;
        let signed =
            Signed { version, cluster, engine, digest, routes_digest, material, accepted_at, generation, control_plane_timeout_ms };
        // Strings, numbers and maps of strings: serialisation cannot fail.
        serde_json::to_vec(&signed).unwrap_or_default()
    }

    /// The same bundle with the secret files that it names. Their names contain digests of their contents, so that the bundle's
    /// digest covers those, too.
    #[must_use]
    pub fn with_material(mut self, material: BTreeMap<String, Material>) -> Self {
        self.material = material;
        self
    }

    /// Checks that this bundle is complete and meant for the proxies of `cluster`: version, cluster, file names without
    /// directories, and a digest that matches the files.
    pub fn check(&self, cluster: &ClusterName) -> Result<(), BundleFault> {
        if self.version != WIRE_VERSION {
            return Err(BundleFault::Version(self.version));
        }
        if &self.cluster != cluster {
            return Err(BundleFault::Cluster(self.cluster.clone()));
        }
        if let Some(name) = self.files.keys().chain(self.material.keys()).find(|name| !is_plain_file_name(name)) {
            return Err(BundleFault::FileName(name.clone()));
        }
        if Digest::of_json(&self.files) != self.digest {
            return Err(BundleFault::Digest);
        }
        Ok(())
    }
}

/// Letters, digits, `.`, `-` and `_`, not beginning with a dot: nothing that could leave a directory.
fn is_plain_file_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(allowed)
}

/// Why a bundle is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleFault {
    /// Another protocol version.
    #[error("unsupported message version {0}; this side supports {WIRE_VERSION}")]
    Version(u32),
    /// It is for the proxies of another cluster.
    #[error("the configuration is for cluster {0}")]
    Cluster(ClusterName),
    /// It is for another engine.
    #[error("the configuration is for the engine {found}, but this proxy runs {own}")]
    Engine {
        /// The engine that it is for.
        found: EngineKind,
        /// The engine of the proxy.
        own: EngineKind,
    },
    /// A file name could leave its directory.
    #[error("{0:?} is not a plain file name")]
    FileName(String),
    /// It was damaged in transit or on disk.
    #[error("the configuration does not match its digest")]
    Digest,
    /// The cluster's extension did not make it.
    #[error("the configuration is not signed by the cluster's extension: {0}")]
    Signature(NotTrusted),
    /// Its generation is so far ahead that no later one could follow.
    #[error("generation {0} of the configuration is more than a day ahead of the time of its signature")]
    Ahead(u64),
    /// It is older than one that this proxy has had.
    #[error("the configuration (generation {found}) is older than the newest one that this proxy has run (generation {had})")]
    Older {
        /// Its generation.
        found: u64,
        /// The highest generation before.
        had: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Authority, ChannelIdentity};

    fn bundle(file: &str) -> Bundle {
        let files = BTreeMap::from([(file.to_owned(), "text".to_owned())]);
        Bundle::new(ClusterName::parse("dev").unwrap(), Digest::of_bytes(b""), files)
    }

    fn check(bundle: &Bundle, expected: &Result<(), BundleFault>) {
        assert_eq!(bundle.check(&ClusterName::parse("dev").unwrap()), *expected);
    }

    #[test]
    fn only_a_complete_bundle_of_the_own_cluster_is_used() {
        let good = bundle("nginx.conf");
        check(&good, &Ok(()));
        check(&Bundle { version: 1, ..good.clone() }, &Err(BundleFault::Version(1)));
        let other = ClusterName::parse("other").unwrap();
        check(&Bundle { cluster: other.clone(), ..good.clone() }, &Err(BundleFault::Cluster(other)));
        check(&Bundle { files: BTreeMap::new(), ..good }, &Err(BundleFault::Digest));
    }

    #[test]
    fn a_bundle_for_an_unknown_engine_is_refused_by_name() {
        let mut value = serde_json::to_value(bundle("nginx.conf")).unwrap();
        assert_eq!(value["engine"], "nginx", "what proxies of earlier versions compare");
        value["engine"] = "haproxy".into();
        let error = serde_json::from_value::<Bundle>(value).unwrap_err().to_string();
        assert!(error.contains("unknown engine \"haproxy\""), "{error}");
    }

    #[test]
    fn a_generation_increases_but_never_so_far_that_none_could_follow() {
        let now = Timestamp::now();
        let (authority, dev) = (Authority::create(now).unwrap(), ClusterName::parse("dev").unwrap());
        let signer = ChannelIdentity::issued_by(&authority, ChannelRole::Extension, &dev, "t1", now).unwrap().signer();
        let today = u64::try_from(now.as_microsecond()).unwrap();
        let usable = |generation, had| {
            bundle("nginx.conf").signed(generation, &signer, now).check_usable(&dev, EngineKind::Nginx, authority.root(), had)
        };
        assert_eq!(usable(today, today), Ok(()));
        assert_eq!(usable(today, today + 1), Err(BundleFault::Older { found: today, had: today + 1 }));
        assert_eq!(usable(u64::MAX, today), Err(BundleFault::Ahead(u64::MAX)));
    }

    #[test]
    fn the_signature_covers_every_part_of_a_bundle() {
        let now = Timestamp::now();
        let (authority, dev) = (Authority::create(now).unwrap(), ClusterName::parse("dev").unwrap());
        let signer = ChannelIdentity::issued_by(&authority, ChannelRole::Extension, &dev, "t1", now).unwrap().signer();
        let good = bundle("nginx.conf").signed(7, &signer, now);
        assert_eq!(good.check_signed(&dev, authority.root()), Ok(()));
        let material = Material { secret: "s1".to_owned(), needed_by: Vec::new() };
        for changed in [
            Bundle { generation: 8, ..good.clone() },
            Bundle { accepted_at: Some(now), ..good.clone() },
            Bundle { control_plane_timeout_ms: Some(0), ..good.clone() },
            Bundle { routes_digest: Digest::of_bytes(b"other"), ..good.clone() },
            Bundle { material: BTreeMap::from([("tls-1.pem".to_owned(), material)]), ..good.clone() },
        ] {
            assert_eq!(changed.check_signed(&dev, authority.root()), Err(BundleFault::Signature(NotTrusted::Signature)));
        }
        let unsigned = Bundle { signature: None, ..good };
        assert_eq!(unsigned.check_signed(&dev, authority.root()), Err(BundleFault::Signature(NotTrusted::Unsigned)));
    }

    #[test]
    fn no_file_name_leaves_its_directory() {
        for name in ["../x", "/etc/x", "a/b", "", ".", "..", ".hidden", "a b"] {
            check(&bundle(name), &Err(BundleFault::FileName(name.to_owned())));
        }
    }
}
