//! The hub over HTTP. Checks who asks and what is sent, then calls the hub; keeps nothing itself.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use tokio::sync::watch;

use super::{Access, Cluster, Hub, Taken};
use crate::channel::server::{LongPoll, NotNow, Waited, newer, read_message};
use crate::channel::token::bearer_matches;
use crate::channel::wire::{ExtensionReport, WIRE_VERSION};
use crate::types::{ClusterName, Digest};

/// A report holds up to two rendered configurations; those of 10,000 routes have some 10 MB.
const REPORT_MAX: usize = 64 << 20;

pub(super) fn router(hub: Hub) -> Router {
    Router::new()
        .route("/v1/clusters/{cluster}/desired", get(desired))
        .route("/v1/clusters/{cluster}/peers", get(peers))
        .route("/v1/clusters/{cluster}/report", post(report))
        .with_state(hub)
}

async fn desired(State(hub): State<Hub>, Path(cluster): Path<String>, Query(poll): Query<LongPoll>, headers: HeaderMap) -> Response {
    let content = granted(&hub, &cluster, &headers, |entry| entry.desired.subscribe());
    hand_out(content, |desired| &desired.digest, &poll).await
}

async fn peers(State(hub): State<Hub>, Path(cluster): Path<String>, Query(poll): Query<LongPoll>, headers: HeaderMap) -> Response {
    let content = granted(&hub, &cluster, &headers, |entry| entry.peers.subscribe());
    hand_out(content, |peers| &peers.digest, &poll).await
}

/// Something of a cluster, if the sender may have it.
fn granted<T>(hub: &Hub, cluster: &str, headers: &HeaderMap, choose: fn(&Cluster) -> T) -> Result<T, NotNow> {
    let cluster = ClusterName::parse(cluster).map_err(|_| NotNow::Nothing)?;
    match hub.access(&cluster, |tokens| bearer_matches(headers, tokens), choose) {
        Access::Granted(content) => Ok(content),
        Access::Refused => Err(NotNow::Unauthorized),
        Access::Unknown => Err(NotNow::Nothing),
    }
}

/// Answers a long poll for something with a digest.
async fn hand_out<T: Serialize>(
    content: Result<watch::Receiver<Option<Arc<T>>>, NotNow>,
    digest: fn(&T) -> &Digest,
    poll: &LongPoll,
) -> Response {
    let current = match content {
        Ok(current) => current,
        Err(refused) => return refused.into_response(),
    };
    match newer(current, digest, poll).await {
        Waited::New(message) => Json(message.as_ref()).into_response(),
        Waited::Same => StatusCode::NOT_MODIFIED.into_response(),
        Waited::Nothing => NotNow::Nothing.into_response(),
    }
}

async fn report(State(hub): State<Hub>, Path(cluster): Path<String>, headers: HeaderMap, body: Body) -> Response {
    if let Err(refused) = granted(&hub, &cluster, &headers, |_| ()) {
        return refused.into_response();
    }
    match read_message::<ExtensionReport>(body, REPORT_MAX).await {
        Ok(report) if report.version == WIRE_VERSION && report.cluster.as_str() == cluster => take(&hub, report, &headers),
        Ok(_) => NotNow::Malformed.into_response(),
        Err(refused) => refused.into_response(),
    }
}

fn take(hub: &Hub, report: ExtensionReport, headers: &HeaderMap) -> Response {
    match hub.take(report, jiff::Timestamp::now(), |tokens| bearer_matches(headers, tokens)) {
        Access::Granted(Taken::Kept) => StatusCode::NO_CONTENT.into_response(),
        Access::Granted(Taken::NeedsBundles) => (StatusCode::CONFLICT, "send the report with its bundles\n").into_response(),
        Access::Refused => NotNow::Unauthorized.into_response(),
        Access::Unknown => NotNow::Nothing.into_response(),
    }
}
