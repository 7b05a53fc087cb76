//! Carries out plans against the simulated Swarm, with faults, user actions and crashes chosen by a seed: nothing foreign is
//! touched, nothing in use is removed, and once the world is quiet again, it converges and then stays unchanged.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;

use super::Text;
use crate::controller::context::Tokens;
use crate::execute::{applied, execute};
use crate::fleet::fixtures::{CONTROL, INSTANCE, authority, bundle, cluster, list, map, overlay, publish, seals};
use crate::fleet::{Mode, ShapeInput, shape};
use crate::intent::cluster::Cluster;
use crate::intent::cluster_spec::{PublishMode, RolloutStrategy};
use crate::plan::{Plan, PlannerState, leftover_clusters, lint, plan, plan_removal};
use crate::protocol::messages::Bundle;
use crate::simulator::{FaultRates, ImageBehaviour, SimOptions, SimSwarm};
use crate::swarm::{Snapshot, Swarm as _};
use crate::types::{NetworkId, Port};

/// Histories per run; each has some forty passes.
const SEEDS: u64 = 60;
/// Passes, two seconds apart, within which a quiet world must converge: a failed rollout is retried after 10 min at most.
const PASSES_TO_CONVERGE_MAX: usize = 450;

const PROXY: &str = "swarmgate-proxy-dev";
const EXTENSION: &str = "swarmgate-extension-dev";

/// An operator without its loop: its memory and its inputs.
struct SimulatedOperator {
    swarm: SimSwarm,
    cluster: Cluster,
    memory: PlannerState,
    bundle: Bundle,
    networks: Vec<&'static str>,
    seed: u64,
}

impl SimulatedOperator {
    fn new(seed: u64) -> Self {
        let swarm = SimSwarm::new(SimOptions { seed, ..SimOptions::default() });
        for name in ["app", "shop"] {
            swarm.user_creates_network(&json!({"Name": name, "Driver": "overlay"})).unwrap();
        }
        let app = json!({"Name": "app", "TaskTemplate": {"ContainerSpec": {"Image": "app:1"}, "Networks": [{"Target": "app"}]}});
        swarm.user_creates_service(&app).unwrap();
        Self { swarm, cluster: cluster(), memory: PlannerState::default(), bundle: bundle("0"), networks: vec!["app"], seed }
    }

    /// One snapshot and one plan, carried out; `None` if the snapshot failed.
    async fn pass(&mut self) -> Option<Plan> {
        let snapshot = Snapshot::from_raw(&self.swarm.observe().await.ok()?).unwrap();
        let plan = self.plan(&snapshot);
        assert_eq!(lint(&plan, &snapshot), [], "seed {}: {plan}", self.seed);
        let outcomes = execute(&self.swarm, &plan, &mut Tokens::new(authority(), INSTANCE.to_owned())).await;
        self.memory = self.memory.after(&plan, &applied(&outcomes), snapshot.taken_at);
        Some(plan)
    }

    fn plan(&self, snapshot: &Snapshot) -> Plan {
        let named = |name: &&str| snapshot.networks.values().find(|network| network.name == **name).map(|network| network.id.clone());
        let networks: Vec<NetworkId> = self.networks.iter().filter_map(named).collect();
        let input = ShapeInput {
            instance: INSTANCE,
            cluster: &self.cluster,
            snapshot,
            networks: &networks,
            network_update: &crate::fleet::NetworkUpdate::default(),
            remembered_hosts: None,
            material: &[],
            boot: Some(&self.bundle),
            live: Some(&self.bundle),
            channel: &overlay(),
            seals: &seals(),
            now: snapshot.taken_at,
        };
        plan(&shape(&input), snapshot, &self.memory)
    }

    /// Checks that only our objects were written, and that nothing still needed was removed.
    fn check_writes(&self) {
        for write in self.swarm.take_writes().into_iter().filter(crate::simulator::RecordedWrite::took_effect) {
            assert!(write.owned, "seed {}: changed a foreign object: {write:?}", self.seed);
            assert_eq!(write.still_needed_by, [""; 0], "seed {}: {write:?}", self.seed);
        }
    }

    async fn converge(&mut self) -> usize {
        let mut last = None;
        for passes in 0..PASSES_TO_CONVERGE_MAX {
            let plan = self.pass().await.expect("a reliable API");
            if plan.is_converged() {
                return passes;
            }
            last = Some(plan);
            self.check_writes();
            self.swarm.advance(Duration::from_secs(2));
        }
        panic!("seed {}: not converged: {}", self.seed, last.expect("a plan"));
    }

    async fn check_still(&mut self) {
        for _ in 0..5 {
            self.swarm.advance(Duration::from_secs(60));
            let plan = self.pass().await.expect("a reliable API");
            assert!(plan.is_converged(), "seed {}: {plan}", self.seed);
        }
        assert_eq!(self.swarm.take_writes(), [], "seed {}: writes to an unchanged Swarm", self.seed);
    }
}

