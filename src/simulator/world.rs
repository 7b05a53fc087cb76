//! The simulated world: its objects, its clock and its randomness. Time moves only by `advance`, from one due moment to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use futures::channel::mpsc::UnboundedSender;
use ipnet::Ipv4Net;
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use super::fault::FaultState;
use super::model::{Availability, CachedView, ImageBehaviour, Millis, NetworkBehaviour, SimFile, SimNetwork, SimNode, SimService, SimTask};
use super::options::SimOptions;
use super::write_log::RecordedWrite;
use crate::swarm::{Hint, RawSnapshot, SwarmError};

/// Second 0 of every simulated world: 2026-01-01T00:00:00Z.
const BEGINNING: i64 = 1_767_225_600;

/// A receiver of hints.
pub type HintSender = UnboundedSender<Result<Hint, SwarmError>>;

/// The complete state.
pub struct SimState {
    pub now: Millis,
    pub index: u64,
    pub rng: StdRng,
    /// The release of the nodes' engines.
    pub docker_release: u32,
    pub services: BTreeMap<String, SimService>,
    pub tasks: BTreeMap<String, SimTask>,
    pub nodes: BTreeMap<String, SimNode>,
    pub networks: BTreeMap<String, SimNetwork>,
    pub configs: BTreeMap<String, SimFile>,
    pub secrets: BTreeMap<String, SimFile>,
    pub images: BTreeMap<String, ImageBehaviour>,
    /// Services that the orchestrator has yet to reconcile.
    pub dirty: BTreeSet<String>,
    pub listeners: Vec<HintSender>,
    pub faults: FaultState,
    /// Older observations, for stale answers.
    pub past: Vec<Arc<RawSnapshot>>,
    pub writes: Vec<RecordedWrite>,
}

impl SimState {
    pub fn new(options: SimOptions) -> Self {
        let mut world = Self {
            now: 0,
            index: 10,
            rng: StdRng::seed_from_u64(options.seed),
            docker_release: options.docker_release,
            services: BTreeMap::new(),
            tasks: BTreeMap::new(),
            nodes: BTreeMap::new(),
            networks: BTreeMap::new(),
            configs: BTreeMap::new(),
            secrets: BTreeMap::new(),
            images: BTreeMap::new(),
            dirty: BTreeSet::new(),
            listeners: Vec::new(),
            faults: FaultState::new(options.faults),
            past: Vec::new(),
            writes: Vec::new(),
        };
        world.add_nodes(options);
        world.add_network("ingress", "overlay", json!(null), true, None);
        world
    }

    fn add_nodes(&mut self, options: SimOptions) {
        for number in 1..=options.nodes {
            let last = u8::try_from(10 + number).unwrap_or(u8::MAX);
            let node = SimNode {
                shown: CachedView::default(),
                id: self.new_id(),
                version: self.bump(),
                hostname: format!("node{number}"),
                manager: number <= options.managers,
                up: true,
                availability: Availability::Active,
                labels: BTreeMap::new(),
                address: Ipv4Addr::new(198, 18, 0, last),
            };
            self.nodes.insert(node.id.clone(), node);
        }
    }

    /// Adds a network; each gets its own /24 unless another subnet is given. A network whose subnet overlaps another's gets none.
    pub fn add_network(&mut self, name: &str, driver: &str, labels: Value, mesh: bool, subnet: Option<Ipv4Net>) -> String {
        let id = self.new_id();
        let number = u32::try_from(self.index).unwrap_or(0) & 0xffff;
        let own = Ipv4Net::new_assert(Ipv4Addr::from((10 << 24) | (number << 8)), 24);
        let subnet = subnet.unwrap_or(own).trunc();
        let (name, driver) = (name.to_owned(), driver.to_owned());
        let created = self.now;
        let mut network = SimNetwork {
            shown: CachedView::default(),
            id: id.clone(),
            name,
            driver,
            mesh,
            labels,
            created,
            allocated: true,
            base: u32::from(subnet.network()),
            prefix: subnet.prefix_len(),
            used: BTreeSet::new(),
            behaviour: NetworkBehaviour::Healthy,
            cursor: 1,
            balancers: BTreeMap::new(),
        };
        network.allocated = !self.networks.values().any(|other| other.overlaps(&network));
        self.networks.insert(id.clone(), network);
        self.bump();
        id
    }

    /// The next version.
    pub fn bump(&mut self) -> u64 {
        self.index += 1;
        self.index
    }

    /// An id in Swarm's format: 25 digits and lower-case letters, in no particular order.
    pub fn new_id(&mut self) -> String {
        const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        (0..25).map(|_| char::from(LETTERS[self.rng.random_range(0..36)])).collect()
    }

    /// A time in the API's representation.
    pub fn timestamp(at: Millis) -> Timestamp {
        let since = SignedDuration::from_millis(i64::try_from(at).unwrap_or(i64::MAX));
        Timestamp::from_second(BEGINNING).unwrap_or_default().saturating_add(since).unwrap_or(Timestamp::MAX)
    }

    /// Sends all listeners a hint that something may have changed.
    pub fn hint(&mut self, kind: &str, detail: &str) {
        let copies = self.faults.hint_copies(&mut self.rng);
        for _ in 0..copies {
            let hint = Hint { kind: kind.to_owned(), detail: detail.to_owned() };
            self.listeners.retain(|listener| listener.unbounded_send(Ok(hint.clone())).is_ok());
        }
    }

    /// Advances the clock to `until`, stopping at each moment at which something happens by itself.
    pub fn advance_to(&mut self, until: Millis) {
        loop {
            self.settle_now();
            match self.next_due() {
                Some(due) if due <= until => self.now = self.now.max(due),
                _ => break,
            }
        }
        self.now = self.now.max(until);
    }

    /// Processes everything that is due now.
    fn settle_now(&mut self) {
        self.wake_rollouts();
        loop {
            self.allocate_services();
            let moved = self.run_agents();
            match self.dirty.pop_first() {
                Some(id) => self.orchestrate(&id),
                None if !moved => break,
                None => {}
            }
        }
    }

    /// When something next happens by itself.
    pub fn next_due(&self) -> Option<Millis> {
        let tasks = self.tasks.values().filter_map(|t| [t.due, t.start_at].into_iter().flatten().min());
        let services = self.services.values().filter_map(|s| {
            let rollout = s.rollout.as_ref().and_then(|r| r.next_moment(self.now));
            [s.allocate_at, rollout].into_iter().flatten().min()
        });
        tasks.chain(services).min()
    }
}
