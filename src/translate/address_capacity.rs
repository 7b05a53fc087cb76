//! How many addresses a network has left, and how many the proxies need there. Counts what the snapshot knows, taken or waited
//! for. A network without free addresses is worse than none: Swarm starts no proxy that is to be on it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::intent::cluster::{CONSTRAINT_AT_CREATION, Cluster, PROXIES_AT_CREATION, Proxy};
use crate::intent::cluster_spec::{Mode, PublishMode, UpdateOrder};
use crate::swarm::{Network, Service, Snapshot, Subnet, Task, one_on_each};
use crate::types::{NetworkId, NodeId, ServiceId, TaskState};

/// Who is on a network.
#[derive(Debug, Default)]
pub struct Usage<'a> {
    /// Addresses of tasks and virtual IPs.
    held: BTreeSet<IpAddr>,
    /// The subnets of these addresses.
    pub subnets: BTreeSet<IpNet>,
    /// Nodes with a task on it: each has an address for its load balancer.
    nodes: BTreeSet<&'a NodeId>,
    /// Tasks that are wanted and have no address yet.
    waiting_tasks: u64,
    /// Tasks that there are already, and that Swarm gives no address.
    stuck_tasks: u64,
    /// The same by service.
    stuck: BTreeMap<&'a ServiceId, u64>,
    /// Services that wait for a virtual IP.
    waiting_services: u64,
}

/// Who is on each network, the routing mesh's left out where tasks are concerned.
pub fn usage(snapshot: &Snapshot) -> BTreeMap<&NetworkId, Usage<'_>> {
    let mut all = BTreeMap::<&NetworkId, Usage<'_>>::new();
    let mut addressed = BTreeMap::<_, u64>::new();
    let mut tasks = BTreeMap::<_, u64>::new();
    for task in snapshot.tasks.values().chain(snapshot.stopping.values()) {
        hold(&mut all, task);
    }
    for task in snapshot.tasks.values() {
        *tasks.entry(&task.service).or_default() += 1;
        for network in task.addresses.iter().map(|(network, _)| network).collect::<BTreeSet<_>>() {
            *addressed.entry((&task.service, network)).or_default() += 1;
        }
        for network in unallocated(task, snapshot) {
            let usage = all.entry(network).or_default();
            usage.stuck_tasks += 1;
            *usage.stuck.entry(&task.service).or_default() += 1;
        }
    }
    for service in snapshot.services.values() {
        let wanted = tasks.get(&service.id).copied().unwrap_or(0).max(service.replicas.unwrap_or(0));
        for network in service.networks.iter().collect::<BTreeSet<_>>() {
            let usage = all.entry(network).or_default();
            usage.waiting_tasks += wanted.saturating_sub(addressed.get(&(&service.id, network)).copied().unwrap_or(0));
            usage.waiting_services += u64::from(waits_for_virtual_ip(service, network));
        }
        for vip in &service.virtual_ips {
            all.entry(&vip.network).or_default().held.insert(vip.address);
        }
    }
    all
}

fn hold<'a>(all: &mut BTreeMap<&'a NetworkId, Usage<'a>>, task: &'a Task) {
    for (network, address) in &task.addresses {
        let usage = all.entry(network).or_default();
        usage.held.insert(address.addr());
        usage.subnets.insert(address.trunc());
        usage.nodes.extend(task.node.as_ref());
    }
}

/// The networks on which a task waits for an address. Swarm gives it those of all its networks, or it stays `new`.
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
pub struct Needs<'a> {
    /// Proxies at one time.
    tasks: u64,
    /// How many of them start before others have stopped, with the policy as it is.
    starts_first: Option<u64>,
    /// Whether their service has a virtual IP on each network.
    virtual_ip: bool,
    /// Where they may run.
    nodes: BTreeSet<&'a NodeId>,
}

