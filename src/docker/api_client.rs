//! A session with the API: our connection, with the API version that both sides speak as the prefix of each path.

use std::sync::Arc;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, ClientVersion};
use serde_json::Value;

use super::connection::DockerConnection;
use super::error::{CallError, no_connection, swarm_error, unavailable};
use crate::swarm::SwarmError;

/// The oldest API version with everything we need.
const OLDEST: ClientVersion = ClientVersion { major_version: 1, minor_version: 41 };

/// A negotiated session. Cheap to clone.
#[derive(Clone)]
pub struct ApiClient {
    /// The connection.
    pub link: Arc<DockerConnection>,
    /// `/v1.41`.
    pub prefix: Arc<str>,
}

impl ApiClient {
    /// Asks the server for its API version, and selects one that both sides speak.
    pub async fn negotiate(link: &Arc<DockerConnection>) -> Result<Self, SwarmError> {
        let doing = "negotiate the API version";
        let unversioned = Self { link: link.clone(), prefix: "".into() };
        let answer = unversioned.get("/version").await.and_then(|answer| version(&answer));
        let theirs = answer.map_err(|error| match no_connection(&error) {
            Some(cause) => {
                let cause = format!("{cause}; set --docker-url or DOCKER_HOST");
                unavailable(&format!("cannot connect to the Docker API at {}", link.url), cause)
            }
            None => swarm_error(doing, &error),
        })?;
        if theirs < OLDEST {
            return Err(unavailable(doing, format!("the server supports API {theirs}, but {OLDEST} is required (Docker 20.10 or newer)")));
        }
        let negotiated = if &theirs < API_DEFAULT_VERSION { &theirs } else { API_DEFAULT_VERSION };
        Ok(Self { link: link.clone(), prefix: format!("/v{negotiated}").into() })
    }
}

fn version(answer: &Value) -> Result<ClientVersion, CallError> {
    let version_text = answer.get("ApiVersion").and_then(Value::as_str).and_then(|version_text| version_text.split_once('.'));
    let parsed = version_text.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let (major_version, minor_version) = parsed.ok_or(Error::APIVersionParseError {})?;
    Ok(ClientVersion { major_version, minor_version })
}
