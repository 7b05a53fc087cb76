//! Keeps hosts with the team that published them first (`spec.hosts.sharing`). A service of another team that asks for such
//! a host, in whatever way, must be admitted; otherwise it loses the host, and both sides get a finding.
//! `docs/decisions/hosts-belong-to-stacks.md` explains why.
//!
//! It must never reveal more of another team's service than its name and the host that both ask for. The decision on a host
//! must depend only on the services that ask for the host, or for the wildcard above it, now or at the last pass. Two
//! passes over the same state decide the same.

mod allow_ranks;
mod findings;
mod host_claims;
mod host_owner;
mod owner_decision;
mod persisted_owners;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use allow_ranks::UNNAMED;
use host_claims::{HostClaims, OwningTeam};
pub use host_owner::HostOwner;
use host_owner::OwnershipClaim;

use super::TranslationContext;
use super::host_admission::{HostDenied, NotAdmitted, is_for};
use super::host_owners::HostOwners;
use super::published_service::PublishedService;
use super::service_team::Team;
use crate::intent::hosts::HostRule;
use crate::intent::hosts_spec::Sharing;
use crate::report::Finding;
use crate::types::{HostKey, HostPattern, ServiceId};

/// The outcome: who owns which host from now on.
#[derive(Debug)]
pub struct OwnershipResult {
    /// The owners of each host, for the next pass.
    pub host_owners: HostOwners,
    /// The part of it that must survive a restart.
    pub label: Option<String>,
}

/// Leaves each service the hosts that it may have, and removes services that have none left. `services` is ordered by age
/// and stays so.
pub fn keep_owned<'a>(
    context: &TranslationContext<'_>,
    mut services: Vec<PublishedService<'a>>,
    refused: &mut NotAdmitted,
    findings: &mut Vec<Finding>,
) -> (Vec<PublishedService<'a>>, OwnershipResult) {
    let judged = OwnershipContext::new(context, &services).judge(context, findings);
    findings.extend(findings::later(context, &services, &judged.conflicts));
    findings.extend(findings::first(context, &services, &judged.conflicts));
    take_lost_hosts(&mut services, &judged.conflicts, refused);
    for (at, service) in services.iter_mut().enumerate() {
        service.labels.default_backend &= judged.default_backend == Some(at);
    }
    services.retain(|service| service.labels.default_backend || !service.labels.hosts.is_empty());
    (services, judged.ownership)
}

