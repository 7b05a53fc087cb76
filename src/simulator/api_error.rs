//! The rejection of a request, with the real Swarm's messages.

use crate::swarm::{SwarmError, SwarmErrorKind};

/// Why a request is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub kind: SwarmErrorKind,
    pub message: String,
}

impl ApiError {
    pub fn new(kind: SwarmErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(SwarmErrorKind::Invalid, format!("rpc error: code = InvalidArgument desc = {}", message.into()))
    }

    pub fn in_use(message: impl Into<String>) -> Self {
        Self::new(SwarmErrorKind::InUse, format!("rpc error: code = InvalidArgument desc = {}", message.into()))
    }

    pub fn not_found(what: &str, name: &str) -> Self {
        Self::new(SwarmErrorKind::NotFound, format!("{what} {name} not found"))
    }

    pub fn name_taken(what: &str, name: &str) -> Self {
        Self::new(SwarmErrorKind::NameTaken, format!("rpc error: code = AlreadyExists desc = {what} {name} already exists"))
    }

    pub fn unavailable() -> Self {
        Self::new(SwarmErrorKind::Unavailable, "rpc error: code = Unknown desc = The swarm does not have a leader")
    }

    /// The same as an error of the port.
    pub fn while_doing(self, doing: &str) -> SwarmError {
        SwarmError { kind: self.kind, doing: doing.to_owned(), message: self.message }
    }
}
