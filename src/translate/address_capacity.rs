//! Computes how many addresses a network has left, and how many the proxies need there. Counts the addresses in the
//! snapshot that are taken or waited for. A network without free addresses is worse than no network: Swarm does not start a
//! proxy that must join it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::intent::cluster::{CONSTRAINT_AT_CREATION, Cluster, PROXIES_AT_CREATION, Proxy};
use crate::intent::cluster_spec::{Mode, PublishMode};
use crate::swarm::{Network, Service, Snapshot, Subnet, Task, one_on_each};
use crate::types::{NetworkId, NodeId, ServiceId, TaskState, UpdateOrder};

/// The usage of a network.
#[derive(Debug, Default)]
pub struct NetworkUsage<'a> {
    /// The addresses of tasks and virtual IPs.
    held: BTreeSet<IpAddr>,
    /// The subnets of these addresses.
    pub subnets: BTreeSet<IpNet>,
    /// Nodes with a task on the network: each has an address for its load balancer.
    nodes: BTreeSet<&'a NodeId>,
    /// Wanted tasks that have no address yet.
    waiting_tasks: u64,
    /// Tasks that exist already and to which Swarm gives no address.
    stuck_tasks: u64,
    /// `stuck_tasks` by service.
    stuck: BTreeMap<&'a ServiceId, u64>,
    /// Services that wait for a virtual IP.
    waiting_services: u64,
}

/// The usage of each network. Addresses of tasks on the routing mesh are left out.
pub fn usage(snapshot: &Snapshot) -> BTreeMap<&NetworkId, NetworkUsage<'_>> {
    let mut all = BTreeMap::<&NetworkId, NetworkUsage<'_>>::new();
    for task in snapshot.tasks.values().chain(snapshot.stopping.values()) {
        hold(&mut all, task);
    }
    let tasks = count_tasks(snapshot, &mut all);
    for service in snapshot.services.values() {
        add_waiting(&mut all, &tasks, service);
        for vip in &service.virtual_ips {
            all.entry(&vip.network).or_default().held.insert(vip.address);
        }
    }
    all
}

/// The tasks of each service, and those of them with an address on each network.
#[derive(Default)]
struct TaskCounts<'a> {
    tasks: BTreeMap<&'a ServiceId, u64>,
    addressed: BTreeMap<(&'a ServiceId, &'a NetworkId), u64>,
}

/// Counts the tasks, and adds those to which Swarm gives no address.
fn count_tasks<'a>(snapshot: &'a Snapshot, all: &mut BTreeMap<&'a NetworkId, NetworkUsage<'a>>) -> TaskCounts<'a> {
    let mut counts = TaskCounts::default();
    for task in snapshot.tasks.values() {
        *counts.tasks.entry(&task.service).or_default() += 1;
        for network in task.addresses.iter().map(|(network, _)| network).collect::<BTreeSet<_>>() {
            *counts.addressed.entry((&task.service, network)).or_default() += 1;
        }
        for network in unallocated(task, snapshot) {
            let usage = all.entry(network).or_default();
            usage.stuck_tasks += 1;
            *usage.stuck.entry(&task.service).or_default() += 1;
        }
    }
    counts
}

/// Adds the tasks and the virtual IP of a service that wait for an address.
fn add_waiting<'a>(all: &mut BTreeMap<&'a NetworkId, NetworkUsage<'a>>, counts: &TaskCounts<'a>, service: &'a Service) {
    let wanted = counts.tasks.get(&service.id).copied().unwrap_or(0).max(service.replicas.unwrap_or(0));
    for network in service.networks.iter().collect::<BTreeSet<_>>() {
        let usage = all.entry(network).or_default();
        usage.waiting_tasks += wanted.saturating_sub(counts.addressed.get(&(&service.id, network)).copied().unwrap_or(0));
        usage.waiting_services += u64::from(waits_for_virtual_ip(service, network));
    }
}

fn hold<'a>(all: &mut BTreeMap<&'a NetworkId, NetworkUsage<'a>>, task: &'a Task) {
    for (network, address) in &task.addresses {
        let usage = all.entry(network).or_default();
        usage.held.insert(address.addr());
        usage.subnets.insert(address.trunc());
        usage.nodes.extend(task.node.as_ref());
    }
}

