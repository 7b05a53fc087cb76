//! The shared complete look at the Swarm: passes that were asked for at about the same time share one read. A read that
//! failed gives an error to everyone who needed it and replaces nothing.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use crate::channel::Moment;
use crate::swarm::{Snapshot, Swarm};
use crate::telemetry::metrics::{OBSERVE_DURATION_SECONDS, OBSERVE_FAILURES_TOTAL};

/// What is known about reading the Swarm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SightReport {
    /// When the Swarm was last read completely.
    pub last_snapshot_at: Option<Timestamp>,
    /// Why the newest read failed, if it did.
    pub error: Option<String>,
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
    /// It shows the Swarm of this moment or later.
    pub looked: Moment,
}

/// The place where reads are shared.
pub struct Lookout {
    swarm: Arc<dyn Swarm>,
    newest: Mutex<Option<Look>>,
    /// What was seen before this moment is outdated by a write of ours.
    outdated: watch::Sender<Option<Instant>>,
    sight: watch::Sender<SightReport>,
}

impl Lookout {
    /// Nothing was read yet.
    pub fn new(swarm: Arc<dyn Swarm>) -> Self {
        Self { swarm, newest: Mutex::new(None), outdated: watch::Sender::new(None), sight: watch::Sender::new(SightReport::default()) }
    }

    /// A complete snapshot whose reading began at `not_before` or later: the newest one if it will do, else a new read.
    /// The error says why the Swarm could not be read.
    pub async fn snapshot(&self, not_before: Instant) -> Result<Sighted, String> {
        let mut newest = self.newest.lock().await;
        let not_before = self.outdated.borrow().map_or(not_before, |outdated| outdated.max(not_before));
        if let Some(look) = newest.as_ref().filter(|look| look.began >= not_before) {
            return look.result.clone();
        }
        let look = self.look().await;
        *newest = Some(look.clone());
        look.result
    }

    /// Something was written: looks that began before now show a world that is no more.
    pub fn outdate(&self) {
        self.outdated.send_replace(Some(Instant::now()));
    }

    /// How reading goes.
    pub fn sight(&self) -> SightReport {
        self.sight.borrow().clone()
    }

    async fn look(&self) -> Look {
        let (began, looked) = (Instant::now(), Moment::now());
        let result = observe(self.swarm.as_ref()).await;
        metrics::histogram!(OBSERVE_DURATION_SECONDS).record(began.elapsed().as_secs_f64());
        self.tell(&result);
        Look { began, result: result.map(|snapshot| Sighted { snapshot, looked }) }
    }

    fn tell(&self, result: &Result<Arc<Snapshot>, String>) {
        let before = self.sight();
        match result {
            Ok(snapshot) => {
                if before.error.is_some() {
                    tracing::info!("the Swarm can be read again");
                }
                self.sight.send_replace(SightReport { last_snapshot_at: Some(snapshot.taken_at), error: None });
            }
            Err(error) => {
                metrics::counter!(OBSERVE_FAILURES_TOTAL).increment(1);
                // Once per kind of trouble, not once per attempt.
                if before.error.as_ref() != Some(error) {
                    tracing::warn!(error, "the Swarm cannot be read completely; everything stays as it is");
                }
                self.sight.send_modify(|sight| sight.error = Some(error.clone()));
            }
        }
    }
}

/// Reads the Swarm completely, once.
pub async fn observe(swarm: &dyn Swarm) -> Result<Arc<Snapshot>, String> {
    let raw = swarm.observe().await.map_err(|error| error.to_string())?;
    Snapshot::from_raw(&raw).map(Arc::new).map_err(|error| error.to_string())
}
