//! The messages themselves, and what makes one whole: digests and checks that sender and receiver share. No I/O.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pki::{ChannelRole, NotTrusted, Signature, Signer, TrustRoot, role_name};
use crate::route::{Part, RouteTable};
use crate::types::{ClusterName, Digest};

/// The version of every message; a receiver refuses others with 400.
pub const WIRE_VERSION: u32 = 2;

/// A task → operator: asks for its certificate, the first time with its token, later with the certificate at hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateRequest {
    /// [`WIRE_VERSION`].
    pub version: u32,
    /// For which role.
    pub role: ChannelRole,
    /// The task's id (`{{.Task.ID}}`).
    pub task: String,
    /// A PKCS#10 request as PEM. Only its public key counts.
    pub request: String,
}

/// Operator → a task: its certificate, for a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedCertificate {
    /// [`WIRE_VERSION`].
    pub version: u32,
    /// The certificate (DER, base64).
    pub certificate: String,
}

impl IssuedCertificate {
    /// A message with this certificate.
    pub fn new(der: &[u8]) -> Self {
        Self { version: WIRE_VERSION, certificate: STANDARD.encode(der) }
    }

    /// The certificate; none if it is not base64.
    pub fn certificate_der(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.certificate).ok()
    }
}

/// How the proxies of the cluster get configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// They follow the extension.
    Live,
    /// A Swarm config object is mounted; the extension must hand the rendered bundle to the operator.
    Replace,
}

/// Operator → extension: what the proxies must say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Desired {
    /// [`WIRE_VERSION`].
    pub version: u32,
    /// The digest of `table` and `delivery` together: what `after` names.
    pub digest: Digest,
    /// How the proxies get it.
    pub delivery: Delivery,
    /// The routes.
    pub table: RouteTable,
}

impl Desired {
    /// A message with its digest.
    pub fn new(delivery: Delivery, table: RouteTable) -> Self {
        let digest = Digest::of_json(&(delivery, &table));
        Self { version: WIRE_VERSION, digest, delivery, table }
    }
}

/// Operator → extension and proxies that share no network with it: where everybody is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Peers {
    /// [`WIRE_VERSION`].
    pub version: u32,
    /// The digest of both lists: what `after` names.
    pub digest: Digest,
    /// Base URLs of the operator's channel, one for each manager; it answers at one of them.
    pub operators: Vec<String>,
    /// Base URLs of the cluster's extension, one for each running task. Empty while none runs.
    pub extensions: Vec<String>,
}

impl Peers {
    /// A message with its digest.
    pub fn new(operators: Vec<String>, extensions: Vec<String>) -> Self {
        let digest = Digest::of_json(&(&operators, &extensions));
        Self { version: WIRE_VERSION, digest, operators, extensions }
    }
}

/// A complete engine configuration: extension → proxy, and the content of a boot snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// [`WIRE_VERSION`].
    pub version: u32,
    /// The cluster it is for; an agent refuses another cluster's.
    pub cluster: ClusterName,
    /// The engine it is for: `nginx`.
    pub engine: String,
    /// The digest of `files`: what proxies report as running.
    pub digest: Digest,
    /// The route table it was rendered from.
    pub routes_digest: Digest,
    /// File name (no directories) to content. For nginx: `nginx.conf`, and `tls-*.conf` for each host with TLS.
    pub files: BTreeMap<String, String>,
    /// The secret files that `files` name, by file name. Their content is never part of a bundle.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub material: BTreeMap<String, Material>,
    /// When the engine accepted it in the extension; not part of the digest. By it a proxy that starts alone tells a mounted
    /// snapshot that is newer than what its volume knows from one that is older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<jiff::Timestamp>,
    /// Goes up with every configuration of a cluster, whoever signs it, so that an old one cannot be passed off as the
    /// newest: microseconds since 1970 by the extension's clock, or one more than the highest that it has heard of.
    #[serde(default)]
    pub generation: u64,
    /// The extension's signature on everything above. Without it no proxy runs the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

/// What a signature on a bundle covers. The digest stands for the files, whose names and contents it covers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Signed<'a> {
    version: u32,
    cluster: &'a ClusterName,
    engine: &'a str,
    digest: &'a Digest,
    routes_digest: &'a Digest,
    material: &'a BTreeMap<String, Material>,
    accepted_at: Option<jiff::Timestamp>,
    generation: u64,
}

