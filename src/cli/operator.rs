//! `swarmgate operator`: checks the arguments, sets up metrics, logs and the Swarm, then starts the loop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

use super::client_command;
use super::long_running::LogArgs;
use super::status_server_options::{StatusArgs, StatusArgsError};
use crate::controller::certificate_authority::{AuthoritySource, EstablishedAuthority, establish, remove_stale_secrets, status_token};
use crate::controller::options::OperatorOptions;
use crate::declaration::spec_files;
use crate::docker::{DockerSwarm, SNAPSHOT_MEMORY_MAX};
use crate::intent::documents::read_documents;
use crate::pki::Seals;
use crate::protocol::container_contract::{self, AUTHORITY_FILE, CONTROL_NETWORK, OPERATOR_CHANNEL_PORT};
use crate::protocol::{ChannelMode, SharedSecret};
use crate::telemetry::metrics;
use crate::types::{Digest, Port, ServiceId, visible_lines};

/// Arguments of `swarmgate operator`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file with documents, or a folder with *.yaml and *.yml files. The operator reads it again when it changes
    #[arg(long, env = "SWARMGATE_SPEC", value_delimiter = ',', required = true)]
    spec: Vec<PathBuf>,
    /// Exit with an error at startup if any document is invalid, so that Swarm rolls back an update with a broken spec. Files
    /// that change later never stop the operator
    #[arg(long, env = "SWARMGATE_REQUIRE_VALID_SPEC")]
    require_valid_spec: bool,
    #[command(flatten)]
    pub(super) swarm: SwarmArgs,
    /// The address on which to serve the status, the page, and the metrics
    #[arg(long, env = "SWARMGATE_LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// The address on which to listen for extensions
    #[arg(long, env = "SWARMGATE_CHANNEL_LISTEN", default_value = "0.0.0.0:8081")]
    channel_listen: SocketAddr,
    #[command(flatten)]
    authority: AuthorityArgs,
    #[command(flatten)]
    status: StatusArgs,
    #[command(flatten)]
    periods: PeriodArgs,
    #[command(flatten)]
    logs: LogArgs,
}

/// The location of the operator's certificate authority.
#[derive(Debug, Clone, clap::Args)]
pub struct AuthorityArgs {
    /// The operator's certificate authority: the Swarm secret that its own service mounts. Outside a Swarm service, a file, which
    /// is created if it does not exist
    #[arg(long, env = "SWARMGATE_AUTHORITY_FILE", default_value = AUTHORITY_FILE, value_name = "FILE")]
    authority_file: PathBuf,
    /// The id of the operator's own service, from Swarm's template `{{.Service.ID}}`. The operator creates the secret with its
    /// certificate authority and mounts it into this service
    #[arg(long, env = "SWARMGATE_SERVICE", value_name = "ID")]
    service: Option<String>,
}

impl AuthorityArgs {
    fn source(&self) -> AuthoritySource {
        let service = self.service.clone().filter(|id| !id.is_empty());
        AuthoritySource { file: self.authority_file.clone(), service: service.map(ServiceId) }
    }
}

