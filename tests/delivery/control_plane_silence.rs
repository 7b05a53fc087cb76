//! The control plane falls silent, in every possible way: proxies switch to names before an unconfirmed address can lead to
//! another service's application, lose no request, and switch back when the control plane returns.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use swarmgate::proxy::check;
use swarmgate::route::{Backend, BackendService, Endpoint, EngineSettings, NginxSettings, PathRoute, RouteTable, VirtualHost};
use swarmgate::types::{ConfigSource, ContextPath, Digest, HostPattern, NetworkName, Port, ServiceId, ServiceName, TaskId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::name_server::{NameTable, name_server, task_id};
use crate::ports;
use crate::stage::{Stage, cluster, eventually, on_stage};
use crate::tasks::{Extension, RunningProxy};
use crate::test_application::TestApplication;
use crate::traffic::{LoadOutcome, SteadyLoad, get};

const HOST: &str = "app.example.org";
/// How long the control plane may be silent on these stages. Longer than the interval between two confirmations.
const LIMIT: Duration = Duration::from_secs(8);
/// The extra time beyond the limit that a switch and the preceding checks may take on a busy machine.
const SLACK: Duration = Duration::from_secs(8);
/// The address of the task that the control plane knows, and below it that of its replacement.
const FIRST: Ipv4Addr = Ipv4Addr::LOCALHOST;
const SECOND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// The address of a foreign application.
const THIRD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// The name by which the engine asks for the service's tasks.
const TASKS: &str = "tasks.app.net";
/// Longer than the limit, so that proxies would consider the addresses unconfirmed if the test of a configuration blocked
/// confirmations.
const SLOW: u64 = 20;
const SLOW_HOST: &str = "slow.example.org";
/// Longer than the agent waits for an answer from Docker.
const SLOW_ANSWER: Duration = Duration::from_millis(800);

/// A stage for a proxy that forwards to the first task, and a name server that knows this task.
struct SilenceFixture<'a> {
    stage: &'a mut Stage,
    names: NameTable,
    port: u16,
    first: TestApplication,
}

impl<'a> SilenceFixture<'a> {
    async fn new(stage: &'a mut Stage) -> Self {
        Self::with_answers_after(stage, Duration::ZERO).await
    }

    /// Like [`Self::new`], with a name server that delays each answer.
    async fn with_answers_after(stage: &'a mut Stage, time: Duration) -> Self {
        let (resolver, names) = name_server(time).await;
        let port = ports::free_port();
        let first = TestApplication::start_at("own", SocketAddr::from((FIRST, port))).await;
        stage.set_names(resolver, "own-name");
        let scene = Self { stage, names, port, first };
        scene.set_name("own-name", &[Ipv4Addr::new(127, 0, 0, 250)]);
        scene.set_name(TASKS, &[FIRST]);
        scene.set_holder("app", FIRST);
        scene
    }

    fn set_name(&self, name: &str, addresses: &[Ipv4Addr]) {
        self.names.lock().unwrap().insert(name.to_owned(), addresses.to_vec());
    }

    /// Makes a task of this service the only holder of the address.
    fn set_holder(&self, service: &str, address: Ipv4Addr) {
        let mut names = self.names.lock().unwrap();
        names.retain(|name, addresses| name.starts_with("tasks.") || !addresses.contains(&address));
        let number = usize::from(address.octets()[3]);
        names.insert(format!("{service}.{number}.{}.net", task_id(number)), vec![address]);
    }

    fn table(&self, limit: Duration) -> RouteTable {
        self.table_with(limit, &[FIRST])
    }

