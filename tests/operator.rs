//! The whole operator in this process: the loop, the files and both servers, over a simulated Swarm. `convergence` tests what
//! individual passes do; this file tests that they run and that everything is reported.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot start its subject has failed")]

#[path = "support/ports.rs"]
mod ports;
#[path = "operator/status_port.rs"]
mod status_port;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ports::free_port;
use serde_json::{Value, json};
use swarmgate::controller::options::{OperatorOptions, StatusPort};
use swarmgate::controller::{RunError, run};
use swarmgate::explain::Explanation;
use swarmgate::pki::Authority;
use swarmgate::protocol::ChannelMode;
use swarmgate::report::{ConditionReason, FindingCode, StatusReport, Subject};
use swarmgate::simulator::{SimOptions, SimSwarm};
use swarmgate::swarm::{RawSnapshot, Snapshot};
use tokio::runtime::Builder;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const DOCUMENT: &str = "apiVersion: swarmgate/v1
kind: ServiceCluster
metadata: {name: default}
spec:
  engine: nginx
  extension: {image: proxy}
  proxy: {image: proxy}
";
/// No condition takes longer than this on any machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn authority() -> Arc<Authority> {
    Arc::new(Authority::create(jiff::Timestamp::now()).unwrap())
}

/// Runs a test beside an operator, then stops the operator, which must succeed.
fn with_operator(test: impl AsyncFnOnce(&RunningOperator)) {
    with_operator_as(DOCUMENT, |_| {}, test);
}

/// Like [`with_operator`], with this document and these options.
fn with_operator_as(document: &str, set: impl FnOnce(&mut OperatorOptions), test: impl AsyncFnOnce(&RunningOperator)) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let scene = RunningOperator::start(document, set);
        test(&scene).await;
        scene.end().await;
    });
}

/// A running operator and its environment.
struct RunningOperator {
    swarm: SimSwarm,
    folder: tempfile::TempDir,
    status: SocketAddr,
    stop: CancellationToken,
    operator: JoinHandle<Result<(), RunError>>,
}

impl RunningOperator {
    fn start(document: &str, set: impl FnOnce(&mut OperatorOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("default.yaml"), document).unwrap();
        let swarm = SimSwarm::new(SimOptions::default());
        let (status, stop) = (free_address(), CancellationToken::new());
        let mut settings = settings(folder.path(), status, free_address());
        set(&mut settings);
        let operator = tokio::spawn(run(Arc::new(swarm.clone()), authority(), settings, None, stop.clone()));
        Self { swarm, folder, status, stop, operator }
    }

    async fn get(&self, path: &str) -> Option<(u16, String)> {
        let answer = reqwest::get(format!("http://{}{path}", self.status)).await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    async fn status(&self) -> Option<StatusReport> {
        serde_json::from_str(&self.get("/status").await?.1).ok()
    }

    /// Waits until the status satisfies `wanted`, while time also passes in the simulated world.
    async fn until(&self, what: &str, wanted: impl Fn(&StatusReport) -> bool) -> StatusReport {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut last = None;
        while tokio::time::Instant::now() < deadline {
            last = self.status().await;
            if let Some(status) = last.as_ref().filter(|status| wanted(status)) {
                return status.clone();
            }
            self.swarm.advance(Duration::from_millis(50));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("timed out waiting for {what}\n{last:#?}");
    }

    async fn end(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(3), self.operator).await;
        assert!(ended.is_ok_and(|ended| ended.is_ok_and(|ended| ended.is_ok())), "the operator did not stop cleanly");
    }
}

fn free_address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()))
}

fn settings(folder: &Path, listen: SocketAddr, channel_listen: SocketAddr) -> OperatorOptions {
    OperatorOptions {
        instance: "swarmgate".to_owned(),
        own_service: None,
        spec: vec![folder.to_owned()],
        channel: ChannelMode::Overlay {
            encrypted: false,
            network: "swarmgate-control".to_owned(),
            operator_url: "http://swarmgate-operator:8081".to_owned(),
        },
        listen,
        status: StatusPort::default(),
        channel_listen,
        poll_interval: Duration::from_millis(200),
        task_poll_interval: Duration::from_millis(100),
        task_poll_interval_fast: Duration::from_millis(20),
        task_poll_interval_idle: Duration::from_millis(500),
        spec_interval: Duration::from_millis(500),
        query_interval: Duration::from_millis(20),
        debounce: Duration::from_millis(20),
        debounce_max: Duration::from_millis(100),
    }
}

