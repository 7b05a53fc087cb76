//! Chooses how the proxies reach a service: over a network, or at ports of its tasks' nodes. Never over Swarm's routing
//! mesh, our control network, a network outside the cluster's closed list, or one that could harm the proxies; never simply
//! over "the first one".

use std::collections::BTreeSet;

use super::TranslationContext;
use super::network_eligibility::finding_of_service;
use super::node_ports::{self, selects_bridge, selects_host_network};
use super::published_service::{PublishedService, label_key, stack_of};
use crate::intent::cluster::Cluster;
use crate::intent::suggest::nearest;
use crate::protocol::container_contract::{CONTROL_NETWORK, LABEL_OWNER};
use crate::report::{Finding, Severity, cases};
use crate::swarm::{Network, Service, Snapshot};
use crate::types::NetworkId;

/// The networks of the closed list that exist, if the cluster has such a list.
pub fn closed_list(cluster: &Cluster, snapshot: &Snapshot) -> Option<BTreeSet<NetworkId>> {
    let names = cluster.networks.only.as_ref()?;
    let listed = |network: &&Network| names.iter().any(|name| name.as_str() == network.name);
    Some(snapshot.networks.values().filter(listed).map(|network| network.id.clone()).collect())
}

/// Whether traffic to applications may use the network at all.
pub fn is_usable(context: &TranslationContext<'_>, id: &NetworkId) -> bool {
    let fits = |network| context.is_application_network(network) && context.attachable.fault(id).is_none();
    context.network(id).is_some_and(fits) && context.closed_list.as_ref().is_none_or(|list| list.contains(id))
}

/// Our own networks, whatever their names: by label, by name, and those of the cluster's extension. Not those of any
/// service that claims to be an extension: with two labels anyone could make networks of others unusable.
pub fn control_networks<'a>(cluster: &Cluster, snapshot: &'a Snapshot) -> BTreeSet<&'a NetworkId> {
    let ours = |network: &&Network| network.name == CONTROL_NETWORK || network.labels.contains_key(LABEL_OWNER);
    let named = snapshot.networks.values().filter(ours).map(|network| &network.id);
    let name = cluster.extension.service_name.as_str();
    let extension = snapshot.services.values().find(|service| service.name == name && service.labels.contains_key(LABEL_OWNER));
    named.chain(extension.into_iter().flat_map(|service| &service.networks)).collect()
}

/// Networks that every node has without Swarm, and that no user can have created otherwise.
pub fn is_predefined(network: &Network) -> bool {
    matches!((network.name.as_str(), network.driver.as_str()), ("host", "host") | ("bridge", "bridge") | ("none", "null"))
}

/// How the proxies reach a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reachability {
    /// Over this network.
    Network(NetworkId),
    /// At ports that its tasks publish on their nodes.
    Nodes,
    /// Not at all.
    Nowhere,
}

impl Reachability {
    /// The network, if the service is reached over one.
    pub fn network(&self) -> Option<&NetworkId> {
        if let Self::Network(id) = self { Some(id) } else { None }
    }
}

/// Chooses the way to a service. Adds a finding if there is none, or if it differs from the label. A service uses ports of
/// nodes if it has no usable network or if its label says so. Docker lets a service on the host network have no other
/// network, so there a label that names another one changes nothing.
pub fn choose(context: &TranslationContext<'_>, published: &PublishedService<'_>, findings: &mut Vec<Finding>) -> Reachability {
    let attached = attached_networks(context, published.service);
    let usable: Vec<_> = attached.iter().copied().filter(|network| is_usable(context, &network.id)).collect();
    let label = published.labels.network.as_deref();
    let named = label.and_then(|label| labelled(published.service, label, &usable));
    let is_bridged = node_ports::are_published(published);
    let on_host = named.is_none() && !(is_bridged && selects_bridge(label)) && node_ports::are_on_host_network(context, published);
    let network = named.or_else(|| first_choice(context, &usable)).filter(|_| !(is_bridged && selects_bridge(label)));
    let way = match network {
        Some(network) => Reachability::Network(network.id.clone()),
        None if on_host || is_bridged => Reachability::Nodes,
        None => Reachability::Nowhere,
    };
    Choice { context, published, attached: &attached, usable: &usable, named, network, on_host }.report(&way, findings);
    way
}

