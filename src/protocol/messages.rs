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
use crate::route::{QuarantineUnit, RouteTable};
use crate::types::{ClusterName, ConfigSource, Digest};

/// A task → operator: requests a certificate, first with its token, later with its current certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateRequest {
    /// [`WIRE_VERSION`].
    pub version: u32,
    /// The role of the certificate.
    pub role: ChannelRole,
    /// The task's id (`{{.Task.ID}}`).
    pub task: String,
    /// A PKCS#10 request as PEM. Only its public key is used.
    pub request: String,
}

/// Operator → a task: its certificate, valid for a day.
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
    /// They mount a Swarm config object; the extension must send the rendered bundle to the operator.
    Replace,
}

/// Operator → extension: the routes that the proxies must serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Desired {
    /// [`WIRE_VERSION`].
    pub version: u32,
    /// The digest of `table` and `delivery` together, the value for `after`.
    pub digest: Digest,
    /// How the proxies get the configuration.
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

/// Operator → extension and proxies that share no network with it: the addresses of the operator and the extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Peers")]
pub struct PeerAddresses {
    /// [`WIRE_VERSION`].
    pub version: u32,
    /// The digest of both lists, the value for `after`.
    pub digest: Digest,
    /// Base URLs of the operator's channel, one for each manager. The operator answers at one of them.
    pub operators: Vec<String>,
    /// Base URLs of the cluster's extension, one for each running task. Empty while none runs.
    pub extensions: Vec<String>,
}

impl PeerAddresses {
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
    /// The digest of this offer, the value for `after`. Another generation of the same configuration is another offer.
    pub digest: Digest,
    /// The configuration to run.
    pub live: Bundle,
    /// The same routes with names instead of addresses, for when the addresses have not been confirmed for a while, and for the
    /// next start of a proxy on this node without an extension.
    pub boot: Bundle,
    /// The contents of the secret files that `live` and `boot` name. Kept in memory only: never on a volume, never in a
    /// config object.
    #[serde(default)]
    pub contents: SecretFiles,
    /// The parts of `live`, each with a digest, so that a proxy can log why it reloads (`endpoints of app.example.org`). For
    /// people; not part of any digest.
    #[serde(default)]
    pub parts: BTreeMap<String, String>,
}

impl ProxyConfig {
    /// An offer with its digest.
    pub fn new(live: Bundle, boot: Bundle, contents: SecretFiles, parts: BTreeMap<String, String>) -> Self {
        let digest = Digest::of_json(&(&live.digest, &live.material, live.generation, &boot.digest, boot.generation));
        Self { version: WIRE_VERSION, digest, live, boot, contents, parts }
    }
}

/// Extension → proxy: the answer of `GET /v1/addresses?of=DIGEST`: the state of an earlier offer's addresses in the newest snapshot
/// of the Swarm, even while the table from that snapshot is still being tested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Addresses {
    /// [`WIRE_VERSION`].
    pub version: u32,
    /// The offer.
    pub of: Digest,
    /// Those of its addresses that no longer belong to the same service. All others still do.
    #[schemars(with = "Vec<String>")]
    pub gone: BTreeSet<SocketAddr>,
}

/// Contents of secret files, by file name. Never shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(rename = "Contents")]
pub struct SecretFiles(pub BTreeMap<String, String>);

/// Errors of the JSON library quote their input, which would be a key here.
impl<'de> Deserialize<'de> for SecretFiles {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let silent = |_| serde::de::Error::custom("the contents of secret files are malformed");
        BTreeMap::deserialize(deserializer).map(Self).map_err(silent)
    }
}

impl std::fmt::Debug for SecretFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Extension → operator: the outcome of the desired table, and what the proxies run. Sent on every change and as a heartbeat.
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
    /// The newest table that the engine rejected, if it is newer than `accepted`.
    pub refused: Option<ConfigRejection>,
    /// The boot snapshot that belongs to `accepted`, with names instead of addresses. A heartbeat may omit `boot` and `live`; the
    /// operator then keeps those that came with the same `accepted`, or answers 409 if it has none.
    pub boot: Option<Bundle>,
    /// With [`Delivery::Replace`]: the bundle to mount. Absent otherwise.
    pub live: Option<Bundle>,
    /// The proxies that follow this extension.
    pub proxies: Vec<ProxyReport>,
    /// The state of the certificates and CAs that the newest table names.
    #[serde(default)]
    pub material: Vec<MaterialReport>,
    /// The parts of the newest table that the engine rejects; `accepted` does not contain them.
    #[serde(default)]
    pub quarantined: Vec<Quarantined>,
}

/// A part of a table that is left out because the engine rejects it, until the part changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quarantined {
    /// The part.
    pub part: QuarantineUnit,
    /// The engine's error message.
    pub words: String,
    /// Whether it is left out because the configuration would be too large for proxies; then the engine did not test it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub too_large: bool,
}

