//! One history: first trouble, then peace. Everything that happens is derived from the seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt as _;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use swarmgate::channel::Moment;
use swarmgate::controller::context::{Context, Tokens};
use swarmgate::controller::instance_overview;
use swarmgate::controller::label_damping::LabelDamping;
use swarmgate::controller::reconcile_pass::{ClusterState, PassRequest, PassResult, pass};
use swarmgate::controller::snapshot_cache::ObservedSnapshot;
use swarmgate::declaration::Declared;
use swarmgate::pki::Authority;
use swarmgate::protocol::ChannelMode;
use swarmgate::protocol::messages::Desired;
use swarmgate::report::Finding;
use swarmgate::simulator::{FaultRates, SimOptions, SimSwarm};
use swarmgate::swarm::{Snapshot, Swarm as _};
use swarmgate::types::{ClusterName, Port};

use crate::channel::TestChannel;
use crate::documents::{NAMES, TestDocument, files};
use crate::{oracle, user_actions};

/// The maximum number of steps of trouble in a history: many short histories cover more than a few long ones.
const TROUBLE_STEPS_MAX: usize = 16;
/// The maximum number of rounds of passes until everything is as declared, once faults and people stop. Swarm itself needs most
/// of them: it may take up to ten minutes until a failed rollout is retried.
const ROUNDS_TO_CONVERGE_MAX: usize = 150;
/// The pauses between the passes that must not write, to show that the world stays still.
const STILL_PAUSES_SECONDS: [u64; 4] = [1, 5, 60, 700];

/// The operator's authority, which outlives the operator. Its key is the only thing that is not derived from the seed: only
/// names and seals depend on it.
fn authority() -> Arc<Authority> {
    static AUTHORITY: OnceLock<Arc<Authority>> = OnceLock::new();
    Arc::clone(AUTHORITY.get_or_init(|| Arc::new(Authority::create(jiff::Timestamp::now()).unwrap())))
}

/// A history and everyone in it.
pub struct Scenario {
    seed: u64,
    loud: bool,
    rng: StdRng,
    swarm: SimSwarm,
    documents: Vec<TestDocument>,
    operator: OperatorProcess,
    kind: ScenarioKind,
}

/// The focus of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScenarioKind {
    /// All kinds of events.
    Mixed,
    /// Routes that keep changing, with proxies that are replaced for each change: generations of configs come and go.
    Generations,
}

/// The operator's own state, which is lost when it dies.
struct OperatorProcess {
    context: Context,
    extensions: Arc<TestChannel>,
    declared: Arc<Declared>,
    memories: BTreeMap<ClusterName, ClusterState>,
    damping: LabelDamping,
}

impl OperatorProcess {
    fn start(swarm: &SimSwarm, documents: &[TestDocument], channel: ChannelMode) -> Self {
        let extensions = Arc::new(TestChannel::default());
        let authority = authority();
        let seals = authority.seals();
        let context = Context {
            swarm: Arc::new(swarm.clone()),
            extensions: extensions.clone(),
            instance: "swarmgate".to_owned(),
            own_service: None,
            channel,
            seals,
            secrets: Arc::new(move || Box::new(Tokens::new(Arc::clone(&authority), "swarmgate".to_owned()))),
            writes: Arc::default(),
        };
        let declared = Arc::new(Declared::default().after(&files(documents)));
        Self { context, extensions, declared, memories: BTreeMap::new(), damping: LabelDamping::default() }
    }

    fn one_pass(&mut self, name: &ClusterName, may_write: bool, seen: Result<ObservedSnapshot, String>, swarm: &SimSwarm) -> PassResult {
        let request = PassRequest { name: name.clone(), declared: self.declared.clone(), may_write, now: swarm.now() };
        let memory = self.memories.entry(name.clone()).or_default();
        let verdict = pass(&self.context, &request, seen, memory).now_or_never().unwrap();
        if verdict == PassResult::Gone {
            self.memories.remove(name);
        }
        verdict
    }
}

/// Most operators have a control network; one in five has none.
fn channel_of(seed: u64) -> ChannelMode {
    if seed % 5 == 4 {
        return ChannelMode::Host { operator_port: Port::new(8081).unwrap() };
    }
    let (network, operator_url) = ("swarmgate-control".to_owned(), "http://swarmgate-operator:8081".to_owned());
    ChannelMode::Overlay { network, encrypted: false, operator_url }
}

