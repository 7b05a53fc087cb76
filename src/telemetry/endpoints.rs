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
    async fn plan(&self) -> Result<PlanAnswer, String>;
}

/// What the next pass would do, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanAnswer {
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
    match (shared.source.plan().await, query.output) {
        (Ok(plan), Output::Text) => text(StatusCode::OK, plan.text),
        (Ok(plan), Output::Json) => axum::Json(plan.json).into_response(),
        (Err(why), _) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
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
