//! Temporary update policies, which differ from the one that the service states: for an update whose first task must prove
//! that it works before any other task is replaced, and for a withdrawal that restores tasks that do not run before it
//! touches those that do. A label keeps the service's own policy, which is restored afterwards without replacing a task.

use serde_json::{Value, json};

use super::json_path::{get, set};
use crate::protocol::container_contract::LABEL_UPDATE_BEFORE;
use crate::types::UpdateOrder;

const UPDATE: &[&str] = &["UpdateConfig"];
const CONSTRAINTS: &str = "Constraints";
/// A constraint that every node meets. If only the placement differs, Swarm keeps a task whose node meets it, but not a task
/// that has no node yet.
const ANY_NODE: &str = "node.id!=swarmgate";
/// Three seconds, in nanoseconds.
const FAILURE_NOTICE_DELAY: i64 = 3_000_000_000;
const LABEL: &[&str] = &["Labels", LABEL_UPDATE_BEFORE];

/// Whether the service currently has a temporary update policy.
pub(super) fn is_temporary(spec: &Value) -> bool {
    get(spec, LABEL).is_some()
}

/// The spec without the temporary update policy.
pub(super) fn with_declared_order(spec: &Value) -> Value {
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

/// The spec with a policy that tries one task first. `pauses`: whether the operator itself withdraws the update in the right
/// order if it fails.
pub(super) fn one_first(spec: Value, pauses: bool) -> Value {
    let Some(before) = get(&spec, UPDATE).filter(|config| config.is_object()).cloned() else {
        // Swarm's default: one at a time, stopping at the first failure.
        return spec;
    };
    let mut alone = before.clone();
    alone["Parallelism"] = json!(1);
    if alone.get("MaxFailureRatio").is_some_and(|ratio| ratio.as_f64() != Some(0.0)) {
        alone["MaxFailureRatio"] = json!(0);
    }
    // Swarm rolls back in any order. If tasks stop first, it would stop a running task while the failed one is still down.
    if pauses && stops_first(&before) {
        alone["FailureAction"] = json!("pause");
        alone["Delay"] = delay_to_notice(&before);
    } else if alone.get("FailureAction").and_then(Value::as_str) == Some("continue") {
        alone["FailureAction"] = json!("rollback");
    }
    with_policy(spec, &before, alone)
}

/// The spec for an update that restores tasks that do not run before it touches those that do, where tasks stop before new
/// ones start: all tasks get successors at once, and the successors of running tasks wait until the port of a node is free.
pub(super) fn missing_first(spec: Value) -> Value {
    let before = update_of(&spec);
    let mut all = before.clone();
    all["Parallelism"] = json!(0);
    all["Order"] = json!(UpdateOrder::StartFirst);
    // A rollback from here would restore the spec that failed.
    all["FailureAction"] = json!("pause");
    labelled(spec, &before, all)
}

/// Whether an update restores tasks that do not run, and has not touched the others yet.
pub(super) fn is_missing_first(spec: &Value) -> bool {
    is_temporary(spec) && !stops_first(&update_of(spec)) && stops_first(&update_of(&with_declared_order(spec)))
}

/// The spec for the rest of such an update: one task at a time, each once the previous one runs. The waiting successors must
/// go: Swarm considers them finished, so it would stop all tasks at once, and it assigns no node to a task whose spec is not
/// the newest. A placement that differs but means the same makes Swarm replace only those.
pub(super) fn one_by_one(mut spec: Value) -> Value {
    let before = update_of(&spec);
    let mut one = before.clone();
    one["Parallelism"] = json!(1);
    one["FailureAction"] = json!("pause");
    one["Delay"] = delay_to_notice(&before);
    mark(&mut spec);
    labelled(spec, &before, one)
}

/// The spec with the service's current update policy.
pub(super) fn continued(mut spec: Value, now: &Value) -> Value {
    for path in [UPDATE, LABEL] {
        set(&mut spec, path, get(now, path).cloned().unwrap_or(Value::Null));
    }
    if is_marked(now) {
        mark(&mut spec);
    }
    spec
}

/// A delay in which Swarm notices that a task has failed: without it, Swarm may already have started on the next slot, and
/// two tasks are down.
fn delay_to_notice(update: &Value) -> Value {
    json!(update.get("Delay").and_then(Value::as_i64).unwrap_or(0).max(FAILURE_NOTICE_DELAY))
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

/// Keeps the placement itself: a service without any crashes managers.
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
    update.get("Order").and_then(Value::as_str) != Some(UpdateOrder::StartFirst.as_str())
}

fn update_of(spec: &Value) -> Value {
    get(spec, UPDATE).filter(|config| config.is_object()).cloned().unwrap_or_else(|| json!({}))
}

fn with_policy(spec: Value, before: &Value, now: Value) -> Value {
    if now == *before { spec } else { labelled(spec, before, now) }
}

fn labelled(mut spec: Value, before: &Value, now: Value) -> Value {
    set(&mut spec, UPDATE, now);
    set(&mut spec, LABEL, Value::String(before.to_string()));
    spec
}
