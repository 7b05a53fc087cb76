//! Decides whether a network could cut the proxies off from their clients, by its kind and its addresses. A proxy attached
//! to a network sends all traffic for that network's subnets into it, so they must never contain addresses of nodes,
//! clients or other networks. Looks at one network and its surroundings; never at the services that ask for it.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::SignedDuration;

use super::TranslationContext;
use crate::intent::cluster_spec::PublishMode;
use crate::intent::networks::NetworkRules;
use crate::report::cases::UnsuitableNetwork;
use crate::swarm::{GATEWAY_BRIDGE, Network, Snapshot};
use crate::types::NetworkId;

/// Swarm allocates the addresses of a new network within milliseconds. A network without addresses after this time will get
/// none.
const ALLOCATED_WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// Address space that cannot contain a client from the internet: RFC 1918, RFC 6598 and RFC 4193. Without link-local
/// addresses (the source of health checks in clouds) and benchmarking addresses (which laboratories give to nodes and
/// clients).
const PRIVATE_V4: [Ipv4Net; 4] = [
    Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(std::net::Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(std::net::Ipv4Addr::new(192, 168, 0, 0), 16),
    Ipv4Net::new_assert(std::net::Ipv4Addr::new(100, 64, 0, 0), 10),
];
const PRIVATE_V6: Ipv6Net = Ipv6Net::new_assert(std::net::Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7);

/// Addresses that no attached network may contain, each with a description.
#[derive(Debug, Default)]
pub struct ReservedRanges {
    /// No network may overlap these.
    taken: Vec<(IpNet, String)>,
    /// No network may contain one of these as a whole, unless the administrator says that it does.
    enclosed: Vec<(IpNet, String)>,
}

impl ReservedRanges {
    /// Nodes, the gateway bridge, the networks that are never for applications, and the administrator's reserved ranges.
    pub fn new(context: &TranslationContext<'_>) -> Self {
        let (snapshot, rules) = (context.snapshot, &context.cluster.networks);
        let ours = snapshot.networks.values().filter(|network| network.routing_mesh || context.is_control(network));
        let ours = ours.flat_map(|network| network.subnets.iter().map(|subnet| (subnet.net, format!("the network {}", network.name))));
        let bridge = snapshot.gateway_bridge.iter().map(|net| (*net, format!("{GATEWAY_BRIDGE} of a node")));
        let reserved = rules.reserved.iter().map(|range| (range.net(), "a range in spec.networks.reserved".to_owned()));
        let taken = node_addresses(snapshot).chain(bridge).chain(ours).chain(reserved).collect();
        Self { taken, enclosed: correspondents(context).collect() }
    }

    fn overlapped_by(&self, subnets: &[IpNet]) -> Option<String> {
        let of =
            |(taken, what): &(IpNet, String)| subnets.iter().find(|net| overlap(net, taken)).map(|net| overlapping(*net, *taken, what));
        self.taken.iter().find_map(of)
    }

    fn enclosed_by(&self, subnets: &[IpNet]) -> Option<String> {
        self.enclosed.iter().find_map(|(inside, what)| {
            let net = subnets.iter().find(|net| net.contains(inside))?;
            Some(format!(
                "its subnet {net} contains {}, {what}, and traffic from the proxies to it would go into this network",
                shown(*inside)
            ))
        })
    }
}

/// The peers that the proxies answer or send logs to, as far as the settings name them. A trusted range that is wider than
/// a network says nothing about the network: `10.0.0.0/8` contains most overlays, and only the administrator knows where in
/// it the load balancers are (`reserved`).
fn correspondents<'a>(context: &TranslationContext<'a>) -> impl Iterator<Item = (IpNet, String)> + use<'a> {
    let settings = &context.cluster.settings;
    let trusted = settings.client_address.iter().flat_map(|client| &client.trusted);
    let balancers = trusted.map(|range| (range.net(), "a load balancer in settings.clientAddress.trusted".to_owned()));
    let targets = [("accessLogPath", &settings.access_log_target), ("errorLogPath", &settings.error_log_target)];
    let logs = targets.into_iter().filter_map(|(field, target)| {
        let server = target.as_ref()?.server()?;
        Some((IpNet::from(canonical(server)), format!("the log server of settings.{field}")))
    });
    balancers.chain(logs)
}

/// Both the address that Swarm knows and the one in the node's label.
fn node_addresses(snapshot: &Snapshot) -> impl Iterator<Item = (IpNet, String)> {
    snapshot.nodes.values().flat_map(|node| {
        let known = [node.address, node.reached_at()].into_iter().flatten();
        known.map(|address| (IpNet::from(canonical(address)), format!("the node {}", node.hostname)))
    })
}

fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn overlapping(net: IpNet, taken: IpNet, what: &str) -> String {
    format!("its subnet {net} overlaps with {}, {what}", shown(taken))
}

/// A single address is shown without its prefix length.
fn shown(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

/// Whether the two have an address in common.
pub fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

/// Why the proxies must not be attached to a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsafeNetwork {
    /// What is wrong, as text that follows the network's name.
    pub message: String,
    /// The case of its finding.
    pub case: UnsuitableNetwork,
}

