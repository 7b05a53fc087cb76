//! Decisions about networks in a small world: one proxy service with one proxy on each node, changed by hand.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{AttachmentState, NetworkDecision, NetworkInput, NetworkShortage, decide};
use crate::protocol::container_contract::{LABEL_CLUSTER, LABEL_FAILED_NETWORKS, LABEL_OWNER, LABEL_ROLE};
use crate::report::{FindingCode, Severity, WaitingOn};
use crate::swarm::{RawSnapshot, Snapshot, Task};
use crate::types::NetworkId;

const INTERVAL: i64 = 60;
const TIMEOUT: i64 = 60;

/// The world, and what the operator knows of it.
#[derive(Clone)]
struct NetworkScenario {
    now: Timestamp,
    declared: Vec<&'static str>,
    before: Option<Vec<&'static str>>,
    /// The networks and the state of each proxy.
    proxies: Vec<(Vec<&'static str>, &'static str)>,
    update: Option<(&'static str, Timestamp)>,
    wanted: Vec<&'static str>,
    /// Networks that an application uses, whether wanted or not.
    used: Vec<&'static str>,
    label: Option<String>,
    serves: bool,
    unfit: Vec<&'static str>,
    closed: bool,
    exists: bool,
    /// `None`: Swarm does not answer.
    ended: Option<Vec<Task>>,
    /// Nodes that may run a proxy, one each.
    nodes: Vec<&'static str>,
    /// Attached networks with too few addresses, and whether other tasks wait for some.
    short: Vec<(&'static str, bool)>,
    named: Vec<&'static str>,
    filled_by: Option<String>,
    /// Services that would take a port of the proxies.
    contested: Option<&'static str>,
    /// The teams of networks that belong to one.
    teams: Vec<(&'static str, String)>,
    /// How many services need a network, if not one.
    services: Vec<(&'static str, usize)>,
    memory: AttachmentState,
}

mod contested;
mod pace;
mod shortage;
mod stuck;
mod waiting;
mod words;

const NETWORKS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn subnet(name: &str) -> String {
    format!("10.1.{}.0/24", name.bytes().next().unwrap_or_default())
}

impl NetworkScenario {
    /// Two proxies that have run on `a` for an hour.
    fn new() -> Self {
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        let mut world = Self {
            now,
            declared: vec!["a"],
            before: None,
            proxies: vec![(vec!["a"], "running"), (vec!["a"], "running")],
            update: None,
            wanted: vec!["a"],
            used: NETWORKS.to_vec(),
            label: None,
            serves: true,
            unfit: vec![],
            closed: false,
            exists: true,
            ended: Some(vec![]),
            nodes: vec![],
            short: vec![],
            named: vec![],
            filled_by: None,
            contested: None,
            teams: vec![],
            services: vec![],
            memory: AttachmentState::default(),
        };
        world.look();
        world
    }

    fn snapshot(&self) -> Snapshot {
        let networks = NETWORKS.map(|name| json!({"Id": name, "Name": format!("net-{name}"), "Driver": "overlay", "IPAM": {"Config": [{"Subnet": subnet(name)}]}})).to_vec();
        let targets = |names: &[&str]| names.iter().map(|name| json!({"Target": name})).collect::<Vec<Value>>();
        let created = (self.now - SignedDuration::from_hours(1)).to_string();
        let mut labels = json!({LABEL_OWNER: "gate", LABEL_CLUSTER: "dev", LABEL_ROLE: "proxy"});
        if let Some(label) = &self.label {
            labels[LABEL_FAILED_NETWORKS] = json!(label);
        }
        let spec = |names: &[&str]| json!({"Name": "proxy", "Labels": labels, "TaskTemplate": {"Networks": targets(names), "Placement": {"MaxReplicas": 1}}, "UpdateConfig": {"Order": "start-first"}});
        let mut proxy = json!({"ID": "proxy", "CreatedAt": created, "Spec": spec(&self.declared)});
        if let Some(before) = &self.before {
            proxy["PreviousSpec"] = spec(before);
        }
        if let Some((state, since)) = self.update {
            proxy["UpdateStatus"] = json!({"State": state, "StartedAt": since.to_string(), "Message": "Swarm's words"});
        }
        let app = json!({"ID": "app", "CreatedAt": created, "Spec": {"Name": "app", "TaskTemplate": {"Networks": targets(&self.used)}}});
        let task = |(at, (names, state)): (usize, &(Vec<&str>, &str))| {
            let node = if *state == "pending" { String::new() } else { format!("node{at}") };
            json!({"ID": format!("task{at}"), "ServiceID": "proxy", "NodeID": node, "DesiredState": "running", "CreatedAt": created,
                "Status": {"State": state, "Message": state}, "Spec": {"Networks": targets(names)}})
        };
        let services = if self.exists { vec![proxy, app] } else { vec![app] };
        let tasks = self.proxies.iter().enumerate().map(task).collect();
        let node = |id: &&str| json!({"ID": id, "Spec": {"Availability": "active"}, "Status": {"State": "ready"}});
        let nodes = self.nodes.iter().map(node).collect();
        let raw = RawSnapshot { taken_at: self.now, services, tasks, nodes, networks, configs: vec![], secrets: vec![] };
        Snapshot::from_raw(&raw).unwrap()
    }

    fn decide(&self) -> NetworkDecision {
        let wanted: Vec<NetworkId> = self.wanted.iter().map(|id| NetworkId((*id).to_owned())).collect();
        let count = |id: &NetworkId| self.services.iter().find(|(name, _)| *name == id.0).map_or(1, |(_, count)| *count);
        let name = |id: &NetworkId, k: usize| if k == 0 { format!("service-{}", id.0) } else { format!("service-{}-{k}", id.0) };
        let services = |id: &NetworkId| (0..count(id)).map(|k| name(id, k)).collect::<BTreeSet<_>>();
        let needed_by: BTreeMap<_, _> = wanted.iter().map(|id| (id.clone(), services(id))).collect();
        let team = |id: &NetworkId| self.teams.iter().find(|(name, _)| *name == id.0).map_or(String::new(), |(_, team)| team.clone());
        let teams: BTreeMap<_, _> = wanted.iter().map(|id| (id.clone(), BTreeSet::from([team(id)]))).collect();
        let short: BTreeMap<_, _> =
            self.short.iter().map(|(id, contested)| (NetworkId((*id).to_owned()), self.lacks(*contested))).collect();
        let snapshot = self.snapshot();
        let input = NetworkInput {
            instance: "gate",
            cluster: "dev",
            service: "proxy",
            control: None,
            snapshot: &snapshot,
            ended: self.ended.as_deref(),
            wanted: &wanted,
            unfit: &self.unfit.iter().map(|id| NetworkId((*id).to_owned())).collect(),
            closed: self.closed,
            needed_by: &needed_by,
            teams: &teams,
            named: &self.named.iter().map(|id| NetworkId((*id).to_owned())).collect(),
            short: &short,
            contested: self.contested,
            serves: self.serves,
            interval: SignedDuration::from_secs(INTERVAL),
            timeout: SignedDuration::from_secs(TIMEOUT),
            now: self.now,
        };
        decide(&input, &self.memory)
    }

    /// One pass; keeps the memory.
    fn look(&mut self) -> NetworkDecision {
        let decision = self.decide();
        self.memory = decision.memory.clone();
        decision
    }

    fn after(&mut self, seconds: i64) -> &mut Self {
        self.now += SignedDuration::from_secs(seconds);
        self
    }

    /// The networks that are declared after a pass this many seconds later.
    fn at(&mut self, seconds: i64) -> Vec<String> {
        names(&self.after(seconds).look())
    }

    /// Writes the decision: Swarm begins to replace the proxies, which start with the new networks.
    fn write(&mut self, networks: &[&'static str]) {
        self.before = Some(std::mem::replace(&mut self.declared, networks.to_vec()));
        self.update = Some(("updating", self.now));
        self.proxies[0] = (networks.to_vec(), "starting");
        self.look();
    }

    /// All proxies run with the declared networks.
    fn come_up(&mut self, seconds: i64) {
        self.after(seconds);
        let networks = self.declared.clone();
        self.proxies.iter_mut().for_each(|proxy| *proxy = (networks.clone(), "running"));
        self.update = Some(("completed", self.update.map_or(self.now, |(_, since)| since)));
        self.look();
    }

    /// Attaches networks that are wanted now, with success.
    fn attach(&mut self, networks: &[&'static str]) {
        self.write(networks);
        self.come_up(5);
    }

    /// Writes and carries out the withdrawal.
    fn withdraw(&mut self, to: &[&'static str]) {
        self.declared = to.to_vec();
        self.proxies.iter_mut().for_each(|proxy| *proxy = (to.to_vec(), "running"));
        self.update = Some(("completed", self.now));
    }
}

fn names(decision: &NetworkDecision) -> Vec<String> {
    decision.networks.iter().map(|id| id.0.clone()).collect()
}

fn quarantined(decision: &NetworkDecision) -> Vec<String> {
    let found = decision.findings.iter().filter(|finding| finding.code == FindingCode::NetworkQuarantined);
    found.filter_map(|finding| finding.value.clone()).collect()
}

fn waiting(decision: &NetworkDecision) -> String {
    let about = |waiting: &WaitingOn| matches!(waiting, WaitingOn::Networks { .. }).then(|| waiting.to_string());
    decision.waiting.iter().filter_map(about).collect::<Vec<_>>().join("; ")
}

#[test]
fn running_networks_stay_unchanged() {
    let mut world = NetworkScenario::new();
    let decision = world.look();
    assert_eq!((names(&decision), decision.due, waiting(&decision)), (vec!["a".to_owned()], None, String::new()));
    assert!(decision.attaching.is_empty() && !decision.withdraws && decision.remembered.is_none());
}

#[test]
fn unused_networks_are_detached_immediately_and_used_ones_later() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.attach(&["a", "b"]);
    world.wanted = vec!["a"];
    let decision = world.after(30).look();
    assert_eq!(names(&decision), ["a", "b"]);
    assert_eq!((decision.findings[0].code, waiting(&decision)), (FindingCode::NetworkLingers, String::new()));
    assert_eq!(world.at(10 * INTERVAL - 1), ["a", "b"]);
    let mut alone = world.clone();
    alone.used = vec!["a"];
    assert_eq!(alone.at(0), ["a"]);
    let mut unfit = world.clone();
    unfit.unfit = vec!["b"];
    assert_eq!(unfit.at(0), ["a"], "an unsuitable network is detached immediately");
    assert_eq!(world.at(1), ["a"]);
    let mut closed = NetworkScenario::new();
    (closed.closed, closed.wanted) = (true, vec![]);
    assert_eq!(closed.at(1), Vec::<String>::new(), "the document requires it");
}

#[test]
fn new_and_unneeded_networks_change_in_one_update() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.attach(&["a", "b"]);
    world.wanted = vec!["a", "c"];
    assert_eq!(world.at(1), ["a", "b"], "b stays attached for a while and c waits");
    assert_eq!(world.at(INTERVAL), ["a", "c"]);
    let mut world = NetworkScenario::new();
    world.attach(&["a"]);
    world.wanted = vec!["c"];
    world.used = vec!["c"];
    assert_eq!(world.at(1), ["c"], "waiting for a to be detached does not mean waiting for c");
}

#[test]
fn flapping_labels_replace_no_proxy() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.attach(&["a", "b"]);
    for _ in 0..50 {
        world.wanted = vec!["a"];
        assert_eq!(world.at(20), ["a", "b"]);
        world.wanted = vec!["a", "b"];
        assert_eq!(world.at(20), ["a", "b"]);
    }
}

#[test]
fn a_network_on_which_no_proxy_comes_up_is_withdrawn_and_named() {
    for state in ["new", "pending", "assigned", "preparing", "rejected", "starting"] {
        let mut world = NetworkScenario::new();
        world.wanted = vec!["a", "b"];
        world.write(&["a", "b"]);
        world.proxies[0].1 = state;
        let decision = world.after(TIMEOUT - 1).look();
        assert_eq!((names(&decision).len(), decision.withdraws, decision.attaching.len()), (2, false, 1), "{state}");
        assert!(waiting(&decision).contains("net-b: proxies are starting with it"), "{}", waiting(&decision));
        let decision = world.after(1).look();
        assert_eq!((names(&decision), decision.withdraws), (vec!["a".to_owned()], true), "{state}");
        assert_eq!(quarantined(&decision), ["net-b"], "{state}");
        let told = &decision.findings[0];
        assert!(told.subject.to_string() == "service service-b" && told.message.contains(state), "{told}");
        assert!(decision.missing.contains_key(&NetworkId("b".to_owned())));
        world.withdraw(&["a"]);
        let decision = world.after(10).look();
        assert_eq!((names(&decision), decision.withdraws), (vec!["a".to_owned()], false), "{state}");
        assert!(world.memory.withdrawn.is_empty());
    }
}

#[test]
fn a_network_of_a_rollout_that_swarm_gave_up_is_quarantined_too() {
    for (state, spec) in [("rollback_completed", vec!["a"]), ("rollback_started", vec!["a"]), ("paused", vec!["a", "b"])] {
        let mut world = NetworkScenario::new();
        world.wanted = vec!["a", "b"];
        world.write(&["a", "b"]);
        world.declared = spec;
        world.update = Some((state, world.now));
        let decision = world.after(3).look();
        assert_eq!((names(&decision), quarantined(&decision)), (vec!["a".to_owned()], vec!["net-b".to_owned()]), "{state}");
        assert!(decision.findings[0].message.contains("Swarm's words"), "{state}");
    }
}

#[test]
fn a_proxy_that_fails_after_others_came_up_quarantines_the_network_too() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.write(&["a", "b"]);
    world.proxies[0].1 = "running";
    world.after(30).look();
    world.proxies[1] = (vec!["a", "b"], "preparing");
    world.after(40).look();
    assert_eq!(quarantined(&world.after(TIMEOUT - 1).look()), Vec::<String>::new(), "each has its time");
    assert_eq!(quarantined(&world.after(1).look()), ["net-b"]);
}

#[test]
fn the_failing_network_of_several_is_found_and_the_others_are_attached_immediately() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b", "c", "d", "e"];
    let mut tries = 0;
    for _ in 0..200 {
        let decision = world.after(1).look();
        let networks: Vec<&'static str> = NETWORKS.into_iter().filter(|id| names(&decision).iter().any(|n| n == id)).collect();
        if decision.withdraws {
            world.withdraw(&networks);
        } else if networks != world.declared {
            tries += 1;
            world.write(&networks);
            if networks.contains(&"d") {
                world.update = Some(("rollback_completed", world.now));
                world.declared = world.before.take().unwrap();
                let declared = world.declared.clone();
                world.proxies.iter_mut().for_each(|proxy| *proxy = (declared.clone(), "running"));
            } else {
                world.come_up(5);
            }
        }
    }
    let decision = world.look();
    assert_eq!((names(&decision).join(""), quarantined(&decision)), ("abce".to_owned(), vec!["net-d".to_owned()]));
    assert!(tries <= 6, "{tries} tries");
}

#[test]
fn a_quarantined_network_is_retried_at_growing_intervals_and_sooner_after_a_change() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    for wait in [5 * INTERVAL, 10 * INTERVAL, 20 * INTERVAL] {
        world.write(&["a", "b"]);
        world.update = Some(("rollback_completed", world.now));
        world.declared = vec!["a"];
        world.proxies[0] = (vec!["a"], "running");
        assert_eq!(quarantined(&world.look()), ["net-b"]);
        let mut changed = world.clone();
        changed.memory.quarantine.values_mut().for_each(|held| held.state = crate::types::Digest::of_bytes(b"other"));
        assert_eq!(changed.at((wait / 6).max(INTERVAL)), ["a", "b"]);
        assert_eq!(world.at(wait - 1), ["a"]);
        assert_eq!(world.at(1), ["a", "b"]);
    }
    world.attach(&["a", "b"]);
    let decision = world.look();
    assert_eq!((quarantined(&decision), decision.remembered), (vec![], None));
}

#[test]
fn a_restarted_operator_reads_failed_networks_from_the_service() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.write(&["a", "b"]);
    let decision = world.after(TIMEOUT).look();
    world.label = decision.remembered.clone();
    world.withdraw(&["a"]);
    world.memory = AttachmentState::default();
    let decision = world.after(10).look();
    assert_eq!((names(&decision), quarantined(&decision)), (vec!["a".to_owned()], vec!["net-b".to_owned()]));
    assert_eq!(decision.remembered, world.label, "nothing is recorded for it");
    world.label = Some("nonsense".to_owned());
    world.memory = AttachmentState::default();
    assert_eq!(world.look().memory.quarantine.len(), 0);
}

