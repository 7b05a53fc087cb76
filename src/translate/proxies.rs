//! Which networks our own proxies of a cluster are attached to, as the snapshot shows it.

use std::collections::BTreeSet;

use crate::channel::contract::{LABEL_CLUSTER, LABEL_OWNER, LABEL_ROLE};
use crate::intent::cluster::Cluster;
use crate::swarm::{Service, Snapshot, Task};
use crate::types::NetworkId;

/// The networks of a cluster's proxies.
#[derive(Debug, Default)]
pub struct Proxies<'a> {
    /// Their service.
    service: Option<&'a Service>,
    /// Those that the proxy service declares.
    declared: BTreeSet<NetworkId>,
    /// Those that every running proxy task has; `None` while none runs.
    everywhere: Option<BTreeSet<NetworkId>>,
}

impl<'a> Proxies<'a> {
    /// Looks for the cluster's proxy service; without one nothing is attached and nothing is known.
    pub fn of(cluster: &Cluster, snapshot: &'a Snapshot) -> Self {
        let named = |service: &&Service| service.name == cluster.proxy.workload.service_name.as_str();
        let ours = || snapshot.services.values().filter(|service| is_proxy_of(cluster, service));
        // Two exist for a moment when the document gives the service another name.
        let Some(service) = ours().find(named).or_else(|| ours().next()) else { return Self::default() };
        let running = snapshot.tasks.values().filter(|task| task.service == service.id && task.state == "running");
        let everywhere = running.map(task_networks).reduce(|all, one| all.intersection(&one).cloned().collect());
        Self { service: Some(service), declared: service.networks.iter().cloned().collect(), everywhere }
    }

    /// Their service, once there is one.
    pub fn service(&self) -> Option<&'a Service> {
        self.service
    }

    /// Whether the proxy service declares the network.
    pub fn declare(&self, network: &NetworkId) -> bool {
        self.declared.contains(network)
    }

    /// Whether every running proxy can reach the network. While no proxy runs there is none that could not.
    pub fn all_reach(&self, network: &NetworkId) -> bool {
        self.everywhere.as_ref().is_none_or(|networks| networks.contains(network))
    }

    /// Whether every running proxy is known to reach the network.
    pub fn all_surely_reach(&self, network: &NetworkId) -> bool {
        self.everywhere.as_ref().is_some_and(|networks| networks.contains(network))
    }
}

fn is_proxy_of(cluster: &Cluster, service: &Service) -> bool {
    let label = |key: &str| service.labels.get(key).map(String::as_str);
    label(LABEL_OWNER).is_some() && label(LABEL_ROLE) == Some("proxy") && label(LABEL_CLUSTER) == Some(cluster.name.as_str())
}

fn task_networks(task: &Task) -> BTreeSet<NetworkId> {
    task.addresses.iter().map(|(network, _)| network.clone()).collect()
}
