//! Maps errors to the port's error kinds. Swarm answers 500 to everything it has not classified, so the message decides if the
//! status does not.

use bollard::errors::Error;

use super::memory_budget::BudgetExceeded;
use crate::swarm::{SwarmError, SwarmErrorKind};

/// An unusable address of the Docker API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("connecting to the Docker API at '{url}': the address must be unix:///path/of/docker.sock or tcp://host:port")]
pub struct ConnectError {
    /// The address as given.
    pub url: String,
}

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// From Docker or the connection to it.
    #[error(transparent)]
    Api(Error),
    /// The answer is too large.
    #[error(transparent)]
    TooLarge(#[from] BudgetExceeded),
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self::Api(error)
    }
}

impl From<serde_json::Error> for CallError {
    fn from(error: serde_json::Error) -> Self {
        Self::Api(error.into())
    }
}

impl From<std::io::Error> for CallError {
    fn from(error: std::io::Error) -> Self {
        Self::Api(error.into())
    }
}

impl From<hyper::Error> for CallError {
    fn from(error: hyper::Error) -> Self {
        Self::Api(error.into())
    }
}

impl From<http::Error> for CallError {
    fn from(error: http::Error) -> Self {
        Self::Api(error.into())
    }
}

/// Converts the error of a failed call.
pub fn swarm_error(doing: &str, error: &CallError) -> SwarmError {
    match error {
        CallError::Api(Error::DockerResponseServerError { status_code, message }) => {
            let shown = if message.is_empty() { format!("HTTP status {status_code}") } else { message.clone() };
            SwarmError { kind: kind(*status_code, message), doing: doing.to_owned(), message: shown }
        }
        other => unavailable(doing, chain(other)),
    }
}

/// An error that says nothing about the state of the Swarm.
pub fn unavailable(doing: &str, message: impl Into<String>) -> SwarmError {
    SwarmError { kind: SwarmErrorKind::Unavailable, doing: doing.to_owned(), message: message.into() }
}

/// Why no connection could be opened, in the words of the operating system; nothing if the call failed otherwise.
pub fn no_connection(error: &CallError) -> Option<String> {
    let CallError::Api(Error::HyperLegacyError { err }) = error else { return None };
    let mut cause: &dyn std::error::Error = err;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let text = cause.to_string();
    let message = text.split_once(" (os error").map_or(text.as_str(), |(message, _)| message);
    err.is_connect().then(|| message.to_owned())
}

/// An error with its causes on one line; the outermost error of a connection alone says too little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// Phrases of Swarm that mean "no answer is possible now", whatever the status.
const UNAVAILABLE_PHRASES: [&str; 9] = [
    "does not have a leader",
    "not a swarm manager",
    "context deadline exceeded",
    "code = unavailable",
    "code = canceled",
    "transport is closing",
    "connection refused",
    "raft: ",
    "client version",
];

/// Phrases in a 500 that mean "never in this form".
const REJECTED_PHRASES: [&str; 5] = ["constraint expected", "code = invalidargument", "invalid reference", "must be", "is invalid"];

/// The kind of error that a status and message mean.
fn kind(status: u16, message: &str) -> SwarmErrorKind {
    let lower = message.to_ascii_lowercase();
    let has = |phrases: &[&str]| phrases.iter().any(|w| lower.contains(w));
    if has(&["update out of sequence"]) {
        return SwarmErrorKind::OutOfSequence;
    }
    if matches!(status, 502..=504) || (status != 404 && has(&UNAVAILABLE_PHRASES)) {
        return SwarmErrorKind::Unavailable;
    }
    match status {
        404 => SwarmErrorKind::NotFound,
        400 | 403 | 409 if has(&["in use", "has active endpoints"]) => SwarmErrorKind::InUse,
        409 => SwarmErrorKind::NameTaken,
        400 | 501 => SwarmErrorKind::Invalid,
        500 if has(&REJECTED_PHRASES) => SwarmErrorKind::Invalid,
        // A spec names a network that no longer exists.
        500 if lower.starts_with("network ") && lower.ends_with(" not found") => SwarmErrorKind::NotFound,
        _ => SwarmErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swarms_message_decides_if_its_status_does_not() {
        let cases = [
            (500, "rpc error: code = Unknown desc = update out of sequence", SwarmErrorKind::OutOfSequence),
            (500, "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible...", SwarmErrorKind::Unavailable),
            (500, "rpc error: code = DeadlineExceeded desc = context deadline exceeded", SwarmErrorKind::Unavailable),
            (503, "This node is not a swarm manager.", SwarmErrorKind::Unavailable),
            (400, "client version 1.53 is too new. Maximum supported API version is 1.41", SwarmErrorKind::Unavailable),
            (404, "service abc not found", SwarmErrorKind::NotFound),
            (409, "rpc error: code = AlreadyExists desc = name conflicts with an existing object", SwarmErrorKind::NameTaken),
            (400, "rpc error: code = InvalidArgument desc = config 'x' is in use by the following service: y", SwarmErrorKind::InUse),
            (403, "network n has active endpoints", SwarmErrorKind::InUse),
            (400, "rpc error: code = InvalidArgument desc = config not found: x", SwarmErrorKind::Invalid),
            (500, "rpc error: code = Unknown desc = constraint expected one operator from ==, !=", SwarmErrorKind::Invalid),
            (501, "rpc error: code = Unimplemented desc = renaming services is not supported", SwarmErrorKind::Invalid),
            (500, "rpc error: code = Unknown desc = value 'a,b' is invalid", SwarmErrorKind::Invalid),
            (500, "network missing not found", SwarmErrorKind::NotFound),
            (500, "something new", SwarmErrorKind::Other),
        ];
        for (status, message, expected) in cases {
            assert_eq!(kind(status, message), expected, "{status} {message}");
        }
    }
}
