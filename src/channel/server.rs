//! What both servers of the channel share: TLS, authentication, and long polls. Knows no message.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::Timestamp;
use rustls::ServerConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::http_server::{self, Peer, ServerLimits};
use crate::pki::TrustRoot;
use crate::protocol::timings::{POLL_WAIT_EMPTY, POLL_WAIT_MAX};
use crate::types::Digest;

/// The query of a long poll.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct LongPoll {
    /// The digest that the client has; absent if it has none.
    pub after: Option<String>,
    /// How long the answer may wait for something newer, in milliseconds.
    #[serde(default)]
    pub wait_ms: u64,
}

/// How a long poll ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LongPollResult<T> {
    /// There is something other than what the client has.
    New(Arc<T>),
    /// There is nothing newer than this, which the client has: 304.
    Same(Arc<T>),
    /// There is nothing at all yet, or no longer: 503.
    Nothing,
}

/// Waits until `current` differs from what the client has, at most for the time that the client allows.
pub async fn wait_for_newer<T>(
    mut current: watch::Receiver<Option<Arc<T>>>,
    digest: fn(&T) -> &Digest,
    poll: &LongPoll,
) -> LongPollResult<T> {
    let is_newer = |value: &Option<Arc<T>>| value.as_deref().is_some_and(|value| poll.after.as_deref() != Some(digest(value).as_str()));
    let allowed = Duration::from_millis(poll.wait_ms).min(POLL_WAIT_MAX);
    let empty = current.borrow().is_none();
    let wait = if empty { allowed.min(POLL_WAIT_EMPTY) } else { allowed };
    let ended = tokio::time::timeout(wait, current.wait_for(is_newer)).await.map(|waited| waited.map(|value| value.clone()));
    match ended {
        Ok(Ok(value)) => value.map_or(LongPollResult::Nothing, LongPollResult::New),
        Err(_elapsed) => match current.borrow().clone() {
            Some(value) if poll.after.as_deref() == Some(digest(&value).as_str()) => LongPollResult::Same(value),
            // It arrived at this very moment.
            Some(value) => LongPollResult::New(value),
            None => LongPollResult::Nothing,
        },
        Ok(Err(_)) => LongPollResult::Nothing,
    }
}

/// Reads a JSON message of at most `limit` bytes. Call it only after authenticating the client.
pub async fn read_message<T: DeserializeOwned>(body: Body, limit: usize) -> Result<T, PollRejection> {
    let bytes = axum::body::to_bytes(body, limit).await.map_err(|_| PollRejection::TooLarge)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        tracing::warn!(%error, "rejected an invalid message on the channel");
        PollRejection::Malformed
    })
}

/// Why a request gets no content; the body explains it to people who use curl.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollRejection {
    /// 401.
    Unauthorized,
    /// 503.
    Nothing,
    /// 400.
    Malformed,
    /// 413.
    TooLarge,
}

impl IntoResponse for PollRejection {
    fn into_response(self) -> Response {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "only tasks of this cluster have access; they need a client certificate\n"),
            Self::Nothing => (StatusCode::SERVICE_UNAVAILABLE, "nothing is available yet\n"),
            Self::Malformed => (StatusCode::BAD_REQUEST, "the message is malformed, or for another version, cluster, or task\n"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the message is too large or incomplete\n"),
        }
        .into_response()
    }
}

/// The maximum number of connections: many proxies follow one extension, and each has two connections.
const CONNECTIONS_MAX: usize = 16_384;

/// The maximum number of connections per address: without a control network all containers of a node share its address.
const CONNECTIONS_PER_NODE_MAX: usize = 2048;

/// Serves the channel over TLS until `shutdown`; pending requests then have half a second to finish.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    router: Router,
    shutdown: CancellationToken,
) -> Result<(), std::io::Error> {
    let limits = ServerLimits { connections: CONNECTIONS_MAX, connections_per_peer: CONNECTIONS_PER_NODE_MAX, ..ServerLimits::default() };
    http_server::serve(listener.into(), Some(tls), router, limits, shutdown).await
}

/// Whether the peer presented a certificate for this name that is still valid.
pub fn has_certificate_for(peer: &Peer, root: &TrustRoot, name: &str) -> bool {
    peer.certificates.first().is_some_and(|certificate| root.verify(certificate, name, Timestamp::now()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: u64 = 20_000;

    fn digest(value: &Digest) -> &Digest {
        value
    }

    fn value(text: &str) -> Arc<Digest> {
        Arc::new(Digest::of_bytes(text.as_bytes()))
    }

    fn poll(after: Option<&str>, wait_ms: u64) -> LongPoll {
        LongPoll { after: after.map(|text| value(text).to_string()), wait_ms }
    }

    /// Checks the result of a poll whose content changes after ten seconds, and how many seconds it takes.
    async fn check(now: Option<&str>, later: Option<&str>, poll: LongPoll, expected: LongPollResult<Digest>, seconds: u64) {
        let sender = watch::Sender::new(now.map(value));
        let receiver = sender.subscribe();
        let changes = async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            sender.send_replace(later.map(value));
            std::future::pending::<()>().await;
        };
        let began = tokio::time::Instant::now();
        tokio::select! {
            waited = wait_for_newer(receiver, digest, &poll) => assert_eq!(waited, expected),
            () = changes => {}
        }
        assert_eq!(began.elapsed().as_secs(), seconds);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_poll_returns_as_soon_as_there_is_something_newer() {
        check(Some("a"), Some("b"), poll(None, LONG), LongPollResult::New(value("a")), 0).await;
        check(Some("a"), Some("b"), poll(Some("old"), LONG), LongPollResult::New(value("a")), 0).await;
        check(Some("a"), Some("b"), poll(Some("a"), LONG), LongPollResult::New(value("b")), 10).await;
        check(Some("a"), Some("a"), poll(Some("a"), LONG), LongPollResult::Same(value("a")), 20).await;
        check(Some("a"), Some("b"), poll(Some("a"), 5_000), LongPollResult::Same(value("a")), 5).await;
        check(Some("a"), Some("a"), poll(Some("a"), u64::MAX), LongPollResult::Same(value("a")), POLL_WAIT_MAX.as_secs()).await;
        check(None, Some("b"), poll(None, LONG), LongPollResult::Nothing, 0).await;
    }
}
