//! An update whose first task must show that it works before any other is replaced: one at a time, and its failure ends the
//! update, whatever the service says of other updates. What it says is kept in a label and given back afterwards, which
//! replaces nothing.

use serde_json::{Value, json};

use super::json::{get, set};
use crate::channel::contract::LABEL_UPDATE_BEFORE;

const UPDATE: &[&str] = &["UpdateConfig"];
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
    spec
}

/// The spec for such an update.
pub(super) fn with(mut spec: Value) -> Value {
    let Some(before) = get(&spec, UPDATE).filter(|config| config.is_object()).cloned() else {
        // Swarm's own way: one at a time, and it stops at the first failure.
        return spec;
    };
    let mut alone = before.clone();
    alone["Parallelism"] = json!(1);
    if alone.get("MaxFailureRatio").is_some_and(|ratio| ratio.as_f64() != Some(0.0)) {
        alone["MaxFailureRatio"] = json!(0);
    }
    if alone.get("FailureAction").and_then(Value::as_str) == Some("continue") {
        alone["FailureAction"] = json!("rollback");
    }
    if alone != before {
        set(&mut spec, UPDATE, alone);
        set(&mut spec, LABEL, Value::String(before.to_string()));
    }
    spec
}