/// The Swarm to manage, and the names to use in it.
#[derive(Debug, clap::Args)]
pub struct SwarmArgs {
    /// The Docker API of a manager, as `unix:///path` or `tcp://host:port` [default: the environment variable `DOCKER_HOST`,
    /// otherwise `unix:///var/run/docker.sock`]
    #[arg(long = "docker-url", visible_alias = "docker", env = "SWARMGATE_DOCKER_URL")]
    docker_url: Option<String>,
    /// The same, as the docker command reads it
    #[arg(long, env = "DOCKER_HOST", hide = true)]
    docker_host: Option<String>,
    /// The maximum memory for the lists of one snapshot of the Swarm: services, tasks, networks, nodes, and secrets together. If
    /// they need more, the operator discards the snapshot and changes nothing. The operator needs about 2.5 times this memory
    /// [default: 768m]
    #[arg(long, env = "SWARMGATE_SNAPSHOT_MEMORY_MAX", value_parser = size)]
    snapshot_memory_max: Option<u64>,
    /// The former name
    #[arg(long, env = "SWARMGATE_LOOK_MEMORY_MAX", hide = true, value_parser = size)]
    look_memory_max: Option<u64>,
    /// The operator's name on everything that it creates. Two operators in one Swarm need different names
    #[arg(long, env = "SWARMGATE_INSTANCE", default_value = "swarmgate")]
    instance: String,
    /// The overlay network between operator, extensions, and proxies; created if it does not exist
    #[arg(long, env = "SWARMGATE_CONTROL_NETWORK", default_value = CONTROL_NETWORK)]
    control_network: String,
    /// Encrypt that network (ESP between the nodes) when it is created. The kernel of every node must support this: a node
    /// without support cannot communicate with the others
    #[arg(long, env = "SWARMGATE_CONTROL_NETWORK_ENCRYPTED", value_parser = clap::builder::BoolishValueParser::new(), num_args = 0..=1, default_value = "false", default_missing_value = "true")]
    control_network_encrypted: bool,
    /// The address of the operator's channel on the control network, as extensions reach it
    #[arg(long, env = "SWARMGATE_OPERATOR_URL", default_value = "https://swarmgate-operator:8081")]
    operator_url: String,
    /// How operator, extensions, and proxies reach each other: over the control network, or at the addresses of their nodes
    /// without any overlay network
    #[arg(long, env = container_contract::ENV_CHANNEL, value_enum, default_value_t = ChannelArg::Overlay)]
    channel: ChannelArg,
    /// With `--channel host`: the port on which the operator's node publishes the channel
    #[arg(long, env = "SWARMGATE_CHANNEL_PORT", default_value_t = OPERATOR_CHANNEL_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    channel_port: u16,
}

/// The network that the channel uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ChannelArg {
    /// Over the control network, an overlay network
    Overlay,
    /// At the addresses of nodes, on published ports
    Host,
}

/// How often to read the Swarm. Events and task polls notice changes earlier.
#[derive(Debug, clap::Args)]
struct PeriodArgs {
    /// The maximum time between two complete snapshots of the Swarm
    #[arg(long, env = "SWARMGATE_POLL_INTERVAL", default_value = "3s", value_parser = duration)]
    poll_interval: Duration,
    /// The time between two polls of the tasks while any service has a route
    #[arg(long, env = "SWARMGATE_TASK_POLL_INTERVAL", default_value = "1s", value_parser = duration)]
    task_poll_interval: Duration,
    /// The time between two polls of the tasks while something changes
    #[arg(long, env = "SWARMGATE_TASK_POLL_INTERVAL_FAST", default_value = "100ms", value_parser = duration)]
    task_poll_interval_fast: Duration,
    /// The time between two polls of the tasks while no service has a route
    #[arg(long, env = "SWARMGATE_TASK_POLL_INTERVAL_IDLE", default_value = "5s", value_parser = duration)]
    task_poll_interval_idle: Duration,
    /// The maximum time between two readings of the spec files
    #[arg(long, env = "SWARMGATE_SPEC_INTERVAL", default_value = "5s", value_parser = duration)]
    spec_interval: Duration,
    /// The minimum time between two snapshots of the Swarm for queries (plan, explain, render, snapshot)
    /// [default: 1s]
    #[arg(long, env = "SWARMGATE_QUERY_INTERVAL", value_parser = duration)]
    query_interval: Option<Duration>,
    /// The former name
    #[arg(long, env = "SWARMGATE_QUESTION_INTERVAL", hide = true, value_parser = duration)]
    question_interval: Option<Duration>,
    /// How long to wait for further changes before a pass, so that one pass handles them together
    #[arg(long, env = "SWARMGATE_DEBOUNCE", default_value = "50ms", value_parser = duration)]
    debounce: Duration,
    /// The maximum time that a change waits for a pass
    #[arg(long, env = "SWARMGATE_DEBOUNCE_MAX", default_value = "500ms", value_parser = duration)]
    debounce_max: Duration,
}

