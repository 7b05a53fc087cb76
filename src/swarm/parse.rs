//! Reads API-shaped JSON into the model. Tolerant by design: an absent or malformed field reads as its default, so that one
//! unusual object of another owner never hides the rest; only an object without an id is an error. Must never guess an address.

mod endpoint;
pub(super) mod field;
mod objects;
mod service;
mod task;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use super::model::GATEWAY_BRIDGE;
use super::{RawSnapshot, Snapshot, SnapshotError, Task};
use crate::types::{TaskId, TaskState};
use field::text;

impl Snapshot {
    /// Reads the answers of one complete observation. Omits tasks that are not wanted; those that are stopping are kept
    /// separately until they end.
    pub fn from_raw(raw: &RawSnapshot) -> Result<Self, SnapshotError> {
        let wanted = Self {
            taken_at: raw.taken_at,
            services: by_id("services", &raw.services, service::read, |o| o.id.clone())?.into(),
            tasks: Self::tasks_from_api(&raw.tasks)?.into(),
            stopping: BTreeMap::new().into(),
            nodes: by_id("nodes", &raw.nodes, objects::node, |o| o.id.clone())?.into(),
            networks: by_id("networks", raw.networks.iter().filter(|n| !is_of_one_node(n)), objects::network, |o| o.id.clone())?.into(),
            gateway_bridge: raw.networks.iter().filter(|n| is_gateway_bridge(n)).flat_map(objects::subnets).map(|s| s.net).collect(),
            configs: by_id("configs", &raw.configs, objects::config, |o| o.id.clone())?.into(),
            secrets: by_id("secrets", &raw.secrets, objects::secret, |o| o.id.clone())?.into(),
        };
        wanted.with_stopping(&raw.tasks)
    }

    /// Reads a task list (`Swarm::running_tasks`), omitting tasks that are not wanted or have completed their job.
    pub fn tasks_from_api(tasks: &[Value]) -> Result<BTreeMap<TaskId, Task>, SnapshotError> {
        let wanted = tasks.iter().filter(|task| is_wanted(task));
        by_id("tasks", wanted, task::read, |o| o.id.clone())
    }

    /// The same snapshot with the stopping tasks (`Swarm::stopping_tasks`), which were read a moment later: a task that was
    /// asked to stop in between no longer counts as running.
    pub fn with_stopping(mut self, tasks: &[Value]) -> Result<Self, SnapshotError> {
        let stopping = by_id("tasks", tasks.iter().filter(|task| is_stopping(task)), task::read, |o| o.id.clone())?;
        if stopping.keys().any(|id| self.tasks.contains_key(id)) {
            self.tasks.retain(|id, _| !stopping.contains_key(id));
        }
        self.stopping = stopping.into();
        Ok(self)
    }
}

fn is_of_one_node(network: &Value) -> bool {
    text(network, &["Scope"]) == "local"
}

fn is_gateway_bridge(network: &Value) -> bool {
    is_of_one_node(network) && text(network, &["Name"]) == GATEWAY_BRIDGE
}

/// Whether a task of `GET /tasks` should run. Tasks of jobs have the desired state `complete` from the start, and stay in the
/// list after they end.
fn is_wanted(task: &Value) -> bool {
    match text(task, &["DesiredState"]) {
        "" | "running" => true,
        "complete" => {
            let state = state(task);
            !state.has_ended() && !matches!(state, TaskState::Shutdown | TaskState::Remove)
        }
        _ => false,
    }
}

/// Whether a task of `GET /tasks` was asked to stop and has not ended.
pub fn is_stopping(task: &Value) -> bool {
    use TaskState::{Accepted, Assigned, Preparing, Ready, Running, Starting};
    let stops = matches!(text(task, &["DesiredState"]), "shutdown" | "remove");
    stops && matches!(state(task), Assigned | Accepted | Preparing | Ready | Starting | Running)
}

fn state(task: &Value) -> TaskState {
    text(task, &["Status", "State"]).into()
}

impl Task {
    /// Reads one task as returned by `GET /tasks`.
    pub fn from_api(value: &Value) -> Result<Self, SnapshotError> {
        task::read(value).ok_or_else(|| no_id("tasks", value))
    }
}

/// Reads each object of a list and indexes it by id.
fn by_id<'a, K: Ord, T>(
    kind: &'static str,
    list: impl IntoIterator<Item = &'a Value>,
    read: impl Fn(&Value) -> Option<T>,
    id: impl Fn(&T) -> K,
) -> Result<BTreeMap<K, T>, SnapshotError> {
    list.into_iter().map(|value| read(value).map(|object| (id(&object), object)).ok_or_else(|| no_id(kind, value))).collect()
}

fn no_id(kind: &'static str, value: &Value) -> SnapshotError {
    let shown: String = value.to_string().chars().take(120).collect();
    SnapshotError { kind, message: format!("an object without an id: {shown}") }
}
