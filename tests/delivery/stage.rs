//! A stage: the operator hub, extension and agent of one cluster on free ports, with their own directory. A stage must never end
//! without draining its proxies and stopping its extensions.

#[path = "stage_engine.rs"]
mod stage_engine;
#[path = "stage_processes.rs"]
mod stage_processes;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use swarmgate::channel::Hub;
use swarmgate::pki::{Authority, ChannelIdentity, ChannelRole};
use swarmgate::protocol::messages::{Bundle, Delivery, Desired, ExtensionReport, PeerAddresses};
use swarmgate::protocol::{Bootstrap, bootstrap};
use swarmgate::proxy::{self, NameServer};
use swarmgate::render::Layout;
use swarmgate::route::RouteTable;
use swarmgate::types::Digest;
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::time::Instant;

pub use crate::nginx_binary::nginx;
pub use crate::operator_hub::cluster;
use crate::operator_hub::{OperatorEnd, token, token_text};
use crate::ports::free_port;
use crate::tasks::{Extension, RunningProxy, Tasks};
use crate::traffic;

/// The URL of a manager without an operator.
pub const NO_OPERATOR: &str = "https://127.0.0.1:9";
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `probe` returns a value.
pub async fn eventually<T>(what: &str, probe: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Runs a test on a stage of its own, then drains every proxy and stops every extension that is left, which must succeed. Returns
/// what the test returns, or `None` after skipping it because there is no engine.
pub fn on_stage<T>(test: impl AsyncFnOnce(&mut Stage) -> T) -> Option<T> {
    let nginx = nginx()?;
    log_on_failure();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut stage = Stage::new(nginx).await;
        let result = test(&mut stage).await;
        stage.tasks.end().await;
        Some(result)
    })
}

/// What extensions and proxies log belongs to the output of the test that runs them, which is shown if the test fails.
fn log_on_failure() {
    // All tests of this program share one subscriber, and one that searches the logs for keys has set its own before.
    let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_ansi(false).with_test_writer().try_init();
}

/// The operator hub of a cluster, and whatever a test starts beside it.
pub struct Stage {
    directory: TempDir,
    nginx: PathBuf,
    operator: OperatorEnd,
    ports: Ports,
    authority: Arc<Authority>,
    tasks: Tasks,
    names: Option<NameServer>,
}

struct Ports {
    operator: SocketAddr,
    extension: SocketAddr,
    /// Where a second extension listens.
    elsewhere: SocketAddr,
    health: SocketAddr,
    http: SocketAddr,
    https: SocketAddr,
    status: SocketAddr,
}

fn free_ports() -> Ports {
    let next = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let (operator, extension, elsewhere) = (next(), next(), next());
    Ports { operator, extension, elsewhere, health: next(), http: next(), https: next(), status: next() }
}