    fn table_with(&self, limit: Duration, addresses: &[Ipv4Addr]) -> RouteTable {
        let port = Port::new(self.port).unwrap();
        let task = |address: Ipv4Addr| Some(TaskId(task_id(usize::from(address.octets()[3]))));
        let endpoint = |address: &Ipv4Addr| Endpoint { address: (*address).into(), port, task: task(*address), lasting: false };
        let endpoints = addresses.iter().map(endpoint).collect();
        let mut service = BackendService::new(ServiceId("service".to_owned()), ServiceName::parse("app").unwrap(), port, endpoints);
        service.network = Some(NetworkName::parse("net").unwrap());
        let route = PathRoute::to(Backend::new(vec![service]));
        let host = VirtualHost { paths: BTreeMap::from([(ContextPath::root(), route)]), ..VirtualHost::default() };
        let settings = EngineSettings {
            control_plane_timeout_ms: u64::try_from(limit.as_millis()).unwrap(),
            nginx: NginxSettings { keepalive_min_timeout_ms: 2_000, ..NginxSettings::default() },
            ..EngineSettings::default()
        };
        let hosts = BTreeMap::from([(HostPattern::parse(HOST).unwrap(), host)]);
        RouteTable { settings, hosts, ..RouteTable::empty(cluster(), Port::new(self.stage.http().port()).unwrap()) }
    }

    /// The same table with another host whose configuration takes long to test.
    fn slow_table(&self, addresses: &[Ipv4Addr]) -> RouteTable {
        let mut table = self.table_with(LIMIT, addresses);
        let host = table.hosts.values().next().unwrap().clone();
        table.hosts.insert(HostPattern::parse(SLOW_HOST).unwrap(), host);
        table
    }

    async fn source(&self) -> String {
        let words = check(self.stage.health()).await.unwrap_or_default();
        words.split(['(', ')']).nth(1).unwrap_or_default().to_owned()
    }

