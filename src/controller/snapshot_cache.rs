//! The shared complete look at the Swarm: passes that were asked for at about the same time share one read, and what of it counts
//! while labels change again and again. A read that failed gives an error to everyone who needed it and replaces nothing.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::label_damping::{Damping, Held};
use crate::channel::Moment;
use crate::declaration::Declared;
use crate::swarm::{Service, Snapshot, Swarm};
use crate::telemetry::metrics::{OBSERVE_DURATION_SECONDS, OBSERVE_FAILURES_TOTAL};
use crate::translate::is_claimed_by;

/// What is known about reading the Swarm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SightReport {
    /// When the Swarm was last read completely.
    pub last_snapshot_at: Option<Timestamp>,
    /// Why the newest read failed, if it did.
    pub error: Option<String>,
    /// Since when a read is under way, if one is.
    pub reading_since: Option<Timestamp>,
}

/// One read: when it began and what came of it.
#[derive(Clone)]
struct Look {
    began: Instant,
    result: Result<Sighted, String>,
}

/// A complete snapshot, and when its reading began.
#[derive(Debug, Clone)]
pub struct Sighted {
    /// What was read.
    pub snapshot: Arc<Snapshot>,
    /// The same with the labels that count.
    pub counts: Arc<Snapshot>,
    /// Whose labels are held back.
    pub held: Arc<Held>,
    /// It shows the Swarm of this moment or later.
    pub looked: Moment,
}

impl Sighted {
    /// Takes the next look into account, and tells what of it counts.
    pub fn after(damping: &mut Damping, declared: &Declared, snapshot: Arc<Snapshot>, now: Timestamp, looked: Moment) -> Self {
        let publisher = |service: &Service| declared.in_force().find(|cluster| is_claimed_by(cluster, service));
        damping.observe(|service| publisher(service).map(|cluster| cluster.limits.label_updates), &snapshot, now);
        let held = Arc::new(damping.held());
        let counts = Arc::new(held.applied_to(&snapshot));
        Self { snapshot, counts, held, looked }
    }
}

/// What only whoever looks may touch.
#[derive(Default)]
struct Looker {
    newest: Option<Look>,
    damping: Damping,
}

/// The place where reads are shared.
pub struct Lookout {
    swarm: Arc<dyn Swarm>,
    declared: watch::Receiver<Arc<Declared>>,
    looker: Mutex<Looker>,
    /// As the newest look left it.
    held: watch::Sender<Arc<Held>>,
    /// What was seen before this moment is outdated by a write of ours.
    outdated: watch::Sender<Option<Instant>>,
    sight: watch::Sender<SightReport>,
}

impl Lookout {
    /// Nothing was read yet. `declared` says how often labels may change.
    pub fn new(swarm: Arc<dyn Swarm>, declared: watch::Receiver<Arc<Declared>>) -> Self {
        Self {
            swarm,
            declared,
            looker: Mutex::default(),
            held: watch::Sender::new(Arc::default()),
            outdated: watch::Sender::new(None),
            sight: watch::Sender::new(SightReport::default()),
        }
    }

    /// A complete snapshot whose reading began at `not_before` or later: the newest one if it will do, else a new read.
    /// The error says why the Swarm could not be read.
    pub async fn snapshot(&self, not_before: Instant) -> Result<Sighted, String> {
        let mut looker = self.looker.lock().await;
        let not_before = self.outdated.borrow().map_or(not_before, |outdated| outdated.max(not_before));
        if let Some(look) = looker.newest.as_ref().filter(|look| look.began >= not_before) {
            return look.result.clone();
        }
        let look = self.look(&mut looker.damping).await;
        looker.newest = Some(look.clone());
        look.result
    }

    /// Whose labels are held back, after the newest look.
    pub fn held(&self) -> Arc<Held> {
        self.held.borrow().clone()
    }

    /// Something was written: looks that began before now show a world that is no more.
    pub fn outdate(&self) {
        self.outdated.send_replace(Some(Instant::now()));
    }

    /// How reading goes.
    pub fn sight(&self) -> SightReport {
        self.sight.borrow().clone()
    }

    async fn look(&self, damping: &mut Damping) -> Look {
        let (began, looked) = (Instant::now(), Moment::now());
        self.sight.send_modify(|sight| sight.reading_since = Some(Timestamp::now()));
        let result = observe(self.swarm.as_ref()).await;
        metrics::histogram!(OBSERVE_DURATION_SECONDS).record(began.elapsed().as_secs_f64());
        self.tell(&result);
        let result = result.map(|snapshot| Sighted::after(damping, &self.declared.borrow(), snapshot, Timestamp::now(), looked));
        if let Ok(sighted) = &result {
            self.held.send_replace(sighted.held.clone());
        }
        Look { began, result }
    }

    fn tell(&self, result: &Result<Arc<Snapshot>, String>) {
        let before = self.sight();
        match result {
            Ok(snapshot) => {
                if before.error.is_some() {
                    tracing::info!("the Swarm can be read again");
                }
                self.sight.send_replace(SightReport { last_snapshot_at: Some(snapshot.taken_at), ..SightReport::default() });
            }
            Err(error) => {
                metrics::counter!(OBSERVE_FAILURES_TOTAL).increment(1);
                // Once per kind of trouble, not once per attempt.
                if before.error.as_ref() != Some(error) {
                    tracing::warn!(error, "the Swarm cannot be read completely; everything stays as it is");
                }
                self.sight.send_modify(|sight| (sight.error, sight.reading_since) = (Some(error.clone()), None));
            }
        }
    }
}

/// Reads the Swarm completely, once.
pub async fn observe(swarm: &dyn Swarm) -> Result<Arc<Snapshot>, String> {
    let raw = swarm.observe().await.map_err(|error| error.to_string())?;
    Snapshot::from_raw(&raw).map(Arc::new).map_err(|error| error.to_string())
}
