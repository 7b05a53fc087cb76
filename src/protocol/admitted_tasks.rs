//! Which tasks may use the channel: the tokens and tasks that the operator admits for a cluster. Decides nothing itself.

use std::collections::BTreeSet;

use crate::pki::ChannelRole;
use crate::types::Digest;

/// A token with which a task gets its first certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmittedToken {
    /// The role of the certificates.
    pub role: ChannelRole,
    /// The SHA-256 of the token.
    pub sha256: Digest,
}

/// Which tasks get certificates and may report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdmittedTasks {
    /// The tokens with which tasks get their first certificate.
    pub tokens: Vec<AdmittedToken>,
    /// The tasks of our own services. No other task gets a certificate, first or renewed, and no other task's report is accepted.
    pub tasks: BTreeSet<(ChannelRole, String)>,
}

impl AdmittedTasks {
    /// Whether this is a task of one of our own services, which may use the channel.
    pub fn has(&self, role: ChannelRole, task: &str) -> bool {
        self.tasks.contains(&(role, task.to_owned()))
    }
}
