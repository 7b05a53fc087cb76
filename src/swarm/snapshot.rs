//! The snapshot: one complete look at the Swarm, as typed values over API-shaped JSON.
//! Reading is tolerant: an odd foreign object never spoils the others; only a missing id is an error.

use std::collections::BTreeMap;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::copy_on_write::{CopyOnWrite, Services};
use super::model::{Config, Network, Node, Secret, Task};
use crate::types::{ConfigId, NetworkId, NodeId, SecretId, TaskId};

/// The answers of the API as they came, in one complete look. Can be written to a file and read again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RawSnapshot {
    /// When the look was complete.
    pub taken_at: Timestamp,
    /// `GET /services`.
    pub services: Vec<Value>,
    /// `GET /tasks`, desired state running, or complete for those of jobs; for people's questions also those that are told to stop and have not ended.
    pub tasks: Vec<Value>,
    /// `GET /nodes`.
    pub nodes: Vec<Value>,
    /// `GET /networks`: those of Swarm scope, and of those of one node (`Scope: local`) the answering manager's `docker_gwbridge`.
    pub networks: Vec<Value>,
    /// `GET /configs`, without what is in them: those with an owner label and a name of ours, and those that labels name as a CA.
    pub configs: Vec<Value>,
    /// `GET /secrets`, metadata only.
    pub secrets: Vec<Value>,
}

/// One complete look at the Swarm. Copies share what is the same in them.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// When the look was complete.
    pub taken_at: Timestamp,
    /// All services, ours and others'.
    pub services: Services,
    /// All tasks that are wanted: desired state running, or complete for those of jobs that have not ended.
    pub tasks: CopyOnWrite<BTreeMap<TaskId, Task>>,
    /// Tasks that are told to stop and have not ended, where somebody asked for them: no pass does.
    pub stopping: CopyOnWrite<BTreeMap<TaskId, Task>>,
    /// All nodes.
    pub nodes: CopyOnWrite<BTreeMap<NodeId, Node>>,
    /// All networks of Swarm scope.
    pub networks: CopyOnWrite<BTreeMap<NetworkId, Network>>,
    /// The subnets of `docker_gwbridge`, over which containers on overlays reach everything else, on the manager that answered.
    /// Every node chooses its own, most often the same; what the other nodes have, no API of a manager tells.
    pub gateway_bridge: Vec<IpNet>,
    /// Metadata of config objects with an owner label and a name of ours, and of those that labels name as a CA.
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
    /// Whether the Docker engine of every manager is of that release or newer. What an older manager does not know it drops
    /// from specs without a word, also from those that came through a newer one.
    pub fn every_manager_is_at_least(&self, release: u32) -> bool {
        let mut managers = self.nodes.values().filter(|node| node.manager).peekable();
        managers.peek().is_some() && managers.all(|node| node.docker_release.is_some_and(|its| its >= release))
    }
}
