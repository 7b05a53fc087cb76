//! Hosts stay with the team that published them first (`spec.hosts.sharing`). A service of another team that asks for one of
//! them, in whatever way, has to be admitted; else it loses that host, and both sides are told.
//! `docs/decisions/hosts-belong-to-stacks.md` says why.
//!
//! It must never tell one team more of another's service than its name and the host that both ask for, and what it decides for
//! a host must depend on those only who ask for the host, or for the wildcard above it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::World;
use super::admission::{NotAdmitted, Refusal, is_for};
use super::published::{Published, label_key};
use super::teams::Team;
use crate::intent::hosts::{HostRule, listed};
use crate::intent::hosts_spec::Sharing;
use crate::report::{Finding, FindingCode, Severity};
use crate::types::HostPattern;

/// So many services of others are named in one finding.
const NAMED_MAX: usize = 10;

/// Leaves each service the hosts that it may have, and no service that has none. `services` is ordered by age and stays so.
pub fn keep_owned<'a>(
    world: &World<'_>,
    mut services: Vec<Published<'a>>,
    refused: &mut NotAdmitted,
    findings: &mut Vec<Finding>,
) -> Vec<Published<'a>> {
    let meetings = Court::new(world, &services).meetings();
    findings.extend(tell_later(world, &services, &meetings));
    findings.extend(tell_first(world, &services, &meetings));
    let mut lost = BTreeMap::<usize, BTreeSet<&HostPattern>>::new();
    for meeting in meetings.iter().filter(|meeting| !meeting.admitted) {
        let refusal = Refusal::PublishedFirst { by: services[meeting.first].service.name.clone(), wildcard: meeting.wildcard.clone() };
        let of_service = refused.entry(services[meeting.later].service.id.clone()).or_default();
        of_service.push((meeting.host.clone(), refusal));
        lost.entry(meeting.later).or_default().insert(&meeting.host);
    }
    for (later, hosts) in lost {
        let labels = &mut services[later].labels;
        labels.hosts.retain(|host| !hosts.contains(host));
        labels.redirects.retain(|redirect| !hosts.contains(&redirect.source.host));
    }
    services.retain(|service| service.labels.default_backend || !service.labels.hosts.is_empty());
    services
}

/// Two teams ask for one host.
struct Meeting {
    host: HostPattern,
    /// The wildcard by which the first one has it, if it does not ask for the host itself.
    wildcard: Option<HostPattern>,
    /// Who has it, and who asks for it later, as places in the list of services.
    first: usize,
    later: usize,
    admitted: bool,
}

