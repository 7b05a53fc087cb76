//! The words in which a fleet speaks about a service: fields of the API's `ServiceSpec`, each with what is wanted of it
//! and how two values of it are compared. Types only.

use serde_json::Value;

use super::mounted_config::ConfigObject;
use crate::intent::cluster_spec::Mode;
use crate::protocol::container_contract::{BOOT_FILE, ENV_NEW_NETWORKS, LABEL_FAILED_NETWORKS, LABEL_HOST_HOLDERS, MATERIAL_DIR};
use crate::report::WaitingOn;
use crate::types::Digest;

/// What an object of ours is for: the value of its role label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The extension service.
    Extension,
    /// The proxy service.
    Proxy,
    /// A boot snapshot config.
    Boot,
    /// A mounted configuration (`rollout: replace`).
    Live,
    /// The secret by which the extension's tasks get their certificates.
    ExtensionToken,
    /// The secret by which the proxies' tasks get theirs.
    ProxyToken,
    /// The control network.
    Network,
}

impl Role {
    /// The value of the role label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Extension => "extension",
            Self::Proxy => "proxy",
            Self::Boot => "boot",
            Self::Live => "live",
            Self::ExtensionToken => "extension-token",
            Self::ProxyToken => "proxy-token",
            Self::Network => "network",
        }
    }
}

impl ServiceShape {
    /// Whether the document states this label with this value.
    pub fn states_label(&self, key: &str, value: &str) -> bool {
        let labels = self.fields.iter().find(|field| field.name == "labels").map(|field| &field.value);
        let Some(FieldValue::Keyed(labels)) = labels else { return false };
        labels.entries.iter().any(|(name, stated)| name == key && stated.as_str() == Some(value))
    }
}

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

/// The short name of the field with the number of tasks.
pub const REPLICAS: &str = "replicas";
/// The short name of the field with the number of tasks that one node may have.
pub const MAX_REPLICAS: &str = "maxReplicas";

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

/// One field of a service spec.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its short name: the key in the label that remembers managed fields, and in findings.
    pub name: &'static str,
    /// Where it stands in the `ServiceSpec`.
    pub path: &'static [&'static str],
    /// What is wanted.
    pub value: FieldValue,
}

/// What is wanted of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// It is managed as a whole or not at all.
    Whole(Whole),
    /// It is managed entry by entry; entries that somebody else added stay.
    Keyed(Entries),
    /// Arguments: our subcommand, then the user's.
    Args(Args),
}

/// A field that is managed as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Whole {
    /// What is wanted now.
    pub want: Want,
    /// The value at creation, and the one that is given back when the field leaves the document; null = absent.
    pub default: Value,
    /// What Swarm understands when the field is absent; null = nothing in particular.
    pub absent: Value,
    /// How two values are compared.
    pub alike: Alike,
    /// What stands for the value when it is remembered, where the value itself holds ids that may not exist yet.
    pub remembered_as: Option<Value>,
}

/// Whether a field is managed.
#[derive(Debug, Clone, PartialEq)]
pub enum Want {
    /// Not managed: what is there stays.
    Free,
    /// Set in this pass without becoming managed.
    Once(Value),
    /// Managed; null = must be absent (or Swarm's default).
    Stated(Value),
}

/// How two values of a field are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alike {
    /// Everything that is wanted is there; what Swarm added beside it does not count.
    Contains,
    /// Both say the same, nothing more; what is empty says nothing.
    Exactly,
    /// Image references; a digest that a client pinned onto the declared tag does not count.
    Image,
    /// Placement constraints, without regard to order and blanks.
    Constraints,
    /// Attached networks by id, without regard to order.
    Networks,
    /// Published ports, without regard to order; Swarm's defaults filled in.
    Ports,
}

/// A field whose entries have keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Entries {
    /// How an entry shows its key.
    pub by: KeyedBy,
    /// The managed entries, in the order in which new ones are added.
    pub entries: Vec<(String, Value)>,
}

/// How the entries of a field show their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyedBy {
    /// A JSON object.
    Name,
    /// Strings `KEY=value`.
    EnvName,
    /// Mounts, by `Target`.
    Target,
    /// Secrets and configs, by `File.Name`.
    FileName,
}

/// Arguments of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// Our subcommand, always first; absent with a stock image.
    pub subcommand: Option<&'static str>,
    /// The user's further arguments, if stated.
    pub stated: Option<Vec<String>>,
}

impl Field {
    /// The value that is stated for a field that is managed as a whole.
    pub fn stated(&self) -> Option<&Value> {
        match &self.value {
            FieldValue::Whole(Whole { want: Want::Stated(value), .. }) => Some(value),
            _ => None,
        }
    }

    fn has_entry(&self, key: &str) -> bool {
        matches!(&self.value, FieldValue::Keyed(entries) if entries.entries.iter().any(|(name, _)| name == key))
    }

    /// What is declared about the field, for identities: null when it is not managed.
    fn declared(&self, boots: bool) -> Value {
        match &self.value {
            FieldValue::Whole(whole) => match (&whole.want, &whole.remembered_as) {
                (Want::Stated(_), Some(stand_in)) => stand_in.clone(),
                (Want::Stated(value), None) => value.clone(),
                (Want::Once(_) | Want::Free, _) => Value::Null,
            },
            FieldValue::Keyed(entries) => entries.declared(boots),
            FieldValue::Args(args) => serde_json::json!([args.subcommand, args.stated]),
        }
    }
}

impl Entries {
    fn declared(&self, boots: bool) -> Value {
        let of_snapshot = |key: &str| key.starts_with(BOOT_FILE) || key.starts_with(MATERIAL_DIR);
        let is_note = |key: &str| matches!(key, ENV_NEW_NETWORKS | LABEL_FAILED_NETWORKS | LABEL_HOST_HOLDERS);
        let kept = self.entries.iter().filter(|(key, _)| !is_note(key) && (!boots || !of_snapshot(key)));
        kept.map(|(key, value)| serde_json::json!([key, without_ids(value)])).collect()
    }
}

/// The value without ids of secrets and configs: an object's name says the same and is known before it exists.
pub(crate) fn without_ids(value: &Value) -> Value {
    let Value::Object(map) = value else { return value.clone() };
    let kept = map.iter().filter(|(key, _)| *key != "SecretID" && *key != "ConfigID");
    Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
}
