//! Finds the endpoints of one service: which addresses can get requests, and why the others cannot.
//!
//! Networks are exchanged without losing requests: until every proxy has the network that a service asks for, its tasks are
//! reached over another network that they already share with the proxies, and that network stays needed meanwhile. Without
//! such a network they are reached at ports of their nodes, if they publish any; otherwise not at all. A proxy without an
//! interface on a network sends packets for an address there to its gateway, and so to whatever has that address outside.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::TranslationContext;
use super::network_eligibility::runs_on;
use super::network_selection::{self, Reachability, choose, is_usable};
use super::node_ports;
use super::published_service::{PublishedService, label_key};
use crate::intent::labels::{Affinity, BackendMode};
use crate::report::cases::{self, NoEndpoints};
use crate::report::{EndpointReport, EndpointState, Finding};
use crate::route::Endpoint;
use crate::swarm::Task;
use crate::types::{NetworkId, NetworkName, NodeAvailability, TaskState};

/// How a service can be reached.
#[derive(Debug)]
pub struct ServiceEndpoints<'a> {
    /// The service.
    pub published: &'a PublishedService<'a>,
    /// Whether its only endpoint is a virtual IP.
    pub vip: bool,
    /// Whether it is reached at ports of its tasks' nodes.
    pub on_nodes: bool,
    /// The network over which proxies resolve its tasks by name.
    pub network: Option<NetworkName>,
    /// The addresses that can get requests.
    pub candidates: Vec<CandidateEndpoint>,
    /// The addresses that cannot, with reasons.
    pub excluded: Vec<EndpointReport>,
    /// The addresses that could if every proxy had their network.
    pub awaited: BTreeSet<SocketAddr>,
    /// Which proxies still lack a network, as text; `None` if no endpoint waits for that.
    pub waits: Option<String>,
    /// The networks that the service needs.
    pub networks: BTreeSet<NetworkId>,
    /// Why no request reaches the service, and the case of the finding about it, if its networks are the reason.
    pub hindrance: Option<(String, NoEndpoints)>,
}

/// An address that can get requests.
#[derive(Debug)]
pub struct CandidateEndpoint {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The network of its address, or of its intended address; `None` for a port of a node.
    pub network: Option<NetworkId>,
    /// Whether its address is the intended one. Otherwise it is a port of its node, until every proxy has that network.
    pub reachable: bool,
    /// The host name of its node, if known.
    pub node: Option<String>,
}

/// How a running task can be used.
enum Prospect {
    /// It can get requests now.
    Now(CandidateEndpoint),
    /// It can get requests once every proxy has its network.
    Later(CandidateEndpoint),
}

/// An address on a network.
struct TaskAddress {
    network: NetworkId,
    address: IpAddr,
    /// Whether every proxy has the network.
    reached: bool,
}

/// Finds the endpoints of a service.
pub fn service_endpoints<'a>(
    context: &TranslationContext<'_>,
    published: &'a PublishedService<'a>,
    findings: &mut Vec<Finding>,
) -> ServiceEndpoints<'a> {
    let way = choose(context, published, findings);
    let awaited = awaited(context, published, &way);
    let hindrance = hindrance(context, published, &way, awaited);
    let mut reach = ServiceEndpoints::without_candidates(published, way == Reachability::Nodes, hindrance);
    add_candidates(context, &mut reach, &way, awaited.is_some(), findings);
    reach.networks.extend(way.network().filter(|_| awaited.is_none()).cloned());
    reach.networks.extend(reach.candidates.iter().filter_map(|candidate| candidate.network.clone()));
    reach.network = network_of_names(context, &reach, &way);
    if published.labels.closed {
        close(&mut reach);
    }
    reach.candidates.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
    reach.excluded.sort_by(|a, b| a.task.cmp(&b.task));
    reach
}

