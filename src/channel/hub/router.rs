//! The hub over HTTP. Authenticates the client and validates the message, then calls the hub; stores nothing itself.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;

use super::{ClusterChannel, Hub, ReportOutcome};
use crate::channel::freshness::{Moment, freshness_headers};
use crate::channel::server::{LongPoll, LongPollResult, PollRejection, has_certificate_for, read_message, wait_for_newer};
use crate::http_server::Peer;
use crate::pki::{Authority, ChannelRole, is_task_name, role_name, task_name};
use crate::protocol::bearer_matches;
use crate::protocol::messages::{CertificateRequest, ExtensionReport, IssuedCertificate, WIRE_VERSION};
use crate::protocol::size_limits::{CERTIFICATE_REQUEST_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::types::{ClusterName, Digest};

#[derive(Clone)]
struct RouterState {
    hub: Hub,
    authority: Arc<Authority>,
}

pub(super) fn router(hub: Hub, authority: Arc<Authority>) -> Router {
    Router::new()
        .route("/v1/clusters/{cluster}/certificate", post(certificate))
        .route("/v1/clusters/{cluster}/desired", get(desired))
        .route("/v1/clusters/{cluster}/peers", get(peers))
        .route("/v1/clusters/{cluster}/report", post(report))
        .with_state(RouterState { hub, authority })
}

impl RouterState {
    fn is_role(&self, peer: &Peer, role: ChannelRole, cluster: &ClusterName) -> bool {
        has_certificate_for(peer, self.authority.root(), &role_name(role, cluster))
    }

    fn is_task(&self, peer: &Peer, role: ChannelRole, cluster: &ClusterName, task: &str) -> bool {
        is_task_name(task) && has_certificate_for(peer, self.authority.root(), &task_name(role, cluster, task))
    }

    /// Applies `choose` to a cluster, for a peer with one of these roles in it.
    fn granted<T>(&self, cluster: &str, peer: &Peer, roles: &[ChannelRole], choose: fn(&ClusterChannel) -> T) -> Result<T, PollRejection> {
        let cluster = ClusterName::parse(cluster).map_err(|_| PollRejection::Unauthorized)?;
        if !roles.iter().any(|role| self.is_role(peer, *role, &cluster)) {
            return Err(PollRejection::Unauthorized);
        }
        self.hub.of_cluster(&cluster, choose).ok_or(PollRejection::Nothing)
    }
}

async fn desired(
    State(server): State<RouterState>,
    Path(cluster): Path<String>,
    Query(poll): Query<LongPoll>,
    Extension(peer): Extension<Peer>,
) -> Response {
    let requested_at = Moment::now();
    let published = match server.granted(&cluster, &peer, &[ChannelRole::Extension], |entry| entry.published.subscribe()) {
        Ok(published) => published,
        Err(refused) => return refused.into_response(),
    };
    match wait_for_newer(published, |published| &published.desired.digest, &poll).await {
        LongPollResult::New(news) => (freshness_headers(requested_at, news.confirmed), Json(news.desired.as_ref())).into_response(),
        LongPollResult::Same(same) => (freshness_headers(requested_at, same.confirmed), StatusCode::NOT_MODIFIED).into_response(),
        LongPollResult::Nothing => PollRejection::Nothing.into_response(),
    }
}

async fn peers(
    State(server): State<RouterState>,
    Path(cluster): Path<String>,
    Query(poll): Query<LongPoll>,
    Extension(peer): Extension<Peer>,
) -> Response {
    let roles = [ChannelRole::Extension, ChannelRole::Proxy];
    let current = match server.granted(&cluster, &peer, &roles, |entry| entry.peers.subscribe()) {
        Ok(current) => current,
        Err(refused) => return refused.into_response(),
    };
    match wait_for_newer(current, |peers| &peers.digest, &poll).await {
        LongPollResult::New(peers) => Json(peers.as_ref()).into_response(),
        LongPollResult::Same(_) => StatusCode::NOT_MODIFIED.into_response(),
        LongPollResult::Nothing => PollRejection::Nothing.into_response(),
    }
}

async fn report(State(server): State<RouterState>, Path(cluster): Path<String>, Extension(peer): Extension<Peer>, body: Body) -> Response {
    if let Err(refused) = server.granted(&cluster, &peer, &[ChannelRole::Extension], |_| ()) {
        return refused.into_response();
    }
    match read_message::<ExtensionReport>(body, MESSAGE_BYTES_MAX).await {
        Ok(report) if report.version == WIRE_VERSION && report.cluster.as_str() == cluster => server.take(report, &peer),
        Ok(_) => PollRejection::Malformed.into_response(),
        Err(refused) => refused.into_response(),
    }
}

impl RouterState {
    /// Takes a report from the task that it is about, with configurations signed by it or another extension of the cluster.
    fn take(&self, report: ExtensionReport, peer: &Peer) -> Response {
        if !self.is_task(peer, ChannelRole::Extension, &report.cluster, &report.task) {
            return PollRejection::Unauthorized.into_response();
        }
        let mut bundles = report.boot.iter().chain(&report.live);
        if let Some(fault) = bundles.find_map(|bundle| bundle.check_signed(&report.cluster, self.authority.root()).err()) {
            tracing::warn!(cluster = %report.cluster, task = report.task, %fault, "rejected a report with an invalid configuration");
            return PollRejection::Malformed.into_response();
        }
        match self.hub.take(report, Timestamp::now()) {
            Some(ReportOutcome::Kept) => StatusCode::NO_CONTENT.into_response(),
            Some(ReportOutcome::NeedsBundles) => (StatusCode::CONFLICT, "send the report with its bundles\n").into_response(),
            None => PollRejection::Nothing.into_response(),
        }
    }
}

async fn certificate(
    State(server): State<RouterState>,
    Path(cluster): Path<String>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(cluster) = ClusterName::parse(&cluster) else { return PollRejection::Unauthorized.into_response() };
    // Read no body from unauthenticated clients.
    let roles = [ChannelRole::Extension, ChannelRole::Proxy].map(|role| (role, server.may_enrol(&cluster, role, &headers)));
    let has_certificate = roles.iter().any(|(role, _)| server.is_role(&peer, *role, &cluster));
    if !has_certificate && !roles.iter().any(|(_, has_token)| *has_token) {
        return server.no_credentials(&cluster);
    }
    let request = match read_message::<CertificateRequest>(body, CERTIFICATE_REQUEST_BYTES_MAX).await {
        Ok(request) if request.version == WIRE_VERSION => request,
        Ok(_) => return PollRejection::Malformed.into_response(),
        Err(refused) => return refused.into_response(),
    };
    let has_token = roles.iter().any(|(role, has_token)| *has_token && *role == request.role);
    if !has_token && !server.is_task(&peer, request.role, &cluster, &request.task) {
        return PollRejection::Unauthorized.into_response();
    }
    // A task that has just started may not have been observed yet; one that is gone gets nothing, even from a client with its key.
    match server.hub.of_cluster(&cluster, |entry| entry.admission.has(request.role, &request.task)) {
        Some(true) => server.issue(&cluster, &request),
        Some(false) | None => PollRejection::Nothing.into_response(),
    }
}

impl RouterState {
    /// Whether a request carries a valid token for this role.
    fn may_enrol(&self, cluster: &ClusterName, role: ChannelRole, headers: &HeaderMap) -> bool {
        let accepted = |entry: &ClusterChannel| -> Vec<Digest> {
            entry.admission.tokens.iter().filter(|token| token.role == role).map(|token| token.sha256.clone()).collect()
        };
        let accepted = self.hub.of_cluster(cluster, accepted).unwrap_or_default();
        bearer_matches(headers, &accepted)
    }

    /// The answer to an unauthenticated client. Its token may become known with the next observation of the Swarm.
    fn no_credentials(&self, cluster: &ClusterName) -> Response {
        match self.hub.of_cluster(cluster, |_| ()) {
            Some(()) => PollRejection::Unauthorized.into_response(),
            None => PollRejection::Nothing.into_response(),
        }
    }

    fn issue(&self, cluster: &ClusterName, request: &CertificateRequest) -> Response {
        let CertificateRequest { role, task, request, .. } = request;
        match self.authority.sign_request(*role, cluster, task, request, Timestamp::now()) {
            Ok(certificate) => {
                tracing::info!(%cluster, %role, task, "issued a certificate for the channel");
                Json(IssuedCertificate::new(&certificate)).into_response()
            }
            Err(error) => {
                tracing::warn!(%cluster, %role, %error, "rejected a certificate request");
                PollRejection::Malformed.into_response()
            }
        }
    }
}
