//! Separates the Swarm's networks from those that only one node still knows. `GET /networks` answers 200 in two cases in which
//! the answer is wrong (`docs/decisions/network-list-without-leader.md`); neither answer may reach a snapshot. Node-local data
//! that a snapshot needs is requested rarely.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::error::unavailable;
use crate::swarm::{GATEWAY_BRIDGE, SwarmError};

/// The fields of a node-local network that a snapshot needs. Everything else about it changes with every container.
const KEPT_OF_THE_BRIDGE: [&str; 5] = ["Id", "Name", "Driver", "Scope", "IPAM"];

/// How long the answer about a node's bridge stays valid: the bridge changes only while no container is on it.
const BRIDGE_KEPT_FOR: Duration = Duration::from_secs(60);

/// What the answering node last reported about its bridge.
pub struct KnownBridge {
    requested_at: Instant,
    /// The ids of the Swarm's networks at that time: if they change, the bridge is requested again.
    swarm_networks: BTreeSet<String>,
    /// The bridge.
    pub last_bridge: Vec<Value>,
}

impl KnownBridge {
    /// The bridge as requested at `requested_at`, beside these networks of the Swarm. `None` if the bridge does not exist yet.
    pub fn new(requested_at: Instant, swarm_networks: &[Value], last_bridge: Vec<Value>) -> Option<Self> {
        (!last_bridge.is_empty()).then(|| Self { requested_at, swarm_networks: ids_of(swarm_networks), last_bridge })
    }

    /// Whether it is still valid.
    pub fn is_current(&self, swarm_networks: &[Value]) -> bool {
        self.requested_at.elapsed() < BRIDGE_KEPT_FOR && self.swarm_networks == ids_of(swarm_networks)
    }
}

fn ids_of(networks: &[Value]) -> BTreeSet<String> {
    networks.iter().filter_map(|network| network["Id"].as_str()).map(str::to_owned).collect()
}

/// The networks of the Swarm. Networks that only this node still lists were removed; if the routing mesh is among them, the
/// answer did not come from the managers at all.
pub fn of_the_swarm(list: Vec<Value>) -> Result<Vec<Value>, SwarmError> {
    let mesh = |network: &Value| network.get("Ingress").and_then(Value::as_bool).unwrap_or(false);
    if list.iter().any(|n| mesh(n) && from_this_node(n)) {
        return Err(unavailable(
            "list networks",
            "the answer contains only this node's networks, which happens while the Swarm has no leader",
        ));
    }
    Ok(list.into_iter().filter(|n| !from_this_node(n)).collect())
}

/// The answering node's `docker_gwbridge`, out of the networks whose names contain that word, without the fields that change
/// with each container.
pub fn gateway_bridge(list: Vec<Value>) -> impl Iterator<Item = Value> {
    let is_it = |n: &Value| n["Name"] == GATEWAY_BRIDGE && n["Scope"] == "local";
    let kept = |n: Value| KEPT_OF_THE_BRIDGE.iter().map(|key| ((*key).to_owned(), n[*key].clone())).collect();
    list.into_iter().filter(is_it).map(kept)
}

/// Only a node's own answer contains containers and peers; the managers' answer has neither.
fn from_this_node(network: &Value) -> bool {
    let peers = network.get("Peers").and_then(Value::as_array).is_some_and(|p| !p.is_empty());
    peers || network.get("Containers").is_some_and(Value::is_object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ids(list: Value) -> Result<Vec<String>, String> {
        let list = serde_json::from_value(list).unwrap();
        of_the_swarm(list).map(|l| l.iter().map(|n| n["Id"].as_str().unwrap().to_owned()).collect()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_removed_network_that_the_node_still_lists_is_left_out() {
        let mesh = json!({"Id": "mesh", "Ingress": true, "Containers": null});
        let live = json!({"Id": "live", "Ingress": false, "Containers": null});
        let removed = json!({"Id": "gone", "Ingress": false, "Containers": {}, "Peers": [{"Name": "x", "IP": "198.18.0.11"}]});
        assert_eq!(ids(json!([removed, mesh, live])), Ok(vec!["mesh".to_owned(), "live".to_owned()]));
    }

    #[test]
    fn a_list_of_only_this_nodes_networks_is_an_error() {
        let mesh = json!({"Id": "mesh", "Ingress": true, "Containers": {}, "Peers": [{"Name": "x", "IP": "198.18.0.11"}]});
        assert!(ids(json!([mesh])).unwrap_err().contains("no leader"));
    }

    #[test]
    fn only_stable_fields_of_the_bridge_are_kept() {
        let ipam = json!({"Config": [{"Subnet": "172.18.0.0/16"}]});
        let bridge =
            json!({"Id": "b", "Name": "docker_gwbridge", "Driver": "bridge", "Scope": "local", "IPAM": ipam, "Containers": {"c": {}}});
        let others =
            [json!({"Name": "my_docker_gwbridge", "Scope": "local"}), json!({"Name": "docker_gwbridge", "Scope": "swarm"}), json!(7)];
        let kept: Vec<Value> = gateway_bridge([vec![bridge], others.to_vec()].concat()).collect();
        assert_eq!(kept, [json!({"Id": "b", "Name": "docker_gwbridge", "Driver": "bridge", "Scope": "local", "IPAM": ipam})]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bridge_is_requested_again_after_a_while_and_when_networks_change() {
        let networks = |ids: &[&str]| ids.iter().map(|id| json!({"Id": id})).collect::<Vec<_>>();
        assert!(KnownBridge::new(Instant::now(), &networks(&["a"]), vec![]).is_none(), "it may appear later");
        let known = KnownBridge::new(Instant::now(), &networks(&["a", "b"]), vec![json!({"Id": "bridge"})]).unwrap();
        assert!(known.is_current(&networks(&["b", "a"])));
        assert!(!known.is_current(&networks(&["a", "b", "new"])) && !known.is_current(&networks(&["a"])));
        tokio::time::advance(BRIDGE_KEPT_FOR).await;
        assert!(!known.is_current(&networks(&["a", "b"])));
    }

    #[test]
    fn a_swarm_without_networks_is_valid() {
        assert_eq!(ids(json!([])), Ok(vec![]));
    }
}
