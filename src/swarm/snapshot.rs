//! The snapshot: one complete observation of the Swarm, as typed values over API-shaped JSON. Parsing is tolerant: a malformed
//! object of another owner never spoils the rest; only a missing id is an error.

use std::collections::BTreeMap;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::model::{Config, Network, Node, Secret, Task};
use super::shared_collections::{CopyOnWrite, Services};
use crate::types::{ConfigId, NetworkId, NodeId, SecretId, TaskId};

/// The unmodified answers of the API in one complete observation. Can be written to a file and read again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RawSnapshot {
    /// When the observation was complete.
    pub taken_at: Timestamp,
    /// `GET /services`.
    pub services: Vec<Value>,
    /// `GET /tasks` with desired state running, or complete for tasks of jobs; for queries of users also tasks that were asked
    /// to stop and have not ended.
    pub tasks: Vec<Value>,
    /// `GET /nodes`.
    pub nodes: Vec<Value>,
    /// `GET /networks`: those of Swarm scope, and of the node-local ones (`Scope: local`) only the answering manager's `docker_gwbridge`.
    pub networks: Vec<Value>,
    /// `GET /configs`, without contents: those with an owner label and a name of ours, and those that labels name as a CA.
    pub configs: Vec<Value>,
    /// `GET /secrets`, metadata only.
    pub secrets: Vec<Value>,
}

/// One complete observation of the Swarm. Copies share their common parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// When the observation was complete.
    pub taken_at: Timestamp,
    /// All services, ours and those of other owners.
    pub services: Services,
    /// All wanted tasks: desired state running, or complete for tasks of jobs that have not ended.
    pub tasks: CopyOnWrite<BTreeMap<TaskId, Task>>,
    /// Tasks that were asked to stop and have not ended. Only filled on request: passes do not need them.
    pub stopping: CopyOnWrite<BTreeMap<TaskId, Task>>,
    /// All nodes.
    pub nodes: CopyOnWrite<BTreeMap<NodeId, Node>>,
    /// All networks of Swarm scope.
    pub networks: CopyOnWrite<BTreeMap<NetworkId, Network>>,
    /// The subnets of `docker_gwbridge`, over which containers on overlay networks reach everything else, on the manager that
    /// answered. Every node chooses its own, usually the same; a manager's API does not show those of other nodes.
    pub gateway_bridge: Vec<IpNet>,
    /// Metadata of the configs with an owner label and a name of ours, and of those that labels name as a CA.
    pub configs: CopyOnWrite<BTreeMap<ConfigId, Config>>,
    /// Metadata of all secrets.
    pub secrets: CopyOnWrite<BTreeMap<SecretId, Secret>>,
}

/// An answer that cannot be part of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reading the {kind} list: {message}")]
pub struct SnapshotError {
    /// Which list.
    pub kind: &'static str,
    /// What was wrong with it.
    pub message: String,
}

impl Snapshot {
    /// Whether the Docker engine of every manager is of that release or newer. An older manager silently drops fields that it
    /// does not know from specs, even from those written through a newer one.
    pub fn every_manager_is_at_least(&self, release: u32) -> bool {
        let mut managers = self.nodes.values().filter(|node| node.manager).peekable();
        managers.peek().is_some() && managers.all(|node| node.docker_release.is_some_and(|its| its >= release))
    }
}
