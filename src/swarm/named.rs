//! Which configs services name in labels. A list of configs carries all their data, so that others' configs are asked for
//! by name and only when somebody means them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::types::ObjectName;

/// The label that may name a config with a CA.
const LABEL: &str = "com.docker.lb.ssl_backend_tls_verify";
/// The label with the name of a stack, which stands before the names of its objects.
const STACK: &str = "com.docker.stack.namespace";
/// Values of the label that name no object.
const WORDS: &[&str] = &["none", "optional", "required", "require", "system", "true", "false"];

/// The names of configs that services of a list (`GET /services`) may mean, as full names and as those of their stacks.
/// Some may be secrets, and some may not exist.
pub fn named_configs(services: &[Value]) -> BTreeSet<String> {
    let labels = services.iter().filter_map(|service| service.pointer("/Spec/Labels"));
    labels.flat_map(names).filter(|name| ObjectName::parse(name).is_ok()).collect()
}

fn names(labels: &Value) -> Vec<String> {
    let text = |key: &str| labels.get(key).and_then(Value::as_str);
    let Some(value) = text(LABEL).filter(|value| !WORDS.contains(&value.to_ascii_lowercase().as_str())) else { return Vec::new() };
    let in_stack = text(STACK).map(|stack| format!("{stack}_{value}"));
    std::iter::once(value.to_owned()).chain(in_stack).collect()
}

/// Whether a config of a list (`GET /configs`) has one of these names.
pub fn is_named(config: &Value, names: &BTreeSet<String>) -> bool {
    config.pointer("/Spec/Name").and_then(Value::as_str).is_some_and(|name| names.contains(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(labels: &Value, expected: &[&str]) {
        let services = [json!({"Spec": {"Labels": labels}}), json!({"Spec": {}}), json!(null)];
        assert_eq!(named_configs(&services).into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn only_what_may_be_an_object_is_asked_for() {
        check(&json!({LABEL: "my-ca"}), &["my-ca"]);
        check(&json!({LABEL: "my-ca", STACK: "shop"}), &["my-ca", "shop_my-ca"]);
        for value in ["none", "Required", "true", "", "no name", "%22]}", "a/b"] {
            check(&json!({LABEL: value}), &[]);
        }
        check(&json!({"com.docker.lb.ssl_cert": "my-cert"}), &[]);
    }
}
