//! Which address leads to which tasks, computed from Docker API responses. Pure: it must never do I/O.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// One service address on one overlay network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vip {
    pub address: String,
    pub tasks: Vec<String>,
}

/// One routing-mesh port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MeshPort {
    pub protocol: String,
    pub published: u64,
    pub target: u64,
    pub tasks: Vec<String>,
}

/// All the inputs of load balancing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BalancingPlan {
    /// By network id.
    pub networks: BTreeMap<String, Vec<Vip>>,
    pub ports: Vec<MeshPort>,
}

type NodeAddresses = BTreeMap<(String, String), Vec<String>>;

impl BalancingPlan {
    /// Parses the lists of services, of tasks whose desired state is running, and of overlay networks.
    pub fn of(services: &Value, tasks: &Value, networks: &Value) -> Self {
        let overlay: BTreeSet<_> = list(networks).map(|network| text(&network["Id"])).collect();
        let mesh = list(networks).find(|network| network["Ingress"] == true).map(|network| text(&network["Id"]));
        let running = addresses_of_running_tasks(tasks);
        let mut ordered: Vec<_> = list(services).collect();
        ordered.sort_by_key(|service| text(&service["ID"]));
        let mut plan = Self::default();
        for service in ordered {
            for vip in list(&service["Endpoint"]["VirtualIPs"]) {
                let network = text(&vip["NetworkID"]);
                let tasks = running.get(&(text(&service["ID"]), network.clone())).cloned().unwrap_or_default();
                if Some(&network) == mesh.as_ref() {
                    plan.ports.extend(mesh_ports(service, &tasks));
                } else if overlay.contains(&network) && vip["Addr"].is_string() {
                    plan.networks.entry(network).or_default().push(Vip { address: without_mask(&vip["Addr"]), tasks });
                }
            }
        }
        plan
    }
}

fn mesh_ports(service: &Value, tasks: &[String]) -> Vec<MeshPort> {
    let through_mesh = list(&service["Endpoint"]["Ports"]).filter(|port| port["PublishMode"] == "ingress");
    let read = |port: &Value| MeshPort {
        protocol: text(&port["Protocol"]),
        published: port["PublishedPort"].as_u64().unwrap_or_default(),
        target: port["TargetPort"].as_u64().unwrap_or_default(),
        tasks: tasks.to_vec(),
    };
    through_mesh.map(read).collect()
}

fn addresses_of_running_tasks(tasks: &Value) -> NodeAddresses {
    let mut found = NodeAddresses::new();
    for task in list(tasks).filter(|task| task["Status"]["State"] == "running") {
        for attachment in list(&task["NetworksAttachments"]) {
            let key = (text(&task["ServiceID"]), text(&attachment["Network"]["ID"]));
            found.entry(key).or_default().extend(list(&attachment["Addresses"]).map(without_mask));
        }
    }
    for addresses in found.values_mut() {
        addresses.sort();
    }
    found
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn without_mask(value: &Value) -> String {
    value.as_str().unwrap_or_default().split('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_vip_leads_to_the_running_tasks_of_its_service_and_network() {
        let services = json!([{"ID": "s", "Endpoint": {
            "Ports": [{"Protocol": "tcp", "PublishedPort": 80, "TargetPort": 8080, "PublishMode": "ingress"}, {"PublishMode": "host"}],
            "VirtualIPs": [{"NetworkID": "mesh", "Addr": "10.0.0.5/24"}, {"NetworkID": "app", "Addr": "10.0.1.5/24"}],
        }}]);
        let task = |state: &str, last: u8| {
            json!({"ServiceID": "s", "Status": {"State": state}, "NetworksAttachments": [
                {"Network": {"ID": "mesh"}, "Addresses": [format!("10.0.0.{last}/24")]},
                {"Network": {"ID": "app"}, "Addresses": [format!("10.0.1.{last}/24")]},
            ]})
        };
        let tasks = json!([task("running", 9), task("starting", 8), task("running", 7)]);
        let networks = json!([{"Id": "mesh", "Ingress": true}, {"Id": "app", "Ingress": false}]);
        let plan = BalancingPlan::of(&services, &tasks, &networks);
        assert_eq!(plan.networks["app"], [Vip { address: "10.0.1.5".into(), tasks: vec!["10.0.1.7".into(), "10.0.1.9".into()] }]);
        assert_eq!(plan.ports.len(), 1);
        assert_eq!(plan.ports[0].tasks, ["10.0.0.7", "10.0.0.9"]);
    }
}
