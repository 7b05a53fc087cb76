//! Whether a service may be written now: one rollout at a time, and after a failed one only when there is a reason to
//! expect another result.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::json_path::{get, set};
use super::state::PlanMemory;
use super::step::{RolloutNote, RolloutOutcome, UpdateReason};
use crate::report::WaitingOn;
use crate::swarm::{Service, Snapshot, Task, UpdateStatus, fitting_nodes, without_a_place};
use crate::types::{Digest, NodeId, TaskState, UpdateState};

/// A write during a rollout makes Swarm forget the last good spec, so it waits for the end, but not for ever: after this
/// time the newer declaration matters more.
pub const ROLLOUT_HOLD_MAX: SignedDuration = SignedDuration::from_mins(5);
/// A rollout whose new task found no node for this long will not end by itself: what the declaration says now may.
pub const ROLLOUT_STUCK_AFTER: SignedDuration = SignedDuration::from_secs(15);
/// How much longer than Swarm delays and watches tasks all of them must have run for a rollout to be over in all but name.
pub const ROLLOUT_IDLE_AFTER: SignedDuration = SignedDuration::from_secs(30);
/// A task that does not get any further for this long is not waited for when something else is declared.
pub const ROLLOUT_SLOW_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// Swarm's updater waits a minute at most for a task that it replaces. A rollback in which nothing has happened for longer
/// than that, and than Swarm delays and watches tasks, hangs.
pub const ROLLBACK_HANGS_AFTER: SignedDuration = SignedDuration::from_secs(90);
/// How long Swarm watches a new task where the spec does not say.
const MONITOR_OF_SWARM: SignedDuration = SignedDuration::from_secs(5);

/// Whether a service may be written.
pub(super) enum Gate {
    /// It may; nothing is in the way.
    Open,
    /// A rollout is under way: not yet.
    UnderWay(WaitingOn),
    /// Swarm gave up, and it is too early to try again.
    Failed(WaitingOn),
    /// Swarm gave up, and it is time to try again.
    Retry,
}

/// What Swarm says about the service's last rollout.
pub(super) fn note(service: &Service, identity: Digest, snapshot: &Snapshot) -> RolloutNote {
    let outcome = match &service.update_status {
        Some(status) if is_over(service, status, snapshot) && status.state == UpdateState::Updating => RolloutOutcome::Settled,
        Some(status) if is_over(service, status, snapshot) => RolloutOutcome::Failed(failed_at(status, snapshot)),
        Some(status) if is_under_way(status) => RolloutOutcome::UnderWay,
        Some(status) if is_failed(status) => RolloutOutcome::Failed(failed_at(status, snapshot)),
        _ => RolloutOutcome::Settled,
    };
    RolloutNote { service: service.name.clone(), identity, nodes: nodes_digest(snapshot), outcome }
}

/// Whether the service may be written, for this reason.
pub(super) fn gate(service: &Service, note: &RolloutNote, reason: UpdateReason, memory: &PlanMemory, snapshot: &Snapshot) -> Gate {
    let Some(status) = &service.update_status else { return Gate::Open };
    match note.outcome {
        RolloutOutcome::Settled => Gate::Open,
        RolloutOutcome::UnderWay if may_supersede(service, status, note, memory, snapshot) => Gate::Open,
        RolloutOutcome::UnderWay => Gate::UnderWay(under_way(service, status, snapshot)),
        RolloutOutcome::Failed(_) if would_spread(service, status, note, reason, memory, snapshot) => {
            Gate::Failed(failed(service, status, None))
        }
        RolloutOutcome::Failed(at) => match memory.retry_at(note, at) {
            Some(retry_at) if retry_at > snapshot.taken_at => Gate::Failed(failed(service, status, Some(retry_at))),
            _ => Gate::Retry,
        },
    }
}

fn failed(service: &Service, status: &UpdateStatus, retry_at: Option<Timestamp>) -> WaitingOn {
    WaitingOn::FailedRollout { service: service.name.clone(), detail: words(status), retry_at }
}

