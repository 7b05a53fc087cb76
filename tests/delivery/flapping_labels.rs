//! A neighbour that changes labels 222 times a minute: the operator's real passes over a simulated Swarm, a real extension, and
//! a real proxy with the real engine. `cargo test --test delivery flapping -- --nocapture` prints the figures of
//! docs/measurements.md.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use swarmgate::channel::{Hub, Moment, Received};
use swarmgate::controller::context::{Context, ExtensionChannel};
use swarmgate::controller::label_damping::LabelDamping;
use swarmgate::controller::reconcile_pass::{ClusterState, PassRequest, pass};
use swarmgate::controller::snapshot_cache::ObservedSnapshot;
use swarmgate::declaration::Declared;
use swarmgate::intent::documents::SourceFile;
use swarmgate::protocol::messages::{Desired, PeerAddresses};
use swarmgate::protocol::{AdmittedTasks, ChannelMode};
use swarmgate::simulator::{SimOptions, SimSwarm};
use swarmgate::swarm::{Snapshot, Swarm as _};
use swarmgate::types::ClusterName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::operator_hub::admission;
use crate::stage::{Stage, cluster, on_stage};

/// 222 updates a minute.
const FLAP: Duration = Duration::from_millis(270);
/// The shortest interval between two of the operator's snapshots, while events keep arriving.
const PASSES: Duration = Duration::from_millis(100);
const CHANGES: usize = 6;

/// The operator's end of a stage's channel: publishes the results of passes to the tasks of the stage.
struct StageChannel {
    hub: Hub,
    admission: AdmittedTasks,
}

impl ExtensionChannel for StageChannel {
    fn publish(&self, cluster: &ClusterName, desired: Desired, _: AdmittedTasks, observed_at: Moment) {
        self.hub.publish(cluster, desired, self.admission.clone(), observed_at);
    }
    fn admit(&self, cluster: &ClusterName, _: AdmittedTasks) {
        self.hub.admit(cluster, self.admission.clone());
    }
    fn publish_peers(&self, _: &ClusterName, _: PeerAddresses) {}
    fn report(&self, cluster: &ClusterName) -> Option<Received> {
        self.hub.report(cluster)
    }
    fn retire(&self, _: &ClusterName) {}
}

/// The outcome of a phase.
#[derive(Debug)]
struct PhaseOutcome {
    /// The time from a label's change to the first answer that shows it.
    served_after: Vec<Duration>,
    reloads: u64,
    took: Duration,
}

impl PhaseOutcome {
    fn median(&self) -> Duration {
        let mut times = self.served_after.clone();
        times.sort();
        times[times.len() / 2]
    }

    fn reloads_a_minute(&self) -> u64 {
        self.reloads * 60 / self.took.as_secs().max(1)
    }
}

fn document(stage: &Stage, burst: u32) -> Arc<Declared> {
    let text = format!(
        "apiVersion: swarmgate/v1\nkind: ServiceCluster\nmetadata: {{name: dev}}\nspec:\n  engine: nginx\n  extension: {{image: i}}\n  \
         settings: {{accessLog: false}}\n  limits: {{service: {{labelUpdates: {{burst: {burst}}}}}}}\n  \
         proxy:\n    image: i\n    publish:\n      mode: ingress\n      http: {{published: 80, target: {}}}\n",
        stage.http().port()
    );
    let declared = Declared::default().after(&[SourceFile::new("spec.yaml", text)]);
    assert_eq!(declared.findings, []);
    Arc::new(declared)
}

/// Publishes a service whose only answer is a redirect to this host, so it needs no task.
fn publish(swarm: &SimSwarm, name: &str, target: &str) {
    let labels = json!({
        "com.docker.lb.hosts": format!("{name}.test"), "com.docker.lb.port": "80",
        "com.docker.lb.redirects": format!("http://{name}.test,https://{target}"),
    });
    if swarm.user_edits_service(name, |spec| spec["Labels"] = labels.clone()).is_err() {
        let container = json!({"ContainerSpec": {"Image": "app:1"}, "Networks": [{"Target": "net"}]});
        let spec = json!({"Name": name, "Labels": labels, "Mode": {"Replicated": {"Replicas": 0}}, "TaskTemplate": container});
        swarm.user_creates_service(&spec).unwrap();
    }
}

/// Runs pass after pass, like an operator whose Swarm keeps sending events.
async fn operate(context: Context, swarm: SimSwarm, declared: Arc<Declared>, stop: CancellationToken) {
    let (name, mut memory, mut damping) = (cluster(), ClusterState::default(), LabelDamping::default());
    while !stop.is_cancelled() {
        let observed_at = Moment::now();
        let snapshot = Snapshot::from_raw(&swarm.observe().await.unwrap()).map(Arc::new).map_err(|error| error.to_string());
        let now = jiff::Timestamp::now();
        let observed = snapshot.map(|snapshot| ObservedSnapshot::after(&mut damping, &declared, snapshot, now, observed_at));
        let request = PassRequest { declared: declared.clone(), name: name.clone(), may_write: false, now };
        pass(&context, &request, observed, &mut memory).await;
        tokio::time::sleep(PASSES).await;
    }
}

