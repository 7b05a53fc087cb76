//! Findings about the networks of the proxies: which networks wait, which failed, and which stay although nothing needs
//! them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::observation::ObservedProxies;
use super::wanted_networks::name;
use super::{
    AttachBlocker, AttachmentState, NetworkChoice, NetworkInput, NetworkShortage, address_shortage, attach_timing, crashing_proxies,
    quarantine, rollout_health, timings,
};
use crate::report::{Finding, Severity, Subject, WaitingOn, cases};
use crate::types::NetworkId;

/// The maximum number of services that get a finding about one failed network.
const SERVICES_MAX: usize = 20;

/// The report of a decision.
pub(super) struct NetworkReport {
    pub missing: BTreeMap<NetworkId, String>,
    pub waiting: Vec<WaitingOn>,
    pub findings: Vec<Finding>,
}

pub(super) fn report(
    input: &NetworkInput<'_>,
    seen: &ObservedProxies<'_>,
    memory: &AttachmentState,
    choice: &NetworkChoice,
) -> NetworkReport {
    let mut report = NetworkReport { missing: BTreeMap::new(), waiting: Vec::new(), findings: Vec::new() };
    add_waiting(input, seen, memory, choice, &mut report);
    add_quarantined(input, seen, memory, &mut report);
    let short = memory.short_since.keys().filter(|id| choice.networks.contains(*id));
    report.findings.extend(short.flat_map(|id| is_short(input, seen, memory, id)));
    report.findings.extend(fails(input, seen, memory));
    let kept = memory.unwanted_since.iter().filter(|(id, _)| choice.networks.contains(*id) && choice.held == AttachBlocker::No);
    let others = attach_timing::networks_of_other_services(seen, memory);
    report.findings.extend(kept.map(|(id, since)| lingers(input, memory, id, *since, others.contains(id))));
    report
}

/// Adds the networks that are not attached yet, grouped by reason.
fn add_waiting(
    input: &NetworkInput<'_>,
    seen: &ObservedProxies<'_>,
    memory: &AttachmentState,
    choice: &NetworkChoice,
    report: &mut NetworkReport,
) {
    let mut groups = BTreeMap::<WaitReason, Vec<String>>::new();
    let starting = memory.trial.iter().flat_map(|trial| &trial.networks).filter(|id| choice.networks.contains(*id));
    let absent = input.wanted.iter().filter(|id| !choice.networks.contains(*id) && !memory.quarantine.contains_key(*id));
    for id in starting.chain(absent) {
        let why = reason(input, seen, memory, choice, id);
        report.missing.insert(id.clone(), format!("waits for the network {}: {}", name(input, id), why.of_one));
        groups.entry(why).or_default().push(name(input, id).to_owned());
    }
    report.waiting.extend(groups.into_iter().map(|(why, networks)| why.of(networks)));
}

/// Adds the wanted networks that are in quarantine.
fn add_quarantined(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &AttachmentState, report: &mut NetworkReport) {
    for id in input.wanted.iter().filter(|id| memory.quarantine.contains_key(*id)) {
        let full = memory.quarantine.get(id).is_some_and(|held| held.full);
        let why = if full { "the proxies left the network" } else { "a proxy did not come up with the network" };
        report.missing.insert(id.clone(), format!("{why} {}", name(input, id)));
        report.findings.extend(if full { left_for_want(input, seen, memory, id) } else { failed(input, seen, memory, id) });
    }
}

/// Why networks are not attached yet, in singular and plural, and until when.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct WaitReason {
    of_one: String,
    of_several: String,
    until: Option<Timestamp>,
}

impl WaitReason {
    fn for_any_number(message: impl Into<String>) -> Self {
        let of_one = message.into();
        Self { of_several: of_one.clone(), of_one, until: None }
    }

    fn new(of_one: &str, of_several: &str) -> Self {
        Self { of_one: of_one.to_owned(), of_several: of_several.to_owned(), until: None }
    }

    /// Nothing is attached before this time.
    fn not_before(self, at: Timestamp) -> Self {
        Self {
            of_one: format!("{}, so it is attached at {at:.0} or later", self.of_one),
            of_several: format!("{}, so they are attached at {at:.0} or later", self.of_several),
            until: Some(at),
        }
    }

    /// The awaited event must have happened by this time.
    fn by(self, at: Timestamp) -> Self {
        let with_time = |message: &str| format!("{message}; the next one must be running by {at:.0}");
        Self { of_one: with_time(&self.of_one), of_several: with_time(&self.of_several), until: Some(at) }
    }

    fn of(self, networks: Vec<String>) -> WaitingOn {
        let detail = if networks.len() == 1 { self.of_one } else { self.of_several };
        WaitingOn::Networks { networks, detail, until: self.until }
    }
}