#[test]
fn an_operator_that_starts_during_a_hanging_rollout_ends_it() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.write(&["a", "b"]);
    world.memory = AttachmentState::default();
    world.look();
    let decision = world.after(TIMEOUT).look();
    assert_eq!((names(&decision), decision.withdraws), (vec!["a".to_owned()], true));
}

/// After a power failure all proxies start at the same time, long after any rollout. They keep their networks, however long
/// they take.
#[test]
fn proxies_that_start_outside_of_a_rollout_keep_their_networks() {
    for restarted in [false, true] {
        let mut world = NetworkScenario::new();
        world.proxies.iter_mut().for_each(|proxy| proxy.1 = "starting");
        if restarted {
            world.memory = AttachmentState::default();
        }
        for _ in 0..10 {
            assert_eq!(world.at(TIMEOUT), ["a"], "restarted: {restarted}");
        }
    }
}

#[test]
fn a_network_removed_by_hand_is_restored_immediately() {
    let mut world = NetworkScenario::new();
    world.attach(&["a"]);
    world.declared = vec![];
    world.update = None;
    assert_eq!(world.at(1), ["a"]);
    assert!(world.decide().attaching.is_empty());
}

#[test]
fn unwanted_networks_are_not_blamed_for_a_hanging_rollout() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.write(&["a", "b"]);
    world.wanted = vec!["a"];
    let decision = world.after(20).look();
    assert_eq!((names(&decision), decision.withdraws, world.memory.quarantine.len()), (vec!["a".to_owned()], true, 0));
}

#[test]
fn a_new_service_whose_proxies_never_ran_withdraws_networks_too() {
    let mut world = NetworkScenario::new();
    (world.exists, world.memory) = (false, AttachmentState::default());
    world.proxies.clear();
    world.wanted = vec!["a", "b"];
    assert_eq!(world.at(1), ["a", "b"]);
    world.exists = true;
    world.declared = vec!["a", "b"];
    world.proxies = vec![(vec!["a", "b"], "new")];
    world.at(1);
    let decision = world.after(TIMEOUT).look();
    assert_eq!((names(&decision), decision.withdraws), (vec![], true));
    world.withdraw(&[]);
    assert_eq!(world.at(1), ["a"], "each half alone");
}
