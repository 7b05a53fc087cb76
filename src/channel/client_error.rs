//! Why a request of the channel's client failed. It must never quote a token, or more of an answer than its beginning.

use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;

use crate::pki::TlsError;
use crate::protocol::size_limits::{MESSAGE_BYTES_MAX, TooLarge};

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The base URL cannot be used.
    #[error("invalid URL {url:?}; it must have the form https://HOST:PORT")]
    Url {
        /// The URL as given.
        url: String,
    },
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No address of the server is known yet.
    #[error("the address of the server is not known yet")]
    Nowhere,
    /// The host name has no address at the moment.
    #[error("cannot resolve {host}: {reason}")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's message.
        reason: String,
    },
    /// No answer, or an invalid one.
    #[error("the request to {address} failed")]
    Request {
        /// The address of the request.
        address: SocketAddr,
        /// The cause.
        source: hyper_util::client::legacy::Error,
    },
    /// The server at this address is another one, or none answers.
    #[error("cannot establish a trusted connection to {address}")]
    Unproven {
        /// The address of the request.
        address: SocketAddr,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer broke off.
    #[error("the answer of {address} is incomplete")]
    Broken {
        /// The address of the request.
        address: SocketAddr,
        /// The cause.
        source: hyper::Error,
    },
    /// No complete answer in time.
    #[error("{address} did not answer within {} s", limit.as_secs())]
    Late {
        /// The address of the request.
        address: SocketAddr,
        /// How long the client waited.
        limit: Duration,
    },
    /// The request could not be written.
    #[error("cannot create the request")]
    Write(#[from] http::Error),
    /// The message could not be written.
    #[error("cannot serialize the message")]
    Encode(#[from] serde_json::Error),
    /// An answer that is neither content nor "nothing newer".
    #[error("{address} answered {status}: {message}")]
    Status {
        /// The address that answered.
        address: SocketAddr,
        /// The status code.
        status: StatusCode,
        /// The beginning of the body.
        message: String,
    },
    /// The message is larger than its receiver reads, so it is not sent.
    #[error("cannot send the message: {0}")]
    Oversized(#[from] TooLarge),
    /// The answer is too large.
    #[error("the answer of {address} is larger than the maximum of {MESSAGE_BYTES_MAX} bytes")]
    TooLarge {
        /// The address that answered.
        address: SocketAddr,
    },
    /// The answer is not the expected message.
    #[error("cannot parse the answer of {address}")]
    Decode {
        /// The address that answered.
        address: SocketAddr,
        /// The cause.
        source: serde_json::Error,
    },
}

impl ClientError {
    /// The status code, if the server answered at all.
    pub fn status(&self) -> Option<StatusCode> {
        if let Self::Status { status, .. } = self { Some(*status) } else { None }
    }
}

/// An error with all its causes, on one line.
pub(super) fn with_sources(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