/// Takes hosts from the services that were not admitted to them, and marks the others as guests.
fn take_lost_hosts(services: &mut [PublishedService<'_>], conflicts: &[HostConflict], refused: &mut NotAdmitted) {
    let mut lost = BTreeMap::<usize, BTreeSet<&HostPattern>>::new();
    for conflict in conflicts {
        let HostConflict { host, later, admitted, .. } = conflict;
        if *admitted {
            services[*later].guest_at.insert(host.clone());
            continue;
        }
        let of_service = refused.entry(services[*later].service.id.clone()).or_default();
        of_service.push((host.clone(), HostDenied::Taken(HostOwner::new(conflict, services))));
        lost.entry(*later).or_default().insert(host);
    }
    for (later, hosts) in lost {
        let labels = &mut services[later].labels;
        labels.hosts.retain(|host| !hosts.contains(host));
        labels.redirects.retain(|redirect| !hosts.contains(&redirect.source.host));
    }
}

/// The result of judging all hosts.
struct Judged {
    conflicts: Vec<HostConflict>,
    /// The default backend, as an index in the list of services.
    default_backend: Option<usize>,
    ownership: OwnershipResult,
}

/// A host for which two teams ask.
struct HostConflict {
    host: HostPattern,
    /// The wildcard through which the first one has the host, if it does not ask for the host itself.
    wildcard: Option<HostPattern>,
    /// The owner, and the service that asks later, as indexes in the list of services.
    first: usize,
    later: usize,
    claim: OwnershipClaim,
    admitted: bool,
}

/// The input of every decision about a host.
struct OwnershipContext<'w, 'a> {
    sharing: Sharing,
    services: &'w [PublishedService<'a>],
    teams: Vec<Team<'a>>,
    /// The entries of `allow` that name services, each with whether it names the service at each index.
    naming: Vec<(&'w HostRule, Vec<bool>)>,
    host_owners: &'w HostOwners,
    indexes: BTreeMap<&'a ServiceId, usize>,
    late: Arc<BTreeSet<usize>>,
}

impl<'w, 'a> OwnershipContext<'w, 'a> {
    fn new(context: &'w TranslationContext<'_>, services: &'w [PublishedService<'a>]) -> Self {
        let rules = context.cluster.hosts.allow.iter().flatten().filter(|rule| rule.names_services());
        let named = |rule| services.iter().map(|one| is_for(rule, context.snapshot, one.service)).collect();
        Self {
            sharing: context.cluster.hosts.sharing,
            services,
            teams: services.iter().map(|one| Team::new(one.service)).collect(),
            naming: rules.map(|rule| (rule, named(rule))).collect(),
            host_owners: context.host_owners,
            indexes: services.iter().enumerate().map(|(at, one)| (&one.service.id, at)).collect(),
            late: Arc::new((0..services.len()).filter(|at| context.host_owners.is_late(&services[*at].service.id)).collect()),
        }
    }

    /// Judges everything that services of several teams ask for, in order of host and age. Wildcards come first: the owner
    /// of a wildcard matters for the names below it.
    fn judge(&self, context: &TranslationContext<'_>, findings: &mut Vec<Finding>) -> Judged {
        let (mut host_owners, mut conflicts, mut open) = (HostOwners::complete(), Vec::new(), Vec::new());
        let mut decide = |case: HostClaims<'w>, conflicts: &mut Vec<HostConflict>| {
            let verdict = self.decide(&case);
            host_owners.record(case.host.clone(), verdict.team.iter().map(|at| self.services[*at].service.id.clone()).collect());
            if let Some(host) = case.host.pattern() {
                host_owners.record_guests(host, self.guests(&case, &verdict));
                if let Some(first) = verdict.ahead(&case) {
                    host_owners.record_first(host, self.services[first].service.id.clone());
                }
            }
            conflicts.extend(self.conflicts(&case, &verdict));
            if case.claimants.len() > 1 || case.above.is_some() {
                open.push((case, verdict.clone()));
            }
            verdict
        };
        let (wildcards, exact): (Vec<_>, Vec<_>) = self.claimants().into_iter().partition(|(host, _)| host.is_wildcard());
        let mut above = BTreeMap::<&HostPattern, Arc<[usize]>>::new();
        for (host, claimants) in wildcards {
            let verdict = decide(HostClaims { host: host.into(), claimants, above: None }, &mut conflicts);
            above.insert(host, verdict.team.into());
        }
        for (host, claimants) in exact {
            let wildcard = HostPattern::matching(host.as_str()).find(HostPattern::is_wildcard);
            let above = wildcard.and_then(|wildcard| above.get_key_value(&wildcard).map(|(wildcard, team)| (*wildcard, Arc::clone(team))));
            decide(HostClaims { host: host.into(), claimants, above }, &mut conflicts);
        }
        let default = self
            .wanting_default()
            .map(|claimants| decide(HostClaims { host: HostKey::DefaultBackend, claimants, above: None }, &mut conflicts).first);
        findings.extend(default.map(|first| self.report_default(first)).into_iter().flatten());
        let label = persisted_owners::label(self, context, &open, findings);
        Judged { conflicts, default_backend: default, ownership: OwnershipResult { host_owners, label } }
    }

    fn claimants(&self) -> BTreeMap<&'w HostPattern, Vec<usize>> {
        let mut claimants = BTreeMap::<_, Vec<usize>>::new();
        for (at, service) in self.services.iter().enumerate() {
            for host in &service.labels.hosts {
                claimants.entry(host).or_default().push(at);
            }
        }
        claimants
    }

    fn wanting_default(&self) -> Option<Vec<usize>> {
        let wanting = self.services.iter().enumerate().filter(|(_, service)| service.labels.default_backend);
        Some(wanting.map(|(at, _)| at).collect::<Vec<_>>()).filter(|wanting| !wanting.is_empty())
    }

    fn report_default(&self, first: usize) -> Vec<Finding> {
        let others: Vec<usize> = self.wanting_default().into_iter().flatten().filter(|at| *at != first).collect();
        findings::default_backend(self.services, first, &others, |at| self.teams[at].is_same(&self.teams[first]))
    }

    /// The services that ask for a host and are not of its owner's team.
    fn conflicts(&self, case: &HostClaims<'_>, verdict: &OwningTeam) -> Vec<HostConflict> {
        let Some(host) = case.host.pattern() else { return Vec::new() };
        let others: Vec<usize> = case.claimants.iter().copied().filter(|at| verdict.team.binary_search(at).is_err()).collect();
        if others.is_empty() {
            return Vec::new();
        }
        let (ranks, named) = (self.ranks(case), self.named(case));
        let conflict = |later| HostConflict {
            host: host.clone(),
            wildcard: case.above.as_ref().filter(|_| verdict.by_wildcard).map(|(wildcard, _)| (*wildcard).clone()),
            first: verdict.first,
            later,
            claim: ranks.claim(verdict.first, later),
            admitted: match self.sharing {
                Sharing::SameStack => false,
                Sharing::Allowed => named.of(later) < UNNAMED,
                Sharing::Anyone => true,
            },
        };
        others.into_iter().map(conflict).collect()
    }
}
