//! How much of the proxies' configuration services may take, as a document writes it (`spec.limits`). Field docs are what users
//! see in the schema; docs/limits.md says what the defaults were measured to cost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::formats;

/// What services may take, so that no one of them costs all others their changes. What is beyond a limit is not published,
/// with a finding; who is within them never loses by a younger service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitsSpec {
    /// For each service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceLimitsSpec>,
    /// For all services of a team together, so that no team fills the cluster. A team is whoever has the same
    /// `com.docker.ucp.access.label`, else the same stack; services with neither are one team. Beyond it the youngest
    /// services of the team lose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamLimitsSpec>,
    /// For all services of the cluster together. Beyond it the youngest services lose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterLimitsSpec>,
}

/// What one service may take.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceLimitsSpec {
    /// Routes: hosts of the service. Default: 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub routes: Option<u32>,
    /// Locations: two for each host and path on each port, more for redirects and websocket endpoints. Default: 5000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub locations: Option<u32>,
    /// Text of the configuration: grows with hosts, their names, and replicas. Default: `4m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Size>")]
    pub bytes: Option<String>,
    /// How often its labels may change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_updates: Option<LabelUpdatesSpec>,
}

/// How often the labels of one service may change before its changes wait until it is calm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelUpdatesSpec {
    /// So many in quick succession. Default: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub burst: Option<u32>,
    /// So many for ever. Default: 6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub per_minute: Option<u32>,
}

/// What all services of a team may take together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TeamLimitsSpec {
    /// Routes: hosts and paths. Default: three quarters of the cluster's, so 7500 unless those are stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub routes: Option<u32>,
    /// Locations. Default: three quarters of the cluster's, so 37500 unless those are stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub locations: Option<u32>,
    /// Text of the configuration. Default: three quarters of the cluster's, so `12m` unless those are stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Size>")]
    pub bytes: Option<String>,
}

/// What all services of a cluster may take together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterLimitsSpec {
    /// Routes: hosts and paths. Default: 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub routes: Option<u32>,
    /// Locations. Default: 50000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub locations: Option<u32>,
    /// Text of the configuration. Default: `16m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Size>")]
    pub bytes: Option<String>,
}

impl LimitsSpec {
    /// Whether nothing is stated.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
