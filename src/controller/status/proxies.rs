//! The proxy tasks as Swarm and the extension see them, and the rollouts of our services.

use serde_json::Value;

use super::StatusInput;
use crate::plan::wanted_tasks;
use crate::protocol::messages::{Delivery, ProxyReport};
use crate::report::{ProxyTaskReport, ProxyTaskState, RolloutReport};
use crate::swarm::{Service, Task};
use crate::types::{TaskState, UpdateState};

/// Every proxy task whose desired state is running, by node and id.
pub fn list(seen: &StatusInput<'_>) -> Vec<ProxyTaskReport> {
    let Some(service) = seen.own_service(seen.cluster.proxy.workload.service_name.as_str()) else {
        return Vec::new();
    };
    let tasks = seen.snapshot.tasks.values().filter(|task| task.service == service.id);
    let mut proxies: Vec<ProxyTaskReport> = tasks.map(|task| proxy(seen, service, task)).collect();
    proxies.sort_by(|a, b| (&a.node, &a.task).cmp(&(&b.node, &b.task)));
    proxies
}

/// Whether Swarm reports the proxy as running.
pub fn is_running(proxy: &ProxyTaskReport) -> bool {
    proxy.is_running()
}

/// Whether a proxy resolves endpoints by name, because their addresses have not been confirmed for too long.
pub fn is_on_names(proxy: &ProxyTaskReport) -> bool {
    is_running(proxy) && proxy.is_on_names()
}

/// Whether a proxy is running but its configuration is unknown.
pub fn is_silent(proxy: &ProxyTaskReport) -> bool {
    is_running(proxy) && proxy.up_to_date.is_none()
}

/// The rollouts of the extension and the proxy services.
pub fn rollouts(seen: &StatusInput<'_>) -> Vec<RolloutReport> {
    let names = [&seen.cluster.extension.service_name, &seen.cluster.proxy.workload.service_name];
    names.into_iter().filter_map(|name| seen.own_service(name.as_str())).map(|service| rollout(seen, service)).collect()
}

fn proxy(seen: &StatusInput<'_>, service: &Service, task: &Task) -> ProxyTaskReport {
    let reported = seen.report.and_then(|received| received.report.proxies.iter().find(|proxy| proxy.task == task.id.0));
    let accepted = seen.report.and_then(|received| received.report.accepted.as_ref()).map(|accepted| accepted.config_digest.clone());
    let (running_digest, up_to_date) = match seen.delivery() {
        Delivery::Live => {
            let running = reported.and_then(|proxy| proxy.running.clone());
            let current = running.is_some() && running == accepted;
            // What was reported before the extension fell silent may be outdated.
            (running, reported.filter(|reported| !reported.silent && !seen.extension_is_silent()).map(|_| current))
        }
        // A stock proxy does not report; it runs what is mounted.
        Delivery::Replace => {
            let current = mounts_newest(seen, service, task);
            (accepted.filter(|_| current), Some(current))
        }
    };
    ProxyTaskReport {
        task: task.id.0.clone(),
        node: node_name(seen, task).unwrap_or_default(),
        state: state(task),
        running_digest,
        up_to_date: up_to_date.map(|current| current && task.state == TaskState::Running),
        source: reported.and_then(|proxy| proxy.source.clone()),
        fallbacks: reported.map(|proxy| proxy.fallbacks),
        reloads: reported.map(|proxy| proxy.reloads),
        runtime_changes: reported.map(|proxy| proxy.runtime_changes),
        retiring_workers: reported.map(|proxy| proxy.load.retiring_workers),
        ended_workers: reported.map(|proxy| proxy.load.ended_workers),
        body_spool_bytes: reported.map(|proxy| proxy.load.body_spool),
        rejected: reported.and_then(rejected),
        seen_at: reported.and_then(|proxy| proxy.seen_at),
        activity: None,
        lagging_since: None,
        stuck: false,
    }
}

/// Whether a task mounts the configs of its service's spec, and that spec is as declared.
fn mounts_newest(seen: &StatusInput<'_>, service: &Service, task: &Task) -> bool {
    let configs = |container: Option<&Value>| container.and_then(|container| container.get("Configs")).cloned().unwrap_or(Value::Null);
    let wanted = configs(service.spec.pointer("/TaskTemplate/ContainerSpec"));
    let planned = seen.plan.steps.iter().any(|step| step.name() == service.name);
    !planned && wanted != Value::Null && configs(task.spec.get("ContainerSpec")) == wanted
}

fn rejected(proxy: &ProxyReport) -> Option<String> {
    proxy.rejected.as_ref().map(|refusal| format!("{}: {}", refusal.digest.short(), refusal.message.trim()))
}

/// Swarm's state, with its explanation while the task is not running.
pub fn state(task: &Task) -> ProxyTaskState {
    let why = match (&task.state, task.error.as_str(), task.message.as_str()) {
        (TaskState::Running, "", _) | (_, "", "") => None,
        (_, "", message) => Some(message.to_owned()),
        (_, error, _) => Some(error.to_owned()),
    };
    ProxyTaskState { state: task.state.clone(), why }
}

/// The host name of a task's node.
pub fn node_name(seen: &StatusInput<'_>, task: &Task) -> Option<String> {
    let node = seen.snapshot.nodes.get(task.node.as_ref()?)?;
    Some(node.hostname.clone())
}

fn rollout(seen: &StatusInput<'_>, service: &Service) -> RolloutReport {
    let tasks: Vec<&Task> = seen.snapshot.tasks.values().filter(|task| task.service == service.id).collect();
    let running = tasks.iter().filter(|task| task.state == TaskState::Running).count() as u64;
    let (state, message) = match &service.update_status {
        Some(update) => (update.state.clone(), update.message.clone()),
        None => (UpdateState::NeverUpdated, String::new()),
    };
    RolloutReport { service: service.name.clone(), state, message, running, desired: wanted_tasks(service, seen.snapshot) }
}
