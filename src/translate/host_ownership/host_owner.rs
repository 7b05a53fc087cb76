//! Who owns a host, and why, as far as another service that asks for it may know: a name, and nothing more of another team.

use std::fmt;

use super::HostConflict;
use crate::translate::published_service::PublishedService;
use crate::translate::service_team::{Team, TeamDifference};
use crate::types::HostPattern;

/// Why one service owns a host and another one does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnershipClaim {
    /// It had the host first.
    First,
    /// It had the host first, and entries of `allow` name both equally.
    FirstOfNamed {
        /// For exactly this host.
        exactly: bool,
    },
    /// It had the host first, and an entry of `allow` admitted the other one as a guest.
    BesideGuest,
    /// An entry of `allow` names it, and names the other one less exactly or not at all.
    Named {
        /// For exactly this host.
        exactly: bool,
    },
}

/// The service of another team that owns a host. Displays as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostOwner {
    /// Its name.
    pub name: String,
    /// Why it owns the host.
    pub claim: OwnershipClaim,
    apart: TeamDifference,
    /// The wildcard through which it owns the host.
    wildcard: Option<HostPattern>,
}

impl HostOwner {
    /// The owner in a meeting, as the later service may see it.
    pub(super) fn new(conflict: &HostConflict, services: &[PublishedService<'_>]) -> Self {
        let (first, later) = (services[conflict.first].service, services[conflict.later].service);
        Self {
            name: first.name.clone(),
            claim: conflict.claim,
            apart: Team::new(later).difference(&Team::new(first)),
            wildcard: conflict.wildcard.clone(),
        }
    }
}

impl fmt::Display for HostOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, apart, .. } = self;
        match (self.claim, &self.wildcard) {
            (OwnershipClaim::Named { .. }, None) => return write!(f, "spec.hosts.allow names the service {name} {apart} for it"),
            (OwnershipClaim::Named { .. }, Some(wildcard)) => {
                return write!(f, "spec.hosts.allow names the service {name} {apart} for it, which owns it through {wildcard}");
            }
            (_, None) => write!(f, "the service {name} {apart} published it first")?,
            (_, Some(wildcard)) => write!(f, "the service {name} {apart} published {wildcard} first, which covers it")?,
        }
        match self.claim {
            OwnershipClaim::FirstOfNamed { .. } => f.write_str(", and spec.hosts.allow names both"),
            OwnershipClaim::BesideGuest => {
                f.write_str(", and the entry of spec.hosts.allow that names this service admitted it only as a guest")
            }
            OwnershipClaim::First | OwnershipClaim::Named { .. } => Ok(()),
        }
    }
}
