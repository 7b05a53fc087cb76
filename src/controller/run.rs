//! The operator as a whole: starts the observing tasks and the two servers, and runs the loop that gives each cluster its
//! passes, until the process is told to stop.

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

use super::context::{Surroundings, Tokens};
use super::instance;
use super::notifications::{Signals, Woken};
use super::options::Settings;
use super::reconcile::{Job, Memory, Verdict, pass};
use super::self_check;
use super::snapshot_cache::{Lookout, Sighted};
use super::status_port::{RunError, StatusPorts, listen};
use super::status_store::Board;
use super::watcher;
use super::work_queue::{Acting, Ended, Queue, Ticket};
use crate::api::routes;
use crate::channel::{self, Hub};
use crate::declaration::{self, Declared, SpecFiles};
use crate::pki::{Authority, ClientAuthentication, Credentials, server_config};
use crate::swarm::Swarm;
use crate::telemetry::metrics::{PASS_DURATION_SECONDS, PASS_TOTAL};
use crate::types::ClusterName;

/// How many wake-ups may wait for the loop; whoever has more waits.
const WAKES_MAX: usize = 256;
/// Far within a certificate's lifetime of a day.
const RENEW_EVERY: Duration = Duration::from_secs(3600);
/// How long passes that run may take to finish when the process stops: Swarm's stop grace period is 10 s.
const STOP_DEADLINE: Duration = Duration::from_secs(8);

/// What wants passes: the instance as a whole, and each cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Instance,
    Cluster(ClusterName),
}

impl Key {
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
    settings: Settings,
    metrics: Option<PrometheusHandle>,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let ports = StatusPorts::open(settings.listen, &settings.status).await?;
    let channel_socket = listen(settings.channel_listen, "the channel").await?;
    let credentials = Credentials::new(authority.root().clone());
    credentials.replace(authority.own(Timestamp::now())?);
    let tls = server_config(&credentials, ClientAuthentication::Optional)?;
    let hub = Hub::new();
    let (wakes, woken) = mpsc::channel(WAKES_MAX);
    let (declared_sender, declared) = watch::channel(Arc::new(Declared { incomplete: true, ..Declared::default() }));
    let signals = Arc::new(Signals::new(wakes, settings.pace()));
    let lookout = Arc::new(Lookout::new(swarm.clone(), declared.clone()));
    let around = surroundings(swarm.clone(), hub.clone(), &authority, &settings);
    let board = Board::new(around.clone(), lookout.clone(), signals.clone(), declared.clone(), settings.question_interval);
    let board = Arc::new(board);

    let mut background = JoinSet::new();
    background.spawn(watcher::follow_hints(swarm.clone(), signals.clone()));
    background.spawn(watcher::probe_tasks(swarm, signals.clone()));
    background.spawn(watcher::resync(lookout.clone(), signals.clone(), settings.poll_interval));
    background.spawn(watcher::follow_reports(hub.changes(), signals.clone(), settings.poll_interval));
    background.spawn(declaration::follow(SpecFiles::new(settings.spec.clone()), settings.spec_interval, declared_sender));
    background.spawn(watcher::follow_documents(declared.clone(), signals.clone()));
    ports.serve(&routes::router(board.clone(), metrics, settings.status.access.clone()), &stop, &mut background);
    background.spawn(renew(authority.clone(), credentials));
    background.spawn(serve_channel(channel_socket, tls, hub.router(authority.clone()), stop.clone()));

    tracing::info!(instance = settings.instance, listen = %settings.listen, channel = %settings.channel_listen, "operator started");
    let queue = Queue::new(settings.queue());
    let leftover = BTreeSet::new();
    Loop { around, lookout, signals, board, declared, queue, leftover, passes: JoinSet::new(), running: HashMap::new() }
        .run(woken, &stop)
        .await;
    // Ports and sockets are free when this returns.
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
            Err(error) => tracing::error!(%error, "the operator's own certificate could not be renewed; trying again"),
        }
    }
}

fn surroundings(swarm: Arc<dyn Swarm>, hub: Hub, authority: &Arc<Authority>, settings: &Settings) -> Surroundings {
    let (maker, instance) = (Arc::clone(authority), settings.instance.clone());
    Surroundings {
        swarm,
        line: Arc::new(hub),
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
        tracing::error!(%error, "the channel's server ended");
    }
}

/// A pass that has ended.
struct Finished {
    key: Key,
    ended: Ended,
    /// What is left of the cluster to remember; none: nothing is.
    memory: Option<Memory>,
    /// What the look at the whole instance showed.
    leftover: Option<BTreeSet<ClusterName>>,
}

/// The loop's own state.
struct Loop {
    around: Surroundings,
    lookout: Arc<Lookout>,
    signals: Arc<Signals>,
    board: Arc<Board>,
    declared: watch::Receiver<Arc<Declared>>,
    queue: Queue<Key>,
    leftover: BTreeSet<ClusterName>,
    passes: JoinSet<Finished>,
    running: HashMap<task::Id, Key>,
}

