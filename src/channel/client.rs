//! The client of the channel, used by the extension (to the operator) and the proxy (to the extension). Every attempt resolves
//! the host names again and tries every address, because `tasks.NAME` has one address per task and tasks come and go. Where
//! there are no names, the client knows several servers and can be given others. A server must have a certificate for the
//! requested role, so that an address or name that now belongs to something else costs one failed attempt and nothing more. The
//! client never uses a proxy from the environment and never follows a redirect.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tower_service::Service as _;
use url::Url;

use super::client_error::ClientError;
use super::freshness::{Moment, confirmed_at};
use super::server_urls::{parse_servers, resolve, url_at};
use crate::pki::{Credentials, client_config};
use crate::protocol::SharedSecret;
use crate::protocol::size_limits::{MESSAGE_BYTES_MAX, check_message};
use crate::protocol::timings::{ANSWER_TIMEOUT, CONNECT_TIMEOUT, POLL_GRACE, POOL_IDLE, PROVE_TIMEOUT};
use crate::types::{Digest, is_hidden};

/// A client for one server of the channel, which may be at one of several addresses.
#[derive(Debug)]
pub struct ChannelClient {
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    connector: HttpsConnector<HttpConnector>,
    servers: watch::Sender<Vec<Url>>,
    /// The address that answered last. It is tried first, so that reports go to the server from which configurations come.
    preferred: Mutex<Option<SocketAddr>>,
}

/// The answer to a long poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PollResult<T> {
    /// Something newer than what the client has.
    New(T),
    /// What the client has is still the newest: a confirmation.
    Same,
}

/// An answer, and when its content was last known to be valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollResponse<T> {
    /// The answer.
    pub answer: PollResult<T>,
    /// When the newest observation of the Swarm that confirmed it began.
    pub confirmed: Moment,
}

impl ChannelClient {
    /// A client for the server at one of the comma-separated `urls`, such as `https://tasks.NAME:8082`; while they are empty,
    /// at no address. The server must have a certificate for `server`; the client presents the certificate of `credentials`.
    pub fn new(urls: &str, credentials: &Credentials, server: &str) -> Result<Self, ClientError> {
        Self::with_tls(urls, client_config(credentials, server, true)?)
    }

    /// The same for a client that has no certificate yet.
    pub fn without_certificate(urls: &str, credentials: &Credentials, server: &str) -> Result<Self, ClientError> {
        Self::with_tls(urls, client_config(credentials, server, false)?)
    }

    fn with_tls(urls: &str, tls: rustls::ClientConfig) -> Result<Self, ClientError> {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let tls = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().wrap_connector(tcp);
        let mut client = Client::builder(TokioExecutor::new());
        let http = client.pool_timer(TokioTimer::new()).pool_idle_timeout(POOL_IDLE).build(tls.clone());
        Ok(Self { http, connector: tls, servers: watch::Sender::new(parse_servers(urls)?), preferred: Mutex::new(None) })
    }

    /// Replaces the servers' URLs.
    pub fn set_servers(&self, urls: &str) -> Result<(), ClientError> {
        let servers = parse_servers(urls)?;
        self.servers.send_if_modified(|current| {
            let changed = *current != servers;
            *current = servers;
            changed
        });
        Ok(())
    }

    /// Reports when the servers' URLs change.
    pub(super) fn watch_servers(&self) -> watch::Receiver<Vec<Url>> {
        self.servers.subscribe()
    }

