//! Applications that are reached on their tasks' nodes: at the node's address and the port that the task actually has there
//! (host mode). Ports are matched by the container port, which the label `port` specifies; never by the published port.

use std::collections::{BTreeMap, BTreeSet};

use super::TranslationContext;
use super::published_service::{PublishedService, label_key};
use crate::report::{Finding, FindingCase, Severity, Subject, cases};
use crate::route::Endpoint;
use crate::swarm::{NODE_ADDRESS_LABEL, PublishedPort, Snapshot, Task};
use crate::types::{NodeId, Port, ServiceId};

/// The value of the label `network` for ports published on nodes.
const BRIDGE: &str = "bridge";

/// The value of the label `network` for the host network.
const HOST: &str = "host";

/// Whether a label `network` asks for ports that the service publishes on its nodes. The case does not matter: Docker has
/// only one such word.
pub fn selects_bridge(label: Option<&str>) -> bool {
    label.is_some_and(|label| label.eq_ignore_ascii_case(BRIDGE))
}

/// Whether a label `network` asks for the host network, in any case.
pub fn selects_host_network(label: Option<&str>) -> bool {
    label.is_some_and(|label| label.eq_ignore_ascii_case(HOST))
}

/// Whether the service's tasks use the host network. Only tasks show that, so a service without tasks and on an unlisted
/// network may use it.
pub fn are_on_host_network(context: &TranslationContext<'_>, published: &PublishedService<'_>) -> bool {
    let unlisted = || published.service.networks.iter().any(|id| context.network_named(id).is_none());
    tasks_are_on_host_network(context, published) || (context.tasks_of(&published.service.id).is_empty() && unlisted())
}

/// Whether a task of the service is known to be on the host network.
pub fn tasks_are_on_host_network(context: &TranslationContext<'_>, published: &PublishedService<'_>) -> bool {
    context.tasks_of(&published.service.id).iter().any(|task| task.on_host_network)
}

/// Ports of nodes and their owners: a task on the host network cannot have these, although its service's label says so.
#[derive(Debug, Default)]
pub struct TakenPorts<'a> {
    /// Published through the routing mesh: on every node.
    everywhere: BTreeMap<u16, BTreeSet<&'a ServiceId>>,
    /// Bound by tasks in host mode.
    on_node: BTreeMap<(&'a NodeId, u16), BTreeSet<&'a ServiceId>>,
    /// Of the services with tasks on the host network and the same port in their labels, the first one.
    by_label: BTreeMap<(&'a NodeId, u16), &'a ServiceId>,
}

impl<'a> TakenPorts<'a> {
    /// Searches the Swarm, if any task is on the host network at all. `services` is ordered by age.
    pub fn new(snapshot: &'a Snapshot, services: &[PublishedService<'a>]) -> Self {
        let mut taken = Self::default();
        if !snapshot.tasks.values().any(|task| task.on_host_network) {
            return taken;
        }
        for service in snapshot.services.values() {
            for port in service.ports.iter().filter(|port| !port.host_mode && port.protocol == "tcp") {
                taken.everywhere.entry(port.published).or_default().insert(&service.id);
            }
        }
        let selected: BTreeMap<&ServiceId, (usize, u16)> =
            services.iter().enumerate().map(|(age, one)| (&one.service.id, (age, one.labels.port.get()))).collect();
        let mut claims = Vec::new();
        for (task, node) in snapshot.tasks.values().filter_map(|task| Some((task, task.node.as_ref()?))) {
            for port in task.host_ports.iter().filter(|port| port.protocol == "tcp") {
                taken.on_node.entry((node, port.published)).or_default().insert(&task.service);
            }
            claims
                .extend(selected.get(&task.service).filter(|_| task.on_host_network).map(|(age, port)| (*age, node, *port, &task.service)));
        }
        claims.sort();
        for (_, node, port, service) in claims {
            taken.by_label.entry((node, port)).or_insert(service);
        }
        taken
    }

    /// Whether, according to Swarm or an older service, the port of this node belongs to another service.
    fn is_others(&self, service: &ServiceId, node: &'a NodeId, port: u16) -> bool {
        let others = |of: Option<&BTreeSet<&ServiceId>>| of.is_some_and(|of| of.iter().any(|other| *other != service));
        others(self.everywhere.get(&port))
            || others(self.on_node.get(&(node, port)))
            || self.by_label.get(&(node, port)).is_some_and(|first| *first != service)
    }
}

/// Whether the service publishes the port of its label in host mode.
pub fn are_published(published: &PublishedService<'_>) -> bool {
    published.service.ports.iter().any(|port| fits(port, published.labels.port))
}

fn fits(port: &PublishedPort, target: Port) -> bool {
    port.host_mode && port.protocol == "tcp" && port.target == target.get()
}

/// The published ports of one service's tasks.
pub struct NodePorts<'a> {
    context: &'a TranslationContext<'a>,
    published: &'a PublishedService<'a>,
    /// Fixed ports of the service that no other service publishes.
    own: BTreeSet<u16>,
}

