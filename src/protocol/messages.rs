//! The messages, and what makes one valid: digests and checks that sender and receiver share. No I/O.

mod config_verdict;
mod extension_report;
mod material_report;
mod proxy_report;
mod secret_files;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::bundle::{Bundle, BundleFault, Material};
pub use super::version::WIRE_VERSION;
pub use config_verdict::{Accepted, ConfigRejection};
pub use extension_report::{ExtensionReport, Quarantined};
pub use material_report::{CertificateWarning, CertificateWarningKind, MaterialReport, MaterialState};
pub use proxy_report::{Activity, ActivityKind, AppliedBy, EngineLoad, ProxyReport};
pub use secret_files::SecretFiles;

use crate::pki::ChannelRole;
use crate::route::RouteTable;
use crate::types::Digest;

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
