//! Keeps as many tasks as a service wants, where it wants them, and replaces those that have ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::model::{Availability, CachedView, DesiredTaskState, SimTask, TaskSlot, TaskState};
use super::spec;
use super::world::SimState;

impl SimState {
    /// Reconciles a service once.
    pub fn orchestrate(&mut self, id: &str) {
        let Some(service) = self.services.get(id) else { return };
        let (kind, replicas) = (spec::kind(&service.spec), spec::replicas(&service.spec));
        let global = kind == spec::ServiceMode::Global;
        self.leave_lost_nodes(id);
        if matches!(kind, spec::ServiceMode::ReplicatedJob | spec::ServiceMode::GlobalJob) {
            return self.run_job(id, kind);
        }
        self.replace_ended(id);
        if global {
            self.cover_nodes(id);
        } else {
            self.fill_slots(id, replicas);
        }
        self.roll(id);
    }

    /// Ids of all tasks of a service, in order.
    pub fn tasks_of(&self, service: &str) -> Vec<String> {
        self.tasks.values().filter(|t| t.service == service).map(|t| t.id.clone()).collect()
    }

    /// Stops tasks on nodes that are down or drained, so that others replace them elsewhere.
    fn leave_lost_nodes(&mut self, service: &str) {
        let usable = |id: &String| self.nodes.get(id).is_some_and(|n| n.up && n.availability != Availability::Drain);
        let lost =
            self.tasks.values().filter(|t| t.service == service && t.desired.wanted() && t.node.as_ref().is_some_and(|n| !usable(n)));
        for id in lost.map(|t| t.id.clone()).collect::<Vec<_>>() {
            self.stop(&id, DesiredTaskState::Shutdown);
        }
    }

    /// Replaces tasks that ended by themselves, in the same place and after the restart delay.
    fn replace_ended(&mut self, service: &str) {
        let Some(delay) = self.services.get(service).map(|s| spec::restarts(&s.template)) else { return };
        let Some(delay) = delay else { return };
        let ended: Vec<(String, TaskSlot)> =
            self.tasks.values().filter(|t| t.service == service && t.state.ended()).map(|t| (t.id.clone(), t.slot.clone())).collect();
        for (id, slot) in ended {
            self.tasks.remove(&id);
            if self.still_wanted(service, &slot) && self.wanted_in(service, &slot).is_empty() {
                let start_at = Some(self.now + delay);
                self.new_task(service, slot, DesiredTaskState::Ready, start_at);
            }
        }
    }

    fn still_wanted(&self, service: &str, slot: &TaskSlot) -> bool {
        let Some(service) = self.services.get(service) else { return false };
        match slot {
            TaskSlot::Slot(slot) => *slot <= spec::replicas(&service.spec),
            TaskSlot::Node(node) => self.nodes.get(node).is_some_and(|n| self.wants_task_on(&service.id, n)),
        }
    }

    /// The wanted tasks of a place.
    pub fn wanted_in(&self, service: &str, slot: &TaskSlot) -> Vec<String> {
        let here = self.tasks.values().filter(|t| t.service == service && t.slot == *slot && t.desired.wanted());
        here.map(|t| t.id.clone()).collect()
    }

    /// The places with a wanted task.
    pub fn slots(&self, service: &str) -> BTreeSet<TaskSlot> {
        self.tasks.values().filter(|t| t.service == service && t.desired.wanted()).map(|t| t.slot.clone()).collect()
    }

    fn fill_slots(&mut self, service: &str, replicas: u64) {
        let mut slots = self.slots(service);
        let surplus = slots.len().saturating_sub(usize::try_from(replicas).unwrap_or(usize::MAX));
        for slot in self.least_useful(service, &slots).into_iter().take(surplus) {
            for id in self.wanted_in(service, &slot) {
                self.stop(&id, DesiredTaskState::Remove);
            }
            slots.remove(&slot);
        }
        let mut slot = 0;
        while u64::try_from(slots.len()).is_ok_and(|n| n < replicas) {
            slot += 1;
            if slots.insert(TaskSlot::Slot(slot)) {
                self.new_task(service, TaskSlot::Slot(slot), DesiredTaskState::Running, None);
            }
        }
    }

    /// The places in the order in which they are given up: first those whose task has no node or that have several tasks, then
    /// those that share a node with others of the service, then those without a running task, and among equal ones the highest.
    fn least_useful(&self, service: &str, slots: &BTreeSet<TaskSlot>) -> Vec<TaskSlot> {
        let here =
            |p: &TaskSlot| self.tasks.values().filter(|t| t.service == service && t.slot == *p && t.desired.wanted()).collect::<Vec<_>>();
        let mut order: Vec<(&TaskSlot, Vec<&SimTask>)> = slots.iter().map(|slot| (slot, here(slot))).collect();
        order.sort_by_key(|(_, tasks)| !tasks.iter().any(|task| task.state == TaskState::Running));
        let mut copies = BTreeMap::<&str, usize>::new();
        let mut indexed = Vec::new();
        for (slot, tasks) in &order {
            let node = tasks.first().filter(|_| tasks.len() == 1).and_then(|task| task.node.as_deref());
            let index = node.map_or(usize::MAX, |node| {
                let count = copies.entry(node).or_default();
                *count += 1;
                *count
            });
            indexed.push((index, *slot));
        }
        indexed.sort_by_key(|(index, _)| *index);
        indexed.into_iter().rev().map(|(_, slot)| slot.clone()).collect()
    }

