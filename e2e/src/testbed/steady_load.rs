//! A steady stream of requests, to find out whether any is lost while the testbed changes. Requests begin at fixed times whether
//! or not earlier ones have finished, and nothing is ever retried, because a lost request must be reported.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use nix::unistd::gettid;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How long a client waits for one response.
const PATIENCE: Duration = Duration::from_secs(5);

/// The text recorded for a request whose connection was refused.
const REFUSED: &str = "connect: connection refused";

/// How long a kept connection may be idle before its next request. After a reload the proxy keeps idle connections for only
/// `settings.keepaliveMinTimeout` (1.5 s), and may close them at any moment after that. On a slow machine so many requests are
/// under way that each connection's next turn comes later.
const IDLE_MAX: Duration = Duration::from_secs(1);

type HttpSender = SendRequest<Empty<Bytes>>;

/// A stream that runs until it is stopped or dropped.
pub struct Load {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<LoadReport>>>,
}

impl Drop for Load {
    /// A failed case must not burden the ones after it.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The outcome of the requests of a stream.
#[derive(Clone, Debug, Default)]
pub struct LoadReport {
    /// How many began.
    pub requests: u64,
    /// How many of them did not end with status 200.
    pub failed: u64,
    /// The failed ones by cause.
    pub kinds: BTreeMap<String, u64>,
    /// Half of all requests took at most this long, measured from when the request should have begun.
    pub p50: Duration,
    /// 99 of 100 requests took at most this long.
    pub p99: Duration,
    /// The slowest.
    pub max: Duration,
    /// When the first and the last failed request began, measured from the start.
    pub failed_between: Option<(Duration, Duration)>,
    /// The seconds, measured from the start, in which nothing listened for most requests: the connection was refused.
    pub down: BTreeSet<u64>,
}

impl fmt::Display for LoadReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, failed, kinds, p50, p99, max, failed_between, .. } = self;
        write!(out, "{failed} of {requests} requests failed {kinds:?}; p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?}")?;
        failed_between.map_or(Ok(()), |(first, last)| write!(out, "; failed between {first:.1?} and {last:.1?} after the start"))
    }
}

/// Where requests go and how.
struct LoadTarget {
    address: SocketAddr,
    request: String,
    host: String,
    keep: bool,
    /// The kept connections without a request, with the time of their last response.
    idle: Mutex<VecDeque<(Instant, HttpSender)>>,
}

/// When a request should have begun, how long it took, and what went wrong if anything did.
type RequestSample = (Duration, Duration, Option<String>);

impl Load {
    /// Starts `rate` requests per second for `path` at `address` (`IP:PORT`) with `host` as the Host header. With `keepalive`,
    /// connections are reused; otherwise each request has its own.
    pub fn start(address: &str, host: &str, path: &str, rate: u32, keepalive: bool) -> Result<Self> {
        let address = address.parse().with_context(|| format!("{address} is no IP:PORT"))?;
        let target = LoadTarget { address, request: path.to_owned(), host: host.to_owned(), keep: keepalive, idle: Mutex::default() };
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let pause = Duration::from_secs(1) / rate.max(1);
        // A separate thread, started here so that it uses the caller's network.
        let work = move || {
            come_before_other_work();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the load's runtime")?;
            runtime.block_on(stream(Arc::new(target), pause, &stopping))
        };
        let thread = thread::Builder::new().name("load".into()).spawn(work).context("start the load")?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Begins no more requests, waits for those in flight, and reports.
    pub fn stop(mut self) -> Result<LoadReport> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        ended.and_then(Result::ok).unwrap_or_else(|| bail!("the load broke off"))
    }
}

/// On a busy machine, a client that waits for its own turn would report a slow proxy, and would use a connection later than it
/// meant to. Without the right to do this, only the figures are worse.
fn come_before_other_work() {
    let this_thread = gettid().to_string();
    let _ = Command::new("chrt").args(["--rr", "--pid", "1", &this_thread]).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

async fn stream(target: Arc<LoadTarget>, pause: Duration, stop: &AtomicBool) -> Result<LoadReport> {
    let mut requests = JoinSet::new();
    let mut outcomes: Vec<RequestSample> = Vec::new();
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let started = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let due = ticks.tick().await;
        let target = Arc::clone(&target);
        requests.spawn(async move {
            let failure = timeout(PATIENCE, target.one()).await.unwrap_or_else(|_| Some("timeout".to_owned()));
            (due.duration_since(started), due.elapsed(), failure)
        });
        while let Some(Ok(outcome)) = requests.try_join_next() {
            outcomes.push(outcome);
        }
    }
    while let Some(outcome) = requests.join_next().await {
        outcomes.push(outcome.context("a request broke off")?);
    }
    Ok(summary(outcomes))
}