impl Stage {
    /// A stage with only an operator.
    async fn new(nginx: PathBuf) -> Self {
        let ports = free_ports();
        let directory = tempfile::tempdir().unwrap();
        // As root, the engine's workers run as another user and must be able to reach their directories.
        make_mode(directory.path(), 0o755);
        for name in ["volume", "extension-mounts", "proxy-mounts"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let authority = Arc::new(Authority::create(Timestamp::now()).unwrap());
        let operator = OperatorEnd::start(ports.operator, &authority).await;
        Self { directory, nginx, operator, ports, authority, tasks: Tasks::default(), names: None }
    }

    /// Puts a name server in place of Docker's, which knows this name.
    pub fn set_names(&mut self, docker: SocketAddr, known: &str) {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        self.names = Some(NameServer { listen, docker, known: known.to_owned() });
    }

    pub fn http(&self) -> SocketAddr {
        self.ports.http
    }

    pub fn https(&self) -> SocketAddr {
        self.ports.https
    }

    pub fn health(&self) -> SocketAddr {
        self.ports.health
    }

    pub fn run_dir(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    pub fn operator_url(&self) -> String {
        format!("https://{}", self.ports.operator)
    }

    pub fn extension_url(&self) -> String {
        format!("https://{}", self.ports.extension)
    }

    pub fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// The bootstrap data with which a task of this role starts.
    pub fn bootstrap(&self, role: ChannelRole) -> Bootstrap {
        Bootstrap { role, cluster: cluster(), token: token(role), root: self.authority.root().clone() }
    }

    /// The bootstrap data in the file that the task's service mounts.
    pub fn bootstrap_file(&self, role: ChannelRole) -> PathBuf {
        let path = self.path("token");
        let text = bootstrap::encode(role, &cluster(), &token_text(role), &self.authority.root_pem());
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The bundle, signed by an extension of the cluster with this generation.
    pub fn signed(&self, bundle: Bundle, generation: u64) -> Bundle {
        let now = Timestamp::now();
        let key = ChannelIdentity::issued_by(&self.authority, ChannelRole::Extension, &cluster(), "other", now).unwrap();
        bundle.signed(generation, &key.signer(), now)
    }

    pub fn publish(&self, table: RouteTable) -> Digest {
        self.publish_desired(Desired::new(Delivery::Live, table))
    }

    pub fn publish_desired(&self, desired: Desired) -> Digest {
        self.operator.publish(desired)
    }

    /// The operator's end of the channel.
    pub fn hub(&self) -> Hub {
        self.operator.hub()
    }

    pub fn report(&self) -> Option<ExtensionReport> {
        self.operator.report()
    }

    /// When the operator last accepted a report.
    pub fn reports_taken(&self) -> Timestamp {
        self.operator.reports_taken()
    }

    /// `Some` if the current report comes from this task and is later than `before`.
    pub fn task_reported_since(&self, task: &str, before: Timestamp) -> Option<()> {
        self.operator.task_reported_since(task, before)
    }

    /// The digest that the agent reports as running, in its displayed form.
    pub async fn running_config(&self) -> String {
        let message = proxy::check(self.health()).await.unwrap();
        message.split_whitespace().nth(1).unwrap_or_default().to_owned()
    }

    pub fn reloads(&self) -> u64 {
        self.report().and_then(|report| Some(report.proxies.first()?.reloads)).unwrap_or_default()
    }

    /// Waits until a report says that the proxy runs the configuration rendered from this.
    pub async fn until_running(&self, desired: &Digest) {
        eventually("the proxy runs the newest configuration", || self.runs(desired).then_some(())).await;
    }

    /// Whether the proxy reports that it runs the configuration rendered from this.
    pub fn runs(&self, desired: &Digest) -> bool {
        let Some(report) = self.report() else { return false };
        let accepted = report.accepted.filter(|accepted| accepted.desired_digest == *desired);
        let running = report.proxies.first().and_then(|proxy| proxy.running.as_ref());
        accepted.is_some_and(|accepted| running == Some(&accepted.config_digest))
    }

    pub async fn answer(&self, host: &str) -> Result<String, String> {
        traffic::get(self.http(), host, "/").await
    }

    pub async fn until_answer(&self, host: &str, body: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.answer(host).await;
            if answer.as_deref() == Ok(body) {
                return;
            }
            assert!(Instant::now() < deadline, "{host} never answered {body:?}; last: {answer:?}; report: {:?}", self.report());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Starts an extension and a proxy, publishes the table, and waits until the host answers with this body.
    pub async fn serve(&self, table: RouteTable, host: &str, body: &str) -> (Extension, RunningProxy) {
        let (extension, proxy) = (self.start_extension(), self.start_proxy());
        self.publish(table);
        self.until_answer(host, body).await;
        (extension, proxy)
    }

    /// From now on the operator's snapshots of the Swarm fail; it still answers requests.
    pub fn blind_operator(&self) {
        self.operator.blind();
    }

    pub async fn stop_operator(&mut self) {
        self.operator.stop().await;
    }

    pub async fn start_operator(&mut self) {
        self.operator = OperatorEnd::start(self.ports.operator, &self.authority).await;
    }

    /// The layout of this stage's proxy.
    pub fn layout(&self) -> Layout {
        let usual = Layout::default();
        let resolver = self.names.as_ref().map_or(usual.resolver, |names| names.listen);
        Layout { run_dir: leaked(&self.run_dir()), status_port: self.ports.status.port(), resolver, ..usual }
    }

    /// The path of a file of this stage.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Whether the agent reports within `patience` that it serves.
    pub async fn becomes_healthy(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if proxy::check(self.health()).await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    /// Announces the extension at its usual address, or at the other one.
    pub fn publish_peers(&self, usual: bool) {
        let extension = if usual { self.ports.extension } else { self.ports.elsewhere };
        let peers = PeerAddresses::new(vec![NO_OPERATOR.to_owned(), self.operator_url()], vec![format!("https://{extension}")]);
        self.operator.hub().publish_peers(&cluster(), peers);
    }

    pub fn write_boot_file(&self, bundle: &Bundle) {
        std::fs::write(self.boot_file(), serde_json::to_vec(bundle).unwrap()).unwrap();
    }

    /// `Some` once the agent has saved its state.
    pub fn saved_state(&self) -> Option<()> {
        self.volume().join("last-good.json").exists().then_some(())
    }

    #[expect(clippy::disallowed_methods, reason = "file times are system times")]
    pub fn age_saved_state(&self, age: Duration) {
        let file = std::fs::File::options().write(true).open(self.volume().join("last-good.json")).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    fn volume(&self) -> PathBuf {
        self.directory.path().join("volume")
    }

    fn boot_file(&self) -> PathBuf {
        self.directory.path().join("boot.json")
    }
}

/// Leaks the path, because layouts hold static text; the memory is freed with the test's process.
fn leaked(path: &Path) -> &'static str {
    Box::leak(path.to_str().unwrap().to_owned().into_boxed_str())
}

fn make_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
