//! The render service of one cluster: turns a route table into a validated engine configuration. It carries no traffic, never uses
//! the Docker API, and knows no engine. Whatever happens to the operator or to a table, it keeps offering the last good
//! configuration.

mod address_tracker;
mod bisect;
mod bundle_signing;
mod certificates;
mod pipeline;
mod proxy_registry;
mod report_sender;
mod route_quarantine;
mod server;
mod tls_material;
#[doc(hidden)]
pub mod tls_material_inspection;
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

use crate::channel::{ChannelClient, ClientError, ContentAges, Enrolment, Follower, Moment, PollResponse, PollResult, follow_peers, serve};
use crate::pki::{ClientAuthentication, OPERATOR_NAME, TlsError, server_config};
use crate::protocol::Bootstrap;
use crate::protocol::messages::{Desired, WIRE_VERSION};
use crate::protocol::timings::EXTENSION_CONFIRM_INTERVAL;
use crate::render::Layout;
use crate::runtime::EngineError;
use crate::types::{ClusterName, Digest, EngineKind};
use address_tracker::AddressTracker;
use bundle_signing::BundleSigner;
use pipeline::{Offer, Pipeline, PipelineResult};
use proxy_registry::ProxyRegistry;
use report_sender::Reporter;
use tls_material::MaterialStore;
use validator::Validator;

/// The options of an extension.
#[derive(Debug, Clone)]
pub struct ExtensionOptions {
    /// The cluster for which it renders.
    pub cluster: ClusterName,
    /// Its Swarm task id, by which the operator distinguishes two extensions that run at the same time for a moment.
    pub task: String,
    /// The operator's channel: `https://HOST:PORT`, several of them comma-separated.
    pub operator_url: String,
    /// Whether it must ask the operator for the addresses of the managers: there is no control network.
    pub follows_peers: bool,
    /// The operator's authority, and the token for the first certificate.
    pub bootstrap: Bootstrap,
    /// The engine for which it renders.
    pub engine_kind: EngineKind,
    /// The engine's program.
    pub engine: PathBuf,
    /// The directory for configurations to be tested.
    pub run_dir: PathBuf,
    /// The address on which it listens for proxies.
    pub listen: SocketAddr,
    /// The layout of the proxies' containers.
    pub layout: Layout,
    /// Where secrets and configs with TLS material are mounted, each under its id.
    pub material_dir: PathBuf,
}