impl<'a> ServiceEndpoints<'a> {
    fn without_candidates(published: &'a PublishedService<'a>, on_nodes: bool, hindrance: Option<(String, NoEndpoints)>) -> Self {
        Self {
            published,
            vip: false,
            on_nodes,
            network: None,
            candidates: Vec::new(),
            excluded: Vec::new(),
            awaited: BTreeSet::new(),
            waits: None,
            networks: BTreeSet::new(),
            hindrance,
        }
    }
}

/// Adds the virtual IP if the service asks for it and has one, otherwise the tasks.
fn add_candidates(
    context: &TranslationContext<'_>,
    reach: &mut ServiceEndpoints<'_>,
    way: &Reachability,
    waits_for_network: bool,
    findings: &mut Vec<Finding>,
) {
    let published = reach.published;
    if wants_virtual_ip(context, published) && *way != Reachability::Nowhere && !waits_for_network {
        if let Some(found) = virtual_ip(context, published, way) {
            reach.vip = true;
            add_virtual_ip(context, reach, found);
            return findings.extend(affinity_without_effect(published));
        }
        findings.push(no_virtual_ip(published, way));
    }
    add_tasks(context, reach, way, findings);
}

/// Whether the service asks for its virtual IP and a task stands behind it. Swarm restarts a missing task of a service, but
/// not of a completed job: the job keeps its virtual IP, and nothing answers there.
fn wants_virtual_ip(context: &TranslationContext<'_>, published: &PublishedService<'_>) -> bool {
    let runs = || context.tasks_of(&published.service.id).iter().any(|task| task.state == TaskState::Running);
    published.labels.backend_mode == BackendMode::Vip && published.wants_tasks() && (!published.service.is_job() || runs())
}

/// The network over which the service is reached now. During an exchange of networks this is not the intended one.
fn network_of_names(context: &TranslationContext<'_>, reach: &ServiceEndpoints<'_>, way: &Reachability) -> Option<NetworkName> {
    let now = reach.candidates.iter().filter(|candidate| candidate.reachable).find_map(|candidate| candidate.network.as_ref());
    NetworkName::parse(&context.network_name(now.or_else(|| way.network())?)).ok()
}

/// The chosen network, if the proxies are not attached to it and no task of the service runs there with an address yet.
/// They are attached only then: an earlier replacement of the proxies would serve no request, and a network on which
/// nothing starts could force it.
fn awaited<'a>(context: &TranslationContext<'_>, published: &PublishedService<'_>, way: &'a Reachability) -> Option<&'a NetworkId> {
    let network = way.network()?;
    let attached = context.closed_list.is_some() || context.proxies.declare(network);
    (!attached && !runs_on(context, published, network)).then_some(network)
}

fn hindrance(
    context: &TranslationContext<'_>,
    published: &PublishedService<'_>,
    way: &Reachability,
    awaited: Option<&NetworkId>,
) -> Option<(String, NoEndpoints)> {
    if *way == Reachability::Nowhere {
        return network_selection::unreachable_reason(context, published.service).map(|why| (why, NoEndpoints::UnusedNetwork));
    }
    let name = context.network_name(awaited?);
    let why =
        format!("no task of the service is running with an address on the network {name}; the proxies are attached to it once one is");
    Some((why, NoEndpoints::NoTask))
}

/// Sends no request to a service that asks for access control which does not exist here.
fn close(reach: &mut ServiceEndpoints<'_>) {
    let why = "a label of the service looks like access control but is unknown";
    reach.excluded.extend(reach.candidates.drain(..).map(|candidate| not_used(candidate, why.to_owned())));
    reach.awaited.clear();
    reach.waits = None;
}

fn not_used(candidate: CandidateEndpoint, why: String) -> EndpointReport {
    EndpointReport {
        address: SocketAddr::new(candidate.endpoint.address, candidate.endpoint.port.get()).to_string(),
        task: EndpointReport::task_or_virtual_ip(candidate.endpoint.task),
        node: candidate.node,
        state: EndpointState::Excluded,
        reason: Some(why),
    }
}

