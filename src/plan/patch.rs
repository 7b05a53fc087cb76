//! Changes a service spec to the wanted state and touches nothing else: an update replaces the whole spec, so unknown and
//! unmanaged fields must be passed through unchanged.

use serde_json::{Map, Value, json};

use super::json_path::{get, set};
use super::managed_fields::ManagedFields;
use super::spec_equivalence::{are_equivalent, contains, network_id};
use super::task_impact::endpoint_differs;
use crate::fleet::{
    ContainerArgs, DesiredValue, Entries, Equivalence, Field, FieldValue, KeyedBy, Mode, ServiceShape, WholeField, without_ids,
};
use crate::protocol::container_contract::LABEL_MANAGED;
use crate::swarm::{Snapshot, fitting_nodes};

/// The key under which our own first argument is remembered, separately from the user's arguments.
const SUBCOMMAND: &str = "subcommand";

const PLACEMENT: &[&str] = &["TaskTemplate", "Placement"];
const CONSTRAINTS: &[&str] = &["TaskTemplate", "Placement", "Constraints"];
const FORCE_UPDATE: &[&str] = &["TaskTemplate", "ForceUpdate"];

/// A patched spec.
pub(super) struct PatchedSpec {
    /// The whole spec.
    pub spec: Value,
    /// Managed fields that were changed by hand: the field (or `field.key`) and the value found there.
    pub drift: Vec<(String, Value)>,
}

/// The spec of a new service.
pub(super) fn create(shape: &ServiceShape, snapshot: &Snapshot) -> Value {
    let mode = match shape.mode {
        Mode::Global => json!({"Global": {}}),
        Mode::Replicated => json!({"Replicated": {}}),
    };
    let base = json!({"Name": shape.name, "Mode": mode});
    let mut patch = Patch::new(base, snapshot);
    for field in &shape.fields {
        patch.preset(field);
        patch.field(field);
    }
    let mut spec = patch.finish().spec;
    state_placement(&mut spec);
    spec
}

/// The spec of an existing service. Each field of `replacing` takes the place of the field with the same name.
pub(super) fn update(spec: &Value, shape: &ServiceShape, replacing: &[Field], snapshot: &Snapshot) -> PatchedSpec {
    let mut patch = Patch::new(spec.clone(), snapshot);
    for field in &shape.fields {
        patch.field(replacing.iter().find(|other| other.name == field.name).unwrap_or(field));
    }
    let mut patched = patch.finish();
    if patched.spec != *spec {
        state_placement(&mut patched.spec);
    }
    if endpoint_differs(spec, &patched.spec) {
        force(spec, &mut patched.spec);
    }
    patched
}

/// The spec with another number of tasks, otherwise unchanged.
pub(super) fn number(spec: &Value, number: u64) -> Value {
    let mut spec = spec.clone();
    set(&mut spec, &["Mode", "Replicated", "Replicas"], json!(number));
    spec
}

/// Nobody has a legitimate need for more replicas per node than this.
const REPLICAS_PER_NODE_MAX: u64 = 4;

/// The spec of an existing service that another party may have created: reset to the state at creation, so that nothing of
/// the other party's runs, listens in, or keeps our tasks from running. Only settings that an administrator chooses by hand
/// and that are harmless are kept: the number of replicas, and constraints that some node is known to meet.
pub(super) fn take_over(spec: &Value, shape: &ServiceShape, snapshot: &Snapshot) -> Value {
    let mut patch = Patch::new(json!({"Name": shape.name, "Mode": spec.get("Mode")}), snapshot);
    if !has_plausible_replicas(spec, snapshot) {
        set(&mut patch.spec, &["Mode", "Replicated"], json!({}));
    }
    reset_placement(&mut patch.spec, spec, snapshot);
    for field in &shape.fields {
        if get(&patch.spec, field.path).is_none() {
            patch.preset(field);
        }
        patch.field(shape.when_replaced.iter().find(|other| other.name == field.name).unwrap_or(field));
    }
    let mut new = patch.finish().spec;
    match get(spec, FORCE_UPDATE) {
        _ if endpoint_differs(spec, &new) => force(spec, &mut new),
        Some(counter) => set(&mut new, FORCE_UPDATE, counter.clone()),
        None => {}
    }
    new
}

/// Resets the placement, except for constraints that some node meets.
fn reset_placement(new: &mut Value, spec: &Value, snapshot: &Snapshot) {
    set(new, PLACEMENT, json!({}));
    let constraints = get(spec, CONSTRAINTS).filter(|_| fitting_nodes(spec, snapshot).is_some_and(|nodes| !nodes.is_empty()));
    if let Some(constraints) = constraints {
        set(new, CONSTRAINTS, constraints.clone());
    }
}

