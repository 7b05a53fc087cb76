//! The types with which a fleet describes a service: fields of the API's `ServiceSpec`, each with its wanted value and the
//! way in which two values are compared. Also the functions that construct them.

use serde_json::Value;

use crate::protocol::container_contract::{
    BOOT_FILE, ENV_NEW_NETWORKS, LABEL_FAILED_NETWORKS, LABEL_HOST_HOLDERS, MATERIAL_DIR, ROLE_PROXY,
};

/// The purpose of one of our objects: the value of its role label.
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
    /// The secret with which the extension's tasks obtain their certificates.
    ExtensionToken,
    /// The secret with which the proxies' tasks obtain theirs.
    ProxyToken,
    /// The control network.
    Network,
}

impl Role {
    /// The value of the role label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Extension => "extension",
            Self::Proxy => ROLE_PROXY,
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
/// The short name of the field with the maximum number of tasks per node.
pub const MAX_REPLICAS: &str = "maxReplicas";

/// One field of a service spec.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its short name: the key in the label that remembers managed fields, and in findings.
    pub name: &'static str,
    /// Its path in the `ServiceSpec`.
    pub path: &'static [&'static str],
    /// The wanted value.
    pub value: FieldValue,
}

/// The wanted value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// The field is managed as a whole or not at all.
    WholeField(WholeField),
    /// The field is managed entry by entry; foreign entries stay.
    Keyed(Entries),
    /// Arguments: our subcommand, then the user's.
    Args(ContainerArgs),
}

/// A field that is managed as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct WholeField {
    /// The currently wanted value.
    pub want: DesiredValue,
    /// The value at creation, to which the field is also reset when it leaves the document; null = absent.
    pub default: Value,
    /// Swarm's interpretation of an absent field; null = nothing in particular.
    pub absent: Value,
    /// How two values are compared.
    pub equivalence: Equivalence,
    /// Replaces the value in the managed label if the value itself holds ids that may not exist yet.
    pub remembered_as: Option<Value>,
}

/// Whether a field is managed.
#[derive(Debug, Clone, PartialEq)]
pub enum DesiredValue {
    /// Not managed: the existing value stays.
    Free,
    /// Set in this pass without becoming managed.
    Once(Value),
    /// Managed; null = must be absent (or Swarm's default).
    Stated(Value),
}

/// How two values of a field are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Equivalence {
    /// Everything that is wanted is present; additions by Swarm are ignored.
    Contains,
    /// Both values are equal; empty members are ignored.
    Exactly,
    /// Image references; a digest that a client pinned to the declared tag is ignored.
    Image,
    /// Placement constraints; order and blanks are ignored.
    Constraints,
    /// Attached networks by id; order is ignored.
    Networks,
    /// Published ports with Swarm's defaults filled in; order is ignored.
    Ports,
}

/// A field whose entries have keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Entries {
    /// How the key of an entry is found.
    pub by: KeyedBy,
    /// The managed entries, in the order in which new ones are added.
    pub entries: Vec<(String, Value)>,
}

/// How the keys of a field's entries are found.
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
pub struct ContainerArgs {
    /// Our subcommand, always first; absent for a stock image.
    pub subcommand: Option<&'static str>,
    /// The user's additional arguments, if stated.
    pub declared: Option<Vec<String>>,
}

impl Field {
    /// The stated value of a field that is managed as a whole.
    pub fn declared_value(&self) -> Option<&Value> {
        match &self.value {
            FieldValue::WholeField(WholeField { want: DesiredValue::Stated(value), .. }) => Some(value),
            _ => None,
        }
    }

    pub(super) fn has_entry(&self, key: &str) -> bool {
        matches!(&self.value, FieldValue::Keyed(entries) if entries.entries.iter().any(|(name, _)| name == key))
    }

    /// The declaration of the field, for identities: null if the field is not managed.
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

/// The value without ids of secrets and configs: the object's name is equivalent and is known before the object exists.
pub(crate) fn without_ids(value: &Value) -> Value {
    let Value::Object(map) = value else { return value.clone() };
    let kept = map.iter().filter(|(key, _)| *key != "SecretID" && *key != "ConfigID");
    Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// A field that is managed as a whole, and for which absence has no meaning of its own.
pub(super) fn whole(name: &'static str, path: &'static [&'static str], want: DesiredValue, default: Value) -> Field {
    let whole = WholeField { want, default, absent: Value::Null, equivalence: Equivalence::Contains, remembered_as: None };
    Field { name, path, value: FieldValue::WholeField(whole) }
}

/// A field that is managed entry by entry.
pub(super) fn keyed(name: &'static str, path: &'static [&'static str], by: KeyedBy, entries: Vec<(String, Value)>) -> Field {
    Field { name, path, value: FieldValue::Keyed(Entries { by, entries }) }
}

/// Managed if stated.
pub(super) fn want<T: Into<Value>>(declared: Option<T>) -> DesiredValue {
    declared.map_or(DesiredValue::Free, |value| DesiredValue::Stated(value.into()))
}

impl Field {
    /// The same field with another comparison.
    pub(super) fn with_equivalence(mut self, equivalence: Equivalence) -> Self {
        if let FieldValue::WholeField(whole) = &mut self.value {
            whole.equivalence = equivalence;
        }
        self
    }

    /// The same field with Swarm's interpretation of its absence.
    pub(super) fn absent_means(mut self, absent: Value) -> Self {
        if let FieldValue::WholeField(whole) = &mut self.value {
            whole.absent = absent;
        }
        self
    }
}
