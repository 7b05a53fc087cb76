//! Enforces the limits of a cluster (`spec.limits`) before any other use of the services: on each service, on each team
//! with all its services, and on all services together. Oldest services first: a service within the limits never loses
//! anything to a younger one, and the excess of one team takes nothing from others, because only what fits is charged. The
//! charge of a service depends on what it declares and on the services before it, never on which tasks run, so results do
//! not fluctuate between passes.
//!
//! Each service pays for each of its hosts as if it were alone there; a service that brings TLS to a host also pays for the
//! second copy of the other services' places. So the sum is never less than what is written, and no service's charge grows
//! because another service joins.

mod cost;
mod findings;
mod remaining_budget;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Add;

use super::TranslationContext;
use super::published_service::PublishedService;
use super::service_team::{Team, TeamTotals};
use crate::report::Finding;
use crate::route::{Dimension, Footprint};
use crate::types::{ContextPath, HostPattern, RouteKey};
use cost::{CostMeter, HostState, RouteCost};
use remaining_budget::RemainingBudget;

/// What the services of a cluster use, and which of them lose something.
struct Ledger<'w, 'a> {
    context: &'w TranslationContext<'a>,
    costs: CostMeter<'w>,
    /// The total admitted so far.
    spent: Footprint,
    /// The same by team, with each team's losses.
    shares: TeamTotals<'a, TeamUsage>,
    teams: BTreeSet<Team<'a>>,
    hosts: BTreeMap<HostPattern, Tenancy>,
    /// How many services lose something because the cluster is full.
    losers: usize,
    lost: Vec<DroppedRoute>,
}

/// The usage of one team's services.
#[derive(Debug, Clone, Copy, Default)]
struct TeamUsage {
    spent: Footprint,
    /// How many of them lose something because their team exceeds its limit.
    losers: usize,
    /// How many lost routes are closed, so that no other service answers for them.
    closed: usize,
}

impl Add for TeamUsage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { spent: self.spent.plus(other.spent), losers: self.losers + other.losers, closed: self.closed + other.closed }
    }
}

/// A route that a service loses. No other service may answer for its host.
#[derive(Debug)]
pub struct DroppedRoute {
    /// The key that the route would have had.
    pub key: RouteKey,
    /// The name of the service.
    pub service: String,
    /// The limit that the service exceeds, as text that follows "more than".
    pub left: String,
}

/// What is known of a published host.
#[derive(Default)]
struct Tenancy {
    /// Whether the host has TLS that is terminated here.
    tls: bool,
    /// What a second copy of its services' places costs if a service brings TLS to the host.
    copies: Footprint,
    /// The paths that a service publishes in plain HTTP.
    open: BTreeSet<ContextPath>,
}

/// The limit that is exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExceededLimit {
    Service(Dimension),
    Team {
        dimension: Dimension,
        /// The dimension in which the cluster is exceeded too, so that a higher team limit alone would not help.
        cluster: Option<Dimension>,
    },
    Cluster(Dimension),
}

impl fmt::Display for ExceededLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(dimension) => write!(f, "spec.limits.service.{dimension}"),
            Self::Team { dimension, .. } => write!(f, "spec.limits.team.{dimension}"),
            Self::Cluster(dimension) => write!(f, "spec.limits.cluster.{dimension}"),
        }
    }
}

impl ExceededLimit {
    /// What is available to a service, as text that follows "more than". Of a shared limit only what other services leave.
    fn left(self) -> String {
        match self {
            Self::Service(_) => format!("{self} allows"),
            Self::Team { .. } | Self::Cluster(_) => format!("older services leave of {self}"),
        }
    }
}

/// What a service loses.
struct BudgetLoss {
    beyond: ExceededLimit,
    /// Everything that it asks for.
    wanted: Footprint,
    /// Whether `wanted` is an estimate.
    estimated: bool,
    /// What older services use of the exceeded limit.
    before: Footprint,
    hosts: Vec<HostPattern>,
    default_backend: bool,
    /// How many of the hosts are not even closed to other services.
    open: usize,
}

/// Returns the services with what fits of them, in the given order (oldest first), and what does not fit. Reports losses to
/// each affected service and to the administrator.
pub fn keep_within_limits<'a>(
    context: &TranslationContext<'a>,
    services: Vec<PublishedService<'a>>,
    findings: &mut Vec<Finding>,
) -> (Vec<PublishedService<'a>>, Vec<DroppedRoute>) {
    let mut ledger = Ledger::new(context);
    let kept = services.into_iter().filter_map(|service| ledger.admit(service, findings)).collect();
    findings.extend(findings::cluster(context.cluster, &ledger.spent, ledger.losers));
    findings.extend(findings::teams(context.cluster, &ledger.teams, &ledger.shares));
    (kept, ledger.lost)
}

impl<'w, 'a> Ledger<'w, 'a> {
    fn new(context: &'w TranslationContext<'a>) -> Self {
        let (costs, spent, shares) = (CostMeter::new(context), Footprint::default(), TeamTotals::default());
        Self { context, costs, spent, shares, teams: BTreeSet::new(), hosts: BTreeMap::new(), losers: 0, lost: Vec::new() }
    }

