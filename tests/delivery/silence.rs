//! The control plane falls silent, in every way in which it can: proxies go over to names before an address that nobody confirms
//! can lead to somebody else's application, without a lost request, and return when it speaks again.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use swarmgate::proxy::check;
use swarmgate::route::{Backend, BackendService, Endpoint, EngineSettings, PathRoute, RouteTable, VirtualHost};
use swarmgate::types::{ConfigSource, ContextPath, Digest, HostPattern, NetworkName, Port, ServiceId, ServiceName, TaskId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::apps::App;
use crate::name_server::{Names, name_server, task_id};
use crate::ports;
use crate::stage::{Stage, cluster, eventually};
use crate::traffic::{SteadyLoad, Told, get};

const HOST: &str = "app.example.org";
/// How long the control plane may be silent on these stages: more than it is between two confirmations.
const LIMIT: Duration = Duration::from_secs(8);
/// What a switch and the looks before it may take beyond the limit, on a busy machine.
const SLACK: Duration = Duration::from_secs(8);
/// The address of the task that the control plane knows, and that of the one that comes later.
const FIRST: Ipv4Addr = Ipv4Addr::LOCALHOST;
const SECOND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Of somebody else.
const THIRD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// The service's tasks, as the engine asks for them.
const TASKS: &str = "tasks.app.net";
/// Longer than a configuration may take to be tested before proxies would think that nobody confirms addresses.
const SLOW: u64 = 20;
const SLOW_HOST: &str = "slow.example.org";
/// Longer than Docker may take for an answer while nobody waits for it.
const SLOW_ANSWER: Duration = Duration::from_millis(800);

/// A stage with a proxy that is served by the first task, and a name server that knows it.
struct Scene {
    stage: Stage,
    names: Names,
    port: u16,
    first: App,
}

impl Scene {
    async fn new(stage: Stage) -> Self {
        Self::with_answers_after(stage, Duration::ZERO).await
    }

    /// The same with a name server that takes its time for each answer.
    async fn with_answers_after(stage: Stage, time: Duration) -> Self {
        let (resolver, names) = name_server(time).await;
        let port = ports::free_port();
        let first = App::start_at("own", SocketAddr::from((FIRST, port))).await;
        let scene = Self { stage: stage.with_names(resolver, "own-name"), names, port, first };
        scene.set_name("own-name", &[Ipv4Addr::new(127, 0, 0, 250)]);
        scene.set_name(TASKS, &[FIRST]);
        scene.set_holder("app", FIRST);
        scene
    }

    fn set_name(&self, name: &str, addresses: &[Ipv4Addr]) {
        self.names.lock().unwrap().insert(name.to_owned(), addresses.to_vec());
    }

    /// A task of this service has the address, and nobody else.
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
            keepalive_min_timeout_ms: 2_000,
            ..EngineSettings::default()
        };
        let hosts = BTreeMap::from([(HostPattern::parse(HOST).unwrap(), host)]);
        RouteTable { settings, hosts, ..RouteTable::empty(cluster(), Port::new(self.stage.http().port()).unwrap()) }
    }

    /// The same table with another host, which takes its time to be tested.
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

    /// How long it takes until the agent says so.
    async fn until_source(&self, source: &str, patience: Duration) -> Duration {
        let began = Instant::now();
        while self.source().await != source {
            assert!(began.elapsed() < patience, "after {patience:?} it is still {:?}", self.source().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        began.elapsed()
    }

    /// A proxy has run, and nobody is there any more but the task and the name server.
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

    /// The task ends, another one of the service comes elsewhere, and a stranger gets the old address.
    async fn replace_task_by_stranger(&self) -> (App, App) {
        let second = App::start_at("own", SocketAddr::from((SECOND, self.port))).await;
        self.set_name(TASKS, &[SECOND]);
        self.set_holder("app", SECOND);
        self.set_holder("evil", FIRST);
        (second, self.take_first_address().await)
    }

    /// The first task ends, and a stranger listens where it was.
    async fn take_first_address(&self) -> App {
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
        App::start_at("a stranger", SocketAddr::from((FIRST, self.port))).await
    }

    /// For as long as a slow test takes and what comes after it, the proxy stays on addresses, and nobody but the tasks answers.
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

    /// The same while somebody else has the name as well.
    async fn check_silence_with_stranger(&self) {
        self.until_source("names", LIMIT + SLACK).await;
        self.check_answers_for(Duration::from_secs(4)).await;
    }

    /// Nobody but its own tasks answers, and always.
    async fn check_answers_for(&self, time: Duration) {
        let load = SteadyLoad::start(self.stage.http(), HOST, 4);
        tokio::time::sleep(time).await;
        check_answers(&load.finish().await);
    }

    /// The proxy goes over to names in time and without a loss; the stranger that then gets the address never answers.
    async fn check_silence(&self) {
        let load = SteadyLoad::start(self.stage.http(), HOST, 4);
        let waited = self.until_source("names", LIMIT + SLACK).await;
        assert!(waited >= LIMIT / 4, "it went over to names at once: {waited:?}");
        // Old workers have answered what kept connections asked them.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        check_answers(&load.finish().await);
        let (_second, _stranger) = self.replace_task_by_stranger().await;
        self.stage.until_answer(HOST, "own").await;
        let load = SteadyLoad::start(self.stage.http(), HOST, 4);
        tokio::time::sleep(Duration::from_secs(2)).await;
        check_answers(&load.finish().await);
    }
}

fn check_answers(told: &Told) {
    assert!(told.answered > 100, "the load was no load: {told:?}");
    assert_eq!((told.failed.len(), told.bodies.keys().map(String::as_str).collect::<Vec<_>>()), (0, vec!["own"]), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_operator_names_take_the_place_of_addresses_and_addresses_return_with_it() {
    let mut scene = Scene::new(stage_or_skip!()).await;
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
    let scene = Scene::new(stage_or_skip!()).await;
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
    let scene = Scene::new(stage_or_skip!()).await;
    let (extension, proxy) = (scene.stage.extension(), scene.stage.proxy());
    scene.stage.publish(scene.table(LIMIT));
    scene.stage.until_answer(HOST, "own").await;
    extension.stopped().await;
    scene.check_silence().await;
    proxy.drained().await.unwrap();
}

/// Passes connections on until it is told to pass nothing on any more, as a network that was cut without a word.
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
    let scene = Scene::new(stage_or_skip!()).await;
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
    let mut scene = Scene::new(stage_or_skip!()).await;
    let (extension, proxy) = (scene.stage.extension(), scene.stage.proxy());
    // As long as the restart of an operator takes, with the usual limit.
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
    let mut scene = Scene::new(stage_or_skip!()).await;
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
    let scene = Scene::new(stage_or_skip!()).await;
    let (extension, proxy) = (scene.stage.extension(), scene.stage.proxy());
    scene.stage.publish(scene.table(LIMIT));
    scene.stage.until_answer(HOST, "own").await;
    let _stranger = App::start_at("a stranger", SocketAddr::from((THIRD, scene.port))).await;
    scene.set_holder("evil", THIRD);
    scene.set_name(TASKS, &[FIRST, THIRD]);
    scene.set_name("tasks.app", &[THIRD]);
    scene.stage.blind_operator();
    scene.check_silence_with_stranger().await;
    // He hides the name on a network of his own: the task that was known is found nevertheless.
    scene.set_name(TASKS, &[THIRD]);
    scene.check_answers_for(Duration::from_secs(4)).await;
    // The tasks are gone: nobody answers, and he least of all.
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
    // He goes and the control plane comes back at the same moment.
    scene.set_holder("app", FIRST);
    scene.set_name(TASKS, &[FIRST]);
    scene.stage.until_answer(HOST, "own").await;
    proxy.drained().await.unwrap();
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_starts_by_name_takes_requests_once_it_knows_whom_to_ask() {
    let scene = Scene::with_answers_after(stage_or_skip!(), SLOW_ANSWER).await.left_alone().await;
    scene.stage.age_saved_state(LIMIT * 2);
    let proxy = scene.stage.proxy();
    let began = Instant::now();
    let first = loop {
        match get(scene.stage.http(), HOST, "/").await {
            // An engine that only tests a configuration listens for a moment as well.
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
    let scene = Scene::new(stage_or_skip!()).await.left_alone().await;
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
    let scene = Scene::with_answers_after(stage_or_skip!(), SLOW_ANSWER).await.left_alone().await;
    let proxy = scene.stage.proxy();
    scene.until_source("volume", LIMIT).await;
    let load = SteadyLoad::start(scene.stage.http(), HOST, 4);
    scene.until_source("names", LIMIT + SLACK).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    check_answers(&load.finish().await);
    proxy.drained().await.unwrap();
}

/// A table that takes longer to test than addresses may be unconfirmed, with either of the two that test it being the slow one.
async fn check_that_slow_is_not_silent(extension_is_slow: bool) {
    let scene = Scene::new(stage_or_skip!()).await;
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
    let scene = Scene::new(stage_or_skip!()).await;
    let extension = scene.stage.extension_that_is_slow(SLOW_HOST, 2);
    let proxy = scene.stage.proxy_that_is_slow(SLOW_HOST, 2 * SLOW);
    let _second = App::start_at("own", SocketAddr::from((SECOND, scene.port))).await;
    scene.stage.publish(scene.table_with(LIMIT, &[FIRST, SECOND]));
    scene.stage.until_answer(HOST, "own").await;
    scene.stage.publish(scene.slow_table(&[FIRST, SECOND]));
    // The proxy is at work on it.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let desired = scene.stage.publish(scene.slow_table(&[SECOND]));
    // Swarm keeps no address for a task that has ended; here it is given to somebody else as late as it may be used at most.
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