fn application(swarm: &SimSwarm) {
    let network = swarm.user_creates_network(&json!({"Name": "apps", "Driver": "overlay"})).unwrap();
    let spec = json!({
        "Name": "web",
        "Labels": {"com.docker.lb.hosts": "web.example.org", "com.docker.lb.port": "8080"},
        "TaskTemplate": {"ContainerSpec": {"Image": "app", "Env": ["PASSWORD=hunter2"]}, "Networks": [{"Target": network.0}]},
        "Mode": {"Replicated": {"Replicas": 2}},
    });
    swarm.user_creates_service(&spec).unwrap();
}

fn has_route(status: &StatusReport) -> bool {
    status.clusters.get("default").is_some_and(|cluster| cluster.routes.iter().any(|route| route.host.as_str() == "web.example.org"))
}

#[test]
fn a_declared_cluster_gets_an_extension_and_a_labelled_service_a_route() {
    with_operator(async |scene| {
        application(&scene.swarm);
        let status = scene.until("a route and an extension", |status| has_route(status) && status.operator.writes_total >= 3).await;
        assert!(status.operator.snapshot_error.is_none());
        assert_eq!(scene.get("/readyz").await.unwrap().0, 200);
        assert_eq!(scene.get("/healthz").await.unwrap().0, 200);
        let (code, page) = scene.get("/").await.unwrap();
        assert!(code == 200 && page.contains("web.example.org"), "{page}");
        let plan: Value = serde_json::from_str(&scene.get("/plan?output=json").await.unwrap().1).unwrap();
        assert_eq!(plan["clusters"][0]["cluster"], "default");
    });
}

#[test]
fn the_status_api_answers_without_showing_secrets() {
    with_operator(async |scene| {
        application(&scene.swarm);
        scene.until("a route", has_route).await;
        let explanation = scene.get("/explain?url=http://web.example.org/x&output=json").await.unwrap().1;
        let explanation: Explanation = serde_json::from_str(&explanation).unwrap();
        assert_eq!(explanation.clusters[0].route.as_ref().unwrap().services[0].service, "web", "{explanation}");
        let (code, text) = scene.get("/explain?service=web").await.unwrap();
        assert!(code == 200 && text.contains("com.docker.lb.port = 8080"), "{text}");
        for (path, expected) in [
            ("/explain", 400),
            ("/explain?url=nonsense://x", 400),
            ("/explain?service=nobody", 404),
            ("/explain?url=http://web.example.org/&cluster=nobody", 404),
            ("/render?purpose=odd", 400),
            ("/render?cluster=nobody", 404),
        ] {
            let (code, text) = scene.get(path).await.unwrap();
            assert_eq!(code, expected, "{path}: {text}");
        }
        let (code, text) = scene.get("/render").await.unwrap();
        assert!(code == 200 && text.contains("server_name web.example.org;"), "{text}");
        let (code, text) = scene.get("/snapshot").await.unwrap();
        let raw: RawSnapshot = serde_json::from_str(&text).unwrap();
        assert!(
            code == 200 && !text.contains("hunter2") && Snapshot::from_raw(&raw).is_ok_and(|snapshot| snapshot.services.len() >= 2),
            "{text}"
        );
    });
}

/// While a service flaps, all three ways of asking give the configuration that proxies get, with the reason.
#[test]
fn explanations_of_a_flapping_service_use_the_labels_in_use() {
    with_operator(async |scene| {
        application(&scene.swarm);
        scene.until("a route", has_route).await;
        let flaps =
            |status: &StatusReport| status.clusters["default"].findings.iter().any(|finding| finding.code == FindingCode::LabelsFlapping);
        let number = std::cell::Cell::new(0);
        let status = scene.until("the service is held", |status| {
            number.set(number.get() + 1);
            let host = format!("web{}.example.org", number.get());
            scene.swarm.user_edits_service("web", |spec| spec["Labels"]["com.docker.lb.hosts"] = json!(host)).unwrap();
            flaps(status)
        });
        let published = status.await.clusters["default"].routes[0].host.to_string();
        let now = format!("web{}.example.org", number.get());
        assert_ne!(published, now);
        let (_, text) = scene.get("/explain?service=web").await.unwrap();
        for expected in [
            "  held       the labels change too often: their current values take effect at ",
            &format!("com.docker.lb.hosts = {published}\n      publishes {published}"),
            &format!("com.docker.lb.hosts = {now}\n      held back: the value above is used"),
            "warning LabelsFlapping",
        ] {
            assert!(text.contains(expected), "{expected:?} is not in {text}");
        }
        let (_, text) = scene.get(&format!("/explain?url=http://{published}/")).await.unwrap();
        assert!(text.contains("  held       web: the labels change too often") && text.contains("LabelsFlapping"), "{text}");
        let (_, text) = scene.get(&format!("/explain?url=http://{now}/")).await.unwrap();
        assert!(text.contains(&format!("service web requests {now}: the labels change too often")), "{text}");
        let (_, text) = scene.get("/render").await.unwrap();
        assert!(text.contains(&format!("server_name {published};")) && !text.contains(&now), "{text}");
        let (_, text) = scene.get("/plan").await.unwrap();
        assert!(text.contains("LabelsFlapping"), "{text}");
    });
}