async fn flap(swarm: SimSwarm, stop: CancellationToken) {
    for number in 0.. {
        if stop.is_cancelled() {
            return;
        }
        publish(&swarm, "flappy", &format!("t{number}.test"));
        tokio::time::sleep(FLAP).await;
    }
}

/// The head of the answer for a host.
async fn head(stage: &Stage, host: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(stage.http()).await else { return String::new() };
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    if stream.write_all(request.as_bytes()).await.is_ok() {
        let _ = stream.read_to_end(&mut answer).await;
    }
    String::from_utf8_lossy(&answer).into_owned()
}

async fn until_redirected(stage: &Stage, name: &str, target: &str) -> Duration {
    let since = Instant::now();
    while !head(stage, &format!("{name}.test")).await.contains(&format!("https://{target}/")) {
        assert!(since.elapsed() < Duration::from_secs(20), "{name} never redirected to {target}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    since.elapsed()
}

/// Changes a calm service's label now and then, and measures how soon each change is served.
async fn changes(stage: &Stage, swarm: &SimSwarm, round: &str) -> PhaseOutcome {
    let (since, reloads) = (Instant::now(), stage.reloads());
    let mut served_after = Vec::new();
    for number in 0..CHANGES {
        let target = format!("{round}{number}.test");
        publish(swarm, "calm", &target);
        served_after.push(until_redirected(stage, "calm", &target).await);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    PhaseOutcome { served_after, reloads: stage.reloads() - reloads, took: since.elapsed() }
}

/// The times and reloads of a calm service, alone and beside a flapping neighbour with this allowance of changes.
async fn beside_a_flapping_neighbour(stage: &Stage, burst: u32) -> (PhaseOutcome, PhaseOutcome) {
    let swarm = SimSwarm::new(SimOptions::default());
    swarm.user_creates_network(&json!({"Name": "net", "Driver": "overlay"})).unwrap();
    publish(&swarm, "calm", "before.test");
    publish(&swarm, "flappy", "before.test");
    stage.start_extension();
    stage.start_proxy();
    let (extensions, seals) = (StageChannel { hub: stage.hub(), admission: admission() }, stage.authority().seals());
    let context = Context {
        swarm: Arc::new(swarm.clone()),
        extensions: Arc::new(extensions),
        instance: "swarmgate".to_owned(),
        own_service: None,
        channel: ChannelMode::Overlay { network: "control".to_owned(), encrypted: false, operator_url: stage.operator_url() },
        seals,
        secrets: Arc::new(swarmgate::controller::context::no_secrets),
        writes: Arc::default(),
    };
    let stop = CancellationToken::new();
    let operator = tokio::spawn(operate(context, swarm.clone(), document(stage, burst), stop.clone()));
    until_redirected(stage, "calm", "before.test").await;
    let alone = changes(stage, &swarm, "alone").await;
    let flapping = tokio::spawn(flap(swarm.clone(), stop.clone()));
    // By then the bounded neighbour is held back.
    tokio::time::sleep(Duration::from_secs(9)).await;
    let beside = changes(stage, &swarm, "beside").await;
    stop.cancel();
    flapping.await.unwrap();
    operator.await.unwrap();
    let summary = format!(
        "allowance {burst}: alone {:?} (most {:?}), beside a flapping neighbour {:?} (most {:?}), {} reloads a minute\n",
        alone.median(),
        alone.served_after.iter().max().unwrap(),
        beside.median(),
        beside.served_after.iter().max().unwrap(),
        beside.reloads_a_minute()
    );
    let _ = std::io::stdout().write_all(summary.as_bytes());
    (alone, beside)
}

#[test]
fn a_flapping_neighbour_causes_no_reloads_and_no_delays() {
    let Some((alone, beside)) = on_stage(async |stage| beside_a_flapping_neighbour(stage, 20).await) else { return };
    // Each change of the calm service causes one reload, and nothing else does.
    assert!(beside.reloads <= CHANGES as u64 + 1, "{beside:?}");
    assert!(beside.median() < alone.median() * 3 + Duration::from_millis(500), "{alone:?} {beside:?}");
    // The measurement can fail: without a bound, the neighbour causes the reloads.
    let (_, unbounded) = on_stage(async |stage| beside_a_flapping_neighbour(stage, 100_000).await).unwrap();
    assert!(unbounded.reloads > 2 * beside.reloads, "{beside:?} {unbounded:?}");
}