impl PeriodArgs {
    fn query_interval(&self) -> Duration {
        self.query_interval.or(self.question_interval).unwrap_or(QUERY_INTERVAL)
    }
}

/// The minimum time between two snapshots for queries, if no option states it.
const QUERY_INTERVAL: Duration = Duration::from_secs(1);
/// Shorter intervals would load a manager without benefit.
const PERIOD_MIN: Duration = Duration::from_millis(10);
/// The same default as the docker command.
const DOCKER_URL: &str = "unix:///var/run/docker.sock";

fn size(text: &str) -> Result<u64, String> {
    crate::intent::quantity::parse_size(text).map_err(|error| error.to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).map_err(|error| format!("{error}; use a format such as 3s or 250ms"))?;
    if parsed < PERIOD_MIN { Err(format!("the minimum is {PERIOD_MIN:?}")) } else { Ok(parsed) }
}

/// Runs it.
pub fn run(args: Args) -> ExitCode {
    if let Err(error) = args.logs.init() {
        client_command::fail(&error);
        return ExitCode::from(client_command::WRONG_USAGE);
    }
    match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime.block_on(operate(args)),
        Err(error) => client_command::fail(&error),
    }
}

async fn operate(args: Args) -> ExitCode {
    if args.require_valid_spec && !has_valid_spec(&args.spec) {
        eprintln!("swarmgate operator: not started, because --require-valid-spec is set and the spec has errors");
        return ExitCode::FAILURE;
    }
    let authority = args.authority.clone();
    let (swarm, settings, recorder) = match prepared(args) {
        Ok(prepared) => prepared,
        Err(failed) => return failed,
    };
    let stop = CancellationToken::new();
    let signals = tokio::spawn(crate::controller::stop_on_signals(stop.clone()));
    let ended = run_with_authority(swarm, authority, settings, recorder, stop).await;
    signals.abort();
    ended
}

/// Whether all documents are valid; otherwise prints their errors.
fn has_valid_spec(paths: &[PathBuf]) -> bool {
    let declaration = read_documents(&spec_files::read(paths));
    if !declaration.is_valid() {
        eprint!("{}", visible_lines(&super::validate::describe(&declaration)));
    }
    declaration.is_valid()
}

/// What the operator needs before it looks for its authority; an error is printed.
fn prepared(args: Args) -> Result<(Arc<DockerSwarm>, OperatorOptions, PrometheusHandle), ExitCode> {
    let docker = args.swarm.connect();
    let settings = args.settings().map_err(|error| {
        client_command::fail(&error);
        ExitCode::from(client_command::WRONG_USAGE)
    })?;
    let swarm = docker.map_err(|error| client_command::fail(&error))?;
    let recorder = metrics::install().map_err(|error| client_command::fail(&error))?;
    Ok((Arc::new(swarm), settings, recorder))
}

/// Finds the authority, then runs; ends successfully when Swarm replaces this task by one that has the authority.
async fn run_with_authority(
    swarm: Arc<DockerSwarm>,
    authority: AuthorityArgs,
    mut settings: OperatorOptions,
    recorder: PrometheusHandle,
    stop: CancellationToken,
) -> ExitCode {
    let source = authority.source();
    let established = tokio::select! {
        established = establish(swarm.as_ref(), &source, &settings.instance) => established,
        () = stop.cancelled() => return ExitCode::SUCCESS,
    };
    match established {
        Ok(EstablishedAuthority::Ready(authority)) => {
            let derives = settings.status.access.token.is_none();
            remove_stale_secrets(swarm.as_ref(), &authority, &settings.instance, derives).await;
            let access = &mut settings.status.access;
            access.token = access.token.take().or_else(|| SharedSecret::new(&status_token(&authority)).map(|token| token.digest()));
            let ended = crate::controller::run(swarm, authority, settings, Some(recorder), stop).await;
            ended.map_or_else(|error| client_command::fail(&error), |()| ExitCode::SUCCESS)
        }
        Ok(EstablishedAuthority::Remounted) => {
            stop.cancelled().await;
            ExitCode::SUCCESS
        }
        Err(error) => client_command::fail(&error),
    }
}