/// The state of a pair of objects (certificate and key), or of an object with a CA, as found by the extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MaterialReport {
    /// The name of the object with the certificates.
    pub certificate: String,
    /// Its id, which distinguishes objects with the same name. Absent if the service that names it may not use such an object, or
    /// none exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_id: Option<String>,
    /// The name of the object with the key; absent for a CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The key's id, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Whether it can be used.
    pub state: MaterialState,
    /// A description of the problem; empty if there is none.
    #[serde(default)]
    pub words: String,
    /// When it becomes valid, if it is not valid yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<jiff::Timestamp>,
    /// When the server's certificate (or the last of several CA certificates) expires, if it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<jiff::Timestamp>,
    /// The host names of the certificate, at most 1,000.
    #[serde(default)]
    pub names: Vec<String>,
    /// The number of further host names.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_names: usize,
    /// Reasons why clients may reject it, although it is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<CertificateWarning>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A reason why clients may reject a certificate that the engine accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Doubt")]
pub struct CertificateWarning {
    /// The subject of the doubt.
    pub kind: CertificateWarningKind,
    /// A description, which never quotes the content.
    pub words: String,
}

/// The subject of a doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "DoubtKind")]
pub enum CertificateWarningKind {
    /// The type of its key.
    Key,
    /// The algorithm of its signature, or of a signature in its chain.
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
    /// The object exists but is not mounted yet; the previous material stays in use.
    Awaited,
    /// There is no such object in the Swarm.
    Missing,
    /// The certificate's object contains no certificate.
    NotACertificate,
    /// The key's object contains no private key.
    NotAKey,
    /// The key belongs to another certificate.
    Mismatch,
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The object of a CA also contains a private key. It is not used, so that the key is not distributed with the certificates.
    HoldsKey,
}

/// An accepted configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The [`Desired::digest`] from which it was rendered.
    pub desired_digest: Digest,
    /// The [`Bundle::digest`].
    pub config_digest: Digest,
}

/// A configuration that is not used, with the engine's error message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Refusal")]
pub struct ConfigRejection {
    /// What was rejected: a [`Desired::digest`] (extension) or a [`Bundle::digest`] (proxy).
    pub digest: Digest,
    /// The engine's error message, at most 4 KiB.
    pub words: String,
    /// Whether the engine did not decide: it could not run or did not finish in time (see `words`). The test is repeated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undecided: bool,
    /// Whether the configuration is too large for its receivers (see `words`); then the engine did not test it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub too_large: bool,
}

impl ConfigRejection {
    /// A refusal with the engine's words.
    pub fn new(digest: Digest, words: String) -> Self {
        Self { digest, words, undecided: false, too_large: false }
    }
}

/// What a proxy's agent is doing, to distinguish one that is slow from one that is stuck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// The kind of activity.
    pub kind: ActivityKind,
    /// When it began, by the proxy's clock.
    pub since: jiff::Timestamp,
    /// The [`Bundle::digest`] that it concerns, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The obstacle, as an error message of at most 4 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
}

/// A kind of activity of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ActivityKind {
    /// It waits for a newer configuration, and the extension answers.
    Following,
    /// The engine tests a newer configuration, or loads it.
    Testing,
    /// It cannot get a newer configuration; `words` says why.
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
    /// The [`Bundle::digest`] that the engine runs; absent before the engine runs.
    pub running: Option<Digest>,
    /// The source of the running configuration: `live`; `names` (the same with names instead of addresses, because the addresses
    /// were not confirmed for [`Bundle::control_plane_timeout_ms`]); `volume` or `boot` after a start without an extension.
    #[schemars(with = "Option<String>")]
    pub source: Option<ConfigSource>,
    /// The last rejected configuration, if no newer one has been accepted since.
    pub rejected: Option<ConfigRejection>,
    /// The highest [`Bundle::generation`] that it has run. It rejects lower ones.
    #[serde(default)]
    pub generation: u64,
    /// Reloads since the agent started.
    pub reloads: u64,
    /// How the newest change was applied. Absent before the first change, and from an agent of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<AppliedBy>,
    /// Changes applied without a reload since the agent started.
    #[serde(default)]
    pub runtime_changes: u64,
    /// What it is doing. Absent from an agent of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,
    /// How often it has switched to names since it started.
    #[serde(default)]
    pub fallbacks: u64,
    /// The resources that the engine uses in addition to its current workers.
    #[serde(default)]
    pub load: EngineLoad,
    /// When the extension received this report, by its own clock; set by the extension.
    #[serde(default)]
    pub seen_at: Option<jiff::Timestamp>,
    /// Whether the proxy has missed two reports; set by the extension.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
}

/// How an engine applied a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AppliedBy {
    /// It loaded its whole configuration; new workers serve.
    Reload,
    /// It applied the change while running, without a reload; the same workers serve.
    Runtime,
}

/// The resources that an engine uses for earlier configurations, and on its volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EngineLoad {
    /// Workers that finish connections of earlier configurations.
    pub retiring_workers: u32,
    /// The memory of these workers together, in bytes.
    pub retiring_memory: u64,
    /// The number of such workers that were ended with their connections since the agent started, because they were too many or
    /// used too much memory.
    pub ended_workers: u64,
    /// The size of request bodies on the volume, in bytes.
    pub body_spool: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_contents_are_not_quoted() {
        for damaged in ["\"the key itself\"", "[\"the key itself\"]", "{\"a\": [\"the key itself\"]}"] {
            let error = serde_json::from_str::<SecretFiles>(damaged).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("the key itself"), "{error}");
        }
        let good = serde_json::from_str::<SecretFiles>("{\"a\": \"b\"}").unwrap();
        assert_eq!(good.0["a"], "b");
    }
}