impl<'a> Needs<'a> {
    /// Of a cluster's proxies: as their service is, else as it will be created.
    pub fn of(cluster: &Cluster, service: Option<&Service>, snapshot: &'a Snapshot) -> Self {
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

    /// Addresses that a network without any proxy must have for tasks, load balancers of nodes, and the virtual IP. A task that
    /// stops keeps its address until it has ended, so where new ones start first there can be twice as many for a while.
    fn at_first(&self, usage: &Usage<'_>) -> [u64; 3] {
        let tasks = if self.starts_first.is_some() { self.tasks.saturating_mul(2) } else { self.tasks };
        let new_nodes = self.nodes.difference(&usage.nodes).count() as u64;
        [tasks, new_nodes.min(tasks), u64::from(self.virtual_ip)]
    }
}

/// Where proxies run or may run. Constraints that a snapshot cannot decide could admit every node.
fn fitting_nodes<'a>(proxy: &Proxy, service: Option<&Service>, snapshot: &'a Snapshot) -> BTreeSet<&'a NodeId> {
    let written = service.and_then(|service| service.spec.pointer("/TaskTemplate/Placement/Constraints")?.as_array());
    let written = written.map(|list| list.iter().filter_map(|constraint| constraint.as_str()).collect::<Vec<_>>());
    let stated = proxy.workload.constraints.as_ref().map(|list| list.iter().map(String::as_str).collect());
    let constraints = stated.or(written).unwrap_or_else(|| vec![CONSTRAINT_AT_CREATION]);
    let able = || snapshot.nodes.values().filter(|node| node.is_in_use()).map(|node| &node.id);
    one_on_each(&constraints, service, snapshot).unwrap_or_else(|| able().collect())
}

fn starts_first(proxy: &Proxy, service: Option<&Service>) -> bool {
    let written = || service.and_then(|service| service.spec.pointer("/UpdateConfig/Order")?.as_str());
    match proxy.update.order {
        Some(order) => order == UpdateOrder::StartFirst,
        None if proxy.publish.mode == PublishMode::Host => false,
        None => written().is_none_or(|order| order == "start-first"),
    }
}

/// Why the proxies cannot get their addresses on a network that they are not attached to; none if they can, or if nobody
/// knows the network's addresses.
pub fn shortage(network: &Network, usage: &Usage<'_>, needs: &Needs<'_>, snapshot: &Snapshot) -> Option<String> {
    let (size, taken) = (usable_addresses(network)?, taken(network, usage, snapshot));
    let (free, [tasks, balancers, vip]) = (size.saturating_sub(taken), needs.at_first(usage));
    let needed = tasks.saturating_add(balancers).saturating_add(vip);
    (needed > free).then(|| {
        let order = if needs.starts_first.is_some() { ", as new ones start before old ones have stopped" } else { "" };
        let own = if balancers > 0 { format!(", {balancers} for Swarm itself on their nodes") } else { String::new() };
        let vip = if vip > 0 { ", 1 for the virtual IP of their service" } else { "" };
        format!("it has {free} of {size} addresses free, and {needed} are needed: {tasks} for the proxies{order}{own}{vip}")
    })
}

/// What a network lacks to which the proxies are attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// Whether tasks wait for more addresses than there are: then an address that a proxy gives back, because it is replaced or has
    /// ended, goes to somebody else, and the next proxy of its node never starts.
    pub contested: bool,
    /// How many addresses are missing.
    pub lacking: u64,
    /// Where that is because of others than a team whose routes need the network: their service with most addresses.
    pub by_others: Option<String>,
    /// What there is and what is missing, in words that follow "it" or the network's name.
    pub words: String,
}

/// Why proxies would not get their addresses again on a network that they are attached to; none if they would. `service` is theirs.
pub fn shortage_of_attached(
    network: &Network,
    usage: &Usage<'_>,
    needs: &Needs<'_>,
    service: &Service,
    snapshot: &Snapshot,
) -> Option<Shortage> {
    let (size, in_use) = (usable_addresses(network)?, in_use(network, usage));
    let waiting = usage.stuck_tasks.saturating_add(usage.waiting_services);
    let free = size.saturating_sub(in_use);
    if waiting > free {
        let words =
            format!("has {free} of {size} addresses free, and {waiting} tasks or virtual IPs wait for one{}", who_waits(usage, snapshot));
        return Some(Shortage { contested: true, lacking: waiting - free, by_others: None, words });
    }
    let free = size.saturating_sub(taken(network, usage, snapshot));
    let needed = needs.starts_first?.saturating_sub(surplus(network, needs, service, snapshot));
    let words = || format!("has {free} of {size} addresses free, and a rollout of the proxies needs {needed} more for a while");
    (needed > free).then(|| Shortage { contested: false, lacking: needed - free, by_others: None, words: words() })
}

