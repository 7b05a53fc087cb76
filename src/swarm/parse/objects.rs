//! Reads nodes, networks, configs and secrets.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::Value;

use super::field::{created_at, id, items, labels, some_text, text, time, value_at};
use crate::swarm::model::{HELD_BY_OTHERS, HeldByOthers};
use crate::swarm::{Config, Network, Node, Secret, Subnet};
use crate::types::{ConfigId, NetworkId, NodeId, SecretId};

/// Reads one node; `None` without an id.
pub fn node(value: &Value) -> Option<Node> {
    Some(Node {
        id: NodeId(id(value)?),
        hostname: text(value, &["Description", "Hostname"]).to_owned(),
        os: text(value, &["Description", "Platform", "OS"]).to_owned(),
        architecture: text(value, &["Description", "Platform", "Architecture"]).to_owned(),
        docker_release: release(text(value, &["Description", "Engine", "EngineVersion"])),
        state: text(value, &["Status", "State"]).into(),
        availability: text(value, &["Spec", "Availability"]).into(),
        manager: text(value, &["Spec", "Role"]) == "manager",
        labels: labels(value, &["Spec", "Labels"]),
        address: node_address(value),
    })
}

/// `20` of `20.10.24+dfsg1`.
fn release(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

/// A manager advertises its own address. For other nodes, the address that the leader saw is second best; what the leader saw
/// of itself is useless.
fn node_address(value: &Value) -> Option<IpAddr> {
    let advertised = host(text(value, &["ManagerStatus", "Addr"])).filter(usable);
    advertised.or_else(|| host(text(value, &["Status", "Addr"])).filter(usable))
}

fn host(address: &str) -> Option<IpAddr> {
    address.parse::<SocketAddr>().map(|a| a.ip()).or_else(|_| address.parse()).ok()
}

fn usable(address: &IpAddr) -> bool {
    !address.is_unspecified() && !address.is_loopback()
}

/// Reads one network; `None` without an id.
pub fn network(value: &Value) -> Option<Network> {
    Some(Network {
        id: NetworkId(id(value)?),
        name: text(value, &["Name"]).to_owned(),
        driver: text(value, &["Driver"]).to_owned(),
        scope: some_text(value, &["Scope"]).unwrap_or("swarm").to_owned(),
        created_at: time(value, &["Created"]).unwrap_or(Timestamp::UNIX_EPOCH),
        // Engines only check whether the option exists: its value, even `false`, is ignored.
        encrypted: value_at(value, &["Options"]).is_some_and(|options| options.get("encrypted").is_some()),
        internal: value_at(value, &["Internal"]).and_then(Value::as_bool).unwrap_or(false),
        routing_mesh: value_at(value, &["Ingress"]).and_then(Value::as_bool).unwrap_or(false),
        subnets: subnets(value),
        labels: labels(value, &["Labels"]),
        held_by_others: held_by_others(value),
    })
}

/// The address ranges of a network; omits any that cannot be parsed.
pub fn subnets(network: &Value) -> Vec<Subnet> {
    items(network, &["IPAM", "Config"]).iter().filter_map(subnet).collect()
}

fn subnet(config: &Value) -> Option<Subnet> {
    let net = |key: &str| text(config, &[key]).trim().parse::<IpNet>().ok().map(|net| net.trunc());
    let auxiliary = labels(config, &["AuxiliaryAddresses"]);
    Some(Subnet {
        net: net("Subnet")?,
        range: net("IPRange"),
        // Some engines append the prefix length of the subnet.
        gateway: text(config, &["Gateway"]).split('/').next().and_then(|address| address.trim().parse().ok()),
        auxiliary: auxiliary.values().filter_map(|address| address.trim().parse().ok()).collect(),
    })
}

/// What `RawSnapshot::shareable` writes in place of the objects that it omits.
fn held_by_others(network: &Value) -> HeldByOthers {
    let nodes = items(network, &[HELD_BY_OTHERS, "Nodes"]).iter().filter_map(Value::as_str);
    HeldByOthers {
        addresses: value_at(network, &[HELD_BY_OTHERS, "Addresses"]).and_then(Value::as_u64).unwrap_or(0),
        nodes: nodes.map(|id| NodeId(id.to_owned())).collect(),
    }
}

/// Reads the metadata of one config; `None` without an id.
pub fn config(value: &Value) -> Option<Config> {
    Some(Config {
        id: ConfigId(id(value)?),
        name: text(value, &["Spec", "Name"]).to_owned(),
        labels: labels(value, &["Spec", "Labels"]),
        created_at: created_at(value),
    })
}

/// Reads the metadata of one secret; `None` without an id.
pub fn secret(value: &Value) -> Option<Secret> {
    Some(Secret {
        id: SecretId(id(value)?),
        name: text(value, &["Spec", "Name"]).to_owned(),
        labels: labels(value, &["Spec", "Labels"]),
        created_at: created_at(value),
    })
}
