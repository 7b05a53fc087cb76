//! The hub over HTTP. Checks who asks and what is sent, then calls the hub; keeps nothing itself.

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};

use super::{Access, Hub, Taken};
use crate::channel::server::{LongPoll, NotNow, Waited, newer, read_message};
use crate::channel::token::bearer_matches;
use crate::channel::wire::{ExtensionReport, WIRE_VERSION};
use crate::types::ClusterName;

/// A report holds up to two rendered configurations; those of 10,000 routes have some 10 MB.
const REPORT_MAX: usize = 64 << 20;

pub(super) fn router(hub: Hub) -> Router {
    Router::new().route("/v1/clusters/{cluster}/desired", get(desired)).route("/v1/clusters/{cluster}/report", post(report)).with_state(hub)
}

async fn desired(State(hub): State<Hub>, Path(cluster): Path<String>, Query(poll): Query<LongPoll>, headers: HeaderMap) -> Response {
    let Ok(cluster) = ClusterName::parse(&cluster) else { return NotNow::Nothing.into_response() };
    let current = match hub.follow(&cluster, |tokens| bearer_matches(&headers, tokens)) {
        Access::Granted(current) => current,
        Access::Refused => return NotNow::Unauthorized.into_response(),
        Access::Unknown => return NotNow::Nothing.into_response(),
    };
    match newer(current, |desired| &desired.digest, &poll).await {
        Waited::New(desired) => Json(desired.as_ref()).into_response(),
        Waited::Same => StatusCode::NOT_MODIFIED.into_response(),
        Waited::Nothing => NotNow::Nothing.into_response(),
    }
}

async fn report(State(hub): State<Hub>, Path(cluster): Path<String>, headers: HeaderMap, body: Body) -> Response {
    let known = ClusterName::parse(&cluster).map(|cluster| hub.follow(&cluster, |tokens| bearer_matches(&headers, tokens)));
    match known {
        Ok(Access::Granted(_)) => {}
        Ok(Access::Refused) => return NotNow::Unauthorized.into_response(),
        Ok(Access::Unknown) | Err(_) => return NotNow::Nothing.into_response(),
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
