//! The control plane falls silent, in every way in which it can: proxies go over to names before an address that nobody confirms
//! can lead to somebody else's application, without a lost request, and return when it speaks again.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use swarmgate::proxy::check;
use swarmgate::route::{Backend, BackendService, Endpoint, EngineSettings, PathRoute, RouteTable, VirtualHost};
use swarmgate::types::{ContextPath, HostPattern, Port, ServiceId, ServiceName, TaskId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::apps::App;
use crate::name_server::{Names, name_server};
use crate::ports;
use crate::stage::{Stage, cluster};
use crate::traffic::{SteadyLoad, Told};

const HOST: &str = "app.example.org";
/// How long the control plane may be silent on these stages: more than it is between two confirmations.
const LIMIT: Duration = Duration::from_secs(8);
/// What a switch and the looks before it may take beyond the limit, on a busy machine.
const SLACK: Duration = Duration::from_secs(8);
/// The address of the task that the control plane knows, and that of the one that comes later.
const FIRST: Ipv4Addr = Ipv4Addr::LOCALHOST;
const SECOND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A stage with a proxy that is served by the first task, and a name server that knows it.
struct Scene {
    stage: Stage,
    names: Names,
    port: u16,
    first: App,
}

impl Scene {
    async fn new(stage: Stage) -> Self {
        let (resolver, names) = name_server().await;
        let port = ports::free_port();
        let first = App::start_at("own", SocketAddr::from((FIRST, port))).await;
        names.lock().unwrap().extend(["tasks.app", "own-name"].map(|name| (name.to_owned(), FIRST)));
        Self { stage: stage.with_names(resolver, "own-name"), names, port, first }
    }

    fn table(&self, limit: Duration) -> RouteTable {
        let port = Port::new(self.port).unwrap();
        let endpoint = Endpoint { address: FIRST.into(), port, task: Some(TaskId("task-1".to_owned())), lasting: false };
        let service = BackendService::new(ServiceId("service".to_owned()), ServiceName::parse("app").unwrap(), port, vec![endpoint]);
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

    /// The task ends, another one of the service comes elsewhere, and a stranger gets the old address.
    async fn replace_task_by_stranger(&self) -> (App, App) {
        let second = App::start_at("own", SocketAddr::from((SECOND, self.port))).await;
        self.names.lock().unwrap().insert("tasks.app".to_owned(), SECOND);
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
        (second, App::start_at("a stranger", SocketAddr::from((FIRST, self.port))).await)
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
    assert_eq!((report.source.as_deref(), report.fallbacks), (Some("live"), 1));
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
    assert_eq!((report.source.as_deref(), report.fallbacks), (Some("names"), 1), "the operator hears of it");
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