impl<'a> NodePorts<'a> {
    /// Those of a service.
    pub fn new(context: &'a TranslationContext<'a>, published: &'a PublishedService<'a>) -> Self {
        let fixed = published.service.ports.iter().filter(|port| fits(port, published.labels.port) && port.published != 0);
        let mut own: BTreeSet<u16> = fixed.map(|port| port.published).collect();
        // Most services specify none, and there can be thousands of other services.
        if !own.is_empty() {
            let others = context.snapshot.services.values().filter(|service| service.id != published.service.id);
            for port in others.flat_map(|service| &service.ports) {
                own.remove(&port.published);
            }
        }
        Self { context, published, own }
    }

    /// The address at which a task is reached, or why it cannot be. A task that publishes the port several times is still
    /// one endpoint: at a fixed port, otherwise at the one for the family of the node's address. The other may be a port of
    /// another service in this family.
    pub fn endpoint(&self, task: &Task) -> Result<Endpoint, String> {
        let target = self.published.labels.port;
        if task.on_host_network {
            return self.on_host_network(task, target);
        }
        let bound = task.host_ports.iter().filter(|port| fits(port, target)).filter_map(|port| Port::new(port.published).ok());
        let bound: Vec<Port> = bound.collect();
        let (Some(ipv4), Some(ipv6)) = (bound.first(), bound.last()) else {
            return Err(format!("the task has not published port {target} on its node"));
        };
        let node = task.node.as_ref().and_then(|id| self.context.snapshot.nodes.get(id)).ok_or("the task's node is not known")?;
        let address = node.reached_at().ok_or_else(|| format!("no address of the node {} is known", node.hostname))?;
        let fixed = bound.iter().find(|port| self.own.contains(&port.get()));
        let port = *fixed.unwrap_or(if address.is_ipv6() { ipv6 } else { ipv4 });
        Ok(Endpoint { address, port, task: Some(task.id.clone()), lasting: fixed.is_some() })
    }

    /// No service publishes such a port, so nothing guarantees that the service keeps it: it never lasts.
    fn on_host_network(&self, task: &Task, port: Port) -> Result<Endpoint, String> {
        let nodes = &self.context.snapshot.nodes;
        let (id, node) = task.node.as_ref().and_then(|id| nodes.get_key_value(id)).ok_or("the task's node is not known")?;
        if self.context.taken.is_others(&self.published.service.id, id, port.get()) {
            return Err(format!("port {port} of the node {} belongs to another service", node.hostname));
        }
        let address = node.reached_at().ok_or_else(|| format!("no address of the node {} is known", node.hostname))?;
        Ok(Endpoint { address, port, task: Some(task.id.clone()), lasting: false })
    }

    /// A finding about nodes on which the service runs and whose addresses are not known.
    pub fn unknown_nodes(&self) -> Option<Finding> {
        let tasks = self.context.tasks_of(&self.published.service.id).iter();
        let nodes = tasks.filter_map(|task| self.context.snapshot.nodes.get(task.node.as_ref()?));
        let unknown: BTreeSet<_> = nodes.filter(|node| node.reached_at().is_none()).map(|node| node.hostname.as_str()).collect();
        let names = unknown.into_iter().collect::<Vec<_>>().join(", ");
        (!names.is_empty()).then(|| {
            let message = format!("tasks on these nodes get no requests, because Swarm does not know an address of the nodes: {names}");
            Finding::new(cases::NodeAddress::Unknown, self.published.subject(), message)
        })
    }
}

/// A finding for a service that must be reached on its nodes and does not publish the port of its label there.
pub fn none_published(published: &PublishedService<'_>, severity: Severity, instead: &str) -> Finding {
    let target = published.labels.port;
    let others: BTreeSet<_> =
        published.service.ports.iter().filter(|port| port.host_mode).map(|port| (port.target, port.protocol.as_str())).collect();
    let named = |(target, protocol): &(u16, &str)| if *protocol == "tcp" { target.to_string() } else { format!("{target}/{protocol}") };
    let others = others.iter().map(named).collect::<Vec<_>>().join(", ");
    let has = if others.is_empty() { others } else { format!(" (only {others})") };
    let message = format!("the service does not publish its port {target} (tcp) in host mode{has}; {instead}");
    let selected = published.labels.network.as_deref().filter(|label| selects_bridge(Some(label)));
    let case = FindingCase::from(cases::NoHostPort { port: &target.to_string() });
    let finding = Finding::new(case, published.subject(), message).with_severity(severity);
    if let Some(label) = selected { finding.with_field(label_key("network"), label) } else { finding }
}

/// A finding for each node whose label is not a usable address.
pub fn node_addresses(snapshot: &Snapshot) -> Vec<Finding> {
    let mut findings: Vec<_> = snapshot.nodes.values().filter_map(|node| Some(unusable(node, node.unusable_address()?))).collect();
    findings.sort();
    findings
}

fn unusable(node: &crate::swarm::Node, value: &str) -> Finding {
    let instead = node.address.map_or_else(|| "the node cannot be reached".to_owned(), |address| format!("{address} is used"));
    let message = format!("this is not an IP address at which other nodes can reach the node; {instead}");
    let subject = Subject::Object(format!("node {}", node.hostname));
    Finding::new(cases::NodeAddress::Label, subject, message).with_field(NODE_ADDRESS_LABEL, value)
}
