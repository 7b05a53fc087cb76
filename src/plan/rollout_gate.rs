//! Whether a service may be updated now: one rollout at a time, and after a failed one only if there is a reason to expect
//! another result.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::json_path::{get, set};
use super::planner_state::PlannerState;
use super::step::{RolloutNote, RolloutOutcome, UpdateReason};
use crate::report::WaitingOn;
use crate::swarm::{Service, Snapshot, Task, UpdateStatus, fitting_nodes, unplaceable_tasks};
use crate::types::{Digest, NodeId, TaskState, UpdateState};

/// An update during a rollout makes Swarm forget the last good spec, so the update waits for the rollout to end, but not
/// forever: after this time the newer declaration takes precedence.
pub const ROLLOUT_HOLD_MAX: SignedDuration = SignedDuration::from_mins(5);
/// A rollout whose new task has found no node for this long will not end by itself. The current declaration may end it.
pub const ROLLOUT_STUCK_AFTER: SignedDuration = SignedDuration::from_secs(15);
/// Once all tasks have run for this much longer than Swarm's delay and monitor time, the rollout is finished in practice.
pub const ROLLOUT_IDLE_AFTER: SignedDuration = SignedDuration::from_secs(30);
/// If a task makes no progress for this long, a changed declaration does not wait for it.
pub const ROLLOUT_SLOW_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// Swarm's updater waits at most a minute for a task that it replaces. A rollback hangs if nothing has happened for longer
/// than that plus Swarm's delay and monitor time.
pub const ROLLBACK_HANGS_AFTER: SignedDuration = SignedDuration::from_secs(90);
/// How long Swarm monitors a new task if the spec does not state it.
const MONITOR_OF_SWARM: SignedDuration = SignedDuration::from_secs(5);

/// Whether a service may be updated.
pub(super) enum RolloutGate {
    /// Yes; nothing is in the way.
    Open,
    /// Not yet: a rollout is under way.
    UnderWay(WaitingOn),
    /// Swarm gave up a rollout, and it is too early to retry.
    Failed(WaitingOn),
    /// Swarm gave up a rollout, and it is time to retry.
    Retry,
}

/// Swarm's state of the service's last rollout.
pub(super) fn rollout_note(service: &Service, identity: Digest, snapshot: &Snapshot) -> RolloutNote {
    let outcome = match &service.update_status {
        Some(status) if is_over(service, status, snapshot) && status.state == UpdateState::Updating => RolloutOutcome::Settled,
        Some(status) if is_over(service, status, snapshot) => RolloutOutcome::Failed(failed_at(status, snapshot)),
        Some(status) if is_under_way(status) => RolloutOutcome::UnderWay,
        Some(status) if is_failed(status) => RolloutOutcome::Failed(failed_at(status, snapshot)),
        _ => RolloutOutcome::Settled,
    };
    RolloutNote { service: service.name.clone(), identity, nodes: nodes_digest(snapshot), outcome }
}

/// Whether the service may be updated for this reason.
pub(super) fn gate(service: &Service, note: &RolloutNote, reason: UpdateReason, memory: &PlannerState, snapshot: &Snapshot) -> RolloutGate {
    let Some(status) = &service.update_status else { return RolloutGate::Open };
    match note.outcome {
        RolloutOutcome::Settled => RolloutGate::Open,
        RolloutOutcome::UnderWay if may_supersede(service, status, note, memory, snapshot) => RolloutGate::Open,
        RolloutOutcome::UnderWay => RolloutGate::UnderWay(under_way(service, status, snapshot)),
        RolloutOutcome::Failed(_) if would_spread(service, status, note, reason, memory, snapshot) => {
            RolloutGate::Failed(failed(service, status, None))
        }
        RolloutOutcome::Failed(at) => match memory.retry_at(note, at) {
            Some(retry_at) if retry_at > snapshot.taken_at => RolloutGate::Failed(failed(service, status, Some(retry_at))),
            _ => RolloutGate::Retry,
        },
    }
}

fn failed(service: &Service, status: &UpdateStatus, retry_at: Option<Timestamp>) -> WaitingOn {
    WaitingOn::FailedRollout { service: service.name.clone(), detail: update_message(status), retry_at }
}

/// Whether continuing would replace another good task although the tasks of the new spec do not run yet: then the cause
/// persists, and every attempt would cost another proxy.
fn would_spread(
    service: &Service,
    status: &UpdateStatus,
    note: &RolloutNote,
    reason: UpdateReason,
    memory: &PlannerState,
    snapshot: &Snapshot,
) -> bool {
    let repeats = match status.state {
        UpdateState::Paused => reason == UpdateReason::Resume,
        UpdateState::RollbackPaused => reason == UpdateReason::Differs && memory.was_last_attempt(note) == Some(true),
        _ => false,
    };
    repeats && tasks(service, snapshot).is_some()
}

