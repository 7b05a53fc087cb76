//! Rolling updates: which tasks are outdated, in which order they are replaced, and when an update pauses, rolls back or
//! completes.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use rand::Rng as _;

use super::model::{DesiredTaskState, Millis, Replacement, SimRollout, SimService, SimTask, SimUpdateStatus, TaskSlot, TaskState};
use super::spec::{self, Action, UpdateConfig};
use super::world::SimState;

/// How long a new task waits for the old one in its place to end.
const PATIENCE: Millis = 60_000;

impl SimRollout {
    /// When it next continues by itself.
    pub fn next_moment(&self, now: Millis) -> Option<Millis> {
        let next = Some(self.next_at).filter(|at| *at > now && !self.waiting.is_empty());
        let impatient = self.active.iter().map(|replacement| replacement.patient_until).filter(|at| *at > now).min();
        [next, impatient, self.ends_at].into_iter().flatten().min()
    }

    fn is_due(&self, now: Millis) -> bool {
        let goes_on = self.next_at == now && !self.waiting.is_empty();
        goes_on || self.ends_at.is_some_and(|at| at <= now) || self.active.iter().any(|replacement| replacement.patient_until == now)
    }
}

impl SimState {
    /// Marks services whose update continues now.
    pub fn wake_rollouts(&mut self) {
        let now = self.now;
        let awake = self.services.values().filter(|s| s.rollout.as_ref().is_some_and(|r| r.is_due(now))).map(|s| s.id.clone());
        self.dirty.extend(awake);
    }

    /// Begins, continues or ends the update of a service.
    pub fn roll(&mut self, id: &str) {
        let Some(service) = self.services.get_mut(id) else { return };
        let config = config(service);
        let Some(mut rollout) = service.rollout.take().or_else(|| self.begin(id)) else { return };
        self.finish_replacements(id, &mut rollout, config);
        if let Some(failed_task) = failed_task(&rollout, config) {
            return self.give_up(id, &failed_task, config);
        }
        self.begin_replacements(id, &mut rollout, config);
        if rollout.waiting.is_empty() && rollout.active.is_empty() {
            let ends_at = *rollout.ends_at.get_or_insert(self.now + config.monitor);
            if ends_at <= self.now {
                return self.complete(id);
            }
        }
        if let Some(service) = self.services.get_mut(id) {
            service.rollout = Some(rollout);
        }
    }

    /// Starts an update, if something is outdated and the last update was not paused.
    fn begin(&mut self, id: &str) -> Option<SimRollout> {
        let service = self.services.get(id)?;
        let state = service.status.as_ref().map(|s| s.state);
        if matches!(state, Some("paused" | "rollback_paused")) {
            return None;
        }
        let outdated = self.tasks.values().filter(|t| t.service == id && t.desired.wanted() && self.outdated(service, t));
        let mut slots: BTreeSet<TaskSlot> = outdated.map(|t| t.slot.clone()).collect();
        slots.extend(self.slots(id).into_iter().filter(|slot| self.wanted_in(id, slot).len() > 1));
        if slots.is_empty() {
            if matches!(state, Some("updating" | "rollback_started")) {
                self.complete(id);
            }
            return None;
        }
        if state != Some("rollback_started") {
            self.set_status(id, "updating", "update in progress".to_owned());
        }
        let total = slots.len();
        let waiting: VecDeque<TaskSlot> = slots.into_iter().collect();
        let (next_at, failed) = (self.now, BTreeSet::new());
        Some(SimRollout { waiting, active: Vec::new(), total, watched: Vec::new(), failed, next_at, ends_at: None })
    }

    /// Swarm's own rule, including its trap: if only the placement of the template changed and the node still satisfies it,
    /// nothing else is compared, not even ports.
    fn outdated(&self, service: &SimService, task: &SimTask) -> bool {
        if task.spec_version == service.spec_version {
            return false;
        }
        let same = Arc::ptr_eq(&task.spec, &service.template) || task.spec == service.template;
        if !same && only_placement_differs(task, service) {
            // Here the real Swarm's managers crash, one after the other; the operator must never cause this.
            assert!(
                service.template.get("Placement").is_some(),
                "a service without any placement, whose tasks have one, ends every manager"
            );
            let node = task.node.as_ref().and_then(|n| self.nodes.get(n));
            if node.is_some_and(|n| n.satisfies(&spec::constraints(&service.template))) {
                return false;
            }
        }
        !same || task.endpoint != *service.spec.get("EndpointSpec").unwrap_or(&serde_json::Value::Null)
    }