/// What decides who has which host.
struct Court<'w, 'a> {
    sharing: Sharing,
    services: &'w [Published<'a>],
    teams: Vec<Team<'a>>,
    /// The entries of `allow` that name services, each with whether it names the service at each place.
    naming: Vec<(&'w HostRule, Vec<bool>)>,
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
        }
    }

    /// Every time that services of another team ask for a host, ordered by host and age. Wildcards come first: who has one
    /// has a say in the names below it.
    fn meetings(&self) -> Vec<Meeting> {
        let mut asking = BTreeMap::<&HostPattern, Vec<usize>>::new();
        for (at, service) in self.services.iter().enumerate() {
            for host in &service.labels.hosts {
                asking.entry(host).or_default().push(at);
            }
        }
        let (wildcards, exact): (Vec<_>, Vec<_>) = asking.into_iter().partition(|(host, _)| host.is_wildcard());
        let mut meetings = Vec::new();
        let mut above = BTreeMap::<&HostPattern, Vec<usize>>::new();
        for (host, asking) in &wildcards {
            let met = self.meet(host, asking, None);
            let refused: BTreeSet<usize> = met.iter().filter(|meeting| !meeting.admitted).map(|meeting| meeting.later).collect();
            above.insert(host, asking.iter().copied().filter(|at| !refused.contains(at)).collect());
            meetings.extend(met);
        }
        for (host, asking) in &exact {
            let wildcard = HostPattern::fitting(host.as_str()).find(HostPattern::is_wildcard);
            let above = wildcard.and_then(|wildcard| above.get_key_value(&wildcard).map(|(wildcard, members)| (*wildcard, members)));
            meetings.extend(self.meet(host, asking, above));
        }
        meetings
    }

    /// Who asks for one host and is not of the team that has it.
    fn meet(&self, host: &HostPattern, asking: &[usize], above: Option<(&HostPattern, &Vec<usize>)>) -> Vec<Meeting> {
        let fitting: Vec<_> = self.naming.iter().filter(|(rule, _)| rule.host.admits(host)).collect();
        let first_of = |members: &[usize]| members.iter().copied().min_by_key(|at| (self.rank(&fitting, *at, host), *at));
        let own = first_of(asking);
        let by_wildcard = above.and_then(|(wildcard, members)| Some((first_of(members)?, wildcard)));
        let rank = |at: usize| (self.rank(&fitting, at, host), at);
        let (first, wildcard) = match (own, by_wildcard) {
            (Some(own), Some((other, wildcard))) if rank(other) < rank(own) => (other, Some(wildcard)),
            (Some(own), _) => (own, None),
            (None, _) => return Vec::new(),
        };
        let others = asking.iter().copied().filter(|at| !self.teams[*at].is_that_of(&self.teams[first]));
        let meeting = |later| Meeting {
            host: host.clone(),
            wildcard: wildcard.cloned(),
            first,
            later,
            admitted: match self.sharing {
                Sharing::SameStack => false,
                Sharing::Allowed => fitting.iter().any(|(_, named)| named[later]),
                Sharing::Anyone => true,
            },
        };
        others.map(meeting).collect()
    }

    /// Where nothing is shared, to name somebody for a host is to say whose it is, and the more exactly the better. Where
    /// it can be shared, it only lets him in, and must not put out who was there before.
    fn rank(&self, fitting: &[&(&HostRule, Vec<bool>)], at: usize, host: &HostPattern) -> u8 {
        if self.sharing != Sharing::SameStack {
            return 0;
        }
        let naming = fitting.iter().filter(|(_, named)| named[at]).map(|(rule, _)| u8::from(rule.host.as_str() != host.as_str()));
        naming.min().unwrap_or(2)
    }
}