/// What was chosen from what, for the findings.
struct Choice<'a> {
    context: &'a TranslationContext<'a>,
    published: &'a PublishedService<'a>,
    attached: &'a [&'a Network],
    usable: &'a [&'a Network],
    /// The usable network that the label names.
    named: Option<&'a Network>,
    /// The network that is used.
    network: Option<&'a Network>,
    /// Whether the service is on the host network, and neither has nor publishes what its label asks for.
    on_host: bool,
}

impl Choice<'_> {
    fn report(&self, way: &Reachability, findings: &mut Vec<Finding>) {
        let label = self.published.labels.network.as_deref();
        let left_out = self.left_out(way);
        let has_left_out = !left_out.is_empty();
        findings.extend(left_out);
        match (way, label) {
            (Reachability::Nowhere, _) if !has_left_out || self.has_unlisted() => {
                findings.push(unreachable(self.context, self.published, self.attached));
            }
            (Reachability::Nodes, Some(label)) if self.on_host && self.concerns_host_network(label) => {
                findings.extend(on_host(self.published, label));
            }
            (Reachability::Network(_), Some(_)) if selects_bridge(label) => {
                findings.push(node_ports::none_published(self.published, Severity::Warning, &self.instead(way)));
            }
            (Reachability::Network(_) | Reachability::Nodes, Some(name))
                if (self.on_host || !selects_bridge(label)) && self.named.is_none() && !has_left_out =>
            {
                findings.push(not_found(self.published, name, self.attached, &self.instead(way)));
            }
            (Reachability::Network(_), None) => findings.extend(self.ambiguous()),
            _ => {}
        }
    }

    /// Whether the label asks for the host network, or the tasks show that the service uses it: without tasks it may
    /// instead be on a network that was created a moment ago.
    fn concerns_host_network(&self, label: &str) -> bool {
        selects_host_network(Some(label)) || node_ports::tasks_are_on_host_network(self.context, self.published)
    }

    /// The networks that would be possible without their faults: the one that the label names, otherwise all of them.
    fn left_out(&self, way: &Reachability) -> Vec<Finding> {
        let (context, published) = (self.context, self.published);
        let label = published.labels.network.as_deref();
        if self.named.is_some() || (selects_bridge(label) && *way != Reachability::Nowhere) {
            return Vec::new();
        }
        let severity = if *way == Reachability::Nowhere { Severity::Error } else { Severity::Warning };
        let labelled_network = label.and_then(|label| labelled(published.service, label, self.attached));
        let is_labelled = |network: &Network| labelled_network.is_some_and(|labelled_network| labelled_network.id == network.id);
        let concerned = self.attached.iter().filter(|network| label.is_none() || *way == Reachability::Nowhere || is_labelled(network));
        let faulty = concerned.filter_map(|network| Some((*network, context.attachable.fault(&network.id)?)));
        faulty.map(|(network, fault)| finding_of_service(published, network, fault, severity, &self.instead(way))).collect()
    }

    /// What is used instead of what was asked for.
    fn instead(&self, way: &Reachability) -> String {
        match (way, self.network) {
            (Reachability::Nodes, _) => "its ports on the nodes are used".to_owned(),
            (_, Some(network)) => format!("the network {} is used", network.name),
            (_, None) => "its hosts answer 503".to_owned(),
        }
    }

    fn has_unlisted(&self) -> bool {
        self.attached.iter().any(|network| self.context.attachable.fault(&network.id).is_none() && !is_usable(self.context, &network.id))
    }

    /// Several networks are possible, and neither a label nor the administrator has chosen one.
    fn ambiguous(&self) -> Option<Finding> {
        let used = self.network?;
        let preferred = self.context.cluster.networks.preference(&used.name).is_some();
        (self.usable.len() > 1 && !preferred).then(|| ambiguous(self.published, self.usable, used))
    }
}

/// For a service that cannot be reached: why the first of its networks is left out.
pub fn unreachable_reason(context: &TranslationContext<'_>, service: &Service) -> Option<String> {
    let attached = attached_networks(context, service);
    attached
        .iter()
        .find_map(|network| Some(format!("its network {} is not used: {}", network.name, context.attachable.fault(&network.id)?.message())))
}

