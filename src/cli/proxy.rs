//! `swarmgate proxy`: combines the arguments with the environment that the operator set, and starts the proxy; also the
//! container's health check (`--check`).

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::client_command::{block_on, fail};
use super::long_running::{LogArgs, on_runtime};
use super::operator::ChannelArg;
use crate::channel::{BootstrapError, read_bootstrap};
use crate::pki::ChannelRole;
use crate::protocol::container_contract;
use crate::proxy::{self, Follow, NameServer, ProxyOptions, ProxySignal};
use crate::types::{ClusterName, EngineKind};

/// Arguments of `swarmgate proxy`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Check whether the agent of this container serves; exit with 0 or 1
    #[arg(long)]
    check: bool,
    /// The cluster to serve
    #[arg(long, env = container_contract::ENV_CLUSTER, required_unless_present = "check")]
    cluster: Option<ClusterName>,
    /// The id of this task
    #[arg(long, env = container_contract::ENV_TASK, default_value = "local")]
    task: String,
    /// The host name of the node
    #[arg(long, env = container_contract::ENV_NODE, default_value = "local")]
    node: String,
    /// How to find the extension: over the control network, or by asking the operator
    #[arg(long, env = container_contract::ENV_CHANNEL, value_enum, default_value_t = ChannelArg::Overlay)]
    channel: ChannelArg,
    /// With `--channel overlay`: the address of the extension
    #[arg(long, env = container_contract::ENV_EXTENSION_URL, value_name = "URL")]
    extension_url: Option<String>,
    /// The address of the operator's channel; separate several addresses by commas
    #[arg(long, env = container_contract::ENV_OPERATOR_URL, value_name = "URLS", required_unless_present = "check")]
    operator_url: Option<String>,
    /// The file with the operator's certificate authority and the token that requests the first certificate
    #[arg(long, env = container_contract::ENV_TOKEN_FILE, default_value = container_contract::TOKEN_FILE, value_name = "FILE")]
    token_file: PathBuf,
    /// The proxy engine (nginx)
    #[arg(long, env = container_contract::ENV_ENGINE, default_value_t)]
    engine: EngineKind,
    /// The engine's executable
    #[arg(long, default_value = "nginx", value_name = "PROGRAM")]
    nginx: PathBuf,
    /// A memory-backed directory for configurations and the engine's own files
    #[arg(long, default_value = container_contract::RUN_DIR, value_name = "DIR")]
    run_dir: PathBuf,
    /// The volume that keeps the last good state
    #[arg(long, default_value = container_contract::STATE_DIR, value_name = "DIR")]
    state_dir: PathBuf,
    /// The mounted boot snapshot
    #[arg(long, default_value = container_contract::BOOT_FILE, value_name = "FILE")]
    boot_file: PathBuf,
    /// The directory in which the secrets that the boot snapshot names are mounted, each under its id
    #[arg(long, default_value = container_contract::MATERIAL_DIR, value_name = "DIR")]
    material_dir: PathBuf,
    /// The address on which the agent answers health checks
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, container_contract::AGENT_PORT)), value_name = "ADDRESS")]
    health: SocketAddr,
    /// Networks that are new to this proxy, as the operator writes them
    #[arg(long, env = container_contract::ENV_NEW_NETWORKS, value_name = "NETWORKS", hide = true)]
    new_networks: Option<String>,
    /// The minimum time between two reloads, in milliseconds
    #[arg(long, default_value_t = 300, value_name = "MS")]
    reload_distance_ms: u64,
    #[command(flatten)]
    logs: LogArgs,
}

/// Runs it until the engine exits, or runs the health check.
pub fn run(args: Args) -> ExitCode {
    if args.check {
        return block_on(check(args.health));
    }
    if let Err(error) = args.logs.init() {
        return fail(&error);
    }
    match options(args) {
        Ok(options) => on_runtime(async {
            let (sender, signals) = mpsc::channel(8);
            tokio::spawn(pass_signals(sender));
            Box::pin(proxy::run(options, signals)).await
        }),
        Err(error) => fail(&error),
    }
}

fn options(args: Args) -> Result<ProxyOptions, ArgumentError> {
    let cluster = args.cluster.ok_or(ArgumentError::Missing("--cluster"))?;
    Ok(ProxyOptions {
        bootstrap: read_bootstrap(&args.token_file, ChannelRole::Proxy, &cluster)?,
        cluster,
        task: args.task,
        node: args.node,
        follow: match args.channel {
            ChannelArg::Overlay => Follow::Extension(args.extension_url.ok_or(ArgumentError::Missing("--extension-url"))?),
            ChannelArg::Host => Follow::Operator,
        },
        operator_url: args.operator_url.ok_or(ArgumentError::Missing("--operator-url"))?,
        engine_kind: args.engine,
        engine: args.nginx,
        run_dir: args.run_dir,
        state_dir: args.state_dir,
        boot_file: args.boot_file,
        material_dir: args.material_dir,
        health: args.health,
        // An unreadable value comes from another version; it must not keep the proxy from serving.
        new_networks: args.new_networks.and_then(|text| text.parse().ok()),
        names: Some(name_server()),
        reload_distance: Duration::from_millis(args.reload_distance_ms),
    })
}

/// Docker's name server, which knows the container by its host name.
fn name_server() -> NameServer {
    let known = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, container_contract::AGENT_NAMES_PORT));
    NameServer { listen, docker: container_contract::DOCKER_NAME_SERVER, known }
}

/// Why the agent cannot be started.
#[derive(Debug, thiserror::Error)]
enum ArgumentError {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
}

async fn check(address: SocketAddr) -> ExitCode {
    match proxy::check(address).await {
        Ok(message) => {
            println!("{message}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

/// SIGTERM, SIGINT and SIGQUIT drain, SIGHUP reloads. Ends the agent if signals cannot be received: as PID 1 it would
/// ignore them.
async fn pass_signals(sender: mpsc::Sender<ProxySignal>) {
    let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::hangup()];
    let [Ok(mut terminate), Ok(mut interrupt), Ok(mut quit), Ok(mut hangup)] = kinds.map(signal) else {
        tracing::error!("Cannot receive signals; stopping");
        let _ = sender.send(ProxySignal::Drain).await;
        return;
    };
    loop {
        let next = next_signal([&mut terminate, &mut interrupt, &mut quit], &mut hangup).await;
        if sender.send(next).await.is_err() {
            return;
        }
    }
}

async fn next_signal([terminate, interrupt, quit]: [&mut Signal; 3], hangup: &mut Signal) -> ProxySignal {
    tokio::select! {
        _ = terminate.recv() => ProxySignal::Drain,
        _ = interrupt.recv() => ProxySignal::Drain,
        _ = quit.recv() => ProxySignal::Drain,
        _ = hangup.recv() => ProxySignal::Reload,
    }
}
