//! The agent in the proxy container (PID 1): fetch, test, swap, apply, verify, report. It fails static: whatever happens to the
//! extension, the operator or the volume, the engine keeps running the last good configuration. Never uses the Docker API, and
//! knows no engine.

mod address_owner;
mod apply;
mod candidate;
mod channel_connections;
mod config_directory;
mod departed_endpoints;
mod dns_bootstrap;
mod dns_handover;
mod dns_server;
mod docker_dns;
mod endpoint_expiry;
#[cfg(test)]
mod fake_engine;
mod fallback_config;
mod file_limits;
mod follow;
mod health;
mod last_good_state;
mod mounted_snapshot;
mod network_readiness;
mod proxy_report;
mod reload_reason;
mod request_body_storage;
mod secret_files;
mod startup;
mod supervisor;
mod unresolved_names;
mod worker_monitor;
mod worker_retirement;
mod zombie_reaper;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::channel::{ClientError, ContentAges};
use crate::http_server::{ServerLimits, serve};
use crate::pki::TrustRoot;
use crate::protocol::agent_settings::AgentSettings;
use crate::protocol::messages::{AppliedBy, ConfigRejection, EngineLoad, ProxyConfig};
use crate::protocol::{Bootstrap, NewNetworks};
use crate::runtime::{Engine, EngineError};
use crate::types::{ClusterName, ConfigSource, Digest, EngineKind};
use config_directory::ConfigDirectories;
use departed_endpoints::DepartedEndpoints;
use fallback_config::FallbackConfig;
use last_good_state::StateVolume;

pub use dns_server::NameServer;
pub use health::{HealthError, check};

/// The options of an agent.
#[derive(Debug, Clone)]
pub struct ProxyOptions {
    /// The cluster whose configurations it runs; it refuses those of other clusters.
    pub cluster: ClusterName,
    /// Its Swarm task id.
    pub task: String,
    /// Its node's host name.
    pub node: String,
    /// The operator's channel: `https://HOST:PORT`, several of them comma-separated. It issues this proxy's certificates.
    pub operator_url: String,
    /// How to find the extension.
    pub follow: Follow,
    /// The operator's authority, and the token for the first certificate.
    pub bootstrap: Bootstrap,
    /// The engine that it runs; it refuses configurations for others.
    pub engine_kind: EngineKind,
    /// The engine's program.
    pub engine: PathBuf,
    /// Memory-backed directory for configurations and the engine's own files.
    pub run_dir: PathBuf,
    /// The volume with the last good state; may be missing or read-only.
    pub state_dir: PathBuf,
    /// The mounted boot snapshot; may be missing.
    pub boot_file: PathBuf,
    /// Where the secrets of the boot snapshot are mounted, each under its id; may be missing.
    pub material_dir: PathBuf,
    /// The address that serves `/healthz`.
    pub health: SocketAddr,
    /// The networks that are new to it, if it starts during the rollout that adds them.
    pub new_networks: Option<NewNetworks>,
    /// The name server for the engine; `None` if the engine queries another one.
    pub names: Option<NameServer>,
    /// The least time between two reloads. Changes that arrive earlier are applied together.
    pub reload_distance: Duration,
}

/// How an agent finds its extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Follow {
    /// At `https://tasks.NAME:PORT`, a name of the control network.
    Extension(String),
    /// At the address that the operator states: there is no control network.
    Operator,
}

/// Signals to a running agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxySignal {
    /// Finish open requests, then exit. A second signal ends it at once.
    Drain,
    /// Test and load the newest configuration again.
    Reload,
}

