//! What a snapshot shows of a cluster's proxies, as far as it concerns networks.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::NetworkInput;
use crate::protocol::container_contract::{LABEL_CLUSTER, LABEL_OWNER, LABEL_ROLE, ROLE_PROXY};
use crate::swarm::{Network, NetworksByName, Service, Snapshot, Task, unplaceable_tasks};
use crate::types::{NetworkId, NodeId, TaskState, UpdateOrder, UpdateState};

/// How long Swarm lets a task end by default, if a service does not state it.
const GRACE_OF_SWARM: SignedDuration = SignedDuration::from_secs(10);

/// The maximum difference between the managers' clocks and the operator's.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(5);

/// The proxies of a cluster.
pub(super) struct ObservedProxies<'a> {
    /// Their service, if it exists and is ours.
    pub service: Option<&'a Service>,
    /// The networks that it declares, without the control network.
    pub declared: BTreeSet<NetworkId>,
    /// Those that it declared before the last update, if Swarm still has that spec.
    pub before: Option<BTreeSet<NetworkId>>,
    tasks: Vec<&'a Task>,
    networks: NetworksByName<'a>,
    by_name: OnceCell<HashMap<&'a str, &'a Service>>,
    snapshot: &'a Snapshot,
}

impl<'a> ObservedProxies<'a> {
    /// Evaluates the snapshot.
    pub fn new(input: &NetworkInput<'a>) -> Self {
        let snapshot = input.snapshot;
        let is = |service: &Service, key: &str, value: &str| service.labels.get(key).is_some_and(|found| found == value);
        let ours = |s: &&Service| is(s, LABEL_OWNER, input.instance) && is(s, LABEL_CLUSTER, input.cluster);
        let service = snapshot.services.values().filter(|service| service.name == input.service).find(ours);
        let networks = NetworksByName::new(snapshot);
        let known = |id: &NetworkId| networks.find(id).filter(|network| !is_control(network, input)).map(|network| network.id.clone());
        let declared = service.iter().flat_map(|service| &service.networks).filter_map(known).collect();
        let before = service.and_then(|service| service.previous_spec.as_ref());
        let before = before.map(|spec| targets(spec.get("TaskTemplate")).filter_map(|id| known(&id)).collect());
        // A proxy without an eligible node says nothing about networks.
        let homeless = service.map(|service| unplaceable_tasks(service, snapshot)).unwrap_or_default();
        let is_ours = |task: &&Task| service.is_some_and(|service| service.id == task.service) && !homeless.contains(&task.id);
        let tasks = snapshot.tasks.values().filter(is_ours).collect();
        Self { service, declared, before, tasks, networks, by_name: OnceCell::new(), snapshot }
    }

