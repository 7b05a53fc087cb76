//! The render service of one cluster: route table in, tested engine configuration out. It carries no traffic and never
//! touches the Docker API. Whatever happens to the operator or to a table, its proxies can go on asking for the last good
//! configuration.

mod address_tracker;
mod bisect;
mod certificates;
mod generation;
mod material;
#[doc(hidden)]
pub mod material_probe;
mod pipeline;
mod proxy_registry;
mod quarantine;
mod reporter;
mod server;
mod tls_test_tables;
mod validator;
mod worker_thread;

#[cfg(test)]
mod test_certificates;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::channel::{Answer, ChannelClient, ClientError, Confirmations, Enrolment, Follower, Heard, Moment, follow_peers, serve};
use crate::engine::{Engine, EngineError};
use crate::pki::{ClientAuthentication, OPERATOR_NAME, TlsError, server_config};
use crate::protocol::Bootstrap;
use crate::protocol::messages::{Desired, WIRE_VERSION};
use crate::protocol::timings::EXTENSION_CONFIRM_INTERVAL;
use crate::render::Layout;
use crate::types::{ClusterName, Digest, EngineKind};
use address_tracker::Sightings;
use generation::Stamper;
use material::Keeper;
use pipeline::{Offer, Outcome, Workshop};
use proxy_registry::Proxies;
use reporter::Reporter;
use validator::Bench;

/// What an extension must know to start.
#[derive(Debug, Clone)]
pub struct ExtensionOptions {
    /// The cluster that it renders for.
    pub cluster: ClusterName,
    /// Its Swarm task id, by which the operator tells apart two that run for a moment.
    pub task: String,
    /// Where the operator's channel is: `https://HOST:PORT`, several of them comma-separated.
    pub operator_url: String,
    /// Whether the operator must be asked where the managers are: there is no control network that knows.
    pub ask_for_peers: bool,
    /// Who the operator is, and what the first certificate is asked for with.
    pub bootstrap: Bootstrap,
    /// The engine that it renders for.
    pub engine_kind: EngineKind,
    /// The engine's program.
    pub engine: PathBuf,
    /// Where configurations are written to be tested.
    pub run_dir: PathBuf,
    /// Where proxies ask.
    pub listen: SocketAddr,
    /// How the proxies' containers are laid out.
    pub layout: Layout,
    /// Where secrets and configs with TLS material are mounted, each under its id.
    pub material_dir: PathBuf,
}

/// Why an extension cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ExtensionError {
    /// The operator's address cannot be used.
    #[error("preparing to follow the operator")]
    Client(#[from] ClientError),
    /// The engine is missing or its directory cannot be written.
    #[error("trying out the engine")]
    Engine(#[from] EngineError),
    /// The proxies cannot be served over TLS.
    #[error("preparing to serve the proxies")]
    Tls(#[from] TlsError),
    /// The port is taken, or the server broke.
    #[error("serving the proxies on {listen}")]
    Serve {
        /// Where.
        listen: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// Runs until told to stop, then ends within a second. Safe to cancel.
pub async fn run(options: ExtensionOptions, shutdown: CancellationToken) -> Result<(), ExtensionError> {
    let engine = Engine::new(&options.engine, &options.run_dir);
    engine.prepare().await?;
    let engine_version = engine.version().await?;
    let serve_error = |source| ExtensionError::Serve { listen: options.listen, source };
    let listener = TcpListener::bind(options.listen).await.map_err(serve_error)?;
    let enrolment = Enrolment::new(options.bootstrap.clone(), options.task.clone(), &options.operator_url)?;
    let credentials = enrolment.credentials();
    let tls = server_config(credentials, ClientAuthentication::Required)?;
    let client = ChannelClient::new(&options.operator_url, credentials, OPERATOR_NAME)?;
    tracing::info!(cluster = %options.cluster, engine = engine_version, listen = %options.listen, "the extension starts");

    let desired = watch::Sender::new(None);
    let outcome = watch::Sender::new(Arc::new(Outcome::default()));
    let offers = watch::Sender::new(None);
    let proxies = Proxies::default();
    let reporter = Reporter {
        client: &client,
        cluster: options.cluster.clone(),
        task: options.task.clone(),
        engine_version,
        outcome: outcome.subscribe(),
        proxies: proxies.clone(),
    };
    let root = credentials.root().clone();
    let age = Age::default();
    let shelf = server::Shelf { offers: offers.subscribe(), age: age.clone(), proxies: proxies.clone() };
    let router = server::router(root, options.cluster.clone(), shelf, shutdown.clone());
    let keeper = Keeper::new(&options.material_dir, Path::new(options.layout.system_roots));
    let bench = Bench::new(options.engine_kind, engine, options.run_dir.clone(), options.layout.clone(), options.material_dir.clone());
    let stamper = Stamper::new(credentials.clone(), proxies.highest_generation());
    let workshop = Workshop::new(bench, keeper, stamper, age.sightings.clone(), desired.subscribe(), outcome, offers);
    let work = async {
        tokio::select! {
            // Nobody believes an extension before it has its certificate.
            _ = credentials.ready() => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        tracing::info!("the extension serves");
        tokio::select! {
            served = serve(listener, tls, router, shutdown.clone()) => served.map_err(serve_error),
            never = follow(&client, &options.cluster, &desired, &age) => match never {},
            // Rendering thousands of hosts takes its time; what is known of addresses is told meanwhile.
            never = worker_thread::aside(workshop.run()) => match never {},
            never = reporter.run() => match never {},
            never = follow_peers(&client, &enrolment, None, &options.cluster, |_| {}), if options.ask_for_peers => match never {},
        }
    };
    tokio::select! {
        ended = work => ended,
        never = enrolment.run() => match never {},
    }
}

/// What is known of the age of tables, and of the addresses that were handed out. Clones share their content.
#[derive(Debug, Clone, Default)]
struct Age {
    confirmations: Confirmations,
    sightings: Sightings,
}

impl Age {
    /// When this offer was last known to hold: its table is still the newest, or the newest has all addresses of it.
    fn of(&self, offer: &Offer) -> Moment {
        let table = self.confirmations.of(&offer.table);
        let addresses = self.sightings.of(&offer.config.digest).filter(|(gone, _)| gone.is_empty());
        addresses.map_or(table, |(_, seen)| table.max(seen))
    }
}

/// Keeps `desired` at the newest table that the operator published for this cluster, and notes how fresh it is.
async fn follow(client: &ChannelClient, cluster: &ClusterName, desired: &watch::Sender<Option<Arc<Desired>>>, age: &Age) -> Infallible {
    let mut follower = Follower::new(client, format!("/v1/clusters/{cluster}/desired")).every(EXTENSION_CONFIRM_INTERVAL);
    let mut after: Option<Digest> = None;
    loop {
        let Heard { answer, confirmed } = follower.next::<Desired>(after.as_ref()).await;
        let Answer::New(message) = answer else {
            if let Some(same) = &after {
                age.confirmations.note(same, confirmed);
                age.sightings.confirm(confirmed);
            }
            continue;
        };
        after = Some(message.digest.clone());
        if message.version != WIRE_VERSION || &message.table.cluster != cluster {
            tracing::error!(version = message.version, cluster = %message.table.cluster, "the operator sent a table that is not for this extension; ignored");
            continue;
        }
        tracing::debug!(digest = message.digest.short(), "a new table");
        age.confirmations.note(&message.digest, confirmed);
        age.sightings.saw(&message.table, confirmed);
        desired.send_replace(Some(Arc::new(message)));
    }
}