impl Scenario {
    /// Creates the world from a seed.
    pub fn new(seed: u64, loud: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let swarm =
            SimSwarm::new(SimOptions { seed, docker_release: if seed.is_multiple_of(2) { 20 } else { 28 }, ..SimOptions::default() });
        user_actions::found(&swarm);
        let kind = if rng.random_bool(0.2) { ScenarioKind::Generations } else { ScenarioKind::Mixed };
        let count = if kind == ScenarioKind::Generations { 1 } else { [1, 1, 1, 2, 2, 3][rng.random_range(0..6)] };
        let mut documents: Vec<TestDocument> = (0..count).map(TestDocument::new).collect();
        for document in &mut documents {
            document.replace = kind == ScenarioKind::Generations;
            // One proxy on a port of each node, as in the first steps of the README.
            document.global = rng.random_bool(0.3);
            document.host_mode = document.global;
        }
        let operator = OperatorProcess::start(&swarm, &documents, channel_of(seed));
        Self { seed, loud, rng, swarm, documents, operator, kind }
    }

    /// One cluster on a Swarm without faults, for tests that script their own events.
    pub fn plain() -> Self {
        Self::of(TestDocument::new(0))
    }

    /// The same as [`Self::plain`], with a proxy on each node, on the nodes' own ports.
    pub fn on_nodes() -> Self {
        let mut document = TestDocument::new(0);
        (document.global, document.host_mode) = (true, true);
        Self::of(document)
    }

    fn of(document: TestDocument) -> Self {
        let swarm = SimSwarm::new(SimOptions::default());
        user_actions::found(&swarm);
        let documents = vec![document];
        let operator = OperatorProcess::start(&swarm, &documents, channel_of(0));
        Self { seed: 0, loud: false, rng: StdRng::seed_from_u64(0), swarm, documents, operator, kind: ScenarioKind::Mixed }
    }

    /// The Swarm.
    pub fn swarm(&self) -> &SimSwarm {
        &self.swarm
    }

    /// What is published for the one cluster.
    pub fn published(&self) -> Desired {
        self.operator.extensions.published().into_values().next().unwrap()
    }

    /// Restarts the operator, which then knows only what the Swarm shows. The restart must leave nothing to do.
    pub fn restart(&mut self) {
        self.operator = OperatorProcess::start(&self.swarm, &self.documents, channel_of(self.seed));
        self.converge();
        self.swarm.take_writes();
        self.still_round(Duration::from_secs(1));
    }

    /// Plays the history to its end.
    pub fn play(mut self) {
        // Half of the histories start in a world at peace, so that trouble meets a complete fleet.
        if self.rng.random_bool(0.5) {
            for _ in 0..3 {
                let action = user_actions::deploy_something(&self.swarm, &mut self.rng);
                self.log(|| action);
            }
            self.converge();
        }
        let rough = self.rng.random_bool(0.8);
        self.swarm.set_faults(if rough { FaultRates::ROUGH } else { FaultRates::NONE });
        for _ in 0..self.rng.random_range(1..=TROUBLE_STEPS_MAX) {
            match self.kind {
                ScenarioKind::Mixed => self.trouble(),
                ScenarioKind::Generations => self.next_generation(),
            }
        }
        self.peace();
    }

    fn log(&self, what: impl FnOnce() -> String) {
        if self.loud {
            println!("seed {} at {}: {}", self.seed, self.swarm.now(), what());
        }
    }

    /// Changes the routes and gives the operator some time to follow.
    fn next_generation(&mut self) {
        let action = user_actions::publish_something(&self.swarm, &mut self.rng);
        self.log(|| action);
        for _ in 0..self.rng.random_range(1..4) {
            self.swarm.advance(Duration::from_millis(self.rng.random_range(0..15_000)));
            self.extensions_report();
            self.round(0.9);
        }
    }

