//! The client of the channel, for extension (of the operator) and proxy (of the extension). Every attempt resolves the
//! host name anew and tries every address, because `tasks.NAME` gives one per task and they come and go. It never uses a
//! proxy from the environment and never follows a redirect: the token goes to the address asked for and nowhere else.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use reqwest::{RequestBuilder, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Token;
use crate::retry::{Retry, RetryLimits};
use crate::types::Digest;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a long poll waits at the server. Short enough that a peer that vanished without a word is noticed soon.
const POLL_WAIT: Duration = Duration::from_secs(10);
/// How much later than promised an answer may be.
const POLL_GRACE: Duration = Duration::from_secs(5);
/// An idle connection is dropped soon: its address may become a stranger's.
const POOL_IDLE: Duration = Duration::from_secs(15);
/// No answer is larger than this, in bytes: ten times what 10,000 routes need.
const BODY_MAX: usize = 64 << 20;
const FOLLOW_RETRY: RetryLimits = RetryLimits { initial: Duration::from_millis(100), max: Duration::from_secs(2) };

/// A client for one server of the channel.
#[derive(Debug)]
pub struct ChannelClient {
    http: reqwest::Client,
    base: Url,
    token: Token,
    /// The address that answered last is tried first, so that reports go where configurations come from.
    preferred: Mutex<Option<SocketAddr>>,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The base URL cannot be used.
    #[error("{url:?} is not a URL of the form http://HOST:PORT")]
    Url {
        /// As it was given.
        url: String,
    },
    /// The HTTP client could not be made.
    #[error("preparing the HTTP client")]
    Client(#[source] reqwest::Error),
    /// The host name has no address now.
    #[error("resolving {host}: {reason}")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's words.
        reason: String,
    },
    /// No answer, or a broken one.
    #[error("asking {address}")]
    Request {
        /// Who was asked.
        address: SocketAddr,
        /// What went wrong.
        source: reqwest::Error,
    },
    /// An answer that is neither content nor "nothing newer".
    #[error("{address} answered {status}: {words}")]
    Status {
        /// Who answered.
        address: SocketAddr,
        /// The status code.
        status: StatusCode,
        /// The first words of the body.
        words: String,
    },
    /// An answer without end.
    #[error("{address} answered more than {BODY_MAX} bytes")]
    TooLarge {
        /// Who answered.
        address: SocketAddr,
    },
    /// An answer that is not the message expected.
    #[error("reading the answer of {address}")]
    Decode {
        /// Who answered.
        address: SocketAddr,
        /// What does not fit.
        source: serde_json::Error,
    },
}

impl ClientError {
    /// The status code, if the server answered at all.
    pub fn status(&self) -> Option<StatusCode> {
        if let Self::Status { status, .. } = self { Some(*status) } else { None }
    }
}

/// The answer to a long poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// Something newer than what was asked after.
    New(T),
    /// What was asked after is still the newest: a confirmation.
    Same,
}

impl ChannelClient {
    /// A client for the server at `base`, such as `http://tasks.NAME:8082`.
    pub fn new(base: &str, token: Token) -> Result<Self, ClientError> {
        let refused = || ClientError::Url { url: base.to_owned() };
        let base = Url::parse(base).map_err(|_| refused())?;
        if base.scheme() != "http" || base.host_str().is_none_or(str::is_empty) {
            return Err(refused());
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE)
            .build()
            .map_err(ClientError::Client)?;
        Ok(Self { http, base, token, preferred: Mutex::new(None) })
    }

