//! The verdict on a configuration: accepted, or rejected with the engine's error message. Extensions and proxies report it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::Desired;
#[cfg(doc)]
use crate::protocol::bundle::Bundle;
use crate::types::Digest;

/// An accepted configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The [`Desired::digest`] from which it was rendered.
    pub desired_digest: Digest,
    /// The [`Bundle::digest`].
    pub config_digest: Digest,
}

/// A configuration that is not used, with the engine's error message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Refusal")]
pub struct ConfigRejection {
    /// What was rejected: a [`Desired::digest`] (extension) or a [`Bundle::digest`] (proxy).
    pub digest: Digest,
    /// The engine's error message, at most 4 KiB.
    #[serde(rename = "words")]
    pub message: String,
    /// Whether the engine did not decide: it could not run or did not finish in time (see `words`). The test is repeated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undecided: bool,
    /// Whether the configuration is too large for its receivers (see `words`); then the engine did not test it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub too_large: bool,
}

impl ConfigRejection {
    /// A refusal with the engine's message.
    pub fn new(digest: Digest, message: String) -> Self {
        Self { digest, message, undecided: false, too_large: false }
    }
}
