//! Holds the newest status of everything: written by the loop, read by the endpoints. Also keeps the clusters' memories, so
//! that a preview starts from the same state as a pass.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Semaphore, watch};
use tokio::task;

use super::context::Context;
use super::preview;
use super::queries;
use super::query_snapshots::{QuerySnapshot, QuerySnapshots};
use super::reconcile_pass::ClusterState;
use super::snapshot_cache::{ObservationStatus, SnapshotCache};
use super::status;
use super::trigger_channels::Notifications;
use crate::api::routes::{ExplainQuery, QueryFailure, QueryResponse, RenderQuery, StatusSource};
use crate::declaration::Declared;
use crate::explain::Sources;
use crate::intent::cluster::Cluster;
use crate::intent::cluster_spec::API_VERSION;
use crate::report::{ClusterStatus, Finding, OperatorStatus, StatusReport, Subject, cases};
use crate::telemetry::finding_log;
use crate::types::ClusterName;

/// The store.
pub struct StatusStore {
    context: Context,
    snapshot_cache: Arc<SnapshotCache>,
    notifications: Arc<Notifications>,
    declared: watch::Receiver<Arc<Declared>>,
    query_snapshots: QuerySnapshots,
    workers: Arc<Semaphore>,
    inner: Mutex<StatusStoreState>,
}

/// How many answers are computed at the same time.
const WORKERS: usize = 2;
/// A complete read of thousands of services takes a second or two. A status that is older than this plus the pause between two
/// passes would hide for too long that proxies do not follow.
const ANSWERED_WITHIN: SignedDuration = SignedDuration::from_secs(7);

#[derive(Default)]
struct StatusStoreState {
    memories: BTreeMap<ClusterName, ClusterState>,
    retries: BTreeMap<ClusterName, Timestamp>,
    /// Findings about the whole instance; `None` before the first overview.
    unclaimed: Option<Vec<Finding>>,
}

impl StatusStore {
    /// An empty store. Queries read the Swarm at most once per `query_interval`.
    pub fn new(
        context: Context,
        snapshot_cache: Arc<SnapshotCache>,
        notifications: Arc<Notifications>,
        declared: watch::Receiver<Arc<Declared>>,
        query_interval: Duration,
    ) -> Self {
        let query_snapshots = QuerySnapshots::new(context.swarm.clone(), query_interval);
        Self {
            context,
            snapshot_cache,
            notifications,
            declared,
            query_snapshots,
            workers: Arc::new(Semaphore::new(WORKERS)),
            inner: Mutex::default(),
        }
    }

    /// The memory of a cluster; the pass that takes it puts it back.
    pub fn cluster_state(&self, cluster: &ClusterName) -> ClusterState {
        self.lock().memories.get(cluster).cloned().unwrap_or_default()
    }

    /// Stores the memory of a cluster, and when its failed pass is retried.
    pub fn store(&self, cluster: &ClusterName, memory: ClusterState, retry_at: Option<Timestamp>) {
        let mut inner = self.lock();
        inner.memories.insert(cluster.clone(), memory);
        match retry_at {
            Some(at) => inner.retries.insert(cluster.clone(), at),
            None => inner.retries.remove(cluster),
        };
    }

    /// Forgets clusters that are neither declared nor left over, whichever pass found that nothing of them is left.
    pub fn retain(&self, known: &BTreeSet<&ClusterName>) {
        let mut inner = self.lock();
        inner.memories.retain(|name, _| known.contains(name));
        inner.retries.retain(|name, _| known.contains(name));
    }

    /// Stores the findings about the whole instance.
    pub fn store_findings(&self, findings: Vec<Finding>) {
        let mut inner = self.lock();
        finding_log::appeared("services of no cluster", inner.unclaimed.as_deref().unwrap_or_default(), &findings);
        inner.unclaimed = Some(findings);
    }

