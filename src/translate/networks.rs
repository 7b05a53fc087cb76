//! The way on which the proxies reach a service: a network, or ports of its tasks' nodes. Never Swarm's routing mesh, never our control network, never one
//! outside the cluster's closed list; never "the first one".

use std::collections::BTreeSet;

use super::World;
use super::node_ports::{self, BRIDGE};
use super::published::{Published, label_key, stack_of};
use crate::channel::contract::{CONTROL_NETWORK, LABEL_OWNER};
use crate::intent::cluster::Cluster;
use crate::report::{Finding, FindingCode, Severity};
use crate::swarm::{Network, Service, Snapshot};
use crate::types::NetworkId;

/// The networks of the closed list that exist, if the cluster has such a list.
pub fn closed_list(cluster: &Cluster, snapshot: &Snapshot) -> Option<BTreeSet<NetworkId>> {
    let names = cluster.networks.as_ref()?;
    let listed = |network: &&Network| names.iter().any(|name| name.as_str() == network.name);
    Some(snapshot.networks.values().filter(listed).map(|network| network.id.clone()).collect())
}

/// Whether traffic to applications may use the network at all.
pub fn is_usable(world: &World<'_>, id: &NetworkId) -> bool {
    world.snapshot.networks.get(id).is_some_and(is_application_network) && world.closed_list.as_ref().is_none_or(|list| list.contains(id))
}

/// How a service is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Over this network.
    Network(NetworkId),
    /// At ports that its tasks publish on their nodes.
    Nodes,
    /// Not at all.
    Nowhere,
}

impl Way {
    /// The network, if it is one.
    pub fn network(&self) -> Option<&NetworkId> {
        if let Self::Network(id) = self { Some(id) } else { None }
    }
}

/// The way to a service, with a finding when there is none or another one than its label says. Ports of nodes are the way
/// of a service that has no usable network, and of one whose label says so.
pub fn choose(world: &World<'_>, published: &Published<'_>, findings: &mut Vec<Finding>) -> Way {
    let attached = attached_networks(world, published.service);
    let usable: Vec<_> = attached.iter().copied().filter(|network| is_usable(world, &network.id)).collect();
    let label = published.labels.network.as_deref();
    let on_nodes = node_ports::are_published(published);
    match (label, preferred(world, &usable)) {
        (Some(BRIDGE), _) | (None, None) if on_nodes => Way::Nodes,
        (Some(label), None) if on_nodes => {
            findings.push(not_found(published, label, &attached, "its ports on the nodes are used"));
            Way::Nodes
        }
        (_, None) => {
            findings.push(unreachable(world, published, &attached));
            Way::Nowhere
        }
        (Some(BRIDGE), Some(network)) => {
            findings.push(node_ports::none_published(published, Severity::Warning, &format!("the network {} is used", network.name)));
            Way::Network(network.id.clone())
        }
        (Some(label), Some(network)) => Way::Network(named(published, label, &attached, &usable, network, findings)),
        (None, Some(network)) => {
            findings.extend((usable.len() > 1).then(|| ambiguous(published, &usable, network)));
            Way::Network(network.id.clone())
        }
    }
}

/// The network that the label names, else the preferred one with a finding.
fn named(
    published: &Published<'_>,
    label: &str,
    attached: &[&Network],
    usable: &[&Network],
    preferred: &Network,
    findings: &mut Vec<Finding>,
) -> NetworkId {
    if let Some(network) = labelled(published.service, label, usable) {
        return network.id.clone();
    }
    findings.push(not_found(published, label, attached, &format!("{} is used", preferred.name)));
    preferred.id.clone()
}

/// The networks of a service that applications use; very old services name them instead of giving ids.
fn attached_networks<'a>(world: &World<'a>, service: &Service) -> Vec<&'a Network> {
    let networks = &world.snapshot.networks;
    let find = |id: &NetworkId| networks.get(id).or_else(|| networks.values().find(|network| network.name == id.0));
    let mut found: Vec<_> = service.networks.iter().filter_map(find).filter(|network| is_application_network(network)).collect();
    found.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    found.dedup_by(|a, b| a.id == b.id);
    found
}

fn is_application_network(network: &Network) -> bool {
    let of_one_node = matches!(network.driver.as_str(), "host" | "bridge" | "null");
    let control = network.name == CONTROL_NETWORK || network.labels.contains_key(LABEL_OWNER);
    !network.routing_mesh && !of_one_node && !control
}

/// By id, by name, or by the name that the stack file uses.
fn labelled<'a>(service: &Service, label: &str, usable: &[&'a Network]) -> Option<&'a Network> {
    let find = |name: &str| usable.iter().copied().find(|network| network.name == name);
    let in_stack = || stack_of(service).and_then(|stack| find(&format!("{stack}_{label}")));
    usable.iter().copied().find(|network| network.id.0 == label).or_else(|| find(label)).or_else(in_stack)
}

/// One that the proxies have already, else the first by name: the same at every pass, and no needless replacement.
fn preferred<'a>(world: &World<'_>, usable: &[&'a Network]) -> Option<&'a Network> {
    usable.iter().copied().find(|network| world.proxies.declare(&network.id)).or_else(|| usable.first().copied())
}

fn names(networks: &[&Network]) -> String {
    networks.iter().map(|network| network.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn unreachable(world: &World<'_>, published: &Published<'_>, attached: &[&Network]) -> Finding {
    if world.cluster.networks.is_some() && !attached.is_empty() {
        let message = format!(
            "the service has only the networks {}, and none of them is in the cluster's closed list; its hosts answer 503",
            names(attached)
        );
        let remedy = "Attach the service to one of the cluster's networks, or add its network to spec.networks.";
        return Finding::new(Severity::Error, FindingCode::UnreachableNetwork, published.subject(), message, remedy);
    }
    if published.labels.network.as_deref() == Some(BRIDGE) || published.service.ports.iter().any(|port| port.host_mode) {
        return node_ports::none_published(published, Severity::Error, "its hosts answer 503");
    }
    let message = "the service has no overlay network, and publishes no port on its nodes; its hosts answer 503";
    let remedy = "Attach the service to an overlay network, or publish its port in host mode.";
    Finding::new(Severity::Error, FindingCode::UnreachableNetwork, published.subject(), message, remedy)
}

fn not_found(published: &Published<'_>, label: &str, attached: &[&Network], instead: &str) -> Finding {
    let has = if attached.is_empty() { "none".to_owned() } else { names(attached) };
    let message = format!("no usable network of the service has this name (it has {has}); {instead}");
    let remedy = "Write the network's full name as `docker network ls` shows it.";
    Finding::new(Severity::Warning, FindingCode::NetworkNotFound, published.subject(), message, remedy).at(label_key("network"), label)
}

fn ambiguous(published: &Published<'_>, usable: &[&Network], used: &Network) -> Finding {
    let message = format!("the service has several networks ({}) and no label chooses one; {} is used", names(usable), used.name);
    let remedy = format!("Set {} to the network that the proxies share with the service.", label_key("network"));
    Finding::new(Severity::Warning, FindingCode::AmbiguousNetwork, published.subject(), message, remedy)
}