/// Why a network is not attached yet, and until when.
fn reason(
    input: &NetworkInput<'_>,
    seen: &ObservedProxies<'_>,
    memory: &AttachmentState,
    choice: &NetworkChoice,
    id: &NetworkId,
) -> WaitReason {
    if let Some(trial) = memory.trial.as_ref().filter(|trial| trial.networks.contains(id)) {
        if rollout_health::is_blocked_by_port(input, seen, trial) {
            let it_waits = format!("it waits for {}", input.contested.unwrap_or_default());
            return WaitReason::new(
                &format!("a proxy that starts with it has no node: {it_waits}"),
                &format!("a proxy that starts with them has no node: {it_waits}"),
            );
        }
        let why =
            WaitReason::new("proxies are starting with it, one after the other", "proxies are starting with them, one after the other");
        let deadline = rollout_health::deadline(input, seen, trial);
        return if deadline < Timestamp::MAX { why.by(deadline) } else { why };
    }
    match choice.held {
        AttachBlocker::ByTrial => return WaitReason::for_any_number("proxies are starting with other networks first"),
        AttachBlocker::ByWithdrawal => return WaitReason::for_any_number("networks with which no proxy came up are being detached first"),
        AttachBlocker::ByRollout => return WaitReason::for_any_number("the proxies are being replaced for another reason"),
        AttachBlocker::ByContest => return WaitReason::for_any_number(held_by_others(input)),
        AttachBlocker::ByShortage => return WaitReason::for_any_number(held_by(input, memory)),
        AttachBlocker::No => {}
    }
    let trouble = attach_timing::team_backoff_end(input, memory, id);
    if trouble > input.now {
        return WaitReason::for_any_number("proxies repeatedly failed to come up with other networks").not_before(trouble);
    }
    let penalty = attach_timing::penalty_end(input, memory, id);
    if penalty > input.now {
        return came_and_went(memory.visits.get(name(input, id)).map_or(0, |visits| visits.count)).not_before(penalty);
    }
    if !memory.parts.is_empty() {
        return WaitReason::for_any_number("networks that failed together are retried in smaller groups");
    }
    match memory.last_update.filter(|_| timings::next_rollout_at(input, memory) > input.now) {
        Some(at) => WaitReason::for_any_number(format!("the proxies were replaced for networks at {at:.0}"))
            .not_before(timings::next_rollout_at(input, memory)),
        None => WaitReason::new("more networks may follow and be attached with it", "more networks may follow and be attached with them"),
    }
}