    /// Starts replacements up to the allowed parallelism.
    fn begin_replacements(&mut self, id: &str, rollout: &mut SimRollout, config: UpdateConfig) {
        while rollout.active.len() < config.parallelism && self.now >= rollout.next_at {
            let Some(slot) = rollout.waiting.pop_front() else { return };
            let old = self.wanted_in(id, &slot);
            if old.is_empty() {
                continue;
            }
            let desired = if config.start_first { DesiredTaskState::Running } else { DesiredTaskState::Ready };
            if let Some(kept) = self.up_to_date(id, &old) {
                self.promote(&kept);
                self.stop_all(&old.into_iter().filter(|task| *task != kept).collect::<Vec<_>>());
                rollout.next_at = self.now + config.delay;
                continue;
            }
            let new = self.new_task(id, slot.clone(), desired, None);
            rollout.watched.push((new.clone(), None));
            if !config.start_first {
                self.stop_all(&old);
                self.double_by_chance(id, slot, &new);
            }
            let hangs = !config.start_first && self.hangs_by_chance(id);
            rollout.active.push(Replacement { old, new, patient_until: self.now + PATIENCE, hangs });
        }
    }

    /// The task of a place that may stay: it need not be running, and the others in its place are stopped all the same.
    fn up_to_date(&self, id: &str, tasks: &[String]) -> Option<String> {
        let service = self.services.get(id)?;
        let mut current = tasks.iter().filter_map(|task| self.tasks.get(task)).filter(|task| !self.outdated(service, task));
        let first = current.clone().next();
        current.find(|task| task.desired == DesiredTaskState::Running).or(first).map(|task| task.id.clone())
    }

    /// A node changes (its networks do, whenever tasks come and go) while a task of a global service failed on it and is being
    /// rolled back: Swarm creates one more task, and may ask the updater's to stop.
    fn double_by_chance(&mut self, id: &str, slot: TaskSlot, new: &str) {
        let rate = self.faults.rates.rollback_doubled;
        let on_port = self.tasks.get(new).is_some_and(|t| matches!(t.slot, TaskSlot::Node(_)) && t.host_ports.iter().any(|p| p.2 != 0));
        let is_rollback = self.services.get(id).is_some_and(|s| s.status.as_ref().is_some_and(|u| u.state == "rollback_started"));
        if on_port && is_rollback && rate > 0.0 && self.rng.random_bool(rate.min(1.0)) {
            self.new_task(id, slot, DesiredTaskState::Running, None);
            if self.rng.random_bool(0.5) {
                self.stop(new, DesiredTaskState::Shutdown);
            }
        }
    }

    /// A rollback waits for a task that never ends, and its place stays empty until the next write.
    fn hangs_by_chance(&mut self, id: &str) -> bool {
        let rate = self.faults.rates.rollback_hangs;
        let is_rollback = self.services.get(id).is_some_and(|s| s.status.as_ref().is_some_and(|u| u.state == "rollback_started"));
        is_rollback && rate > 0.0 && self.rng.random_bool(rate.min(1.0))
    }

    /// Advances the replacements, and drops those that are done.
    fn finish_replacements(&mut self, id: &str, rollout: &mut SimRollout, config: UpdateConfig) {
        for replacement in std::mem::take(&mut rollout.active) {
            if self.finished(&replacement, config) {
                rollout.next_at = self.now + config.delay;
            } else {
                rollout.active.push(replacement);
            }
        }
        for (task, since) in rollout.watched.iter_mut().filter(|(_, since)| since.is_none()) {
            *since = self.tasks.get(task).filter(|t| t.state == TaskState::Running).map(|t| t.since);
        }
        let slots = self.slots(id);
        rollout.waiting.retain(|slot| slots.contains(slot));
    }

    fn stop_all(&mut self, tasks: &[String]) {
        for task in tasks {
            self.stop(task, DesiredTaskState::Shutdown);
        }
    }

    fn finished(&mut self, replacement: &Replacement, config: UpdateConfig) -> bool {
        let Some((state, desired)) = self.tasks.get(&replacement.new).map(|t| (t.state, t.desired)) else { return true };
        if state.ended() {
            // The real updater stops the old tasks once the new one has reached running or any later state: the place is then
            // filled with what is currently wanted. Otherwise an outdated task would stay forever.
            if config.start_first {
                self.stop_all(&replacement.old);
            }
            return true;
        }
        if state == TaskState::Running {
            self.stop_all(&replacement.old);
            return true;
        }
        if replacement.hangs {
            return false;
        }
        let gone = || replacement.old.iter().all(|t| !self.tasks.contains_key(t));
        if !config.start_first && desired == DesiredTaskState::Ready && (gone() || self.now >= replacement.patient_until) {
            self.promote(&replacement.new);
        }
        false
    }

