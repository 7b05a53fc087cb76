//! Findings about hosts that services of several teams ask for: to the service that asks later, and to the owner. Decides
//! nothing, and reveals no more of another team's service than its name.

use std::collections::{BTreeMap, BTreeSet};

use super::HostConflict;
use super::host_owner::{HostOwner, OwnershipClaim};
use crate::intent::hosts::listed;
use crate::intent::hosts_spec::Sharing;
use crate::report::{Finding, Severity, cases};
use crate::translate::TranslationContext;
use crate::translate::published_service::{PublishedService, label_key};
use crate::translate::service_team::{Team, TeamDifference};
use crate::types::HostPattern;

/// The most services of other teams named in one finding.
const NAMED_MAX: usize = 10;

/// One finding for each combination of asking service, owner and outcome: a service can have a thousand hosts.
pub(super) fn later<'m>(
    context: &TranslationContext<'_>,
    services: &[PublishedService<'_>],
    conflicts: &'m [HostConflict],
) -> Vec<Finding> {
    let mut by_outcome = BTreeMap::<(usize, usize, HostOwner, bool), Vec<&'m HostPattern>>::new();
    for conflict in conflicts {
        let key = (conflict.later, conflict.first, HostOwner::new(conflict, services), conflict.admitted);
        by_outcome.entry(key).or_default().push(&conflict.host);
    }
    let finding = |((later, _, holder, admitted), hosts): ((usize, _, HostOwner, bool), Vec<&HostPattern>)| {
        let later = &services[later];
        let finding = if admitted { admitted_later(context, later, &holder) } else { refused_later(context, later, &holder, &hosts) };
        finding.with_field(label_key("hosts"), &listed(&hosts))
    };
    by_outcome.into_iter().map(finding).collect()
}

fn refused_later(context: &TranslationContext<'_>, later: &PublishedService<'_>, holder: &HostOwner, hosts: &[&HostPattern]) -> Finding {
    let (cluster, sharing) = (&context.cluster.name, context.cluster.hosts.sharing);
    let message =
        format!("the cluster {cluster} does not publish this for the service: {holder} (spec.hosts.sharing: {})", sharing.as_str());
    let host = hosts.first().map(ToString::to_string).unwrap_or_default();
    let case = match sharing {
        Sharing::Allowed => cases::HostTaken::NotNamed { host: &host, service: later.name.as_str() },
        Sharing::SameStack | Sharing::Anyone => by_right(holder, &host, later.name.as_str()),
    };
    Finding::new(case, later.subject(), message)
}

/// How the refused service can get the host, which depends on why the other one has it.
fn by_right<'a>(holder: &'a HostOwner, host: &'a str, service: &'a str) -> cases::HostTaken<'a> {
    let other = holder.name.as_str();
    match holder.claim {
        OwnershipClaim::First => cases::HostTaken::First { host, service },
        OwnershipClaim::Named { exactly: false } | OwnershipClaim::FirstOfNamed { exactly: false } => {
            cases::HostTaken::Pattern { host, service }
        }
        OwnershipClaim::Named { exactly: true } => cases::HostTaken::Named { other },
        OwnershipClaim::FirstOfNamed { exactly: true } => cases::HostTaken::BothNamed { other },
        OwnershipClaim::BesideGuest => cases::HostTaken::Guest { other },
    }
}

fn admitted_later(context: &TranslationContext<'_>, later: &PublishedService<'_>, holder: &HostOwner) -> Finding {
    let sharing = context.cluster.hosts.sharing;
    let message = format!("{holder}; this service is admitted as well (spec.hosts.sharing: {})", sharing.as_str());
    Finding::new(cases::HostTaken::Shared, later.subject(), message).with_severity(severity_of_admission(sharing))
}

/// If an administrator named the service, sharing is intended.
fn severity_of_admission(sharing: Sharing) -> Severity {
    if sharing == Sharing::Allowed { Severity::Info } else { Severity::Warning }
}