/// The networks on which a task waits for an address. Swarm allocates addresses on all networks of a task at once; until
/// then the task stays `new`.
pub(super) fn unallocated<'a>(task: &Task, snapshot: &'a Snapshot) -> Vec<&'a NetworkId> {
    if task.state != TaskState::New || !task.addresses.is_empty() {
        return Vec::new();
    }
    let attached = task.spec.get("Networks").and_then(Value::as_array).into_iter().flatten();
    let targets = attached.filter_map(|to| Some(NetworkId(to.get("Target")?.as_str()?.to_owned())));
    targets.filter_map(|id| snapshot.networks.get(&id).map(|network| &network.id)).collect()
}

pub(super) fn waits_for_virtual_ip(service: &Service, network: &NetworkId) -> bool {
    service.vip_mode && service.virtual_ips.iter().all(|vip| vip.network != *network)
}

/// What the proxies of a cluster need on a network.
#[derive(Debug, Default)]
pub struct AddressNeeds<'a> {
    /// The number of proxies that run at one time.
    tasks: u64,
    /// How many of them start before others have stopped, under the current update policy.
    starts_first: Option<u64>,
    /// Whether their service has a virtual IP on each network.
    virtual_ip: bool,
    /// The nodes on which they may run.
    nodes: BTreeSet<&'a NodeId>,
}

impl<'a> AddressNeeds<'a> {
    /// The needs of a cluster's proxies: from their service as it is, or as it will be created.
    pub fn new(cluster: &Cluster, service: Option<&Service>, snapshot: &'a Snapshot) -> Self {
        let proxy = &cluster.proxy;
        let nodes = fitting_nodes(proxy, service, snapshot);
        let tasks = match proxy.mode {
            Mode::Global => nodes.len() as u64,
            Mode::Replicated => proxy.replicas.or(service.and_then(|service| service.replicas)).unwrap_or(PROXIES_AT_CREATION),
        };
        let at_once = proxy.update.parallelism.unwrap_or(1);
        let at_once = if at_once == 0 { tasks } else { at_once.min(tasks) };
        Self {
            tasks,
            starts_first: starts_first(proxy, service).then_some(at_once),
            virtual_ip: proxy.publish.mode == PublishMode::Ingress,
            nodes,
        }
    }

    /// The addresses that a network without any proxy must provide for tasks, node load balancers and the virtual IP. A
    /// stopping task keeps its address until it has ended, so with start-first updates there can be twice as many tasks for
    /// a while.
    fn at_first(&self, usage: &NetworkUsage<'_>) -> [u64; 3] {
        let tasks = if self.starts_first.is_some() { self.tasks.saturating_mul(2) } else { self.tasks };
        let new_nodes = self.nodes.difference(&usage.nodes).count() as u64;
        [tasks, new_nodes.min(tasks), u64::from(self.virtual_ip)]
    }
}

/// The nodes on which proxies run or may run. A constraint that cannot be evaluated from the snapshot might admit every
/// node.
fn fitting_nodes<'a>(proxy: &Proxy, service: Option<&Service>, snapshot: &'a Snapshot) -> BTreeSet<&'a NodeId> {
    let written = service.and_then(|service| service.spec.pointer("/TaskTemplate/Placement/Constraints")?.as_array());
    let written = written.map(|list| list.iter().filter_map(|constraint| constraint.as_str()).collect::<Vec<_>>());
    let declared = proxy.workload.constraints.as_ref().map(|list| list.iter().map(String::as_str).collect());
    let constraints = declared.or(written).unwrap_or_else(|| vec![CONSTRAINT_AT_CREATION]);
    let able = || snapshot.nodes.values().filter(|node| node.is_in_use()).map(|node| &node.id);
    one_on_each(&constraints, service, snapshot).unwrap_or_else(|| able().collect())
}

fn starts_first(proxy: &Proxy, service: Option<&Service>) -> bool {
    let written = || service.and_then(|service| service.spec.pointer("/UpdateConfig/Order")?.as_str());
    match proxy.update.order {
        Some(order) => order == UpdateOrder::StartFirst,
        None if proxy.publish.mode == PublishMode::Host => false,
        None => written().is_none_or(|order| order == UpdateOrder::StartFirst.as_str()),
    }
}

