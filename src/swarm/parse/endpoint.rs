//! Reads published ports and virtual IPs. A port that is out of range is omitted, never wrapped.

use serde_json::Value;

use super::field::{items, some_text, text, value_at};
use crate::swarm::{PublishedPort, VirtualIp};
use crate::types::NetworkId;

/// The published ports of a list of `PortConfig` or `PortStatus`, in its order, without duplicates (Swarm reports IPv4 and IPv6
/// separately).
pub fn ports(list: &[Value]) -> Vec<PublishedPort> {
    let mut ports: Vec<PublishedPort> = Vec::with_capacity(list.len());
    for port in list.iter().filter_map(port) {
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    ports
}

fn port(value: &Value) -> Option<PublishedPort> {
    Some(PublishedPort {
        protocol: some_text(value, &["Protocol"]).unwrap_or("tcp").to_owned(),
        target: number(value, "TargetPort")?,
        published: number(value, "PublishedPort")?,
        host_mode: text(value, &["PublishMode"]) == "host",
    })
}

/// A port number; 0 if absent, `None` if it is not a valid port.
fn number(value: &Value, key: &str) -> Option<u16> {
    value_at(value, &[key]).map_or(Some(0), |n| n.as_u64().and_then(|n| u16::try_from(n).ok()))
}

/// The virtual IPs of a service, sorted by network (their order in the API is not stable).
pub fn virtual_ips(service: &Value) -> Vec<VirtualIp> {
    let mut ips: Vec<VirtualIp> = items(service, &["Endpoint", "VirtualIPs"]).iter().filter_map(virtual_ip).collect();
    ips.sort_by(|a, b| (&a.network, a.address).cmp(&(&b.network, b.address)));
    ips
}

fn virtual_ip(value: &Value) -> Option<VirtualIp> {
    let address = text(value, &["Addr"]);
    let address = address.split_once('/').map_or(address, |(host, _)| host);
    Some(VirtualIp { network: NetworkId(some_text(value, &["NetworkID"])?.to_owned()), address: address.parse().ok()? })
}
