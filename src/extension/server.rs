//! What proxies ask of the extension over HTTP. Checks who asks; hands out what the workshop found good, and nothing else.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::proxies::Proxies;
use crate::channel::wire::{ProxyConfig, ProxyReport, WIRE_VERSION};
use crate::channel::{LongPoll, NotNow, Waited, bearer_matches, newer, read_message};
use crate::types::Digest;

/// A proxy's report holds at most 4 KiB of words.
const REPORT_MAX: usize = 64 << 10;

#[derive(Clone)]
struct Shop {
    token: Digest,
    config: watch::Receiver<Option<Arc<ProxyConfig>>>,
    proxies: Proxies,
    shutdown: CancellationToken,
}

/// The extension's routes. Long polls end when `shutdown` is cancelled.
pub(super) fn router(
    token: Digest,
    config: watch::Receiver<Option<Arc<ProxyConfig>>>,
    proxies: Proxies,
    shutdown: CancellationToken,
) -> Router {
    Router::new()
        .route("/v1/bundle", get(bundle))
        .route("/v1/proxies/{task}", post(report))
        .route("/healthz", get(async || "ok\n"))
        .with_state(Shop { token, config, proxies, shutdown })
}

async fn bundle(State(shop): State<Shop>, Query(poll): Query<LongPoll>, headers: HeaderMap) -> Response {
    if !bearer_matches(&headers, std::slice::from_ref(&shop.token)) {
        return NotNow::Unauthorized.into_response();
    }
    let waited = tokio::select! {
        waited = newer(shop.config, |config| &config.live.digest, &poll) => waited,
        () = shop.shutdown.cancelled() => Waited::Nothing,
    };
    match waited {
        Waited::New(config) => Json(config.as_ref()).into_response(),
        Waited::Same => StatusCode::NOT_MODIFIED.into_response(),
        Waited::Nothing => NotNow::Nothing.into_response(),
    }
}

async fn report(State(shop): State<Shop>, Path(task): Path<String>, headers: HeaderMap, body: Body) -> Response {
    if !bearer_matches(&headers, std::slice::from_ref(&shop.token)) {
        return NotNow::Unauthorized.into_response();
    }
    match read_message::<ProxyReport>(body, REPORT_MAX).await {
        Ok(report) if report.version == WIRE_VERSION && report.task == task => {
            shop.proxies.take(report, jiff::Timestamp::now());
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(_) => NotNow::Malformed.into_response(),
        Err(refused) => refused.into_response(),
    }
}
