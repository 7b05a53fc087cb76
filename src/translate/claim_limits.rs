//! Limits how much teams may request, whether they get it or not. Hosts of other teams and hosts that are not admitted cost
//! no budget, yet each is evaluated, stored and reported: thousands of services that request a thousand of them each would
//! exhaust the operator's memory, and the operator would then follow no more changes.
//!
//! The bound is several times the number of possible routes, so a team that gets what it requests never comes near it.
//! The oldest come first, as with budgets. Hosts beyond the bound are not reserved, because for that they would have to be
//! evaluated. It must never take a host from its owner: what a service had at the last pass is always considered, and so are
//! some hosts of each team; requests that are refused anyway compete only with each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Add;

use super::TranslationContext;
use super::host_admission;
use super::published_service::label_key;
use super::service_team::{Team, TeamTotals};
use crate::intent::config_quotas::ConfigQuotas;
use crate::intent::labels::ServiceLabels;
use crate::report::{Finding, Subject, cases};
use crate::route::{Dimension, Footprint};
use crate::swarm::Service;
use crate::types::{HostPattern, excerpt};

/// The factor by which requests may exceed the limits for routes and locations.
const TIMES: u64 = 4;
/// The factor after a start of the operator, when it does not yet know who owns what.
const TIMES_AT_FIRST: u64 = 40;
/// The number of hosts that are considered for each team, whatever others request.
const OF_EACH_TEAM: u64 = 100;
/// The most ignored hosts named in a finding.
const NAMED_MAX: usize = 5;
/// The most characters shown of each.
const SHOWN_CHARS: usize = 120;

/// The requests of services so far.
pub struct ClaimLimiter<'w, 'a> {
    context: &'w TranslationContext<'a>,
    /// The factor in use.
    times: u64,
    of_team: ClaimCount,
    of_all: ClaimCount,
    /// Hosts that may be published.
    open: ClaimTotals<'a>,
    /// Hosts that `spec.hosts.allow` refuses.
    refused: ClaimTotals<'a>,
}

/// The requests that are considered.
#[derive(Default)]
struct ClaimTotals<'a> {
    by_team: TeamTotals<'a, ClaimCount>,
    all: ClaimCount,
}

/// Both are kept in memory for each service that names them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ClaimCount {
    hosts: u64,
    redirects: u64,
}

impl fmt::Display for ClaimCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = if self.hosts == 1 { "host" } else { "hosts" };
        let redirects = if self.redirects == 1 { "redirect" } else { "redirects" };
        write!(f, "{} {hosts} and {} {redirects}", self.hosts, self.redirects)
    }
}

impl Add for ClaimCount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { hosts: self.hosts.saturating_add(other.hosts), redirects: self.redirects.saturating_add(other.redirects) }
    }
}

impl ClaimCount {
    /// What may be requested under these limits, and never less than with the defaults: a low limit is no reason to
    /// consider fewer requests.
    fn for_limits(limits: &Footprint, default: &Footprint, times: u64) -> Self {
        let many = |limit: u64, default: u64| limit.max(default).saturating_mul(times);
        Self { hosts: many(limits.routes, default.routes), redirects: many(limits.locations, default.locations) }
    }

    fn is_within(self, most: Self) -> bool {
        self.hosts <= most.hosts && self.redirects <= most.redirects
    }
}

impl<'w, 'a> ClaimLimiter<'w, 'a> {
    /// Without any requests.
    pub fn new(context: &'w TranslationContext<'a>) -> Self {
        let (limits, default) = (&context.cluster.limits, ConfigQuotas::default());
        let times = if context.host_owners.is_complete() { TIMES } else { TIMES_AT_FIRST };
        let amount = |limits, default| ClaimCount::for_limits(limits, default, times);
        let (of_team, of_all) = (amount(&limits.team, &default.team), amount(&limits.cluster, &default.cluster));
        Self { context, times, of_team, of_all, open: ClaimTotals::default(), refused: ClaimTotals::default() }
    }

