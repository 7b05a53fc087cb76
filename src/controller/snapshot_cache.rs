//! The shared complete snapshot of the Swarm: passes that are requested at about the same time share one read, and use the same
//! labels while some services' labels keep changing. A failed read returns an error to everyone who needed it and replaces
//! nothing.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::label_damping::{HeldLabels, LabelDamping};
use crate::channel::Moment;
use crate::declaration::Declared;
use crate::swarm::{Service, Snapshot, Swarm};
use crate::telemetry::metrics::{OBSERVE_DURATION_SECONDS, OBSERVE_FAILURES_TOTAL};
use crate::translate::is_claimed_by;

/// The state of reading the Swarm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservationStatus {
    /// When the Swarm was last read completely.
    pub last_snapshot_at: Option<Timestamp>,
    /// Why the newest read failed, if it did.
    pub error: Option<String>,
    /// Since when a read is in progress, if one is.
    pub reading_since: Option<Timestamp>,
}

/// One read: when it began, and its result.
#[derive(Clone)]
struct Read {
    began: Instant,
    result: Result<ObservedSnapshot, String>,
}

/// A complete snapshot, and when its reading began.
#[derive(Debug, Clone)]
pub struct ObservedSnapshot {
    /// What was read.
    pub snapshot: Arc<Snapshot>,
    /// The same with the labels that are used.
    pub effective: Arc<Snapshot>,
    /// The services whose labels are held back.
    pub held: Arc<HeldLabels>,
    /// The snapshot shows the Swarm at this moment or later.
    pub observed_at: Moment,
}

impl ObservedSnapshot {
    /// Records the next snapshot, and applies held labels to it.
    pub fn after(damping: &mut LabelDamping, declared: &Declared, snapshot: Arc<Snapshot>, now: Timestamp, observed_at: Moment) -> Self {
        let publisher = |service: &Service| declared.in_force().find(|cluster| is_claimed_by(cluster, service));
        damping.observe(|service| publisher(service).map(|cluster| cluster.limits.label_updates), &snapshot, now);
        let held = Arc::new(damping.held());
        let effective = Arc::new(held.applied_to(&snapshot));
        Self { snapshot, effective, held, observed_at }
    }
}

/// Accessible only while reading.
#[derive(Default)]
struct CacheState {
    newest: Option<Read>,
    damping: LabelDamping,
}

/// Shares reads between passes.
pub struct SnapshotCache {
    swarm: Arc<dyn Swarm>,
    declared: watch::Receiver<Arc<Declared>>,
    state: Mutex<CacheState>,
    /// As of the newest snapshot.
    held: watch::Sender<Arc<HeldLabels>>,
    /// Anything read before this moment is outdated by one of our own writes.
    invalidated_at: watch::Sender<Option<Instant>>,
    observation_status: watch::Sender<ObservationStatus>,
}

impl SnapshotCache {
    /// Starts without a read. `declared` defines how often labels may change.
    pub fn new(swarm: Arc<dyn Swarm>, declared: watch::Receiver<Arc<Declared>>) -> Self {
        Self {
            swarm,
            declared,
            state: Mutex::default(),
            held: watch::Sender::new(Arc::default()),
            invalidated_at: watch::Sender::new(None),
            observation_status: watch::Sender::new(ObservationStatus::default()),
        }
    }

    /// A complete snapshot whose reading began at `not_before` or later: the newest one if it is recent enough, else a new
    /// read. The error says why the Swarm could not be read.
    pub async fn snapshot(&self, not_before: Instant) -> Result<ObservedSnapshot, String> {
        let mut state = self.state.lock().await;
        let not_before = self.invalidated_at.borrow().map_or(not_before, |invalidated_at| invalidated_at.max(not_before));
        if let Some(read) = state.newest.as_ref().filter(|read| read.began >= not_before) {
            return read.result.clone();
        }
        let read = self.read(&mut state.damping).await;
        state.newest = Some(read.clone());
        read.result
    }

    /// The services whose labels are held back, as of the newest snapshot.
    pub fn held(&self) -> Arc<HeldLabels> {
        self.held.borrow().clone()
    }

    /// Something was written: snapshots that began before now are outdated.
    pub fn invalidate(&self) {
        self.invalidated_at.send_replace(Some(Instant::now()));
    }

    /// The state of reading.
    pub fn observation_status(&self) -> ObservationStatus {
        self.observation_status.borrow().clone()
    }

    async fn read(&self, damping: &mut LabelDamping) -> Read {
        let (began, observed_at) = (Instant::now(), Moment::now());
        self.observation_status.send_modify(|observation_status| observation_status.reading_since = Some(Timestamp::now()));
        let result = observe(self.swarm.as_ref()).await;
        metrics::histogram!(OBSERVE_DURATION_SECONDS).record(began.elapsed().as_secs_f64());
        self.record(&result);
        let result =
            result.map(|snapshot| ObservedSnapshot::after(damping, &self.declared.borrow(), snapshot, Timestamp::now(), observed_at));
        if let Ok(observed) = &result {
            self.held.send_replace(observed.held.clone());
        }
        Read { began, result }
    }

    fn record(&self, result: &Result<Arc<Snapshot>, String>) {
        let before = self.observation_status();
        match result {
            Ok(snapshot) => {
                if before.error.is_some() {
                    tracing::info!("the Swarm can be read again");
                }
                self.observation_status
                    .send_replace(ObservationStatus { last_snapshot_at: Some(snapshot.taken_at), ..ObservationStatus::default() });
            }
            Err(error) => {
                metrics::counter!(OBSERVE_FAILURES_TOTAL).increment(1);
                // Logged once per kind of failure, not once per attempt.
                if before.error.as_ref() != Some(error) {
                    tracing::warn!(error, "cannot read the Swarm completely; nothing is changed");
                }
                self.observation_status.send_modify(|observation_status| {
                    (observation_status.error, observation_status.reading_since) = (Some(error.clone()), None);
                });
            }
        }
    }
}

/// Reads the Swarm completely, once.
pub async fn observe(swarm: &dyn Swarm) -> Result<Arc<Snapshot>, String> {
    let raw = swarm.observe().await.map_err(|error| error.to_string())?;
    Snapshot::from_raw(&raw).map(Arc::new).map_err(|error| error.to_string())
}
