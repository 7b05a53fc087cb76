//! The operator's HTTP endpoints for people and monitoring. Read-only: no request changes anything.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::authorization::{Access, Guard};
use super::cached::Cached;
use super::page;
use crate::http_server::Peer;
use crate::report::StatusReport;
use crate::telemetry::metrics::StatusGauges;

/// The source of the endpoints' answers.
#[async_trait]
pub trait StatusSource: Send + Sync + 'static {
    /// The current status.
    fn status(&self) -> StatusReport;

    /// Whether the Swarm was read completely and every cluster had its first pass; the error says what is missing.
    fn ready(&self) -> Result<(), String>;

    /// What the next pass would do; the error says why that cannot be determined.
    async fn plan(&self) -> Result<QueryResponse, String>;

    /// The outcome of a request or of a service's labels.
    async fn explain(&self, query: ExplainQuery) -> Result<QueryResponse, QueryFailure>;

    /// The configuration of a cluster.
    async fn render(&self, query: RenderQuery) -> Result<QueryResponse, QueryFailure>;

    /// The Swarm objects from which routes are computed, as JSON; the error says why they cannot be read. Must contain
    /// nothing else: it is made to be shared.
    async fn snapshot(&self) -> Result<Bytes, String>;
}

/// A query about a request (`url`, optionally `cluster`) or about a service (`service`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ExplainQuery {
    /// The request.
    pub url: Option<String>,
    /// In this cluster only.
    pub cluster: Option<String>,
    /// The service.
    pub service: Option<String>,
    /// The address from which the request's connection to a proxy comes.
    pub from: Option<String>,
    /// Header lines of the request.
    pub headers: Option<String>,
    /// The PROXY header of the connection.
    pub proxy: Option<String>,
    output: ResponseFormat,
}

/// A query for a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RenderQuery {
    /// The cluster; optional if there is only one.
    pub cluster: Option<String>,
    /// `live`, `boot` or `stock`; by default as the cluster uses it.
    pub purpose: Option<String>,
    output: ResponseFormat,
}

impl ExplainQuery {
    /// A query about a request.
    pub fn request(url: String, cluster: Option<String>) -> Self {
        Self { url: Some(url), cluster, ..Self::default() }
    }

    /// A query about a service.
    pub fn service(name: String) -> Self {
        Self { service: Some(name), ..Self::default() }
    }
}

impl RenderQuery {
    /// A query about a cluster's configuration.
    pub fn new(cluster: Option<String>, purpose: Option<String>) -> Self {
        Self { cluster, purpose, ..Self::default() }
    }
}

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryFailure {
    /// The query is invalid.
    #[error("{0}")]
    Wrong(String),
    /// Its subject does not exist.
    #[error("{0}")]
    Unknown(String),
    /// The declaration allows no answer.
    #[error("{0}")]
    Impossible(String),
    /// The Swarm cannot be read now.
    #[error("{0}")]
    Unavailable(String),
}

/// An answer, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryResponse {
    /// For people.
    pub text: String,
    /// The same as JSON.
    pub json: serde_json::Value,
}

/// The format of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ResponseFormat {
    #[default]
    Text,
    Json,
}

/// A query, or why it is invalid.
type ParsedQuery<T> = Result<Query<T>, QueryRejection>;

#[derive(Debug, Deserialize)]
struct PlanQuery {
    #[serde(default)]
    output: ResponseFormat,
}

/// How many queries that need a snapshot of the Swarm may be open at once; further clients are asked to retry.
const QUESTIONS_MAX: usize = 64;
/// The maximum size of an answer, and what clients read at most: a snapshot of many thousand services takes several dozen
/// megabytes.
pub const ANSWER_BYTES_MAX: usize = 1 << 30;

/// A status is computed at most once per this interval: it covers everything, and anyone may request metrics.
const STATUS_EVERY: Duration = Duration::from_millis(200);

/// Content security policies. No label value may ever run in a browser, even if escaping fails.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

struct ApiState {
    source: Arc<dyn StatusSource>,
    gauges: StatusGauges,
    metrics: Option<PrometheusHandle>,
    status: Cached<Arc<RenderedStatus>>,
    questions: Semaphore,
}

/// A status, and its renderings once requested.
struct RenderedStatus {
    status: StatusReport,
    json: OnceLock<Bytes>,
    page: OnceLock<Bytes>,
    metrics: OnceLock<Bytes>,
}

impl ApiState {
    fn status(&self) -> Arc<RenderedStatus> {
        let shown =
            || RenderedStatus { status: self.source.status(), json: OnceLock::new(), page: OnceLock::new(), metrics: OnceLock::new() };
        self.status.get(|| Arc::new(shown()))
    }
}