impl UnsafeNetwork {
    /// Addresses that are in use elsewhere.
    pub fn in_the_way(message: String) -> Self {
        Self { message, case: UnsuitableNetwork::Overlap }
    }
}

/// Adds the case to a problem.
fn with(case: UnsuitableNetwork) -> impl Fn(String) -> UnsafeNetwork {
    move |message| UnsafeNetwork { message, case }
}

/// Why the proxies must not be attached to the network, regardless of other networks; `None` if they may be.
pub fn fault(context: &TranslationContext<'_>, reserved_ranges: &ReservedRanges, network: &Network) -> Option<UnsafeNetwork> {
    // Docker does not name the driver either until the network has its addresses.
    if network.driver.is_empty() && subnets(context, network).is_empty() {
        return without_addresses(context.snapshot, network).map(UnsafeNetwork::in_the_way);
    }
    if network.driver != "overlay" {
        return Some(with(UnsuitableNetwork::NoOverlay)(no_overlay(network)));
    }
    if network.scope != "swarm" {
        return Some(with(UnsuitableNetwork::NoOverlay)(format!("it is not a Swarm network (scope {})", network.scope)));
    }
    let subnets = subnets(context, network);
    if subnets.is_empty() {
        return without_addresses(context.snapshot, network).map(UnsafeNetwork::in_the_way);
    }
    let unnamed = || (!context.cluster.networks.list(&network.name)).then(|| reserved_ranges.enclosed_by(&subnets)).flatten();
    let public = || public(&context.cluster.networks, network, &subnets);
    let overlaps = reserved_ranges.overlapped_by(&subnets).map(UnsafeNetwork::in_the_way);
    let open =
        overlaps.or_else(|| unnamed().map(with(UnsuitableNetwork::ContainsPeer))).or_else(|| public().map(with(UnsuitableNetwork::Public)));
    open.or_else(|| without_way_out(context, network).map(with(UnsuitableNetwork::Internal)))
}

/// Ports on a node are bound only where the container has a way out, which any network that is not internal provides. Our
/// own network is attached besides all others; without it only the networks of a closed list are certain to exist.
fn without_way_out(context: &TranslationContext<'_>, network: &Network) -> Option<String> {
    let leads_out = |id: &NetworkId| context.network(id).is_some_and(|network| !network.internal && network.driver == "overlay");
    let ours = || context.control.iter().any(|id| context.proxies.declare(id) && leads_out(id));
    let listed = || context.closed_list.iter().flatten().any(leads_out);
    let concerned = network.internal && context.cluster.proxy.publish.mode == PublishMode::Host;
    let message = "it is internal, and proxies that are only on internal networks have no published ports on their nodes";
    (concerned && !ours() && !listed()).then(|| message.to_owned())
}

/// Other drivers give containers a gateway of their own, which removes the path over which published ports are reached.
fn no_overlay(network: &Network) -> String {
    let driver = if network.driver.is_empty() { "unknown" } else { &network.driver };
    format!("it is not an overlay network (driver {driver}), and proxies on it could lose their published ports")
}

/// A network that is too new to judge is only waited for.
fn without_addresses(snapshot: &Snapshot, network: &Network) -> Option<String> {
    let age = snapshot.taken_at.duration_since(network.created_at);
    let known = network.created_at.as_second() > 0;
    let message =
        "Swarm has assigned it no addresses (usually because its subnet overlaps with that of another network), so no task on it starts";
    (known && age > ALLOCATED_WITHIN).then(|| message.to_owned())
}

/// Answers to clients in such a subnet would never leave it. Only the administrator can know that there are no such
/// clients, and says so with a closed list: a preferred name may belong to a network that does not exist yet and that
/// anyone can create.
fn public(rules: &NetworkRules, network: &Network, subnets: &[IpNet]) -> Option<String> {
    let public = subnets.iter().find(|net| !is_private(net)).filter(|_| !rules.list(&network.name))?;
    Some(format!("its subnet {public} is not private address space, and responses to clients with these addresses would go into it"))
}

fn is_private(net: &IpNet) -> bool {
    match net {
        IpNet::V4(four) => PRIVATE_V4.iter().any(|private| private.contains(four)),
        IpNet::V6(six) => PRIVATE_V6.contains(six),
    }
}

/// The subnets of a network. If the snapshot does not contain them, those of the addresses that tasks and services have on
/// it.
pub fn subnets(context: &TranslationContext<'_>, network: &Network) -> Vec<IpNet> {
    if !network.subnets.is_empty() {
        return network.subnets.iter().map(|subnet| subnet.net).collect();
    }
    context.usage.get(&network.id).map(|usage| usage.subnets.iter().copied().collect()).unwrap_or_default()
}

/// Which of two overlapping networks is kept: an attached one, otherwise the older one.
pub fn seniority<'a>(context: &TranslationContext<'_>, network: &'a Network) -> (bool, jiff::Timestamp, &'a NetworkId) {
    (!context.proxies.declare(&network.id), network.created_at, &network.id)
}