    /// One step of trouble.
    fn trouble(&mut self) {
        if self.rng.random_bool(0.6) {
            let action = user_actions::act(&self.swarm, &mut self.rng);
            self.log(|| action);
        }
        if self.rng.random_bool(0.15) {
            self.authors();
        }
        self.swarm.advance(Duration::from_millis(self.rng.random_range(0..6_000)));
        if self.rng.random_bool(0.7) {
            self.extensions_report();
        }
        let dies = self.rng.random_bool(0.1);
        if dies {
            self.swarm.cut_off_after(self.rng.random_range(0..8));
        }
        self.round(0.9);
        if dies {
            self.swarm.reconnect();
            self.operator = OperatorProcess::start(&self.swarm, &self.documents, channel_of(self.seed));
            self.log(|| "the operator died and is back".to_owned());
        }
    }

    /// Authors change, add, remove or break documents, and the operator reads them.
    fn authors(&mut self) {
        match self.rng.random_range(0..6) {
            0 if self.documents.len() > 1 => {
                self.documents.pop();
            }
            1 if self.documents.len() < NAMES.len() => self.documents.push(TestDocument::new(self.documents.len())),
            _ => {
                let at = self.rng.random_range(0..self.documents.len());
                self.documents[at].change(&mut self.rng);
            }
        }
        self.operator.declared = Arc::new(self.operator.declared.after(&files(&self.documents)));
        self.log(|| format!("documents: {:?}", self.documents));
    }

    fn extensions_report(&self) {
        self.operator.extensions.extensions_report(&self.truth(), self.swarm.now());
    }

    /// The actual state of the Swarm.
    pub fn truth(&self) -> Snapshot {
        Snapshot::from_raw(&self.swarm.truth()).unwrap()
    }

    /// Looks at the Swarm once, runs a pass for each cluster, and checks everything that must hold. Returns the verdicts.
    fn round(&mut self, writing: f64) -> Vec<(ClusterName, PassResult)> {
        let seen = self.observe();
        let leftover = match &seen {
            Ok(seen) => instance_overview::overview("swarmgate", &self.operator.declared, &seen.snapshot).leftover,
            Err(_) => BTreeSet::new(),
        };
        let names: BTreeSet<ClusterName> = self.operator.declared.clusters.keys().cloned().chain(leftover).collect();
        let mut verdicts = Vec::new();
        // During trouble, not every key is processed in each round.
        let chosen = names.into_iter().filter(|_| writing >= 1.0 || self.rng.random_bool(0.7)).collect::<Vec<_>>();
        for name in chosen {
            let may_write = self.rng.random_bool(writing);
            verdicts.push((name.clone(), self.checked_pass(&name, may_write, &seen)));
        }
        verdicts
    }

    fn observe(&mut self) -> Result<ObservedSnapshot, String> {
        let raw = self.swarm.observe().now_or_never().unwrap().map_err(|error| error.to_string())?;
        let snapshot = Snapshot::from_raw(&raw).map(Arc::new).map_err(|error| error.to_string())?;
        let OperatorProcess { damping, declared, .. } = &mut self.operator;
        Ok(ObservedSnapshot::after(damping, declared, snapshot, self.swarm.now(), Moment::now()))
    }

    fn checked_pass(&mut self, name: &ClusterName, may_write: bool, seen: &Result<ObservedSnapshot, String>) -> PassResult {
        let before = self.operator.extensions.published();
        let verdict = self.operator.one_pass(name, may_write, seen.clone(), &self.swarm);
        let writes = self.swarm.take_writes();
        self.log(|| {
            format!(
                "pass for {name}: {verdict:?} {}",
                writes.iter().map(|w| format!("{:?} {} {:?}", w.call, w.target, w.effect)).collect::<Vec<_>>().join(", ")
            )
        });
        oracle::check_writes(&writes);
        assert!(may_write || writes.is_empty(), "a pass that must not write wrote: {writes:?}");
        self.check_published(name, &before, seen.as_ref().ok().map(|seen| seen.snapshot.as_ref()), !writes.is_empty());
        verdict
    }

