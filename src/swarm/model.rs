//! The objects of a Swarm as typed values over API-shaped JSON: services, tasks, nodes, networks, configs, secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The labels of an object.
pub type Labels = BTreeMap<String, String>;

use ipnet::IpNet;
use jiff::Timestamp;

use serde_json::Value;

use crate::types::{ConfigId, NetworkId, NodeAvailability, NodeId, NodeState, SecretId, ServiceId, TaskId, TaskState, UpdateState};

/// A service.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Its id.
    pub id: ServiceId,
    /// Its name.
    pub name: String,
    /// The version that an update must carry.
    pub version: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// Service labels (`Spec.Labels`).
    pub labels: Labels,
    /// The whole spec, API-shaped.
    pub spec: Value,
    /// The spec before the last update, if Swarm stores one.
    pub previous_spec: Option<Value>,
    /// The networks in `TaskTemplate.Networks`, in order: ids, or names on very old services. Falls back to the deprecated
    /// `Spec.Networks`.
    pub networks: Vec<NetworkId>,
    /// `true` unless `EndpointSpec.Mode` is `dnsrr`.
    pub vip_mode: bool,
    /// Virtual IPs, by network.
    pub virtual_ips: Vec<VirtualIp>,
    /// Published ports (`Endpoint.Ports`, else `EndpointSpec.Ports`).
    pub ports: Vec<PublishedPort>,
    /// The desired number of replicas; absent in global mode.
    pub replicas: Option<u64>,
    /// The state of the last update, if any.
    pub update_status: Option<UpdateStatus>,
}

impl Service {
    /// The stack that it belongs to, if any.
    pub fn stack(&self) -> Option<&str> {
        self.labels.get(STACK).map(String::as_str).filter(|stack| !stack.is_empty())
    }

    /// Whether its tasks run to completion (`replicated-job`, `global-job`).
    pub fn is_job(&self) -> bool {
        ["/Mode/ReplicatedJob", "/Mode/GlobalJob"].iter().any(|mode| self.spec.pointer(mode).is_some())
    }

    /// The labels of its containers. Only the containers' own node uses them.
    pub fn container_labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = self.spec.pointer("/TaskTemplate/ContainerSpec/Labels").and_then(Value::as_object);
        labels.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
    }
}

/// A virtual IP of a service on one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualIp {
    /// The network.
    pub network: NetworkId,
    /// The address.
    pub address: IpAddr,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPort {
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// The port in the container.
    pub target: u16,
    /// The published port; 0 means that Swarm chooses one.
    pub published: u16,
    /// Whether it is bound on the task's node (`host`) instead of the routing mesh.
    pub host_mode: bool,
}

/// A mount, for code that reads specs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// `volume`, `bind` or `tmpfs`.
    pub kind: String,
    /// The path in the container.
    pub target: String,
}

/// The state of a service's last update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateStatus {
    /// The state as Swarm reports it.
    pub state: UpdateState,
    /// Swarm's message about the state.
    pub message: String,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

/// A task whose desired state is running.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Its service.
    pub service: ServiceId,
    /// Its node, once it has one.
    pub node: Option<NodeId>,
    /// The state as Swarm reports it.
    pub state: TaskState,
    /// Swarm's message about the state.
    pub message: String,
    /// Swarm's explanation of what blocks the task.
    pub error: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub state_since: Option<Timestamp>,
    /// Addresses by network, without Swarm's routing-mesh network.
    pub addresses: Vec<(NetworkId, IpNet)>,
    /// Ports bound on its node (`Status.PortStatus`), with IPv4/IPv6 duplicates merged. If the engine chose the number, it chose
    /// one for each family, and these differ once a container of the node had a port of only one family; the one for IPv4 comes
    /// first (seen on 20.10.24).
    pub host_ports: Vec<PublishedPort>,
    /// Whether it uses its node's own network (`--network host`), so that its ports are the node's ports.
    pub on_host_network: bool,
    /// The task's spec, API-shaped: the image, configs and networks it runs with.
    pub spec: Value,
}

impl Task {
    /// Whether it has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.state.has_ended()
    }
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Its host name.
    pub hostname: String,
    /// Its operating system: `linux`.
    pub os: String,
    /// Its architecture: `x86_64`.
    pub architecture: String,
    /// The release of its Docker engine (25 for `25.0.3`), if known.
    pub docker_release: Option<u32>,
    /// The state as Swarm reports it.
    pub state: NodeState,
    /// Whether it takes tasks.
    pub availability: NodeAvailability,
    /// Whether it is a manager.
    pub manager: bool,
    /// Node labels.
    pub labels: Labels,
    /// The address that Swarm reports (prefer [`Node::reached_at`]): the host part of the manager's address, else `Status.Addr`
    /// unless unspecified or loopback.
    pub address: Option<IpAddr>,
}

/// A network of Swarm scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
    /// Its name.
    pub name: String,
    /// `overlay`, ...
    pub driver: String,
    /// `swarm`, also if the field is absent.
    pub scope: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// Whether traffic between nodes on it is encrypted.
    pub encrypted: bool,
    /// Whether it has no route to the outside: containers that are only on such networks reach nothing outside and have no
    /// published ports.
    pub internal: bool,
    /// Whether it is Swarm's routing-mesh network.
    pub routing_mesh: bool,
    /// Its address ranges. Empty until Swarm allocates them, and forever if Swarm has none to allocate.
    pub subnets: Vec<Subnet>,
    /// Its labels.
    pub labels: Labels,
    /// Addresses in use in addition to those that the snapshot shows: a shared snapshot omits the objects that use them.
    pub held_by_others: HeldByOthers,
}

/// An address range of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// The whole range, with the host bits cleared.
    pub net: IpNet,
    /// The part from which addresses are allocated, if it is not the whole range.
    pub range: Option<IpNet>,
    /// The gateway's address, which is never allocated to anything else.
    pub gateway: Option<IpAddr>,
    /// Reserved addresses: not in use and never allocated.
    pub auxiliary: Vec<IpAddr>,
}

/// The field of a network in a shared snapshot that holds [`HeldByOthers`]; Docker has no field of this name.
pub(super) const HELD_BY_OTHERS: &str = "SwarmgateHeldByOthers";
/// The node-local network over which containers on overlay networks reach everything else.
pub const GATEWAY_BRIDGE: &str = "docker_gwbridge";

/// Addresses of a network used by objects that a shared snapshot omits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldByOthers {
    /// The number of addresses of tasks and services, held or waited for.
    pub addresses: u64,
    /// The nodes with tasks on the network; each uses one more address.
    pub nodes: BTreeSet<NodeId>,
}

/// Metadata of one of our configs, or of one that labels name. Its content is not needed here: the extension reads it where it
/// is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Its id.
    pub id: ConfigId,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Metadata of a secret; its content is never readable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its id.
    pub id: SecretId,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// When it was created.
    pub created_at: Timestamp,
}

/// The label with the name of a stack, which prefixes the names of the stack's objects.
pub(super) const STACK: &str = "com.docker.stack.namespace";
