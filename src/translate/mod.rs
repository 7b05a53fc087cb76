//! Translates intent and snapshot to a route table and findings. Total and pure: bad input produces findings, never
//! failures. The labels of a service cannot change the routes of another service with which it shares no route, unless the
//! limits of the cluster or of its team are reached (then older services have precedence). Must never know an engine.

mod address_capacity;
mod address_shortage_cause;
mod address_shortages;
mod budget;
mod claim_limits;
mod endpoints;
mod host_admission;
mod host_hash_collisions;
mod host_owners;
mod host_ownership;
mod host_settings;
mod misplaced_labels;
mod network_eligibility;
mod network_safety;
mod network_selection;
mod node_ports;
mod pool;
mod proxy_networks;
mod published_service;
mod redirects;
mod reference_grants;
mod refused_tls;
mod route_merge;
mod route_reports;
mod service_selection;
mod service_team;
mod tls_references;
mod unpublished_services;

use std::collections::{BTreeMap, BTreeSet};

pub use address_capacity::AddressShortage;
pub use host_admission::{HostDenied, NotAdmitted, admitted_as_default};
pub use host_owners::HostOwners;
pub use host_ownership::HostOwner;
pub use node_ports::node_addresses;
pub use published_service::{is_application, is_claimed_by, label_key};
pub use reference_grants::{LABEL_ACCESS, LABEL_USE_BY};
pub use refused_tls::{RefusedTls, note_refused_tls, refused_tls};
pub use route_reports::{backend_of, is_closed};
pub use service_team::Team;
pub use tls_references::TlsReferences;
pub use unpublished_services::unclaimed;

use crate::intent::cluster::Cluster;
use crate::report::{Finding, RouteReport};
use crate::route::RouteTable;
use crate::swarm::{NamedConfigs, Network, NetworksByName, Snapshot, Task};
use crate::types::{HostPattern, NetworkId, ServiceId};

/// The result of translating the services of one cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Translation {
    /// The routes that the proxies must serve.
    pub table: RouteTable,
    /// Findings for the authors of labels; sorted, without duplicates.
    pub findings: Vec<Finding>,
    /// The networks that the proxies must be attached to, sorted. With a closed list, exactly those networks of it that
    /// exist. Otherwise one per service, on which one of its tasks runs or which the proxies have already, and the networks
    /// over which requests still flow while a network is exchanged. Never one of `left_out`.
    pub networks: Vec<NetworkId>,
    /// The networks that services ask for and that the proxies must not be attached to, each with the reason as text that
    /// follows its name.
    pub left_out: BTreeMap<NetworkId, String>,
    /// Attached networks on which replaced or restarted proxies would not get their addresses.
    pub short: BTreeMap<NetworkId, AddressShortage>,
    /// Every route by host then path, with every endpoint and the reason why it gets no requests. `state` is `Served`,
    /// `NoEndpoints` or `OverLimit`: whether all proxies have the route is not known here.
    pub routes: Vec<RouteReport>,
    /// The secrets and configs that labels of services name, including services that lose their routes to a limit.
    pub references: BTreeMap<ServiceId, TlsReferences>,
    /// The networks over which each published service is reached.
    pub reached_over: BTreeMap<ServiceId, BTreeSet<NetworkId>>,
    /// The hosts that services ask for but may not publish here, and why.
    pub not_admitted: NotAdmitted,
    /// The owners of each host, for the next pass.
    pub host_owners: HostOwners,
    /// The part of `host_owners` that a pass without memory needs, as the value of a label; `None` if there is nothing to
    /// record.
    pub remembered_hosts: Option<String>,
}

impl Translation {
    /// Why a service may not publish a host that it asks for.
    pub fn refusal(&self, service: &ServiceId, host: &HostPattern) -> Option<&HostDenied> {
        self.not_admitted.get(service)?.iter().find(|(refused, _)| refused == host).map(|(_, refusal)| refusal)
    }
}

/// Translates the services that `cluster` publishes, without knowledge of an earlier pass.
pub fn translate(cluster: &Cluster, snapshot: &Snapshot) -> Translation {
    translate_after(cluster, snapshot, &HostOwners::from_label(cluster, snapshot))
}

/// Translates the services that `cluster` publishes. `host_owners`: the owners of each host at the last pass.
pub fn translate_after(cluster: &Cluster, snapshot: &Snapshot, host_owners: &HostOwners) -> Translation {
    let mut findings = Vec::new();
    let mut context = TranslationContext::new(cluster, snapshot, host_owners);
    let (services, not_admitted, host_ownership::OwnershipResult { host_owners, label }) =
        service_selection::published_services(&context, &mut findings);
    let references = services.iter().map(|one| (one.service.id.clone(), tls_references::references(&context, one))).collect();
    let services = host_hash_collisions::drop_colliding_hosts(&context, services, &mut findings);
    let (services, lost) = budget::keep_within_limits(&context, services, &mut findings);
    context.taken = node_ports::TakenPorts::new(snapshot, &services);
    context.attachable = network_eligibility::NetworkEligibility::new(&context, &services);
    findings.extend(network_eligibility::findings_of_cluster(&context));
    let reaches: Vec<_> = services.iter().map(|service| endpoints::service_endpoints(&context, service, &mut findings)).collect();
    let (table, mut routes) = route_merge::assemble(&context, &reaches, &lost, &mut findings);
    note_refused_tls(cluster, &table, &mut routes);
    findings.extend(route_reports::no_endpoints(&routes, &reaches));
    findings.sort();
    findings.dedup();
    let reached_over = reaches.iter().map(|reach| (reach.published.service.id.clone(), reach.networks.clone())).collect();
    let networks = needed_networks(&context, &services, &reaches);
    let (left_out, short) = (context.attachable.messages(), address_shortages::shortages(&context, &reaches));
    Translation {
        table,
        findings,
        networks,
        left_out,
        short,
        routes,
        references,
        reached_over,
        not_admitted,
        host_owners,
        remembered_hosts: label,
    }
}