/// Waits for a rollout that is under way.
pub(super) fn under_way(service: &Service, status: &UpdateStatus, snapshot: &Snapshot) -> WaitingOn {
    let (running, of) = running_of(service, snapshot);
    WaitingOn::Rollout { service: service.name.clone(), detail: format!("{}, {running} of {of} tasks running", update_message(status)) }
}

/// Waits for tasks that do not run yet, if there are any.
pub(super) fn tasks(service: &Service, snapshot: &Snapshot) -> Option<WaitingOn> {
    let (running, of) = running_of(service, snapshot);
    let errors = tasks_of(service, snapshot).map(|task| task.error.as_str()).filter(|error| !error.is_empty());
    let mut errors: Vec<&str> = errors.collect();
    errors.sort_unstable();
    errors.dedup();
    let because = if errors.is_empty() { String::new() } else { format!(": {}", errors.join("; ")) };
    let detail = format!("{running} of {of} running{because}");
    (running < of).then(|| WaitingOn::Tasks { service: service.name.clone(), detail })
}

/// Whether fewer tasks run than should.
pub fn is_short_of_tasks(service: &Service, snapshot: &Snapshot) -> bool {
    tasks(service, snapshot).is_some()
}

/// How many tasks run, and how many should.
fn running_of(service: &Service, snapshot: &Snapshot) -> (u64, u64) {
    let running = count(tasks_of(service, snapshot).filter(|task| task.state == TaskState::Running).count());
    (running, wanted_tasks(service, snapshot))
}

/// How many tasks a service should have: the declared number minus those that no node can take, or in Swarm's own global
/// mode one for each node that fits or has one. Two tasks on one node are a replacement in progress.
pub fn wanted_tasks(service: &Service, snapshot: &Snapshot) -> u64 {
    let on_nodes = || {
        let mut nodes: BTreeSet<&NodeId> = tasks_of(service, snapshot).filter_map(|task| task.node.as_ref()).collect();
        nodes.extend(fitting_nodes(&service.spec, snapshot).into_iter().flatten());
        count(nodes.len())
    };
    let placeable = |replicas: u64| replicas.saturating_sub(count(unplaceable_tasks(service, snapshot).len()));
    service.replicas.map_or_else(on_nodes, placeable)
}

/// Whether this spec would replace a running task. The task's node meets the placement, or the task would not run there.
pub(super) fn would_stop(service: &Service, spec: &Value, snapshot: &Snapshot) -> bool {
    let without_placement = |template: &Value| {
        let mut template = template.clone();
        set(&mut template, &["Placement"], Value::Null);
        template
    };
    let wanted = get(spec, &["TaskTemplate"]).map(without_placement);
    tasks_of(service, snapshot).any(|task| task.state == TaskState::Running && Some(without_placement(&task.spec)) != wanted)
}

