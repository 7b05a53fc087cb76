//! What proxies ask of the extension over HTTP. Checks who asks; hands out what the workshop found good, and nothing else.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::header::CONTENT_TYPE;
use http::{HeaderName, StatusCode};
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Age;
use super::pipeline::Offer;
use super::proxy_registry::Proxies;
use crate::channel::{LongPoll, Moment, NotNow, Waited, freshness_headers, is, newer, read_message};
use crate::http_server::Peer;
use crate::pki::{ChannelRole, TrustRoot, is_task_name, role_name, task_name};
use crate::protocol::messages::{Addresses, ProxyReport, WIRE_VERSION};
use crate::protocol::size_limits::PROXY_REPORT_BYTES_MAX;
use crate::types::{ClusterName, Digest};

/// What a body is that was written beforehand.
const JSON: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "application/json")];

/// What is handed out, and what comes back.
#[derive(Clone)]
pub(super) struct Shelf {
    pub(super) offers: watch::Receiver<Option<Arc<Offer>>>,
    pub(super) age: Age,
    pub(super) proxies: Proxies,
}

#[derive(Clone)]
struct Shop {
    root: TrustRoot,
    cluster: ClusterName,
    shelf: Shelf,
    shutdown: CancellationToken,
}

impl Shop {
    /// Whether a proxy of this cluster asks.
    fn is_proxy(&self, peer: &Peer) -> bool {
        is(peer, &self.root, &role_name(ChannelRole::Proxy, &self.cluster))
    }

    fn is_task(&self, peer: &Peer, task: &str) -> bool {
        is_task_name(task) && is(peer, &self.root, &task_name(ChannelRole::Proxy, &self.cluster, task))
    }
}

/// The extension's routes. Long polls end when `shutdown` is cancelled.
pub(super) fn router(root: TrustRoot, cluster: ClusterName, shelf: Shelf, shutdown: CancellationToken) -> Router {
    let shop = Shop { root, cluster, shelf, shutdown };
    Router::new()
        .route("/v1/bundle", get(bundle))
        .route("/v1/addresses", get(addresses))
        .route("/v1/proxies/{task}", post(report))
        .with_state(shop)
}

async fn bundle(State(shop): State<Shop>, Query(poll): Query<LongPoll>, Extension(peer): Extension<Peer>) -> Response {
    if !shop.is_proxy(&peer) {
        return NotNow::Unauthorized.into_response();
    }
    let asked = Moment::now();
    let waited = tokio::select! {
        waited = newer(shop.shelf.offers, |offer| &offer.config.digest, &poll) => waited,
        () = shop.shutdown.cancelled() => Waited::Nothing,
    };
    let freshness = |offer: &Offer| freshness_headers(asked, shop.shelf.age.of(offer));
    match waited {
        Waited::New(offer) => (freshness(&offer), JSON, offer.written.clone()).into_response(),
        Waited::Same(offer) => (freshness(&offer), StatusCode::NOT_MODIFIED).into_response(),
        Waited::Nothing => NotNow::Nothing.into_response(),
    }
}

/// Which offer is asked about.
#[derive(Deserialize)]
struct AskedOf {
    of: Digest,
}

async fn addresses(State(shop): State<Shop>, Query(asked_of): Query<AskedOf>, Extension(peer): Extension<Peer>) -> Response {
    if !shop.is_proxy(&peer) {
        return NotNow::Unauthorized.into_response();
    }
    let asked = Moment::now();
    match shop.shelf.age.sightings.of(&asked_of.of) {
        Some((gone, seen)) => {
            (freshness_headers(asked, seen), Json(Addresses { version: WIRE_VERSION, of: asked_of.of, gone })).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn report(State(shop): State<Shop>, Path(task): Path<String>, Extension(peer): Extension<Peer>, body: Body) -> Response {
    if !shop.is_task(&peer, &task) {
        return NotNow::Unauthorized.into_response();
    }
    match read_message::<ProxyReport>(body, PROXY_REPORT_BYTES_MAX).await {
        Ok(report) if report.version == WIRE_VERSION && report.task == task => {
            shop.shelf.proxies.take(report, jiff::Timestamp::now());
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(_) => NotNow::Malformed.into_response(),
        Err(refused) => refused.into_response(),
    }
}
