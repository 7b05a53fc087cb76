//! What the observing tasks and the loop exchange: wake-ups in one direction, what is worth watching in the other.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::poll_interval::{PollInterval, PollIntervals};
use super::trigger::Trigger;
use crate::telemetry::metrics::WAKES_TOTAL;
use crate::types::ServiceId;

/// Which services' tasks matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchedServices {
    /// Every service of the newest snapshot.
    pub known: BTreeSet<ServiceId>,
    /// Those that are routed or belong to us.
    pub concerned: BTreeSet<ServiceId>,
}

impl WatchedServices {
    /// Whether a task of this service is worth a pass. Always true for a service that no snapshot has shown yet.
    pub fn covers(&self, service: &ServiceId) -> bool {
        self.concerned.contains(service) || !self.known.contains(service)
    }
}

/// A wake-up, and the oldest snapshot of the Swarm that answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TriggerEvent {
    /// The reason.
    pub trigger: Trigger,
    /// A snapshot that began at this moment or later shows the reason.
    pub since: Instant,
}

/// Shared between the observing tasks and the loop.
#[derive(Debug)]
pub struct Notifications {
    triggers: mpsc::Sender<TriggerEvent>,
    pace: Mutex<PollInterval>,
    pace_changed: Notify,
    interest: Mutex<WatchedServices>,
    events_alive: AtomicBool,
    hints: AtomicU64,
    reopen: Notify,
}

impl Notifications {
    /// Also returns the loop's end of the wake-ups.
    pub fn new(triggers: mpsc::Sender<TriggerEvent>, pace: PollIntervals) -> Self {
        Self {
            triggers,
            pace: Mutex::new(PollInterval::new(pace, Instant::now())),
            pace_changed: Notify::new(),
            interest: Mutex::default(),
            events_alive: AtomicBool::new(false),
            hints: AtomicU64::new(0),
            reopen: Notify::new(),
        }
    }

    /// Wakes the loop. Does nothing if the loop has ended.
    pub async fn trigger(&self, trigger: Trigger) {
        self.trigger_since(trigger, Instant::now()).await;
    }

    /// Wakes the loop for a reason visible in any snapshot that began at `since` or later.
    pub async fn trigger_since(&self, trigger: Trigger, since: Instant) {
        metrics::counter!(WAKES_TOTAL, "kind" => trigger.as_str()).increment(1);
        let _ = self.triggers.send(TriggerEvent { trigger, since }).await;
    }

    /// Something is changing: polls become frequent from now on.
    pub fn record_change(&self) {
        lock(&self.pace).changed(Instant::now());
        self.pace_changed.notify_one();
    }

    /// Records what the newest pass knows about movement.
    pub fn settle(&self, unsettled: bool, routed: bool) {
        let mut pace = lock(&self.pace);
        let before = pace.period(Instant::now());
        pace.set_unsettled(unsettled);
        pace.set_routed(routed);
        if pace.period(Instant::now()) < before {
            self.pace_changed.notify_one();
        }
    }

    /// The time from one poll to the next.
    pub fn period(&self) -> Duration {
        lock(&self.pace).period(Instant::now())
    }

    /// Returns when the period may have become shorter.
    pub async fn period_changed(&self) {
        self.pace_changed.notified().await;
    }

    /// Which services' tasks matter now.
    pub fn watched_services(&self) -> WatchedServices {
        lock(&self.interest).clone()
    }

    /// Sets which services' tasks matter.
    pub fn set_watched_services(&self, interest: WatchedServices) {
        *lock(&self.interest) = interest;
    }

    /// Records a hint: the stream is alive.
    pub fn record_hint(&self) {
        self.hints.fetch_add(1, Ordering::Relaxed);
        self.events_alive.store(true, Ordering::Relaxed);
    }

    /// How many hints have arrived since the start.
    pub fn hints(&self) -> u64 {
        self.hints.load(Ordering::Relaxed)
    }

    /// Whether the event stream is considered alive.
    pub fn events_alive(&self) -> bool {
        self.events_alive.load(Ordering::Relaxed)
    }

    /// Sets whether the event stream is considered alive.
    pub fn set_events_alive(&self, alive: bool) {
        self.events_alive.store(alive, Ordering::Relaxed);
    }

    /// The stream is open but reports nothing although things change: requests a new one.
    pub fn reopen_events(&self) {
        self.set_events_alive(false);
        self.reopen.notify_one();
    }

    /// Returns when a new stream is wanted.
    pub async fn reopen_wanted(&self) {
        self.reopen.notified().await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