/// Whether an update is still restoring missing tasks. A task that does not come up within this time no longer holds back
/// the rest.
pub(super) fn rolls_back(service: &Service, status: &UpdateStatus, snapshot: &Snapshot) -> bool {
    let is_young = status.started_at.is_none_or(|since| snapshot.taken_at.duration_since(since) <= ROLLOUT_SLOW_AFTER);
    is_young && tasks(service, snapshot).is_some()
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A task without an eligible node, for example after a node went down, holds nothing up.
fn tasks_of<'a>(service: &'a Service, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Task> {
    let homeless = unplaceable_tasks(service, snapshot);
    snapshot.tasks.values().filter(move |task| task.service == service.id && !homeless.contains(&task.id))
}

pub(super) fn is_under_way(status: &UpdateStatus) -> bool {
    status.state.is_under_way()
}

/// Whether Swarm reports a rollout as under way although nothing is left to do: all tasks have run for longer than Swarm
/// monitors them. Its updater then waits forever for a task whose slot another task has taken.
pub(super) fn is_idle(service: &Service, status: &UpdateStatus, snapshot: &Snapshot) -> bool {
    let (running, of) = running_of(service, snapshot);
    let moves = |task: &Task| task.state != TaskState::Running && !is_surplus(task, service, snapshot);
    if running != of || tasks_of(service, snapshot).any(moves) || !is_under_way(status) {
        return false;
    }
    let changed = tasks_of(service, snapshot).map(|task| changed_at(task, snapshot.taken_at));
    let newest = changed.chain(status.started_at).max();
    let margin = if knows_nodes(service, snapshot) { ROLLOUT_IDLE_AFTER } else { ROLLOUT_HOLD_MAX };
    newest.is_some_and(|since| snapshot.taken_at.duration_since(since) > watch_of_swarm(service).saturating_add(margin))
}

/// Whether Swarm reports a rollout as under way that will not end by itself, so that writing the same spec again does no
/// harm.
pub(super) fn is_over(service: &Service, status: &UpdateStatus, snapshot: &Snapshot) -> bool {
    is_idle(service, status, snapshot) || hangs(service, status, snapshot)
}

/// Whether a rollback waits for something that will never happen. Only for rollbacks: an update may wait for room, and
/// writing its spec again would stop the tasks that still run.
fn hangs(service: &Service, status: &UpdateStatus, snapshot: &Snapshot) -> bool {
    let changed = tasks_of(service, snapshot).map(|task| changed_at(task, snapshot.taken_at));
    let newest = changed.chain(status.started_at).max();
    let limit = watch_of_swarm(service).saturating_add(ROLLBACK_HANGS_AFTER);
    let is_short = tasks(service, snapshot).is_some() || tasks_of(service, snapshot).any(|task| task.state != TaskState::Running);
    status.state == UpdateState::RollbackStarted && is_short && newest.is_some_and(|since| snapshot.taken_at.duration_since(since) > limit)
}

/// Whether a missing task can be noticed: a snapshot does not show a replacement that waits for its turn.
fn knows_nodes(service: &Service, snapshot: &Snapshot) -> bool {
    service.replicas.is_some() || fitting_nodes(&service.spec, snapshot).is_some()
}

/// Whether a task waits for a resource that an equal task on its node holds and will not give up. An outdated task there
/// would have to give way.
fn is_surplus(task: &Task, service: &Service, snapshot: &Snapshot) -> bool {
    let is_equal = |other: &Task| other.state == TaskState::Running && other.node == task.node && other.spec == task.spec;
    task.state == TaskState::Pending && task.node.is_some() && tasks_of(service, snapshot).any(is_equal)
}

/// When a task last changed. The node's clock determines since when the task runs, and is ignored if it is ahead.
fn changed_at(task: &Task, now: Timestamp) -> Timestamp {
    task.state_since.filter(|since| *since <= now).map_or(task.created_at, |since| since.max(task.created_at))
}

/// How long after the start of the last task Swarm ends a rollout: the delay, then the monitor time, which is longer than
/// the delay.
fn watch_of_swarm(service: &Service) -> SignedDuration {
    let one = |config: &str| {
        let of_spec = |field: &str| get(&service.spec, &[config, field]).and_then(Value::as_i64).map(SignedDuration::from_nanos);
        let delay = of_spec("Delay").unwrap_or_default();
        let monitor = of_spec("Monitor").unwrap_or(MONITOR_OF_SWARM);
        delay.saturating_add(monitor.max(delay.saturating_add(SignedDuration::from_secs(1))))
    };
    one("UpdateConfig").max(one("RollbackConfig"))
}

fn is_failed(status: &UpdateStatus) -> bool {
    matches!(status.state, UpdateState::Paused | UpdateState::RollbackPaused | UpdateState::RollbackCompleted)
}

/// Whether Swarm stopped halfway, so that tasks of two specs run.
pub(super) fn is_paused(status: &UpdateStatus) -> bool {
    matches!(status.state, UpdateState::Paused | UpdateState::RollbackPaused)
}

/// Swarm states when a rollback ended, but not when it paused.
fn failed_at(status: &UpdateStatus, snapshot: &Snapshot) -> Timestamp {
    status.completed_at.unwrap_or(snapshot.taken_at)
}

/// Swarm's state and message about a rollout.
pub(super) fn update_message(status: &UpdateStatus) -> String {
    if status.message.is_empty() { status.state.to_string() } else { format!("{}: {}", status.state, status.message) }
}

/// Whether the rollout may be interrupted, because the new declaration is urgent enough or the rollout is stuck. A rollback
/// is interrupted only for a declaration other than the one that led to it.
fn may_supersede(service: &Service, status: &UpdateStatus, note: &RolloutNote, memory: &PlannerState, snapshot: &Snapshot) -> bool {
    let age = |since: Timestamp| snapshot.taken_at.duration_since(since);
    let finds_no_node =
        |task: &Task| task.state == TaskState::Pending && !task.error.is_empty() && age(task.created_at) > ROLLOUT_STUCK_AFTER;
    let is_slow = |task: &Task| task.state != TaskState::Running && age(changed_at(task, snapshot.taken_at)) > ROLLOUT_SLOW_AFTER;
    let is_stuck = |task: &Task| finds_no_node(task) || is_slow(task);
    let is_late = status.started_at.is_some_and(|since| age(since) > ROLLOUT_HOLD_MAX);
    let may = is_late || tasks_of(service, snapshot).any(is_stuck);
    match (&status.state, memory.was_last_attempt(note)) {
        (UpdateState::RollbackStarted, Some(same)) => may && !same,
        (UpdateState::RollbackStarted, None) => is_late,
        _ => may,
    }
}

/// Digest of those properties of the nodes that decide where tasks can run.
fn nodes_digest(snapshot: &Snapshot) -> Digest {
    let seen: Vec<_> = snapshot.nodes.values().map(|node| json!([node.id, node.state, node.availability, node.labels])).collect();
    Digest::of_json(&seen)
}
