//! Reads from a normalised spec what the simulated Swarm needs.

use std::collections::BTreeMap;

use serde_json::Value;

use super::constraint::PlacementConstraint;

fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |inner, key| inner.get(key))
}

fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    at(value, path).and_then(Value::as_str).unwrap_or("")
}

fn list<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    at(value, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub fn name(spec: &Value) -> &str {
    text(spec, &["Name"])
}

/// The labels of a service spec, or of any body with `Labels`.
pub fn labels(spec: &Value) -> BTreeMap<String, String> {
    let pairs = spec.get("Labels").and_then(Value::as_object).into_iter().flatten();
    pairs.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
}

/// The mode of a service: its tasks run forever or to completion, with a given number or one per node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceMode {
    Replicated,
    Global,
    ReplicatedJob,
    GlobalJob,
}

pub fn kind(spec: &Value) -> ServiceMode {
    let is = |mode: &str| at(spec, &["Mode", mode]).is_some();
    match () {
        () if is("Global") => ServiceMode::Global,
        () if is("ReplicatedJob") => ServiceMode::ReplicatedJob,
        () if is("GlobalJob") => ServiceMode::GlobalJob,
        () => ServiceMode::Replicated,
    }
}

/// How many tasks of a job may run concurrently, and how many must complete.
pub fn job(spec: &Value) -> (u64, u64) {
    let number = |key: &str| at(spec, &["Mode", "ReplicatedJob", key]).and_then(Value::as_u64);
    let at_once = number("MaxConcurrent").unwrap_or(1);
    (at_once, number("TotalCompletions").unwrap_or(at_once))
}

pub fn replicas(spec: &Value) -> u64 {
    at(spec, &["Mode", "Replicated", "Replicas"]).and_then(Value::as_u64).unwrap_or(1)
}

/// Ids of the networks of a task template, in order.
pub fn attached(template: &Value) -> impl Iterator<Item = &str> {
    list(template, &["Networks"]).iter().map(|n| text(n, &["Target"])).filter(|t| !t.is_empty())
}

/// The constraints of a task template; invalid ones were rejected before.
pub fn constraints(template: &Value) -> Vec<PlacementConstraint> {
    list(template, &["Placement", "Constraints"]).iter().filter_map(|c| PlacementConstraint::parse(c.as_str()?).ok()).collect()
}

/// How many tasks of the service a node may have; 0 means any number.
pub fn max_replicas(template: &Value) -> u64 {
    at(template, &["Placement", "MaxReplicas"]).and_then(Value::as_u64).unwrap_or(0)
}

pub fn dnsrr(spec: &Value) -> bool {
    text(spec, &["EndpointSpec", "Mode"]) == "dnsrr"
}

/// The ports of an `EndpointSpec` that tasks bind on their nodes: protocol, target, published (0 means any).
pub fn host_ports(endpoint: &Value) -> Vec<(String, u64, u64)> {
    let ports = list(endpoint, &["Ports"]).iter().filter(|p| text(p, &["PublishMode"]) == "host");
    let number = |p: &Value, key: &str| p.get(key).and_then(Value::as_u64).unwrap_or(0);
    ports.map(|p| (text(p, &["Protocol"]).to_owned(), number(p, "TargetPort"), number(p, "PublishedPort"))).collect()
}

/// Whether an `EndpointSpec` publishes through the routing mesh.
pub fn mesh_ports(endpoint: &Value) -> bool {
    list(endpoint, &["Ports"]).iter().any(|p| text(p, &["PublishMode"]) != "host")
}

/// Whether a failed task is restarted, and after how many milliseconds.
pub fn restarts(template: &Value) -> Option<u64> {
    let condition = text(template, &["RestartPolicy", "Condition"]);
    let delay = at(template, &["RestartPolicy", "Delay"]).and_then(Value::as_u64).map_or(5_000, |ns| ns / 1_000_000);
    (condition != "none").then_some(delay)
}

/// The settings of a rolling update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UpdateConfig {
    pub parallelism: usize,
    pub delay: u64,
    pub monitor: u64,
    pub start_first: bool,
    pub action: Action,
    pub max_failure_ratio: f64,
}

/// What happens when an update fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Pause,
    Continue,
    Rollback,
}

/// Reads `UpdateConfig` or `RollbackConfig` with Swarm's defaults.
pub fn update_config(spec: &Value, key: &str) -> UpdateConfig {
    let given = spec.get(key);
    let config = given.unwrap_or(&Value::Null);
    let millis = |field: &str| config.get(field).and_then(Value::as_u64).map(|ns| ns / 1_000_000);
    let parallelism = config.get("Parallelism").and_then(Value::as_u64).unwrap_or(u64::from(given.is_none()));
    UpdateConfig {
        parallelism: usize::try_from(parallelism).ok().filter(|p| *p > 0).unwrap_or(usize::MAX),
        delay: millis("Delay").unwrap_or(0),
        monitor: millis("Monitor").filter(|m| *m > 0).unwrap_or(5_000),
        start_first: text(config, &["Order"]) == "start-first",
        action: match text(config, &["FailureAction"]) {
            "continue" => Action::Continue,
            "rollback" => Action::Rollback,
            _ => Action::Pause,
        },
        max_failure_ratio: config.get("MaxFailureRatio").and_then(Value::as_f64).unwrap_or(0.0),
    }
}
