//! What an extension reports to the operator: what its engine accepted, what it rejected, and what the proxies run. A report states
//! facts and requests nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::Delivery;
use super::config_verdict::{Accepted, ConfigRejection};
use super::material_report::MaterialReport;
use super::proxy_report::ProxyReport;
use crate::protocol::bundle::Bundle;
#[cfg(doc)]
use crate::protocol::version::WIRE_VERSION;
use crate::route::QuarantineUnit;
use crate::types::ClusterName;

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
    #[serde(rename = "words")]
    pub message: String,
    /// Whether it is left out because the configuration would be too large for proxies; then the engine did not test it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub too_large: bool,
}
