//! Which tasks may speak on the channel: the tokens and tasks that the operator admits for a cluster. Decides nothing itself.

use std::collections::BTreeSet;

use crate::pki::ChannelRole;
use crate::types::Digest;

/// A token for which a first certificate is issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmittedToken {
    /// For certificates of this role.
    pub role: ChannelRole,
    /// The SHA-256 of the token.
    pub sha256: Digest,
}

/// Which tasks get certificates and may report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admission {
    /// For which tokens a first certificate is issued.
    pub tokens: Vec<AdmittedToken>,
    /// The tasks of our own services. No other task gets a certificate, first or renewed, and no other report is accepted.
    pub tasks: BTreeSet<(ChannelRole, String)>,
}

impl Admission {
    /// Whether a task of one of our own services may speak.
    pub fn has(&self, role: ChannelRole, task: &str) -> bool {
        self.tasks.contains(&(role, task.to_owned()))
    }
}