/// Why the proxies cannot get their addresses on a network that they are not attached to. `None` if they can, or if the
/// network's addresses are unknown.
pub fn shortage(network: &Network, usage: &NetworkUsage<'_>, needs: &AddressNeeds<'_>, snapshot: &Snapshot) -> Option<String> {
    let (size, taken) = (usable_addresses(network)?, taken(network, usage, snapshot));
    let (free, [tasks, balancers, vip]) = (size.saturating_sub(taken), needs.at_first(usage));
    let needed = tasks.saturating_add(balancers).saturating_add(vip);
    (needed > free).then(|| {
        let order = if needs.starts_first.is_some() { " (new ones start before old ones stop)" } else { "" };
        let own = if balancers > 0 { format!(", {balancers} for Swarm itself on their nodes") } else { String::new() };
        let vip = if vip > 0 { ", 1 for the virtual IP of their service" } else { "" };
        format!("it has {free} of {size} addresses free, and {needed} are needed: {tasks} for the proxies{order}{own}{vip}")
    })
}

/// What an attached network lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressShortage {
    /// Whether tasks wait for more addresses than are free. In that case another task takes the address that a proxy
    /// releases when it is replaced or ends, and the next proxy on its node never starts.
    pub contested: bool,
    /// How many addresses are missing.
    pub lacking: u64,
    /// If the shortage is caused by services outside the teams whose routes need the network: the one of these services
    /// with the most addresses.
    pub by_others: Option<String>,
    /// What is available and what is missing, as text that follows "it" or the network's name.
    pub message: String,
}

/// Why replaced proxies would not get addresses again on a network that they are attached to. `None` if they would.
/// `service` is the proxies' service.
pub fn shortage_of_attached(
    network: &Network,
    usage: &NetworkUsage<'_>,
    needs: &AddressNeeds<'_>,
    service: &Service,
    snapshot: &Snapshot,
) -> Option<AddressShortage> {
    let (size, in_use) = (usable_addresses(network)?, in_use(network, usage));
    let waiting = usage.stuck_tasks.saturating_add(usage.waiting_services);
    let free = size.saturating_sub(in_use);
    if waiting > free {
        let message =
            format!("has {free} of {size} addresses free, and {waiting} tasks or virtual IPs wait for one{}", who_waits(usage, snapshot));
        return Some(AddressShortage { contested: true, lacking: waiting - free, by_others: None, message });
    }
    let free = size.saturating_sub(taken(network, usage, snapshot));
    let needed = needs.starts_first?.saturating_sub(surplus(network, needs, service, snapshot));
    let message = || format!("has {free} of {size} addresses free, and a rollout of the proxies temporarily needs {needed} more");
    (needed > free).then(|| AddressShortage { contested: false, lacking: needed - free, by_others: None, message: message() })
}

/// The service with the most waiting tasks. Both the team that filled the network and anyone looking for the cause need its
/// name.
fn who_waits(usage: &NetworkUsage<'_>, snapshot: &Snapshot) -> String {
    let most = usage.stuck.iter().max_by_key(|(id, count)| (**count, std::cmp::Reverse(*id)));
    let named = most.and_then(|(id, count)| Some((&snapshot.services.get(id)?.name, *count)));
    named.map_or_else(String::new, |(name, count)| format!(" ({count} of the service {name})"))
}

/// The addresses of surplus proxies: new ones have started and old ones have not stopped yet.
fn surplus(network: &Network, needs: &AddressNeeds<'_>, service: &Service, snapshot: &Snapshot) -> u64 {
    let has = |task: &&Task| task.service == service.id && task.addresses.iter().any(|(id, _)| *id == network.id);
    let held = snapshot.tasks.values().chain(snapshot.stopping.values()).filter(has).count() as u64;
    held.saturating_sub(needs.tasks)
}

/// The number of addresses of tasks, virtual IPs and load balancers.
fn in_use(network: &Network, usage: &NetworkUsage<'_>) -> u64 {
    [usage.held.len() as u64, nodes(network, usage), network.held_by_others.addresses].into_iter().fold(0, u64::saturating_add)
}