    /// Keeps tasks of a job until they complete. A task that fails is replaced; changing the spec of a job in progress is not simulated.
    fn run_job(&mut self, id: &str, kind: spec::ServiceMode) {
        let failed = |t: &&SimTask| t.service == id && t.state.ended() && t.state != TaskState::Complete;
        for task in self.tasks.values().filter(failed).map(|t| t.id.clone()).collect::<Vec<_>>() {
            self.tasks.remove(&task);
        }
        let Some((at_once, total)) = self.services.get(id).map(|service| spec::job(&service.spec)) else { return };
        let taken: BTreeSet<TaskSlot> =
            self.tasks.values().filter(|t| t.service == id && t.desired.wanted()).map(|t| t.slot.clone()).collect();
        let running = self.tasks.values().filter(|t| t.service == id && t.desired.wanted() && !t.state.ended()).count();
        let slots: Vec<TaskSlot> = if kind == spec::ServiceMode::GlobalJob {
            self.nodes.values().filter(|n| self.wants_task_on(id, n)).map(|n| TaskSlot::Node(n.id.clone())).collect()
        } else {
            (1..=total).map(TaskSlot::Slot).collect()
        };
        let room = if kind == spec::ServiceMode::GlobalJob { slots.len() } else { usize::try_from(at_once).unwrap_or(usize::MAX) };
        let free = slots.into_iter().filter(|slot| !taken.contains(slot)).take(room.saturating_sub(running));
        for slot in free.collect::<Vec<_>>() {
            self.new_task(id, slot, DesiredTaskState::Complete, None);
        }
    }

    fn cover_nodes(&mut self, service: &str) {
        let wanted: BTreeSet<String> = self.nodes.values().filter(|n| self.wants_task_on(service, n)).map(|n| n.id.clone()).collect();
        let paused = |id: &String| self.nodes.get(id).is_some_and(|n| n.up && n.availability == Availability::Pause);
        let superfluous = self.slots(service).into_iter().filter(|p| matches!(p, TaskSlot::Node(n) if !wanted.contains(n) && !paused(n)));
        for slot in superfluous.collect::<Vec<_>>() {
            for id in self.wanted_in(service, &slot) {
                self.stop(&id, DesiredTaskState::Shutdown);
            }
        }
        for node in wanted {
            let slot = TaskSlot::Node(node);
            if self.wanted_in(service, &slot).is_empty() {
                self.new_task(service, slot, DesiredTaskState::Running, None);
            }
        }
    }

    /// Creates a task from the current state of the service; returns its id.
    pub fn new_task(&mut self, service: &str, slot: TaskSlot, desired: DesiredTaskState, start_at: Option<u64>) -> String {
        let (id, version, now) = (self.new_id(), self.bump(), self.now);
        let Some(from) = self.services.get(service) else { return id };
        let endpoint = from.spec.get("EndpointSpec").cloned().unwrap_or(Value::Null);
        let task = SimTask {
            shown: CachedView::default(),
            id: id.clone(),
            version,
            service: service.to_owned(),
            node: if let TaskSlot::Node(node) = &slot { Some(node.clone()) } else { None },
            slot,
            state: TaskState::New,
            desired,
            spec: from.template.clone(),
            labels: Arc::new(from.spec.get("Labels").cloned().unwrap_or_else(|| json!({}))),
            host_ports: spec::host_ports(&endpoint),
            host_ports_ipv6: Vec::new(),
            endpoint,
            spec_version: from.spec_version,
            addresses: Vec::new(),
            created: now,
            since: now,
            due: Some(now + 5),
            start_at,
            message: "created",
            error: String::new(),
        };
        self.tasks.insert(id.clone(), task);
        id
    }

    /// Handles a changed node: stops tasks that may no longer be on it, and reconciles everything.
    pub fn node_changed(&mut self, id: &str) {
        let version = self.bump();
        let Some(node) = self.nodes.get_mut(id) else { return };
        node.version = version;
        let node = &*node;
        let misplaced = self
            .tasks
            .values()
            .filter(|t| t.node.as_deref() == Some(id) && t.desired.wanted() && node.availability == Availability::Active);
        let misplaced =
            misplaced.filter(|t| self.services.get(&t.service).is_some_and(|s| !node.satisfies(&spec::constraints(&s.template))));
        let misplaced: Vec<String> = misplaced.map(|t| t.id.clone()).collect();
        let detail = format!("update {}", node.hostname);
        for task in misplaced {
            self.stop(&task, DesiredTaskState::Shutdown);
        }
        self.dirty.extend(self.services.keys().cloned());
        self.wake_pending();
        self.hint("node", &detail);
    }
}
