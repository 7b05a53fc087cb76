//! The messages, and what makes one valid: digests and checks that sender and receiver share. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::bundle::{Bundle, BundleFault, Material};
pub use super::version::WIRE_VERSION;
use crate::pki::ChannelRole;
use crate::route::{Part, RouteTable};
use crate::types::{ClusterName, ConfigSource, Digest};

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

    /// The certificate; `None` if it is not base64.
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
    /// The same routes with names instead of addresses: for when nobody has confirmed the addresses for a while, and for the next
    /// start of a proxy on this node should nobody answer then.
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

/// Extension → proxy: the answer of `GET /v1/addresses?of=DIGEST`: what the newest look at the Swarm says of the addresses of an
/// earlier offer, however long the table of that look is being tested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Addresses {
    /// [`WIRE_VERSION`].
    pub version: u32,
    /// The offer that was asked about.
    pub of: Digest,
    /// Those of its addresses that the service has no more which had them then. All others are still its own.
    #[schemars(with = "Vec<String>")]
    pub gone: BTreeSet<SocketAddr>,
}

/// Contents of secret files, by file name. Never shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Contents(pub BTreeMap<String, String>);

/// Errors of the JSON library quote their input, which would be a key here.
impl<'de> Deserialize<'de> for Contents {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let silent = |_| serde::de::Error::custom("the contents of secret files are malformed");
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
    /// It is left out because proxies could not read the configuration with it; the engine was not asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub too_large: bool,
}

/// What the extension found in a pair of objects (certificate and key), or in an object with a CA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MaterialReport {
    /// The name of the object with the certificates.
    pub certificate: String,
    /// Its id; absent: whoever named it has no such object that it may use. Of objects with the same name only the id tells
    /// which one this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_id: Option<String>,
    /// The name of the object with the key; absent for a CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The key's id, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
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
    /// The certificate is not valid yet.
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
    /// Nobody was asked: as a message it is larger than its receivers read (`words` say how large).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub too_large: bool,
}

impl Refusal {
    /// A refusal with the engine's words.
    pub fn new(digest: Digest, words: String) -> Self {
        Self { digest, words, undecided: false, too_large: false }
    }
}

/// What a proxy's agent is about, so that one that is slow is told from one that is stuck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// What it does.
    pub kind: ActivityKind,
    /// Since when, by the proxy's clock.
    pub since: jiff::Timestamp,
    /// The [`Bundle::digest`] that it is about, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What stands in its way, in its own words, at most 4 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
}

/// What an agent does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ActivityKind {
    /// It waits for something newer at the extension, which answers.
    Following,
    /// The engine tests a newer configuration, or loads it.
    Testing,
    /// It cannot get anything newer: `words` say why.
    Cut,
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
    /// Where the running configuration came from: `live`; `names` (the same with names instead of addresses, because nothing has
    /// confirmed these for the time that [`Bundle::control_plane_timeout_ms`] states); `volume` or `boot` since a start alone.
    #[schemars(with = "Option<String>")]
    pub source: Option<ConfigSource>,
    /// What it refused last, if nothing newer was accepted since.
    pub rejected: Option<Refusal>,
    /// The highest [`Bundle::generation`] that it has run: it refuses lower ones.
    #[serde(default)]
    pub generation: u64,
    /// Reloads since the agent started.
    pub reloads: u64,
    /// How the newest change came into force. Absent before the first one, and from an agent of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<AppliedBy>,
    /// What it is about; absent: an agent of an earlier version, which does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,
    /// How often it has gone over to names since it started.
    #[serde(default)]
    pub fallbacks: u64,
    /// What the engine holds beside its current workers.
    #[serde(default)]
    pub load: EngineLoad,
    /// When this was said, by the extension's clock; set by the extension when it receives the report.
    #[serde(default)]
    pub seen_at: Option<jiff::Timestamp>,
    /// Whether the extension has heard nothing of it for longer than two reports take; set by the extension.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
}

/// How an engine brought a change into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AppliedBy {
    /// It loaded its whole configuration; new workers serve.
    Reload,
    /// It changed while it ran, without a reload; the same workers serve.
    Runtime,
}

/// What an engine holds of earlier configurations, and on its volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EngineLoad {
    /// Workers that finish connections of earlier configurations.
    pub retiring_workers: u32,
    /// Their memory together, in bytes.
    pub retiring_memory: u64,
    /// Such workers that were ended with their connections since the agent started, because they were too many or held too much.
    pub ended_workers: u64,
    /// What request bodies take on the volume, in bytes.
    pub body_spool: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_contents_are_not_quoted() {
        for damaged in ["\"the key itself\"", "[\"the key itself\"]", "{\"a\": [\"the key itself\"]}"] {
            let error = serde_json::from_str::<Contents>(damaged).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("the key itself"), "{error}");
        }
        let good = serde_json::from_str::<Contents>("{\"a\": \"b\"}").unwrap();
        assert_eq!(good.0["a"], "b");
    }
}