impl Loop {
    async fn run(mut self, mut woken: mpsc::Receiver<Woken>, stop: &CancellationToken) {
        loop {
            let due = self.queue.next_due();
            tokio::select! {
                () = stop.cancelled() => break,
                Some(wake) = woken.recv() => self.woken(wake),
                Some(ended) = self.passes.join_next_with_id() => self.ended(ended),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
            for ticket in self.queue.take_due(Instant::now()) {
                self.start(ticket);
            }
        }
        self.stop().await;
    }

    /// Whatever the reason, everybody looks again: a wake-up carries no facts.
    fn woken(&mut self, woken: Woken) {
        tracing::trace!(wake = woken.wake.as_str(), "woken");
        let now = Instant::now();
        for key in self.keys() {
            self.queue.ask(&key, now, woken.since);
        }
    }

    fn keys(&self) -> BTreeSet<Key> {
        let declared = self.declared.borrow();
        let clusters = declared.clusters.keys().chain(&self.leftover).cloned().map(Key::Cluster);
        clusters.chain([Key::Instance]).collect()
    }

    fn start(&mut self, ticket: Ticket<Key>) {
        let Ticket { key, since, acting } = ticket;
        let (around, lookout) = (self.around.clone(), self.lookout.clone());
        let declared = self.declared.borrow().clone();
        let handle = match key.clone() {
            Key::Instance => {
                let (board, signals) = (self.board.clone(), self.signals.clone());
                self.passes.spawn(async move { count(&around, &lookout, since, &declared, &board, &signals).await })
            }
            Key::Cluster(name) => {
                let job = Job {
                    declared: declared.clusters.get(&name).cloned(),
                    may_write: acting == Acting::Allowed,
                    now: Timestamp::now(),
                    name,
                };
                let memory = self.board.memory(&job.name);
                self.passes.spawn(one_pass(around, lookout, since, job, memory))
            }
        };
        self.running.insert(handle.id(), key);
    }

    /// A pass that panicked is a mistake of ours; it fails like any other, and the other keys go on.
    fn ended(&mut self, ended: Result<(task::Id, Finished), task::JoinError>) {
        match ended {
            Ok((id, finished)) => {
                self.running.remove(&id);
                self.finished(finished);
            }
            Err(error) => {
                tracing::error!(%error, "a pass broke off");
                if let Some(key) = self.running.remove(&error.id()) {
                    self.queue.finished(&key, Instant::now(), Ended::Failed);
                }
            }
        }
    }

    fn finished(&mut self, finished: Finished) {
        let now = Instant::now();
        self.queue.finished(&finished.key, now, finished.ended);
        if let Some(leftover) = finished.leftover {
            let news = leftover.difference(&self.leftover).cloned().map(Key::Cluster).collect::<Vec<_>>();
            self.leftover = leftover;
            for key in &news {
                self.queue.ask(key, now, now);
            }
        }
        match (&finished.key, finished.memory) {
            (Key::Instance, _) => {}
            (Key::Cluster(name), Some(memory)) => {
                self.board.keep(name, memory, self.queue.held_until(&finished.key).map(timestamp_of));
            }
            (Key::Cluster(name), None) => {
                self.leftover.remove(name);
            }
        }
        let keys = self.keys();
        self.queue.keep_only(&keys);
        self.board.keep_only(&keys.iter().filter_map(Key::cluster).collect());
    }

    /// Lets passes that run finish what they write, and starts none.
    async fn stop(mut self) {
        let finish = async { while self.passes.join_next().await.is_some() {} };
        if timeout(STOP_DEADLINE, finish).await.is_err() {
            tracing::warn!("a pass did not end in time; the next start carries on from what it left");
        }
    }
}

/// One pass for one cluster, measured.
async fn one_pass(around: Surroundings, lookout: Arc<Lookout>, since: Instant, job: Job, mut memory: Memory) -> Finished {
    let sighted = lookout.snapshot(since).await;
    let began = Instant::now();
    let verdict = pass(&around, &job, sighted, &mut memory).await;
    metrics::histogram!(PASS_DURATION_SECONDS, "cluster" => job.name.to_string()).record(began.elapsed().as_secs_f64());
    let (ended, result) = match verdict {
        Verdict::Still | Verdict::Gone => (Ended::Done, "still"),
        Verdict::StillFor(time) => (Ended::Again(time), "still"),
        Verdict::LookAgain(after) => (Ended::Again(after), "wrote"),
        Verdict::Failed => (Ended::Failed, "failed"),
        Verdict::Held => (Ended::Held, "held"),
        // The timer asks again soon; a Swarm that was away must not hold back writes when it is there again.
        Verdict::Blind => (Ended::Held, "blind"),
    };
    if matches!(verdict, Verdict::LookAgain(_) | Verdict::Failed) {
        lookout.outdate();
    }
    metrics::counter!(PASS_TOTAL, "cluster" => job.name.to_string(), "result" => result).increment(1);
    let memory = (verdict != Verdict::Gone).then_some(memory);
    Finished { key: Key::Cluster(job.name), ended, memory, leftover: None }
}

/// One look at the whole instance.
async fn count(
    around: &Surroundings,
    lookout: &Lookout,
    since: Instant,
    declared: &Declared,
    board: &Board,
    signals: &Signals,
) -> Finished {
    let finished = |ended, leftover| Finished { key: Key::Instance, ended, memory: None, leftover };
    let Ok(Sighted { snapshot, .. }) = lookout.snapshot(since).await else {
        return finished(Ended::Held, None);
    };
    let census = instance::take(&around.instance, declared, &snapshot);
    signals.set_interest(census.interest);
    signals.settle(census.unsettled, census.routed);
    let own = self_check::findings(around.own_service.as_ref(), &around.channel, &snapshot);
    let ports = self_check::contested_ports(around.own_service.as_ref(), &around.instance, &around.seals, &snapshot);
    board.keep_findings([census.findings, own, ports].concat());
    finished(Ended::Done, Some(census.leftover))
}

/// A moment of the loop's clock as people read it.
fn timestamp_of(at: Instant) -> Timestamp {
    let ahead = at.saturating_duration_since(Instant::now());
    Timestamp::now().checked_add(ahead).unwrap_or(Timestamp::MAX)
}

/// The two signals by which a process is told to stop cancel the token.
pub async fn stop_on_signals(stop: CancellationToken) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("told to stop by SIGTERM"),
        _ = interrupt.recv() => tracing::info!("told to stop by SIGINT"),
    }
    stop.cancel();
    Ok(())
}