    fn clusters(&self, now: Timestamp) -> BTreeMap<String, ClusterStatus> {
        let declared = self.declared.borrow().clone();
        let inner = self.lock();
        let waiting = declared.clusters.iter().map(|(name, cluster)| (name.to_string(), status::pending(cluster, now)));
        let mut clusters: BTreeMap<String, ClusterStatus> = waiting.collect();
        let known = inner.memories.iter().filter_map(|(name, memory)| Some((name, memory.status.clone()?)));
        clusters.extend(
            known.map(|(name, status)| (name.to_string(), ClusterStatus { next_retry_at: inner.retries.get(name).copied(), ..status })),
        );
        drop(inner);
        match overdue_read(&self.snapshot_cache.observation_status(), now) {
            Some((since, why)) => without_observation(&declared, clusters, &why, since),
            None => clusters,
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings = self.declared.borrow().findings.clone();
        findings.extend(self.lock().unclaimed.clone().unwrap_or_default());
        findings.extend(self.events_lost());
        findings.sort();
        findings.dedup();
        findings
    }

    fn events_lost(&self) -> Option<Finding> {
        let subject = Subject::Object("event stream of the Docker API".to_owned());
        let message = "The stream is broken or silent; the operator detects changes by polling.";
        let lost = !self.notifications.events_alive() && self.snapshot_cache.observation_status().last_snapshot_at.is_some();
        lost.then(|| Finding::new(cases::EventsLost, subject, message))
    }

    /// Computes an answer outside the loop: a table of thousands of routes takes a while. At most [`WORKERS`] run at once,
    /// including those whose clients have disconnected.
    async fn work<T: Send + 'static>(&self, think: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
        let permit = self.workers.clone().acquire_owned().await.map_err(|error| error.to_string())?;
        let made = task::spawn_blocking(move || {
            let _permit = permit;
            think()
        });
        made.await.map_err(|error| format!("computing the answer failed: {error}"))
    }

