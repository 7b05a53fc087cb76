//! The form in which Swarm stores a spec (`docs/decisions/swarm-normalises-specs.md`): adds defaults, omits unknown fields and
//! empty lists. Code that compares too strictly must fail here as it would on a real Swarm.

use serde_json::{Map, Value, json};

/// Fields of a service spec that the engine knows.
const SERVICE: [&str; 8] = ["Name", "Labels", "TaskTemplate", "Mode", "UpdateConfig", "RollbackConfig", "Networks", "EndpointSpec"];
const TEMPLATE: [&str; 8] = ["ContainerSpec", "Resources", "RestartPolicy", "Placement", "Networks", "LogDriver", "ForceUpdate", "Runtime"];
const CONTAINER: [&str; 30] = [
    "Image",
    "Labels",
    "Command",
    "Args",
    "Hostname",
    "Env",
    "Dir",
    "User",
    "Groups",
    "Privileges",
    "Init",
    "StopSignal",
    "TTY",
    "OpenStdin",
    "ReadOnly",
    "Mounts",
    "StopGracePeriod",
    "Healthcheck",
    "Hosts",
    "DNSConfig",
    "Secrets",
    "Configs",
    "Isolation",
    "Sysctls",
    "CapabilityAdd",
    "CapabilityDrop",
    "Ulimits",
    "Config",
    "OomScoreAdj",
    "PidsLimit",
];

/// Numbers that the engine omits if they are 0.
const ZERO_IS_NONE: [&str; 6] = ["MaxReplicas", "MemoryBytes", "NanoCPUs", "Pids", "Delay", "Monitor"];

/// The first release of the engine that keeps `NoNewPrivileges`.
const KEEPS_NO_NEW_PRIVILEGES: u32 = 25;

/// The form in which engines of this release store a service spec. Networks are already given by id.
pub fn normal(spec: &Value, release: u32) -> Value {
    let mut spec = known(spec, &SERVICE);
    spec.entry("Labels").or_insert_with(|| json!({}));
    spec.insert("Mode".to_owned(), mode(spec.get("Mode")));
    spec.insert("TaskTemplate".to_owned(), template(spec.get("TaskTemplate").unwrap_or(&Value::Null), release));
    for key in ["UpdateConfig", "RollbackConfig"] {
        if let Some(config) = spec.get_mut(key).and_then(Value::as_object_mut) {
            default(
                config,
                &[
                    ("Parallelism", json!(0)),
                    ("FailureAction", json!("pause")),
                    ("MaxFailureRatio", json!(0)),
                    ("Order", json!("stop-first")),
                ],
            );
            config.retain(|key, v| !(ZERO_IS_NONE.contains(&key.as_str()) && *v == 0));
        }
    }
    if let Some(endpoint) = spec.get_mut("EndpointSpec").and_then(Value::as_object_mut) {
        normal_endpoint(endpoint);
    }
    Value::Object(spec)
}

/// The task template as tasks carry it.
pub fn task_spec(spec: &Value) -> Value {
    let mut template = spec.get("TaskTemplate").and_then(Value::as_object).cloned().unwrap_or_default();
    template.remove("Runtime");
    Value::Object(template)
}

fn mode(given: Option<&Value>) -> Value {
    match given {
        Some(mode) if mode.get("Global").is_some() => json!({"Global": {}}),
        Some(mode) if mode.get("GlobalJob").is_some() => json!({"GlobalJob": {}}),
        Some(mode) if mode.get("ReplicatedJob").is_some() => {
            let number = |key: &str| mode["ReplicatedJob"].get(key).and_then(Value::as_u64);
            let at_once = number("MaxConcurrent").unwrap_or(1);
            let total = number("TotalCompletions").unwrap_or(at_once);
            json!({"ReplicatedJob": {"MaxConcurrent": at_once, "TotalCompletions": total}})
        }
        other => {
            let replicas = other.and_then(|m| m.get("Replicated")).and_then(|r| r.get("Replicas")).and_then(Value::as_u64);
            json!({"Replicated": {"Replicas": replicas.unwrap_or(1)}})
        }
    }
}

fn template(given: &Value, release: u32) -> Value {
    let mut template = known(given, &TEMPLATE);
    default(&mut template, &[("ForceUpdate", json!(0)), ("Runtime", json!("container"))]);
    let mut container = known(template.get("ContainerSpec").unwrap_or(&Value::Null), &CONTAINER);
    container.retain(|key, value| !is_omitted(key, value));
    default(&mut container, &[("Isolation", json!("default"))]);
    template.insert("ContainerSpec".to_owned(), Value::Object(container));
    if let Some(policy) = template.get_mut("RestartPolicy").and_then(Value::as_object_mut) {
        default(policy, &[("Condition", json!("any")), ("MaxAttempts", json!(0))]);
    }
    let privileges = template["ContainerSpec"].get("Privileges").filter(|given| given.is_object()).map(|given| privileges(given, release));
    if let Some(driver) = template.get_mut("LogDriver").and_then(Value::as_object_mut) {
        driver.retain(|_, value| value != "" && value.as_object().is_none_or(|options| !options.is_empty()));
    }
    let mut template = Value::Object(template);
    prune(&mut template);
    if let Some(privileges) = privileges {
        template["ContainerSpec"]["Privileges"] = privileges;
    }
    template
}

/// Security options, if any were sent: all options that the engine knows, set or not.
fn privileges(given: &Value, release: u32) -> Value {
    let sent = |key: &str| given.get(key).cloned().unwrap_or(Value::Null);
    let mut kept = json!({"CredentialSpec": sent("CredentialSpec"), "SELinuxContext": sent("SELinuxContext")});
    if release >= KEEPS_NO_NEW_PRIVILEGES {
        kept["NoNewPrivileges"] = json!(sent("NoNewPrivileges") == true);
    }
    kept
}

/// Whether the engine omits this field of a container, because its value is the default.
fn is_omitted(key: &str, value: &Value) -> bool {
    match key {
        "TTY" | "OpenStdin" | "ReadOnly" => value == false,
        "Hostname" | "Dir" | "User" | "StopSignal" => value == "",
        "Labels" | "Sysctls" => value.as_object().is_some_and(Map::is_empty),
        _ => false,
    }
}

/// Removes empty lists, nulls and limits of zero at any depth.
fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(prune);
            fields.retain(|key, v| !(empty(v) || ZERO_IS_NONE.contains(&key.as_str()) && v == 0));
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

fn normal_endpoint(endpoint: &mut Map<String, Value>) {
    default(endpoint, &[("Mode", json!("vip"))]);
    endpoint.retain(|_, v| !empty(v));
    for port in endpoint.get_mut("Ports").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(port) = port.as_object_mut() {
            default(port, &[("Protocol", json!("tcp")), ("PublishMode", json!("ingress"))]);
            port.retain(|key, v| key != "PublishedPort" || v.as_u64() != Some(0));
        }
    }
}

/// The known fields of an object, without empty lists and nulls.
fn known(value: &Value, keys: &[&str]) -> Map<String, Value> {
    let fields = value.as_object().into_iter().flatten();
    fields.filter(|(k, v)| keys.contains(&k.as_str()) && !empty(v)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// Sets defaults for absent or empty fields.
fn default(object: &mut Map<String, Value>, defaults: &[(&str, Value)]) {
    for (key, value) in defaults {
        if object.get(*key).is_none_or(|v| v.is_null() || v.as_str() == Some("")) {
            object.insert((*key).to_owned(), value.clone());
        }
    }
}