    /// Waits until the agent reports this source; returns how long that took.
    async fn until_source(&self, source: &str, patience: Duration) -> Duration {
        let began = Instant::now();
        while self.source().await != source {
            assert!(began.elapsed() < patience, "after {patience:?}, the source is still {:?}", self.source().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        began.elapsed()
    }

    /// Starts an extension and a proxy with this limit, and waits until the task answers.
    async fn serve(&self, limit: Duration) -> (Extension, RunningProxy) {
        self.stage.serve(self.table(limit), HOST, self.first.name).await
    }

    /// Runs a proxy once, then leaves only the task and the name server running.
    async fn left_alone(self) -> Self {
        let (extension, proxy) = self.serve(LIMIT).await;
        eventually("the volume is written", || self.stage.saved_state()).await;
        proxy.drain().await;
        extension.stop().await;
        self.stage.stop_operator().await;
        self
    }

    /// The task ends, another task of the service starts elsewhere, and a stranger gets the old address.
    async fn replace_task_by_stranger(&self) -> (TestApplication, TestApplication) {
        let second = TestApplication::start_at("own", SocketAddr::from((SECOND, self.port))).await;
        self.set_name(TASKS, &[SECOND]);
        self.set_holder("app", SECOND);
        self.set_holder("evil", FIRST);
        (second, self.take_first_address().await)
    }

    /// The first task ends, and a stranger listens at its address.
    async fn take_first_address(&self) -> TestApplication {
        self.first.stop();
        let freed = async {
            loop {
                if let Ok(listener) = TcpListener::bind((FIRST, self.port)).await {
                    drop(listener);
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), freed).await.expect("the old address did not become free");
        TestApplication::start_at("a stranger", SocketAddr::from((FIRST, self.port))).await
    }

    /// While a slow table is tested and until it runs, the proxy keeps using addresses, and only the service's tasks answer.
    async fn check_slowness(&self, desired: &Digest) {
        let load = SteadyLoad::start(self.stage.http(), HOST, 2);
        let began = Instant::now();
        let mut running = false;
        while !running {
            assert_eq!(self.source().await, "live", "after {:?}", began.elapsed());
            assert!(began.elapsed() < Duration::from_secs(3 * SLOW), "the slow table was never applied");
            tokio::time::sleep(Duration::from_millis(100)).await;
            running = self.stage.runs(desired);
        }
        assert!(began.elapsed() > LIMIT, "the slow table was tested too quickly: the test proves nothing");
        check_answers(&load.finish().await);
    }

    /// Checks that the proxy switches to names, and that only the service's own tasks answer while a stranger has the name as well.
    async fn check_silence_with_stranger(&self) {
        self.until_source("names", LIMIT + SLACK).await;
        self.check_answers_for(Duration::from_secs(4)).await;
    }

    /// Checks that every request is answered, and only by the service's own tasks.
    async fn check_answers_for(&self, time: Duration) {
        let load = SteadyLoad::start(self.stage.http(), HOST, 4);
        tokio::time::sleep(time).await;
        check_answers(&load.finish().await);
    }

    /// Checks that the proxy switches to names in time and without a lost request; the stranger that then gets the address
    /// never answers.
    async fn check_silence(&self) {
        let load = SteadyLoad::start(self.stage.http(), HOST, 4);
        let waited = self.until_source("names", LIMIT + SLACK).await;
        assert!(waited >= LIMIT / 4, "the proxy switched to names too early: {waited:?}");
        // By then the old workers have answered the requests on kept connections.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        check_answers(&load.finish().await);
        let (_second, _stranger) = self.replace_task_by_stranger().await;
        self.stage.until_answer(HOST, "own").await;
        let load = SteadyLoad::start(self.stage.http(), HOST, 4);
        tokio::time::sleep(Duration::from_secs(2)).await;
        check_answers(&load.finish().await);
    }
}

fn check_answers(outcome: &LoadOutcome) {
    assert!(outcome.answered > 100, "the load sent too few requests: {outcome:?}");
    assert_eq!((outcome.failed.len(), outcome.bodies.keys().map(String::as_str).collect::<Vec<_>>()), (0, vec!["own"]), "{outcome:?}");
}

#[test]
fn without_an_operator_proxies_use_names_until_it_returns() {
    on_stage(async |stage| {
        let scene = SilenceFixture::new(stage).await;
        scene.serve(LIMIT).await;
        scene.stage.stop_operator().await;
        scene.check_silence().await;

        scene.stage.start_operator().await;
        let mut table = scene.table(LIMIT);
        table.backends_mut().flat_map(|backend| &mut backend.services).for_each(|service| service.endpoints[0].address = SECOND.into());
        let load = SteadyLoad::start(scene.stage.http(), HOST, 4);
        let desired = scene.stage.publish(table);
        let waited = scene.until_source("live", LIMIT * 2 + SLACK).await;
        assert!(waited >= LIMIT / 2, "the proxy returned to addresses too early: {waited:?}");
        check_answers(&load.finish().await);
        scene.stage.until_running(&desired).await;
        let report = scene.stage.report().unwrap().proxies.remove(0);
        assert_eq!((report.source.as_ref().map(ConfigSource::as_str), report.fallbacks), (Some("live"), 1));
    });
}

#[test]
fn an_operator_without_snapshots_confirms_no_address() {
    on_stage(async |stage| {
        let scene = SilenceFixture::new(stage).await;
        scene.serve(LIMIT).await;
        scene.stage.blind_operator();
        scene.check_silence().await;
        let report = scene.stage.report().unwrap().proxies.remove(0);
        assert_eq!(
            (report.source.as_ref().map(ConfigSource::as_str), report.fallbacks),
            (Some("names"), 1),
            "the fallback was not reported"
        );
    });
}

#[test]
fn without_an_extension_proxies_use_names() {
    on_stage(async |stage| {
        let scene = SilenceFixture::new(stage).await;
        let (extension, _) = scene.serve(LIMIT).await;
        extension.stop().await;
        scene.check_silence().await;
    });
}

/// Forwards connections until `cut` is set, and then silently drops everything, like a network that fails without notice.
async fn cable(to: SocketAddr, cut: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(to).await else { continue };
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            tokio::spawn(pass_on(from_client, to_server, cut.clone()));
            tokio::spawn(pass_on(from_server, to_client, cut.clone()));
        }
    });
    address
}

async fn pass_on(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf, cut: Arc<AtomicBool>) {
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        if !cut.load(Ordering::Relaxed) && to.write_all(&chunk[..length]).await.is_err() {
            return;
        }
    }
}

#[test]
fn proxies_use_names_when_the_network_drops_all_packets() {
    on_stage(async |stage| {
        let scene = SilenceFixture::new(stage).await;
        scene.stage.start_extension();
        let cut = Arc::new(AtomicBool::new(false));
        let url = scene.stage.extension_url();
        let through = cable(url.trim_start_matches("https://").parse().unwrap(), cut.clone()).await;
        scene.stage.start_proxy_that_knows(&format!("https://{through}"), &scene.stage.operator_url());
        scene.stage.publish(scene.table(LIMIT));
        scene.stage.until_answer(HOST, "own").await;
        cut.store(true, Ordering::Relaxed);
        scene.check_silence().await;
    });
}

