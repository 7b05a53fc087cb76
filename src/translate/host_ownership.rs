//! Keeps hosts with the team that published them first (`spec.hosts.sharing`). A service of another team that asks for such
//! a host, in whatever way, must be admitted; otherwise it loses the host, and both sides get a finding.
//! `docs/decisions/hosts-belong-to-stacks.md` explains why.
//!
//! It must never reveal more of another team's service than its name and the host that both ask for. The decision on a host
//! must depend only on the services that ask for the host, or for the wildcard above it, now or at the last pass. Two
//! passes over the same state decide the same.

mod findings;
mod host_owner;
mod persisted_owners;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use host_owner::HostOwner;
use host_owner::OwnershipClaim;

use super::TranslationContext;
use super::host_admission::{HostDenied, NotAdmitted, is_for};
use super::host_owners::{self, HostOwners};
use super::published_service::PublishedService;
use super::service_team::{Team, TeamTotals};
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
    let mut lost = BTreeMap::<usize, BTreeSet<&HostPattern>>::new();
    for conflict in &judged.conflicts {
        let HostConflict { host, later, admitted, .. } = conflict;
        if *admitted {
            services[*later].guest_at.insert(host.clone());
            continue;
        }
        let of_service = refused.entry(services[*later].service.id.clone()).or_default();
        of_service.push((host.clone(), HostDenied::Taken(HostOwner::new(conflict, &services))));
        lost.entry(*later).or_default().insert(host);
    }
    for (later, hosts) in lost {
        let labels = &mut services[later].labels;
        labels.hosts.retain(|host| !hosts.contains(host));
        labels.redirects.retain(|redirect| !hosts.contains(&redirect.source.host));
    }
    for (at, service) in services.iter_mut().enumerate() {
        service.labels.default_backend &= judged.default_backend == Some(at);
    }
    services.retain(|service| service.labels.default_backend || !service.labels.hosts.is_empty());
    (services, judged.ownership)
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
    places: BTreeMap<&'a ServiceId, usize>,
    late: Arc<BTreeSet<usize>>,
}

/// The services that ask for a host, as ascending indexes in the list of services.
struct HostClaims<'c> {
    host: HostKey,
    asking: Vec<usize>,
    /// The wildcard that covers the host, and its owners.
    above: Option<(&'c HostPattern, Arc<[usize]>)>,
}

/// The owners of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OwningTeam {
    first: usize,
    by_wildcard: bool,
    /// The members of the first one's team who ask for the host itself.
    team: Vec<usize>,
}

impl OwningTeam {
    /// Who comes first through the wildcard, if an entry of `allow` puts it before the wildcard's oldest service. Without
    /// this the next pass would name the oldest one, although a register read from the label names this one.
    fn ahead(&self, case: &HostClaims<'_>) -> Option<usize> {
        let is_oldest = || case.above.as_ref().is_some_and(|(_, team)| team.first() == Some(&self.first));
        (self.by_wildcard && self.team.is_empty() && !is_oldest()).then_some(self.first)
    }
}