#[test]
fn an_unchanged_swarm_is_observed_but_not_written() {
    with_operator(async |scene| {
        scene.until("the first writes", |status| status.operator.writes_total >= 3).await;
        scene.swarm.settle(Duration::from_secs(60));
        let before =
            scene.until("a running extension", |status| status.clusters["default"].rollouts.iter().any(|rollout| rollout.running == 1));
        let before = before.await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let after = scene.status().await.unwrap();
        assert!(after.operator.last_snapshot_at >= before.operator.last_snapshot_at);
        assert_eq!(after.operator.writes_total, before.operator.writes_total, "{:?}", scene.swarm.writes());
    });
}

#[test]
fn an_unreadable_swarm_removes_no_route_and_is_reported() {
    with_operator(async |scene| {
        application(&scene.swarm);
        scene.until("a route", has_route).await;
        scene.swarm.cut_off_after(0);
        let blind =
            scene.until("the error", |status| status.operator.snapshot_error.is_some() && status.clusters["default"].error.is_some());
        assert!(has_route(&blind.await));
        scene.swarm.reconnect();
        scene.until("sight again", |status| status.operator.snapshot_error.is_none() && status.clusters["default"].error.is_none()).await;
    });
}

#[test]
fn an_invalid_document_keeps_its_last_good_version_until_it_is_fixed() {
    with_operator(async |scene| {
        scene
            .until("the first pass", |status| status.clusters.get("default").is_some_and(|cluster| cluster.observed_generation == 1))
            .await;
        let file = scene.folder.path().join("default.yaml");
        std::fs::write(&file, DOCUMENT.replace("nginx", "apache")).unwrap();
        let status = scene.until("the mistake", |status| status.clusters["default"].generation == 2 && !status.findings.is_empty()).await;
        let accepted = status.clusters["default"].conditions.iter().find(|condition| condition.kind.as_str() == "Accepted").unwrap();
        assert_eq!(accepted.reason, ConditionReason::InvalidDocument);
        std::fs::write(&file, DOCUMENT).unwrap();
        scene.until("the repaired document", |status| status.clusters["default"].observed_generation == 3).await;
        let second = DOCUMENT.replace("name: default", "name: dev").replace("  engine", "  serviceCluster: dev\n  engine");
        let second = format!("{second}  # another port\n")
            .replace("  proxy: {image: proxy}", "  proxy: {image: proxy, publish: {mode: ingress, http: {published: 8081, target: 80}}}");
        std::fs::write(scene.folder.path().join("dev.yaml"), second).unwrap();
        scene
            .until("the second cluster", |status| status.clusters.get("dev").is_some_and(|cluster| cluster.observed_generation == 1))
            .await;
        std::fs::remove_file(scene.folder.path().join("dev.yaml")).unwrap();
        scene.until("its removal", |status| !status.clusters.contains_key("dev")).await;
    });
}

#[test]
fn an_initially_invalid_document_is_reported_with_its_waiting_services() {
    let document = DOCUMENT.replace("nginx", "apache");
    with_operator_as(
        &document,
        |_| {},
        async |scene| {
            application(&scene.swarm);
            let about = |status: &StatusReport| {
                let about_web = status.findings.iter().filter(|finding| finding.subject == Subject::Service("web".to_owned()));
                about_web.map(|finding| finding.code.clone()).collect::<Vec<_>>()
            };
            let status = scene
                .until("the cluster and a finding about the service", |status| {
                    status.clusters.contains_key("default") && !about(status).is_empty()
                })
                .await;
            assert_eq!(about(&status), [FindingCode::ClusterNotInForce], "not the finding for an undeclared cluster");
            for condition in &status.clusters["default"].conditions {
                assert_eq!(condition.reason, ConditionReason::InvalidDocument, "{condition:?}");
            }
            std::fs::write(scene.folder.path().join("default.yaml"), DOCUMENT).unwrap();
            scene.until("the repaired document", |status| has_route(status) && about(status).is_empty()).await;
        },
    );
}
