//! The tasks that notice changes: the event stream (hints only), the poll of the tasks, and the timer. None of them
//! carries facts to a pass, and losing any of them costs only time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use ipnet::IpNet;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::snapshot_cache::SnapshotCache;
use super::trigger::Trigger;
use super::trigger_channels::{Notifications, WatchedServices};
use crate::declaration::Declared;
use crate::retry::{Retry, RetryLimits};
use crate::swarm::{Snapshot, Swarm};
use crate::telemetry::metrics::TASK_PROBES_TOTAL;
use crate::types::{NetworkId, ServiceId, TaskId, TaskState};

/// The backoff between attempts to open the event stream: polling continues, so there is no hurry.
const REOPEN: RetryLimits = RetryLimits { initial: Duration::from_millis(250), max: Duration::from_secs(15) };
/// A stream that neither sent anything nor broke for this long is considered open.
const OPEN_AFTER: Duration = Duration::from_secs(2);
/// Polls take at most this share of the time: on a Swarm with thousands of tasks the interval grows by itself.
const PROBE_SHARE: u32 = 4;
/// A poll that takes longer than this has failed.
const PROBE_DEADLINE: Duration = Duration::from_secs(20);
/// After this many consecutive complete snapshots in which services changed without a hint, the stream is considered silent.
/// One may be chance: the hint may still be on its way during the snapshot.
const SILENT_POLLS_MAX: u32 = 2;

/// Follows the event stream forever, reopening it when it breaks or is found silent.
pub async fn follow_hints(swarm: Arc<dyn Swarm>, notifications: Arc<Notifications>) {
    let mut retry = Retry::new(REOPEN);
    loop {
        let hints = notifications.hints();
        let why = tokio::select! {
            why = read_hints(swarm.as_ref(), &notifications) => why,
            () = notifications.reopen_wanted() => "it was silent while services changed".to_owned(),
        };
        if notifications.hints() > hints {
            retry.reset();
        }
        notifications.set_events_alive(false);
        let wait = retry.next();
        tracing::warn!(why, ?wait, "lost the event stream; the operator continues by polling");
        sleep(wait).await;
        // Changes in the meantime left no hint.
        notifications.trigger(Trigger::SwarmHint).await;
    }
}

/// Reads one stream to its end and returns why it ended.
async fn read_hints(swarm: &dyn Swarm, notifications: &Notifications) -> String {
    let mut stream = swarm.hints();
    let mut first = Some(OPEN_AFTER);
    loop {
        let next = match first.take() {
            Some(open_after) => match timeout(open_after, stream.next()).await {
                Ok(item) => item,
                Err(_still_open) => {
                    notifications.set_events_alive(true);
                    continue;
                }
            },
            None => stream.next().await,
        };
        match next {
            Some(Ok(hint)) => {
                tracing::debug!(kind = hint.kind, detail = hint.detail, "hint");
                notifications.record_hint();
                notifications.record_change();
                notifications.trigger(Trigger::SwarmHint).await;
            }
            Some(Err(error)) => return error.to_string(),
            None => return "it ended".to_owned(),
        }
    }
}

/// What polls compare: the tasks that matter, their states and their addresses.
type TaskAddresses = BTreeMap<TaskId, (TaskState, Vec<(NetworkId, IpNet)>)>;

/// Polls the tasks, and wakes the loop when they differ from the previous poll.
pub async fn probe_tasks(swarm: Arc<dyn Swarm>, notifications: Arc<Notifications>) {
    let mut before: Option<(TaskAddresses, WatchedServices)> = None;
    let mut failing = false;
    let mut pause = notifications.period();
    loop {
        wait_for_probe(&notifications, pause).await;
        let began = Instant::now();
        let interest = notifications.watched_services();
        match probe(swarm.as_ref(), &interest).await {
            Ok(tasks) => {
                if std::mem::take(&mut failing) {
                    notifications.trigger(Trigger::SwarmBack).await;
                }
                // After a change of interest different tasks are compared: that alone is no change.
                let changed = before.as_ref().is_some_and(|(old, at)| *at == interest && *old != tasks);
                note_probe(&notifications, changed).await;
                before = Some((tasks, interest));
            }
            Err(error) => {
                metrics::counter!(TASK_PROBES_TOTAL, "result" => "failed").increment(1);
                tracing::debug!(error, "cannot read the tasks");
                failing = true;
            }
        }
        pause = notifications.period().max(began.elapsed() * PROBE_SHARE);
    }
}