/// One finding for each outcome and service whose hosts others ask for.
pub(super) fn first<'m>(
    context: &TranslationContext<'_>,
    services: &[PublishedService<'_>],
    conflicts: &'m [HostConflict],
) -> Vec<Finding> {
    let mut by_outcome = BTreeMap::<(usize, bool, bool), (BTreeSet<&'m HostPattern>, BTreeSet<usize>)>::new();
    for conflict in conflicts {
        let is_named = matches!(conflict.claim, OwnershipClaim::Named { .. });
        let (hosts, others) = by_outcome.entry((conflict.first, conflict.admitted, is_named)).or_default();
        hosts.insert(&conflict.host);
        others.insert(conflict.later);
    }
    let mut findings = Vec::new();
    for ((first, admitted, is_named), (hosts, others)) in by_outcome {
        let hosts: Vec<_> = hosts.into_iter().collect();
        let who = others_of_other_teams(services, first, &others);
        let finding = if admitted { shared(context, &services[first], &who) } else { contested(&services[first], &who, is_named) };
        findings.push(finding.with_field(label_key("hosts"), &listed(&hosts)));
    }
    findings
}

/// The services that ask for hosts of another one, as text that begins a sentence.
fn others_of_other_teams(services: &[PublishedService<'_>], first: usize, others: &BTreeSet<usize>) -> String {
    let names: Vec<&str> = others.iter().map(|at| services[*at].service.name.as_str()).collect();
    let team = Team::new(services[first].service);
    // Of several differences, the widest one is shown.
    let apart = others.iter().map(|at| team.difference(&Team::new(services[*at].service))).min().unwrap_or(TeamDifference::ByStack);
    format!("{} {apart} {}", shown(&names), if others.len() == 1 { "claims" } else { "claim" })
}

fn shared(context: &TranslationContext<'_>, first: &PublishedService<'_>, who: &str) -> Finding {
    let sharing = context.cluster.hosts.sharing;
    let message = format!("{who} hosts of this service and can get requests for them (spec.hosts.sharing: {})", sharing.as_str());
    Finding::new(cases::HostContested::Shared, first.subject(), message).with_severity(severity_of_admission(sharing))
}

fn contested(first: &PublishedService<'_>, who: &str, is_named: bool) -> Finding {
    let message = format!("{who} hosts of this service, which keeps them while it publishes them");
    let case = if is_named { cases::HostContested::Named } else { cases::HostContested::Refused };
    Finding::new(case, first.subject(), message)
}

/// Findings to the default backend and to the other services that want to be it.
pub(super) fn default_backend(
    services: &[PublishedService<'_>],
    first: usize,
    others: &[usize],
    is_of_team: impl Fn(usize) -> bool,
) -> Vec<Finding> {
    let holder = &services[first];
    let second = |at: &usize| {
        let message = format!("{} is already the default backend, and a cluster has only one", holder.service.name);
        let finding = Finding::new(cases::SecondDefaultBackend, services[*at].subject(), message);
        finding.with_field(label_key("default_backend"), "true")
    };
    let others_of_other_teams = others.iter().filter(|at| !is_of_team(**at)).map(|at| services[*at].service.name.as_str());
    let others_of_other_teams: Vec<&str> = others_of_other_teams.collect();
    let contested = (!others_of_other_teams.is_empty()).then(|| default_contested(holder, &others_of_other_teams));
    others.iter().map(second).chain(contested).collect()
}

/// Services of another stack also want to be the default backend.
fn default_contested(first: &PublishedService<'_>, others: &[&str]) -> Finding {
    let message = format!("{} of another stack would be the default backend without this service", shown(others));
    let finding = Finding::new(cases::HostContested::DefaultBackend, first.subject(), message);
    finding.with_field(label_key("default_backend"), "true")
}

fn shown(names: &[&str]) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let first_ones = names.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{first_ones} and {more} more") } else { first_ones }
}
