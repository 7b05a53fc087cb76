//! What people are told about the networks of the proxies: what waits, what failed, what stays although nothing needs it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::damping::{self, name};
use super::observed::Observed;
use super::{Choice, Held, Input, Memory, judge, quarantine};
use crate::report::{Finding, FindingCode, Severity, Subject, WaitingOn};
use crate::types::NetworkId;

/// So many services are told of one network that failed.
const SERVICES_MAX: usize = 20;

/// What is told of a decision.
pub(super) struct Told {
    pub missing: BTreeMap<NetworkId, String>,
    pub waiting: Vec<WaitingOn>,
    pub findings: Vec<Finding>,
}

pub(super) fn of(input: &Input<'_>, seen: &Observed<'_>, memory: &Memory, choice: &Choice) -> Told {
    let mut told = Told { missing: BTreeMap::new(), waiting: Vec::new(), findings: Vec::new() };
    let mut groups = BTreeMap::<(String, Option<Timestamp>), Vec<String>>::new();
    let starting = memory.trial.iter().flat_map(|trial| &trial.networks).filter(|id| choice.networks.contains(*id));
    let absent = input.wanted.iter().filter(|id| !choice.networks.contains(*id) && !memory.quarantine.contains_key(*id));
    for id in starting.chain(absent) {
        let (detail, until) = reason(input, seen, memory, choice, id);
        told.missing.insert(id.clone(), format!("waits for the network {}: {detail}", name(input, id)));
        groups.entry((detail, until)).or_default().push(name(input, id).to_owned());
    }
    told.waiting.extend(groups.into_iter().map(|((detail, until), networks)| WaitingOn::Networks { networks, detail, until }));
    for id in input.wanted.iter().filter(|id| memory.quarantine.contains_key(*id)) {
        told.missing.insert(id.clone(), format!("no proxy came up with the network {}", name(input, id)));
        told.findings.extend(failed(input, memory, id));
    }
    let kept = memory.unwanted_since.iter().filter(|(id, _)| choice.networks.contains(*id) && choice.held == Held::No);
    told.findings.extend(kept.map(|(id, since)| lingers(input, id, *since)));
    told
}

/// Why a network is not attached yet, and until when.
fn reason(input: &Input<'_>, seen: &Observed<'_>, memory: &Memory, choice: &Choice, id: &NetworkId) -> (String, Option<Timestamp>) {
    if let Some(trial) = memory.trial.as_ref().filter(|trial| trial.networks.contains(id)) {
        let deadline = Some(judge::deadline(input, seen, trial)).filter(|at| *at < Timestamp::MAX);
        return ("proxies start with it, one after the other".to_owned(), deadline);
    }
    match choice.held {
        Held::ByTrial => return ("proxies start with other networks first".to_owned(), None),
        Held::ByWithdrawal => return ("networks with which no proxy came up are taken away first".to_owned(), None),
        Held::ByRollout => return ("the proxies are being replaced for another reason".to_owned(), None),
        Held::No => {}
    }
    let penalty = damping::penalty_end(input, memory, id);
    if penalty > input.now {
        let count = memory.visits.get(name(input, id)).map_or(0, |visits| visits.count);
        return (format!("it came and went {count} times lately"), Some(penalty));
    }
    if !memory.parts.is_empty() {
        return ("networks that failed together are tried in parts".to_owned(), None);
    }
    match memory.last_update.filter(|_| damping::pace_end(input, memory) > input.now) {
        Some(at) => (format!("the proxies were replaced for networks at {at:.0}"), Some(damping::pace_end(input, memory))),
        None => ("others may follow and are attached with it".to_owned(), None),
    }
}

/// A network with which no proxy came up, told to those whose routes need it.
fn failed(input: &Input<'_>, memory: &Memory, id: &NetworkId) -> Vec<Finding> {
    let Some(held) = memory.quarantine.get(id) else { return Vec::new() };
    let name = name(input, id);
    let services: Vec<&str> = input.needed_by.get(id).into_iter().flatten().map(String::as_str).collect();
    let again = match quarantine::retry_at(input, memory, id) {
        Some(at) if at > input.now => {
            format!("; it is tried again at {at:.0}, or soon after the network, a service on it or a node has changed")
        }
        _ => "; it is tried again now, or as soon as the proxies may be replaced".to_owned(),
    };
    let words = if held.words.is_empty() { "Swarm gave no reason" } else { held.words.as_str() };
    let message = format!(
        "No proxy came up with the network {name} ({words}), so the proxies stay off it: routes over it answer with an error, all others \
         are served{again}."
    );
    let remedy = format!(
        "See what the tasks of {} say (docker service ps --no-trunc), whether {name} has free addresses, overlaps with no network of any \
         node and lets nodes reach each other (UDP 4789); or move the service to a network that the proxies have.",
        input.service
    );
    let finding = |subject| {
        let found = Finding::new(Severity::Error, FindingCode::NetworkQuarantined, subject, message.clone(), remedy.clone());
        found.at("network", name)
    };
    let told = services.iter().take(SERVICES_MAX).map(|service| finding(Subject::Service((*service).to_owned())));
    let more = services.is_empty() || services.len() > SERVICES_MAX;
    told.chain(more.then(|| finding(Subject::Object(name.to_owned())))).collect()
}

/// A network that stays for a while although no route needs it.
fn lingers(input: &Input<'_>, id: &NetworkId, since: Timestamp) -> Finding {
    let name = name(input, id);
    let until = damping::linger_end(input, since);
    Finding::new(
        Severity::Info,
        FindingCode::NetworkLingers,
        Subject::Object(name.to_owned()),
        format!(
            "No route needs the network {name} any more. The proxies leave it at {until:.0}, when they are replaced anyway, or at once when no other service is on it."
        ),
        "Nothing needs to be done.",
    )
}
