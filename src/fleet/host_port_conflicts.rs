//! Host ports that a foreign service requests too. Swarm lets every service request a host port, and gives a port that
//! becomes free to a task that waits for it: a proxy that stops for a moment can lose its node to another service
//! (`docs/decisions/contested-host-ports.md`). Only reports; `plan` decides which tasks are replaced nevertheless.

use std::collections::{BTreeMap, BTreeSet};

use super::global_mode;
use super::ownership_seal::{ObjectKind, SealedObject};
use crate::intent::cluster::Cluster;
use crate::intent::cluster_spec::PublishMode;
use crate::pki::Seals;
use crate::protocol::container_contract::{LABEL_CLUSTER, LABEL_OWNER, LABEL_ROLE};
use crate::report::{Finding, Severity, Subject, WaitingOn, cases};
use crate::swarm::{Node, PublishedPort, Service, Snapshot, Task, fitting_nodes, nodes_that_meet};
use crate::types::{NodeId, ServiceId, TaskState};

/// The maximum number of names in one sentence.
const NAMES_MAX: usize = 5;
/// Occurs in Swarm's message that a task finds no node because of a port.
const NO_PORT: &str = "host-mode port";
/// States of tasks that have no node yet; tasks of Swarm's global mode may name the node that they wait for.
const WITHOUT_NODE: [TaskState; 3] = [TaskState::New, TaskState::Allocated, TaskState::Pending];

/// A host port with its protocol.
type HostPort<'a> = (u16, &'a str);

/// The ports and nodes of one of our services.
struct OwnPorts<'a> {
    service: String,
    ports: BTreeSet<HostPort<'a>>,
    /// The nodes where its tasks are, or may be placed.
    nodes: BTreeSet<&'a NodeId>,
    /// Whether one of its tasks waits for such a port.
    waits: bool,
    /// What happens to requests if the other service gets the port, and what is held back meanwhile.
    loses: &'static str,
    holds_back: &'static str,
}

/// A foreign service that requests our ports on our nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortConflict {
    /// Its name.
    pub service: String,
    /// The ports in question: `80/tcp`.
    pub ports: Vec<String>,
    /// Whether the service would get a port that becomes free on such a node, or one of our tasks waits because the service
    /// holds one.
    pub acute: bool,
    finding: Finding,
}

impl PortConflict {
    /// The finding for the service's owner and the administrator.
    pub fn finding(&self) -> Finding {
        self.finding.clone()
    }
}

/// The services that request the ports of a cluster's proxies, by service name.
pub fn of_proxies(instance: &str, cluster: &Cluster, seals: &Seals, snapshot: &Snapshot) -> Vec<PortConflict> {
    let workloads = [&cluster.proxy.workload, &cluster.extension];
    let named = |service: &Service| workloads.iter().any(|workload| workload.service_name.as_str() == service.name);
    held_by_proxies(cluster, snapshot)
        .map_or_else(Vec::new, |held| contests(&held, snapshot, |service| named(service) || is_sealed(instance, seals, service)))
}

/// The services that request the ports of the operator's own service.
pub fn of_operator(own: &ServiceId, instance: &str, seals: &Seals, snapshot: &Snapshot) -> Vec<PortConflict> {
    let Some(service) = snapshot.services.get(own) else { return Vec::new() };
    let ports = bound(&service.ports).collect();
    let nodes = in_use(fitting_nodes(&service.spec, snapshot), snapshot).chain(nodes_of(service, snapshot)).collect();
    let held = OwnPorts {
        service: service.name.clone(),
        ports,
        nodes,
        waits: waits_for_a_port(service, snapshot),
        loses: "receives the operator's requests on that node, for example the tokens of clients that ask for the status without TLS",
        holds_back: "",
    };
    contests(&held, snapshot, |other| other.id == *own || is_sealed(instance, seals, other))
}

/// What the proxies' tasks wait for before they are replaced, if another service would take one of their ports meanwhile.
pub fn wait(service: &str, contests: &[PortConflict]) -> Option<WaitingOn> {
    let acute = || contests.iter().filter(|contest| contest.acute);
    let ports: BTreeSet<&str> = acute().flat_map(|contest| &contest.ports).map(String::as_str).collect();
    let by = some(acute().map(|contest| contest.service.as_str()));
    let ports = ports.into_iter().collect::<Vec<_>>().join(", ");
    (!by.is_empty()).then(|| WaitingOn::HostPort { service: service.to_owned(), ports, by })
}