/// A secret file that a configuration names: where a start finds it when nobody hands it out, and what goes without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Material {
    /// The id of the Swarm secret (or config, for a CA) that holds it, mounted at [`super::contract::material_file`].
    pub secret: String,
    /// The files of the bundle that are left out without it, so that the others serve.
    pub needed_by: Vec<String>,
}

/// The engine whose configurations this version writes and runs.
pub const ENGINE_NGINX: &str = "nginx";

impl Bundle {
    /// A bundle for nginx with its digest.
    pub fn new(cluster: ClusterName, routes_digest: Digest, files: BTreeMap<String, String>) -> Self {
        let digest = Digest::of_json(&files);
        let (version, engine, material) = (WIRE_VERSION, ENGINE_NGINX.to_owned(), BTreeMap::new());
        Self { version, cluster, engine, digest, routes_digest, files, material, accepted_at: None, generation: 0, signature: None }
    }

    /// The same bundle as the extension hands it out. Its signature is missing if the key cannot sign: then nobody runs it.
    #[must_use]
    pub fn signed(self, generation: u64, signer: &Signer, now: Timestamp) -> Self {
        let bundle = Self { generation, ..self };
        let signature = signer.sign(&bundle.signed_content(), now);
        Self { signature, ..bundle }
    }

    /// Whether the extension of `cluster` made this bundle and it is whole.
    pub fn check_signed(&self, cluster: &ClusterName, root: &TrustRoot) -> Result<(), BundleFault> {
        self.check(cluster)?;
        let signature = self.signature.as_ref().ok_or(BundleFault::Signature(NotTrusted::Unsigned))?;
        let signer = role_name(ChannelRole::Extension, cluster);
        root.verify_signature(&self.signed_content(), signature, &signer).map_err(BundleFault::Signature)
    }

    fn signed_content(&self) -> Vec<u8> {
        let Self { version, cluster, engine, digest, routes_digest, material, accepted_at, generation, .. } = self;
        let (version, accepted_at, generation) = (*version, *accepted_at, *generation);
        let signed = Signed { version, cluster, engine, digest, routes_digest, material, accepted_at, generation };
        // Strings, numbers and maps of strings: nothing in it fails to serialise.
        serde_json::to_vec(&signed).unwrap_or_default()
    }

    /// The same bundle, with the secret files that it names. Their names hold digests of their contents, so that the
    /// digest of the bundle covers those, too.
    #[must_use]
    pub fn with_material(mut self, material: BTreeMap<String, Material>) -> Self {
        self.material = material;
        self
    }

    /// Whether this bundle is whole and meant for the proxies of `cluster`: version, cluster, engine, file names without
    /// directories, and a digest that fits the files.
    pub fn check(&self, cluster: &ClusterName) -> Result<(), BundleFault> {
        if self.version != WIRE_VERSION {
            return Err(BundleFault::Version(self.version));
        }
        if &self.cluster != cluster {
            return Err(BundleFault::Cluster(self.cluster.clone()));
        }
        if self.engine != ENGINE_NGINX {
            return Err(BundleFault::Engine(self.engine.clone()));
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

/// Letters, digits, `.`, `-` and `_`, not beginning with a dot: nothing that leads out of a directory.
fn is_plain_file_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(allowed)
}

/// Why a bundle is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleFault {
    /// Another protocol version.
    #[error("message version {0} is not {WIRE_VERSION}")]
    Version(u32),
    /// Meant for other proxies.
    #[error("the configuration is for cluster {0}")]
    Cluster(ClusterName),
    /// Written for another engine.
    #[error("the configuration is for the engine {0:?}")]
    Engine(String),
    /// A file name that could lead out of its directory.
    #[error("{0:?} is not a plain file name")]
    FileName(String),
    /// Damaged on the way or on the disk.
    #[error("the configuration does not match its digest")]
    Digest,
    /// Not made by the cluster's extension.
    #[error("the configuration is not signed by the cluster's extension: {0}")]
    Signature(NotTrusted),
    /// Older than one that was there before.
    #[error("the configuration is older than the one that this proxy has run (generation {found}, and it has had {had})")]
    Older {
        /// Its generation.
        found: u64,
        /// The highest that was there before.
        had: u64,
    },
}

/// Extension → proxy: the answer of `GET /v1/bundle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxyConfig {
    /// [`WIRE_VERSION`].
    pub version: u32,
    /// The digest of this offer: what `after` names. Another generation of the same configuration is another offer.
    pub digest: Digest,
    /// What to run.
    pub live: Bundle,
    /// The same routes with names instead of addresses, for the next start of a proxy on this node should nobody answer then.
    pub boot: Bundle,
    /// The contents of the secret files that `live` and `boot` name. Kept in memory only: never on a volume, never in a
    /// config object.
    #[serde(default)]
    pub contents: Contents,
    /// What `live` says, part by part, each with a digest: so that a proxy can tell why it reloads
    /// (`endpoints of app.example.org`). For people; not part of any digest.
    #[serde(default)]
    pub parts: BTreeMap<String, String>,
}