/// Whether going on would replace a further good task although those of the new spec do not run yet: then the cause is
/// not gone, and every try would leave one proxy less.
fn would_spread(
    service: &Service,
    status: &UpdateStatus,
    note: &RolloutNote,
    reason: UpdateReason,
    memory: &PlanMemory,
    snapshot: &Snapshot,
) -> bool {
    let repeats = match status.state {
        UpdateState::Paused => reason == UpdateReason::Resume,
        UpdateState::RollbackPaused => reason == UpdateReason::Differs && memory.tried(note) == Some(true),
        _ => false,
    };
    repeats && tasks(service, snapshot).is_some()
}

/// The waiting for a rollout that is under way.
pub(super) fn under_way(service: &Service, status: &UpdateStatus, snapshot: &Snapshot) -> WaitingOn {
    let (running, of) = running_of(service, snapshot);
    WaitingOn::Rollout { service: service.name.clone(), detail: format!("{}, {running} of {of} tasks running", words(status)) }
}

/// The waiting for tasks that do not run yet, if there are any.
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

/// Whether tasks do not run that should.
pub fn is_short_of_tasks(service: &Service, snapshot: &Snapshot) -> bool {
    tasks(service, snapshot).is_some()
}

/// Tasks that run, and how many must.
fn running_of(service: &Service, snapshot: &Snapshot) -> (u64, u64) {
    let running = count(tasks_of(service, snapshot).filter(|task| task.state == TaskState::Running).count());
    (running, wanted_tasks(service, snapshot))
}

/// How many tasks a service must have: the declared number, less those for which there is no node left, or in Swarm's own global
/// mode one on each node that fits or has one. Two tasks on one node are a replacement that is under way.
pub fn wanted_tasks(service: &Service, snapshot: &Snapshot) -> u64 {
    let on_nodes = || {
        let mut nodes: BTreeSet<&NodeId> = tasks_of(service, snapshot).filter_map(|task| task.node.as_ref()).collect();
        nodes.extend(fitting_nodes(&service.spec, snapshot).into_iter().flatten());
        count(nodes.len())
    };
    let with_a_place = |replicas: u64| replicas.saturating_sub(count(without_a_place(service, snapshot).len()));
    service.replicas.map_or_else(on_nodes, with_a_place)
}

/// Whether a task that runs would be replaced by this spec. Its node meets the placement, or it would not run there.
pub(super) fn would_stop(service: &Service, spec: &Value, snapshot: &Snapshot) -> bool {
    let without_placement = |template: &Value| {
        let mut template = template.clone();
        set(&mut template, &["Placement"], Value::Null);
        template
    };
    let wanted = get(spec, &["TaskTemplate"]).map(without_placement);
    tasks_of(service, snapshot).any(|task| task.state == TaskState::Running && Some(without_placement(&task.spec)) != wanted)
}

