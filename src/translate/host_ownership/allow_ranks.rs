//! What the entries of `allow` that name services say about one host: who owns it because of an entry, and who is only a guest. Where
//! hosts can be shared, no entry may displace a service.

use std::cmp::Ordering;
use std::sync::Arc;

use super::OwnershipContext;
use super::host_claims::{HostClaims, OwningTeam};
use super::host_owner::OwnershipClaim;
use crate::intent::hosts_spec::Sharing;
use crate::translate::host_owners::Guests;

/// The rank of a service that no entry names.
pub(super) const UNNAMED: u8 = 2;

/// What the entries of `allow` that name services decide about one host. Where nothing is shared, an entry that names a
/// service for a host makes it the owner, and a more exact entry wins. This does not apply to a service that was admitted
/// as a guest.
#[derive(Default)]
pub(super) struct Ranks<'c> {
    /// For each matching entry: how exactly it matches the host, and which services it names.
    fitting: Vec<(u8, &'c [bool])>,
    guests: GuestIndexes,
}

/// The services admitted to a host that others own.
#[derive(Default)]
struct GuestIndexes {
    /// Those that ask for the host, ordered.
    claimants: Vec<usize>,
    /// The owners of the wildcard above, if entries name them for its names but others own these.
    above: Option<Arc<[usize]>>,
}

impl GuestIndexes {
    fn include(&self, at: usize) -> bool {
        self.claimants.binary_search(&at).is_ok() || self.above.as_ref().is_some_and(|above| above.binary_search(&at).is_ok())
    }
}

impl Ranks<'_> {
    pub(super) fn are_equal(&self) -> bool {
        self.fitting.is_empty()
    }

    pub(super) fn of(&self, at: usize) -> u8 {
        if self.guests.include(at) { UNNAMED } else { self.named(at) }
    }

    fn named(&self, at: usize) -> u8 {
        self.fitting.iter().filter(|(_, named)| named[at]).map(|(rank, _)| *rank).min().unwrap_or(UNNAMED)
    }

    /// Why the first one has the host and the later one does not. A service that is named more exactly and comes later was
    /// admitted as a guest.
    pub(super) fn claim(&self, first: usize, later: usize) -> OwnershipClaim {
        let named = self.named(first);
        let exactly = named == 0;
        match named.cmp(&self.named(later)) {
            Ordering::Greater => OwnershipClaim::BesideGuest,
            Ordering::Less => OwnershipClaim::Named { exactly },
            Ordering::Equal if named < UNNAMED => OwnershipClaim::FirstOfNamed { exactly },
            Ordering::Equal => OwnershipClaim::First,
        }
    }
}

impl OwnershipContext<'_, '_> {
    /// The services that entries of `allow` name for a host. Where hosts can be shared, an entry only admits services and
    /// displaces none.
    pub(super) fn ranks<'c>(&'c self, case: &HostClaims<'_>) -> Ranks<'c> {
        match self.sharing {
            Sharing::SameStack => Ranks { guests: self.guests_before(case), ..self.named(case) },
            Sharing::Allowed | Sharing::Anyone => Ranks::default(),
        }
    }

    /// The same as if nothing were shared and no guest had been admitted before.
    pub(super) fn named<'c>(&'c self, case: &HostClaims<'_>) -> Ranks<'c> {
        let Some(host) = case.host.pattern() else { return Ranks::default() };
        let fitting = self.naming.iter().filter(|(rule, _)| rule.host.matches(host));
        let fitting = fitting.map(|(rule, named)| (u8::from(rule.host.as_str() != host.as_str()), named.as_slice())).collect();
        Ranks { fitting, guests: GuestIndexes::default() }
    }

    /// The guests admitted beside the owners, while these, or the owners of the wildcard above, still ask for the host.
    fn guests_before(&self, case: &HostClaims<'_>) -> GuestIndexes {
        let Some(guests) = case.host.pattern().and_then(|host| self.host_owners.guests(host)) else { return GuestIndexes::default() };
        let wildcard = case.above.as_ref().and_then(|(wildcard, _)| self.host_owners.holders(&(*wildcard).into()));
        let holders = self.indexes_of(self.host_owners.holders(&case.host).or(wildcard).unwrap_or_default());
        let above = case.above.as_ref().map_or(&[][..], |(_, team)| team);
        let is_there = |at: &usize| case.claimants.binary_search(at).is_ok() || above.binary_search(at).is_ok();
        if !holders.iter().any(is_there) {
            return GuestIndexes::default();
        }
        let above = case.above.as_ref().filter(|_| guests.above).map(|(_, team)| Arc::clone(team));
        GuestIndexes { claimants: self.claiming_guests(case, guests), above }
    }

    fn claiming_guests(&self, case: &HostClaims<'_>, guests: &Guests) -> Vec<usize> {
        let mut claimants = self.indexes_of(&guests.claimants);
        if let Some(rank) = guests.better_than {
            let named = self.named(case);
            claimants.extend(case.claimants.iter().copied().filter(|at| named.of(*at) < rank));
            claimants.sort_unstable();
        }
        claimants
    }

    /// The services that entries name more exactly than the owners, and that were only admitted beside them. They stay
    /// guests, whatever is shared.
    pub(super) fn guests(&self, case: &HostClaims<'_>, verdict: &OwningTeam) -> Guests {
        let named = self.named(case);
        if named.are_equal() {
            return Guests::default();
        }
        let first = named.of(verdict.first);
        let is_guest = |at: &usize| named.of(*at) < first;
        Guests {
            claimants: case.claimants.iter().copied().filter(is_guest).map(|at| self.services[at].service.id.clone()).collect(),
            better_than: None,
            above: case.above.as_ref().is_some_and(|(_, team)| team.iter().any(is_guest)),
        }
    }
}
