//! The operator's HTTP endpoints for people and monitoring. Read-only: nothing that arrives here changes anything.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Deserialize;

use super::metrics::StatusGauges;
use super::page;
use crate::report::StatusReport;

/// Where the endpoints get their answers from.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// The status now.
    fn status(&self) -> StatusReport;

    /// Whether the Swarm was read completely and every cluster had its first pass; the error says what is missing.
    fn ready(&self) -> Result<(), String>;

    /// What the next pass would do; the error says why it cannot be told.
    async fn plan(&self) -> Result<Answer, String>;

    /// What becomes of a request or of a service's labels.
    async fn explain(&self, query: ExplainQuery) -> Result<Answer, Trouble>;

    /// The configuration of a cluster.
    async fn render(&self, query: RenderQuery) -> Result<Answer, Trouble>;

    /// What of the Swarm routes are made from; the error says why it cannot be told. Must hold nothing else: everybody who
    /// reaches the endpoints may read it.
    async fn snapshot(&self) -> Result<serde_json::Value, String>;
}

/// What is asked about a request (`url`, perhaps `cluster`) or about a service (`service`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ExplainQuery {
    /// The request.
    pub url: Option<String>,
    /// In this cluster only.
    pub cluster: Option<String>,
    /// The service.
    pub service: Option<String>,
    output: Output,
}

/// Which configuration is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RenderQuery {
    /// Of this cluster; may be left out when there is one only.
    pub cluster: Option<String>,
    /// `live`, `boot` or `stock`; the cluster's own without.
    pub purpose: Option<String>,
    output: Output,
}

impl ExplainQuery {
    /// A question about a request.
    pub fn request(url: String, cluster: Option<String>) -> Self {
        Self { url: Some(url), cluster, ..Self::default() }
    }

    /// A question about a service.
    pub fn service(name: String) -> Self {
        Self { service: Some(name), ..Self::default() }
    }
}

impl RenderQuery {
    /// A question about a cluster's configuration.
    pub fn new(cluster: Option<String>, purpose: Option<String>) -> Self {
        Self { cluster, purpose, ..Self::default() }
    }
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The question makes no sense.
    #[error("{0}")]
    Wrong(String),
    /// What it is about does not exist.
    #[error("{0}")]
    Unknown(String),
    /// What is declared gives none.
    #[error("{0}")]
    Impossible(String),
    /// Nobody can look now.
    #[error("{0}")]
    Unavailable(String),
}

/// An answer, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// For people.
    pub text: String,
    /// The same as JSON.
    pub json: serde_json::Value,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Output {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Deserialize)]
struct PlanQuery {
    #[serde(default)]
    output: Output,
}

struct Shared {
    source: Arc<dyn Source>,
    gauges: StatusGauges,
    metrics: Option<PrometheusHandle>,
}

/// All endpoints. Without a handle `/metrics` answers 404.
pub fn router(source: Arc<dyn Source>, metrics: Option<PrometheusHandle>) -> Router {
    let shared = Arc::new(Shared { source, gauges: StatusGauges::default(), metrics });
    Router::new()
        .route("/", get(show_page))
        .route("/status", get(show_status))
        .route("/plan", get(show_plan))
        .route("/explain", get(show_explanation))
        .route("/render", get(show_configuration))
        .route("/snapshot", get(show_snapshot))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(show_ready))
        .route("/metrics", get(show_metrics))
        .with_state(shared)
}

async fn show_page(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        // The page is made of other people's label values: even if one slipped through, nothing may run.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, page::render(&shared.source.status()))
}

async fn show_status(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    axum::Json(shared.source.status())
}

async fn show_plan(State(shared): State<Arc<Shared>>, Query(query): Query<PlanQuery>) -> Response {
    show(shared.source.plan().await.map_err(Trouble::Unavailable), query.output)
}

async fn show_explanation(State(shared): State<Arc<Shared>>, Query(query): Query<ExplainQuery>) -> Response {
    let output = query.output;
    show(shared.source.explain(query).await, output)
}

async fn show_configuration(State(shared): State<Arc<Shared>>, Query(query): Query<RenderQuery>) -> Response {
    let output = query.output;
    show(shared.source.render(query).await, output)
}

async fn show_snapshot(State(shared): State<Arc<Shared>>) -> Response {
    match shared.source.snapshot().await {
        Ok(snapshot) => axum::Json(snapshot).into_response(),
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

fn show(answer: Result<Answer, Trouble>, output: Output) -> Response {
    let status = |trouble: &Trouble| match trouble {
        Trouble::Wrong(_) => StatusCode::BAD_REQUEST,
        Trouble::Unknown(_) => StatusCode::NOT_FOUND,
        Trouble::Impossible(_) => StatusCode::CONFLICT,
        Trouble::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    match (answer, output) {
        (Ok(answer), Output::Text) => text(StatusCode::OK, answer.text),
        (Ok(answer), Output::Json) => axum::Json(answer.json).into_response(),
        (Err(trouble), _) => text(status(&trouble), format!("{trouble}\n")),
    }
}

async fn show_ready(State(shared): State<Arc<Shared>>) -> Response {
    match shared.source.ready() {
        Ok(()) => text(StatusCode::OK, "ready\n".to_owned()),
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn show_metrics(State(shared): State<Arc<Shared>>) -> Response {
    let Some(handle) = &shared.metrics else {
        return StatusCode::NOT_FOUND.into_response();
    };
    shared.gauges.show(&shared.source.status());
    handle.run_upkeep();
    (StatusCode::OK, [content_type("text/plain; version=0.0.4; charset=utf-8")], handle.render()).into_response()
}

fn text(status: StatusCode, body: String) -> Response {
    (status, [content_type("text/plain; charset=utf-8")], body).into_response()
}

fn content_type(value: &'static str) -> (HeaderName, &'static str) {
    (header::CONTENT_TYPE, value)
}
