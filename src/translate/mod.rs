//! Intent and snapshot to route table and findings. Total and pure: bad input gives findings, never failures, and no
//! service's labels can change the routes of another one that does not share a route with it, unless the cluster's limits are reached
//! (then older ones count first). Must never know an engine.

mod admission;
mod budget;
mod endpoints;
mod grants;
mod hosts;
mod material;
mod networks;
mod node_ports;
mod pools;
mod proxies;
mod published;
mod redirects;
mod reports;
mod unclaimed;

use std::collections::{BTreeMap, BTreeSet};

pub use admission::{Refusal, admitted, admitted_as_default};
pub use grants::{LABEL_ACCESS, LABEL_USE_BY};
pub use node_ports::node_addresses;
pub use published::{is_application, is_claimed_by, label_key};
pub use reports::{DEFAULT_HOST, backend_of};
pub use unclaimed::{NotInForce, unclaimed};

use crate::intent::cluster::Cluster;
use crate::intent::labels::PREFIX;
use crate::report::{Finding, RouteReport};
use crate::route::RouteTable;
use crate::swarm::{Snapshot, Task};
use crate::types::{NetworkId, ServiceId};

/// What the services of one cluster come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Translation {
    /// What the proxies must say.
    pub table: RouteTable,
    /// What the authors of labels should know; sorted, without duplicates.
    pub findings: Vec<Finding>,
    /// The networks that the proxies must be attached to, sorted: exactly those of the closed list that exist if the
    /// cluster has one, else one per service, and those over which requests still flow while a network is exchanged.
    pub networks: Vec<NetworkId>,
    /// Every route by host then path, with every endpoint and the reason why it gets no requests. `state` is `Served` or
    /// `NoEndpoints`: whether all proxies have the route is not known here.
    pub routes: Vec<RouteReport>,
    /// Over which networks each published service is reached.
    pub reached_over: BTreeMap<ServiceId, BTreeSet<NetworkId>>,
}

/// Translates the services that `cluster` publishes.
pub fn translate(cluster: &Cluster, snapshot: &Snapshot) -> Translation {
    let mut findings = Vec::new();
    let world = World::new(cluster, snapshot);
    let services = published::published_services(&world, &mut findings);
    let services = budget::keep_within_limits(&world, services, &mut findings);
    let reaches: Vec<_> = services.iter().map(|service| endpoints::reach(&world, service, &mut findings)).collect();
    let (table, routes) = pools::assemble(&world, &reaches, &mut findings);
    findings.sort();
    findings.dedup();
    let reached_over = reaches.iter().map(|reach| (reach.published.service.id.clone(), reach.networks.clone())).collect();
    Translation { table, findings, networks: needed_networks(&world, &reaches), routes, reached_over }
}

/// What every part of a translation looks at.
struct World<'a> {
    cluster: &'a Cluster,
    snapshot: &'a Snapshot,
    proxies: proxies::Proxies,
    objects: grants::Objects<'a>,
    closed_list: Option<BTreeSet<NetworkId>>,
    tasks: BTreeMap<&'a ServiceId, Vec<&'a Task>>,
}

impl<'a> World<'a> {
    fn new(cluster: &'a Cluster, snapshot: &'a Snapshot) -> Self {
        let mut tasks = BTreeMap::<_, Vec<_>>::new();
        for task in snapshot.tasks.values() {
            tasks.entry(&task.service).or_default().push(task);
        }
        let proxies = proxies::Proxies::of(cluster, snapshot);
        let (objects, closed_list) = (grants::Objects::of(snapshot), networks::closed_list(cluster, snapshot));
        Self { cluster, snapshot, proxies, objects, closed_list, tasks }
    }

    /// The tasks of a service whose desired state is running.
    fn tasks_of(&self, service: &ServiceId) -> &[&'a Task] {
        self.tasks.get(service).map_or(&[], Vec::as_slice)
    }

    /// The name of a network, or its id if the snapshot does not know it.
    fn network_name(&self, id: &NetworkId) -> String {
        self.snapshot.networks.get(id).map_or_else(|| id.0.clone(), |network| network.name.clone())
    }
}

fn needed_networks(world: &World<'_>, reaches: &[endpoints::Reach<'_>]) -> Vec<NetworkId> {
    let needed: BTreeSet<_> = world.closed_list.clone().unwrap_or_else(|| {
        let used = reaches.iter().flat_map(|reach| reach.networks.iter().cloned());
        used.chain(networks_of_refused(world, reaches)).collect()
    });
    needed.into_iter().collect()
}

/// A label that became wrong costs its own service its routes, but no other route a proxy: a network that the proxies have
/// already is kept as long as a service with labels of this cluster is on it. Putting the label right needs no new proxies either.
fn networks_of_refused<'a>(world: &'a World<'a>, reaches: &'a [endpoints::Reach<'a>]) -> impl Iterator<Item = NetworkId> + 'a {
    let published: BTreeSet<_> = reaches.iter().map(|reach| &reach.published.service.id).collect();
    let claimed = world.snapshot.services.values().filter(|service| published::is_claimed_by(world.cluster, service));
    let labelled = claimed.filter(|service| service.labels.keys().any(|key| key.starts_with(PREFIX)));
    let refused = labelled.filter(move |service| !published.contains(&service.id));
    let networks = refused.flat_map(|service| service.networks.iter());
    networks.filter(|id| world.proxies.declare(id) && networks::is_usable(world, id)).cloned()
}

#[cfg(test)]
mod tests;
