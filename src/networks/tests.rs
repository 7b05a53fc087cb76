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

mod attachment;
mod contested;
mod failed_rollouts;
mod messages;
mod pace;
mod shortage;
mod stuck;
mod waiting;

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
        world.run_pass();
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
    fn run_pass(&mut self) -> NetworkDecision {
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
        names(&self.after(seconds).run_pass())
    }

    /// Writes the decision: Swarm begins to replace the proxies, which start with the new networks.
    fn write(&mut self, networks: &[&'static str]) {
        self.before = Some(std::mem::replace(&mut self.declared, networks.to_vec()));
        self.update = Some(("updating", self.now));
        self.proxies[0] = (networks.to_vec(), "starting");
        self.run_pass();
    }

    /// All proxies run with the declared networks.
    fn come_up(&mut self, seconds: i64) {
        self.after(seconds);
        let networks = self.declared.clone();
        self.proxies.iter_mut().for_each(|proxy| *proxy = (networks.clone(), "running"));
        self.update = Some(("completed", self.update.map_or(self.now, |(_, since)| since)));
        self.run_pass();
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
