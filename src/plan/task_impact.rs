//! What an update does to running tasks: Swarm's own rule (`IsTaskDirty`), so that a plan can predict it.

use serde::Serialize;
use serde_json::{Map, Value};

/// The effect of an update on the service's tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum TaskEffect {
    /// All tasks continue; only the number of replicas may change.
    Keeps,
    /// Tasks whose node still fits the placement continue; the others are replaced.
    MovesMisplaced,
    /// All tasks are replaced, one after the other.
    Replaces,
}

/// The effect of an update from `old` to `new` on the tasks.
///
/// # Caveats
/// If the placement and the endpoint differ and nothing else does, Swarm silently keeps the published ports: such an update
/// must raise `ForceUpdate`, which makes it [`TaskEffect::Replaces`].
pub fn task_effect(old: &Value, new: &Value) -> TaskEffect {
    if without_placement(old) != without_placement(new) {
        return TaskEffect::Replaces;
    }
    if differs(old, new, "/TaskTemplate/Placement") {
        return TaskEffect::MovesMisplaced;
    }
    if differs(old, new, "/EndpointSpec") { TaskEffect::Replaces } else { TaskEffect::Keeps }
}

/// Whether an update from `old` to `new` replaces all tasks.
pub fn would_replace_tasks(old: &Value, new: &Value) -> bool {
    task_effect(old, new) == TaskEffect::Replaces
}

/// Whether two specs differ in their endpoint.
pub(super) fn endpoint_differs(old: &Value, new: &Value) -> bool {
    differs(old, new, "/EndpointSpec")
}

/// Whether two specs differ in their placement.
pub(super) fn placement_differs(old: &Value, new: &Value) -> bool {
    differs(old, new, "/TaskTemplate/Placement")
}

/// An absent object and an empty one are equivalent, for placement and endpoint.
fn differs(old: &Value, new: &Value, pointer: &str) -> bool {
    let part = |spec: &Value| spec.pointer(pointer).filter(|value| !is_empty(value)).cloned();
    part(old) != part(new)
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(Map::is_empty)
}

fn without_placement(spec: &Value) -> Option<Map<String, Value>> {
    let mut template = spec.get("TaskTemplate")?.as_object()?.clone();
    template.remove("Placement");
    Some(template)
}
