//! Users' queries about what is declared and what exists: answered from one snapshot, without changing anything. Shared by the
//! running operator and by the command line without one.

use serde::Serialize;

use crate::api::routes::{ExplainQuery, QueryFailure, QueryResponse, RenderQuery};
use crate::explain::{NotFound, RenderError, Request, RequestSource, Sources, configuration, explain, explain_service};
use crate::render::ConfigPurpose;

/// Whether a query is valid at all; needs no snapshot of the Swarm.
pub fn check_query(query: &ExplainQuery) -> Result<(), QueryFailure> {
    match (&query.url, &query.service) {
        (Some(url), None) => parse_request(url, query).map(drop),
        (None, Some(_)) => Ok(()),
        _ => {
            Err(QueryFailure::Wrong("explain needs either url=http://host/path (with an optional cluster=NAME) or service=NAME".to_owned()))
        }
    }
}

/// The outcome of a request, or of a service's labels.
pub fn explain_response(sources: &Sources<'_>, query: &ExplainQuery) -> Result<QueryResponse, QueryFailure> {
    match (&query.url, &query.service) {
        (Some(url), None) => {
            let request = parse_request(url, query)?;
            Ok(answer(&explain(sources, &request, query.cluster.as_deref()).map_err(|none| unknown(&none))?))
        }
        (None, Some(service)) => Ok(answer(&explain_service(sources, service).map_err(|none| unknown(&none))?)),
        _ => {
            Err(QueryFailure::Wrong("explain needs either url=http://host/path (with an optional cluster=NAME) or service=NAME".to_owned()))
        }
    }
}

/// The request as it reaches a proxy, if that is described.
fn parse_request(url: &str, query: &ExplainQuery) -> Result<Request, QueryFailure> {
    let request = Request::parse(url).map_err(|bad| QueryFailure::Wrong(bad.to_string()))?;
    let sent = RequestSource::parse(query.from.as_deref(), query.headers.as_deref(), query.proxy.as_deref());
    Ok(request.with_source(sent.map_err(|bad| QueryFailure::Wrong(bad.to_string()))?))
}

/// The configuration of a cluster.
pub fn render_response(sources: &Sources<'_>, query: &RenderQuery) -> Result<QueryResponse, QueryFailure> {
    let purpose = match query.purpose.as_deref() {
        None => None,
        Some("live") => Some(ConfigPurpose::Live),
        Some("boot") => Some(ConfigPurpose::Boot),
        Some("stock") => Some(ConfigPurpose::Stock),
        Some(_) => return Err(QueryFailure::Wrong("purpose must be live, boot or stock".to_owned())),
    };
    let rendered = configuration(sources, query.cluster.as_deref(), purpose).map_err(|none| match none {
        RenderError::Unknown(none) => unknown(&none),
        RenderError::Ambiguous(_) => QueryFailure::Wrong(none.to_string()),
        RenderError::Template { .. } => QueryFailure::Impossible(none.to_string()),
    })?;
    Ok(answer(&rendered))
}

fn unknown(unknown: &NotFound) -> QueryFailure {
    QueryFailure::Unknown(unknown.to_string())
}

fn answer<T: Serialize + ToString>(rendered: &T) -> QueryResponse {
    let json = serde_json::to_value(rendered).unwrap_or_else(|error| serde_json::Value::String(error.to_string()));
    QueryResponse { text: rendered.to_string(), json }
}
