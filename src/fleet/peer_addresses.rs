//! Where the operator and the extension are if there is no control network: the operator runs on some manager, the extension
//! wherever Swarm placed it. Nodes come and go, but no task is replaced for that: the addresses that a container got at its
//! start are valid while they include one manager, from which it learns everything else.

use std::net::SocketAddr;

use serde_json::Value;

use super::ShapeInput;
use super::common_service_fields;
use super::object_names::owned_by;
use super::spec_field::Field;
use crate::intent::cluster::{Cluster, Workload};
use crate::protocol::ChannelMode;
use crate::protocol::container_contract::{ENV_CHANNEL, ENV_OPERATOR_URL, EXTENSION_PORT};
use crate::protocol::messages::PeerAddresses;
use crate::report::{Finding, Subject, cases};
use crate::swarm::{Service, Snapshot, Task};
use crate::types::{NodeState, Port, TaskState};

/// The addresses of all peers, for clients of the operator; `None` with a control network.
pub fn peers(mode: &ChannelMode, instance: &str, cluster: &Cluster, snapshot: &Snapshot) -> Option<PeerAddresses> {
    let ChannelMode::Host { operator_port } = mode else { return None };
    let tasks = extension_tasks(instance, cluster, snapshot);
    let mut extensions: Vec<String> = tasks.filter_map(|task| Some(url(extension_at(snapshot, task)?))).collect();
    extensions.sort();
    Some(PeerAddresses::new(operators(snapshot, *operator_port), extensions))
}

fn extension_tasks<'a>(instance: &str, cluster: &Cluster, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Task> {
    let named = |service: &&Service| service.name == cluster.extension.service_name.as_str();
    let ours = |service: &&Service| owned_by(&service.labels, instance, cluster.name.as_str());
    let service = snapshot.services.values().filter(named).find(ours).map(|service| &service.id);
    snapshot.tasks.values().filter(move |task| task.state == TaskState::Running && service == Some(&task.service))
}

fn extension_at(snapshot: &Snapshot, task: &Task) -> Option<SocketAddr> {
    let address = snapshot.nodes.get(task.node.as_ref()?)?.reached_at()?;
    let port = task.host_ports.iter().find(|port| port.target == EXTENSION_PORT && port.protocol == "tcp" && port.published != 0)?;
    Some(SocketAddr::new(address, port.published))
}

/// The operator's channel on every manager with a known address, ready managers first.
fn operators(snapshot: &Snapshot, port: Port) -> Vec<String> {
    let managers = snapshot.nodes.values().filter(|node| node.manager);
    let mut addresses: Vec<_> = managers.filter_map(|node| Some((node.state != NodeState::Ready, node.reached_at()?))).collect();
    addresses.sort_unstable();
    addresses.into_iter().map(|(_, address)| url(SocketAddr::new(address, port.get()))).collect()
}

fn url(address: SocketAddr) -> String {
    format!("https://{address}")
}

/// The environment from which our containers learn the operator's addresses.
pub(super) struct PeerEnvironment {
    /// The current values.
    pub now: Vec<(&'static str, String)>,
    /// The values to use once its tasks are replaced anyway.
    pub when_replaced: Vec<(&'static str, String)>,
}

impl PeerEnvironment {
    /// The newest values.
    pub fn newest(&self) -> &[(&'static str, String)] {
        if self.when_replaced.is_empty() { &self.now } else { &self.when_replaced }
    }
}

/// The environment with which a service's containers find the operator.
pub(super) fn environment(input: &ShapeInput<'_>, workload: &Workload) -> PeerEnvironment {
    match input.channel {
        ChannelMode::Overlay { operator_url, .. } => {
            PeerEnvironment { now: vec![(ENV_OPERATOR_URL, operator_url.clone())], when_replaced: Vec::new() }
        }
        ChannelMode::Host { operator_port } => {
            let newest = operators(input.snapshot, *operator_port);
            let kept = urls_before(input, workload).filter(|before| newest.is_empty() || before.iter().any(|url| newest.contains(url)));
            let env = |urls: &[String]| vec![(ENV_CHANNEL, "host".to_owned()), (ENV_OPERATOR_URL, urls.join(","))];
            let same = kept.as_ref().is_none_or(|kept| is_same_set(kept, &newest) || newest.is_empty());
            PeerEnvironment { now: env(kept.as_ref().unwrap_or(&newest)), when_replaced: if same { Vec::new() } else { env(&newest) } }
        }
    }
}

fn is_same_set(one: &[String], other: &[String]) -> bool {
    one.len() == other.len() && one.iter().all(|url| other.contains(url))
}

/// The addresses that the service's tasks got at the last update.
fn urls_before(input: &ShapeInput<'_>, workload: &Workload) -> Option<Vec<String>> {
    let service = input.snapshot.services.values().find(|service| service.name == workload.service_name.as_str())?;
    let env = service.spec.pointer("/TaskTemplate/ContainerSpec/Env")?.as_array()?;
    let entry = env.iter().filter_map(Value::as_str).find_map(|entry| entry.strip_prefix(ENV_OPERATOR_URL)?.strip_prefix('='))?;
    Some(entry.split(',').map(str::to_owned).collect())
}

/// The environment for replaced tasks, if it differs from that of the current tasks.
pub(super) fn newer_env(workload: &Workload, own: &[(&'static str, String)], environment: &PeerEnvironment) -> Option<Field> {
    let newest: Vec<_> = own.iter().chain(&environment.when_replaced).cloned().collect();
    (!environment.when_replaced.is_empty()).then(|| common_service_fields::env(workload, &newest))
}

/// Reports that containers could not find the operator.
pub(super) fn unknown_operator_address(input: &ShapeInput<'_>) -> Option<Finding> {
    let ChannelMode::Host { operator_port } = input.channel else { return None };
    let message = "no address of a manager is known, so the extension and proxies could not find the operator; new ones are held back";
    operators(input.snapshot, *operator_port).is_empty().then(|| unknown_address(input, message.to_owned()))
}

/// Reports that proxies could not find the extension.
pub(super) fn unknown_extension_address(input: &ShapeInput<'_>) -> Option<Finding> {
    let mut tasks = extension_tasks(input.instance, input.cluster, input.snapshot).peekable();
    if input.channel.network().is_some() || tasks.peek().is_none() {
        return None;
    }
    let nodes: Vec<_> = tasks.filter_map(|task| input.snapshot.nodes.get(task.node.as_ref()?)).collect();
    let unknown = nodes.iter().all(|node| node.reached_at().is_none());
    let names = nodes.iter().map(|node| node.hostname.as_str()).collect::<Vec<_>>().join(", ");
    let message = format!("the extension runs on {names}, whose address is unknown, so the proxies cannot find it and receive nothing new");
    (unknown && !nodes.is_empty()).then(|| unknown_address(input, message))
}

fn unknown_address(input: &ShapeInput<'_>, message: String) -> Finding {
    Finding::new(cases::NodeAddress::Unknown, Subject::Cluster(input.cluster.name.to_string()), message)
}
