//! Reads a task. Omits addresses on Swarm's routing-mesh network: a proxy must never use them.

use ipnet::IpNet;
use serde_json::Value;

use super::endpoint;
use super::field::{created_at, id, items, some_text, text, time, value_at};
use crate::swarm::Task;
use crate::types::{NetworkId, NodeId, ServiceId, TaskId};

/// Reads one task as returned by `GET /tasks`; `None` without an id.
pub fn read(value: &Value) -> Option<Task> {
    Some(Task {
        id: TaskId(id(value)?),
        service: ServiceId(text(value, &["ServiceID"]).to_owned()),
        node: some_text(value, &["NodeID"]).map(|n| NodeId(n.to_owned())),
        state: text(value, &["Status", "State"]).into(),
        message: text(value, &["Status", "Message"]).to_owned(),
        error: text(value, &["Status", "Err"]).to_owned(),
        created_at: created_at(value),
        state_since: time(value, &["Status", "Timestamp"]),
        addresses: items(value, &["NetworksAttachments"]).iter().flat_map(addresses).collect(),
        host_ports: endpoint::ports(items(value, &["Status", "PortStatus", "Ports"])),
        on_host_network: items(value, &["NetworksAttachments"]).iter().any(is_host),
        spec: value.get("Spec").cloned().unwrap_or(Value::Null),
    })
}

/// Whether an attachment is to the node's own network. That network is in no list of networks and has no address; no other
/// network with this driver can be created in a Swarm.
fn is_host(attachment: &Value) -> bool {
    [&["Network", "DriverState", "Name"][..], &["Network", "Spec", "DriverConfiguration", "Name"]]
        .iter()
        .any(|path| text(attachment, path) == "host")
}

/// The addresses of one attachment, each with its prefix; an address without a prefix is read as a single host.
fn addresses(attachment: &Value) -> Vec<(NetworkId, IpNet)> {
    let mesh = value_at(attachment, &["Network", "Spec", "Ingress"]).and_then(Value::as_bool).unwrap_or(false);
    let Some(network) = some_text(attachment, &["Network", "ID"]).filter(|_| !mesh) else { return Vec::new() };
    let parsed = items(attachment, &["Addresses"]).iter().filter_map(Value::as_str).filter_map(net);
    parsed.map(|address| (NetworkId(network.to_owned()), address)).collect()
}

fn net(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse().ok().map(|host: std::net::IpAddr| IpNet::from(host)))
}