/// The shared input of all parts of a translation.
struct TranslationContext<'a> {
    cluster: &'a Cluster,
    snapshot: &'a Snapshot,
    host_owners: &'a HostOwners,
    proxies: proxy_networks::ProxyNetworks<'a>,
    attachable: network_eligibility::NetworkEligibility,
    usage: BTreeMap<&'a NetworkId, address_capacity::NetworkUsage<'a>>,
    control: BTreeSet<&'a NetworkId>,
    networks_by_name: NetworksByName<'a>,
    objects: reference_grants::SwarmObjects<'a>,
    named_configs: NamedConfigs,
    closed_list: Option<BTreeSet<NetworkId>>,
    tasks: BTreeMap<&'a ServiceId, Vec<&'a Task>>,
    taken: node_ports::TakenPorts<'a>,
}

impl<'a> TranslationContext<'a> {
    fn new(cluster: &'a Cluster, snapshot: &'a Snapshot, host_owners: &'a HostOwners) -> Self {
        let mut tasks = BTreeMap::<_, Vec<_>>::new();
        for task in snapshot.tasks.values() {
            tasks.entry(&task.service).or_default().push(task);
        }
        let proxies = proxy_networks::ProxyNetworks::new(cluster, snapshot);
        let (objects, closed_list) = (reference_grants::SwarmObjects::new(snapshot), network_selection::closed_list(cluster, snapshot));
        let (usage, control) = (address_capacity::usage(snapshot), network_selection::control_networks(cluster, snapshot));
        Self {
            cluster,
            snapshot,
            host_owners,
            proxies,
            attachable: network_eligibility::NetworkEligibility::default(),
            usage,
            control,
            networks_by_name: NetworksByName::new(snapshot),
            objects,
            named_configs: NamedConfigs::new(snapshot),
            closed_list,
            tasks,
            taken: node_ports::TakenPorts::default(),
        }
    }

    /// The tasks of a service whose desired state is running.
    fn tasks_of(&self, service: &ServiceId) -> &[&'a Task] {
        self.tasks.get(service).map_or(&[], Vec::as_slice)
    }

    fn network(&self, id: &NetworkId) -> Option<&'a Network> {
        self.snapshot.networks.get(id)
    }

    /// Whether the network carries our own control traffic.
    fn is_control(&self, network: &Network) -> bool {
        self.control.contains(&network.id)
    }

    /// Whether the network is meant for applications at all. If it is, its `NetworkFault` states what else may be wrong.
    fn is_application_network(&self, network: &Network) -> bool {
        !network.routing_mesh && !network_selection::is_predefined(network) && !self.is_control(network)
    }

    /// Finds a network by its id; very old services refer to their networks by name.
    fn network_named(&self, id: &NetworkId) -> Option<&'a Network> {
        self.networks_by_name.find(id)
    }

    /// The name of a network, or its id if the snapshot does not contain it.
    fn network_name(&self, id: &NetworkId) -> String {
        self.snapshot.networks.get(id).map_or_else(|| id.0.clone(), |network| network.name.clone())
    }
}

fn needed_networks(
    context: &TranslationContext<'_>,
    services: &[published_service::PublishedService<'_>],
    reaches: &[endpoints::ServiceEndpoints<'_>],
) -> Vec<NetworkId> {
    let needed: BTreeSet<_> = context.closed_list.clone().unwrap_or_else(|| {
        let used = reaches.iter().flat_map(|reach| reach.networks.iter().cloned());
        used.chain(networks_of_refused(context, services)).collect()
    });
    needed.into_iter().filter(|id| network_selection::is_usable(context, id)).collect()
}

/// A label that becomes invalid costs its own service its routes, but must not replace proxies and so disturb other routes.
/// A network that the proxies already have is kept while a service with labels of this cluster is on it, unless the proxies
/// must not have it. Correcting the label needs no new proxies either.
fn networks_of_refused(context: &TranslationContext<'_>, services: &[published_service::PublishedService<'_>]) -> Vec<NetworkId> {
    let networks = network_eligibility::refused(context, services).flat_map(|service| service.networks.iter());
    networks.filter(|id| context.proxies.declare(id)).cloned().collect()
}

#[cfg(test)]
mod tests;
