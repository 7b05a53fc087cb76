//! Reads nodes, networks, configs and secrets.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::field::{at, created_at, id, labels, text};
use crate::swarm::{Config, Network, Node, Secret};
use crate::types::{ConfigId, NetworkId, NodeId, SecretId};

/// Reads one node; none without an id.
pub fn node(value: &Value) -> Option<Node> {
    Some(Node {
        id: NodeId(id(value)?),
        hostname: text(value, &["Description", "Hostname"]).to_owned(),
        os: text(value, &["Description", "Platform", "OS"]).to_owned(),
        architecture: text(value, &["Description", "Platform", "Architecture"]).to_owned(),
        docker_release: release(text(value, &["Description", "Engine", "EngineVersion"])),
        state: text(value, &["Status", "State"]).to_owned(),
        availability: text(value, &["Spec", "Availability"]).to_owned(),
        manager: text(value, &["Spec", "Role"]) == "manager",
        labels: labels(value, &["Spec", "Labels"]),
        address: node_address(value),
    })
}

/// `20` of `20.10.24+dfsg1`.
fn release(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

/// A manager says its address itself. What the leader saw of the others is second best, and of itself is useless.
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

/// Reads one network; none without an id.
pub fn network(value: &Value) -> Option<Network> {
    Some(Network {
        id: NetworkId(id(value)?),
        name: text(value, &["Name"]).to_owned(),
        driver: text(value, &["Driver"]).to_owned(),
        // Engines look for the option only: its value, `false` included, says nothing.
        encrypted: at(value, &["Options"]).is_some_and(|options| options.get("encrypted").is_some()),
        routing_mesh: at(value, &["Ingress"]).and_then(Value::as_bool).unwrap_or(false),
        labels: labels(value, &["Labels"]),
    })
}

/// Reads one config object; none without an id. Content that is not base64 reads as empty.
pub fn config(value: &Value) -> Option<Config> {
    Some(Config {
        id: ConfigId(id(value)?),
        name: text(value, &["Spec", "Name"]).to_owned(),
        labels: labels(value, &["Spec", "Labels"]),
        created_at: created_at(value),
        data: STANDARD.decode(text(value, &["Spec", "Data"])).unwrap_or_default(),
    })
}

/// Reads one secret's metadata; none without an id.
pub fn secret(value: &Value) -> Option<Secret> {
    Some(Secret {
        id: SecretId(id(value)?),
        name: text(value, &["Spec", "Name"]).to_owned(),
        labels: labels(value, &["Spec", "Labels"]),
        created_at: created_at(value),
    })
}