/// Whether an administrator may have set this number of replicas; always true for a service that has no such number.
fn has_plausible_replicas(spec: &Value, snapshot: &Snapshot) -> bool {
    let Some(mode) = get(spec, &["Mode", "Replicated"]) else { return true };
    let most = REPLICAS_PER_NODE_MAX.saturating_mul(u64::try_from(snapshot.nodes.len()).unwrap_or(u64::MAX));
    mode.get("Replicas").and_then(Value::as_u64).is_some_and(|count| (1..=most).contains(&count))
}

/// If a service has no placement at all but its tasks have one, the engine of the leading manager crashes (seen with 20.10),
/// then that of the next leader. An empty placement means the same and is harmless. So each of our specs has one, as does
/// each spec that Swarm could roll back to.
fn state_placement(spec: &mut Value) {
    if get(spec, PLACEMENT).is_none_or(|placement| !placement.is_object()) {
        set(spec, PLACEMENT, json!({}));
    }
}

/// A change of published ports reaches tasks only when they are replaced, and Swarm omits the replacement if the placement
/// changed too, either now or in an earlier update that replaced no task. Raising the counter enforces it.
fn force(old: &Value, new: &mut Value) {
    let counter = get(old, FORCE_UPDATE).and_then(Value::as_u64).unwrap_or(0);
    set(new, FORCE_UPDATE, json!(counter.wrapping_add(1)));
}

/// A spec under construction.
struct Patch<'a> {
    spec: Value,
    before: ManagedFields,
    after: ManagedFields,
    drift: Vec<(String, Value)>,
    snapshot: &'a Snapshot,
}

impl<'a> Patch<'a> {
    fn new(spec: Value, snapshot: &'a Snapshot) -> Self {
        let before = ManagedFields::read(get(&spec, &["Labels", LABEL_MANAGED]).and_then(Value::as_str));
        Self { spec, before, after: ManagedFields::default(), drift: Vec::new(), snapshot }
    }

    fn finish(mut self) -> PatchedSpec {
        let label = self.after.write();
        set(&mut self.spec, &["Labels", LABEL_MANAGED], Value::String(label));
        PatchedSpec { spec: self.spec, drift: self.drift }
    }

    /// At creation every value is stated explicitly, because no task has to be replaced for it.
    fn preset(&mut self, field: &Field) {
        let FieldValue::WholeField(whole) = &field.value else { return };
        let value = match &whole.want {
            DesiredValue::Stated(value) | DesiredValue::Once(value) => value,
            DesiredValue::Free => &whole.default,
        };
        if value.as_array().is_none_or(|items| !items.is_empty()) {
            set(&mut self.spec, field.path, value.clone());
        }
    }

    fn field(&mut self, field: &Field) {
        match &field.value {
            FieldValue::WholeField(whole) => self.whole(field, whole),
            FieldValue::Keyed(entries) => self.keyed(field, entries),
            FieldValue::Args(args) => self.args(field, args),
        }
    }

    fn whole(&mut self, field: &Field, whole: &WholeField) {
        match &whole.want {
            DesiredValue::Stated(want) => {
                let remembered = whole.remembered_as.as_ref().unwrap_or(want);
                let found = self.put(field, whole, want);
                if let Some(found) = found.filter(|_| self.before.was(field.name, remembered)) {
                    self.drift.push((field.name.to_owned(), found));
                }
                self.after.record(field.name, remembered);
            }
            DesiredValue::Once(want) => drop(self.put(field, whole, want)),
            DesiredValue::Free if self.before.is_managed(field.name) => drop(self.put(field, whole, &whole.default)),
            DesiredValue::Free => {}
        }
    }

    /// Sets the field unless it is already equivalent; returns the previous value if it had to be set.
    fn put(&mut self, field: &Field, whole: &WholeField, want: &Value) -> Option<Value> {
        let have = get(&self.spec, field.path).unwrap_or(&whole.absent).clone();
        let expected = if want.is_null() { &whole.absent } else { want };
        if are_equivalent(whole.equivalence, &have, expected, self.snapshot) {
            return None;
        }
        let value = if whole.equivalence == Equivalence::Networks { self.in_present_order(&have, want) } else { want.clone() };
        set(&mut self.spec, field.path, value);
        Some(have)
    }

    /// Swarm treats another order of networks as a change: existing networks keep their order, new ones follow.
    fn in_present_order(&self, have: &Value, want: &Value) -> Value {
        let id = |attachment: &Value| network_id(attachment, self.snapshot);
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let (have, want) = (list(have), list(want));
        let (have_ids, want_ids): (Vec<_>, Vec<_>) = (have.iter().map(id).collect(), want.iter().map(id).collect());
        let stay = have.iter().filter(|attachment| want_ids.contains(&id(attachment)));
        let join = want.iter().filter(|attachment| !have_ids.contains(&id(attachment)));
        stay.chain(join).cloned().collect()
    }

