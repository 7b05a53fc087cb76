//! Reads and writes below a path of JSON objects. Total: an unexpected value on the path reads as absent and is replaced on
//! write.

use serde_json::{Map, Value, json};

/// The value at a path; null reads as absent.
pub(super) fn get<'a>(root: &'a Value, path: &[&str]) -> Option<&'a Value> {
    let found = path.iter().try_fold(root, |value, key| value.get(key))?;
    (!found.is_null()).then_some(found)
}

/// Sets the value at a path; null removes it.
pub(super) fn set(root: &mut Value, path: &[&str], value: Value) {
    if value.is_null() {
        remove(root, path);
    } else {
        insert(root, path, value);
    }
}

fn insert(root: &mut Value, path: &[&str], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        *root = value;
        return;
    };
    if !root.is_object() {
        *root = Value::Object(Map::new());
    }
    let Some(map) = root.as_object_mut() else { return };
    let child = map.entry((*first).to_owned()).or_insert_with(|| seed(first, rest));
    insert(child, rest, value);
}

/// A new update policy must state its parallelism: without a policy Swarm uses 1, but a policy without parallelism means
/// "all at once".
fn seed(key: &str, rest: &[&str]) -> Value {
    if !rest.is_empty() && (key == "UpdateConfig" || key == "RollbackConfig") { json!({"Parallelism": 1}) } else { Value::Null }
}

/// Removes the value at a path, and the objects on the path that become empty.
fn remove(root: &mut Value, path: &[&str]) {
    let (Some((first, rest)), Some(map)) = (path.split_first(), root.as_object_mut()) else { return };
    if rest.is_empty() {
        map.remove(*first);
        return;
    }
    let Some(child) = map.get_mut(*first) else { return };
    remove(child, rest);
    if child.as_object().is_some_and(Map::is_empty) {
        map.remove(*first);
    }
}

/// All strings below a value.
pub(super) fn strings<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(map) => map.values().for_each(|item| strings(item, found)),
        _ => {}
    }
}