#[test]
fn neither_a_short_pause_nor_unlimited_silence_causes_reloads() {
    on_stage(async |stage| {
        let scene = SilenceFixture::new(stage).await;
        scene.stage.start_extension();
        scene.stage.start_proxy();
        // As long as an operator takes to restart, with the usual limit.
        scene.stage.publish(scene.table(Duration::from_secs(30)));
        scene.stage.until_answer(HOST, "own").await;
        let reloads = scene.stage.reloads();
        scene.stage.stop_operator().await;
        tokio::time::sleep(Duration::from_secs(18)).await;
        scene.stage.start_operator().await;
        let desired = scene.stage.publish(scene.table(Duration::from_secs(30)));
        scene.stage.until_running(&desired).await;
        assert_eq!((scene.source().await.as_str(), scene.stage.reloads()), ("live", reloads));

        scene.stage.publish(scene.table(Duration::ZERO));
        scene.stage.until_running(&scene.stage.publish(scene.table(Duration::ZERO))).await;
        scene.stage.stop_operator().await;
        tokio::time::sleep(LIMIT + Duration::from_secs(3)).await;
        assert_eq!(scene.source().await, "live");
    });
}

#[test]
fn a_proxy_starts_with_names_when_only_the_extension_answers() {
    on_stage(async |stage| {
        let scene = SilenceFixture::new(stage).await;
        let (_, proxy) = scene.serve(LIMIT).await;
        proxy.drain().await;
        scene.stage.blind_operator();
        tokio::time::sleep(LIMIT + Duration::from_secs(1)).await;
        let (_second, _stranger) = scene.replace_task_by_stranger().await;
        scene.stage.start_proxy();
        scene.until_source("names", SLACK).await;
        scene.stage.until_answer(HOST, "own").await;
        scene.stage.stop_operator().await;
    });
}

