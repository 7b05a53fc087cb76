//! The operator as a whole: starts the observing tasks and the two servers, and runs the loop that gives each cluster its
//! passes, until the process is asked to stop.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusHandle;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{self, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::context::{Context, Tokens};
use super::instance_overview;
use super::options::OperatorOptions;
use super::reconcile_pass::{ClusterState, PassRequest, PassResult, pass};
use super::self_check;
use super::snapshot_cache::{ObservedSnapshot, SnapshotCache};
use super::status_port::{RunError, StatusPorts, listen};
use super::status_store::StatusStore;
use super::swarm_watcher;
use super::trigger_channels::{Notifications, TriggerEvent};
use super::work_queue::{DuePass, PassEnd, WorkQueue, WritePermission};
use crate::api::routes;
use crate::channel::{self, Hub};
use crate::declaration::{self, Declared, SpecFiles};
use crate::pki::{Authority, ClientAuthentication, Credentials, server_config};
use crate::swarm::Swarm;
use crate::telemetry::metrics::{PASS_DURATION_SECONDS, PASS_TOTAL};
use crate::types::ClusterName;

/// How many wake-ups may wait for the loop; further senders wait.
const WAKES_MAX: usize = 256;
/// Well within a certificate's lifetime of one day.
const RENEW_EVERY: Duration = Duration::from_secs(3600);
/// How long running passes may take to finish when the process stops: Swarm's stop grace period is 10 s.
const STOP_DEADLINE: Duration = Duration::from_secs(8);

/// The keys of the queue: the instance as a whole, and each cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum QueueKey {
    Instance,
    Cluster(ClusterName),
}

impl QueueKey {
    fn cluster(&self) -> Option<&ClusterName> {
        match self {
            Self::Instance => None,
            Self::Cluster(name) => Some(name),
        }
    }
}

/// Runs the operator on a Swarm until `stop` is cancelled.
pub async fn run(
    swarm: Arc<dyn Swarm>,
    authority: Arc<Authority>,
    settings: OperatorOptions,
    metrics: Option<PrometheusHandle>,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let ports = StatusPorts::open(settings.listen, &settings.status).await?;
    let channel_socket = listen(settings.channel_listen, "the channel").await?;
    let credentials = Credentials::new(authority.root().clone());
    credentials.replace(authority.own(Timestamp::now())?);
    let tls = server_config(&credentials, ClientAuthentication::Optional)?;
    let hub = Hub::new();
    let (triggers, triggered) = mpsc::channel(WAKES_MAX);
    let (declared_sender, declared) = watch::channel(Arc::new(Declared { incomplete: true, ..Declared::default() }));
    let notifications = Arc::new(Notifications::new(triggers, settings.poll_intervals()));
    let snapshot_cache = Arc::new(SnapshotCache::new(swarm.clone(), declared.clone()));
    let context = new_context(swarm.clone(), hub.clone(), &authority, &settings);
    let status_store =
        StatusStore::new(context.clone(), snapshot_cache.clone(), notifications.clone(), declared.clone(), settings.query_interval);
    let status_store = Arc::new(status_store);

    let mut background = JoinSet::new();
    background.spawn(swarm_watcher::follow_hints(swarm.clone(), notifications.clone()));
    background.spawn(swarm_watcher::probe_tasks(swarm, notifications.clone()));
    background.spawn(swarm_watcher::resync(snapshot_cache.clone(), notifications.clone(), settings.poll_interval));
    background.spawn(swarm_watcher::follow_reports(hub.changes(), notifications.clone(), settings.poll_interval));
    background.spawn(declaration::follow(SpecFiles::new(settings.spec.clone()), settings.spec_interval, declared_sender));
    background.spawn(swarm_watcher::follow_documents(declared.clone(), notifications.clone()));
    ports.serve(&routes::router(status_store.clone(), metrics, settings.status.access.clone()), &stop, &mut background);
    background.spawn(renew(authority.clone(), credentials));
    background.spawn(serve_channel(channel_socket, tls, hub.router(authority.clone()), stop.clone()));

    tracing::info!(instance = settings.instance, listen = %settings.listen, channel = %settings.channel_listen, "operator started");
    let queue = WorkQueue::new(settings.queue());
    let leftover = BTreeSet::new();
    ControlLoop {
        context,
        snapshot_cache,
        notifications,
        status_store,
        declared,
        queue,
        leftover,
        passes: JoinSet::new(),
        running: HashMap::new(),
    }
    .run(triggered, &stop)
    .await;
    // Ports and sockets are released when this returns.
    background.shutdown().await;
    tracing::info!("operator stopped");
    Ok(())
}

