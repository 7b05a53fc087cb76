//! The endpoints of one service: which addresses could get requests, and why the others cannot.
//!
//! Networks are exchanged without losing requests: as long as not every running proxy has the network that a service
//! asks for, its tasks are reached over another one that they already share, and that one stays needed meanwhile.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::World;
use super::networks::{choose, is_usable};
use super::published::{Published, label_key};
use crate::intent::labels::BackendMode;
use crate::report::{EndpointReport, EndpointState, Finding, FindingCode, Severity};
use crate::route::Endpoint;
use crate::swarm::Task;
use crate::types::NetworkId;

/// How a service can be reached.
#[derive(Debug)]
pub struct Reach<'a> {
    /// The service.
    pub published: &'a Published<'a>,
    /// Whether its one endpoint is a virtual IP.
    pub vip: bool,
    /// What could get requests.
    pub candidates: Vec<Candidate>,
    /// What cannot, with reasons.
    pub excluded: Vec<EndpointReport>,
    /// The networks that this needs.
    pub networks: BTreeSet<NetworkId>,
}

/// An address that could get requests.
#[derive(Debug)]
pub struct Candidate {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The network of its address.
    pub network: NetworkId,
    /// Whether every running proxy has that network.
    pub reachable: bool,
    /// The host name of its node, when known.
    pub node: Option<String>,
}

/// Finds the endpoints of a service.
pub fn reach<'a>(world: &World<'_>, published: &'a Published<'a>, findings: &mut Vec<Finding>) -> Reach<'a> {
    let chosen = choose(world, published, findings);
    let mut reach = Reach { published, vip: false, candidates: Vec::new(), excluded: Vec::new(), networks: BTreeSet::new() };
    if published.labels.backend_mode == BackendMode::Vip && published.wants_tasks() && chosen.is_some() {
        reach.candidates.extend(virtual_ip(world, published, chosen.as_ref()));
        reach.vip = !reach.candidates.is_empty();
        if !reach.vip {
            findings.push(no_virtual_ip(published));
        }
    }
    if !reach.vip {
        add_tasks(world, &mut reach, chosen.as_ref());
    }
    reach.networks.extend(chosen);
    reach.networks.extend(reach.candidates.iter().map(|candidate| candidate.network.clone()));
    reach.candidates.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
    reach.excluded.sort_by(|a, b| a.task.cmp(&b.task));
    reach
}

fn virtual_ip(world: &World<'_>, published: &Published<'_>, chosen: Option<&NetworkId>) -> Option<Candidate> {
    if !published.service.vip_mode {
        return None;
    }
    let addresses: Vec<_> = published.service.virtual_ips.iter().map(|vip| (&vip.network, vip.address)).collect();
    let (network, address) = pick(world, chosen, &addresses)?;
    let endpoint = Endpoint { address, port: published.labels.port, task: None };
    Some(Candidate { endpoint, reachable: world.proxies.all_reach(&network), network, node: None })
}

fn add_tasks(world: &World<'_>, reach: &mut Reach<'_>, chosen: Option<&NetworkId>) {
    for task in world.tasks_of(&reach.published.service.id) {
        match task_candidate(world, reach.published, task, chosen) {
            Ok(candidate) => reach.candidates.push(candidate),
            Err(reason) => reach.excluded.push(excluded(world, task, reason)),
        }
    }
}

/// Running is what Swarm says after the first successful health check, if the service has one.
fn task_candidate(world: &World<'_>, published: &Published<'_>, task: &Task, chosen: Option<&NetworkId>) -> Result<Candidate, String> {
    if task.state != "running" {
        return Err(not_running(task));
    }
    let addresses: Vec<_> = task.addresses.iter().map(|(network, address)| (network, address.addr())).collect();
    let Some((network, address)) = pick(world, chosen, &addresses) else {
        return Err(chosen.map_or_else(
            || "the service shares no network with the proxies".to_owned(),
            |id| format!("the task has no address on the network {}", world.network_name(id)),
        ));
    };
    let endpoint = Endpoint { address, port: published.labels.port, task: Some(task.id.clone()) };
    Ok(Candidate { endpoint, reachable: world.proxies.all_reach(&network), network, node: node_name(world, task) })
}

/// The address to use: on the chosen network if every running proxy has it, else on another one that all of them surely
/// have, else on the chosen one nevertheless.
fn pick(world: &World<'_>, chosen: Option<&NetworkId>, addresses: &[(&NetworkId, IpAddr)]) -> Option<(NetworkId, IpAddr)> {
    let on_chosen = addresses.iter().filter(|(network, _)| Some(*network) == chosen).min_by_key(|(_, address)| *address);
    let reached = on_chosen.filter(|(network, _)| world.proxies.all_reach(network));
    let shared = || {
        let usable = addresses.iter().filter(|(network, _)| world.proxies.all_surely_reach(network) && is_usable(world, network));
        usable.min_by_key(|(network, address)| (world.network_name(network), *address))
    };
    reached.or_else(shared).or(on_chosen).map(|(network, address)| ((*network).clone(), *address))
}

fn not_running(task: &Task) -> String {
    let words = if task.error.is_empty() { &task.message } else { &task.error };
    if words.is_empty() || *words == task.state {
        format!("the task is {}", task.state)
    } else {
        format!("the task is {}: {words}", task.state)
    }
}

fn node_name(world: &World<'_>, task: &Task) -> Option<String> {
    task.node.as_ref().and_then(|id| world.snapshot.nodes.get(id)).map(|node| node.hostname.clone())
}

fn excluded(world: &World<'_>, task: &Task, reason: String) -> EndpointReport {
    EndpointReport {
        address: String::new(),
        task: task.id.0.clone(),
        node: node_name(world, task),
        state: EndpointState::Excluded,
        reason: Some(reason),
    }
}

fn no_virtual_ip(published: &Published<'_>) -> Finding {
    let message = "the service has no virtual IP on the network that is used; the addresses of its tasks are used instead";
    let remedy = "Set endpoint_mode: vip on the service, or backend_mode=task.";
    Finding::new(Severity::Warning, FindingCode::NoVirtualIp, published.subject(), message, remedy).at(label_key("backend_mode"), "vip")
}
