//! The networks that a cluster's proxies are attached to, according to the snapshot.

use std::collections::BTreeSet;

use crate::intent::cluster::Cluster;
use crate::protocol::container_contract::{LABEL_CLUSTER, LABEL_OWNER, LABEL_ROLE, ROLE_PROXY};
use crate::swarm::{Service, Snapshot, Task};
use crate::types::{NetworkId, TaskState};

/// The networks of a cluster's proxies.
#[derive(Debug, Default)]
pub struct ProxyNetworks<'a> {
    /// Their service.
    service: Option<&'a Service>,
    /// The networks that the proxy service declares.
    declared: BTreeSet<NetworkId>,
    /// Each proxy that runs, or is starting on its node.
    present: Vec<Present<'a>>,
}

/// One proxy.
#[derive(Debug)]
struct Present<'a> {
    task: &'a Task,
    networks: BTreeSet<&'a NetworkId>,
}

impl<'a> ProxyNetworks<'a> {
    /// Finds the cluster's proxy service; without one nothing is attached and nothing is known.
    pub fn new(cluster: &Cluster, snapshot: &'a Snapshot) -> Self {
        let named = |service: &&Service| service.name == cluster.proxy.workload.service_name.as_str();
        let ours = || snapshot.services.values().filter(|service| is_proxy_of(cluster, service));
        // Two exist for a moment when the document renames the service.
        let Some(service) = ours().find(named).or_else(|| ours().next()) else { return Self::default() };
        let present = snapshot.tasks.values().filter(|task| task.service == service.id && is_present(task));
        Self { service: Some(service), declared: service.networks.iter().cloned().collect(), present: present.map(Present::of).collect() }
    }

    /// Their service, once there is one.
    pub fn service(&self) -> Option<&'a Service> {
        self.service
    }

    /// Whether the proxy service declares the network.
    pub fn declare(&self, network: &NetworkId) -> bool {
        self.declared.contains(network)
    }

    /// Whether every proxy that could be asked for an address on the network has an interface there: the service declares
    /// the network, so the next proxy will have it, and every present proxy has it. Before there is a service there are no
    /// proxies, and the first ones get the networks that are needed.
    pub fn all_reach(&self, network: &NetworkId) -> bool {
        self.service.is_none() || self.all_surely_reach(network)
    }

    /// Whether there are proxies, or could be at once, all of which have the network.
    pub fn all_surely_reach(&self, network: &NetworkId) -> bool {
        self.declare(network) && self.without(network).next().is_none()
    }

    /// Which proxies keep endpoints on the network from being used, as text.
    pub fn missing_reason(&self, network: &NetworkId, network_name: &str, snapshot: &Snapshot) -> String {
        let lacking: Vec<&Task> = self.without(network).collect();
        let node = |task: &Task| task.node.as_ref().and_then(|id| snapshot.nodes.get(id)).map(|node| node.hostname.clone());
        match (lacking.len(), lacking.iter().find_map(|task| node(task))) {
            (1, Some(node)) if self.present.len() > 1 => format!("the proxy on {node} is not attached to the network {network_name} yet"),
            (more, Some(node)) if more > 1 && more < self.present.len() => {
                format!("{more} proxies, one of them on {node}, are not attached to the network {network_name} yet")
            }
            _ => format!("the proxies are not attached to the network {network_name} yet"),
        }
    }

    fn without(&self, network: &NetworkId) -> impl Iterator<Item = &'a Task> {
        self.present.iter().filter(move |proxy| !proxy.networks.contains(network)).map(|proxy| proxy.task)
    }
}

impl<'a> Present<'a> {
    fn of(task: &'a Task) -> Self {
        Self { task, networks: task.addresses.iter().map(|(network, _)| network).collect() }
    }
}

/// Whether the proxy gets requests, or may do so in a moment. A proxy that is asked to stop is no longer wanted; one without
/// a node will not start at once; and one that has ended gets a successor with the networks that the service declares.
fn is_present(task: &Task) -> bool {
    matches!(
        task.state,
        TaskState::Assigned | TaskState::Accepted | TaskState::Preparing | TaskState::Ready | TaskState::Starting | TaskState::Running
    )
}

fn is_proxy_of(cluster: &Cluster, service: &Service) -> bool {
    let label = |key: &str| service.labels.get(key).map(String::as_str);
    label(LABEL_OWNER).is_some() && label(LABEL_ROLE) == Some(ROLE_PROXY) && label(LABEL_CLUSTER) == Some(cluster.name.as_str())
}