/// Whether an update still brings back tasks that are missing. What does not come up within this time holds back the rest no more.
pub(super) fn brings_back(service: &Service, status: &UpdateStatus, snapshot: &Snapshot) -> bool {
    let is_young = status.started_at.is_none_or(|since| snapshot.taken_at.duration_since(since) <= ROLLOUT_SLOW_AFTER);
    is_young && tasks(service, snapshot).is_some()
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A task for which no node is left, as after a node went down, keeps nothing waiting.
fn tasks_of<'a>(service: &'a Service, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Task> {
    let homeless = without_a_place(service, snapshot);
    snapshot.tasks.values().filter(move |task| task.service == service.id && !homeless.contains(&task.id))
}

pub(super) fn is_under_way(status: &UpdateStatus) -> bool {
    status.state.is_under_way()
}

/// Whether Swarm calls a rollout under way in which nothing is left to happen: all tasks run, for longer than it watches
/// them. Its updater then waits for a task whose place another one has, and it waits for ever.
pub(super) fn is_idle(service: &Service, status: &UpdateStatus, snapshot: &Snapshot) -> bool {
    let (running, of) = running_of(service, snapshot);
    let moves = |task: &Task| task.state != TaskState::Running && !is_surplus(task, service, snapshot);
    if running != of || tasks_of(service, snapshot).any(moves) || !is_under_way(status) {
        return false;
    }
    let changed = tasks_of(service, snapshot).map(|task| changed_at(task, snapshot.taken_at));
    let newest = changed.chain(status.started_at).max();
    let margin = if knows_places(service, snapshot) { ROLLOUT_IDLE_AFTER } else { ROLLOUT_HOLD_MAX };
    newest.is_some_and(|since| snapshot.taken_at.duration_since(since) > watch_of_swarm(service).saturating_add(margin))
}

/// Whether Swarm calls a rollout under way that will not end by itself, so that writing the same spec once more does no harm.
pub(super) fn is_over(service: &Service, status: &UpdateStatus, snapshot: &Snapshot) -> bool {
    is_idle(service, status, snapshot) || hangs(service, status, snapshot)
}

/// Whether a rollback waits for what never comes. Only of a rollback: an update may wait for room, and writing its spec again
/// would stop the tasks that still run.
fn hangs(service: &Service, status: &UpdateStatus, snapshot: &Snapshot) -> bool {
    let changed = tasks_of(service, snapshot).map(|task| changed_at(task, snapshot.taken_at));
    let newest = changed.chain(status.started_at).max();
    let limit = watch_of_swarm(service).saturating_add(ROLLBACK_HANGS_AFTER);
    let is_short = tasks(service, snapshot).is_some() || tasks_of(service, snapshot).any(|task| task.state != TaskState::Running);
    status.state == UpdateState::RollbackStarted && is_short && newest.is_some_and(|since| snapshot.taken_at.duration_since(since) > limit)
}

/// Whether a place whose task is being replaced is missed: of a task that waits for its turn a snapshot shows nothing.
fn knows_places(service: &Service, snapshot: &Snapshot) -> bool {
    service.replicas.is_some() || fitting_nodes(&service.spec, snapshot).is_some()
}

/// Whether a task waits in vain for what an equal one on its node has. An outdated one there would have to give way.
fn is_surplus(task: &Task, service: &Service, snapshot: &Snapshot) -> bool {
    let is_equal = |other: &Task| other.state == TaskState::Running && other.node == task.node && other.spec == task.spec;
    task.state == TaskState::Pending && task.node.is_some() && tasks_of(service, snapshot).any(is_equal)
}

/// When a task last changed. The node's clock says since when it runs, and is not believed when it is ahead.
fn changed_at(task: &Task, now: Timestamp) -> Timestamp {
    task.state_since.filter(|since| *since <= now).map_or(task.created_at, |since| since.max(task.created_at))
}

/// How long after the start of the last task Swarm ends a rollout: its delay, then its watch, which outlasts the delay.
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

/// Swarm says when a rollback ended, but not when it paused.
fn failed_at(status: &UpdateStatus, snapshot: &Snapshot) -> Timestamp {
    status.completed_at.unwrap_or(snapshot.taken_at)
}

/// Swarm's words about a rollout.
pub(super) fn words(status: &UpdateStatus) -> String {
    if status.message.is_empty() { status.state.to_string() } else { format!("{}: {}", status.state, status.message) }
}

/// Whether something else is wanted so urgently, or the rollout so stuck, that it is not waited for. A rollback is only
/// cut short for something other than what led to it.
fn may_supersede(service: &Service, status: &UpdateStatus, note: &RolloutNote, memory: &PlanMemory, snapshot: &Snapshot) -> bool {
    let age = |since: Timestamp| snapshot.taken_at.duration_since(since);
    let finds_no_node =
        |task: &Task| task.state == TaskState::Pending && !task.error.is_empty() && age(task.created_at) > ROLLOUT_STUCK_AFTER;
    let is_slow = |task: &Task| task.state != TaskState::Running && age(changed_at(task, snapshot.taken_at)) > ROLLOUT_SLOW_AFTER;
    let is_stuck = |task: &Task| finds_no_node(task) || is_slow(task);
    let is_late = status.started_at.is_some_and(|since| age(since) > ROLLOUT_HOLD_MAX);
    let may = is_late || tasks_of(service, snapshot).any(is_stuck);
    match (&status.state, memory.tried(note)) {
        (UpdateState::RollbackStarted, Some(same)) => may && !same,
        (UpdateState::RollbackStarted, None) => is_late,
        _ => may,
    }
}

/// What of the nodes decides where tasks can run.
fn nodes_digest(snapshot: &Snapshot) -> Digest {
    let seen: Vec<_> = snapshot.nodes.values().map(|node| json!([node.id, node.state, node.availability, node.labels])).collect();
    Digest::of_json(&seen)
}