    /// The service with this name.
    pub fn service_named(&self, name: &str) -> Option<&'a Service> {
        let all = || self.snapshot.services.values().map(|service| (service.name.as_str(), service)).collect();
        self.by_name.get_or_init(all).get(name).copied()
    }

    /// The state of the last update, if there was one.
    pub fn state(&self) -> Option<&'a UpdateState> {
        Some(&self.service?.update_status.as_ref()?.state)
    }

    /// When that update began.
    pub fn update_began(&self) -> Option<Timestamp> {
        self.service?.update_status.as_ref()?.started_at
    }

    /// Swarm's message about that update.
    pub fn update_message(&self) -> &str {
        self.service.and_then(|service| service.update_status.as_ref()).map_or("", |status| status.message.as_str())
    }

    /// Whether Swarm is replacing proxies.
    pub fn is_under_way(&self) -> bool {
        self.state().is_some_and(UpdateState::is_under_way)
    }

    /// Whether Swarm gave up the last update, or one that began at `since` or later.
    pub fn was_given_up(&self, since: Timestamp) -> bool {
        let is_it = self.update_began().is_none_or(|began| began >= since - CLOCKS_DIFFER);
        is_it
            && matches!(
                self.state(),
                Some(UpdateState::Paused | UpdateState::RollbackStarted | UpdateState::RollbackPaused | UpdateState::RollbackCompleted)
            )
    }

    /// How many proxies run.
    pub fn running(&self) -> usize {
        self.tasks.iter().filter(|task| task.state == TaskState::Running).count()
    }

    /// How many proxies run with all of these networks.
    pub fn running_with(&self, networks: &BTreeSet<NetworkId>) -> usize {
        self.tasks.iter().filter(|task| task.state == TaskState::Running && networks.is_subset(&networks_of(task))).count()
    }

    /// The proxies that do not run and are to have one of these networks.
    pub fn starting_with(&self, networks: &BTreeSet<NetworkId>) -> Vec<&'a Task> {
        let with = |task: &&&Task| task.state != TaskState::Running && !networks.is_disjoint(&networks_of(task));
        self.tasks.iter().filter(with).copied().collect()
    }

    /// Whether a proxy runs on this node.
    pub fn runs_on(&self, node: &NodeId) -> bool {
        self.tasks.iter().any(|task| task.state == TaskState::Running && task.node.as_ref() == Some(node))
    }

    /// Whether a proxy waits for addresses: Swarm assigns those of all its networks at once, or none.
    pub fn waits_for_addresses(&self) -> bool {
        self.tasks.iter().any(|task| task.state == TaskState::New && task.addresses.is_empty())
    }

    /// Whether all proxies run, each with all of these networks.
    pub fn all_run_with(&self, networks: &BTreeSet<NetworkId>) -> bool {
        self.running_with(networks) == self.tasks.len()
    }

    /// Whether neither the service nor any proxy has one of these networks.
    pub fn has_left(&self, networks: &BTreeSet<NetworkId>) -> bool {
        let without = |task: &&Task| networks.is_disjoint(&networks_of(task));
        networks.is_disjoint(&self.declared) && self.tasks.iter().all(without)
    }

    /// Whether no proxy is visible.
    pub fn has_no_task(&self) -> bool {
        self.tasks.is_empty()
    }

    /// When the oldest running proxy was created.
    pub fn oldest_proxy_started(&self) -> Option<Timestamp> {
        self.tasks.iter().filter(|task| task.state == TaskState::Running).map(|task| task.created_at).min()
    }

    /// How long Swarm may need between two proxies: the delay between them, and the time that an old one may take to end.
    pub fn replacement_interval(&self) -> SignedDuration {
        let nanos = |pointer: &str| self.service?.spec.pointer(pointer).and_then(Value::as_i64).map(SignedDuration::from_nanos);
        let order = self.service.and_then(|service| service.spec.pointer("/UpdateConfig/Order")).and_then(Value::as_str);
        let grace = nanos("/TaskTemplate/ContainerSpec/StopGracePeriod").unwrap_or(GRACE_OF_SWARM);
        let grace = if order == Some(UpdateOrder::StartFirst.as_str()) { SignedDuration::ZERO } else { grace };
        nanos("/UpdateConfig/Delay").unwrap_or_default().saturating_add(grace)
    }

    /// The networks that other services use: while they do, no user waits for our proxies to leave. Proxies of other
    /// clusters are not included, because they leave as these do.
    pub fn used_by_others(&self) -> BTreeSet<NetworkId> {
        let is_proxy = |service: &Service| {
            service.labels.contains_key(LABEL_OWNER) && service.labels.get(LABEL_ROLE).is_some_and(|role| role == ROLE_PROXY)
        };
        let others = self.snapshot.services.values().filter(|service| !is_proxy(service));
        others.flat_map(|service| &service.networks).filter_map(|id| self.networks.find(id)).map(|network| network.id.clone()).collect()
    }
}

/// The networks that a task has, or is to have.
pub(super) fn networks_of(task: &Task) -> BTreeSet<NetworkId> {
    targets(Some(&task.spec)).collect()
}

fn targets(template: Option<&Value>) -> impl Iterator<Item = NetworkId> {
    let attached = template.and_then(|template| template.get("Networks")).and_then(Value::as_array);
    let targets = attached.into_iter().flatten().filter_map(|to| to.get("Target")?.as_str());
    targets.map(|id| NetworkId(id.to_owned())).collect::<Vec<_>>().into_iter()
}

fn is_control(network: &Network, input: &NetworkInput<'_>) -> bool {
    Some(network.name.as_str()) == input.control || network.labels.contains_key(LABEL_OWNER)
}
