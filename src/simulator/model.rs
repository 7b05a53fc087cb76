//! The objects of the simulated Swarm. Times are milliseconds since its start.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::Value;

/// Milliseconds since the start of the simulated world.
pub type Millis = u64;

/// The last API representation of an object. Most observations find most objects unchanged, and a copy is cheaper than building it again.
#[derive(Debug, Default)]
pub struct CachedView(Option<(u64, Value)>);

impl CachedView {
    /// The representation of this version, rebuilt only if the object changed.
    pub fn at(&mut self, version: u64, write: impl FnOnce() -> Value) -> Value {
        match &self.0 {
            Some((shown, value)) if *shown == version => value.clone(),
            _ => self.0.insert((version, write())).1.clone(),
        }
    }
}

/// A service.
#[derive(Debug)]
pub struct SimService {
    pub shown: CachedView,
    pub id: String,
    pub version: u64,
    pub created: Millis,
    pub updated: Millis,
    pub spec: Arc<Value>,
    pub previous: Option<Arc<Value>>,
    /// The version of the spec itself; a task created from it is never outdated.
    pub spec_version: u64,
    pub previous_spec_version: u64,
    /// The task template as tasks carry it.
    pub template: Arc<Value>,
    pub vips: BTreeMap<String, (Ipv4Addr, u8)>,
    /// `Endpoint.Ports`, with the ports that Swarm chose.
    pub ports: Vec<Value>,
    /// When the allocator processes it; `None` once it has.
    pub allocate_at: Option<Millis>,
    pub status: Option<SimUpdateStatus>,
    pub rollout: Option<SimRollout>,
}

/// The state of the last update.
#[derive(Debug, Clone)]
pub struct SimUpdateStatus {
    pub state: &'static str,
    pub message: String,
    pub started: Millis,
    pub completed: Option<Millis>,
}

/// The place of a task in its service: a slot, or the node in a global service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskSlot {
    Slot(u64),
    Node(String),
}

/// A rolling update in progress.
#[derive(Debug)]
pub struct SimRollout {
    pub waiting: VecDeque<TaskSlot>,
    pub active: Vec<Replacement>,
    pub total: usize,
    /// New tasks to watch, and since when each has been running.
    pub watched: Vec<(String, Option<Millis>)>,
    pub failed: BTreeSet<String>,
    /// When the next replacement may begin.
    pub next_at: Millis,
    /// When watching ends, once all places are done.
    pub ends_at: Option<Millis>,
}

/// One place being replaced.
#[derive(Debug)]
pub struct Replacement {
    pub old: Vec<String>,
    pub new: String,
    /// Until when the new task waits for the old ones to end.
    pub patient_until: Millis,
    /// Whether it waits forever.
    pub hangs: bool,
}

/// The states of a task, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskState {
    New,
    Pending,
    Assigned,
    Preparing,
    Ready,
    Starting,
    Running,
    Complete,
    Shutdown,
    Failed,
    Rejected,
}

impl TaskState {
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Pending => "pending",
            Self::Assigned => "assigned",
            Self::Preparing => "preparing",
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Shutdown => "shutdown",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
        }
    }

    pub fn ended(self) -> bool {
        self > Self::Running
    }
}

/// The state that the orchestrator wants for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DesiredTaskState {
    Ready,
    Running,
    /// Run to completion: a task of a job.
    Complete,
    Shutdown,
    Remove,
}

impl DesiredTaskState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Shutdown => "shutdown",
            Self::Remove => "remove",
        }
    }

    pub fn wanted(self) -> bool {
        self <= Self::Complete
    }
}

/// A task.
#[derive(Debug)]
pub struct SimTask {
    pub shown: CachedView,
    pub id: String,
    pub version: u64,
    pub service: String,
    pub slot: TaskSlot,
    pub node: Option<String>,
    pub state: TaskState,
    pub desired: DesiredTaskState,
    pub spec: Arc<Value>,
    pub labels: Arc<Value>,
    pub endpoint: Value,
    pub spec_version: u64,
    pub addresses: Vec<(String, Ipv4Addr, u8)>,
    /// Ports on its node: protocol, target, published.
    pub host_ports: Vec<(String, u64, u64)>,
    /// The same for IPv6: numbers that the engine chooses differ.
    pub host_ports_ipv6: Vec<(String, u64, u64)>,
    pub created: Millis,
    pub since: Millis,
    /// When its state next changes by itself.
    pub due: Option<Millis>,
    /// When it may start although it was only wanted `ready` (a restart after a failure).
    pub start_at: Option<Millis>,
    pub message: &'static str,
    pub error: String,
}

/// A node.
#[derive(Debug)]
pub struct SimNode {
    pub shown: CachedView,
    pub id: String,
    pub version: u64,
    pub hostname: String,
    pub manager: bool,
    pub up: bool,
    pub availability: Availability,
    pub labels: BTreeMap<String, String>,
    pub address: Ipv4Addr,
}

/// Whether a node takes tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// It takes tasks.
    Active,
    /// It takes no new ones.
    Pause,
    /// Its tasks move to other nodes.
    Drain,
}

impl Availability {
    /// Swarm's name for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pause => "pause",
            Self::Drain => "drain",
        }
    }
}

/// A network and its addresses.
#[derive(Debug)]
pub struct SimNetwork {
    pub shown: CachedView,
    pub id: String,
    pub name: String,
    pub driver: String,
    pub mesh: bool,
    pub labels: Value,
    pub created: Millis,
    /// Whether it has a subnet at all: Swarm allocates none that overlaps another network's, and reports it nowhere.
    pub allocated: bool,
    /// The first address of its subnet.
    pub base: u32,
    pub prefix: u8,
    pub used: BTreeSet<u32>,
    /// What happens to tasks on it.
    pub behaviour: NetworkBehaviour,
    /// The last allocated address. Allocation is serial, so that an address is not reused soon.
    pub cursor: u32,
    /// The addresses of its load balancers, one per node with a task on it.
    pub balancers: BTreeMap<String, Ipv4Addr>,
}

/// What happens to tasks on a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NetworkBehaviour {
    /// They run.
    #[default]
    Healthy,
    /// New tasks never get addresses, as on a full network: they stay `new`.
    NoAddresses,
    /// No node can set up the network: tasks are rejected.
    Rejected,
    /// They reach the state `starting` and no further: their health check never succeeds.
    NeverReached,
}

/// A config or a secret.
#[derive(Debug)]
pub struct SimFile {
    pub shown: CachedView,
    pub id: String,
    pub name: String,
    pub version: u64,
    pub labels: BTreeMap<String, String>,
    pub created: Millis,
}

/// How containers of an image behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageBehaviour {
    /// They start and run.
    Healthy,
    /// No node has the image: tasks are rejected.
    Missing,
    /// They exit before they are running.
    NeverStarts,
    /// They run this many milliseconds, then fail.
    CrashesAfter(u64),
    /// They run this many milliseconds, then exit without an error.
    EndsAfter(u64),
    /// They take this many milliseconds to start.
    StartsSlowly(u64),
}
