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
    /// It cannot be told.
    Unknown,
}

/// One condition of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is asked.
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    pub kind: ConditionType,
    /// The answer.
    pub status: ConditionStatus,
    /// Why, one word for machines.
    #[schemars(with = "String")]
    pub reason: ConditionReason,
    /// Why, for people.
    pub message: String,
    /// When `status` last changed.
    pub last_transition_time: jiff::Timestamp,
}

word_enum! {
    /// What is asked of a cluster: it always has a condition of every type.
    ConditionType {
        /// The cluster's document is valid and in force (false: the last good version is).
        Accepted = "Accepted",
        /// Services, configs, secrets and networks are as declared, and no rollout is under way.
        FleetConverged = "FleetConverged",
        /// Every running proxy runs the newest configuration.
        Programmed = "Programmed",
        /// Every published route has at least one endpoint.
        RoutesServed = "RoutesServed",
        /// All of the above.
        Ready = "Ready",
    }
}

word_enum! {
    /// Why a condition is as it is.
    ConditionReason {
        /// All is as it must be.
        AsDeclared = "AsDeclared",
        /// The newest document has mistakes.
        InvalidDocument = "InvalidDocument",
        /// Steps are being carried out.
        Progressing = "Progressing",
        /// A step is held back; `waiting` says on what.
        Waiting = "Waiting",
        /// A step failed and will be tried again.
        Failed = "Failed",
        /// Swarm paused or rolled back a rollout.
        RolloutFailed = "RolloutFailed",
        /// The engine refused the configuration.
        EngineRefused = "EngineRefused",
        /// The engine did not answer in time or could not be asked; it is asked again.
        EngineUnavailable = "EngineUnavailable",
        /// Nothing was heard from the extension.
        ExtensionSilent = "ExtensionSilent",
        /// A proxy runs another configuration.
        ProxiesBehind = "ProxiesBehind",
        /// A proxy finds endpoints by name, because the control plane was silent for longer than it may.
        ProxiesOnNames = "ProxiesOnNames",
        /// A proxy runs and was not heard of.
        ProxiesSilent = "ProxiesSilent",
        /// A proxy does not follow and does nothing that would end that by itself.
        ProxiesNotFollowing = "ProxiesNotFollowing",
        /// What proxies must say is larger than they can read.
        MessageTooLarge = "MessageTooLarge",
        /// There is no running proxy task.
        NoProxies = "NoProxies",
        /// At least one route has no endpoint.
        NoEndpoints = "NoEndpoints",
        /// At least one route is closed, because a label of its service sounds like access control.
        Closed = "Closed",
        /// Services ask for more routes than they may have.
        LimitExceeded = "LimitExceeded",
        /// At least one route's application cannot be checked, because the CA cannot be used.
        NoValidCa = "NoValidCACertificate",
        /// The engine refuses at least one route, which is left out.
        Quarantined = "Quarantined",
        /// The proxies do not have the networks of at least one route's tasks: not yet, or not any more.
        NetworkMissing = "NetworkMissing",
        /// Nothing is published.
        NoRoutes = "NoRoutes",
        /// The Swarm could not be read completely; everything is kept as it is.
        SwarmUnreadable = "SwarmUnreadable",
    }
}
