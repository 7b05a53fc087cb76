//! Whether this container is healthy: Swarm's health check asks through `swarmgate proxy --check`. The answer depends on processes,
//! not on responses: a proxy that is busy or finishes its requests must not be killed, nor one whose extension is down.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State as Shared;
use axum::routing::get;
use http::StatusCode;
use tokio::sync::watch;

use super::ProxyState;
use crate::types::ConfigSource;

const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// `/healthz`: 200 while the engine runs a tested configuration, and while it finishes its requests. A proxy with new networks must
/// first show that it reaches them. Also 503 when request bodies take more space than allowed and nothing has freed it: a new
/// container starts without them.
pub(super) fn router(state: watch::Receiver<ProxyState>) -> Router {
    Router::new().route("/healthz", get(healthz)).with_state(state)
}

async fn healthz(Shared(state): Shared<watch::Receiver<ProxyState>>) -> (StatusCode, String) {
    let state = state.borrow().clone();
    let source = origin(&state);
    match (state.running.as_ref().filter(|_| state.serving), &state.spool_fault) {
        // Only at a start: see `network_readiness`.
        (Some(_), _) if !state.arrived => (StatusCode::SERVICE_UNAVAILABLE, "the proxy does not reach its new networks yet\n".to_owned()),
        (Some(_), Some(fault)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{fault}\n")),
        (Some(digest), None) => (StatusCode::OK, format!("serving {} ({source})\n", digest.short())),
        (None, _) => (StatusCode::SERVICE_UNAVAILABLE, "the engine is not running\n".to_owned()),
    }
}

/// Where endpoints come from.
fn origin(state: &ProxyState) -> &str {
    match (&state.source, state.by_name) {
        (Some(ConfigSource::Volume), true) => "names of the volume",
        (Some(ConfigSource::Boot), _) => "names of the boot snapshot",
        (source, _) => source.as_ref().map_or("nothing", ConfigSource::as_str),
    }
}

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The agent does not answer.
    #[error("cannot reach the agent at {address}")]
    Silent {
        /// The agent's address.
        address: SocketAddr,
        /// What went wrong.
        source: reqwest::Error,
    },
    /// The agent reports that it does not serve.
    #[error("the agent reports: {0}")]
    Unhealthy(String),
}

/// Asks an agent whether it serves, for a container's health check. Returns the agent's message.
pub async fn check(address: SocketAddr) -> Result<String, HealthError> {
    let silent = |source| HealthError::Silent { address, source };
    let client = reqwest::Client::builder().no_proxy().timeout(CHECK_TIMEOUT).build().map_err(silent)?;
    let response = client.get(format!("http://{address}/healthz")).send().await.map_err(silent)?;
    let healthy = response.status().is_success();
    let message = response.text().await.map_err(silent)?.trim().to_owned();
    if healthy { Ok(message) } else { Err(HealthError::Unhealthy(message)) }
}