fn came_and_went(times: u32) -> WaitReason {
    let times = match times {
        0 => return WaitReason::new("other networks of its team come and go", "other networks of their team come and go"),
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    WaitReason::new(&format!("it came and went {times} recently"), &format!("each of them came and went {times} recently"))
}

/// A network with which no proxy came up, reported to the services whose routes need it.
fn failed(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &AttachmentState, id: &NetworkId) -> Vec<Finding> {
    let Some(held) = memory.quarantine.get(id) else { return Vec::new() };
    let name = name(input, id);
    let (services, again) = (services(input, id), again(input, seen, memory, id));
    let message = if held.message.is_empty() { "Swarm gave no reason" } else { held.message.as_str() };
    let message = format!(
        "A proxy did not come up with the network {name} ({message}), so the proxies are not attached to it: routes over it answer 503, and \
         all others are served{again}."
    );
    let case = cases::NetworkQuarantined { service: input.service, network: name };
    let found = |subject| Finding::new(case, subject, message.clone());
    each(&services, name, found)
}

/// Networks that a node cannot set up but that the proxies do not leave: the node has no proxy.
fn fails(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &AttachmentState) -> Vec<Finding> {
    let failures: BTreeMap<NetworkId, String> = crashing_proxies::failing(input, seen).into_iter().collect();
    let stays = |id: &&NetworkId| crashing_proxies::is_due(input, memory, id) && address_shortage::is_kept(input, seen, memory, id);
    let report = memory.stuck_since.keys().filter(stays);
    report.map(|id| {
        let name = name(input, id);
        let message = failures.get(id).map_or_else(String::new, |message| format!(" ({message})"));
        let message = format!(
            "A node cannot set up the network {name}{message}, so it has no proxy. The proxies do not leave the network, because spec.networks names \
             it or most services are reached over it."
        );
        let case = cases::NetworkFailing { service: input.service };
        Finding::new(case, Subject::Object(format!("network {name}")), message).with_field("network", name)
    })
    .collect()
}

/// One finding for each service, and one about the network if there are no services or too many.
fn each(services: &[&str], network: &str, finding: impl Fn(Subject) -> Finding) -> Vec<Finding> {
    let report = services.iter().take(SERVICES_MAX).map(|service| Subject::Service((*service).to_owned()));
    let more = services.is_empty() || services.len() > SERVICES_MAX;
    let more = more.then(|| Subject::Object(format!("network {network}")));
    report.chain(more).map(|subject| finding(subject).with_field("network", network)).collect()
}

fn services<'a>(input: &'a NetworkInput<'_>, id: &NetworkId) -> Vec<&'a str> {
    input.needed_by.get(id).into_iter().flatten().map(String::as_str).collect()
}

/// The services that would take the node of a proxy that stops.
fn held_by_others(input: &NetworkInput<'_>) -> String {
    format!("waits for {}", input.contested.unwrap_or_default())
}

/// The networks that have too few addresses, as a reason for other networks to wait.
fn held_by(input: &NetworkInput<'_>, memory: &AttachmentState) -> String {
    let names: Vec<&str> = memory.short_since.keys().map(|id| name(input, id)).collect();
    format!("the proxies cannot be replaced safely while there are too few addresses on {} (NetworkFull)", names.join(", "))
}

/// An attached network on which a proxy would get no address when it is replaced or restarts.
fn is_short(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &AttachmentState, id: &NetworkId) -> Vec<Finding> {
    let Some(short) = input.short.get(id) else { return Vec::new() };
    let (name, message) = (name(input, id), short.message.as_str());
    let then = if short.contested { "a proxy that stops does not come back" } else { "the proxies cannot be replaced" };
    let named = if short.contested { Severity::Error } else { Severity::Warning };
    let (severity, next) = match address_shortage::leaves_at(input, seen, memory, id) {
        Some(at) => (
            Severity::Warning,
            format!(
                "If this continues, the proxies leave the network at {at:.0}; routes over it then answer 503, and all others are \
                 served."
            ),
        ),
        None if input.named.contains(id) => (named, "They stay attached, because spec.networks names it.".to_owned()),
        None if short.contested && address_shortage::is_kept(input, seen, memory, id) => {
            (Severity::Error, "They stay attached, because most services are reached over it.".to_owned())
        }
        None if short.by_others.is_some() => (named, filled(short)),
        None => (Severity::Warning, "They leave it if one of them does not start, or if other networks must be attached.".to_owned()),
    };
    let message = format!(
        "The proxies are attached to the network {name}, which {message}: meanwhile {then}, and no other network is attached. {next}"
    );
    let case = cases::NetworkFull::Attached { network: name };
    let found = |subject| Finding::new(case, subject, message.clone()).with_severity(severity);
    each(&services(input, id), name, found)
}

/// The service that fills a network that others need.
fn filled(short: &NetworkShortage) -> String {
    let other = short.by_others.as_deref().unwrap_or_default();
    format!(
        "Services outside a team that is reached over it take its addresses, most of them the service {other}: the proxies leave it only \
         if one of them does not start, or if for a long time more teams wait for their networks than are reached over this one."
    )
}

/// A network that the proxies left for lack of addresses.
fn left_for_want(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &AttachmentState, id: &NetworkId) -> Vec<Finding> {
    let Some(held) = memory.quarantine.get(id) else { return Vec::new() };
    let name = name(input, id);
    let again = again(input, seen, memory, id);
    let message = format!(
        "The proxies left the network {name} at {:.0}, because it {} and proxies did not start: routes over it answer 503, and all others \
         are served{again}.",
        held.failed_at,
        held.message.replacen("has ", "had ", 1).replace(" wait for one", " waited for one")
    );
    let case = cases::NetworkFull::Left { network: name };
    let found = |subject| Finding::new(case, subject, message.clone());
    each(&services(input, id), name, found)
}

fn again(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &AttachmentState, id: &NetworkId) -> String {
    match quarantine::retry_at(input, seen, memory, id) {
        Some(at) if at > input.now => {
            format!("; it is retried at {at:.0}, or soon after the network, a service on it or a node changes")
        }
        _ => "; it is retried now, or as soon as the proxies may be replaced".to_owned(),
    }
}

/// A network that stays attached for a while although no route needs it.
fn lingers(input: &NetworkInput<'_>, memory: &AttachmentState, id: &NetworkId, since: Timestamp, used: bool) -> Finding {
    let name = name(input, id);
    let until = attach_timing::leave_at(input, memory, id, since, used);
    let sooner = if used {
        "or earlier if they are replaced anyway, or if no other service is on it and they may be replaced for networks"
    } else {
        "or earlier if they are replaced anyway; the network can be removed then"
    };
    Finding::new(
        cases::NetworkLingers,
        Subject::Object(name.to_owned()),
        format!("No route needs the network {name} any more. The proxies leave it at {until:.0}, {sooner}."),
    )
}
