//! Conditions in the Kubernetes manner.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It cannot be told.
    Unknown,
}

/// One condition of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is asked: one of [`condition_types`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The answer.
    pub status: ConditionStatus,
    /// Why, one word for machines: one of [`reasons`].
    pub reason: String,
    /// Why, for people.
    pub message: String,
    /// When `status` last changed.
    pub last_transition_time: jiff::Timestamp,
}

/// The condition types that a cluster has, always all of them.
pub mod condition_types {
    /// The cluster's document is valid and in force (false: the last good version is).
    pub const ACCEPTED: &str = "Accepted";
    /// Services, configs, secrets and networks are as declared, and no rollout is under way.
    pub const FLEET_CONVERGED: &str = "FleetConverged";
    /// Every running proxy runs the newest configuration.
    pub const PROGRAMMED: &str = "Programmed";
    /// Every published route has at least one endpoint.
    pub const ROUTES_SERVED: &str = "RoutesServed";
    /// All of the above.
    pub const READY: &str = "Ready";
}

/// The reasons that conditions give.
pub mod reasons {
    /// All is as it must be.
    pub const AS_DECLARED: &str = "AsDeclared";
    /// The newest document has mistakes.
    pub const INVALID_DOCUMENT: &str = "InvalidDocument";
    /// Steps are being carried out.
    pub const PROGRESSING: &str = "Progressing";
    /// A step is held back; `waiting` says on what.
    pub const WAITING: &str = "Waiting";
    /// A step failed and will be tried again.
    pub const FAILED: &str = "Failed";
    /// Swarm paused or rolled back a rollout.
    pub const ROLLOUT_FAILED: &str = "RolloutFailed";
    /// The engine refused the configuration.
    pub const ENGINE_REFUSED: &str = "EngineRefused";
    /// The engine did not answer in time or could not be asked; it is asked again.
    pub const ENGINE_UNAVAILABLE: &str = "EngineUnavailable";
    /// Nothing was heard from the extension.
    pub const EXTENSION_SILENT: &str = "ExtensionSilent";
    /// A proxy runs another configuration.
    pub const PROXIES_BEHIND: &str = "ProxiesBehind";
    /// A proxy finds endpoints by name, because the control plane was silent for longer than it may.
    pub const PROXIES_ON_NAMES: &str = "ProxiesOnNames";
    /// A proxy runs and was not heard of.
    pub const PROXIES_SILENT: &str = "ProxiesSilent";
    /// A proxy does not follow and does nothing that would end that by itself.
    pub const PROXIES_NOT_FOLLOWING: &str = "ProxiesNotFollowing";
    /// What proxies must say is larger than they can read.
    pub const MESSAGE_TOO_LARGE: &str = "MessageTooLarge";
    /// There is no running proxy task.
    pub const NO_PROXIES: &str = "NoProxies";
    /// At least one route has no endpoint.
    pub const NO_ENDPOINTS: &str = "NoEndpoints";
    /// At least one route is closed, because a label of its service sounds like access control.
    pub const CLOSED: &str = "Closed";
    /// Services ask for more routes than they may have.
    pub const LIMIT_EXCEEDED: &str = "LimitExceeded";
    /// At least one route's application cannot be checked, because the CA cannot be used.
    pub const NO_VALID_CA: &str = "NoValidCACertificate";
    /// The engine refuses at least one route, which is left out.
    pub const QUARANTINED: &str = "Quarantined";
    /// The proxies do not have the networks of at least one route's tasks: not yet, or not any more.
    pub const NETWORK_MISSING: &str = "NetworkMissing";
    /// Nothing is published.
    pub const NO_ROUTES: &str = "NoRoutes";
    /// The Swarm could not be read completely; everything is kept as it is.
    pub const SWARM_UNREADABLE: &str = "SwarmUnreadable";
}