impl ProxyConfig {
    /// An offer with its digest.
    pub fn new(live: Bundle, boot: Bundle, contents: Contents, parts: BTreeMap<String, String>) -> Self {
        let digest = Digest::of_json(&(&live.digest, &live.material, live.generation, &boot.digest, boot.generation));
        Self { version: WIRE_VERSION, digest, live, boot, contents, parts }
    }
}

/// Contents of secret files, by file name. Never shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Contents(pub BTreeMap<String, String>);

/// An error of the JSON library quotes what it found: here that would be a key.
impl<'de> Deserialize<'de> for Contents {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let silent = |_| serde::de::Error::custom("the contents of secret files are not laid out as they should be");
        BTreeMap::deserialize(deserializer).map(Self).map_err(silent)
    }
}

impl std::fmt::Debug for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Extension → operator: what became of the desired table, and what the proxies run. Sent on every change and as a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtensionReport {
    /// [`WIRE_VERSION`].
    pub version: u32,
    /// The cluster.
    pub cluster: ClusterName,
    /// The extension's task id.
    pub task: String,
    /// The engine's own version line: `nginx/1.31.3`.
    pub engine_version: String,
    /// The newest configuration that the engine accepted.
    pub accepted: Option<Accepted>,
    /// The newest table that the engine refused, if it is newer than `accepted`.
    pub refused: Option<Refusal>,
    /// The boot snapshot that belongs to `accepted`: names instead of addresses. A heartbeat may leave `boot` and `live`
    /// out; the operator then keeps those that came with the same `accepted`, or answers 409 if it has none.
    pub boot: Option<Bundle>,
    /// With [`Delivery::Replace`]: the bundle to mount. Absent otherwise.
    pub live: Option<Bundle>,
    /// The proxies that follow this extension.
    pub proxies: Vec<ProxyReport>,
    /// What became of the certificates and CAs that the newest table names.
    #[serde(default)]
    pub material: Vec<MaterialReport>,
    /// The parts of the newest table that the engine refuses: `accepted` is without them.
    #[serde(default)]
    pub quarantined: Vec<Quarantined>,
}

/// A part of a table that is left out because the engine refuses it, until it says something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quarantined {
    /// The part.
    pub part: Part,
    /// The engine's own words about it.
    pub words: String,
}

/// What the extension found in a pair of objects (certificate and key), or in an object with a CA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MaterialReport {
    /// The name of the object with the certificates.
    pub certificate: String,
    /// The name of the object with the key; absent for a CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What it is good for.
    pub state: MaterialState,
    /// What is wrong, in words; empty when nothing is.
    #[serde(default)]
    pub words: String,
    /// When it becomes valid, if it is not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<jiff::Timestamp>,
    /// When the server's certificate expires (of several CAs the last), if it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<jiff::Timestamp>,
    /// The host names that the certificate is for, 1,000 at most.
    #[serde(default)]
    pub names: Vec<String>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_names: usize,
    /// What clients have against it although it is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<Doubt>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// What clients have against a certificate that the engine takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Doubt {
    /// What it is about.
    pub kind: DoubtKind,
    /// In words of this project; nothing of the content.
    pub words: String,
}

/// What a doubt is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DoubtKind {
    /// The kind of its key.
    Key,
    /// The kind of its signature, or of one in its chain.
    Signature,
    /// The validity of a certificate in its chain.
    Chain,
}

/// Whether TLS material can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MaterialState {
    /// It is in use.
    Good,
    /// The object exists and is not mounted yet; what was used before stays in use.
    Awaited,
    /// There is no such object in the Swarm.
    Missing,
    /// The certificate's object holds no certificate.
    NotACertificate,
    /// The key's object holds no private key.
    NotAKey,
    /// The key is another certificate's.
    Mismatch,
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet; what was used before stays in use.
    NotYetValid,
    /// The object of a CA holds a private key, too: it is not used, lest the key gets where certificates go.
    HoldsKey,
}

/// An accepted configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The [`Desired::digest`] it was rendered from.
    pub desired_digest: Digest,
    /// The [`Bundle::digest`].
    pub config_digest: Digest,
}

