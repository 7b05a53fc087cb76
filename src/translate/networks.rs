//! The network over which the proxies reach a service. Never Swarm's routing mesh, never our control network, never one
//! outside the cluster's closed list; never "the first one".

use std::collections::BTreeSet;

use super::World;
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

/// The network for a service, or `None` with a finding when there is no usable one.
pub fn choose(world: &World<'_>, published: &Published<'_>, findings: &mut Vec<Finding>) -> Option<NetworkId> {
    let attached = attached_networks(world, published.service);
    let usable: Vec<_> = attached.iter().copied().filter(|network| is_usable(world, &network.id)).collect();
    if usable.is_empty() {
        findings.push(unreachable(world, published, &attached));
        return None;
    }
    if let Some(label) = &published.labels.network {
        if let Some(network) = labelled(published.service, label, &usable) {
            return Some(network.id.clone());
        }
        let network = preferred(world, &usable)?;
        findings.push(not_found(published, label, &attached, network));
        return Some(network.id.clone());
    }
    let network = preferred(world, &usable)?;
    if usable.len() > 1 {
        findings.push(ambiguous(published, &usable, network));
    }
    Some(network.id.clone())
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
    let (message, remedy) = match &world.cluster.networks {
        Some(_) if !attached.is_empty() => (
            format!("the service has only the networks {}, and none of them is in the cluster's closed list", names(attached)),
            "Attach the service to one of the cluster's networks, or add its network to spec.networks.",
        ),
        _ => (no_overlay(published.service), "Attach the service to an overlay network."),
    };
    let message = format!("{message}; its hosts answer 503");
    Finding::new(Severity::Error, FindingCode::UnreachableNetwork, published.subject(), message, remedy)
}

fn no_overlay(service: &Service) -> String {
    if service.ports.iter().any(|port| port.host_mode) {
        return "the service has no overlay network, and ports published in host mode are not used yet".to_owned();
    }
    "the service has no overlay network".to_owned()
}

fn not_found(published: &Published<'_>, label: &str, attached: &[&Network], used: &Network) -> Finding {
    let message = format!("no usable network of the service has this name (it has {}); {} is used", names(attached), used.name);
    let remedy = "Write the network's full name as `docker network ls` shows it.";
    Finding::new(Severity::Warning, FindingCode::NetworkNotFound, published.subject(), message, remedy).at(label_key("network"), label)
}

fn ambiguous(published: &Published<'_>, usable: &[&Network], used: &Network) -> Finding {
    let message = format!("the service has several networks ({}) and no label chooses one; {} is used", names(usable), used.name);
    let remedy = format!("Set {} to the network that the proxies share with the service.", label_key("network"));
    Finding::new(Severity::Warning, FindingCode::AmbiguousNetwork, published.subject(), message, remedy)
}
