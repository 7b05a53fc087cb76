//! Reads a service. Keeps its spec complete and unchanged: an update replaces the whole spec, so nothing may be lost here.

use serde_json::Value;

use super::endpoint;
use super::field::{created_at, id, items, labels, some_text, text, time, value_at};
use crate::swarm::{PublishedPort, Service, UpdateStatus};
use crate::types::{NetworkId, ServiceId};

/// Reads one service as returned by `GET /services`; `None` without an id.
pub fn read(value: &Value) -> Option<Service> {
    let spec = value.get("Spec").unwrap_or(&Value::Null);
    Some(Service {
        id: ServiceId(id(value)?),
        name: text(spec, &["Name"]).to_owned(),
        version: value_at(value, &["Version", "Index"]).and_then(Value::as_u64).unwrap_or(0),
        created_at: created_at(value),
        labels: labels(spec, &["Labels"]),
        spec: spec.clone(),
        previous_spec: value.get("PreviousSpec").filter(|s| s.is_object()).cloned(),
        networks: networks(spec),
        vip_mode: text(spec, &["EndpointSpec", "Mode"]) != "dnsrr",
        virtual_ips: endpoint::virtual_ips(value),
        ports: ports(value, spec),
        replicas: replicas(spec),
        update_status: update_status(value),
    })
}

/// The networks of the task template; the deprecated ones of the service if the template has none.
fn networks(spec: &Value) -> Vec<NetworkId> {
    let modern = items(spec, &["TaskTemplate", "Networks"]);
    let attached = if modern.is_empty() { items(spec, &["Networks"]) } else { modern };
    attached.iter().filter_map(|n| some_text(n, &["Target"])).map(|t| NetworkId(t.to_owned())).collect()
}

/// The ports as Swarm assigned them, else the requested ports.
fn ports(value: &Value, spec: &Value) -> Vec<PublishedPort> {
    let given = items(value, &["Endpoint", "Ports"]);
    endpoint::ports(if given.is_empty() { items(spec, &["EndpointSpec", "Ports"]) } else { given })
}

/// The desired replicas: Swarm's default is 1; global services and jobs have no such number.
fn replicas(spec: &Value) -> Option<u64> {
    let counted = |mode: &Value| mode.get("Replicated").map_or(mode.as_object().is_none_or(serde_json::Map::is_empty), |_| true);
    let mode = spec.get("Mode").unwrap_or(&Value::Null);
    counted(mode).then(|| value_at(mode, &["Replicated", "Replicas"]).and_then(Value::as_u64).unwrap_or(1))
}

/// The state of the last update; Swarm may send an empty object if there was no update.
fn update_status(value: &Value) -> Option<UpdateStatus> {
    let status = value.get("UpdateStatus")?;
    Some(UpdateStatus {
        state: some_text(status, &["State"])?.into(),
        message: text(status, &["Message"]).to_owned(),
        started_at: time(status, &["StartedAt"]),
        completed_at: time(status, &["CompletedAt"]),
    })
}
