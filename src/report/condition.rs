//! Conditions in the Kubernetes manner.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::word_enum;

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It is not known.
    Unknown,
}

/// One condition of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The type of the condition.
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    pub kind: ConditionType,
    /// Whether the condition holds.
    pub status: ConditionStatus,
    /// The reason, as one word for programs.
    #[schemars(with = "String")]
    pub reason: ConditionReason,
    /// The reason, as text for people.
    pub message: String,
    /// When `status` last changed.
    pub last_transition_time: jiff::Timestamp,
}

word_enum! {
    /// The type of a condition. A cluster always has one condition of every type.
    ConditionType {
        /// The newest version of the cluster's document is valid and in use. False: the last good version is used instead.
        Accepted = "Accepted",
        /// Services, configs, secrets and networks are as declared, and no rollout is in progress.
        FleetConverged = "FleetConverged",
        /// Every running proxy uses the newest configuration.
        Programmed = "Programmed",
        /// Every published route has at least one endpoint.
        RoutesServed = "RoutesServed",
        /// All of the above.
        Ready = "Ready",
    }
}

word_enum! {
    /// Why a condition has its status.
    ConditionReason {
        /// The state is as declared.
        AsDeclared = "AsDeclared",
        /// The newest document has mistakes.
        InvalidDocument = "InvalidDocument",
        /// Steps are being carried out.
        Progressing = "Progressing",
        /// A step is held back; `waiting` names what it waits for.
        Waiting = "Waiting",
        /// A step failed and will be retried.
        Failed = "Failed",
        /// Swarm paused or rolled back a rollout.
        RolloutFailed = "RolloutFailed",
        /// The engine refused the configuration.
        EngineRefused = "EngineRefused",
        /// The engine could not test the configuration, or not in time; the test is repeated.
        EngineUnavailable = "EngineUnavailable",
        /// The extension sends no reports.
        ExtensionSilent = "ExtensionSilent",
        /// A proxy does not run the newest configuration yet.
        ProxiesBehind = "ProxiesBehind",
        /// A proxy resolves endpoints by name, because the control plane has been silent for too long.
        ProxiesOnNames = "ProxiesOnNames",
        /// A proxy is running but sends no reports.
        ProxiesSilent = "ProxiesSilent",
        /// A proxy does not follow, and will not recover by itself.
        ProxiesNotFollowing = "ProxiesNotFollowing",
        /// The configuration for the proxies exceeds the maximum message size.
        MessageTooLarge = "MessageTooLarge",
        /// There is no running proxy task.
        NoProxies = "NoProxies",
        /// At least one route has no endpoint.
        NoEndpoints = "NoEndpoints",
        /// At least one route is closed, because an unknown label of its service looks like access control.
        Closed = "Closed",
        /// Services ask for more routes than `spec.limits` allows.
        LimitExceeded = "LimitExceeded",
        /// The certificate of at least one route's application cannot be verified, because the CA cannot be used.
        NoValidCa = "NoValidCACertificate",
        /// The engine refuses at least one route, which is left out.
        Quarantined = "Quarantined",
        /// The proxies are not attached to the networks of at least one route's tasks: not yet, or no longer.
        NetworkMissing = "NetworkMissing",
        /// Nothing is published.
        NoRoutes = "NoRoutes",
        /// The Swarm could not be read completely; everything is left unchanged.
        SwarmUnreadable = "SwarmUnreadable",
    }
}
