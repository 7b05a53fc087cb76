//! Decides which networks the proxies may be attached to: those that do no harm, have room, and do not overlap. Decided
//! once for all services, so that no service's choice changes what another one may use.

use std::collections::{BTreeMap, BTreeSet};

use super::TranslationContext;
use super::address_capacity::{self, AddressNeeds};
use super::network_safety::{self, ReservedRanges, UnsafeNetwork};
use super::published_service::{self, PublishedService, label_key};
use crate::intent::labels::PREFIX;
use crate::report::{Finding, FindingCase, Severity, Subject, cases};
use crate::swarm::{Network, Service};
use crate::types::{NetworkId, TaskState};

/// Why a network is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkFault {
    /// It could cut the proxies off from their clients.
    Unsuitable(UnsafeNetwork),
    /// It has too few free addresses.
    Full(String),
}

impl NetworkFault {
    /// The case of its finding for a service.
    fn case_of_service(&self) -> FindingCase {
        match self {
            Self::Unsuitable(unsuitable) => unsuitable.case.into(),
            Self::Full(_) => cases::NetworkFull::NotAttached.into(),
        }
    }

    /// The case of its finding for a cluster that lists the network.
    fn case_of_cluster(&self) -> FindingCase {
        match self {
            Self::Unsuitable(_) => cases::UnsuitableNetwork::Listed.into(),
            Self::Full(_) => cases::NetworkFull::Listed.into(),
        }
    }

    /// The reason, as text that follows the network's name.
    pub fn message(&self) -> &str {
        match self {
            Self::Unsuitable(unsuitable) => &unsuitable.message,
            Self::Full(message) => message,
        }
    }
}

/// The networks that services ask for and that the proxies must not have.
#[derive(Debug, Default)]
pub struct NetworkEligibility {
    faults: BTreeMap<NetworkId, NetworkFault>,
}

impl NetworkEligibility {
    /// Checks every network that a service of the cluster is on, and those of the closed list.
    pub fn new(context: &TranslationContext<'_>, services: &[PublishedService<'_>]) -> Self {
        let reserved_ranges = ReservedRanges::new(context);
        let needs = AddressNeeds::new(context.cluster, context.proxies.service(), context.snapshot);
        let mut wanted = wanted(context, services);
        wanted.sort_by_key(|network| network_safety::seniority(context, network));
        let mut faults = BTreeMap::new();
        let mut kept: Vec<&Network> = Vec::new();
        for network in wanted {
            let own = network_safety::fault(context, &reserved_ranges, network).map(NetworkFault::Unsuitable);
            let fault = own.or_else(|| full(context, network, &needs)).or_else(|| overlap_with(context, &kept, network));
            match fault {
                Some(fault) => {
                    faults.insert(network.id.clone(), fault);
                }
                // A network without a task does not block others: it is not attached yet, and may never be.
                None if is_taken_into_use(context, services, network) => kept.push(network),
                None => {}
            }
        }
        Self { faults }
    }

    /// Why the network is left out; `None` if it is not.
    pub fn fault(&self, network: &NetworkId) -> Option<&NetworkFault> {
        self.faults.get(network)
    }

    /// All networks that are left out, each with the reason as text.
    pub fn messages(&self) -> BTreeMap<NetworkId, String> {
        self.faults.iter().map(|(id, fault)| (id.clone(), fault.message().to_owned())).collect()
    }
}

