//! Updates that go another way than the service says: one whose first task must show that it works before any other is replaced,
//! and one that takes something back, in which what does not run comes before what does. What the service says is kept in a label
//! and given back afterwards, which replaces nothing.

use serde_json::{Value, json};

use super::json_path::{get, set};
use crate::protocol::container_contract::LABEL_UPDATE_BEFORE;

const UPDATE: &[&str] = &["UpdateConfig"];
const CONSTRAINTS: &str = "Constraints";
/// A constraint that every node meets. Where nothing but the placement differs, Swarm keeps a task whose node meets it, and not one
/// that has no node yet.
const ANY_NODE: &str = "node.id!=swarmgate";
/// Three seconds.
const NOTICED: i64 = 3_000_000_000;
const LABEL: &[&str] = &["Labels", LABEL_UPDATE_BEFORE];

/// Whether the service is updated so now.
pub(super) fn is_so(spec: &Value) -> bool {
    get(spec, LABEL).is_some()
}

/// The spec as it is apart from such an update.
pub(super) fn without(spec: &Value) -> Value {
    let mut spec = spec.clone();
    let before = get(&spec, LABEL).and_then(Value::as_str).and_then(|text| serde_json::from_str::<Value>(text).ok());
    if let Some(before) = before.filter(Value::is_object) {
        set(&mut spec, UPDATE, before);
    }
    if let Some(labels) = spec.get_mut("Labels").and_then(Value::as_object_mut) {
        labels.remove(LABEL_UPDATE_BEFORE);
    }
    unmark(&mut spec);
    spec
}

/// The spec for such an update. `pauses`: who takes it back in the right order is there when it fails.
pub(super) fn with(spec: Value, pauses: bool) -> Value {
    let Some(before) = get(&spec, UPDATE).filter(|config| config.is_object()).cloned() else {
        // Swarm's own way: one at a time, and it stops at the first failure.
        return spec;
    };
    let mut alone = before.clone();
    alone["Parallelism"] = json!(1);
    if alone.get("MaxFailureRatio").is_some_and(|ratio| ratio.as_f64() != Some(0.0)) {
        alone["MaxFailureRatio"] = json!(0);
    }
    // Swarm goes back in any order. Where tasks stop first, it would stop one that runs while the one that failed is still down.
    if pauses && stops_first(&before) {
        alone["FailureAction"] = json!("pause");
        alone["Delay"] = noticed(&before);
    } else if alone.get("FailureAction").and_then(Value::as_str) == Some("continue") {
        alone["FailureAction"] = json!("rollback");
    }
    instead(spec, &before, alone)
}

/// The spec for an update that brings back what does not run before it touches what does, where tasks stop before new ones start:
/// all get their successors at once, and those of tasks that run wait until the port of a node is free.
pub(super) fn missing_first(spec: Value) -> Value {
    let before = update_of(&spec);
    let mut all = before.clone();
    all["Parallelism"] = json!(0);
    all["Order"] = json!("start-first");
    // Going back from here would bring back what did not work.
    all["FailureAction"] = json!("pause");
    labelled(spec, &before, all)
}

/// Whether an update brings back what does not run, and has not touched the rest yet.
pub(super) fn is_missing_first(spec: &Value) -> bool {
    is_so(spec) && !stops_first(&update_of(spec)) && stops_first(&update_of(&without(spec)))
}

/// The spec for the rest of such an update: one by one, each when the one before runs. The successors that wait must go: Swarm takes
/// them for done, so that it would stop all at once, and it gives no node to a task of a spec that is not the newest. A
/// placement that differs, and means the same, makes it replace those and no other.
pub(super) fn one_by_one(mut spec: Value) -> Value {
    let before = update_of(&spec);
    let mut one = before.clone();
    one["Parallelism"] = json!(1);
    one["FailureAction"] = json!("pause");
    one["Delay"] = noticed(&before);
    mark(&mut spec);
    labelled(spec, &before, one)
}

/// The spec with the way in which the service is updated now.
pub(super) fn kept(mut spec: Value, now: &Value) -> Value {
    for path in [UPDATE, LABEL] {
        set(&mut spec, path, get(now, path).cloned().unwrap_or(Value::Null));
    }
    if is_marked(now) {
        mark(&mut spec);
    }
    spec
}

/// A pause in which Swarm notices that a task has failed: without one it may have taken up the next place by then, and two are
/// down.
fn noticed(update: &Value) -> Value {
    json!(update.get("Delay").and_then(Value::as_i64).unwrap_or(0).max(NOTICED))
}

fn is_marked(spec: &Value) -> bool {
    spec.pointer("/TaskTemplate/Placement/Constraints").and_then(Value::as_array).is_some_and(|all| all.iter().any(|one| one == ANY_NODE))
}

fn mark(spec: &mut Value) {
    let path = &["TaskTemplate", "Placement", CONSTRAINTS];
    let mut constraints = get(spec, path).and_then(Value::as_array).cloned().unwrap_or_default();
    if !constraints.iter().any(|one| one == ANY_NODE) {
        constraints.push(json!(ANY_NODE));
    }
    set(spec, path, Value::Array(constraints));
}

/// The placement itself stays: a service without any ends managers.
fn unmark(spec: &mut Value) {
    let Some(placement) = spec.pointer_mut("/TaskTemplate/Placement").and_then(Value::as_object_mut) else { return };
    let Some(constraints) = placement.get_mut(CONSTRAINTS).and_then(Value::as_array_mut) else { return };
    let before = constraints.len();
    constraints.retain(|one| one != ANY_NODE);
    if constraints.is_empty() && before > 0 {
        placement.remove(CONSTRAINTS);
    }
}

/// Whether tasks stop before new ones start.
pub(super) fn spec_stops_first(spec: &Value) -> bool {
    stops_first(&update_of(spec))
}

fn stops_first(update: &Value) -> bool {
    update.get("Order").and_then(Value::as_str) != Some("start-first")
}

fn update_of(spec: &Value) -> Value {
    get(spec, UPDATE).filter(|config| config.is_object()).cloned().unwrap_or_else(|| json!({}))
}

fn instead(spec: Value, before: &Value, now: Value) -> Value {
    if now == *before { spec } else { labelled(spec, before, now) }
}

fn labelled(mut spec: Value, before: &Value, now: Value) -> Value {
    set(&mut spec, UPDATE, now);
    set(&mut spec, LABEL, Value::String(before.to_string()));
    spec
}
