//! Asking a running operator over HTTP.

use std::time::Duration;

use serde::de::DeserializeOwned;

/// Where an operator answers on its own machine.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";
/// A plan needs a complete look at the Swarm, whose own deadline is 20 s.
const DEADLINE: Duration = Duration::from_secs(30);

/// Asking failed.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// Nobody answered.
    #[error("asking the operator at {url} (is it running, and is --server right?)")]
    Unreachable {
        /// What was asked.
        url: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// It answered, and cannot say.
    #[error("the operator at {url} answered {status}: {body}")]
    Refused {
        /// What was asked.
        url: String,
        /// The answer's status.
        status: u16,
        /// The answer's words.
        body: String,
    },
    /// Somebody else answered, or an operator of another version.
    #[error("the answer of {url} is not what this version of swarmgate understands")]
    Strange {
        /// What was asked.
        url: String,
        /// Where it stopped making sense.
        source: serde_json::Error,
    },
}

/// The body of a successful answer.
pub async fn get(server: &str, path: &str) -> Result<String, WebError> {
    ask(server, path, &[]).await
}

/// The same with a query.
pub async fn ask(server: &str, path: &str, query: &[(&str, &str)]) -> Result<String, WebError> {
    let url = format!("{}{path}", server.trim_end_matches('/'));
    let unreachable = |source| WebError::Unreachable { url: url.clone(), source };
    let client = reqwest::Client::builder().timeout(DEADLINE).no_proxy().build().map_err(unreachable)?;
    let answer = client.get(&url).query(query).send().await.map_err(unreachable)?;
    let status = answer.status();
    let body = answer.text().await.map_err(unreachable)?;
    if status.is_success() { Ok(body) } else { Err(WebError::Refused { url, status: status.as_u16(), body: body.trim().to_owned() }) }
}

/// Reads an answer's JSON.
pub fn parse<T: DeserializeOwned>(server: &str, body: &str) -> Result<T, WebError> {
    serde_json::from_str(body).map_err(|source| WebError::Strange { url: server.to_owned(), source })
}

/// Reads JSON that was parsed already.
pub fn understood<T: DeserializeOwned>(server: &str, json: &serde_json::Value) -> Result<T, WebError> {
    T::deserialize(json).map_err(|source| WebError::Strange { url: server.to_owned(), source })
}