    /// Leaves a service the hosts that it already has, and the first of its other hosts as far as older services leave
    /// room. Returns a finding if that is not all.
    pub fn admit(&mut self, service: &'a Service, labels: &mut ServiceLabels) -> Option<Finding> {
        let team = Team::new(service);
        let amounts = amounts(labels);
        let (mut kept, mut first) = (Vec::with_capacity(amounts.len()), None);
        for (host, amount) in labels.hosts.iter().zip(&amounts) {
            let is_refused = !host_admission::admits(self.context.cluster, self.context.snapshot, host, service);
            let totals = if is_refused { &self.refused } else { &self.open };
            let has = || self.context.host_owners.holders(&host.into()).is_some_and(|holders| holders.contains(&service.id));
            let beyond = self.beyond(totals, &team, *amount).filter(|_| !has());
            kept.push(beyond.is_none());
            if let Some(whose) = beyond {
                let before = if whose == LimitScope::Team { totals.by_team.total(&team) } else { totals.all };
                first.get_or_insert(ExceededClaimLimit { whose, team, before });
                continue;
            }
            let totals = if is_refused { &mut self.refused } else { &mut self.open };
            totals.by_team.add(team, *amount);
            totals.all = totals.all + *amount;
        }
        first.map(|beyond| {
            let wanted = amounts.into_iter().fold(ClaimCount::default(), ClaimCount::add);
            let lost = leave(labels, &kept);
            self.finding(service, &beyond, wanted, (labels.hosts.len(), &lost))
        })
    }

    fn beyond(&self, totals: &ClaimTotals<'a>, team: &Team<'a>, more: ClaimCount) -> Option<LimitScope> {
        let of_team = totals.by_team.total(team) + more;
        let is_of_team = !of_team.is_within(self.of_team);
        let is_of_all = of_team.hosts > OF_EACH_TEAM && !(totals.all + more).is_within(self.of_all);
        is_of_team.then_some(LimitScope::Team).or(is_of_all.then_some(LimitScope::Cluster))
    }

    fn finding(
        &self,
        service: &Service,
        beyond: &ExceededClaimLimit<'_>,
        wanted: ClaimCount,
        (kept, lost): (usize, &[HostPattern]),
    ) -> Finding {
        let ExceededClaimLimit { whose, team, before } = beyond;
        let (who, of, limit, most) = match whose {
            LimitScope::Team => (format!("its team ({team}) already requests"), "per team", "spec.limits.team", self.of_team),
            LimitScope::Cluster => ("all services together already request".to_owned(), "in total", "spec.limits.cluster", self.of_all),
        };
        let message = format!(
            "the service requests {wanted}; {who} {before}, published or not, and the cluster {} considers at most {most} {of} ({} times \
             {limit} or its default, whichever is more); {}, and a wildcard, the default backend or other services may answer for: {}",
            self.context.cluster.name,
            self.times,
            published(kept),
            some(lost)
        );
        let dimension = if wanted.hosts + before.hosts > most.hosts { Dimension::Routes } else { Dimension::Locations };
        let limit = &format!("{limit}.{dimension}");
        let case = match whose {
            LimitScope::Team => cases::LimitExceeded::ClaimsOfTeam { limit },
            LimitScope::Cluster => cases::LimitExceeded::ClaimsOfAll { limit },
        };
        let finding = Finding::new(case, Subject::Service(service.name.clone()), message);
        Finding { field: Some(label_key("hosts")), ..finding }
    }
}

/// Whose services together request too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LimitScope {
    Team,
    Cluster,
}

/// The bound that a service exceeds.
struct ExceededClaimLimit<'a> {
    whose: LimitScope,
    team: Team<'a>,
    /// What older services request.
    before: ClaimCount,
}

/// Each host of a service, with the redirects there.
fn amounts(labels: &ServiceLabels) -> Vec<ClaimCount> {
    let mut redirects = BTreeMap::<&HostPattern, u64>::new();
    for redirect in &labels.redirects {
        *redirects.entry(&redirect.source.host).or_default() += 1;
    }
    let of = |host| ClaimCount { hosts: 1, redirects: redirects.get(host).copied().unwrap_or(0) };
    labels.hosts.iter().map(of).collect()
}

/// Leaves the kept hosts and what belongs to them, and returns the others. Nothing else of these stays in memory.
fn leave(labels: &mut ServiceLabels, kept: &[bool]) -> Vec<HostPattern> {
    let (mut left, mut lost) = (Vec::new(), Vec::new());
    for (host, is_kept) in std::mem::take(&mut labels.hosts).into_iter().zip(kept) {
        if *is_kept { left.push(host) } else { lost.push(host) }
    }
    labels.hosts = left;
    let hosts: BTreeSet<&HostPattern> = labels.hosts.iter().collect();
    labels.redirects.retain(|redirect| hosts.contains(&redirect.source.host));
    labels.redirects.shrink_to_fit();
    lost
}

fn published(kept: usize) -> String {
    match kept {
        0 => "none of its hosts are published".to_owned(),
        1 => "only one of its hosts is considered".to_owned(),
        _ => format!("only {kept} of its hosts are considered"),
    }
}

fn some(hosts: &[HostPattern]) -> String {
    let shown = hosts.iter().take(NAMED_MAX).map(|host| excerpt(host.as_str(), SHOWN_CHARS)).collect::<Vec<_>>().join(", ");
    let more = hosts.len().saturating_sub(NAMED_MAX);
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}