/// The service with the most tasks that wait: who made the network too small has to know, and whoever looks for the reason.
fn who_waits(usage: &Usage<'_>, snapshot: &Snapshot) -> String {
    let most = usage.stuck.iter().max_by_key(|(id, count)| (**count, std::cmp::Reverse(*id)));
    let named = most.and_then(|(id, count)| Some((&snapshot.services.get(id)?.name, *count)));
    named.map_or_else(String::new, |(name, count)| format!(" ({count} of the service {name})"))
}

/// Addresses that proxies have because new ones started and old ones have not stopped yet.
fn surplus(network: &Network, needs: &Needs<'_>, service: &Service, snapshot: &Snapshot) -> u64 {
    let has = |task: &&Task| task.service == service.id && task.addresses.iter().any(|(id, _)| *id == network.id);
    let held = snapshot.tasks.values().chain(snapshot.stopping.values()).filter(has).count() as u64;
    held.saturating_sub(needs.tasks)
}

/// Addresses that tasks, virtual IPs and load balancers have.
fn in_use(network: &Network, usage: &Usage<'_>) -> u64 {
    [usage.held.len() as u64, nodes(network, usage), network.held_by_others.addresses].into_iter().fold(0, u64::saturating_add)
}

/// On how many nodes a network is: each has a load balancer there.
fn nodes(network: &Network, usage: &Usage<'_>) -> u64 {
    usage.nodes.iter().copied().chain(&network.held_by_others.nodes).collect::<BTreeSet<_>>().len() as u64
}

/// Addresses that tasks, virtual IPs and load balancers have or wait for.
fn taken(network: &Network, usage: &Usage<'_>, snapshot: &Snapshot) -> u64 {
    // Nobody knows where what waits will run.
    let more_nodes = usage.waiting_tasks.min((snapshot.nodes.len() as u64).saturating_sub(nodes(network, usage)));
    [in_use(network, usage), usage.waiting_tasks, usage.waiting_services, more_nodes].into_iter().fold(0, u64::saturating_add)
}

/// How many addresses tasks can get at all; none where no subnet is known. Swarm gives one of any subnet: IPv4 where there is some.
fn usable_addresses(network: &Network) -> Option<u64> {
    let sizes = |four: bool| {
        let of_family = network.subnets.iter().filter(move |subnet| matches!(subnet.net, IpNet::V4(_)) == four);
        of_family.map(usable_in).reduce(u64::saturating_add)
    };
    sizes(true).or_else(|| sizes(false))
}

/// The addresses of a subnet, or of the part that they are given from, less those that nobody gets: the subnet's own, the
/// broadcast address, the gateway's (which Swarm chooses if it is not stated), and what is kept aside.
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
    fn addresses_that_nobody_gets_are_not_counted() {
        check("10.1.0.0/24", None, Some("10.1.0.1"), 253);
        check("10.1.0.0/24", None, None, 253);
        check("10.1.0.0/29", None, Some("10.1.0.1"), 5);
        check("10.1.0.0/30", None, Some("10.1.0.1"), 1);
        check("10.1.0.0/31", None, Some("10.1.0.1"), 0);
        check("10.1.0.0/32", None, Some("10.1.0.0"), 0);
        check("10.1.0.0/24", Some("10.1.0.128/28"), Some("10.1.0.1"), 16);
        check("10.1.0.0/24", Some("10.1.0.0/28"), Some("10.1.0.1"), 14);
        check("10.1.0.0/24", Some("10.1.0.240/28"), Some("10.1.0.254"), 14);
        // What lies outside is not the range that is meant.
        check("10.1.0.0/24", Some("10.2.0.0/28"), Some("10.1.0.1"), 253);
        check("0.0.0.0/0", None, None, (1 << 32) - 3);
        check("fd00:1::/64", None, Some("fd00:1::1"), u64::MAX - 2);
        check("fd00:1::/120", None, Some("fd00:1::1"), 254);
        check("fd00:1::/128", None, None, 0);
    }
}