fn virtual_ip(context: &TranslationContext<'_>, published: &PublishedService<'_>, way: &Reachability) -> Option<TaskAddress> {
    if !published.service.vip_mode || *way == Reachability::Nodes {
        return None;
    }
    let addresses: Vec<_> = published.service.virtual_ips.iter().map(|vip| (&vip.network, vip.address)).collect();
    pick(context, way.network(), &addresses)
}

fn add_virtual_ip(
    context: &TranslationContext<'_>,
    reach: &mut ServiceEndpoints<'_>,
    TaskAddress { network, address, reached }: TaskAddress,
) {
    let endpoint = Endpoint { address, port: reach.published.labels.port, task: None, lasting: false };
    let candidate = CandidateEndpoint { endpoint, reachable: reached, network: Some(network), node: None };
    if reached { reach.candidates.push(candidate) } else { reach.wait(context, candidate) }
}

impl ServiceEndpoints<'_> {
    /// Not every proxy has the candidate's network, and there is no other way to reach it.
    fn wait(&mut self, context: &TranslationContext<'_>, candidate: CandidateEndpoint) {
        let Some(network) = &candidate.network else { return };
        let why = context.proxies.missing_reason(network, &context.network_name(network), context.snapshot);
        self.awaited.insert(SocketAddr::new(candidate.endpoint.address, candidate.endpoint.port.get()));
        self.networks.insert(network.clone());
        self.excluded.push(not_used(candidate, why.clone()));
        self.waits.get_or_insert(why);
    }
}

fn add_tasks(context: &TranslationContext<'_>, reach: &mut ServiceEndpoints<'_>, way: &Reachability, findings: &mut Vec<Finding>) {
    let ports = node_ports::NodePorts::new(context, reach.published);
    for task in context.tasks_of(&reach.published.service.id) {
        match task_candidate(context, reach.published, &ports, task, way) {
            Ok(Prospect::Now(candidate)) => reach.candidates.push(candidate),
            Ok(Prospect::Later(candidate)) => reach.wait(context, candidate),
            Err(reason) => reach.excluded.push(excluded(context, task, reason)),
        }
    }
    reach.excluded.extend(stopping(context, reach.published));
    if *way == Reachability::Nodes {
        findings.extend(ports.unknown_nodes());
    }
}

/// The tasks that Swarm is stopping. They get no new requests, and users usually want to know why.
fn stopping(context: &TranslationContext<'_>, published: &PublishedService<'_>) -> Vec<EndpointReport> {
    let drained = |task: &Task| {
        let node = task.node.as_ref().and_then(|id| context.snapshot.nodes.get(id));
        if node.is_some_and(|node| node.availability == NodeAvailability::Drain) { ", because its node is drained" } else { "" }
    };
    let message = |task: &Task| format!("draining: Swarm is stopping the task{}; it gets no new requests", drained(task));
    let own = context.snapshot.stopping.values().filter(|task| task.service == published.service.id);
    own.map(|task| excluded(context, task, message(task))).collect()
}

