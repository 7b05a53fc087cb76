//! Users' queries about what is declared and what exists: answered from one look, without changing anything. Shared by the
//! running operator and by the command line without one.

use serde::Serialize;

use crate::api::routes::{Answer, ExplainQuery, RenderQuery, Trouble};
use crate::explain::{NoConfiguration, Request, Sent, Sources, Unknown, configuration, explain, explain_service};
use crate::render::Purpose;

/// Whether a query is valid at all; needs no look at the Swarm.
pub fn sensible(query: &ExplainQuery) -> Result<(), Trouble> {
    match (&query.url, &query.service) {
        (Some(url), None) => asked(url, query).map(drop),
        (None, Some(_)) => Ok(()),
        _ => Err(Trouble::Wrong("explain needs either url=http://host/path (with an optional cluster=NAME) or service=NAME".to_owned())),
    }
}

/// The outcome of a request, or of a service's labels.
pub fn explained(sources: &Sources<'_>, query: &ExplainQuery) -> Result<Answer, Trouble> {
    match (&query.url, &query.service) {
        (Some(url), None) => {
            let request = asked(url, query)?;
            Ok(answer(&explain(sources, &request, query.cluster.as_deref()).map_err(|none| unknown(&none))?))
        }
        (None, Some(service)) => Ok(answer(&explain_service(sources, service).map_err(|none| unknown(&none))?)),
        _ => Err(Trouble::Wrong("explain needs either url=http://host/path (with an optional cluster=NAME) or service=NAME".to_owned())),
    }
}

/// The request as it reaches a proxy, if that is described.
fn asked(url: &str, query: &ExplainQuery) -> Result<Request, Trouble> {
    let request = Request::parse(url).map_err(|bad| Trouble::Wrong(bad.to_string()))?;
    let sent = Sent::parse(query.from.as_deref(), query.headers.as_deref(), query.proxy.as_deref());
    Ok(request.sent(sent.map_err(|bad| Trouble::Wrong(bad.to_string()))?))
}

/// The configuration of a cluster.
pub fn rendered(sources: &Sources<'_>, query: &RenderQuery) -> Result<Answer, Trouble> {
    let purpose = match query.purpose.as_deref() {
        None => None,
        Some("live") => Some(Purpose::Live),
        Some("boot") => Some(Purpose::Boot),
        Some("stock") => Some(Purpose::Stock),
        Some(_) => return Err(Trouble::Wrong("purpose must be live, boot or stock".to_owned())),
    };
    let told = configuration(sources, query.cluster.as_deref(), purpose).map_err(|none| match none {
        NoConfiguration::Unknown(none) => unknown(&none),
        NoConfiguration::Template { .. } => Trouble::Impossible(none.to_string()),
    })?;
    Ok(answer(&told))
}

fn unknown(unknown: &Unknown) -> Trouble {
    Trouble::Unknown(unknown.to_string())
}

fn answer<T: Serialize + ToString>(told: &T) -> Answer {
    let json = serde_json::to_value(told).unwrap_or_else(|error| serde_json::Value::String(error.to_string()));
    Answer { text: told.to_string(), json }
}