    /// Checks what is published after a pass: unchanged if the Swarm could not be read, otherwise complete.
    fn check_published(&self, name: &ClusterName, before: &BTreeMap<ClusterName, Desired>, seen: Option<&Snapshot>, wrote: bool) {
        let after = self.operator.extensions.published();
        let others = |all: &BTreeMap<ClusterName, Desired>| {
            all.iter().filter(|(other, _)| *other != name).map(|(n, d)| (n.clone(), d.clone())).collect::<Vec<_>>()
        };
        assert_eq!(others(before), others(&after), "a pass for {name} touched another cluster's routes");
        let Some(seen) = seen else {
            assert_eq!(before.get(name), after.get(name), "{name}: what cannot be read changes no route");
            assert!(!wrote, "{name}: a pass without a snapshot wrote");
            return;
        };
        let in_force = self.operator.declared.clusters.get(name).and_then(|declared| declared.in_force.as_ref());
        if in_force.is_some() {
            oracle::check_routes(name, &after[name], seen);
        }
    }

    /// Faults and people stop. Everything becomes as declared within a bound, and nothing is written after that.
    fn peace(&mut self) {
        self.log(|| "peace".to_owned());
        self.swarm.set_faults(FaultRates::NONE);
        user_actions::rest(&self.swarm);
        self.documents.iter_mut().for_each(|document| document.broken = false);
        self.operator.declared = Arc::new(self.operator.declared.after(&files(&self.documents)));
        assert!(self.operator.declared.clusters.values().all(|cluster| cluster.accepted), "{:?}", self.operator.declared.findings);
        self.converge();
        oracle::check_fleet(&self.operator.declared.clusters.keys().cloned().collect(), &self.truth());
        for seconds in STILL_PAUSES_SECONDS {
            self.still_round(Duration::from_secs(seconds));
        }
    }

    /// Lets some time pass, during which not everything needs to become as declared.
    pub fn go_on(&mut self, rounds: usize) {
        for at in 0..rounds {
            self.is_quiet_round(at);
        }
    }

    /// The findings about the one cluster.
    pub fn findings(&self) -> Vec<Finding> {
        let statuses = self.operator.memories.values().filter_map(|memory| memory.status.as_ref());
        statuses.flat_map(|status| status.findings.iter().cloned()).collect()
    }

    /// Runs rounds until everything is as declared.
    pub fn converge(&mut self) {
        let rounds = (0..ROUNDS_TO_CONVERGE_MAX).position(|at| self.is_quiet_round(at));
        assert!(rounds.is_some(), "no convergence:\n{}", self.obstacles());
    }

    /// Runs one round of peace; returns whether everything is as declared at its end.
    fn is_quiet_round(&mut self, at: usize) -> bool {
        // A failed operation is retried after hours at the latest.
        let seconds = match at {
            0..60 => 10,
            60..100 => 60,
            _ => 600,
        };
        self.swarm.settle(Duration::from_secs(seconds));
        self.swarm.advance(Duration::from_secs(if at < 60 { 1 } else { seconds }));
        self.extensions_report();
        let verdicts = self.round(1.0);
        verdicts.iter().all(|(_, verdict)| *verdict == PassResult::Still) && self.obstacles().is_empty()
    }

    fn still_round(&mut self, pause: Duration) {
        self.swarm.advance(pause);
        self.extensions_report();
        for (name, verdict) in self.round(1.0) {
            assert_eq!(verdict, PassResult::Still, "{name} keeps writing although nothing changes:\n{}", self.obstacles());
        }
    }

    /// Describes everything that is not as declared.
    fn obstacles(&self) -> String {
        let mut lines = Vec::new();
        for name in self.operator.declared.clusters.keys() {
            let status = self.operator.memories.get(name).and_then(|memory| memory.status.as_ref());
            let Some(status) = status else {
                lines.push(format!("{name}: no pass yet"));
                continue;
            };
            lines.extend(status.error.iter().map(|error| format!("{name}: {error}")));
            lines.extend(status.waiting.iter().map(|waiting| format!("{name}: waiting for {waiting}")));
            let untrue = status.conditions.iter().filter(|c| c.status != swarmgate::report::ConditionStatus::True);
            // Applications without tasks are the business of their owners.
            lines.extend(
                untrue
                    .filter(|c| !matches!(c.kind.as_str(), "RoutesServed" | "Ready"))
                    .map(|c| format!("{name}: {} {}", c.kind, c.message)),
            );
        }
        lines.join("\n")
    }
}
