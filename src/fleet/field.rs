//! The words in which a fleet speaks about a service: fields of the API's `ServiceSpec`, each with what is wanted of it
//! and how two values of it are compared. Types, and how they are put together.

use serde_json::Value;

use crate::protocol::container_contract::{BOOT_FILE, ENV_NEW_NETWORKS, LABEL_FAILED_NETWORKS, LABEL_HOST_HOLDERS, MATERIAL_DIR};

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

/// The short name of the field with the number of tasks.
pub const REPLICAS: &str = "replicas";
/// The short name of the field with the number of tasks that one node may have.
pub const MAX_REPLICAS: &str = "maxReplicas";

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
    WholeField(WholeField),
    /// It is managed entry by entry; entries that somebody else added stay.
    Keyed(Entries),
    /// Arguments: our subcommand, then the user's.
    Args(Args),
}

/// A field that is managed as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct WholeField {
    /// What is wanted now.
    pub want: DesiredValue,
    /// The value at creation, and the one that is given back when the field leaves the document; null = absent.
    pub default: Value,
    /// What Swarm understands when the field is absent; null = nothing in particular.
    pub absent: Value,
    /// How two values are compared.
    pub alike: Equivalence,
    /// What stands for the value when it is remembered, where the value itself holds ids that may not exist yet.
    pub remembered_as: Option<Value>,
}

/// Whether a field is managed.
#[derive(Debug, Clone, PartialEq)]
pub enum DesiredValue {
    /// Not managed: what is there stays.
    Free,
    /// Set in this pass without becoming managed.
    Once(Value),
    /// Managed; null = must be absent (or Swarm's default).
    Stated(Value),
}

/// How two values of a field are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Equivalence {
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
    pub declared: Option<Vec<String>>,
}

impl Field {
    /// The value that is stated for a field that is managed as a whole.
    pub fn declared_value(&self) -> Option<&Value> {
        match &self.value {
            FieldValue::WholeField(WholeField { want: DesiredValue::Stated(value), .. }) => Some(value),
            _ => None,
        }
    }

    pub(super) fn has_entry(&self, key: &str) -> bool {
        matches!(&self.value, FieldValue::Keyed(entries) if entries.entries.iter().any(|(name, _)| name == key))
    }

    /// What is declared about the field, for identities: null when it is not managed.
    pub(super) fn declared(&self, boots: bool) -> Value {
        match &self.value {
            FieldValue::WholeField(whole) => match (&whole.want, &whole.remembered_as) {
                (DesiredValue::Stated(_), Some(stand_in)) => stand_in.clone(),
                (DesiredValue::Stated(value), None) => value.clone(),
                (DesiredValue::Once(_) | DesiredValue::Free, _) => Value::Null,
            },
            FieldValue::Keyed(entries) => entries.declared(boots),
            FieldValue::Args(args) => serde_json::json!([args.subcommand, args.declared]),
        }
    }
}

impl Entries {
    pub(super) fn declared(&self, boots: bool) -> Value {
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

/// A field that is managed as a whole, without a meaning of its absence.
pub(super) fn whole(name: &'static str, path: &'static [&'static str], want: DesiredValue, default: Value) -> Field {
    let whole = WholeField { want, default, absent: Value::Null, alike: Equivalence::Contains, remembered_as: None };
    Field { name, path, value: FieldValue::WholeField(whole) }
}

/// A field that is managed entry by entry.
pub(super) fn keyed(name: &'static str, path: &'static [&'static str], by: KeyedBy, entries: Vec<(String, Value)>) -> Field {
    Field { name, path, value: FieldValue::Keyed(Entries { by, entries }) }
}

/// Managed when stated.
pub(super) fn want<T: Into<Value>>(declared: Option<T>) -> DesiredValue {
    declared.map_or(DesiredValue::Free, |value| DesiredValue::Stated(value.into()))
}

impl Field {
    /// The same field, compared in another way.
    pub(super) fn compared(mut self, alike: Equivalence) -> Self {
        if let FieldValue::WholeField(whole) = &mut self.value {
            whole.alike = alike;
        }
        self
    }

    /// The same field, with what Swarm understands when it is absent.
    pub(super) fn absent_means(mut self, absent: Value) -> Self {
        if let FieldValue::WholeField(whole) = &mut self.value {
            whole.absent = absent;
        }
        self
    }
}