/// Keeps the operator's own certificate from expiring.
async fn renew(authority: Arc<Authority>, credentials: Credentials) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        match authority.own(Timestamp::now()) {
            Ok(key) => credentials.replace(key),
            Err(error) => tracing::error!(%error, "cannot renew the operator's own certificate; retrying"),
        }
    }
}

fn new_context(swarm: Arc<dyn Swarm>, hub: Hub, authority: &Arc<Authority>, settings: &OperatorOptions) -> Context {
    let (maker, instance) = (Arc::clone(authority), settings.instance.clone());
    Context {
        swarm,
        extensions: Arc::new(hub),
        instance: settings.instance.clone(),
        own_service: settings.own_service.clone(),
        channel: settings.channel.clone(),
        seals: authority.seals(),
        secrets: Arc::new(move || Box::new(Tokens::new(Arc::clone(&maker), instance.clone()))),
        writes: Arc::default(),
    }
}

async fn serve_channel(socket: TcpListener, tls: Arc<ServerConfig>, router: axum::Router, stop: CancellationToken) {
    if let Err(error) = channel::serve(socket, tls, router, stop).await {
        tracing::error!(%error, "the channel server stopped");
    }
}

/// A pass that has ended.
struct FinishedPass {
    key: QueueKey,
    ended: PassEnd,
    /// The cluster's memory; `None` if nothing is left of the cluster.
    memory: Option<ClusterState>,
    /// The overview of the whole instance.
    leftover: Option<BTreeSet<ClusterName>>,
}

/// The loop's state.
struct ControlLoop {
    context: Context,
    snapshot_cache: Arc<SnapshotCache>,
    notifications: Arc<Notifications>,
    status_store: Arc<StatusStore>,
    declared: watch::Receiver<Arc<Declared>>,
    queue: WorkQueue<QueueKey>,
    leftover: BTreeSet<ClusterName>,
    passes: JoinSet<FinishedPass>,
    running: HashMap<task::Id, QueueKey>,
}