/// Which services take precedence because of earlier passes.
enum Precedence {
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
            places: services.iter().enumerate().map(|(at, one)| (&one.service.id, at)).collect(),
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
            if case.asking.len() > 1 || case.above.is_some() {
                open.push((case, verdict.clone()));
            }
            verdict
        };
        let (wildcards, exact): (Vec<_>, Vec<_>) = self.asking().into_iter().partition(|(host, _)| host.is_wildcard());
        let mut above = BTreeMap::<&HostPattern, Arc<[usize]>>::new();
        for (host, asking) in wildcards {
            let verdict = decide(HostClaims { host: host.into(), asking, above: None }, &mut conflicts);
            above.insert(host, verdict.team.into());
        }
        for (host, asking) in exact {
            let wildcard = HostPattern::matching(host.as_str()).find(HostPattern::is_wildcard);
            let above = wildcard.and_then(|wildcard| above.get_key_value(&wildcard).map(|(wildcard, team)| (*wildcard, Arc::clone(team))));
            decide(HostClaims { host: host.into(), asking, above }, &mut conflicts);
        }
        let default = self
            .wanting_default()
            .map(|asking| decide(HostClaims { host: HostKey::DefaultBackend, asking, above: None }, &mut conflicts).first);
        findings.extend(default.map(|first| self.report_default(first)).into_iter().flatten());
        let label = persisted_owners::label(self, context, &open, findings);
        Judged { conflicts, default_backend: default, ownership: OwnershipResult { host_owners, label } }
    }

    fn asking(&self) -> BTreeMap<&'w HostPattern, Vec<usize>> {
        let mut asking = BTreeMap::<_, Vec<usize>>::new();
        for (at, service) in self.services.iter().enumerate() {
            for host in &service.labels.hosts {
                asking.entry(host).or_default().push(at);
            }
        }
        asking
    }

    fn wanting_default(&self) -> Option<Vec<usize>> {
        let wanting = self.services.iter().enumerate().filter(|(_, service)| service.labels.default_backend);
        Some(wanting.map(|(at, _)| at).collect::<Vec<_>>()).filter(|wanting| !wanting.is_empty())
    }

    fn report_default(&self, first: usize) -> Vec<Finding> {
        let others: Vec<usize> = self.wanting_default().into_iter().flatten().filter(|at| *at != first).collect();
        findings::default_backend(self.services, first, &others, |at| self.teams[at].is_same(&self.teams[first]))
    }

    /// Decides who owns a host, based on earlier passes.
    fn decide(&self, case: &HostClaims<'_>) -> OwningTeam {
        if let (&[only], None) = (&case.asking[..], &case.above) {
            return OwningTeam { first: only, by_wildcard: false, team: case.asking.clone() };
        }
        self.settle(case, self.before(case), &self.ranks(case))
    }

    fn before(&self, case: &HostClaims<'_>) -> Precedence {
        let named = self.host_owners.holders(&case.host).map(|holders| self.places_of(holders));
        // A service that had the host and no longer asks for it has no precedence, even if it has the wildcard now.
        let still: Vec<usize> = named.iter().flatten().copied().filter(|at| case.asking.binary_search(at).is_ok()).collect();
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
        let was_above = above.is_some_and(|(holders, team)| self.places_of(holders).iter().any(|at| team.binary_search(at).is_ok()));
        if was_above { Precedence::Above } else { Precedence::Nobody }
    }

    /// Who came first through the wildcard at the last pass, if it still owns the wildcard.
    fn ahead(&self, case: &HostClaims<'_>) -> Option<usize> {
        let (_, team) = case.above.as_ref()?;
        let ahead = self.places.get(self.host_owners.first(case.host.pattern()?)?)?;
        team.binary_search(ahead).is_ok().then_some(*ahead)
    }

    fn places_of(&self, holders: &[ServiceId]) -> Vec<usize> {
        let mut places: Vec<usize> = holders.iter().filter_map(|id| self.places.get(id).copied()).collect();
        places.sort_unstable();
        places
    }

    /// Determines the owners of a host. All members of the first one's team own it from now on, and the oldest of them may
    /// belong to yet another team as well. So this repeats until nothing changes; otherwise the next pass would decide
    /// differently. It terminates: from the second round on, some service's team includes everyone from the round before.
    fn settle(&self, case: &HostClaims<'_>, mut before: Precedence, ranks: &Ranks<'_>) -> OwningTeam {
        loop {
            let (first, by_wildcard) = first_of(case, ranks, &before);
            let first = match &before {
                Precedence::These(these) if !by_wildcard => self.holding_together(case, ranks, these, first),
                _ => first,
            };
            let is_of_team = |at: &usize| self.teams[*at].is_same(&self.teams[first]);
            let team: Vec<usize> = case.asking.iter().copied().filter(is_of_team).collect();
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
            case.asking.binary_search(at).is_ok() && ranks.of(*at) == ranks.of(first) && counted.total(&self.teams[*at]) == these.len()
        };
        these.iter().copied().find(holds_all).unwrap_or(first)
    }

    /// The services that entries of `allow` name for a host. Where hosts can be shared, an entry only admits services and
    /// displaces none.
    fn ranks<'c>(&'c self, case: &HostClaims<'_>) -> Ranks<'c> {
        match self.sharing {
            Sharing::SameStack => Ranks { guests: self.guests_before(case), ..self.named(case) },
            Sharing::Allowed | Sharing::Anyone => Ranks::default(),
        }
    }

    /// The same as if nothing were shared and no guest had been admitted before.
    fn named<'c>(&'c self, case: &HostClaims<'_>) -> Ranks<'c> {
        let Some(host) = case.host.pattern() else { return Ranks::default() };
        let fitting = self.naming.iter().filter(|(rule, _)| rule.host.matches(host));
        let fitting = fitting.map(|(rule, named)| (u8::from(rule.host.as_str() != host.as_str()), named.as_slice())).collect();
        Ranks { fitting, guests: GuestIndexes::default() }
    }

    /// The guests admitted beside the owners, while these, or the owners of the wildcard above, still ask for the host.
    fn guests_before(&self, case: &HostClaims<'_>) -> GuestIndexes {
        let Some(guests) = case.host.pattern().and_then(|host| self.host_owners.guests(host)) else { return GuestIndexes::default() };
        let wildcard = case.above.as_ref().and_then(|(wildcard, _)| self.host_owners.holders(&(*wildcard).into()));
        let holders = self.places_of(self.host_owners.holders(&case.host).or(wildcard).unwrap_or_default());
        let above = case.above.as_ref().map_or(&[][..], |(_, team)| team);
        let is_there = |at: &usize| case.asking.binary_search(at).is_ok() || above.binary_search(at).is_ok();
        if !holders.iter().any(is_there) {
            return GuestIndexes::default();
        }
        let above = case.above.as_ref().filter(|_| guests.above).map(|(_, team)| Arc::clone(team));
        GuestIndexes { asking: self.guests_asking(case, guests), above }
    }

    fn guests_asking(&self, case: &HostClaims<'_>, guests: &host_owners::Guests) -> Vec<usize> {
        let mut asking = self.places_of(&guests.asking);
        if let Some(rank) = guests.better_than {
            let named = self.named(case);
            asking.extend(case.asking.iter().copied().filter(|at| named.of(*at) < rank));
            asking.sort_unstable();
        }
        asking
    }

    /// The services that entries name more exactly than the owners, and that were only admitted beside them. They stay
    /// guests, whatever is shared.
    fn guests(&self, case: &HostClaims<'_>, verdict: &OwningTeam) -> host_owners::Guests {
        let named = self.named(case);
        if named.are_alike() {
            return host_owners::Guests::default();
        }
        let first = named.of(verdict.first);
        let is_guest = |at: &usize| named.of(*at) < first;
        host_owners::Guests {
            asking: case.asking.iter().copied().filter(is_guest).map(|at| self.services[at].service.id.clone()).collect(),
            better_than: None,
            above: case.above.as_ref().is_some_and(|(_, team)| team.iter().any(is_guest)),
        }
    }

    /// The services that ask for a host and are not of its owner's team.
    fn conflicts(&self, case: &HostClaims<'_>, verdict: &OwningTeam) -> Vec<HostConflict> {
        let Some(host) = case.host.pattern() else { return Vec::new() };
        let others: Vec<usize> = case.asking.iter().copied().filter(|at| verdict.team.binary_search(at).is_err()).collect();
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

/// Who comes first, and whether only through the wildcard above.
fn first_of(case: &HostClaims<'_>, ranks: &Ranks<'_>, before: &Precedence) -> (usize, bool) {
    let above = case.above.as_ref().map_or(&[][..], |(_, team)| team);
    let rank = |at: usize| (ranks.of(at), before.puts_back(at, above), at);
    let own = case.asking.iter().copied().min_by_key(|at| rank(*at));
    let by_wildcard = match before {
        // A wildcard can have thousands of services, and thousands of names below it.
        Precedence::Nobody | Precedence::Above if ranks.are_alike() => above.first().copied(),
        Precedence::These(these) if ranks.are_alike() => {
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

/// The rank of a service that no entry names.
const UNNAMED: u8 = 2;

/// What the entries of `allow` that name services say about one host. Where nothing is shared, an entry that names a
/// service for a host makes it the owner, and a more exact entry wins. This does not apply to a service that was admitted
/// as a guest.
#[derive(Default)]
struct Ranks<'c> {
    /// For each matching entry: how exactly it matches the host, and which services it names.
    fitting: Vec<(u8, &'c [bool])>,
    guests: GuestIndexes,
}

/// The services admitted to a host that others own.
#[derive(Default)]
struct GuestIndexes {
    /// Those that ask for the host, ordered.
    asking: Vec<usize>,
    /// The owners of the wildcard above, if entries name them for its names but others own these.
    above: Option<Arc<[usize]>>,
}

impl GuestIndexes {
    fn include(&self, at: usize) -> bool {
        self.asking.binary_search(&at).is_ok() || self.above.as_ref().is_some_and(|above| above.binary_search(&at).is_ok())
    }
}

impl Ranks<'_> {
    fn are_alike(&self) -> bool {
        self.fitting.is_empty()
    }

    fn of(&self, at: usize) -> u8 {
        if self.guests.include(at) { UNNAMED } else { self.named(at) }
    }

    fn named(&self, at: usize) -> u8 {
        self.fitting.iter().filter(|(_, named)| named[at]).map(|(rank, _)| *rank).min().unwrap_or(UNNAMED)
    }

    /// Why the first one has the host and the later one does not. A service that is named more exactly and comes later was
    /// admitted as a guest.
    fn claim(&self, first: usize, later: usize) -> OwnershipClaim {
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