/// All endpoints, for clients that `access` admits. Without a handle `/metrics` answers 404.
pub fn router(source: Arc<dyn StatusSource>, metrics: Option<PrometheusHandle>, access: Access) -> Router {
    let (status, questions) = (Cached::new(STATUS_EVERY), Semaphore::new(QUESTIONS_MAX));
    let shared = Arc::new(ApiState { source, gauges: StatusGauges::default(), metrics, status, questions });
    Router::new()
        .route("/", get(show_page))
        .route("/status", get(show_status))
        .route("/plan", get(show_plan))
        .route("/explain", get(show_explanation))
        .route("/render", get(show_configuration))
        .route("/snapshot", get(show_snapshot))
        .route("/healthz", get(|| async { text(StatusCode::OK, "ok\n".to_owned()) }))
        .route("/readyz", get(show_ready))
        .route("/metrics", get(show_metrics))
        .fallback(|| async { nothing_here() })
        .with_state(shared)
        .layer(from_fn_with_state(Arc::new(Guard::new(access)), guarded))
}

/// Admits or refuses a request, and adds the security headers to every response.
async fn guarded(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let judged = guard.authorize(&head, head.extensions.get::<Peer>());
    let mut response = match judged {
        Ok(()) => next.run(Request::from_parts(head, body)).await,
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    response
}

async fn show_page(State(shared): State<Arc<ApiState>>) -> impl IntoResponse {
    let shown = shared.status();
    let page = shown.page.get_or_init(|| page::render(&shown.status).into());
    ([content_type("text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, PAGE_POLICY)], page.clone())
}

async fn show_status(State(shared): State<Arc<ApiState>>) -> Response {
    let shown = shared.status();
    match shown.json.get() {
        Some(json) => json_of(json.clone()),
        None => match serde_json::to_vec(&shown.status) {
            Ok(made) => json_of(shown.json.get_or_init(|| made.into()).clone()),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot serialize the status: {error}\n")),
        },
    }
}

async fn show_plan(State(shared): State<Arc<ApiState>>, query: ParsedQuery<PlanQuery>) -> Response {
    let Ok(Query(query)) = query else { return unreadable() };
    let Ok(_one) = shared.questions.try_acquire() else { return busy() };
    show(shared.source.plan().await.map_err(QueryFailure::Unavailable), query.output)
}

async fn show_explanation(State(shared): State<Arc<ApiState>>, query: ParsedQuery<ExplainQuery>) -> Response {
    let Ok(Query(query)) = query else { return unreadable() };
    let Ok(_one) = shared.questions.try_acquire() else { return busy() };
    let output = query.output;
    show(shared.source.explain(query).await, output)
}

async fn show_configuration(State(shared): State<Arc<ApiState>>, query: ParsedQuery<RenderQuery>) -> Response {
    let Ok(Query(query)) = query else { return unreadable() };
    let Ok(_one) = shared.questions.try_acquire() else { return busy() };
    let output = query.output;
    show(shared.source.render(query).await, output)
}

async fn show_snapshot(State(shared): State<Arc<ApiState>>) -> Response {
    let Ok(_one) = shared.questions.try_acquire() else { return busy() };
    match shared.source.snapshot().await {
        Ok(snapshot) => json_of(snapshot),
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

/// The content of the query is not repeated.
fn unreadable() -> Response {
    let message = "invalid query: a field is repeated, or a value is unknown (output must be text or json)\n";
    text(StatusCode::BAD_REQUEST, message.to_owned())
}

fn busy() -> Response {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, "too many concurrent queries; try again\n".to_owned());
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn nothing_here() -> Response {
    text(StatusCode::NOT_FOUND, "not found\n".to_owned())
}

fn show(answer: Result<QueryResponse, QueryFailure>, output: ResponseFormat) -> Response {
    let status = |trouble: &QueryFailure| match trouble {
        QueryFailure::Wrong(_) => StatusCode::BAD_REQUEST,
        QueryFailure::Unknown(_) => StatusCode::NOT_FOUND,
        QueryFailure::Impossible(_) => StatusCode::CONFLICT,
        QueryFailure::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    match (answer, output) {
        (Ok(answer), ResponseFormat::Text) => text(StatusCode::OK, answer.text),
        (Ok(answer), ResponseFormat::Json) => axum::Json(answer.json).into_response(),
        (Err(trouble), _) => text(status(&trouble), format!("{trouble}\n")),
    }
}

async fn show_ready(State(shared): State<Arc<ApiState>>) -> Response {
    match shared.source.ready() {
        Ok(()) => text(StatusCode::OK, "ready\n".to_owned()),
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn show_metrics(State(shared): State<Arc<ApiState>>) -> Response {
    let Some(handle) = &shared.metrics else { return nothing_here() };
    let shown = shared.status();
    let made = || {
        shared.gauges.show(&shown.status);
        handle.run_upkeep();
        handle.render().into()
    };
    (StatusCode::OK, [content_type("text/plain; version=0.0.4; charset=utf-8")], shown.metrics.get_or_init(made).clone()).into_response()
}

fn json_of(json: Bytes) -> Response {
    if json.len() > ANSWER_BYTES_MAX {
        let message = format!("the answer has {} bytes, more than the maximum of {ANSWER_BYTES_MAX}\n", json.len());
        return text(StatusCode::INSUFFICIENT_STORAGE, message);
    }
    ([content_type("application/json")], json).into_response()
}

fn text(status: StatusCode, body: String) -> Response {
    (status, [content_type("text/plain; charset=utf-8")], body).into_response()
}

fn content_type(value: &'static str) -> (HeaderName, &'static str) {
    (header::CONTENT_TYPE, value)
}

#[cfg(test)]
mod tests;