/// One finding for each service that asks for others' hosts, first service and outcome: a service can have a thousand hosts.
fn tell_later<'m>(world: &World<'_>, services: &[Published<'_>], meetings: &'m [Meeting]) -> Vec<Finding> {
    let mut told = BTreeMap::<(usize, usize, Option<&'m HostPattern>, bool), Vec<&'m HostPattern>>::new();
    for meeting in meetings {
        told.entry((meeting.later, meeting.first, meeting.wildcard.as_ref(), meeting.admitted)).or_default().push(&meeting.host);
    }
    let finding = |((later, first, wildcard, admitted), hosts): (_, Vec<&HostPattern>)| {
        let (later, first): (&Published<'_>, &Published<'_>) = (&services[later], &services[first]);
        let before = FirstBy { by: &first.service.name, wildcard };
        let finding = if admitted { admitted_later(world, later, &before) } else { refused_later(world, later, &before, &hosts) };
        finding.at(label_key("hosts"), &listed(&hosts))
    };
    told.into_iter().map(finding).collect()
}

fn refused_later(world: &World<'_>, later: &Published<'_>, before: &FirstBy<'_>, hosts: &[&HostPattern]) -> Finding {
    let (cluster, sharing) = (&world.cluster.name, world.cluster.hosts.sharing);
    let message =
        format!("the cluster {cluster} does not publish this for the service: {before} (spec.hosts.sharing: {})", sharing.as_str());
    let host = hosts.first().map(ToString::to_string).unwrap_or_default();
    let entry = format!("- {{host: {host}, services: [{}]}}", later.name);
    let list = if world.cluster.hosts.allow.is_none() {
        "spec.hosts.allow of the cluster (which is a closed list: beside `- \"*\"` nothing else changes)"
    } else {
        "spec.hosts.allow of the cluster"
    };
    let remedy = match sharing {
        Sharing::Allowed => format!("Publish another host, or have an administrator admit the service by `{entry}` in {list}."),
        _ => format!(
            "Publish another host. If the host is this service's by right, have an administrator write `{entry}` into {list}: who is \
             named there comes first. If both are to have it, spec.hosts.sharing: allowed admits whom entries name."
        ),
    };
    Finding::new(Severity::Error, FindingCode::HostTaken, later.subject(), message, remedy)
}

fn admitted_later(world: &World<'_>, later: &Published<'_>, before: &FirstBy<'_>) -> Finding {
    let sharing = world.cluster.hosts.sharing;
    let message = format!("{before}; the service is admitted beside it (spec.hosts.sharing: {})", sharing.as_str());
    let remedy = "Nothing, if both are meant to have the host; else remove it from the label of one of them.";
    Finding::new(severity_of_admission(sharing), FindingCode::HostTaken, later.subject(), message, remedy)
}

/// What an administrator said by name is meant.
fn severity_of_admission(sharing: Sharing) -> Severity {
    if sharing == Sharing::Allowed { Severity::Info } else { Severity::Warning }
}

/// One finding for each service whose hosts others ask for, and outcome.
fn tell_first<'m>(world: &World<'_>, services: &[Published<'_>], meetings: &'m [Meeting]) -> Vec<Finding> {
    let mut told = BTreeMap::<(usize, bool), (BTreeSet<&'m HostPattern>, BTreeSet<usize>)>::new();
    for meeting in meetings {
        let (hosts, others) = told.entry((meeting.first, meeting.admitted)).or_default();
        hosts.insert(&meeting.host);
        others.insert(meeting.later);
    }
    let finding = |((first, admitted), (hosts, others)): (_, (BTreeSet<&HostPattern>, BTreeSet<usize>))| {
        let names: Vec<&str> = others.iter().map(|at| services[*at].service.name.as_str()).collect();
        let hosts: Vec<_> = hosts.into_iter().collect();
        contested(world, &services[first], &names, admitted).at(label_key("hosts"), &listed(&hosts))
    };
    told.into_iter().map(finding).collect()
}

fn contested(world: &World<'_>, first: &Published<'_>, others: &[&str], admitted: bool) -> Finding {
    let sharing = world.cluster.hosts.sharing;
    let asks = if others.len() == 1 { "asks" } else { "ask" };
    let who = format!("{} of another stack {asks} for hosts of this service", shown(others));
    if admitted {
        let message = format!("{who} and can get requests for them (spec.hosts.sharing: {})", sharing.as_str());
        let remedy =
            "Nothing, if that is meant; else have an administrator set spec.hosts.sharing: sameStack, or take the host from the others.";
        return Finding::new(severity_of_admission(sharing), FindingCode::HostContested, first.subject(), message, remedy);
    }
    let message = format!("{who}; they do not get them as long as this service is published with them");
    let remedy = "Nothing now. Were this service removed, another stack would get them: to keep them for good, have an administrator name this service in spec.hosts.allow.";
    Finding::new(Severity::Info, FindingCode::HostContested, first.subject(), message, remedy)
}

/// That services of another stack want to be the default backend, too.
pub fn default_contested(first: &Published<'_>, others: &[&str]) -> Finding {
    let message = format!("{} of another stack would be the default backend without this service", shown(others));
    let remedy = "Nothing now; to keep it so, have an administrator name this service alone in spec.hosts.defaultBackend.";
    let finding = Finding::new(Severity::Info, FindingCode::HostContested, first.subject(), message, remedy);
    finding.at(label_key("default_backend"), "true")
}

fn shown(names: &[&str]) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let first_ones = names.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{first_ones} and {more} more") } else { first_ones }
}

/// Who was first, as whoever comes later may hear it.
pub struct FirstBy<'a> {
    /// The service.
    pub by: &'a str,
    /// The wildcard by which it has the host.
    pub wildcard: Option<&'a HostPattern>,
}

impl fmt::Display for FirstBy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.wildcard {
            Some(wildcard) => write!(f, "the service {} of another stack published {wildcard} first, which stands for it", self.by),
            None => write!(f, "the service {} of another stack published it first", self.by),
        }
    }
}
