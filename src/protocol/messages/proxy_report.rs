//! What a proxy task reports: the configuration that its engine runs, and what its agent is doing. A report states facts and
//! requests nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config_verdict::ConfigRejection;
#[cfg(doc)]
use crate::protocol::bundle::Bundle;
#[cfg(doc)]
use crate::protocol::version::WIRE_VERSION;
use crate::types::{ConfigSource, Digest};

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
    #[serde(rename = "words", default, skip_serializing_if = "String::is_empty")]
    pub message: String,
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
