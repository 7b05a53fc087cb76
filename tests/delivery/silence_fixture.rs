//! A proxy that serves one task of a service, with a name server and a stranger, while the control plane falls silent: what the tests of
//! silence set up and check. A check must never pass without requests.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use swarmgate::proxy::check;
use swarmgate::route::{Backend, BackendService, Endpoint, EngineSettings, NginxSettings, PathRoute, RouteTable, VirtualHost};
use swarmgate::types::{ContextPath, HostPattern, NetworkName, Port, ServiceId, ServiceName, TaskId};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::name_server::{NameTable, name_server, task_id};
use crate::ports;
use crate::stage::{Stage, cluster};
use crate::tasks::{Extension, RunningProxy};
use crate::test_application::TestApplication;
use crate::traffic::{LoadOutcome, SteadyLoad};

pub const HOST: &str = "app.example.org";
/// How long the control plane may be silent on these stages. Longer than the interval between two confirmations.
pub const LIMIT: Duration = Duration::from_secs(8);
/// The extra time beyond the limit that a switch and the preceding checks may take on a busy machine.
pub const SLACK: Duration = Duration::from_secs(8);
/// The address of the task that the control plane knows, and below it that of its replacement.
pub const FIRST: Ipv4Addr = Ipv4Addr::LOCALHOST;
pub const SECOND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// The address of a foreign application.
pub const THIRD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// The name by which the engine asks for the service's tasks.
pub const TASKS: &str = "tasks.app.net";

/// A stage for a proxy that forwards to the first task, and a name server that knows this task.
pub struct SilenceFixture<'a> {
    pub stage: &'a mut Stage,
    pub names: NameTable,
    pub port: u16,
    pub first: TestApplication,
}

impl<'a> SilenceFixture<'a> {
    pub async fn new(stage: &'a mut Stage) -> Self {
        Self::with_answers_after(stage, Duration::ZERO).await
    }

    /// Like [`Self::new`], with a name server that delays each answer.
    pub async fn with_answers_after(stage: &'a mut Stage, time: Duration) -> Self {
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

    pub fn set_name(&self, name: &str, addresses: &[Ipv4Addr]) {
        self.names.lock().unwrap().insert(name.to_owned(), addresses.to_vec());
    }

    /// Makes a task of this service the only holder of the address.
    pub fn set_holder(&self, service: &str, address: Ipv4Addr) {
        let mut names = self.names.lock().unwrap();
        names.retain(|name, addresses| name.starts_with("tasks.") || !addresses.contains(&address));
        let number = usize::from(address.octets()[3]);
        names.insert(format!("{service}.{number}.{}.net", task_id(number)), vec![address]);
    }

    pub fn table(&self, limit: Duration) -> RouteTable {
        self.table_with(limit, &[FIRST])
    }

    pub fn table_with(&self, limit: Duration, addresses: &[Ipv4Addr]) -> RouteTable {
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

    pub async fn source(&self) -> String {
        let message = check(self.stage.health()).await.unwrap_or_default();
        message.split(['(', ')']).nth(1).unwrap_or_default().to_owned()
    }

    /// Waits until the agent reports this source; returns how long that took.
    pub async fn until_source(&self, source: &str, patience: Duration) -> Duration {
        let began = Instant::now();
        while self.source().await != source {
            assert!(began.elapsed() < patience, "after {patience:?}, the source is still {:?}", self.source().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        began.elapsed()
    }

    /// Starts an extension and a proxy with this limit, and waits until the task answers.
    pub async fn serve(&self, limit: Duration) -> (Extension, RunningProxy) {
        self.stage.serve(self.table(limit), HOST, self.first.name).await
    }

    /// The task ends, another task of the service starts elsewhere, and a stranger gets the old address.
    pub async fn replace_task_by_another_service(&self) -> (TestApplication, TestApplication) {
        let second = TestApplication::start_at("own", SocketAddr::from((SECOND, self.port))).await;
        self.set_name(TASKS, &[SECOND]);
        self.set_holder("app", SECOND);
        self.set_holder("evil", FIRST);
        (second, self.take_first_address().await)
    }

    /// The first task ends, and a stranger listens at its address.
    pub async fn take_first_address(&self) -> TestApplication {
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

    /// Checks that the proxy switches to names, and that only the service's own tasks answer while a stranger has the name as well.
    pub async fn check_silence_with_other_service(&self) {
        self.until_source("names", LIMIT + SLACK).await;
        self.check_answers_for(Duration::from_secs(4)).await;
    }

    /// Checks that every request is answered, and only by the service's own tasks.
    pub async fn check_answers_for(&self, time: Duration) {
        let load = SteadyLoad::start(self.stage.http(), HOST, 4);
        tokio::time::sleep(time).await;
        check_answers(&load.finish().await);
    }

    /// Checks that the proxy switches to names in time and without a lost request; the stranger that then gets the address
    /// never answers.
    pub async fn check_silence(&self) {
        let load = SteadyLoad::start(self.stage.http(), HOST, 4);
        let waited = self.until_source("names", LIMIT + SLACK).await;
        assert!(waited >= LIMIT / 4, "the proxy switched to names too early: {waited:?}");
        // By then the old workers have answered the requests on kept connections.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        check_answers(&load.finish().await);
        let (_second, _other_service) = self.replace_task_by_another_service().await;
        self.stage.until_answer(HOST, "own").await;
        let load = SteadyLoad::start(self.stage.http(), HOST, 4);
        tokio::time::sleep(Duration::from_secs(2)).await;
        check_answers(&load.finish().await);
    }
}

/// Checks that every request was answered, and only by the service's own tasks.
pub fn check_answers(outcome: &LoadOutcome) {
    assert!(outcome.answered > 100, "the load sent too few requests: {outcome:?}");
    assert_eq!((outcome.failed.len(), outcome.bodies.keys().map(String::as_str).collect::<Vec<_>>()), (0, vec!["own"]), "{outcome:?}");
}
