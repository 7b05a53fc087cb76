//! One service that must exist: its fields, the config objects that it mounts, and what may hold it back.

use serde_json::Value;

use super::mounted_config::ConfigObject;
use super::spec_field::{Field, FieldValue, REPLICAS, Role};
use crate::intent::cluster_spec::Mode;
use crate::protocol::container_contract::BOOT_FILE;
use crate::report::WaitingOn;
use crate::types::Digest;

/// One service that must exist.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceShape {
    /// Its name.
    pub name: String,
    /// Its purpose.
    pub role: Role,
    /// The service's mode in Swarm, which cannot be changed on an existing service. Usually replicated even for the
    /// document's `mode: global`.
    pub mode: Mode,
    /// The number of its tasks, if it follows the nodes.
    pub follows_nodes: Option<u64>,
    /// The fields that Swarmgate knows, managed or not.
    pub fields: Vec<Field>,
    /// Newer values for some of `fields`, all applied when the tasks are replaced anyway: not worth a replacement of their
    /// own.
    pub when_replaced: Vec<Field>,
    /// Config objects that `fields` or `when_replaced` may name by a pending id.
    pub configs: Vec<ConfigObject>,
    /// Why the service cannot be created yet, if it does not exist.
    pub hold_creation: Option<WaitingOn>,
    /// Why the service must be left entirely alone, if it exists.
    pub hold_update: Option<WaitingOn>,
    /// Why its tasks must not be replaced for now. Other updates proceed.
    pub hold_replacement: Option<WaitingOn>,
    /// The services that could take the nodes of its running tasks if those stopped for a moment.
    pub contested: Option<WaitingOn>,
    /// Whether an update must show that the first task runs before any other task is replaced.
    pub first_alone: bool,
    /// Whether the service returns to the spec before its last update, while that update is in progress, so that Swarm keeps
    /// the tasks that still have that spec.
    pub goes_back: bool,
}

impl ServiceShape {
    /// Whether the document states this label with this value.
    pub fn states_label(&self, key: &str, value: &str) -> bool {
        let labels = self.fields.iter().find(|field| field.name == "labels").map(|field| &field.value);
        let Some(FieldValue::Keyed(labels)) = labels else { return false };
        labels.entries.iter().any(|(name, stated)| name == key && stated.as_str() == Some(value))
    }
}

impl ServiceShape {
    /// The identity of the declaration. It excludes the boot snapshot and the secrets mounted with it: they change with
    /// every route, and a failed rollout must not be retried for that. It also excludes a number that follows the nodes.
    pub fn identity(&self) -> Digest {
        let boots = self.fields.iter().any(|field| field.has_entry(BOOT_FILE));
        let is_declared = |field: &&Field| self.follows_nodes.is_none() || field.name != REPLICAS;
        let wanted: Vec<(&str, Value)> = self.fields.iter().filter(is_declared).map(|field| (field.name, field.declared(boots))).collect();
        Digest::of_json(&wanted)
    }
}
