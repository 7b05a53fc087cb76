//! Reads single fields from JSON by path, with a default for fields that are absent or of another type.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

/// The value at a path of keys.
pub fn value_at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |inner, key| inner.get(key))
}

/// The string at a path; empty if absent.
pub fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    value_at(value, path).and_then(Value::as_str).unwrap_or("")
}

/// The string at a path, if present and not empty.
pub fn some_text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    Some(text(value, path)).filter(|s| !s.is_empty())
}

/// The elements of the array at a path; empty if there is no array.
pub fn items<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    value_at(value, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The object's `ID` (services, tasks, ...) or `Id` (networks).
pub fn id(value: &Value) -> Option<String> {
    some_text(value, &["ID"]).or_else(|| some_text(value, &["Id"])).map(str::to_owned)
}

/// The map of strings at a path; omits values that are not strings.
pub fn labels(value: &Value, path: &[&str]) -> BTreeMap<String, String> {
    let pairs = value_at(value, path).and_then(Value::as_object).into_iter().flatten();
    pairs.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
}

/// The time at a path. Swarm writes "never" as the year 1, which reads as `None`.
pub fn time(value: &Value, path: &[&str]) -> Option<Timestamp> {
    text(value, path).parse().ok().filter(|t: &Timestamp| t.as_second() > 0)
}

/// When the object was created; the epoch if absent, so that the order of objects stays total.
pub fn created_at(value: &Value) -> Timestamp {
    time(value, &["CreatedAt"]).unwrap_or(Timestamp::UNIX_EPOCH)
}
