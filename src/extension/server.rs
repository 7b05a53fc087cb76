//! What proxies ask of the extension over HTTP. Checks who asks; hands out what the workshop found good, and nothing else.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::proxies::Proxies;
use crate::channel::limits::PROXY_REPORT_BYTES_MAX;
use crate::channel::wire::{ProxyConfig, ProxyReport, WIRE_VERSION};
use crate::channel::{LongPoll, NotNow, Waited, is, newer, read_message};
use crate::http_server::Peer;
use crate::pki::{ChannelRole, TrustRoot, is_task_name, role_name, task_name};
use crate::types::ClusterName;

#[derive(Clone)]
struct Shop {
    root: TrustRoot,
    cluster: ClusterName,
    config: watch::Receiver<Option<Arc<ProxyConfig>>>,
    proxies: Proxies,
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
pub(super) fn router(
    root: TrustRoot,
    cluster: ClusterName,
    config: watch::Receiver<Option<Arc<ProxyConfig>>>,
    proxies: Proxies,
    shutdown: CancellationToken,
) -> Router {
    Router::new().route("/v1/bundle", get(bundle)).route("/v1/proxies/{task}", post(report)).with_state(Shop {
        root,
        cluster,
        config,
        proxies,
        shutdown,
    })
}

async fn bundle(State(shop): State<Shop>, Query(poll): Query<LongPoll>, Extension(peer): Extension<Peer>) -> Response {
    if !shop.is_proxy(&peer) {
        return NotNow::Unauthorized.into_response();
    }
    let waited = tokio::select! {
        waited = newer(shop.config, |config| &config.digest, &poll) => waited,
        () = shop.shutdown.cancelled() => Waited::Nothing,
    };
    match waited {
        Waited::New(config) => Json(config.as_ref()).into_response(),
        Waited::Same => StatusCode::NOT_MODIFIED.into_response(),
        Waited::Nothing => NotNow::Nothing.into_response(),
    }
}

async fn report(State(shop): State<Shop>, Path(task): Path<String>, Extension(peer): Extension<Peer>, body: Body) -> Response {
    if !shop.is_task(&peer, &task) {
        return NotNow::Unauthorized.into_response();
    }
    match read_message::<ProxyReport>(body, PROXY_REPORT_BYTES_MAX).await {
        Ok(report) if report.version == WIRE_VERSION && report.task == task => {
            shop.proxies.take(report, jiff::Timestamp::now());
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(_) => NotNow::Malformed.into_response(),
        Err(refused) => refused.into_response(),
    }
}
