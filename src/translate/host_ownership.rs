//! Hosts stay with the team that published them first (`spec.hosts.sharing`). A service of another team that asks for one of
//! them, in whatever way, has to be admitted; else it loses that host, and both sides are told.
//! `docs/decisions/hosts-belong-to-stacks.md` says why.
//!
//! It must never tell one team more of another's service than its name and the host that both ask for, and what it decides for
//! a host must depend on those only who ask for the host, or for the wildcard above it, now or at the last pass. Two passes over
//! one world decide the same.

mod findings;
mod holder;
mod persisted;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holder::Claim;
pub use holder::Holder;

use super::World;
use super::admission::{NotAdmitted, Refusal, is_for};
use super::host_register::{self, Place, Register};
use super::published_service::Published;
use super::teams::{ByTeam, Team};
use crate::intent::hosts::HostRule;
use crate::intent::hosts_spec::Sharing;
use crate::report::Finding;
use crate::types::{HostPattern, ServiceId};

/// Who has what from now on.
#[derive(Debug)]
pub struct Ownership {
    /// Whose each host is, for the next pass.
    pub register: Register,
    /// What a restart must not lose of it.
    pub label: Option<String>,
}

/// Leaves each service the hosts that it may have, and no service that has none. `services` is ordered by age and stays so.
pub fn keep_owned<'a>(
    world: &World<'_>,
    mut services: Vec<Published<'a>>,
    refused: &mut NotAdmitted,
    findings: &mut Vec<Finding>,
) -> (Vec<Published<'a>>, Ownership) {
    let judged = Court::new(world, &services).judge(world, findings);
    findings.extend(findings::later(world, &services, &judged.meetings));
    findings.extend(findings::first(world, &services, &judged.meetings));
    let mut lost = BTreeMap::<usize, BTreeSet<&HostPattern>>::new();
    for meeting in &judged.meetings {
        let Meeting { host, later, admitted, .. } = meeting;
        if *admitted {
            services[*later].guest_at.insert(host.clone());
            continue;
        }
        let of_service = refused.entry(services[*later].service.id.clone()).or_default();
        of_service.push((host.clone(), Refusal::Taken(Holder::of(meeting, &services))));
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

/// What comes out.
struct Judged {
    meetings: Vec<Meeting>,
    /// The default backend, as a place in the list of services.
    default_backend: Option<usize>,
    ownership: Ownership,
}

/// Two teams ask for one host.
struct Meeting {
    host: HostPattern,
    /// The wildcard by which the first one has it, if it does not ask for the host itself.
    wildcard: Option<HostPattern>,
    /// Who has it, and who asks for it later, as places in the list of services.
    first: usize,
    later: usize,
    claim: Claim,
    admitted: bool,
}

/// What decides who has which host.
struct Court<'w, 'a> {
    sharing: Sharing,
    services: &'w [Published<'a>],
    teams: Vec<Team<'a>>,
    /// The entries of `allow` that name services, each with whether it names the service at each place.
    naming: Vec<(&'w HostRule, Vec<bool>)>,
    register: &'w Register,
    places: BTreeMap<&'a ServiceId, usize>,
    late: Arc<BTreeSet<usize>>,
}

/// Who asks for a host. All are places in the list of services, in its order.
struct Case<'c> {
    place: Place<'c>,
    asking: Vec<usize>,
    /// The wildcard that stands for it, and whose that is.
    above: Option<(&'c HostPattern, Arc<[usize]>)>,
}

/// Whose a host is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    first: usize,
    by_wildcard: bool,
    /// Those of the first one's team who ask for the host itself.
    team: Vec<usize>,
}

impl Verdict {
    /// Who comes first by the wildcard where its oldest service does not, as an entry of `allow` may have it. Without this the next
    /// pass would speak of that one, although a register that is read from the label names this one.
    fn ahead(&self, case: &Case<'_>) -> Option<usize> {
        let is_oldest = || case.above.as_ref().is_some_and(|(_, team)| team.first() == Some(&self.first));
        (self.by_wildcard && self.team.is_empty() && !is_oldest()).then_some(self.first)
    }
}

/// Whom earlier passes put before others.
enum Before {
    /// Nobody: ages decide.
    Nobody,
    /// These, in the order of the list.
    These(Vec<usize>),
    /// Those who have the wildcard.
    Above,
    /// Everybody but these.
    AllBut(Arc<BTreeSet<usize>>),
}

impl Before {
    /// Whether a service comes after those who are before others. `above`: whose the wildcard is.
    fn puts_back(&self, at: usize, above: &[usize]) -> bool {
        match self {
            Self::Nobody => false,
            Self::These(these) => these.binary_search(&at).is_err(),
            Self::Above => above.binary_search(&at).is_err(),
            Self::AllBut(late) => late.contains(&at),
        }
    }
}

impl<'w, 'a> Court<'w, 'a> {
    fn new(world: &'w World<'_>, services: &'w [Published<'a>]) -> Self {
        let rules = world.cluster.hosts.allow.iter().flatten().filter(|rule| rule.names_services());
        let named = |rule| services.iter().map(|one| is_for(rule, world.snapshot, one.service)).collect();
        Self {
            sharing: world.cluster.hosts.sharing,
            services,
            teams: services.iter().map(|one| Team::of(one.service)).collect(),
            naming: rules.map(|rule| (rule, named(rule))).collect(),
            register: world.register,
            places: services.iter().enumerate().map(|(at, one)| (&one.service.id, at)).collect(),
            late: Arc::new((0..services.len()).filter(|at| world.register.is_late(&services[*at].service.id)).collect()),
        }
    }

    /// Everything that services of several teams ask for, ordered by host and age. Wildcards come first: whose one is has a say in
    /// the names below it.
    fn judge(&self, world: &World<'_>, findings: &mut Vec<Finding>) -> Judged {
        let (mut register, mut meetings, mut open) = (Register::complete(), Vec::new(), Vec::new());
        let mut decide = |case: Case<'w>, meetings: &mut Vec<Meeting>| {
            let verdict = self.decide(&case);
            register.note(case.place, verdict.team.iter().map(|at| self.services[*at].service.id.clone()).collect());
            if let Some(host) = case.place {
                register.note_guests(host, self.guests(&case, &verdict));
                if let Some(first) = verdict.ahead(&case) {
                    register.note_ahead(host, self.services[first].service.id.clone());
                }
            }
            meetings.extend(self.meetings(&case, &verdict));
            if case.asking.len() > 1 || case.above.is_some() {
                open.push((case, verdict.clone()));
            }
            verdict
        };
        let (wildcards, exact): (Vec<_>, Vec<_>) = self.asking().into_iter().partition(|(host, _)| host.is_wildcard());
        let mut above = BTreeMap::<&HostPattern, Arc<[usize]>>::new();
        for (host, asking) in wildcards {
            let verdict = decide(Case { place: Some(host), asking, above: None }, &mut meetings);
            above.insert(host, verdict.team.into());
        }
        for (host, asking) in exact {
            let wildcard = HostPattern::fitting(host.as_str()).find(HostPattern::is_wildcard);
            let above = wildcard.and_then(|wildcard| above.get_key_value(&wildcard).map(|(wildcard, team)| (*wildcard, Arc::clone(team))));
            decide(Case { place: Some(host), asking, above }, &mut meetings);
        }
        let default = self.wanting_default().map(|asking| decide(Case { place: None, asking, above: None }, &mut meetings).first);
        findings.extend(default.map(|first| self.tell_default(first)).into_iter().flatten());
        let label = persisted::label(self, world, &open, findings);
        Judged { meetings, default_backend: default, ownership: Ownership { register, label } }
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

    fn tell_default(&self, first: usize) -> Vec<Finding> {
        let others: Vec<usize> = self.wanting_default().into_iter().flatten().filter(|at| *at != first).collect();
        findings::default_backend(self.services, first, &others, |at| self.teams[at].is_that_of(&self.teams[first]))
    }

    /// Whose a host is, by what was before.
    fn decide(&self, case: &Case<'_>) -> Verdict {
        if let (&[only], None) = (&case.asking[..], &case.above) {
            return Verdict { first: only, by_wildcard: false, team: case.asking.clone() };
        }
        self.settle(case, self.before(case), &self.ranks(case))
    }

    fn before(&self, case: &Case<'_>) -> Before {
        let named = self.register.holders(case.place).map(|holders| self.places_of(holders));
        // Who had the host and asks for it no more has no say in it, also if he has the wildcard now.
        let still: Vec<usize> = named.iter().flatten().copied().filter(|at| case.asking.binary_search(at).is_ok()).collect();
        if !still.is_empty() {
            return Before::These(still);
        }
        if !self.register.is_complete() {
            let by_age = || if self.late.is_empty() { Before::Nobody } else { Before::AllBut(Arc::clone(&self.late)) };
            // What is written down of a name that nobody of the team asks for is whose the wildcard is.
            return named.map_or_else(by_age, Before::These);
        }
        if let Some(ahead) = self.ahead(case) {
            return Before::These(vec![ahead]);
        }
        let above = case.above.as_ref().and_then(|(wildcard, team)| Some((self.register.holders(Some(wildcard))?, team)));
        let was_above = above.is_some_and(|(holders, team)| self.places_of(holders).iter().any(|at| team.binary_search(at).is_ok()));
        if was_above { Before::Above } else { Before::Nobody }
    }

    /// Who came first by the wildcard at the last pass, as long as the wildcard is his.
    fn ahead(&self, case: &Case<'_>) -> Option<usize> {
        let (_, team) = case.above.as_ref()?;
        let ahead = self.places.get(self.register.ahead(case.place?)?)?;
        team.binary_search(ahead).is_ok().then_some(*ahead)
    }

    fn places_of(&self, holders: &[ServiceId]) -> Vec<usize> {
        let mut places: Vec<usize> = holders.iter().filter_map(|id| self.places.get(id).copied()).collect();
        places.sort_unstable();
        places
    }

    /// Whose a host is. Of the first one's team all have it from now on, and the oldest of them may be of the team of still
    /// others: so it is asked until nothing changes, or the next pass would decide otherwise. That ends: from the second round on
    /// somebody's team holds all of the round before.
    fn settle(&self, case: &Case<'_>, mut before: Before, ranks: &Ranks<'_>) -> Verdict {
        loop {
            let (first, by_wildcard) = first_of(case, ranks, &before);
            let first = match &before {
                Before::These(these) if !by_wildcard => self.holding_together(case, ranks, these, first),
                _ => first,
            };
            let is_of_team = |at: &usize| self.teams[*at].is_that_of(&self.teams[first]);
            let team: Vec<usize> = case.asking.iter().copied().filter(is_of_team).collect();
            if team.is_empty() || matches!(&before, Before::These(these) if *these == team) {
                return Verdict { first, by_wildcard, team };
            }
            before = Before::These(team);
        }
    }

    /// Of those who have a host together, the first one whose team they all are of. Members of a stack with different access labels
    /// are of each other's team only through one that has none, and nobody loses a host because he is not of the oldest one's team.
    fn holding_together(&self, case: &Case<'_>, ranks: &Ranks<'_>, these: &[usize], first: usize) -> usize {
        if these.iter().all(|at| self.teams[*at].is_that_of(&self.teams[first])) {
            return first;
        }
        let mut counted = ByTeam::<usize>::default();
        for at in these {
            counted.add(self.teams[*at], 1);
        }
        let holds_all = |at: &usize| {
            case.asking.binary_search(at).is_ok() && ranks.of(*at) == ranks.of(first) && counted.of(&self.teams[*at]) == these.len()
        };
        these.iter().copied().find(holds_all).unwrap_or(first)
    }

    /// Whom entries of `allow` name for a host. Where it can be shared that only lets them in, and puts out nobody.
    fn ranks<'c>(&'c self, case: &Case<'_>) -> Ranks<'c> {
        match self.sharing {
            Sharing::SameStack => Ranks { guests: self.guests_before(case), ..self.named(case) },
            Sharing::Allowed | Sharing::Anyone => Ranks::default(),
        }
    }

    /// The same as if nothing were shared and nobody had been let in before.
    fn named<'c>(&'c self, case: &Case<'_>) -> Ranks<'c> {
        let Some(host) = case.place else { return Ranks::default() };
        let fitting = self.naming.iter().filter(|(rule, _)| rule.host.admits(host));
        let fitting = fitting.map(|(rule, named)| (u8::from(rule.host.as_str() != host.as_str()), named.as_slice())).collect();
        Ranks { fitting, guests: Guests::default() }
    }

    /// Who was let in beside those who have the host, as long as these, or those who have the wildcard above, ask for it.
    fn guests_before(&self, case: &Case<'_>) -> Guests {
        let Some(guests) = case.place.and_then(|host| self.register.guests(host)) else { return Guests::default() };
        let wildcard = case.above.as_ref().and_then(|(wildcard, _)| self.register.holders(Some(wildcard)));
        let holders = self.places_of(self.register.holders(case.place).or(wildcard).unwrap_or_default());
        let above = case.above.as_ref().map_or(&[][..], |(_, team)| team);
        let is_there = |at: &usize| case.asking.binary_search(at).is_ok() || above.binary_search(at).is_ok();
        if !holders.iter().any(is_there) {
            return Guests::default();
        }
        let above = case.above.as_ref().filter(|_| guests.above).map(|(_, team)| Arc::clone(team));
        Guests { asking: self.guests_asking(case, guests), above }
    }

    fn guests_asking(&self, case: &Case<'_>, guests: &host_register::Guests) -> Vec<usize> {
        let mut asking = self.places_of(&guests.asking);
        if let Some(rank) = guests.better_than {
            let named = self.named(case);
            asking.extend(case.asking.iter().copied().filter(|at| named.of(*at) < rank));
            asking.sort_unstable();
        }
        asking
    }

    /// Who is named better than those whose the host is, and was only let in beside them: that stays so, whatever is shared.
    fn guests(&self, case: &Case<'_>, verdict: &Verdict) -> host_register::Guests {
        let named = self.named(case);
        if named.are_alike() {
            return host_register::Guests::default();
        }
        let first = named.of(verdict.first);
        let is_guest = |at: &usize| named.of(*at) < first;
        host_register::Guests {
            asking: case.asking.iter().copied().filter(is_guest).map(|at| self.services[at].service.id.clone()).collect(),
            better_than: None,
            above: case.above.as_ref().is_some_and(|(_, team)| team.iter().any(is_guest)),
        }
    }

    /// Who asks for a host and is not of the team whose it is.
    fn meetings(&self, case: &Case<'_>, verdict: &Verdict) -> Vec<Meeting> {
        let Some(host) = case.place else { return Vec::new() };
        let others: Vec<usize> = case.asking.iter().copied().filter(|at| verdict.team.binary_search(at).is_err()).collect();
        if others.is_empty() {
            return Vec::new();
        }
        let (ranks, named) = (self.ranks(case), self.named(case));
        let meeting = |later| Meeting {
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
        others.into_iter().map(meeting).collect()
    }
}

/// Who comes first, and whether only by the wildcard above.
fn first_of(case: &Case<'_>, ranks: &Ranks<'_>, before: &Before) -> (usize, bool) {
    let above = case.above.as_ref().map_or(&[][..], |(_, team)| team);
    let rank = |at: usize| (ranks.of(at), before.puts_back(at, above), at);
    let own = case.asking.iter().copied().min_by_key(|at| rank(*at));
    let by_wildcard = match before {
        // A wildcard may have thousands of services, and thousands of names below it.
        Before::Nobody | Before::Above if ranks.are_alike() => above.first().copied(),
        Before::These(these) if ranks.are_alike() => {
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

/// Of whom no entry says anything.
const UNNAMED: u8 = 2;

/// What entries of `allow` that name services say of one host. Where nothing is shared, to name somebody for a host is to say whose
/// it is, and the more exactly the better. It is no such word about whoever was let in as a guest.
#[derive(Default)]
struct Ranks<'c> {
    /// Of each entry for the host, how exactly it is for it, and whom it names.
    fitting: Vec<(u8, &'c [bool])>,
    guests: Guests,
}

/// Who was let in where others have a host.
#[derive(Default)]
struct Guests {
    /// Of those who ask for it, ordered.
    asking: Vec<usize>,
    /// Those who have the wildcard above, if they are named for its names and had them not.
    above: Option<Arc<[usize]>>,
}

impl Guests {
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

    /// Why the first one has the host, and not the later one. Who is named better and comes later was let in as a guest.
    fn claim(&self, first: usize, later: usize) -> Claim {
        let named = self.named(first);
        let exactly = named == 0;
        match named.cmp(&self.named(later)) {
            Ordering::Greater => Claim::BesideGuest,
            Ordering::Less => Claim::Named { exactly },
            Ordering::Equal if named < UNNAMED => Claim::FirstOfNamed { exactly },
            Ordering::Equal => Claim::First,
        }
    }
}