/// The ports and nodes that the proxies have now, and those that they will have.
fn held_by_proxies<'a>(cluster: &'a Cluster, snapshot: &'a Snapshot) -> Option<OwnPorts<'a>> {
    let proxy = &cluster.proxy;
    let existing = snapshot.services.values().find(|service| service.name == proxy.workload.service_name.as_str());
    let mappings = std::iter::once(&proxy.publish.http).chain(&proxy.publish.https);
    let declared = mappings.filter(|_| proxy.publish.mode == PublishMode::Host).map(|port| (port.published.get(), "tcp"));
    let ports: BTreeSet<_> = existing.into_iter().flat_map(|service| bound(&service.ports)).chain(declared).collect();
    if ports.is_empty() {
        return None;
    }
    let wanted = in_use(nodes_that_meet(&global_mode::constraints(proxy, existing), snapshot), snapshot);
    let now = existing.into_iter().flat_map(|service| in_use(fitting_nodes(&service.spec, snapshot), snapshot));
    let running = existing.into_iter().flat_map(|service| nodes_of(service, snapshot));
    Some(OwnPorts {
        service: proxy.workload.service_name.to_string(),
        ports,
        nodes: wanted.chain(now).chain(running).collect(),
        waits: existing.is_some_and(|service| waits_for_a_port(service, snapshot)),
        loses: "answers all requests to that node, whatever their host",
        holds_back: " Meanwhile, no proxy is replaced: new networks, images and everything else that needs new proxies must wait.",
    })
}

/// One pass over the services, and one over the tasks if any service requests such a port.
fn contests(held: &OwnPorts<'_>, snapshot: &Snapshot, is_ours: impl Fn(&Service) -> bool) -> Vec<PortConflict> {
    let requests_port = |service: &&Service| bound(&service.ports).any(|port| held.ports.contains(&port));
    let rivals: Vec<&Service> = snapshot.services.values().filter(requests_port).filter(|service| !is_ours(service)).collect();
    let mut tasks: BTreeMap<&ServiceId, Vec<&Task>> = rivals.iter().map(|service| (&service.id, Vec::new())).collect();
    if !rivals.is_empty() {
        for task in snapshot.tasks.values() {
            if let Some(known) = tasks.get_mut(&task.service) {
                known.push(task);
            }
        }
    }
    let tasks_of = |service: &Service| tasks.get(&service.id).map_or(&[][..], Vec::as_slice);
    let mut found: Vec<PortConflict> = rivals.iter().filter_map(|service| contest(held, service, tasks_of(service), snapshot)).collect();
    found.sort_by(|a, b| a.service.cmp(&b.service));
    found
}

fn contest(held: &OwnPorts<'_>, service: &Service, tasks: &[&Task], snapshot: &Snapshot) -> Option<PortConflict> {
    if service.replicas == Some(0) || (service.is_job() && tasks.is_empty()) {
        return None;
    }
    let has_node = |task: &&Task| task.node.is_some() && !WITHOUT_NODE.contains(&task.state) && !task.has_ended();
    let on: BTreeSet<&NodeId> = tasks.iter().copied().filter(has_node).filter_map(|task| task.node.as_ref()).collect();
    let may: BTreeSet<&NodeId> = in_use(fitting_nodes(&service.spec, snapshot), snapshot).filter(|id| held.nodes.contains(id)).collect();
    let has: BTreeSet<&NodeId> = on.iter().copied().filter(|id| held.nodes.contains(id)).collect();
    if may.is_empty() && has.is_empty() {
        return None;
    }
    let placed = u64::try_from(tasks.iter().copied().filter(has_node).count()).unwrap_or(u64::MAX);
    let is_short = service.replicas.map_or_else(|| !may.is_subset(&on), |replicas| placed < replicas);
    let takes = is_short && !may.is_empty();
    let blocks = !has.is_empty() && held.waits;
    let ports: BTreeSet<HostPort<'_>> = bound(&service.ports).filter(|port| held.ports.contains(port)).collect();
    let ports: Vec<String> = ports.into_iter().map(|(port, protocol)| format!("{port}/{protocol}")).collect();
    let finding = finding(held, service, &ports, &names(&has, snapshot), takes, blocks);
    Some(PortConflict { service: service.name.clone(), ports, acute: takes || blocks, finding })
}

