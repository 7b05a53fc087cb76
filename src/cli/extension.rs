//! `swarmgate extension`: combines the arguments with the environment that the operator set, and starts the extension.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use super::client_command::fail;
use super::long_running::{LogArgs, on_runtime, stop_requested};
use super::operator::ChannelArg;
use crate::channel::read_bootstrap;
use crate::extension::{self, ExtensionOptions};
use crate::pki::ChannelRole;
use crate::protocol::container_contract;
use crate::render::Layout;
use crate::types::{ClusterName, EngineKind};

/// Arguments of `swarmgate extension`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cluster to render for
    #[arg(long, env = container_contract::ENV_CLUSTER)]
    cluster: ClusterName,
    /// The id of this task
    #[arg(long, env = container_contract::ENV_TASK, default_value = "local")]
    task: String,
    /// The address of the operator's channel; separate several addresses by commas
    #[arg(long, env = container_contract::ENV_OPERATOR_URL, value_name = "URL")]
    operator_url: String,
    /// How to reach the operator: over the control network, or on the manager that it runs on
    #[arg(long, env = container_contract::ENV_CHANNEL, value_enum, default_value_t = ChannelArg::Overlay)]
    channel: ChannelArg,
    /// The file with the operator's certificate authority and the token that requests the first certificate
    #[arg(long, env = container_contract::ENV_TOKEN_FILE, default_value = container_contract::TOKEN_FILE, value_name = "FILE")]
    token_file: PathBuf,
    /// The proxy engine (nginx)
    #[arg(long, env = container_contract::ENV_ENGINE, default_value_t)]
    engine: EngineKind,
    /// The engine's executable
    #[arg(long, default_value = "nginx", value_name = "PROGRAM")]
    nginx: PathBuf,
    /// A memory-backed directory for configurations under test
    #[arg(long, default_value = container_contract::RUN_DIR, value_name = "DIR")]
    run_dir: PathBuf,
    /// The directory in which secrets and configs with certificates, keys, and CAs are mounted, each under its id
    #[arg(long, default_value = container_contract::MATERIAL_DIR, value_name = "DIR")]
    material_dir: PathBuf,
    /// The address on which to listen for proxies
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::UNSPECIFIED, container_contract::EXTENSION_PORT)), value_name = "ADDRESS")]
    listen: SocketAddr,
    #[command(flatten)]
    logs: LogArgs,
}

/// Runs it until SIGTERM, SIGINT or SIGQUIT.
pub fn run(args: Args) -> ExitCode {
    if let Err(error) = args.logs.init() {
        return fail(&error);
    }
    let bootstrap = match read_bootstrap(&args.token_file, ChannelRole::Extension, &args.cluster) {
        Ok(bootstrap) => bootstrap,
        Err(error) => return fail(&error),
    };
    let options = ExtensionOptions {
        cluster: args.cluster,
        task: args.task,
        operator_url: args.operator_url,
        follows_peers: args.channel == ChannelArg::Host,
        bootstrap,
        engine_kind: args.engine,
        engine: args.nginx,
        run_dir: args.run_dir,
        listen: args.listen,
        layout: Layout::default(),
        material_dir: args.material_dir,
    };
    on_runtime(async {
        let shutdown = CancellationToken::new();
        tokio::spawn(stop_requested(shutdown.clone()));
        Box::pin(extension::run(options, shutdown)).await
    })
}