/// The number of nodes that a network spans: each has a load balancer there.
fn nodes(network: &Network, usage: &NetworkUsage<'_>) -> u64 {
    usage.nodes.iter().copied().chain(&network.held_by_others.nodes).collect::<BTreeSet<_>>().len() as u64
}

/// The number of addresses that tasks, virtual IPs and load balancers have or wait for.
fn taken(network: &Network, usage: &NetworkUsage<'_>, snapshot: &Snapshot) -> u64 {
    // It is not known on which nodes the waiting tasks will run.
    let more_nodes = usage.waiting_tasks.min((snapshot.nodes.len() as u64).saturating_sub(nodes(network, usage)));
    [in_use(network, usage), usage.waiting_tasks, usage.waiting_services, more_nodes].into_iter().fold(0, u64::saturating_add)
}

/// How many addresses tasks can get in total; `None` if no subnet is known. Swarm allocates from any subnet, from IPv4 if
/// there is one.
fn usable_addresses(network: &Network) -> Option<u64> {
    let sizes = |four: bool| {
        let of_family = network.subnets.iter().filter(move |subnet| matches!(subnet.net, IpNet::V4(_)) == four);
        of_family.map(usable_in).reduce(u64::saturating_add)
    };
    sizes(true).or_else(|| sizes(false))
}

/// The number of addresses in a subnet, or in its allocation range, minus those that are never allocated: the subnet's own
/// address, the broadcast address, the gateway (which Swarm chooses if it is not specified) and the auxiliary addresses.
fn usable_in(subnet: &Subnet) -> u64 {
    let pool = subnet.range.filter(|range| subnet.net.contains(range)).unwrap_or(subnet.net);
    let broadcast = matches!(subnet.net, IpNet::V4(_)).then(|| subnet.net.broadcast());
    let kept: BTreeSet<IpAddr> =
        [subnet.net.network()].into_iter().chain(broadcast).chain(subnet.gateway).chain(subnet.auxiliary.iter().copied()).collect();
    let inside = kept.iter().filter(|address| pool.contains(*address)).count() as u64;
    let unstated_gateway = u64::from(subnet.gateway.is_none());
    size(&pool).saturating_sub(inside).saturating_sub(unstated_gateway)
}

fn size(net: &IpNet) -> u64 {
    let host_bits = u32::from(net.max_prefix_len() - net.prefix_len());
    1_u64.checked_shl(host_bits).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(subnet: &str, range: Option<&str>, gateway: Option<&str>, expected: u64) {
        let subnet = Subnet {
            net: subnet.parse().unwrap(),
            range: range.map(|range| range.parse().unwrap()),
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
            auxiliary: Vec::new(),
        };
        assert_eq!(usable_in(&subnet), expected, "{subnet:?}");
    }

    #[test]
    fn addresses_that_are_never_allocated_are_not_counted() {
        check("10.1.0.0/24", None, Some("10.1.0.1"), 253);
        check("10.1.0.0/24", None, None, 253);
        check("10.1.0.0/29", None, Some("10.1.0.1"), 5);
        check("10.1.0.0/30", None, Some("10.1.0.1"), 1);
        check("10.1.0.0/31", None, Some("10.1.0.1"), 0);
        check("10.1.0.0/32", None, Some("10.1.0.0"), 0);
        check("10.1.0.0/24", Some("10.1.0.128/28"), Some("10.1.0.1"), 16);
        check("10.1.0.0/24", Some("10.1.0.0/28"), Some("10.1.0.1"), 14);
        check("10.1.0.0/24", Some("10.1.0.240/28"), Some("10.1.0.254"), 14);
        // A range outside the subnet is ignored.
        check("10.1.0.0/24", Some("10.2.0.0/28"), Some("10.1.0.1"), 253);
        check("0.0.0.0/0", None, None, (1 << 32) - 3);
        check("fd00:1::/64", None, Some("fd00:1::1"), u64::MAX - 2);
        check("fd00:1::/120", None, Some("fd00:1::1"), 254);
        check("fd00:1::/128", None, None, 0);
    }
}