impl Args {
    fn settings(self) -> Result<OperatorOptions, StatusArgsError> {
        let channel = self.swarm.channel();
        Ok(OperatorOptions {
            status: self.status.settings(&channel)?,
            channel,
            instance: self.swarm.instance,
            own_service: self.authority.source().service,
            spec: self.spec,
            listen: self.listen,
            channel_listen: self.channel_listen,
            poll_interval: self.periods.poll_interval,
            task_poll_interval: self.periods.task_poll_interval,
            task_poll_interval_fast: self.periods.task_poll_interval_fast,
            task_poll_interval_idle: self.periods.task_poll_interval_idle,
            spec_interval: self.periods.spec_interval,
            query_interval: self.periods.query_interval(),
            debounce: self.periods.debounce,
            debounce_max: self.periods.debounce_max,
        })
    }
}

impl SwarmArgs {
    /// Prepares access to the Swarm.
    pub fn connect(&self) -> Result<DockerSwarm, crate::docker::ConnectError> {
        Ok(DockerSwarm::connect(self.url())?.with_snapshot_memory_max(self.snapshot_memory_max()))
    }

    fn snapshot_memory_max(&self) -> u64 {
        self.snapshot_memory_max.or(self.look_memory_max).unwrap_or(SNAPSHOT_MEMORY_MAX)
    }

    /// The address of the Docker API.
    pub fn url(&self) -> &str {
        self.docker_url.as_ref().or(self.docker_host.as_ref()).map_or(DOCKER_URL, String::as_str)
    }

    fn channel(&self) -> ChannelMode {
        match (self.channel, Port::new(self.channel_port)) {
            (ChannelArg::Host, Ok(operator_port)) => ChannelMode::Host { operator_port },
            // Port 0 has already been rejected.
            _ => ChannelMode::Overlay {
                network: self.control_network.clone(),
                encrypted: self.control_network_encrypted,
                operator_url: self.operator_url.clone(),
            },
        }
    }

    /// The context for a preview that never acts.
    pub fn context(&self, swarm: DockerSwarm) -> crate::controller::context::Context {
        crate::controller::context::Context {
            swarm: Arc::new(swarm),
            extensions: Arc::new(crate::channel::Hub::new()),
            instance: self.instance.clone(),
            own_service: None,
            channel: self.channel(),
            seals: Seals::believing(Digest::of_bytes(b"")),
            secrets: Arc::new(crate::controller::context::no_secrets),
            writes: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser as _;

    use super::{PeriodArgs, SwarmArgs};

    #[derive(clap::Parser)]
    struct OptionsLine {
        #[command(flatten)]
        swarm: SwarmArgs,
        #[command(flatten)]
        periods: PeriodArgs,
    }

    #[test]
    fn former_names_of_options_are_still_read() {
        let read = |args: &[&str]| OptionsLine::try_parse_from(["x"].iter().chain(args)).unwrap();
        let former = read(&["--look-memory-max", "1m", "--question-interval", "3s"]);
        assert_eq!((former.swarm.snapshot_memory_max(), former.periods.query_interval()), (1 << 20, Duration::from_secs(3)));
        let both = read(&["--look-memory-max", "1m", "--snapshot-memory-max", "2m"]);
        assert_eq!((both.swarm.snapshot_memory_max(), both.periods.query_interval()), (2 << 20, Duration::from_secs(1)));
        assert_eq!(read(&[]).swarm.snapshot_memory_max(), 768 << 20);
    }
}