#[test]
fn a_stranger_with_the_service_name_as_alias_never_answers_for_the_service() {
    on_stage(async |stage| {
        let scene = SilenceFixture::new(stage).await;
        scene.serve(LIMIT).await;
        let _stranger = TestApplication::start_at("a stranger", SocketAddr::from((THIRD, scene.port))).await;
        scene.set_holder("evil", THIRD);
        scene.set_name(TASKS, &[FIRST, THIRD]);
        scene.set_name("tasks.app", &[THIRD]);
        scene.stage.blind_operator();
        scene.check_silence_with_stranger().await;
        // The stranger hides the name on its own network: the known task is still found.
        scene.set_name(TASKS, &[THIRD]);
        scene.check_answers_for(Duration::from_secs(4)).await;
        // The tasks are gone: no application answers, least of all the stranger.
        scene.set_name("somebody", &[FIRST]);
        scene.names.lock().unwrap().retain(|name, _| !name.starts_with("app."));
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Ok(answer) = get(scene.stage.http(), HOST, "/").await {
            assert_eq!(answer, "own");
            assert!(Instant::now() < deadline, "the proxy keeps using the old address");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let load = SteadyLoad::start(scene.stage.http(), HOST, 2);
        tokio::time::sleep(Duration::from_secs(3)).await;
        let outcome = load.finish().await;
        assert_eq!((outcome.answered, outcome.failed.is_empty()), (0, false), "{outcome:?}");
        // The task has its address and name again.
        scene.set_holder("app", FIRST);
        scene.set_name(TASKS, &[FIRST]);
        scene.stage.until_answer(HOST, "own").await;
    });
}

#[test]
fn a_proxy_that_starts_by_name_accepts_requests_once_names_resolve() {
    on_stage(async |stage| {
        let scene = SilenceFixture::with_answers_after(stage, SLOW_ANSWER).await.left_alone().await;
        scene.stage.age_saved_state(LIMIT * 2);
        scene.stage.start_proxy();
        let began = Instant::now();
        let first = loop {
            match get(scene.stage.http(), HOST, "/").await {
                // An engine that only tests a configuration also listens for a moment.
                Err(words) if words.contains("ConnectionRefused") || words.contains("ConnectionReset") => {
                    assert!(began.elapsed() < Duration::from_secs(30), "the proxy never accepted requests");
                    assert!(check(scene.stage.health()).await.is_err(), "the proxy is healthy but accepts no requests");
                }
                answered => break answered,
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!(first.as_deref(), Ok("own"));
        scene.check_answers_for(Duration::from_secs(2)).await;
        assert_eq!(scene.source().await, "names of the volume");
    });
}

#[test]
fn a_silent_name_server_delays_startup_only_for_a_while() {
    on_stage(async |stage| {
        let scene = SilenceFixture::new(stage).await.left_alone().await;
        scene.stage.age_saved_state(LIMIT * 2);
        let known = std::mem::take(&mut *scene.names.lock().unwrap());
        scene.stage.start_proxy();
        scene.until_source("names of the volume", Duration::from_secs(30)).await;
        *scene.names.lock().unwrap() = known;
        scene.stage.until_answer(HOST, "own").await;
    });
}

#[test]
fn a_proxy_started_from_its_volume_switches_to_names_without_losing_requests() {
    on_stage(async |stage| {
        let scene = SilenceFixture::with_answers_after(stage, SLOW_ANSWER).await.left_alone().await;
        scene.stage.start_proxy();
        scene.until_source("volume", LIMIT).await;
        let load = SteadyLoad::start(scene.stage.http(), HOST, 4);
        scene.until_source("names", LIMIT + SLACK).await;
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        check_answers(&load.finish().await);
    });
}

/// Uses a table that takes longer to test than addresses may stay unconfirmed; either the extension or the proxy tests it
/// slowly.
async fn check_that_slow_is_not_silent(stage: &mut Stage, extension_is_slow: bool) {
    let scene = SilenceFixture::new(stage).await;
    if extension_is_slow {
        scene.stage.start_slow_extension(SLOW_HOST, SLOW);
        scene.stage.start_proxy();
    } else {
        scene.stage.start_extension();
        scene.stage.start_slow_proxy(SLOW_HOST, SLOW);
    }
    scene.stage.publish(scene.table(LIMIT));
    scene.stage.until_answer(HOST, "own").await;
    let desired = scene.stage.publish(scene.slow_table(&[FIRST]));
    scene.check_slowness(&desired).await;
    assert_eq!(scene.stage.report().unwrap().proxies[0].fallbacks, 0);
}

#[test]
fn a_slow_configuration_test_in_the_extension_is_not_silence() {
    on_stage(async |stage| check_that_slow_is_not_silent(stage, true).await);
}

#[test]
fn a_slow_configuration_test_in_a_proxy_is_not_silence() {
    on_stage(async |stage| check_that_slow_is_not_silent(stage, false).await);
}

#[test]
fn a_released_address_is_dropped_while_a_slow_configuration_test_runs() {
    on_stage(async |stage| {
        let scene = SilenceFixture::new(stage).await;
        scene.stage.start_slow_extension(SLOW_HOST, 2);
        scene.stage.start_slow_proxy(SLOW_HOST, 2 * SLOW);
        let _second = TestApplication::start_at("own", SocketAddr::from((SECOND, scene.port))).await;
        scene.stage.publish(scene.table_with(LIMIT, &[FIRST, SECOND]));
        scene.stage.until_answer(HOST, "own").await;
        scene.stage.publish(scene.slow_table(&[FIRST, SECOND]));
        // By then the proxy is testing the table.
        tokio::time::sleep(Duration::from_secs(6)).await;
        let desired = scene.stage.publish(scene.slow_table(&[SECOND]));
        // Swarm frees the address of a task that has ended; here a stranger gets it as late as the proxy may still use it.
        tokio::time::sleep(LIMIT).await;
        let _stranger = scene.take_first_address().await;
        let load = SteadyLoad::start(scene.stage.http(), HOST, 2);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!scene.stage.runs(&desired), "the configuration test ended too early: the test proves nothing");
        assert_eq!(scene.source().await, "live");
        check_answers(&load.finish().await);
    });
}