    /// Handles a task that ended by itself: if it is a new task of an update that still watches it, the update has failed for it.
    pub fn note_failure(&mut self, task: &SimTask) {
        let now = self.now;
        let Some(service) = self.services.get_mut(&task.service) else { return };
        let monitor = config(service).monitor;
        let Some(rollout) = service.rollout.as_mut() else { return };
        let since = rollout.watched.iter().find(|(id, _)| *id == task.id).map(|(_, since)| *since);
        if since.is_some_and(|since| since.is_none_or(|since| now - since <= monitor)) {
            rollout.failed.insert(task.id.clone());
        }
    }

    fn give_up(&mut self, id: &str, failed_task: &str, config: UpdateConfig) {
        let rolling_back = self.services.get(id).is_some_and(|s| s.status.as_ref().is_some_and(|u| u.state == "rollback_started"));
        let why = format!("due to failure or early termination of task {failed_task}");
        self.cancel_rollout(id);
        if rolling_back {
            self.set_status(id, "rollback_paused", format!("rollback paused {why}"));
        } else if config.action == Action::Rollback {
            self.set_status(id, "rollback_started", format!("update rolled back {why}"));
            self.roll_back(id);
        } else {
            self.set_status(id, "paused", format!("update paused {why}"));
        }
    }

    /// Makes the previous spec the current one; there is no previous spec after that.
    fn roll_back(&mut self, id: &str) {
        let (version, now) = (self.bump(), self.now);
        let Some(service) = self.services.get_mut(id) else { return };
        let Some(previous) = service.previous.take() else { return };
        service.template = Arc::new(spec::task_spec(&previous));
        service.spec = previous;
        service.spec_version = service.previous_spec_version;
        (service.version, service.updated, service.allocate_at) = (version, now, Some(now));
        self.dirty.insert(id.to_owned());
    }

    fn complete(&mut self, id: &str) {
        let rolling_back = self.services.get(id).is_some_and(|s| s.status.as_ref().is_some_and(|u| u.state == "rollback_started"));
        let (state, message) = if rolling_back { ("rollback_completed", "rollback completed") } else { ("completed", "update completed") };
        self.set_status(id, state, message.to_owned());
    }

    fn set_status(&mut self, id: &str, state: &'static str, message: String) {
        let (version, now) = (self.bump(), self.now);
        let Some(service) = self.services.get_mut(id) else { return };
        let started = service.status.as_ref().filter(|_| state != "updating").map_or(now, |s| s.started);
        let completed = matches!(state, "completed" | "rollback_completed").then_some(now);
        service.status = Some(SimUpdateStatus { state, message, started, completed });
        (service.version, service.updated) = (version, now);
        let detail = format!("update {}", spec::name(&service.spec));
        self.hint("service", &detail);
    }

    /// Drops an update in progress. Tasks waiting for their turn start running.
    pub fn cancel_rollout(&mut self, id: &str) {
        let Some(rollout) = self.services.get_mut(id).and_then(|s| s.rollout.take()) else { return };
        for replacement in rollout.active {
            self.promote(&replacement.new);
        }
    }
}

/// The applicable settings: a rollback has its own.
fn config(service: &SimService) -> UpdateConfig {
    let rolling_back = service.status.as_ref().is_some_and(|s| s.state == "rollback_started");
    spec::update_config(&service.spec, if rolling_back { "RollbackConfig" } else { "UpdateConfig" })
}

/// A failed task, if too many have failed.
fn failed_task(rollout: &SimRollout, config: UpdateConfig) -> Option<String> {
    let first = rollout.failed.first()?;
    #[expect(clippy::cast_precision_loss, reason = "numbers of tasks are small")]
    let ratio = rollout.failed.len() as f64 / rollout.total as f64;
    (config.action != Action::Continue && ratio > config.max_failure_ratio).then(|| first.clone())
}

fn only_placement_differs(task: &SimTask, service: &SimService) -> bool {
    let (Some(old), Some(new)) = (task.spec.as_object(), service.template.as_object()) else { return false };
    let rest = |o: &serde_json::Map<String, serde_json::Value>, p: &serde_json::Map<String, serde_json::Value>| {
        o.iter().all(|(key, value)| key == "Placement" || p.get(key) == Some(value))
    };
    old.get("Placement") != new.get("Placement") && rest(old, new) && rest(new, old)
}
