//! Decides which team owns a host: the entries of `allow`, then earlier passes, then ages. Two passes over the same state decide the
//! same. It must never depend on a service that asks neither for the host nor for the wildcard above it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::OwnershipContext;
use super::allow_ranks::Ranks;
use super::host_claims::{HostClaims, OwningTeam};
use crate::translate::service_team::TeamTotals;
use crate::types::ServiceId;

/// Which services take precedence because of earlier passes.
pub(super) enum Precedence {
    /// None: ages decide.
    Nobody,
    /// These, in the order of the list.
    These(Vec<usize>),
    /// The owners of the wildcard.
    Above,
    /// All but these.
    AllBut(Arc<BTreeSet<usize>>),
}

impl Precedence {
    /// Whether a service comes after those with precedence. `above`: the owners of the wildcard.
    fn puts_back(&self, at: usize, above: &[usize]) -> bool {
        match self {
            Self::Nobody => false,
            Self::These(these) => these.binary_search(&at).is_err(),
            Self::Above => above.binary_search(&at).is_err(),
            Self::AllBut(late) => late.contains(&at),
        }
    }
}

impl OwnershipContext<'_, '_> {
    /// Decides who owns a host, based on earlier passes.
    pub(super) fn decide(&self, case: &HostClaims<'_>) -> OwningTeam {
        if let (&[only], None) = (&case.claimants[..], &case.above) {
            return OwningTeam { first: only, by_wildcard: false, team: case.claimants.clone() };
        }
        self.settle(case, self.before(case), &self.ranks(case))
    }

    fn before(&self, case: &HostClaims<'_>) -> Precedence {
        let named = self.host_owners.holders(&case.host).map(|holders| self.indexes_of(holders));
        // A service that had the host and no longer asks for it has no precedence, even if it has the wildcard now.
        let still: Vec<usize> = named.iter().flatten().copied().filter(|at| case.claimants.binary_search(at).is_ok()).collect();
        if !still.is_empty() {
            return Precedence::These(still);
        }
        if !self.host_owners.is_complete() {
            let by_age = || if self.late.is_empty() { Precedence::Nobody } else { Precedence::AllBut(Arc::clone(&self.late)) };
            // If the recorded owners no longer ask for the name itself, they own it through the wildcard.
            return named.map_or_else(by_age, Precedence::These);
        }
        if let Some(ahead) = self.ahead(case) {
            return Precedence::These(vec![ahead]);
        }
        let above = case.above.as_ref().and_then(|(wildcard, team)| Some((self.host_owners.holders(&(*wildcard).into())?, team)));
        let was_above = above.is_some_and(|(holders, team)| self.indexes_of(holders).iter().any(|at| team.binary_search(at).is_ok()));
        if was_above { Precedence::Above } else { Precedence::Nobody }
    }

    /// Who came first through the wildcard at the last pass, if it still owns the wildcard.
    fn ahead(&self, case: &HostClaims<'_>) -> Option<usize> {
        let (_, team) = case.above.as_ref()?;
        let ahead = self.indexes.get(self.host_owners.first(case.host.pattern()?)?)?;
        team.binary_search(ahead).is_ok().then_some(*ahead)
    }

    pub(super) fn indexes_of(&self, holders: &[ServiceId]) -> Vec<usize> {
        let mut indexes: Vec<usize> = holders.iter().filter_map(|id| self.indexes.get(id).copied()).collect();
        indexes.sort_unstable();
        indexes
    }

    /// Determines the owners of a host. All members of the first one's team own it from now on, and the oldest of them may
    /// belong to yet another team as well. So this repeats until nothing changes; otherwise the next pass would decide
    /// differently. It terminates: from the second round on, some service's team includes everyone from the round before.
    pub(super) fn settle(&self, case: &HostClaims<'_>, mut before: Precedence, ranks: &Ranks<'_>) -> OwningTeam {
        loop {
            let (first, by_wildcard) = first_of(case, ranks, &before);
            let first = match &before {
                Precedence::These(these) if !by_wildcard => self.holding_together(case, ranks, these, first),
                _ => first,
            };
            let is_of_team = |at: &usize| self.teams[*at].is_same(&self.teams[first]);
            let team: Vec<usize> = case.claimants.iter().copied().filter(is_of_team).collect();
            if team.is_empty() || matches!(&before, Precedence::These(these) if *these == team) {
                return OwningTeam { first, by_wildcard, team };
            }
            before = Precedence::These(team);
        }
    }

    /// Of several joint owners, the first one whose team includes all of them. Members of a stack with different access
    /// labels share a team only through a member without one, and a service must not lose a host because it is not of the
    /// oldest one's team.
    fn holding_together(&self, case: &HostClaims<'_>, ranks: &Ranks<'_>, these: &[usize], first: usize) -> usize {
        if these.iter().all(|at| self.teams[*at].is_same(&self.teams[first])) {
            return first;
        }
        let mut counted = TeamTotals::<usize>::default();
        for at in these {
            counted.add(self.teams[*at], 1);
        }
        let holds_all = |at: &usize| {
            case.claimants.binary_search(at).is_ok() && ranks.of(*at) == ranks.of(first) && counted.total(&self.teams[*at]) == these.len()
        };
        these.iter().copied().find(holds_all).unwrap_or(first)
    }
}

/// Who comes first, and whether only through the wildcard above.
fn first_of(case: &HostClaims<'_>, ranks: &Ranks<'_>, before: &Precedence) -> (usize, bool) {
    let above = case.above.as_ref().map_or(&[][..], |(_, team)| team);
    let rank = |at: usize| (ranks.of(at), before.puts_back(at, above), at);
    let own = case.claimants.iter().copied().min_by_key(|at| rank(*at));
    let by_wildcard = match before {
        // A wildcard can have thousands of services, and thousands of names below it.
        Precedence::Nobody | Precedence::Above if ranks.are_equal() => above.first().copied(),
        Precedence::These(these) if ranks.are_equal() => {
            these.iter().copied().find(|at| above.binary_search(at).is_ok()).or(above.first().copied())
        }
        _ => above.iter().copied().min_by_key(|at| rank(*at)),
    };
    match (own, by_wildcard) {
        (Some(own), Some(other)) if rank(other) < rank(own) => (other, true),
        (Some(own), _) => (own, false),
        (None, other) => (other.unwrap_or_default(), true),
    }
}
