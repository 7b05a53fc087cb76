//! How much of the proxies' configuration services may use, as a document writes it (`spec.limits`). Field docs are what users
//! see in the schema; docs/limits.md has the measured costs of the defaults.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::formats;

/// How much services may use, so that no service can block the changes of all others. What exceeds a limit is not published
/// and gets a finding; a service within its limits never loses routes to a younger service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "LimitsSpec")]
pub struct ConfigQuotasSpec {
    /// For each service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceLimitsSpec>,
    /// For all services of a team together, so that no team can fill the cluster. Services with the same
    /// `com.docker.ucp.access.label`, or otherwise of the same stack, form a team; services with neither are one team. Above the
    /// limit, the youngest services of the team lose routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamLimitsSpec>,
    /// For all services of the cluster together. Above the limit, the youngest services lose routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterLimitsSpec>,
}

/// The limits of one service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceLimitsSpec {
    /// Routes: the hosts of the service. Default: 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub routes: Option<u32>,
    /// Locations: two for each host and path on each port, more for redirects and websocket endpoints. Default: 5000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub locations: Option<u32>,
    /// The size of the configuration text, which grows with hosts, their names, and replicas. Default: `4m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Size>")]
    pub bytes: Option<String>,
    /// How often its labels may change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_updates: Option<LabelUpdatesSpec>,
}

/// How often the labels of one service may change before further changes are held until the labels are stable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelUpdatesSpec {
    /// The number of changes in quick succession. Default: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub burst: Option<u32>,
    /// The sustained number of changes per minute. Default: 6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub per_minute: Option<u32>,
}

/// The limits of all services of a team together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TeamLimitsSpec {
    /// Routes: hosts and paths. Default: three quarters of the cluster's limit, which is 7500 unless that limit is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub routes: Option<u32>,
    /// Locations. Default: three quarters of the cluster's limit, which is 37500 unless that limit is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub locations: Option<u32>,
    /// The size of the configuration text. Default: three quarters of the cluster's limit, which is `12m` unless that limit is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Size>")]
    pub bytes: Option<String>,
}

/// The limits of all services of a cluster together.
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
    /// The size of the configuration text. Default: `16m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Size>")]
    pub bytes: Option<String>,
}

impl ConfigQuotasSpec {
    /// Whether nothing is stated.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