/// A configuration that is not used, with the engine's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// What was refused: a [`Desired::digest`] (extension) or a [`Bundle::digest`] (proxy).
    pub digest: Digest,
    /// The engine's own words, at most 4 KiB.
    pub words: String,
    /// The engine did not say no: it could not be asked or did not answer in time (`words` say so), and is asked again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undecided: bool,
}

/// Proxy → extension (and on to the operator): what a proxy task runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxyReport {
    /// [`WIRE_VERSION`].
    pub version: u32,
    /// The proxy's task id (`{{.Task.ID}}`).
    pub task: String,
    /// Its node's host name (`{{.Node.Hostname}}`).
    pub node: String,
    /// The [`Bundle::digest`] in force; absent before the engine runs.
    pub running: Option<Digest>,
    /// Where the running configuration came from: `live`, `boot` or `volume`.
    pub source: Option<String>,
    /// What it refused last, if nothing newer was accepted since.
    pub rejected: Option<Refusal>,
    /// The highest [`Bundle::generation`] that it has run: it refuses lower ones.
    #[serde(default)]
    pub generation: u64,
    /// Reloads since the agent started.
    pub reloads: u64,
    /// When this was said, by the extension's clock; set by the extension when it receives the report.
    #[serde(default)]
    pub seen_at: Option<jiff::Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Authority, KeyInHand};

    fn bundle(file: &str) -> Bundle {
        let files = BTreeMap::from([(file.to_owned(), "text".to_owned())]);
        Bundle::new(ClusterName::parse("dev").unwrap(), Digest::of_bytes(b""), files)
    }

    fn check(bundle: &Bundle, expected: &Result<(), BundleFault>) {
        assert_eq!(bundle.check(&ClusterName::parse("dev").unwrap()), *expected);
    }

    #[test]
    fn only_a_whole_bundle_of_ones_own_is_used() {
        let good = bundle("nginx.conf");
        check(&good, &Ok(()));
        check(&Bundle { version: 1, ..good.clone() }, &Err(BundleFault::Version(1)));
        let other = ClusterName::parse("other").unwrap();
        check(&Bundle { cluster: other.clone(), ..good.clone() }, &Err(BundleFault::Cluster(other)));
        check(&Bundle { engine: "haproxy".to_owned(), ..good.clone() }, &Err(BundleFault::Engine("haproxy".to_owned())));
        check(&Bundle { files: BTreeMap::new(), ..good }, &Err(BundleFault::Digest));
    }

    #[test]
    fn every_part_of_a_bundle_is_under_its_signature() {
        let now = Timestamp::now();
        let (authority, dev) = (Authority::create(now).unwrap(), ClusterName::parse("dev").unwrap());
        let signer = KeyInHand::issued_by(&authority, ChannelRole::Extension, &dev, "t1", now).unwrap().signer();
        let good = bundle("nginx.conf").signed(7, &signer, now);
        assert_eq!(good.check_signed(&dev, authority.root()), Ok(()));
        let material = Material { secret: "s1".to_owned(), needed_by: Vec::new() };
        for changed in [
            Bundle { generation: 8, ..good.clone() },
            Bundle { accepted_at: Some(now), ..good.clone() },
            Bundle { routes_digest: Digest::of_bytes(b"other"), ..good.clone() },
            Bundle { material: BTreeMap::from([("tls-1.pem".to_owned(), material)]), ..good.clone() },
        ] {
            assert_eq!(changed.check_signed(&dev, authority.root()), Err(BundleFault::Signature(NotTrusted::Signature)));
        }
        let unsigned = Bundle { signature: None, ..good };
        assert_eq!(unsigned.check_signed(&dev, authority.root()), Err(BundleFault::Signature(NotTrusted::Unsigned)));
    }

    #[test]
    fn contents_that_cannot_be_read_are_not_quoted() {
        for damaged in ["\"the key itself\"", "[\"the key itself\"]", "{\"a\": [\"the key itself\"]}"] {
            let error = serde_json::from_str::<Contents>(damaged).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("the key itself"), "{error}");
        }
        let good = serde_json::from_str::<Contents>("{\"a\": \"b\"}").unwrap();
        assert_eq!(good.0["a"], "b");
    }

    #[test]
    fn no_file_name_leads_out_of_its_directory() {
        for name in ["../x", "/etc/x", "a/b", "", ".", "..", ".hidden", "a b"] {
            check(&bundle(name), &Err(BundleFault::FileName(name.to_owned())));
        }
    }
}