/// Waits for the interval, or less if it becomes shorter meanwhile.
async fn wait_for_probe(notifications: &Notifications, pause: Duration) {
    let began = Instant::now();
    let mut until = began + pause;
    while tokio::time::timeout_at(until, notifications.period_changed()).await.is_ok() {
        until = until.min(began + notifications.period());
    }
}

async fn note_probe(notifications: &Notifications, changed: bool) {
    metrics::counter!(TASK_PROBES_TOTAL, "result" => if changed { "changed" } else { "same" }).increment(1);
    if changed {
        notifications.record_change();
        notifications.trigger(Trigger::TasksChanged).await;
    }
}

async fn probe(swarm: &dyn Swarm, interest: &WatchedServices) -> Result<TaskAddresses, String> {
    let answer = timeout(PROBE_DEADLINE, swarm.running_tasks()).await.map_err(|_| "no answer in time".to_owned())?;
    let tasks = Snapshot::tasks_from_api(&answer.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    let concerned = tasks.into_values().filter(|task| interest.covers(&task.service));
    Ok(concerned.map(|task| (task.id, (task.state, task.addresses))).collect())
}

/// Wakes the loop for a complete snapshot at least this often, and compares what changed with what the events reported.
pub async fn resync(snapshot_cache: Arc<SnapshotCache>, notifications: Arc<Notifications>, period: Duration) {
    let mut silence = SilentStreamDetector::default();
    loop {
        let hints = notifications.hints();
        sleep(period).await;
        let began = Instant::now();
        if let Ok(observed) = snapshot_cache.snapshot(began).await
            && silence.is_suspicious(&observed.snapshot, notifications.hints() > hints)
            && notifications.events_alive()
        {
            notifications.reopen_events();
        }
        notifications.trigger_since(Trigger::Resync, began).await;
    }
}

/// Wakes the loop whenever the declaration has changed.
pub async fn follow_documents(mut declared: watch::Receiver<Arc<Declared>>, notifications: Arc<Notifications>) {
    while declared.changed().await.is_ok() {
        notifications.trigger(Trigger::SpecChanged).await;
    }
}

/// Wakes the loop whenever an extension sends a new report. A report says nothing about the Swarm: a snapshot no older than
/// `snapshot_age_max` is good enough.
pub async fn follow_reports(mut changes: watch::Receiver<u64>, notifications: Arc<Notifications>, snapshot_age_max: Duration) {
    while changes.changed().await.is_ok() {
        let now = Instant::now();
        notifications.trigger_since(Trigger::ReportChanged, now.checked_sub(snapshot_age_max).unwrap_or(now)).await;
    }
}

/// Detects an event stream that is open but silent: services change without a hint.
#[derive(Debug, Default)]
struct SilentStreamDetector {
    versions: Option<BTreeMap<ServiceId, u64>>,
    polls: u32,
}

impl SilentStreamDetector {
    fn is_suspicious(&mut self, snapshot: &Snapshot, hinted: bool) -> bool {
        let versions: BTreeMap<ServiceId, u64> = snapshot.services.values().map(|s| (s.id.clone(), s.version)).collect();
        let changed = self.versions.replace(versions.clone()).is_some_and(|before| before != versions);
        match (changed, hinted) {
            (_, true) => self.polls = 0,
            (true, false) => self.polls += 1,
            (false, false) => {}
        }
        self.polls >= SILENT_POLLS_MAX && std::mem::take(&mut self.polls) > 0
    }
}

#[cfg(test)]
mod tests;