    /// Admits what fits of a service: its first hosts, in the order of its label. `None` if nothing fits.
    fn admit(&mut self, mut service: PublishedService<'a>, findings: &mut Vec<Finding>) -> Option<PublishedService<'a>> {
        let team = Team::new(service.service);
        let mut account = RemainingBudget::new(&self.context.cluster.limits, self.shares.total(&team).spent, self.spent);
        if service.labels.default_backend {
            let price = self.costs.of_default(&service);
            service.labels.default_backend = account.charge(&price);
        }
        let no_default = account.beyond.is_some();
        let left_out = self.charge_hosts(&mut service, &mut account);
        self.settle(team, &account);
        if let Some(beyond) = account.beyond {
            let open = self.close(team, &service, beyond, no_default, &left_out);
            let before = account.before(beyond);
            let (wanted, estimated) = (account.wanted, account.estimated);
            let loss = BudgetLoss { beyond, wanted, estimated, before, hosts: left_out, default_backend: no_default, open };
            findings.push(findings::service(self.context, &service, &loss));
        }
        (service.labels.default_backend || !service.labels.hosts.is_empty()).then_some(service)
    }

    /// Charges the hosts of a service up to the first one that does not fit, and takes the others from it.
    fn charge_hosts(&mut self, service: &mut PublishedService<'_>, account: &mut RemainingBudget<'_>) -> Vec<HostPattern> {
        let mut left_out = Vec::new();
        let mut hosts = std::mem::take(&mut service.labels.hosts).into_iter();
        while let Some(host) = hosts.next() {
            let price = self.price(service, &host);
            if account.charge(&price.total) {
                self.settle_in(service, &host, &price);
                service.labels.hosts.push(host);
                continue;
            }
            // Rendering what is not published, host by host, would cost more than everything that is admitted.
            account.estimate(&price.total, hosts.len());
            left_out.push(host);
            left_out.extend(hosts.by_ref());
        }
        left_out
    }

    /// Charges a service for what it has; what it loses is charged to no team.
    fn settle(&mut self, team: Team<'a>, account: &RemainingBudget<'_>) {
        let is_of_team = matches!(account.beyond, Some(ExceededLimit::Team { .. }));
        self.spent = self.spent.plus(account.own);
        self.losers += usize::from(matches!(account.beyond, Some(ExceededLimit::Cluster(_))));
        self.teams.insert(team);
        self.shares.add(team, TeamUsage { spent: account.own, losers: usize::from(is_of_team), closed: 0 });
    }

    /// Closes what the service loses to other services, within bounds: each closed host is a name that the engine keeps,
    /// and a team, or all together, can have as many of them as routes. Returns how many hosts stay open.
    fn close(
        &mut self,
        team: Team<'a>,
        service: &PublishedService<'_>,
        beyond: ExceededLimit,
        default_backend: bool,
        hosts: &[HostPattern],
    ) -> usize {
        let limits = &self.context.cluster.limits;
        let room = |most: u64, closed: usize| usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(closed);
        let room = room(limits.cluster.routes, self.lost.len()).min(room(limits.team.routes, self.shares.total(&team).closed));
        let lost = |key| DroppedRoute { key, service: service.service.name.clone(), left: beyond.left() };
        let before = self.lost.len();
        self.lost.extend(default_backend.then(|| lost(RouteKey::default_backend())));
        self.lost.extend(hosts.iter().take(room).map(|host| lost(RouteKey::new(host, &service.labels.context_root))));
        self.shares.add(team, TeamUsage { closed: self.lost.len() - before, ..TeamUsage::default() });
        hosts.len().saturating_sub(room)
    }

    fn price(&mut self, service: &PublishedService<'_>, host: &HostPattern) -> Due {
        let tenancy = self.hosts.get(host);
        let is_open = tenancy.is_some_and(|tenancy| tenancy.open.contains(&service.labels.context_root));
        let before = HostState { has_tls: tenancy.is_some_and(|tenancy| tenancy.tls), is_open };
        let RouteCost { plain, by_tls, copy, brings_tls } = self.costs.of_host(service, host, before);
        // When TLS comes to a host that others publish in plain HTTP, all their places are written a second time.
        let copies = tenancy.filter(|_| brings_tls && !before.has_tls).map(|tenancy| tenancy.copies);
        Due { total: plain.plus(by_tls).plus(copies.unwrap_or_default()), copy, brings_tls }
    }

    fn settle_in(&mut self, service: &PublishedService<'_>, host: &HostPattern, price: &Due) {
        let tenancy = self.hosts.entry(host.clone()).or_default();
        tenancy.copies = tenancy.copies.plus(price.copy);
        tenancy.tls |= price.brings_tls;
        if !service.labels.tls.only && !tenancy.open.contains(&service.labels.context_root) {
            tenancy.open.insert(service.labels.context_root.clone());
        }
    }
}

/// What a service pays for a host.
struct Due {
    /// The total.
    total: Footprint,
    /// What it costs again when TLS comes to the host.
    copy: Footprint,
    brings_tls: bool,
}

/// What all services of a cluster are charged, regardless of its limits.
#[cfg(test)]
pub fn charged(cluster: &super::Cluster, snapshot: &super::Snapshot) -> Footprint {
    let most = Footprint { routes: u64::MAX, locations: u64::MAX, bytes: u64::MAX };
    let limits = crate::intent::config_quotas::ConfigQuotas { service: most, team: most, cluster: most, ..cluster.limits };
    let cluster = super::Cluster { limits, ..cluster.clone() };
    let host_owners = super::HostOwners::default();
    let context = TranslationContext::new(&cluster, snapshot, &host_owners);
    let (services, ..) = super::service_selection::published_services(&context, &mut Vec::new());
    let mut ledger = Ledger::new(&context);
    for service in services {
        ledger.admit(service, &mut Vec::new());
    }
    ledger.spent
}