    /// Computes an answer from a snapshot, the declaration, and the status.
    async fn answer(
        &self,
        think: impl FnOnce(&Sources<'_>) -> Result<QueryResponse, QueryFailure> + Send + 'static,
    ) -> Result<QueryResponse, QueryFailure> {
        let observed = self.query_snapshots.get().await.map_err(QueryFailure::Unavailable)?;
        let declared = self.declared.borrow().clone();
        let (status, held) = (self.status(), self.snapshot_cache.held());
        let made = self.work(move || {
            let clusters: Vec<Cluster> = declared.in_force().map(|cluster| cluster.as_ref().clone()).collect();
            let inactive = declared.inactive();
            // Proxies receive the labels that are used, so answers are based on those.
            let (counts, held) = (held.applied_to(&observed.snapshot), held.held_back(&observed.snapshot));
            think(&Sources { clusters: &clusters, inactive: &inactive, snapshot: &counts, held: &held, status: Some(&status) })
        });
        made.await.map_err(QueryFailure::Unavailable)?
    }

    async fn shareable(&self, observed: &Arc<QuerySnapshot>) -> Result<Bytes, String> {
        let documents = self.declared.borrow().in_force().flat_map(|cluster| cluster.named_objects()).collect();
        let observed = observed.clone();
        let made = self.work(move || serde_json::to_vec(&observed.raw.shareable(&documents)));
        made.await?.map(Bytes::from).map_err(|error| error.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, StatusStoreState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the read in progress has taken so long that the last snapshot no longer describes the present, and since when.
fn overdue_read(observation_status: &ObservationStatus, now: Timestamp) -> Option<(Timestamp, String)> {
    let began = observation_status.reading_since?;
    let since = began.checked_add(ANSWERED_WITHIN).unwrap_or(Timestamp::MAX);
    (since <= now).then(|| (since, format!("the Docker API was queried at {began:.0} and has not answered")))
}

/// The last known status of clusters whose current state is unknown.
fn without_observation(
    declared: &Declared,
    clusters: BTreeMap<String, ClusterStatus>,
    why: &str,
    since: Timestamp,
) -> BTreeMap<String, ClusterStatus> {
    let as_known = |name: String, status: ClusterStatus| match declared.clusters.iter().find(|(known, _)| known.as_str() == name) {
        Some((_, cluster)) => (name, status::after_failed_observation(cluster, why, Some(&status), since)),
        None => (name, status),
    };
    clusters.into_iter().map(|(name, status)| as_known(name, status)).collect()
}

#[async_trait]
impl StatusSource for StatusStore {
    fn status(&self) -> StatusReport {
        let now = Timestamp::now();
        let observation_status = self.snapshot_cache.observation_status();
        StatusReport {
            api_version: API_VERSION.to_owned(),
            generated_at: now,
            operator: OperatorStatus {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                instance: self.context.instance.clone(),
                last_snapshot_at: observation_status.last_snapshot_at,
                snapshot_error: overdue_read(&observation_status, now).map(|(_, why)| why).or(observation_status.error),
                events_alive: self.notifications.events_alive(),
                writes_total: self.context.writes.load(Ordering::Relaxed),
            },
            clusters: self.clusters(now),
            findings: self.findings(),
        }
    }

    fn ready(&self) -> Result<(), String> {
        let inner = self.lock();
        if inner.unclaimed.is_none() {
            return Err("the Swarm has not been read completely yet".to_owned());
        }
        let declared = self.declared.borrow();
        let waiting = declared.clusters.keys().find(|name| inner.memories.get(*name).is_none_or(|memory| memory.status.is_none()));
        waiting.map_or(Ok(()), |name| Err(format!("cluster {name} has not been reconciled yet")))
    }

    async fn plan(&self) -> Result<QueryResponse, String> {
        let observed = self.query_snapshots.get().await?;
        let (context, declared) = (self.context.clone(), self.declared.borrow().clone());
        let memories = declared.clusters.keys().map(|name| (name.clone(), self.cluster_state(name))).collect();
        let known = preview::PreviewInput { memories, held: self.snapshot_cache.held(), status: Some(self.status()) };
        self.work(move || preview::preview(&context, &declared, &observed.snapshot, &known, Timestamp::now())).await
    }

    async fn explain(&self, query: ExplainQuery) -> Result<QueryResponse, QueryFailure> {
        queries::check_query(&query)?;
        self.answer(move |sources| queries::explain_response(sources, &query)).await
    }

    async fn render(&self, query: RenderQuery) -> Result<QueryResponse, QueryFailure> {
        self.answer(move |sources| queries::render_response(sources, &query)).await
    }

    async fn snapshot(&self) -> Result<Bytes, String> {
        let observed = self.query_snapshots.get().await?;
        observed.shareable.get_or_try_init(|| self.shareable(&observed)).await.cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declaration::DeclaredCluster;
    use crate::report::{ConditionReason, ConditionStatus, ConditionType, Phase};

    #[test]
    fn an_unanswered_read_makes_everything_unknown_from_its_deadline() {
        let began: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let observation_status = ObservationStatus { reading_since: Some(began), ..ObservationStatus::default() };
        let after = |seconds| overdue_read(&observation_status, began + SignedDuration::from_secs(seconds));
        assert_eq!((after(6), overdue_read(&ObservationStatus::default(), began)), (None, None));
        let (since, why) = after(60).unwrap();
        assert_eq!((since, after(7).unwrap().0), (began + ANSWERED_WITHIN, since), "independent of its duration");
        assert!(why.contains("12:00:00Z and has not answered"), "{why}");
        let name = ClusterName::parse("dev").unwrap();
        let never_good = DeclaredCluster { generation: 1, in_force: None, accepted: true, label: None };
        let status = ClusterStatus { phase: Phase::Ready, ..status::pending(&never_good, began) };
        let declared = Declared { clusters: BTreeMap::from([(name, never_good)]), ..Declared::default() };
        let without_observation = without_observation(&declared, BTreeMap::from([("dev".to_owned(), status)]), &why, since);
        assert_eq!(without_observation["dev"].phase, Phase::Degraded);
        let ready = without_observation["dev"].conditions.iter().find(|condition| condition.kind == ConditionType::Ready).unwrap();
        assert_eq!((ready.status, ready.reason.clone()), (ConditionStatus::Unknown, ConditionReason::SwarmUnreadable));
    }
}