impl LoadTarget {
    /// Sends one request. Returns what went wrong, if anything.
    async fn one(&self) -> Option<String> {
        let (mut connection, used) = match self.take_idle() {
            Some(idle) => (idle, " on a used connection"),
            None => match self.connect().await {
                Ok(new) => (new, ""),
                Err(reason) => return Some(reason),
            },
        };
        let request = Request::get(&self.request).header("host", &self.host);
        let request = if self.keep { request } else { request.header("connection", "close") };
        let Ok(request) = request.body(Empty::new()) else { return Some("the request is not valid".to_owned()) };
        let answer = match connection.send_request(request).await {
            Ok(answer) => answer,
            Err(reason) => return Some(format!("{reason}{used}")),
        };
        let status = answer.status();
        if let Err(reason) = answer.into_body().collect().await {
            return Some(format!("in the body: {reason}"));
        }
        if self.keep {
            self.idle().push_back((Instant::now(), connection));
        }
        (status != 200).then(|| format!("status {}", status.as_u16()))
    }

    async fn connect(&self) -> Result<HttpSender, String> {
        let socket = TcpStream::connect(self.address).await.map_err(|reason| format!("connect: {}", reason.kind()))?;
        // Without Nagle's delay, the small packets of a request are not held back.
        let _ = socket.set_nodelay(true);
        let (sender, connection) = handshake(TokioIo::new(socket)).await.map_err(|reason| format!("handshake: {reason}"))?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// A kept connection that is not known to be closed and has not been idle for too long.
    fn take_idle(&self) -> Option<HttpSender> {
        let mut idle = self.idle();
        while let Some((since, connection)) = idle.pop_front() {
            if connection.is_ready() && since.elapsed() < IDLE_MAX {
                return Some(connection);
            }
        }
        None
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, VecDeque<(Instant, HttpSender)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn summary(outcomes: Vec<RequestSample>) -> LoadReport {
    let mut report = LoadReport { requests: outcomes.len() as u64, ..LoadReport::default() };
    let mut times = Vec::with_capacity(outcomes.len());
    let mut seconds = BTreeMap::<u64, [u32; 2]>::new();
    for (begun, took, failure) in outcomes {
        times.push(took);
        seconds.entry(begun.as_secs()).or_default()[usize::from(failure.as_deref() == Some(REFUSED))] += 1;
        if let Some(kind) = failure {
            report.failed += 1;
            *report.kinds.entry(kind).or_default() += 1;
            let (first, last) = report.failed_between.unwrap_or((begun, begun));
            report.failed_between = Some((first.min(begun), last.max(begun)));
        }
    }
    report.down = seconds.into_iter().filter(|(_, [taken, refused])| refused > taken).map(|(second, _)| second).collect();
    times.sort_unstable();
    let share = |percent: usize| times.get(times.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default();
    (report.p50, report.p99, report.max) = (share(50), share(99), share(100));
    report
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Answers requests on every connection, and returns the address and the number of connections so far.
    async fn server() -> (SocketAddr, Arc<AtomicUsize>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut request = [0; 1024];
                    while socket.read(&mut request).await.is_ok_and(|length| length > 0) {
                        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                    }
                });
            }
        });
        (address, connections)
    }

    #[tokio::test]
    async fn a_kept_connection_is_used_again_unless_the_proxy_may_close_it() {
        let (address, connections) = server().await;
        let target = LoadTarget { address, request: "/".to_owned(), host: "h.test".to_owned(), keep: true, idle: Mutex::default() };
        assert_eq!((target.one().await, connections.load(Ordering::Relaxed)), (None, 1));
        assert_eq!((target.one().await, connections.load(Ordering::Relaxed)), (None, 1), "the connection is used again");
        target.idle()[0].0 -= IDLE_MAX;
        assert_eq!((target.one().await, connections.load(Ordering::Relaxed)), (None, 2), "it was idle for too long");
    }

    #[test]
    fn failures_are_counted_by_kind_and_times_are_ranked() {
        let ms = Duration::from_millis;
        let outcomes = (1..=100).map(|n| (ms(n), ms(n), (n == 7).then(|| "timeout".to_owned()))).collect();
        let report = summary(outcomes);
        assert_eq!((report.requests, report.failed, report.kinds["timeout"]), (100, 1, 1));
        assert_eq!((report.p50, report.p99, report.max), (ms(50), ms(99), ms(100)));
        assert_eq!(report.failed_between, Some((ms(7), ms(7))));
        assert_eq!(report.down, BTreeSet::new());
        let outcomes = (0..300).map(|n| (ms(10 * n), ms(1), (n > 120 && n < 190).then(|| REFUSED.to_owned()))).collect();
        assert_eq!(summary(outcomes).down, BTreeSet::from([1]));
    }
}
