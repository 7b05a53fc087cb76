//! Steps and plans: types only. A step is so exact that carrying it out requires no decision.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::task_impact::TaskEffect;
use crate::pki::ChannelRole;
use crate::report::{Finding, WaitingOn};
use crate::types::{ClusterName, ConfigId, Digest, NetworkId, SecretId, ServiceId};

/// What to do for one cluster, and what is held back.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The operator's instance name: the plan may touch only objects of this instance.
    pub instance: String,
    /// The cluster.
    pub cluster: String,
    /// The steps, in order.
    pub steps: Vec<PlanStep>,
    /// What is held back, and what it waits for.
    pub waiting: Vec<WaitingOn>,
    /// Findings for the user.
    pub findings: Vec<Finding>,
    /// The observed state of our services' rollouts, for [`super::PlannerState::after`].
    #[serde(skip)]
    pub rollouts: Vec<RolloutNote>,
}

impl Plan {
    /// Whether there is nothing to do and nothing to wait for.
    pub fn is_converged(&self) -> bool {
        self.steps.is_empty() && self.waiting.is_empty()
    }
}

/// One step. Specs refer to objects that an earlier step creates as `created:NAME`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "step")]
pub enum PlanStep {
    /// Create an overlay network.
    CreateNetwork {
        /// Its name.
        name: String,
        /// The API-shaped body.
        body: Value,
    },
    /// Create a secret.
    CreateSecret {
        /// Its name.
        name: String,
        /// Its labels, without those that depend on its content.
        labels: BTreeMap<String, String>,
        /// The content.
        content: SecretContent,
    },
    /// Create a config object.
    CreateConfig {
        /// Its name.
        name: String,
        /// Its labels.
        labels: BTreeMap<String, String>,
        /// Its content.
        #[serde(skip)]
        data: Vec<u8>,
        /// The length of its content.
        bytes: usize,
    },
    /// Create a service.
    CreateService {
        /// Its name.
        name: String,
        /// The whole spec.
        spec: Value,
    },
    /// Replace a service's spec.
    UpdateService {
        /// Its id.
        id: ServiceId,
        /// Its name.
        name: String,
        /// The version that the update was computed from.
        version: u64,
        /// The whole new spec.
        spec: Value,
        /// The differences from the existing spec.
        changes: Vec<FieldChange>,
        /// The effect on its tasks.
        tasks: TaskEffect,
        /// Why it is updated.
        reason: UpdateReason,
    },
    /// Remove a service.
    RemoveService {
        /// Its id.
        id: ServiceId,
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// Remove a config object.
    RemoveConfig {
        /// Its id.
        id: ConfigId,
        /// Its name.
        name: String,
    },
    /// Remove a secret.
    RemoveSecret {
        /// Its id.
        id: SecretId,
        /// Its name.
        name: String,
    },
    /// Remove a network.
    RemoveNetwork {
        /// Its id.
        id: NetworkId,
        /// Its name.
        name: String,
    },
}

/// The content of a new secret. It is generated when the step is carried out, and sent only to the Swarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum SecretContent {
    /// The token with which the tasks of a role in a cluster obtain their first certificate.
    Token {
        /// The role.
        role: ChannelRole,
        /// The cluster.
        cluster: ClusterName,
    },
}

/// Why a service is updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum UpdateReason {
    /// Its spec differs from the declaration.
    Differs,
    /// Its spec matches the declaration and its rollout is paused: writing the same spec again makes Swarm continue.
    Resume,
    /// Its spec matches the declaration and all its tasks run, but Swarm's rollout waits for a task that is gone: writing
    /// the same spec again ends the wait.
    Settle,
}

/// A difference between two specs at one path.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// The path: `TaskTemplate.Placement.Constraints`.
    pub path: String,
    /// The kind of change.
    #[serde(flatten)]
    pub kind: ChangeKind,
}

/// The kind of change at one path of a spec.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "change")]
pub enum ChangeKind {
    /// A value was added.
    Added {
        /// The value.
        to: Value,
    },
    /// A value was removed.
    Removed {
        /// The value.
        from: Value,
    },
    /// A value was changed.
    Changed {
        /// The old value.
        from: Value,
        /// The new value.
        to: Value,
    },
}

impl PlanStep {
    /// The kind of the step, for metrics: `create_network`, `update_service`, ...
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CreateNetwork { .. } => "create_network",
            Self::CreateSecret { .. } => "create_secret",
            Self::CreateConfig { .. } => "create_config",
            Self::CreateService { .. } => "create_service",
            Self::UpdateService { .. } => "update_service",
            Self::RemoveService { .. } => "remove_service",
            Self::RemoveConfig { .. } => "remove_config",
            Self::RemoveSecret { .. } => "remove_secret",
            Self::RemoveNetwork { .. } => "remove_network",
        }
    }

    /// The name of the affected object.
    pub fn name(&self) -> &str {
        match self {
            Self::CreateNetwork { name, .. }
            | Self::CreateSecret { name, .. }
            | Self::CreateConfig { name, .. }
            | Self::CreateService { name, .. }
            | Self::UpdateService { name, .. }
            | Self::RemoveService { name, .. }
            | Self::RemoveConfig { name, .. }
            | Self::RemoveSecret { name, .. }
            | Self::RemoveNetwork { name, .. } => name,
        }
    }

    /// A short description of the step: `update service swarmgate-proxy-dev`.
    pub fn title(&self) -> String {
        format!("{} {}", self.kind().replace('_', " "), self.name())
    }
}

/// The result of a step that was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum OperationResult {
    /// The object was created.
    Created,
    /// The object was changed.
    Updated,
    /// The object was removed.
    Removed,
    /// The object was already in the wanted state.
    AlreadyRight,
    /// The Swarm changed since the plan was made: take a new snapshot.
    Superseded,
    /// An object of that name appeared, or is one that we cannot see: take a new snapshot, but not immediately.
    NameTaken,
}

impl OperationResult {
    /// The value in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Removed => "removed",
            Self::AlreadyRight => "already_right",
            Self::Superseded => "superseded",
            Self::NameTaken => "name_taken",
        }
    }
}

/// What a pass observed of one service's rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutNote {
    /// The service's name.
    pub service: String,
    /// The identity of the declaration.
    pub identity: Digest,
    /// The identity of the set of nodes.
    pub nodes: Digest,
    /// The observed state.
    pub outcome: RolloutOutcome,
}

/// The observed state of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutOutcome {
    /// No rollout is under way, and the last one is not known to have failed.
    Settled,
    /// A rollout is under way.
    UnderWay,
    /// Swarm gave up at this time.
    Failed(Timestamp),
}