/// The networks of a service that applications use; very old services refer to them by name instead of by id.
fn attached_networks<'a>(context: &TranslationContext<'a>, service: &Service) -> Vec<&'a Network> {
    let mut found: Vec<_> = service
        .networks
        .iter()
        .filter_map(|id| context.network_named(id))
        .filter(|network| context.is_application_network(network))
        .collect();
    found.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    found.dedup_by(|a, b| a.id == b.id);
    found
}

/// Matches by id, by name, or by the name in the stack file.
fn labelled<'a>(service: &Service, label: &str, usable: &[&'a Network]) -> Option<&'a Network> {
    let find = |name: &str| usable.iter().copied().find(|network| network.name == name);
    let in_stack = || stack_of(service).and_then(|stack| find(&format!("{stack}_{label}")));
    usable.iter().copied().find(|network| network.id.0 == label).or_else(|| find(label)).or_else(in_stack)
}

/// The administrator's most preferred network, otherwise one that the proxies already have, otherwise the first by name:
/// the same in every pass, and no needless replacement.
fn first_choice<'a>(context: &TranslationContext<'_>, usable: &[&'a Network]) -> Option<&'a Network> {
    let preference = |network: &Network| context.cluster.networks.preference(&network.name).unwrap_or(usize::MAX);
    usable.iter().copied().min_by_key(|network| (preference(network), !context.proxies.declare(&network.id)))
}

fn names(networks: &[&Network]) -> String {
    networks.iter().map(|network| network.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn unreachable(context: &TranslationContext<'_>, published: &PublishedService<'_>, attached: &[&Network]) -> Finding {
    if context.closed_list.is_some() && !attached.is_empty() {
        let message = format!(
            "the service is attached only to the networks {}, none of which is in the cluster's closed list; its hosts answer 503",
            names(attached)
        );
        return Finding::new(cases::UnreachableNetwork::NotListed, published.subject(), message);
    }
    if selects_bridge(published.labels.network.as_deref()) || published.service.ports.iter().any(|port| port.host_mode) {
        return node_ports::none_published(published, Severity::Error, "its hosts answer 503");
    }
    let message = "the service has no overlay network for applications and publishes no port on its nodes; its hosts answer 503";
    let port = published.labels.port.to_string();
    Finding::new(cases::UnreachableNetwork::NoNetwork { port: &port }, published.subject(), message)
}

fn not_found(published: &PublishedService<'_>, label: &str, attached: &[&Network], instead: &str) -> Finding {
    let has = if attached.is_empty() { "none".to_owned() } else { names(attached) };
    if labelled(published.service, label, attached).is_some() {
        let message = format!("the network is not in the cluster's closed list (spec.networks.only); {instead}");
        let finding = Finding::new(cases::NetworkNotFound::NotListed, published.subject(), message);
        return finding.with_field(label_key("network"), label);
    }
    let message = format!("no usable network of the service has this name (it has {has}); {instead}");
    let case = match suggestion(label, attached) {
        Some(network) => cases::NetworkNotFound::Similar { network },
        None => cases::NetworkNotFound::NoSuchName,
    };
    Finding::new(case, published.subject(), message).with_field(label_key("network"), label)
}

/// A service on the host network names another one in its label. No other network can be attached to it, so the usual
/// advice would not help.
fn on_host(published: &PublishedService<'_>, label: &str) -> Option<Finding> {
    let message = "the service is on the host network and has no other; the addresses of its nodes and the port of its label are used";
    let finding = Finding::new(cases::NetworkNotFound::HostNetwork, published.subject(), message);
    (!selects_host_network(Some(label))).then(|| finding.with_field(label_key("network"), label))
}

/// The network of the service that a label probably means: by the end of its name (the name in the stack file), or by a
/// similar name.
fn suggestion<'a>(label: &str, attached: &[&'a Network]) -> Option<&'a str> {
    let names = || attached.iter().map(|network| network.name.as_str());
    names().find(|name| name.strip_suffix(label).is_some_and(|stack| stack.ends_with('_'))).or_else(|| nearest(label, names()))
}

fn ambiguous(published: &PublishedService<'_>, usable: &[&Network], used: &Network) -> Finding {
    let message = format!("the service has several networks ({}) and no setting chooses one; {} is used", names(usable), used.name);
    Finding::new(cases::AmbiguousNetwork, published.subject(), message)
}
