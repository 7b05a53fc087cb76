//! The HTTP endpoints for proxies. Authenticates them; offers only what the pipeline has validated.

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

use super::Freshness;
use super::pipeline::Offer;
use super::proxy_registry::ProxyRegistry;
use crate::channel::{
    LongPoll, LongPollResult, Moment, PollRejection, freshness_headers, has_certificate_for, read_message, wait_for_newer,
};
use crate::http_server::Peer;
use crate::pki::{ChannelRole, TrustRoot, is_task_name, role_name, task_name};
use crate::protocol::messages::{Addresses, ProxyReport, WIRE_VERSION};
use crate::protocol::size_limits::PROXY_REPORT_BYTES_MAX;
use crate::types::{ClusterName, Digest};

/// The content type of a body that was serialized beforehand.
const JSON: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "application/json")];

/// The offer for proxies, and their reports.
#[derive(Clone)]
pub(super) struct ServerState {
    pub(super) offers: watch::Receiver<Option<Arc<Offer>>>,
    pub(super) freshness: Freshness,
    pub(super) proxies: ProxyRegistry,
}

#[derive(Clone)]
struct AppState {
    root: TrustRoot,
    cluster: ClusterName,
    published: ServerState,
    shutdown: CancellationToken,
}

impl AppState {
    /// Whether the peer is a proxy of this cluster.
    fn is_proxy(&self, peer: &Peer) -> bool {
        has_certificate_for(peer, &self.root, &role_name(ChannelRole::Proxy, &self.cluster))
    }

    fn is_task(&self, peer: &Peer, task: &str) -> bool {
        is_task_name(task) && has_certificate_for(peer, &self.root, &task_name(ChannelRole::Proxy, &self.cluster, task))
    }
}

/// The extension's routes. Long polls end when `shutdown` is cancelled.
pub(super) fn router(root: TrustRoot, cluster: ClusterName, published: ServerState, shutdown: CancellationToken) -> Router {
    let app = AppState { root, cluster, published, shutdown };
    Router::new()
        .route("/v1/bundle", get(bundle))
        .route("/v1/addresses", get(addresses))
        .route("/v1/proxies/{task}", post(report))
        .with_state(app)
}

async fn bundle(State(app): State<AppState>, Query(poll): Query<LongPoll>, Extension(peer): Extension<Peer>) -> Response {
    if !app.is_proxy(&peer) {
        return PollRejection::Unauthorized.into_response();
    }
    let requested_at = Moment::now();
    let waited = tokio::select! {
        waited = wait_for_newer(app.published.offers, |offer| &offer.config.digest, &poll) => waited,
        () = app.shutdown.cancelled() => LongPollResult::Nothing,
    };
    let freshness = |offer: &Offer| freshness_headers(requested_at, app.published.freshness.of(offer));
    match waited {
        LongPollResult::New(offer) => (freshness(&offer), JSON, offer.written.clone()).into_response(),
        LongPollResult::Same(offer) => (freshness(&offer), StatusCode::NOT_MODIFIED).into_response(),
        LongPollResult::Nothing => PollRejection::Nothing.into_response(),
    }
}

/// The offer that the proxy asks about.
#[derive(Deserialize)]
struct AddressesQuery {
    of: Digest,
}

async fn addresses(State(app): State<AppState>, Query(query): Query<AddressesQuery>, Extension(peer): Extension<Peer>) -> Response {
    if !app.is_proxy(&peer) {
        return PollRejection::Unauthorized.into_response();
    }
    let requested_at = Moment::now();
    match app.published.freshness.addresses.departed_from(&query.of) {
        Some((gone, seen)) => {
            (freshness_headers(requested_at, seen), Json(Addresses { version: WIRE_VERSION, of: query.of, gone })).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn report(State(app): State<AppState>, Path(task): Path<String>, Extension(peer): Extension<Peer>, body: Body) -> Response {
    if !app.is_task(&peer, &task) {
        return PollRejection::Unauthorized.into_response();
    }
    match read_message::<ProxyReport>(body, PROXY_REPORT_BYTES_MAX).await {
        Ok(report) if report.version == WIRE_VERSION && report.task == task => {
            app.published.proxies.record(report, jiff::Timestamp::now());
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(_) => PollRejection::Malformed.into_response(),
        Err(refused) => refused.into_response(),
    }
}