    fn keyed(&mut self, field: &Field, entries: &Entries) {
        let mut list = ListPatch::read(entries.by, get(&self.spec, field.path));
        for key in self.before.keys(field.name) {
            if !entries.entries.iter().any(|(wanted, _)| wanted == key) {
                list.remove(key);
            }
        }
        for (key, want) in &entries.entries {
            let remembered = without_ids(want);
            let found = list.put(key, want);
            if let Some(found) = found.filter(|_| self.before.had_entry(field.name, key, &remembered)) {
                self.drift.push((format!("{}.{key}", field.name), found));
            }
            self.after.record_entry(field.name, key, &remembered);
        }
        if list.changed {
            set(&mut self.spec, field.path, list.write());
        }
    }

    /// Our subcommand is always managed; the user's arguments only if they are stated.
    fn args(&mut self, field: &Field, args: &ContainerArgs) {
        let have = get(&self.spec, field.path).and_then(Value::as_array).cloned().unwrap_or_default();
        let own = args.subcommand.map(Value::from);
        let declared = args.declared.clone().map(Value::from);
        let others = match &declared {
            Some(Value::Array(declared)) => declared.clone(),
            _ if self.before.is_managed(field.name) => Vec::new(),
            _ => have[self.own_args(&have, own.as_ref())..].to_vec(),
        };
        let want: Vec<Value> = own.iter().cloned().chain(others).collect();
        let same_document = self.before.declared_same(SUBCOMMAND, own.as_ref()) && self.before.declared_same(field.name, declared.as_ref());
        let wants_nothing = own.is_none() && declared.is_none();
        own.as_ref().into_iter().for_each(|own| self.after.record(SUBCOMMAND, own));
        declared.as_ref().into_iter().for_each(|declared| self.after.record(field.name, declared));
        if have == want {
            return;
        }
        set(&mut self.spec, field.path, if want.is_empty() { Value::Null } else { Value::Array(want) });
        if same_document && !wants_nothing {
            self.drift.push((field.name.to_owned(), Value::Array(have)));
        }
    }

    /// How many of the leading arguments are ours: the current subcommand or that of the previous declaration.
    fn own_args(&self, have: &[Value], own: Option<&Value>) -> usize {
        have.first().map_or(0, |first| usize::from(Some(first) == own || self.before.was(SUBCOMMAND, first)))
    }
}

/// The entries of a field, in their current order.
struct ListPatch {
    by: KeyedBy,
    entries: Vec<(String, Value)>,
    changed: bool,
}

impl ListPatch {
    fn read(by: KeyedBy, value: Option<&Value>) -> Self {
        let entries = match value {
            Some(Value::Object(map)) => map.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            Some(Value::Array(items)) => items.iter().map(|item| (key_of(by, item), item.clone())).collect(),
            _ => Vec::new(),
        };
        Self { by, entries, changed: false }
    }

    /// Adds the entry unless it is already there; returns the previous entry (null = none) if it had to be added.
    fn put(&mut self, key: &str, want: &Value) -> Option<Value> {
        let slot = self.entries.iter_mut().find(|(name, _)| name == key);
        let found = match slot {
            Some((_, have)) if contains(have, want) => return None,
            Some((_, have)) => std::mem::replace(have, want.clone()),
            None => {
                self.entries.push((key.to_owned(), want.clone()));
                Value::Null
            }
        };
        self.changed = true;
        Some(found)
    }

    fn remove(&mut self, key: &str) {
        let before = self.entries.len();
        self.entries.retain(|(name, _)| name != key);
        self.changed |= self.entries.len() != before;
    }

    /// The value of the field; null when nothing is left.
    fn write(self) -> Value {
        match self.by {
            _ if self.entries.is_empty() => Value::Null,
            KeyedBy::Name => Value::Object(self.entries.into_iter().collect::<Map<_, _>>()),
            _ => self.entries.into_iter().map(|(_, value)| value).collect(),
        }
    }
}

fn key_of(by: KeyedBy, item: &Value) -> String {
    let text = match by {
        KeyedBy::EnvName => item.as_str().and_then(|entry| entry.split('=').next()),
        KeyedBy::Target => item.get("Target").and_then(Value::as_str),
        KeyedBy::FileName => item.pointer("/File/Name").and_then(Value::as_str),
        KeyedBy::Name => None,
    };
    text.unwrap_or_default().to_owned()
}
