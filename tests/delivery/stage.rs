//! A stage: the operator hub, extension and agent of one cluster on free ports, with their own directory. A stage must never end
//! without draining its proxies and stopping its extensions.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use swarmgate::channel::Hub;
use swarmgate::extension::{self, ExtensionOptions};
use swarmgate::pki::{Authority, ChannelIdentity, ChannelRole};
use swarmgate::protocol::messages::{Bundle, Delivery, Desired, ExtensionReport, PeerAddresses};
use swarmgate::protocol::{Bootstrap, bootstrap};
use swarmgate::proxy::{self, Follow, NameServer, ProxyOptions};
use swarmgate::render::Layout;
use swarmgate::route::RouteTable;
use swarmgate::types::{Digest, EngineKind};
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

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
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut stage = Stage::new(nginx).await;
        let result = test(&mut stage).await;
        stage.tasks.end().await;
        Some(result)
    })
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
        let words = proxy::check(self.health()).await.unwrap();
        words.split_whitespace().nth(1).unwrap_or_default().to_owned()
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

    /// From now on the operator's looks at the Swarm fail; it still answers requests.
    pub fn blind_operator(&self) {
        self.operator.blind();
    }

    pub async fn stop_operator(&mut self) {
        self.operator.stop().await;
    }

    pub async fn start_operator(&mut self) {
        self.operator = OperatorEnd::start(self.ports.operator, &self.authority).await;
    }

    pub fn start_extension(&self) -> Extension {
        self.start_extension_with(self.nginx.clone())
    }

    /// An extension whose engine gets an unknown directive in every configuration that contains this pattern: the renderer
    /// itself writes nothing that nginx refuses.
    pub fn start_spoiling_extension(&self, pattern: &str) -> Extension {
        let script = self.directory.path().join("spoiling-nginx");
        let spoil = format!("if grep -q '{pattern}' \"$4\" 2>/dev/null; then echo 'spoilt on;' >> \"$4\"; fi");
        std::fs::write(&script, format!("#!/bin/sh\n{spoil}\nexec {} \"$@\"\n", self.nginx.display())).unwrap();
        make_mode(&script, 0o755);
        self.start_extension_with(script)
    }

    /// An engine that takes this many seconds to test each configuration that contains the pattern.
    fn slow_engine(&self, name: &str, pattern: &str, seconds: u64) -> PathBuf {
        let script = self.directory.path().join(name);
        let slow = format!("case \" $* \" in *' -t '*) if grep -q '{pattern}' \"$4\" 2>/dev/null; then sleep {seconds}; fi;; esac");
        std::fs::write(&script, format!("#!/bin/sh\n{slow}\nexec {} \"$@\"\n", self.nginx.display())).unwrap();
        make_mode(&script, 0o755);
        script
    }

    /// An extension whose engine takes this many seconds to test each configuration that contains the pattern.
    pub fn start_slow_extension(&self, pattern: &str, seconds: u64) -> Extension {
        self.start_extension_with(self.slow_engine("slow-nginx", pattern, seconds))
    }

    /// A proxy whose engine takes this many seconds to test each configuration that contains the pattern.
    pub fn start_slow_proxy(&self, pattern: &str, seconds: u64) -> RunningProxy {
        let engine = self.slow_engine("slow-proxy-nginx", pattern, seconds);
        self.start_proxy_with(engine, Follow::Extension(self.extension_url()), &self.operator_url())
    }

    /// An extension whose engine can be removed ([`Stage::take_engine`]) and restored.
    pub fn start_extension_with_own_engine(&self) -> Extension {
        self.give_engine_back();
        self.start_extension_with(self.path("own-nginx"))
    }

    pub fn take_engine(&self) {
        std::fs::remove_file(self.path("own-nginx")).unwrap();
    }

    pub fn give_engine_back(&self) {
        std::os::unix::fs::symlink(&self.nginx, self.path("own-nginx")).unwrap();
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

    /// An extension at a different address from that of [`Stage::start_extension`].
    pub fn start_extension_elsewhere(&self) -> Extension {
        self.start_extension_at(self.ports.elsewhere, self.nginx.clone())
    }

    fn start_extension_with(&self, engine: PathBuf) -> Extension {
        self.start_extension_at(self.ports.extension, engine)
    }

    fn start_extension_at(&self, listen: SocketAddr, engine: PathBuf) -> Extension {
        let stop = CancellationToken::new();
        let options = ExtensionOptions {
            engine_kind: EngineKind::Nginx,
            cluster: cluster(),
            task: "extension".to_owned(),
            operator_url: self.operator_url(),
            ask_for_peers: false,
            bootstrap: self.bootstrap(ChannelRole::Extension),
            engine,
            run_dir: self.run_dir(),
            listen,
            layout: self.layout(),
            material_dir: self.path("extension-mounts"),
        };
        let task = tokio::spawn(extension::run(options, stop.clone()));
        self.tasks.add_extension(Extension::new(stop, task))
    }

    /// Announces the extension at its usual address, or at the other one.
    pub fn publish_peers(&self, usual: bool) {
        let extension = if usual { self.ports.extension } else { self.ports.elsewhere };
        let peers = PeerAddresses::new(vec![NO_OPERATOR.to_owned(), self.operator_url()], vec![format!("https://{extension}")]);
        self.operator.hub().publish_peers(&cluster(), peers);
    }

    pub fn start_proxy(&self) -> RunningProxy {
        self.start_proxy_that_follows(Follow::Extension(self.extension_url()), &self.operator_url())
    }

    /// A proxy that knows only these managers.
    pub fn start_proxy_that_knows_operators(&self, operators: &str) -> RunningProxy {
        self.start_proxy_that_follows(Follow::Operator, operators)
    }

    /// A proxy that knows these operators, and this address as that of its extension.
    pub fn start_proxy_that_knows(&self, extension: &str, operators: &str) -> RunningProxy {
        self.start_proxy_that_follows(Follow::Extension(extension.to_owned()), operators)
    }

    fn start_proxy_that_follows(&self, follow: Follow, operators: &str) -> RunningProxy {
        self.start_proxy_with(self.nginx.clone(), follow, operators)
    }

    fn start_proxy_with(&self, engine: PathBuf, follow: Follow, operators: &str) -> RunningProxy {
        let options = ProxyOptions {
            engine_kind: EngineKind::Nginx,
            cluster: cluster(),
            task: "proxy-task".to_owned(),
            node: "node-1".to_owned(),
            operator_url: operators.to_owned(),
            follow,
            bootstrap: self.bootstrap(ChannelRole::Proxy),
            engine,
            run_dir: self.run_dir(),
            state_dir: self.volume(),
            boot_file: self.boot_file(),
            material_dir: self.path("proxy-mounts"),
            health: self.ports.health,
            new_networks: None,
            names: self.names.clone(),
            reload_distance: Duration::from_millis(300),
        };
        let (signals, receiver) = mpsc::channel(4);
        let task = tokio::spawn(async move {
            let ended = Box::pin(proxy::run(options, receiver)).await;
            if let Err(error) = &ended {
                eprintln!("the agent has ended: {error:?}");
            }
            ended
        });
        self.tasks.add_proxy(RunningProxy::new(signals, task))
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

    /// Whether a worker of the engine has a file open below this directory of the stage.
    pub fn engine_writes_to(&self, directory: &str) -> bool {
        let master: i32 = std::fs::read_to_string(self.run_dir().join("nginx.pid")).unwrap().trim().parse().unwrap();
        let workers = std::fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap();
        let files = workers.split_whitespace().flat_map(|pid| std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten());
        let directory = self.path(directory);
        files.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|file| file.starts_with(&directory))
    }

    pub fn kill_engine(&self) {
        let pid = std::fs::read_to_string(self.run_dir().join("nginx.pid")).unwrap().trim().parse().unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    }

    pub fn port_is_free(&self) -> bool {
        TcpListener::bind(self.http()).is_ok()
    }

    fn volume(&self) -> PathBuf {
        self.directory.path().join("volume")
    }

    fn boot_file(&self) -> PathBuf {
        self.directory.path().join("boot.json")
    }
}

/// Ends the engine that a failed test leaves behind, because nothing drains it.
impl Drop for Stage {
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(self.run_dir().join("nginx.pid")).ok().and_then(|text| text.trim().parse().ok());
        if let Some(pid) = pid {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM);
            let deadline = Instant::now() + Duration::from_secs(2);
            while !self.port_is_free() && Instant::now() < deadline {
                std::thread::yield_now();
            }
        }
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