    /// Asks once for something newer than `after`, and lets the server wait for it.
    pub(super) async fn poll<T: DeserializeOwned + Send + 'static>(
        &self,
        path: &str,
        after: Option<&Digest>,
        wait: Duration,
    ) -> Result<PollResponse<T>, ClientError> {
        let after = after.map(|digest| format!("&after={digest}")).unwrap_or_default();
        let query = format!("wait_ms={}{after}", wait.as_millis());
        let question =
            Question { method: Method::GET, path, query: Some(&query), token: None, body: Bytes::new(), limit: wait + POLL_GRACE };
        let answered = self.at_any_address(&question).await?;
        let confirmed = answered.confirmed;
        if answered.status == StatusCode::NOT_MODIFIED {
            return Ok(PollResponse { answer: PollResult::Same, confirmed });
        }
        // Thousands of hosts take time to parse, and other requests are pending meanwhile.
        let read = tokio::task::spawn_blocking(move || answered.decode());
        let answer = read.await.unwrap_or(Err(ClientError::Nowhere))?;
        Ok(PollResponse { answer: PollResult::New(answer), confirmed })
    }

    /// Sends a request that does not wait, and returns the answer with the moment at which it was last known to be valid.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &str) -> Result<(T, Moment), ClientError> {
        let question = Question { method: Method::GET, path, query: Some(query), token: None, body: Bytes::new(), limit: ANSWER_TIMEOUT };
        let answered = self.at_any_address(&question).await?;
        Ok((answered.decode()?, answered.confirmed))
    }

    /// Sends a message.
    pub async fn send<T: Serialize + Sync>(&self, path: &str, message: &T) -> Result<(), ClientError> {
        self.post(path, message, None).await.map(drop)
    }

    /// Sends a message and returns the answer. Only the first message of a task, which has no certificate yet, carries a token.
    pub(super) async fn exchange<T: Serialize + Sync, A: DeserializeOwned>(
        &self,
        path: &str,
        message: &T,
        token: Option<&SharedSecret>,
    ) -> Result<A, ClientError> {
        self.post(path, message, token).await?.decode()
    }

    async fn post<T: Serialize + Sync>(&self, path: &str, message: &T, token: Option<&SharedSecret>) -> Result<Answered, ClientError> {
        check_message(message)?;
        let body = Bytes::from(serde_json::to_vec(message)?);
        self.at_any_address(&Question { method: Method::POST, path, query: None, token, body, limit: ANSWER_TIMEOUT }).await
    }

    /// Asks the address of the last answer first, then the others in the order in which the right server there presents its
    /// certificate, until one answers with success or 304. If none does, returns the first error.
    async fn at_any_address(&self, question: &Question<'_>) -> Result<Answered, ClientError> {
        let (mut candidates, mut first_error) = self.candidates(question.path).await;
        let preferred = *self.preferred.lock().unwrap_or_else(PoisonError::into_inner);
        let known = candidates.iter().position(|(address, _)| Some(*address) == preferred || candidates.len() == 1);
        if let Some((address, url)) = known.map(|index| candidates.remove(index)) {
            match self.request(address, &url, question).await {
                Ok(answered) => return Ok(answered),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        // An impostor that took over our name may accept connections and stay silent: never wait for one address after the other.
        let mut proven: FuturesUnordered<_> = candidates.into_iter().map(|(address, url)| self.prove(address, url)).collect();
        while let Some(proof) = proven.next().await {
            let outcome = match proof {
                Ok((address, url)) => self.request(address, &url, question).await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(answered) => return Ok(answered),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or(ClientError::Nowhere))
    }

    /// Checks that the right server answers at this address.
    async fn prove(&self, address: SocketAddr, url: Url) -> Result<(SocketAddr, Url), ClientError> {
        let uri = url.as_str().parse::<Uri>().map_err(http::Error::from)?;
        let late = |_| ClientError::Late { address, limit: PROVE_TIMEOUT };
        let shaken = tokio::time::timeout(PROVE_TIMEOUT, self.connector.clone().call(uri)).await.map_err(late)?;
        shaken.map(|_| (address, url)).map_err(|source| ClientError::Unproven { address, source })
    }

    async fn request(&self, address: SocketAddr, url: &Url, question: &Question<'_>) -> Result<Answered, ClientError> {
        let attempt = tokio::time::timeout(question.limit, self.at_address(address, url, question));
        let answered = attempt.await.unwrap_or(Err(ClientError::Late { address, limit: question.limit }))?;
        *self.preferred.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
        Ok(answered)
    }

    async fn at_address(&self, address: SocketAddr, url: &Url, question: &Question<'_>) -> Result<Answered, ClientError> {
        let request = question.at(url)?;
        let requested_at = Moment::now();
        let response = self.http.request(request).await.map_err(|source| ClientError::Request { address, source })?;
        let status = response.status();
        let wanted = status.is_success() || status == StatusCode::NOT_MODIFIED;
        let headers = response.headers().clone();
        let body = bounded_body(address, response.into_body()).await;
        if wanted {
            let confirmed = confirmed_at(&headers, requested_at, Moment::now());
            return body.map(|body| Answered { address, status, body, confirmed });
        }
        let message = String::from_utf8_lossy(&body.unwrap_or_default()).chars().filter(|c| !is_hidden(*c)).take(200).collect();
        Err(ClientError::Status { address, status, message })
    }

    /// Every address of every server with its URL, the address that answered last first; and the error of the first server
    /// without an address.
    async fn candidates(&self, path: &str) -> (Vec<(SocketAddr, Url)>, Option<ClientError>) {
        let servers = self.servers.borrow().clone();
        let (mut candidates, mut first_error) = (Vec::new(), None);
        for server in servers {
            match resolve(&server).await {
                Ok(addresses) => candidates.extend(addresses.into_iter().map(|address| (address, url_at(&server, address, path)))),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        let preferred = *self.preferred.lock().unwrap_or_else(PoisonError::into_inner);
        candidates.sort_by_key(|(address, _)| Some(*address) != preferred);
        (candidates, first_error)
    }
}

/// A request, independent of the address.
struct Question<'a> {
    method: Method,
    path: &'a str,
    query: Option<&'a str>,
    token: Option<&'a SharedSecret>,
    body: Bytes,
    /// The time limit for the whole answer.
    limit: Duration,
}

impl Question<'_> {
    fn at(&self, url: &Url) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut url = url.clone();
        url.set_query(self.query);
        let mut request = Request::builder().method(self.method.clone()).uri(url.as_str().parse::<Uri>()?);
        if !self.body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(token) = self.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        request.body(Full::new(self.body.clone()))
    }
}

/// A complete answer.
struct Answered {
    address: SocketAddr,
    status: StatusCode,
    body: Vec<u8>,
    /// When its content was last known to be valid.
    confirmed: Moment,
}

impl Answered {
    fn decode<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|source| ClientError::Decode { address: self.address, source })
    }
}

async fn bounded_body(address: SocketAddr, mut incoming: Incoming) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|source| ClientError::Broken { address, source })?;
        let Ok(data) = frame.into_data() else { continue };
        if body.len() + data.len() > MESSAGE_BYTES_MAX {
            return Err(ClientError::TooLarge { address });
        }
        body.extend_from_slice(&data);
    }
    Ok(body)
}
