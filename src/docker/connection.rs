//! The connection to the Docker API: a unix socket or plain HTTP, with one connection pool for bollard and for raw calls.
//! Counts requests and bytes. Must never log a body: it may contain a secret.

use std::path::Path;

use bollard::BollardRequest;
use bollard::errors::Error;
use http::header::HOST;
use http::{HeaderValue, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use metrics::counter;

use super::error::ConnectError;
use super::path_template;

/// The body type of bollard's requests, which bollard does not export under a name.
type BollardBody = <BollardRequest as RequestBody>::Body;

trait RequestBody {
    type Body;
}

impl<B> RequestBody for http::Request<B> {
    type Body = B;
}

/// How to reach the API, and the pool of connections to it.
pub struct DockerConnection {
    /// The address as given.
    pub url: String,
    /// The prefix of every path, as a URL: `http://host:port` or `unix://<hex of the path>`.
    pub base: String,
    client: ConnectionPool,
}

enum ConnectionPool {
    Unix(Client<hyperlocal::UnixConnector, BollardBody>),
    Tcp(Client<HttpConnector, BollardBody>),
}

impl DockerConnection {
    /// Prepares a connection to `unix:///path`, `tcp://host:port` or `http://host:port`; connects at the first request.
    pub fn new(url: &str) -> Result<Self, ConnectError> {
        match url.split_once("://") {
            Some(("unix", path)) if Path::new(path).is_absolute() => Ok(Self::unix(url, path)),
            Some(("tcp" | "http", authority)) => Self::tcp(url, authority.trim_end_matches('/')),
            _ => Err(ConnectError { url: url.to_owned() }),
        }
    }

    fn unix(url: &str, path: &str) -> Self {
        let client = ConnectionPool::Unix(Client::builder(TokioExecutor::new()).build(hyperlocal::UnixConnector));
        Self { url: url.to_owned(), base: format!("unix://{}", hex::encode(path)), client }
    }

    fn tcp(url: &str, authority: &str) -> Result<Self, ConnectError> {
        let parsed: http::uri::Authority = authority.parse().map_err(|_| ConnectError { url: url.to_owned() })?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = ConnectionPool::Tcp(Client::builder(TokioExecutor::new()).build(connector));
        let port = if parsed.port().is_some() { "" } else { ":2375" };
        Ok(Self { url: url.to_owned(), base: format!("http://{parsed}{port}"), client })
    }

    /// Sends one request and waits for the head of its answer.
    pub async fn send(&self, mut request: BollardRequest) -> Result<Response<Incoming>, Error> {
        let template = path_template::path_template(request.uri().path());
        counter!("swarmgate_docker_requests_total", "method" => request.method().to_string(), "path_template" => template).increment(1);
        match &self.client {
            ConnectionPool::Unix(client) => {
                // The address of a unix socket is not a host name; some servers reject unusual ones.
                request.headers_mut().insert(HOST, HeaderValue::from_static("docker"));
                Ok(client.request(request).await?)
            }
            ConnectionPool::Tcp(client) => Ok(client.request(request).await?),
        }
    }
}

/// Counts bytes of answers, as received over the connection.
pub fn count_bytes(bytes: usize) {
    counter!("swarmgate_docker_response_bytes_total").increment(u64::try_from(bytes).unwrap_or(u64::MAX));
}