/// Every network that could be attached for a service, without duplicates.
fn wanted<'a>(context: &TranslationContext<'a>, services: &[PublishedService<'_>]) -> Vec<&'a Network> {
    let published = services.iter().flat_map(|published| &published.service.networks);
    let refused = refused(context, services).flat_map(|service| &service.networks).filter(|id| context.proxies.declare(id));
    let listed = context.closed_list.iter().flatten();
    let ids: BTreeSet<&NetworkId> = published.chain(refused).chain(listed).collect();
    let networks = ids.into_iter().filter_map(|id| context.network(id));
    networks.filter(|network| context.is_application_network(network)).collect()
}

/// The services with labels for this cluster that cannot be published as they are.
pub fn refused<'a>(context: &TranslationContext<'a>, services: &[PublishedService<'_>]) -> impl Iterator<Item = &'a Service> {
    let published: BTreeSet<_> = services.iter().map(|published| published.service.id.clone()).collect();
    let cluster = context.cluster;
    let claimed = context.snapshot.services.values().filter(move |service| published_service::is_claimed_by(cluster, service));
    let labelled = claimed.filter(|service| service.labels.keys().any(|key| key.starts_with(PREFIX)));
    labelled.filter(move |service| !published.contains(&service.id))
}

/// An attached network is not dropped for being full: the proxies' addresses are among those that are taken.
fn full(context: &TranslationContext<'_>, network: &Network, needs: &AddressNeeds<'_>) -> Option<NetworkFault> {
    if context.proxies.declare(&network.id) {
        return None;
    }
    let unused = address_capacity::NetworkUsage::default();
    let usage = context.usage.get(&network.id).unwrap_or(&unused);
    address_capacity::shortage(network, usage, needs, context.snapshot).map(NetworkFault::Full)
}

/// Two networks with overlapping addresses would receive each other's packets. First come, first served.
fn overlap_with(context: &TranslationContext<'_>, kept: &[&Network], network: &Network) -> Option<NetworkFault> {
    let subnets = network_safety::subnets(context, network);
    let common = |other: &&&Network| {
        let others = network_safety::subnets(context, other);
        subnets.iter().any(|net| others.iter().any(|other| network_safety::overlap(net, other)))
    };
    let other = kept.iter().find(common)?;
    let why = if context.proxies.declare(&other.id) { "which the proxies are attached to" } else { "which is older" };
    let message = format!("its addresses overlap with those of the network {}, {why}", other.name);
    Some(NetworkFault::Unsuitable(UnsafeNetwork::in_the_way(message)))
}

fn is_taken_into_use(context: &TranslationContext<'_>, services: &[PublishedService<'_>], network: &Network) -> bool {
    let listed = context.closed_list.as_ref().is_some_and(|list| list.contains(&network.id));
    let on_it = || services.iter().filter(|published| published.service.networks.contains(&network.id));
    listed || context.proxies.declare(&network.id) || on_it().any(|published| runs_on(context, published, &network.id))
}

/// Whether a task of the service runs with an address on the network.
pub fn runs_on(context: &TranslationContext<'_>, published: &PublishedService<'_>, network: &NetworkId) -> bool {
    let has = |task: &&crate::swarm::Task| task.state == TaskState::Running && task.addresses.iter().any(|(id, _)| id == network);
    context.tasks_of(&published.service.id).iter().any(has)
}

/// Findings for the administrator: networks of the closed list that are left out.
pub fn findings_of_cluster(context: &TranslationContext<'_>) -> Vec<Finding> {
    let listed = context.closed_list.iter().flatten().filter_map(|id| context.network(id));
    listed.filter_map(|network| Some(not_attached(context, network, context.attachable.fault(&network.id)?))).collect()
}

fn not_attached(context: &TranslationContext<'_>, network: &Network, fault: &NetworkFault) -> Finding {
    let message = format!("the network {} of the closed list is not attached: {}", network.name, fault.message());
    let subject = Subject::Cluster(context.cluster.name.to_string());
    Finding::new(fault.case_of_cluster(), subject, message).with_field("spec.networks", &network.name)
}

/// A finding for the author of labels about a network that is left out. It quotes the label if that names the network.
pub fn finding_of_service(
    published: &PublishedService<'_>,
    network: &Network,
    fault: &NetworkFault,
    severity: Severity,
    instead: &str,
) -> Finding {
    let message = format!("the network {} of the service is not used: {}; {instead}", network.name, fault.message());
    let finding = Finding::new(fault.case_of_service(), published.subject(), message).with_severity(severity);
    match published.labels.network.as_deref() {
        Some(label) => finding.with_field(label_key("network"), label),
        None => finding,
    }
}