/// Why an extension cannot start or continue.
#[derive(Debug, thiserror::Error)]
pub enum ExtensionError {
    /// The operator's address cannot be used.
    #[error("cannot set up the connection to the operator")]
    Client(#[from] ClientError),
    /// The engine is missing or its directory cannot be written.
    #[error("cannot run the engine")]
    Engine(#[from] EngineError),
    /// Proxies cannot be served over TLS.
    #[error("cannot set up TLS for the proxies")]
    Tls(#[from] TlsError),
    /// The port is taken, or the server failed.
    #[error("cannot serve the proxies on {listen}")]
    Serve {
        /// Where.
        listen: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// Runs until `shutdown` is cancelled, then ends within a second. Safe to cancel.
pub async fn run(options: ExtensionOptions, shutdown: CancellationToken) -> Result<(), ExtensionError> {
    let engine = crate::runtime::engine(options.engine_kind, &options.engine, &options.run_dir);
    engine.prepare().await?;
    let engine_version = engine.version().await?;
    let serve_error = |source| ExtensionError::Serve { listen: options.listen, source };
    let listener = TcpListener::bind(options.listen).await.map_err(serve_error)?;
    let enrolment = Enrolment::new(options.bootstrap.clone(), options.task.clone(), &options.operator_url)?;
    let credentials = enrolment.credentials();
    let tls = server_config(credentials, ClientAuthentication::Required)?;
    let client = ChannelClient::new(&options.operator_url, credentials, OPERATOR_NAME)?;
    tracing::info!(cluster = %options.cluster, engine = engine_version, listen = %options.listen, "starting the extension");

    let desired = watch::Sender::new(None);
    let outcome = watch::Sender::new(Arc::new(PipelineResult::default()));
    let offers = watch::Sender::new(None);
    let proxies = ProxyRegistry::default();
    let reporter = Reporter {
        client: &client,
        cluster: options.cluster.clone(),
        task: options.task.clone(),
        engine_version,
        outcome: outcome.subscribe(),
        proxies: proxies.clone(),
    };
    let root = credentials.root().clone();
    let freshness = Freshness::default();
    let published = server::ServerState { offers: offers.subscribe(), freshness: freshness.clone(), proxies: proxies.clone() };
    let router = server::router(root, options.cluster.clone(), published, shutdown.clone());
    let store = MaterialStore::new(&options.material_dir, Path::new(options.layout.system_roots));
    let validator =
        Validator::new(options.engine_kind, engine, options.run_dir.clone(), options.layout.clone(), options.material_dir.clone());
    let signer = BundleSigner::new(credentials.clone(), proxies.highest_generation());
    let pipeline = Pipeline::new(validator, store, signer, freshness.addresses.clone(), desired.subscribe(), outcome, offers);
    let work = async {
        tokio::select! {
            // No proxy trusts an extension before it has its certificate.
            _ = credentials.ready() => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        tracing::info!("the extension is ready");
        tokio::select! {
            served = serve(listener, tls, router, shutdown.clone()) => served.map_err(serve_error),
            never = follow(&client, &options.cluster, &desired, &freshness) => match never {},
            // Rendering thousands of hosts takes long; meanwhile requests of proxies must be answered.
            never = worker_thread::run_on_thread(pipeline.run()) => match never {},
            never = reporter.run() => match never {},
            never = follow_peers(&client, &enrolment, None, &options.cluster, |_| {}), if options.follows_peers => match never {},
        }
    };
    tokio::select! {
        ended = work => ended,
        never = enrolment.run() => match never {},
    }
}

/// How fresh tables are, and whether the offered addresses are still right. Clones share their content.
#[derive(Debug, Clone, Default)]
struct Freshness {
    confirmations: ContentAges,
    addresses: AddressTracker,
}

impl Freshness {
    fn record(&self, desired: &Desired, confirmed: Moment) {
        self.confirmations.record(&desired.digest, confirmed);
        self.addresses.record_table(&desired.table, confirmed);
    }

    /// The table with this digest is still the newest.
    fn confirm(&self, table: &Digest, confirmed: Moment) {
        self.confirmations.record(table, confirmed);
        self.addresses.confirm(confirmed);
    }

    /// When this offer was last known to be right: its table is still the newest, or the newest still has all its addresses.
    fn of(&self, offer: &Offer) -> Moment {
        let table = self.confirmations.confirmed_at(&offer.table);
        let addresses = self.addresses.departed_from(&offer.config.digest).filter(|(gone, _)| gone.is_empty());
        addresses.map_or(table, |(_, seen)| table.max(seen))
    }
}

/// Keeps `desired` at the newest table that the operator published for this cluster, and records how fresh it is.
async fn follow(
    client: &ChannelClient,
    cluster: &ClusterName,
    desired: &watch::Sender<Option<Arc<Desired>>>,
    freshness: &Freshness,
) -> Infallible {
    let mut follower = Follower::new(client, format!("/v1/clusters/{cluster}/desired")).with_wait(EXTENSION_CONFIRM_INTERVAL);
    let mut after: Option<Digest> = None;
    loop {
        let PollResponse { answer, confirmed } = follower.next::<Desired>(after.as_ref()).await;
        let PollResult::New(message) = answer else {
            if let Some(same) = &after {
                freshness.confirm(same, confirmed);
            }
            continue;
        };
        after = Some(message.digest.clone());
        if message.version == WIRE_VERSION && &message.table.cluster == cluster {
            tracing::debug!(digest = message.digest.short(), "received a new route table");
            freshness.record(&message, confirmed);
            desired.send_replace(Some(Arc::new(message)));
        } else {
            tracing::error!(version = message.version, cluster = %message.table.cluster, "ignoring a foreign route table");
        }
    }
}