/// Changes the document, the routes, or something by hand.
fn disturb(operator: &mut SimulatedOperator, rng: &mut StdRng) {
    let cluster = &mut operator.cluster;
    let workload = &mut cluster.proxy.workload;
    match rng.random_range(0..16) {
        0 => workload.image = (*["swarmgate-nginx:dev", "swarmgate-nginx:next", "missing:1"].choose(rng).unwrap()).to_owned(),
        1 => cluster.proxy.replicas = *[None, Some(1), Some(3)].choose(rng).unwrap(),
        2 => cluster.proxy.publish = publish(*[PublishMode::Host, PublishMode::Ingress].choose(rng).unwrap()),
        3 => workload.constraints = [None, Some(list(&["node.role==worker"])), Some(vec![])].choose(rng).unwrap().clone(),
        4 => workload.env = [None, Some(map(&[("A", "1")])), Some(map(&[("A", "2"), ("B", "1")]))].choose(rng).unwrap().clone(),
        5 => cluster.proxy.rollout = *[RolloutStrategy::Live, RolloutStrategy::Replace].choose(rng).unwrap(),
        6 => cluster.proxy.publish.http.published = Port::new(*[80, 8080].choose(rng).unwrap()).unwrap(),
        7 => workload.labels = [None, Some(map(&[("team", "edge")]))].choose(rng).unwrap().clone(),
        8 | 9 => operator.bundle = bundle(&rng.random_range(0..100_000).to_string()),
        10 => operator.networks = [vec![], vec!["app"], vec!["shop", "app"]].choose(rng).unwrap().clone(),
        11 => drop(operator.swarm.user_removes_service([PROXY, EXTENSION].choose(rng).unwrap())),
        12 => {
            let image = *["evil:1", "swarmgate-nginx:dev"].choose(rng).unwrap();
            drop(operator.swarm.user_edits_service(PROXY, |spec| spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!(image)));
        }
        13 => drop(operator.swarm.kill_task(PROXY)),
        14 => cluster.proxy.mode = *[Mode::Replicated, Mode::Global].choose(rng).unwrap(),
        // The operator restarts and has lost its memory.
        _ => operator.memory = PlannerState::default(),
    }
    if operator.cluster.proxy.mode == Mode::Global {
        operator.cluster.proxy.replicas = None;
    }
}

async fn history(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut operator = SimulatedOperator::new(seed);
    operator.swarm.set_image("missing:1", ImageBehaviour::Missing);
    operator.swarm.set_faults(if seed.is_multiple_of(3) { FaultRates::NONE } else { FaultRates::ROUGH });
    // With a rollout for every route change: the hardest case for configs that are removed too early.
    let busy = seed.is_multiple_of(4);
    operator.cluster.proxy.rollout = if busy { RolloutStrategy::Replace } else { RolloutStrategy::Live };
    for _ in 0..rng.random_range(5..40) {
        if busy && rng.random_bool(0.5) {
            operator.bundle = bundle(&rng.random_range(0..100_000).to_string());
        }
        if rng.random_bool(0.4) {
            disturb(&mut operator, &mut rng);
        }
        operator.pass().await;
        operator.check_writes();
        operator.swarm.advance(Duration::from_millis(rng.random_range(1..8000)));
    }
    operator.swarm.set_faults(FaultRates::NONE);
    if operator.cluster.proxy.workload.image == "missing:1" {
        operator.swarm.set_image("missing:1", ImageBehaviour::Healthy);
    }
    if operator.cluster.proxy.replicas == Some(3) {
        // The operator would wait forever for more replicas than there are workers with a free host port.
        operator.cluster.proxy.replicas = Some(2);
    }
    operator.converge().await;
    operator.check_still().await;
}

#[tokio::test]
async fn every_history_converges_and_touches_nothing_foreign() {
    for seed in 0..SEEDS {
        history(seed).await;
    }
}

#[tokio::test]
async fn a_crash_after_any_call_converges() {
    for calls in 0..8 {
        let mut operator = SimulatedOperator::new(calls);
        operator.swarm.cut_off_after(calls);
        operator.pass().await;
        operator.swarm.reconnect();
        operator.memory = PlannerState::default();
        operator.converge().await;
        operator.check_still().await;
    }
}

#[tokio::test]
async fn a_removed_cluster_leaves_only_foreign_objects() {
    let mut operator = SimulatedOperator::new(7);
    operator.converge().await;
    operator.swarm.set_faults(FaultRates::ROUGH);
    for pass in 0.. {
        let Ok(raw) = operator.swarm.observe().await else { continue };
        let snapshot = Snapshot::from_raw(&raw).unwrap();
        let plan = plan_removal(INSTANCE, &operator.cluster.name, &snapshot);
        assert_eq!(lint(&plan, &snapshot), []);
        execute(&operator.swarm, &plan, &mut Text(String::new())).await;
        operator.check_writes();
        operator.swarm.advance(Duration::from_secs(2));
        if leftover_clusters(INSTANCE, &[].into(), &Snapshot::from_raw(&operator.swarm.truth()).unwrap()).is_empty()
            && plan.steps.is_empty()
        {
            break;
        }
        assert!(pass < 100, "{plan}");
    }
    let truth = operator.swarm.truth();
    assert_eq!((truth.services.len(), truth.configs.len(), truth.secrets.len()), (1, 0, 0));
    assert!(!truth.networks.iter().any(|network| network["Name"] == CONTROL));
}