/// Why an agent cannot start or continue.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The extension's address cannot be used.
    #[error("cannot set up the connection to the extension")]
    Client(#[from] ClientError),
    /// The engine is missing or its files cannot be written.
    #[error("cannot start the engine")]
    Engine(#[from] EngineError),
    /// A directory or file of the agent itself could not be written.
    #[error("cannot write configurations to {path}")]
    Files {
        /// Where.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The health port is taken, or its server failed.
    #[error("cannot serve health checks on {listen}")]
    Health {
        /// Where.
        listen: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The engine exited unexpectedly.
    #[error("the engine exited unexpectedly ({status}); its last output: {message}")]
    EngineEnded {
        /// How it exited.
        status: ExitStatus,
        /// Its last messages.
        message: String,
    },
    /// The engine was asked to exit and did not exit properly.
    #[error("the engine exited with {0} when asked to finish")]
    DrainFailed(ExitStatus),
}

/// The present state of this proxy, for reports and health checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ProxyState {
    running: Option<Digest>,
    source: Option<ConfigSource>,
    /// Endpoints are resolved by name, whatever the source.
    by_name: bool,
    rejected: Option<ConfigRejection>,
    /// The highest generation that ever ran here or on this node: nothing older is run.
    generation: u64,
    reloads: u64,
    /// Changes applied without a reload.
    runtime_changes: u64,
    /// How the newest change was applied.
    applied: Option<AppliedBy>,
    /// The configuration that is being tested or loaded, and since when.
    testing: Option<(Digest, Timestamp)>,
    /// Why newer configurations cannot be fetched, and since when.
    cut: Option<(String, Timestamp)>,
    /// How often it changed from addresses to names.
    fallbacks: u64,
    /// The engine runs a tested configuration.
    serving: bool,
    /// It is reachable and reaches its networks, as far as it had to show that.
    arrived: bool,
    /// The bounds in the running configuration that the agent enforces.
    bounds: AgentSettings,
    /// What the engine uses beyond its current workers.
    load: EngineLoad,
    /// Request bodies take more space than allowed: the reason why this container may have to be replaced.
    spool_fault: Option<String>,
}

/// The newest configuration that the extension offers.
type Offers = watch::Sender<Option<Arc<ProxyConfig>>>;

/// The state that the parts of one agent share.
struct Agent {
    options: ProxyOptions,
    engine: Arc<dyn Engine>,
    configs: ConfigDirectories,
    fallback: FallbackConfig,
    store: StateVolume,
    /// The names that the engine has resolved.
    learnt: dns_server::ResolvedNames,
    /// When each offer was last confirmed, by digest.
    confirmations: ContentAges,
    /// The addresses of offers that are gone.
    departed: DepartedEndpoints,
    state: watch::Sender<ProxyState>,
    offers: Offers,
    started: Timestamp,
}

impl Agent {
    fn new(options: ProxyOptions, engine: Arc<dyn Engine>) -> Result<Self, ProxyError> {
        let must_show = options.new_networks.as_ref().is_some_and(|new| network_readiness::is_in_rollout(new, Timestamp::now()));
        Ok(Self {
            engine,
            configs: ConfigDirectories::create_empty(options.run_dir.join("config"))?,
            fallback: FallbackConfig::new(options.run_dir.join("standby"))?,
            learnt: dns_server::ResolvedNames::new(),
            confirmations: ContentAges::default(),
            departed: DepartedEndpoints::default(),
            store: StateVolume::new(&options.state_dir, options.engine_kind, options.bootstrap.root.clone()),
            state: watch::Sender::new(ProxyState { arrived: !must_show, ..ProxyState::default() }),
            offers: watch::Sender::new(None),
            started: Timestamp::now(),
            options,
        })
    }

    /// The authority that signs configurations.
    fn root(&self) -> &TrustRoot {
        &self.options.bootstrap.root
    }

    /// When an offer was last confirmed.
    fn confirmed_at(&self, offer: &Digest) -> Timestamp {
        self.confirmations.confirmed_at(offer).date()
    }
}

/// Runs until the engine has exited: `Ok` if that was requested, otherwise an error. Dropping the future leaves the engine running;
/// send [`ProxySignal::Drain`] instead.
pub async fn run(options: ProxyOptions, signals: mpsc::Receiver<ProxySignal>) -> Result<(), ProxyError> {
    let channel = channel_connections::Channel::new(&options)?;
    let health_error = |source| ProxyError::Health { listen: options.health, source };
    let listener = TcpListener::bind(options.health).await.map_err(health_error)?;
    file_limits::raise_open_file_limit();
    let engine = crate::runtime::engine(options.engine_kind, &options.engine, &options.run_dir);
    engine.prepare().await?;
    engine.keep_request_bodies_on(&options.state_dir);
    let agent = Agent::new(options.clone(), engine)?;
    agent.remember_generation();
    let forever = CancellationToken::new();
    let health = health::router(agent.state.subscribe());
    tokio::select! {
        ended = supervisor::supervise(&agent, signals) => ended,
        served = serve(listener.into(), None, health, ServerLimits::default(), forever) => served.map_err(health_error),
        never = channel.run(&agent) => match never {},
        never = network_readiness::report_ready(&agent) => match never {},
        never = dns_server::serve(options.names.as_ref(), &agent.learnt) => match never {},
        never = zombie_reaper::reap_orphans() => match never {},
    }
}
