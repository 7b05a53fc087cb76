//! A session with the API: bollard over our connection, with the API version that both sides speak. bollard negotiates
//! but then sends its requests without a version, so the connection puts it in front of each path.

use std::sync::Arc;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, BollardRequest, ClientVersion, Docker};
use http::Uri;

use super::error::{swarm_error, unavailable};
use super::link::Link;
use crate::swarm::SwarmError;

/// The oldest API that has all we need.
const OLDEST: ClientVersion = ClientVersion { major_version: 1, minor_version: 41 };

/// A negotiated session. Cheap to clone.
#[derive(Clone)]
pub struct Session {
    /// bollard, for calls whose answers hold nothing that a typed model could lose.
    pub docker: Docker,
    /// The connection, for raw calls.
    pub link: Arc<Link>,
    /// `/v1.41`.
    pub prefix: Arc<str>,
}

impl Session {
    /// Asks the server for its API version and settles on one.
    pub async fn negotiate(link: &Arc<Link>, deadline_seconds: u64) -> Result<Self, SwarmError> {
        let doing = "negotiate the API version";
        let asking = client(link, deadline_seconds, None).map_err(|e| swarm_error(doing, &e))?;
        let version = asking.negotiate_version().await.map_err(|e| swarm_error(doing, &e))?.client_version();
        if version < OLDEST {
            return Err(unavailable(doing, format!("the server speaks API {version}; {OLDEST} is needed (Docker 20.10 or newer)")));
        }
        let prefix: Arc<str> = format!("/v{version}").into();
        let docker = client(link, deadline_seconds, Some(prefix.clone())).map_err(|e| swarm_error(doing, &e))?;
        Ok(Self { docker, link: link.clone(), prefix })
    }
}

/// bollard over our connection.
fn client(link: &Arc<Link>, deadline_seconds: u64, prefix: Option<Arc<str>>) -> Result<Docker, Error> {
    let (link, base) = (link.clone(), link.base.clone());
    let send = move |request: BollardRequest| {
        let (link, prefix) = (link.clone(), prefix.clone());
        async move {
            let request = match &prefix {
                Some(prefix) => versioned(request, prefix)?,
                None => request,
            };
            link.send(request).await
        }
    };
    Docker::connect_with_custom_transport(send, Some(base), deadline_seconds, API_DEFAULT_VERSION)
}

/// Puts the version in front of the path.
fn versioned(mut request: BollardRequest, prefix: &str) -> Result<BollardRequest, Error> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    let path = parts.path_and_query.as_ref().map_or("/", |p| p.as_str());
    let path = if path.starts_with(prefix) { path.to_owned() } else { format!("{prefix}{path}") };
    parts.path_and_query = Some(path.parse()?);
    *request.uri_mut() = Uri::from_parts(parts).map_err(Error::from)?;
    Ok(request)
}
