//! What the simulated Swarm holds. Times are milliseconds since its beginning.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::Value;

/// Milliseconds since the beginning of the simulated world.
pub type Millis = u64;

/// An object as the API last showed it. Most looks find most objects unchanged, and a copy is cheaper than a new writing.
#[derive(Debug, Default)]
pub struct CachedView(Option<(u64, Value)>);

impl CachedView {
    /// The object at that version, written anew only where it has changed.
    pub fn at(&mut self, version: u64, write: impl FnOnce() -> Value) -> Value {
        match &self.0 {
            Some((shown, value)) if *shown == version => value.clone(),
            _ => self.0.insert((version, write())).1.clone(),
        }
    }
}

/// A service.
#[derive(Debug)]
pub struct Service {
    pub shown: CachedView,
    pub id: String,
    pub version: u64,
    pub created: Millis,
    pub updated: Millis,
    pub spec: Arc<Value>,
    pub previous: Option<Arc<Value>>,
    /// The version of the spec itself; a task made from it is never outdated.
    pub spec_version: u64,
    pub previous_spec_version: u64,
    /// The task template as tasks carry it.
    pub template: Arc<Value>,
    pub vips: BTreeMap<String, (Ipv4Addr, u8)>,
    /// `Endpoint.Ports`, with the ports that Swarm chose.
    pub ports: Vec<Value>,
    /// When the allocator will look at it; none once it has.
    pub allocate_at: Option<Millis>,
    pub status: Option<UpdateStatus>,
    pub rollout: Option<Rollout>,
}

/// The state of the last update.
#[derive(Debug, Clone)]
pub struct UpdateStatus {
    pub state: &'static str,
    pub message: String,
    pub started: Millis,
    pub completed: Option<Millis>,
}

/// The place of a task in its service: a slot, or a node of a global service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskSlot {
    Slot(u64),
    Node(String),
}

/// A rolling update in progress.
#[derive(Debug)]
pub struct Rollout {
    pub waiting: VecDeque<TaskSlot>,
    pub active: Vec<Replacement>,
    pub total: usize,
    /// New tasks to watch, with the time since when they run.
    pub watched: Vec<(String, Option<Millis>)>,
    pub failed: BTreeSet<String>,
    /// When the next place may begin.
    pub next_at: Millis,
    /// When the watching ends, once all places are done.
    pub ends_at: Option<Millis>,
}

/// One place being replaced.
#[derive(Debug)]
pub struct Replacement {
    pub old: Vec<String>,
    pub new: String,
    /// Until when the new one waits for the old ones to end.
    pub patient_until: Millis,
    /// Whether it waits for ever.
    pub hangs: bool,
}

/// The life of a task, in order.
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

/// What the orchestrator wants of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DesiredTaskState {
    Ready,
    Running,
    /// That it runs until its work is done: a job's.
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
pub struct Task {
    pub shown: CachedView,
    pub id: String,
    pub version: u64,
    pub service: String,
    pub place: TaskSlot,
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
    pub created: Millis,
    pub since: Millis,
    /// When its state will change by itself.
    pub due: Option<Millis>,
    /// When it may begin to run although it was only wanted `ready` (a restart after a failure).
    pub start_at: Option<Millis>,
    pub message: &'static str,
    pub error: String,
}

/// A node.
#[derive(Debug)]
pub struct Node {
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
    /// It gives its tasks away.
    Drain,
}

impl Availability {
    /// Swarm's word for it.
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
pub struct Network {
    pub shown: CachedView,
    pub id: String,
    pub name: String,
    pub driver: String,
    pub mesh: bool,
    pub labels: Value,
    pub created: Millis,
    /// Whether it has a subnet at all: Swarm gives none that overlaps with another network's, and says so nowhere.
    pub allocated: bool,
    /// The first address of its subnet.
    pub base: u32,
    pub prefix: u8,
    pub used: BTreeSet<u32>,
    /// What becomes of tasks on it.
    pub behaviour: NetworkBehaviour,
    /// Addresses are given out serially, so that one is not used again soon.
    pub cursor: u32,
    /// The addresses of its load balancers, one on each node with a task on it.
    pub balancers: BTreeMap<String, Ipv4Addr>,
}

/// What becomes of tasks on a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NetworkBehaviour {
    /// They run.
    #[default]
    Healthy,
    /// Addresses are never given to new ones, as on a full network: they stay `new`.
    NoAddresses,
    /// No node can set it up: they are rejected.
    Rejected,
    /// They get as far as starting, and no further: their health check never succeeds.
    NeverReached,
}

/// A config or a secret.
#[derive(Debug)]
pub struct File {
    pub shown: CachedView,
    pub id: String,
    pub name: String,
    pub version: u64,
    pub labels: BTreeMap<String, String>,
    pub created: Millis,
}

/// What containers of an image do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageBehaviour {
    /// They start and run.
    Healthy,
    /// No node has it: tasks are rejected.
    Missing,
    /// They end before they are running.
    NeverStarts,
    /// They run this many milliseconds, then fail.
    CrashesAfter(u64),
    /// They run this many milliseconds, then end without an error.
    EndsAfter(u64),
    /// They need this many milliseconds to start.
    StartsSlowly(u64),
}