fn finding(held: &OwnPorts<'_>, service: &Service, ports: &[String], has: &str, takes: bool, blocks: bool) -> Finding {
    let OwnPorts { service: ours, loses, holds_back, .. } = held;
    let stack = service.stack().map_or_else(String::new, |stack| format!(" of the stack {stack}"));
    let all = ports.join(", ");
    let what = format!("This service{stack} publishes {all} on nodes (host mode), as {ours} does");
    let now = match (takes, blocks) {
        (true, true) => {
            format!(
                "it occupies {has}, where {ours} is waiting, and Swarm starts it on another node as soon as a task of {ours} stops there"
            )
        }
        (true, false) => format!("Swarm starts it on a node as soon as a task of {ours} stops there"),
        (false, true) => format!("it occupies {has}, where {ours} is waiting"),
        (false, false) => format!(
            "all its tasks have nodes now, but a task that needs a node while a task of {ours} is briefly stopped can take that node"
        ),
    };
    let acute = takes || blocks;
    let held_back = if acute { holds_back } else { "" };
    let message = format!("{what}: {now}. The service with the port {loses}.{held_back}");
    let severity = if acute { Severity::Error } else { Severity::Warning };
    Finding::new(cases::HostPortContested { service: ours }, Subject::Service(service.name.clone()), message)
        .with_severity(severity)
        .with_field("ports", &all)
}

/// Whether a task finds no node because of a port, and a task is missing because of that. Successors of running tasks wait
/// too.
fn waits_for_a_port(service: &Service, snapshot: &Snapshot) -> bool {
    let tasks = || snapshot.tasks.values().filter(|task| task.service == service.id);
    let placed = u64::try_from(tasks().filter(|task| !WITHOUT_NODE.contains(&task.state)).count()).unwrap_or(u64::MAX);
    let is_short = service.replicas.is_none_or(|replicas| placed < replicas);
    is_short && tasks().any(|task| task.state == TaskState::Pending && task.error.contains(NO_PORT))
}

fn bound(ports: &[PublishedPort]) -> impl Iterator<Item = HostPort<'_>> {
    ports.iter().filter(|port| port.host_mode && port.published != 0).map(|port| (port.published, port.protocol.as_str()))
}

/// The nodes that fit, or all if that cannot be determined.
fn in_use<'a>(fitting: Option<Vec<&'a NodeId>>, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a NodeId> {
    let all = || snapshot.nodes.values().filter(|node| node.is_in_use()).map(|node| &node.id).collect();
    fitting.unwrap_or_else(all).into_iter()
}

/// The nodes that have a task of the service.
fn nodes_of<'a>(service: &Service, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a NodeId> {
    let id = service.id.clone();
    snapshot.tasks.values().filter(move |task| task.service == id).filter_map(|task| task.node.as_ref())
}

/// Whether the operator created the service: labels alone can be written by anyone.
fn is_sealed(instance: &str, seals: &Seals, service: &Service) -> bool {
    let label = |key: &str| service.labels.get(key).map_or("", String::as_str);
    let (cluster, role, name) = (label(LABEL_CLUSTER), label(LABEL_ROLE), service.name.as_str());
    let described = SealedObject { kind: ObjectKind::Service, instance, cluster, role, name };
    label(LABEL_OWNER) == instance && described.is_sealed(seals, &service.labels)
}

fn names(nodes: &BTreeSet<&NodeId>, snapshot: &Snapshot) -> String {
    let name = |id: &&NodeId| snapshot.nodes.get(*id).map_or("", |node: &Node| node.hostname.as_str());
    let mut names: Vec<&str> = nodes.iter().map(name).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    some(names.into_iter())
}

/// The first few names, and how many more there are.
fn some<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = names.collect();
    let shown = all.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
    if all.len() > NAMES_MAX { format!("{shown} and {} more", all.len() - NAMES_MAX) } else { shown }
}
