//! One service that must exist: its fields, the config objects that these mount, and what may hold it back.

use serde_json::Value;

use super::field::{Field, FieldValue, REPLICAS, Role};
use super::mounted_config::ConfigObject;
use crate::intent::cluster_spec::Mode;
use crate::protocol::container_contract::BOOT_FILE;
use crate::report::WaitingOn;
use crate::types::Digest;

/// One service that must exist.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceShape {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Swarm's mode of it, which cannot be changed on an existing service. The document's `mode: global` is most often replicated here.
    pub mode: Mode,
    /// The number of its tasks, where that follows the nodes.
    pub follows_nodes: Option<u64>,
    /// The fields that Swarmgate knows, managed or not.
    pub fields: Vec<Field>,
    /// Newer values for some of `fields`, taken together when the tasks are replaced anyway: not worth replacing them for.
    pub when_replaced: Vec<Field>,
    /// Config objects that `fields` or `when_replaced` may name by a pending id.
    pub configs: Vec<ConfigObject>,
    /// Why the service cannot be created yet, if it does not exist.
    pub hold_creation: Option<WaitingOn>,
    /// Why the service must be left wholly alone, if it exists.
    pub hold_update: Option<WaitingOn>,
    /// Why its tasks must not be replaced for a moment. Other updates go on.
    pub hold_replacement: Option<WaitingOn>,
    /// Whom its tasks that run could lose their nodes to, if they were stopped for a moment.
    pub contested: Option<WaitingOn>,
    /// Whether it gets something with which its first task must run before any other is replaced.
    pub first_alone: bool,
    /// Whether it goes back to its spec before the last update, in the middle of that, so that Swarm keeps the tasks that are still
    /// of that spec.
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
    /// The identity of what is declared. A boot snapshot and the secrets mounted with it are not part of it: they change
    /// with every route, and a rollout that failed must not be tried again for that. Nor is a number that follows the nodes.
    pub fn identity(&self) -> Digest {
        let boots = self.fields.iter().any(|field| field.has_entry(BOOT_FILE));
        let is_declared = |field: &&Field| self.follows_nodes.is_none() || field.name != REPLICAS;
        let wanted: Vec<(&str, Value)> = self.fields.iter().filter(is_declared).map(|field| (field.name, field.declared(boots))).collect();
        Digest::of_json(&wanted)
    }
}