impl ControlLoop {
    async fn run(mut self, mut triggered: mpsc::Receiver<TriggerEvent>, stop: &CancellationToken) {
        loop {
            let due = self.queue.next_due();
            tokio::select! {
                () = stop.cancelled() => break,
                Some(trigger) = triggered.recv() => self.triggered(trigger),
                Some(ended) = self.passes.join_next_with_id() => self.ended(ended),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
            for ticket in self.queue.take_due(Instant::now()) {
                self.start(ticket);
            }
        }
        self.stop().await;
    }

    /// Requests a pass for every key, whatever the reason: a wake-up carries no facts.
    fn triggered(&mut self, triggered: TriggerEvent) {
        tracing::trace!(trigger = triggered.trigger.as_str(), "woken");
        let now = Instant::now();
        for key in self.keys() {
            self.queue.enqueue(&key, now, triggered.since);
        }
    }

    fn keys(&self) -> BTreeSet<QueueKey> {
        let declared = self.declared.borrow();
        let clusters = declared.clusters.keys().chain(&self.leftover).cloned().map(QueueKey::Cluster);
        clusters.chain([QueueKey::Instance]).collect()
    }

    fn start(&mut self, ticket: DuePass<QueueKey>) {
        let DuePass { key, since, acting } = ticket;
        let (context, snapshot_cache) = (self.context.clone(), self.snapshot_cache.clone());
        let declared = self.declared.borrow().clone();
        let handle = match key.clone() {
            QueueKey::Instance => {
                let (status_store, notifications) = (self.status_store.clone(), self.notifications.clone());
                self.passes.spawn(async move { count(&context, &snapshot_cache, since, &declared, &status_store, &notifications).await })
            }
            QueueKey::Cluster(name) => {
                let request = PassRequest { declared, may_write: acting == WritePermission::Allowed, now: Timestamp::now(), name };
                let memory = self.status_store.cluster_state(&request.name);
                self.passes.spawn(one_pass(context, snapshot_cache, since, request, memory))
            }
        };
        self.running.insert(handle.id(), key);
    }

    /// A pass that panicked has a bug; it fails like any other, and the other keys continue.
    fn ended(&mut self, ended: Result<(task::Id, FinishedPass), task::JoinError>) {
        match ended {
            Ok((id, finished)) => {
                self.running.remove(&id);
                self.finished(finished);
            }
            Err(error) => {
                tracing::error!(%error, "a pass ended unexpectedly");
                if let Some(key) = self.running.remove(&error.id()) {
                    self.queue.finished(&key, Instant::now(), PassEnd::Failed);
                }
            }
        }
    }

    fn finished(&mut self, finished: FinishedPass) {
        let now = Instant::now();
        self.queue.finished(&finished.key, now, finished.ended);
        if let Some(leftover) = finished.leftover {
            self.enqueue_leftover(leftover, now);
        }
        match (&finished.key, finished.memory) {
            (QueueKey::Instance, _) => {}
            (QueueKey::Cluster(name), Some(memory)) => {
                self.status_store.store(name, memory, self.queue.held_until(&finished.key).map(timestamp_of));
            }
            (QueueKey::Cluster(name), None) => {
                self.leftover.remove(name);
            }
        }
        let keys = self.keys();
        self.queue.retain(&keys);
        self.status_store.retain(&keys.iter().filter_map(QueueKey::cluster).collect());
    }

    /// Enqueues the clusters that are no longer declared and were not known as such.
    fn enqueue_leftover(&mut self, leftover: BTreeSet<ClusterName>, now: Instant) {
        let news = leftover.difference(&self.leftover).cloned().map(QueueKey::Cluster).collect::<Vec<_>>();
        self.leftover = leftover;
        for key in &news {
            self.queue.enqueue(key, now, now);
        }
    }

    /// Lets running passes finish their writes, and starts no more.
    async fn stop(mut self) {
        let finish = async { while self.passes.join_next().await.is_some() {} };
        if timeout(STOP_DEADLINE, finish).await.is_err() {
            tracing::warn!("a pass did not finish in time; the next start continues from where it stopped");
        }
    }
}

/// Runs one pass for one cluster, and measures it.
async fn one_pass(
    context: Context,
    snapshot_cache: Arc<SnapshotCache>,
    since: Instant,
    request: PassRequest,
    mut memory: ClusterState,
) -> FinishedPass {
    let observed = snapshot_cache.snapshot(since).await;
    let began = Instant::now();
    let verdict = pass(&context, &request, observed, &mut memory).await;
    metrics::histogram!(PASS_DURATION_SECONDS, "cluster" => request.name.to_string()).record(began.elapsed().as_secs_f64());
    let (ended, result) = match verdict {
        PassResult::Still | PassResult::Gone => (PassEnd::Done, "still"),
        PassResult::StillFor(time) => (PassEnd::Again(time), "still"),
        PassResult::Again(after) => (PassEnd::Again(after), "wrote"),
        PassResult::Failed => (PassEnd::Failed, "failed"),
        PassResult::Held => (PassEnd::Held, "held"),
        // The timer triggers again soon; an unreachable Swarm must not delay writes once it is back.
        PassResult::Blind => (PassEnd::Held, "blind"),
    };
    if matches!(verdict, PassResult::Again(_) | PassResult::Failed) {
        snapshot_cache.invalidate();
    }
    metrics::counter!(PASS_TOTAL, "cluster" => request.name.to_string(), "result" => result).increment(1);
    let memory = (verdict != PassResult::Gone).then_some(memory);
    FinishedPass { key: QueueKey::Cluster(request.name), ended, memory, leftover: None }
}

/// One overview of the whole instance.
async fn count(
    context: &Context,
    snapshot_cache: &SnapshotCache,
    since: Instant,
    declared: &Declared,
    status_store: &StatusStore,
    notifications: &Notifications,
) -> FinishedPass {
    let finished = |ended, leftover| FinishedPass { key: QueueKey::Instance, ended, memory: None, leftover };
    let Ok(ObservedSnapshot { snapshot, .. }) = snapshot_cache.snapshot(since).await else {
        return finished(PassEnd::Held, None);
    };
    let overview = instance_overview::overview(&context.instance, declared, &snapshot);
    notifications.set_watched_services(overview.interest);
    notifications.settle(overview.unsettled, overview.routed);
    let own = self_check::findings(context.own_service.as_ref(), &context.channel, &snapshot);
    let ports = self_check::contested_ports(context.own_service.as_ref(), &context.instance, &context.seals, &snapshot);
    status_store.store_findings([overview.findings, own, ports].concat());
    finished(PassEnd::Done, Some(overview.leftover))
}

/// Converts a moment of the loop's clock to a timestamp.
fn timestamp_of(at: Instant) -> Timestamp {
    let ahead = at.saturating_duration_since(Instant::now());
    Timestamp::now().checked_add(ahead).unwrap_or(Timestamp::MAX)
}

/// Cancels the token at either of the two signals that ask a process to stop.
pub async fn stop_on_signals(stop: CancellationToken) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("received SIGTERM; stopping"),
        _ = interrupt.recv() => tracing::info!("received SIGINT; stopping"),
    }
    stop.cancel();
    Ok(())
}
