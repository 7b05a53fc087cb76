//! Records the hosts that ages alone would give to another team after a restart. Nothing is recorded for hosts whose owner
//! follows from ages, which are nearly all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::OwnershipContext;
use super::allow_ranks::Ranks;
use super::host_claims::{HostClaims, OwningTeam};
use super::owner_decision::Precedence;
use crate::report::{Finding, Subject, cases};
use crate::translate::TranslationContext;
use crate::translate::host_owners::{Guests, HostOwners, LABEL_BYTES_MAX};
use crate::translate::service_team::Team;
use crate::types::{HostPattern, ServiceId};

/// The most owners recorded for each host.
const HOLDERS_MAX: usize = 4;
/// The most guests recorded by their ids for a host: a thousand of them would take the whole label for one host.
const GUESTS_MAX: usize = 4;

/// The value of the label. A team that asks for very many hosts of others must not push them out of the label: in that case
/// the label records that the team comes after all others, and what it owns itself.
pub(super) fn label(
    ownership: &OwnershipContext<'_, '_>,
    context: &TranslationContext<'_>,
    open: &[(HostClaims<'_>, OwningTeam)],
    findings: &mut Vec<Finding>,
) -> Option<String> {
    let by_age: Vec<_> = open.iter().filter(|(case, verdict)| ownership.is_else(case, verdict, &|| Precedence::Nobody)).collect();
    let plain = host_owners(ownership, by_age.iter().copied(), &BTreeSet::new());
    let Some(label) = plain.label().filter(|label| label.len() > LABEL_BYTES_MAX) else { return plain.label() };
    let late: Arc<BTreeSet<usize>> = Arc::new(by_age.iter().flat_map(|(case, verdict)| ownership.put_back(case, verdict)).collect());
    let differs =
        |(case, verdict): &&(HostClaims<'_>, OwningTeam)| ownership.is_else(case, verdict, &|| Precedence::AllBut(Arc::clone(&late)));
    let shorter = host_owners(ownership, open.iter().filter(differs), &late);
    if let Some(label) = shorter.label().filter(|label| label.len() <= LABEL_BYTES_MAX) {
        return Some(label);
    }
    let (kept, left_out) = plain.shortened(&in_turn(ownership, &by_age));
    findings.push(too_many(context, label.len(), left_out));
    kept.label()
}

/// The hosts in rounds: each team's first one before any team's second, so that a team with very many pushes no other team
/// out. Within a round the oldest come first, so that new stacks push out no older ones.
fn in_turn(ownership: &OwnershipContext<'_, '_>, open: &[&(HostClaims<'_>, OwningTeam)]) -> Vec<HostPattern> {
    let mut counts = BTreeMap::<Team<'_>, usize>::new();
    let turn = |(case, verdict): &&(HostClaims<'_>, OwningTeam)| {
        let count = counts.entry(ownership.teams[verdict.first].owner()).or_default();
        *count += 1;
        Some((*count, verdict.first, case.host.pattern()?.clone()))
    };
    let mut hosts: Vec<(usize, usize, HostPattern)> = open.iter().filter_map(turn).collect();
    hosts.sort();
    hosts.into_iter().map(|(_, _, host)| host).collect()
}

fn host_owners<'c>(
    ownership: &OwnershipContext<'_, '_>,
    open: impl Iterator<Item = &'c (HostClaims<'c>, OwningTeam)>,
    late: &BTreeSet<usize>,
) -> HostOwners {
    let id = |at: usize| ownership.services[at].service.id.clone();
    let mut host_owners = HostOwners::default();
    for (case, verdict) in open {
        let others = verdict.team.iter().copied().filter(|at| *at != verdict.first);
        let mut holders: Vec<ServiceId> = std::iter::once(verdict.first).chain(others).take(HOLDERS_MAX).map(id).collect();
        holders.sort();
        host_owners.record(case.host.clone(), holders.into());
        if let Some(host) = case.host.pattern() {
            host_owners.record_guests(host, guests(ownership, case, verdict));
        }
    }
    host_owners.record_late(late.iter().map(|at| id(*at)).collect());
    host_owners
}

/// The guests of a host, in a short form.
fn guests(ownership: &OwnershipContext<'_, '_>, case: &HostClaims<'_>, verdict: &OwningTeam) -> Guests {
    let guests = ownership.guests(case, verdict);
    if guests.claimants.len() <= GUESTS_MAX {
        return guests;
    }
    Guests { claimants: Vec::new(), better_than: Some(ownership.named(case).of(verdict.first)), ..guests }
}

impl OwnershipContext<'_, '_> {
    /// Whether a pass that knows nothing else of a host would decide differently: with the entries of `allow`, or without
    /// them, in case they are removed or hosts become shared at the moment of a restart. Guests are known only to the
    /// register.
    fn is_else(&self, case: &HostClaims<'_>, verdict: &OwningTeam, before: &dyn Fn() -> Precedence) -> bool {
        let no_ranks = Ranks::default();
        let decided = [&self.named(case), &no_ranks].map(|ranks| self.settle(case, before(), ranks));
        decided.iter().any(|decided| decided != verdict) || !self.guests(case, verdict).is_empty()
    }

    /// The services that would come first by age, but do not.
    fn put_back<'c>(&'c self, case: &'c HostClaims<'_>, verdict: &'c OwningTeam) -> impl Iterator<Item = usize> + 'c {
        let above = case.above.iter().flat_map(|(_, team)| team.iter());
        let older = case.claimants.iter().chain(above).copied().filter(|at| *at < verdict.first);
        older.filter(|at| !self.teams[*at].is_same(&self.teams[verdict.first]))
    }
}

fn too_many(context: &TranslationContext<'_>, found: usize, left_out: usize) -> Finding {
    let cluster = &context.cluster.name;
    let message = format!(
        "older services claim so many hosts that younger services of other stacks published first that recording their owners takes \
         {found} bytes, more than the limit of {LABEL_BYTES_MAX}: if the operator restarts, {left_out} hosts go to the oldest service that \
         claims them"
    );
    Finding::new(cases::HostRegisterFull, Subject::Cluster(cluster.to_string()), message)
}
