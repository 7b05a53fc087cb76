//! Snapshots of the Swarm for users' queries. Queries that arrive at about the same time share one, and the next one
//! begins only after a pause, however many queries there are. A snapshot never begins before its query, so no client gets an
//! answer older than what it has already seen. Never writes, and is independent of passes, whose snapshots are in
//! `snapshot_cache`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::{Instant, sleep, sleep_until};

use crate::swarm::{RawSnapshot, Snapshot, Swarm};

/// Looks for queries occupy the manager for at most one part in this many.
const SHARE: u32 = 4;
/// The longest time that a query waits for the next snapshot.
const EVERY_MAX: Duration = Duration::from_secs(10);

/// One snapshot, including the tasks that are shutting down: only users' queries need those.
pub struct QuerySnapshot {
    /// As the API returned it.
    pub raw: RawSnapshot,
    /// The parsed form.
    pub snapshot: Snapshot,
    /// The export of the snapshot, made on first use.
    pub shareable: OnceCell<Bytes>,
}

/// Shares snapshots between queries.
pub struct QuerySnapshots {
    swarm: Arc<dyn Swarm>,
    every: Duration,
    state: Arc<Mutex<QueryCacheState>>,
}

#[derive(Default)]
struct QueryCacheState {
    /// When the newest snapshot began, and its result.
    newest: Option<(Instant, Result<Arc<QuerySnapshot>, String>)>,
    /// The next snapshot begins no sooner.
    next: Option<Instant>,
}

impl QuerySnapshots {
    /// Starts without a snapshot. One begins at most once per `every`.
    pub fn new(swarm: Arc<dyn Swarm>, every: Duration) -> Self {
        Self { swarm, every, state: Arc::default() }
    }

    /// A snapshot that begins now or later. The error says why the Swarm could not be read.
    pub async fn get(&self) -> Result<Arc<QuerySnapshot>, String> {
        let requested_at = Instant::now();
        // A query that waited here uses the snapshot of the one before, if that began while it waited.
        let mut state = self.state.lock().await;
        if let Some((_, result)) = state.newest.as_ref().filter(|(began, _)| *began >= requested_at) {
            return result.clone();
        }
        if let Some(next) = state.next {
            sleep_until(next).await;
        }
        let began = Instant::now();
        // Set before the read: a client that disconnects at once must not make the next snapshot begin sooner.
        state.next = Some(began + self.every);
        let result = self.read().await.map(Arc::new);
        let pause = (began.elapsed() * SHARE).min(EVERY_MAX).max(self.every);
        state.next = Some(began + pause);
        state.newest = Some((began, result.clone()));
        self.forget_later(began);
        result
    }

    async fn read(&self) -> Result<QuerySnapshot, String> {
        let mut raw = self.swarm.observe().await.map_err(|error| error.to_string())?;
        raw.tasks.extend(self.swarm.stopping_tasks().await.map_err(|error| error.to_string())?);
        let snapshot = Snapshot::from_raw(&raw).map_err(|error| error.to_string())?;
        Ok(QuerySnapshot { raw, snapshot, shareable: OnceCell::new() })
    }

    /// A snapshot holds everything that the API reports about thousands of services; it is dropped once its queries are answered.
    fn forget_later(&self, began: Instant) {
        let (state, every) = (self.state.clone(), self.every);
        tokio::spawn(async move {
            sleep(every).await;
            let mut state = state.lock().await;
            state.newest.take_if(|(newest, _)| *newest == began);
        });
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;
    use crate::simulator::{SimOptions, SimSwarm, SwarmCall};

    const EVERY: Duration = Duration::from_secs(1);

    fn queries() -> (SimSwarm, QuerySnapshots) {
        let swarm = SimSwarm::new(SimOptions::default());
        (swarm.clone(), QuerySnapshots::new(Arc::new(swarm), EVERY))
    }

    async fn query(queries: &QuerySnapshots, count: usize) {
        let answers = join_all((0..count).map(|_| queries.get())).await;
        assert!(answers.iter().all(Result::is_ok));
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_queries_share_snapshots_and_none_gets_an_outdated_one() {
        let (swarm, queries) = queries();
        query(&queries, 40).await;
        assert_eq!(swarm.calls(SwarmCall::Observe), 1);
        let began = Instant::now();
        for round in 2..=4 {
            tokio::time::advance(Duration::from_millis(10)).await;
            swarm.advance(Duration::from_secs(1));
            let now = swarm.now();
            let answers = join_all((0..40).map(|_| queries.get())).await;
            assert!(answers.iter().all(|snapshot| snapshot.as_ref().is_ok_and(|snapshot| snapshot.raw.taken_at >= now)));
            assert_eq!(swarm.calls(SwarmCall::Observe), round);
        }
        assert!(began.elapsed() >= 3 * EVERY, "one per second");
    }

    #[tokio::test(start_paused = true)]
    async fn a_single_query_does_not_wait() {
        let (_, queries) = queries();
        for _ in 0..3 {
            let requested_at = Instant::now();
            query(&queries, 1).await;
            assert_eq!(requested_at.elapsed(), Duration::ZERO);
            tokio::time::advance(EVERY).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_query_starts_no_snapshot_earlier() {
        let (swarm, queries) = queries();
        query(&queries, 1).await;
        for _ in 0..1000 {
            tokio::time::advance(Duration::from_millis(1)).await;
            // Asked, begun, and disconnected.
            let _ = futures::poll!(std::pin::pin!(queries.get()));
        }
        assert!(swarm.calls(SwarmCall::Observe) <= 2, "{}", swarm.calls(SwarmCall::Observe));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_shared_and_not_retried_at_once() {
        let (swarm, queries) = queries();
        swarm.cut_off_after(0);
        let answers = join_all((0..40).map(|_| queries.get())).await;
        assert!(answers.iter().all(Result::is_err));
        assert_eq!(swarm.calls(SwarmCall::Observe), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn no_snapshot_is_kept_without_queries() {
        let (_, queries) = queries();
        let kept = Arc::downgrade(&queries.get().await.unwrap());
        assert!(kept.upgrade().is_some());
        tokio::time::sleep(EVERY * 2).await;
        assert!(kept.upgrade().is_none());
    }
}