/// Swarm reports a task as running after its first successful health check, if the service has one.
fn task_candidate(
    context: &TranslationContext<'_>,
    published: &PublishedService<'_>,
    ports: &node_ports::NodePorts<'_>,
    task: &Task,
    way: &Reachability,
) -> Result<Prospect, String> {
    if task.state != TaskState::Running {
        return Err(not_running(task));
    }
    let node = node_name(context, task);
    if *way == Reachability::Nodes {
        return ports.endpoint(task).map(|endpoint| Prospect::Now(CandidateEndpoint { endpoint, network: None, reachable: true, node }));
    }
    let addresses: Vec<_> = task.addresses.iter().map(|(network, address)| (network, address.addr())).collect();
    let Some(TaskAddress { network, address, reached }) = pick(context, way.network(), &addresses) else {
        return Err(way.network().map_or_else(
            || "the service shares no network with the proxies".to_owned(),
            |id| format!("the task has no address on the network {}", context.network_name(id)),
        ));
    };
    let candidate = |endpoint| CandidateEndpoint { endpoint, reachable: reached, network: Some(network), node };
    // Better than an address that not all proxies reach, but worse than one that they do: no label asked for the port, and
    // a firewall may block it.
    let on_node = ports.endpoint(task).ok().filter(|_| !reached).map(|endpoint| Endpoint { lasting: false, ..endpoint });
    if let Some(endpoint) = on_node {
        return Ok(Prospect::Now(candidate(endpoint)));
    }
    let on_network = candidate(Endpoint { address, port: published.labels.port, task: Some(task.id.clone()), lasting: false });
    Ok(if reached { Prospect::Now(on_network) } else { Prospect::Later(on_network) })
}

/// Picks the address to use: on the chosen network if every proxy has it, otherwise on another network that all of them
/// certainly have, otherwise on the chosen network for later.
fn pick(context: &TranslationContext<'_>, chosen: Option<&NetworkId>, addresses: &[(&NetworkId, IpAddr)]) -> Option<TaskAddress> {
    let on_chosen = addresses.iter().filter(|(network, _)| Some(*network) == chosen).min_by_key(|(_, address)| *address);
    let reached = on_chosen.filter(|(network, _)| context.proxies.all_reach(network));
    let shared = || {
        let usable = addresses.iter().filter(|(network, _)| context.proxies.all_surely_reach(network) && is_usable(context, network));
        usable.min_by_key(|(network, address)| (context.network_name(network), *address))
    };
    let found =
        |reached| move |(network, address): &(&NetworkId, IpAddr)| TaskAddress { network: (*network).clone(), address: *address, reached };
    reached.or_else(shared).map(found(true)).or_else(|| on_chosen.map(found(false)))
}

fn not_running(task: &Task) -> String {
    let message = if task.error.is_empty() { &task.message } else { &task.error };
    if message.is_empty() || message == task.state.as_str() {
        format!("the task is {}", task.state)
    } else {
        format!("the task is {}: {message}", task.state)
    }
}

fn node_name(context: &TranslationContext<'_>, task: &Task) -> Option<String> {
    task.node.as_ref().and_then(|id| context.snapshot.nodes.get(id)).map(|node| node.hostname.clone())
}

fn excluded(context: &TranslationContext<'_>, task: &Task, reason: String) -> EndpointReport {
    EndpointReport {
        address: String::new(),
        task: task.id.0.clone(),
        node: node_name(context, task),
        state: EndpointState::Excluded,
        reason: Some(reason),
    }
}

/// Behind a virtual IP, Swarm itself distributes connections.
fn affinity_without_effect(published: &PublishedService<'_>) -> Option<Finding> {
    let (label, value) = match &published.labels.affinity {
        Affinity::None => return None,
        Affinity::Cookie(name) => ("sticky_session_cookie", name.as_str()),
        Affinity::ClientAddress => ("ip_hash", "true"),
    };
    let message = "requests go to the virtual IP of the service, where Swarm chooses the task, so the label has no effect";
    let finding = Finding::new(cases::LabelWithoutEffect::AffinityOfVirtualIp, published.subject(), message);
    Some(finding.with_field(label_key(label), value))
}

fn no_virtual_ip(published: &PublishedService<'_>, way: &Reachability) -> Finding {
    let message = "the service has no virtual IP on the network that is used; the addresses of its tasks are used instead";
    let case = if *way == Reachability::Nodes {
        cases::NoVirtualIp::OnNodes
    } else if published.service.vip_mode {
        cases::NoVirtualIp::NotAssigned
    } else {
        cases::NoVirtualIp::Dnsrr
    };
    Finding::new(case, published.subject(), message).with_field(label_key("backend_mode"), "vip")
}