    /// Asks once for something newer than `after`, and waits at the server for it.
    pub async fn poll<T: DeserializeOwned>(&self, path: &str, after: Option<&Digest>) -> Result<Answer<T>, ClientError> {
        let wait_ms = POLL_WAIT.as_millis().to_string();
        let mut query = vec![("wait_ms", wait_ms.as_str())];
        query.extend(after.map(|digest| ("after", digest.as_str())));
        let ask = |url| self.http.get(url).query(&query).timeout(POLL_WAIT + POLL_GRACE);
        let (address, response) = self.at_any_address(path, ask).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Answer::Same);
        }
        let body = bounded_body(address, response).await?;
        serde_json::from_slice(&body).map(Answer::New).map_err(|source| ClientError::Decode { address, source })
    }

    /// Sends a message.
    pub async fn send<T: Serialize + Sync>(&self, path: &str, message: &T) -> Result<(), ClientError> {
        let tell = |url| self.http.post(url).json(message).timeout(SEND_TIMEOUT);
        self.at_any_address(path, tell).await.map(drop)
    }

    /// Tries the addresses one after the other until one answers with success or 304; the first error counts otherwise.
    async fn at_any_address(&self, path: &str, request: impl Fn(Url) -> RequestBuilder) -> Result<(SocketAddr, Response), ClientError> {
        let mut first_error = None;
        for address in self.addresses().await? {
            let outcome = self.at_address(address, request(self.url(address, path))).await;
            match outcome {
                Ok(response) => {
                    *self.preferred.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
                    return Ok((address, response));
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or_else(|| self.resolve_error("the name has no address")))
    }

    async fn at_address(&self, address: SocketAddr, request: RequestBuilder) -> Result<Response, ClientError> {
        let sent = request.bearer_auth(self.token.reveal()).send().await;
        let response = sent.map_err(|source| ClientError::Request { address, source })?;
        let status = response.status();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        let body = bounded_body(address, response).await.unwrap_or_default();
        let words = String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control()).take(200).collect();
        Err(ClientError::Status { address, status, words })
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, ClientError> {
        let host = self.base.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = self.base.port_or_known_default().unwrap_or(80);
        let resolved = tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((host, port))).await;
        let resolved = resolved.map_err(|_| self.resolve_error("no answer in time"))?;
        let mut addresses: Vec<SocketAddr> = resolved.map_err(|error| self.resolve_error(&error.to_string()))?.collect();
        let preferred = *self.preferred.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.sort_by_key(|address| Some(*address) != preferred);
        Ok(addresses)
    }

    fn url(&self, address: SocketAddr, path: &str) -> Url {
        let mut url = self.base.clone();
        // An http URL takes any address as its host and any port: neither call can fail.
        let _ = url.set_ip_host(address.ip());
        let _ = url.set_port(Some(address.port()));
        url.set_path(path);
        url
    }

    fn resolve_error(&self, reason: &str) -> ClientError {
        ClientError::Resolve { host: self.base.host_str().unwrap_or_default().to_owned(), reason: reason.to_owned() }
    }
}

async fn bounded_body(address: SocketAddr, mut response: Response) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|source| ClientError::Request { address, source })? {
        if body.len() + chunk.len() > BODY_MAX {
            return Err(ClientError::TooLarge { address });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Follows one long poll for ever: failures are logged (once per kind), waited out with growing pauses, and tried again.
#[derive(Debug)]
pub struct Follower<'a> {
    client: &'a ChannelClient,
    path: String,
    retry: Retry,
    trouble: Option<String>,
}

impl<'a> Follower<'a> {
    /// Follows the given path of a server.
    pub fn new(client: &'a ChannelClient, path: impl Into<String>) -> Self {
        Self { client, path: path.into(), retry: Retry::new(FOLLOW_RETRY), trouble: None }
    }

    /// The next answer of the server, however long it takes until there is one. Safe to cancel.
    pub async fn next<T: DeserializeOwned>(&mut self, after: Option<&Digest>) -> Answer<T> {
        loop {
            match self.client.poll(&self.path, after).await {
                Ok(answer) => {
                    self.recovered();
                    return answer;
                }
                Err(error) => self.failed(&error).await,
            }
        }
    }

    fn recovered(&mut self) {
        self.retry.reset();
        if self.trouble.take().is_some() {
            tracing::info!(path = self.path, "the channel answers again");
        }
    }

    async fn failed(&mut self, error: &ClientError) {
        let words = with_sources(error);
        if self.trouble.as_ref() != Some(&words) {
            tracing::warn!(path = self.path, error = words, "the channel does not answer; going on with what is there");
            self.trouble = Some(words);
        }
        tokio::time::sleep(self.retry.next()).await;
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
