//! The services that ask for a host, and the team that owns it, as indexes in the list of services. Decides nothing.

use std::sync::Arc;

use crate::types::{HostKey, HostPattern};

/// The services that ask for a host, as ascending indexes in the list of services.
pub(super) struct HostClaims<'c> {
    pub(super) host: HostKey,
    pub(super) claimants: Vec<usize>,
    /// The wildcard that covers the host, and its owners.
    pub(super) above: Option<(&'c HostPattern, Arc<[usize]>)>,
}

/// The owners of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwningTeam {
    pub(super) first: usize,
    pub(super) by_wildcard: bool,
    /// The members of the first one's team who ask for the host itself.
    pub(super) team: Vec<usize>,
}

impl OwningTeam {
    /// Who comes first through the wildcard, if an entry of `allow` puts it before the wildcard's oldest service. Without
    /// this the next pass would name the oldest one, although a register read from the label names this one.
    pub(super) fn ahead(&self, case: &HostClaims<'_>) -> Option<usize> {
        let is_oldest = || case.above.as_ref().is_some_and(|(_, team)| team.first() == Some(&self.first));
        (self.by_wildcard && self.team.is_empty() && !is_oldest()).then_some(self.first)
    }
}
