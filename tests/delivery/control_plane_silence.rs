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
use crate::stage::{Stage, cluster, eventually};
use crate::test_application::TestApplication;
use crate::traffic::{LoadResult, SteadyLoad, get};

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

/// A stage with a proxy that the first task serves, and a name server that knows this task.
struct SilenceFixture {
    stage: Stage,
    names: NameTable,
    port: u16,
    first: TestApplication,
}

impl SilenceFixture {
    async fn new(stage: Stage) -> Self {
        Self::with_answers_after(stage, Duration::ZERO).await
    }

    /// Like [`Self::new`], with a name server that delays each answer.
    async fn with_answers_after(stage: Stage, time: Duration) -> Self {
        let (resolver, names) = name_server(time).await;
        let port = ports::free_port();
        let first = TestApplication::start_at("own", SocketAddr::from((FIRST, port))).await;
        let scene = Self { stage: stage.with_names(resolver, "own-name"), names, port, first };
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
        let route = PathRoute::to(Backend::of(vec![service]));
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
            assert!(began.elapsed() < patience, "after {patience:?} it is still {:?}", self.source().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        began.elapsed()
    }

    /// Runs a proxy once, then leaves only the task and the name server running.
    async fn left_alone(mut self) -> Self {
        let (extension, proxy) = (self.stage.extension(), self.stage.proxy());
        self.stage.publish(self.table(LIMIT));
        self.stage.until_answer(HOST, "own").await;
        eventually("the volume is written", || self.stage.saved_state()).await;
        proxy.drained().await.unwrap();
        extension.stopped().await;
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
        tokio::time::timeout(Duration::from_secs(10), freed).await.expect("the old address becomes free");
        TestApplication::start_at("a stranger", SocketAddr::from((FIRST, self.port))).await
    }

    /// While a slow table is tested and until it runs, the proxy keeps using addresses, and only the service's tasks answer.
    async fn check_slowness(&self, desired: &Digest) {
        let load = SteadyLoad::start(self.stage.http(), HOST, 2);
        let began = Instant::now();
        let mut running = false;
        while !running {
            assert_eq!(self.source().await, "live", "after {:?}", began.elapsed());
            assert!(began.elapsed() < Duration::from_secs(3 * SLOW), "the slow table is never in force");
            tokio::time::sleep(Duration::from_millis(100)).await;
            running = self.stage.runs(desired);
        }
        assert!(began.elapsed() > LIMIT, "it was tested at once");
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
        assert!(waited >= LIMIT / 4, "it went over to names at once: {waited:?}");
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

fn check_answers(told: &LoadResult) {
    assert!(told.answered > 100, "the load was no load: {told:?}");
    assert_eq!((told.failed.len(), told.bodies.keys().map(String::as_str).collect::<Vec<_>>()), (0, vec!["own"]), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_operator_names_take_the_place_of_addresses_and_addresses_return_with_it() {
    let mut scene = SilenceFixture::new(stage_or_skip!()).await;
    let (extension, proxy) = (scene.stage.extension(), scene.stage.proxy());
    scene.stage.publish(scene.table(LIMIT));
    scene.stage.until_answer(HOST, "own").await;
    scene.stage.stop_operator().await;
    scene.check_silence().await;

    scene.stage.start_operator().await;
    let mut table = scene.table(LIMIT);
    table.backends_mut().flat_map(|backend| &mut backend.services).for_each(|service| service.endpoints[0].address = SECOND.into());
    let load = SteadyLoad::start(scene.stage.http(), HOST, 4);
    let desired = scene.stage.publish(table);
    let waited = scene.until_source("live", LIMIT * 2 + SLACK).await;
    assert!(waited >= LIMIT / 2, "it did not wait until the addresses had been confirmed for a while: {waited:?}");
    check_answers(&load.finish().await);
    scene.stage.until_running(&desired).await;
    let report = scene.stage.report().unwrap().proxies.remove(0);
    assert_eq!((report.source.as_ref().map(ConfigSource::as_str), report.fallbacks), (Some("live"), 1));
    proxy.drained().await.unwrap();
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_answers_and_cannot_look_confirms_nothing() {
    let scene = SilenceFixture::new(stage_or_skip!()).await;
    let (extension, proxy) = (scene.stage.extension(), scene.stage.proxy());
    scene.stage.publish(scene.table(LIMIT));
    scene.stage.until_answer(HOST, "own").await;
    scene.stage.blind_operator();
    scene.check_silence().await;
    let report = scene.stage.report().unwrap().proxies.remove(0);
    assert_eq!((report.source.as_ref().map(ConfigSource::as_str), report.fallbacks), (Some("names"), 1), "the operator hears of it");
    proxy.drained().await.unwrap();
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_extension_names_take_the_place_of_addresses() {
    let scene = SilenceFixture::new(stage_or_skip!()).await;
    let (extension, proxy) = (scene.stage.extension(), scene.stage.proxy());
    scene.stage.publish(scene.table(LIMIT));
    scene.stage.until_answer(HOST, "own").await;
    extension.stopped().await;
    scene.check_silence().await;
    proxy.drained().await.unwrap();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_cut_cable_names_take_the_place_of_addresses() {
    let scene = SilenceFixture::new(stage_or_skip!()).await;
    let extension = scene.stage.extension();
    let cut = Arc::new(AtomicBool::new(false));
    let url = scene.stage.extension_url();
    let through = cable(url.trim_start_matches("https://").parse().unwrap(), cut.clone()).await;
    let proxy = scene.stage.proxy_told_of(&format!("https://{through}"), &scene.stage.operator_url());
    scene.stage.publish(scene.table(LIMIT));
    scene.stage.until_answer(HOST, "own").await;
    cut.store(true, Ordering::Relaxed);
    scene.check_silence().await;
    proxy.drained().await.unwrap();
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_of_the_control_plane_reloads_nothing_and_neither_does_silence_without_a_limit() {
    let mut scene = SilenceFixture::new(stage_or_skip!()).await;
    let (extension, proxy) = (scene.stage.extension(), scene.stage.proxy());
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
    proxy.drained().await.unwrap();
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_starts_while_only_the_extension_answers_starts_with_names() {
    let mut scene = SilenceFixture::new(stage_or_skip!()).await;
    let extension = scene.stage.extension();
    let proxy = scene.stage.proxy();
    scene.stage.publish(scene.table(LIMIT));
    scene.stage.until_answer(HOST, "own").await;
    proxy.drained().await.unwrap();
    scene.stage.blind_operator();
    tokio::time::sleep(LIMIT + Duration::from_secs(1)).await;
    let (_second, _stranger) = scene.replace_task_by_stranger().await;
    let proxy = scene.stage.proxy();
    scene.until_source("names", SLACK).await;
    scene.stage.until_answer(HOST, "own").await;
    scene.stage.stop_operator().await;
    proxy.drained().await.unwrap();
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_the_name_of_a_service_for_an_alias_never_answers_for_it() {
    let scene = SilenceFixture::new(stage_or_skip!()).await;
    let (extension, proxy) = (scene.stage.extension(), scene.stage.proxy());
    scene.stage.publish(scene.table(LIMIT));
    scene.stage.until_answer(HOST, "own").await;
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
        assert!(Instant::now() < deadline, "its address is used for ever");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let load = SteadyLoad::start(scene.stage.http(), HOST, 2);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let told = load.finish().await;
    assert_eq!((told.answered, told.failed.is_empty()), (0, false), "{told:?}");
    // The task has its address and name again.
    scene.set_holder("app", FIRST);
    scene.set_name(TASKS, &[FIRST]);
    scene.stage.until_answer(HOST, "own").await;
    proxy.drained().await.unwrap();
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_starts_by_name_takes_requests_once_it_knows_whom_to_ask() {
    let scene = SilenceFixture::with_answers_after(stage_or_skip!(), SLOW_ANSWER).await.left_alone().await;
    scene.stage.age_saved_state(LIMIT * 2);
    let proxy = scene.stage.proxy();
    let began = Instant::now();
    let first = loop {
        match get(scene.stage.http(), HOST, "/").await {
            // An engine that only tests a configuration also listens for a moment.
            Err(words) if words.contains("ConnectionRefused") || words.contains("ConnectionReset") => {
                assert!(began.elapsed() < Duration::from_secs(30), "it never takes requests");
                assert!(check(scene.stage.health()).await.is_err(), "it is healthy and takes no requests");
            }
            answered => break answered,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(first.as_deref(), Ok("own"));
    scene.check_answers_for(Duration::from_secs(2)).await;
    assert_eq!(scene.source().await, "names of the volume");
    proxy.drained().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_name_server_holds_a_start_up_for_a_while_only() {
    let scene = SilenceFixture::new(stage_or_skip!()).await.left_alone().await;
    scene.stage.age_saved_state(LIMIT * 2);
    let known = std::mem::take(&mut *scene.names.lock().unwrap());
    let proxy = scene.stage.proxy();
    scene.until_source("names of the volume", Duration::from_secs(30)).await;
    *scene.names.lock().unwrap() = known;
    scene.stage.until_answer(HOST, "own").await;
    proxy.drained().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_has_just_started_alone_goes_over_to_names_without_a_loss() {
    let scene = SilenceFixture::with_answers_after(stage_or_skip!(), SLOW_ANSWER).await.left_alone().await;
    let proxy = scene.stage.proxy();
    scene.until_source("volume", LIMIT).await;
    let load = SteadyLoad::start(scene.stage.http(), HOST, 4);
    scene.until_source("names", LIMIT + SLACK).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    check_answers(&load.finish().await);
    proxy.drained().await.unwrap();
}

/// Uses a table that takes longer to test than addresses may stay unconfirmed; either the extension or the proxy tests it
/// slowly.
async fn check_that_slow_is_not_silent(extension_is_slow: bool) {
    let scene = SilenceFixture::new(stage_or_skip!()).await;
    let (extension, proxy) = if extension_is_slow {
        (scene.stage.extension_that_is_slow(SLOW_HOST, SLOW), scene.stage.proxy())
    } else {
        (scene.stage.extension(), scene.stage.proxy_that_is_slow(SLOW_HOST, SLOW))
    };
    scene.stage.publish(scene.table(LIMIT));
    scene.stage.until_answer(HOST, "own").await;
    let desired = scene.stage.publish(scene.slow_table(&[FIRST]));
    scene.check_slowness(&desired).await;
    assert_eq!(scene.stage.report().unwrap().proxies[0].fallbacks, 0);
    proxy.drained().await.unwrap();
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_the_extension_tests_for_longer_than_the_limit_takes_no_proxy_to_names() {
    check_that_slow_is_not_silent(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_a_proxy_tests_for_longer_than_the_limit_does_not_take_it_to_names() {
    check_that_slow_is_not_silent(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_a_task_leaves_while_a_table_is_tested_is_not_kept_until_the_test_ends() {
    let scene = SilenceFixture::new(stage_or_skip!()).await;
    let extension = scene.stage.extension_that_is_slow(SLOW_HOST, 2);
    let proxy = scene.stage.proxy_that_is_slow(SLOW_HOST, 2 * SLOW);
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
    assert!(!scene.stage.runs(&desired), "the test has not ended");
    assert_eq!(scene.source().await, "live");
    check_answers(&load.finish().await);
    proxy.drained().await.unwrap();
    extension.stopped().await;
}
