//! Proxies that restart again and again outside of any rollout for networks, because their node cannot set up a network that
//! they have: since the node restarted, or since someone created a network there, it has another network with the same
//! addresses. The engine's error message identifies the network. Without such a message no network is blamed, because all
//! proxies also restart after a power failure.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::observation::ObservedProxies;
use super::timings::later;
use super::{AttachmentState, NetworkInput, address_shortage, quarantine};
use crate::swarm::Task;
use crate::types::{NetworkId, TaskState, excerpt};

/// A proxy that restarts fails again within this time.
const FAILS_AGAIN_WITHIN: SignedDuration = SignedDuration::from_secs(45);
/// The engine's message is cut to this length.
const MESSAGE_CHARS_MAX: usize = 200;

/// Withdraws networks with which a node's proxy has failed to start for longer than the timeout.
pub(super) fn withdraw_failing(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &mut AttachmentState) {
    let failing = failing(input, seen);
    // If Swarm did not answer, that says nothing about any network.
    memory
        .stuck_since
        .retain(|id, _| seen.declared.contains(id) && (input.ended.is_none() || failing.iter().any(|(failing, _)| failing == id)));
    for (id, _) in &failing {
        memory.stuck_since.entry(id.clone()).or_insert(input.now);
    }
    if memory.trial.is_some() || !memory.withdrawn.is_empty() {
        return;
    }
    for (id, message) in failing {
        if is_due(input, memory, &id) && !address_shortage::is_kept(input, seen, memory, &id) {
            quarantine::add_stuck(input, seen, memory, &id, message);
            memory.settled.remove(&id);
            memory.withdrawn.insert(id);
            memory.last_update = Some(input.now);
        }
    }
}

/// When the proxies leave networks with which one of them keeps failing.
pub(super) fn due(input: &NetworkInput<'_>, memory: &AttachmentState) -> Vec<Timestamp> {
    memory.stuck_since.keys().filter_map(|id| leaves_at(input, memory, id)).collect()
}

/// Whether a proxy has failed with this network for longer than a start may take.
pub(super) fn is_due(input: &NetworkInput<'_>, memory: &AttachmentState, id: &NetworkId) -> bool {
    leaves_at(input, memory, id).is_some_and(|at| at <= input.now)
}

fn leaves_at(input: &NetworkInput<'_>, memory: &AttachmentState, id: &NetworkId) -> Option<Timestamp> {
    memory.stuck_since.get(id).map(|since| later(*since, input.timeout))
}

/// The attached networks that the engine recently named as the reason for a failed proxy, on nodes without a proxy, each
/// with the message.
pub(super) fn failing(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>) -> Vec<(NetworkId, String)> {
    let is_late = |task: &&Task| {
        let at = task.state_since.unwrap_or(task.created_at);
        matches!(task.state, TaskState::Failed | TaskState::Rejected) && input.now.duration_since(at) < FAILS_AGAIN_WITHIN
    };
    let is_alone = |task: &&Task| task.node.as_ref().is_some_and(|node| !seen.runs_on(node));
    let mut messages = BTreeSet::new();
    for task in input.ended.into_iter().flatten().filter(is_late).filter(is_alone) {
        if let Some(id) = only(seen, |id| is_shown(input, id, &task.error)).or_else(|| only(seen, |id| is_called(input, id, &task.error))) {
            messages.insert((id.clone(), excerpt(&format!("{}: {}", task.state, task.error), MESSAGE_CHARS_MAX)));
        }
    }
    let mut found: Vec<(NetworkId, String)> = messages.into_iter().collect();
    found.dedup_by(|a, b| a.0 == b.0);
    found
}

/// The only attached network for which the predicate is true; `None` if it is true for several.
fn only<'a>(seen: &'a ObservedProxies<'_>, is_so: impl Fn(&NetworkId) -> bool) -> Option<&'a NetworkId> {
    let mut found = seen.declared.iter().filter(|id| is_so(id));
    found.next().filter(|_| found.next().is_none())
}

/// Whether the engine's message contains the id or the subnet of this network.
fn is_shown(input: &NetworkInput<'_>, id: &NetworkId, message: &str) -> bool {
    let parts: BTreeSet<&str> = message.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '(' | ')')).collect();
    let has = |text: &str| parts.iter().any(|part| part.trim_end_matches(['.', ':']) == text);
    let subnets = input.snapshot.networks.get(id).into_iter().flat_map(|network| &network.subnets);
    has(&id.0) || subnets.map(|subnet| subnet.net.to_string()).any(|subnet| has(&subnet))
}

/// Whether the engine's message contains the network's name where it announces one. Users choose names, and a name may equal
/// a word of the message, so this is used only if the message contains nothing better.
fn is_called(input: &NetworkInput<'_>, id: &NetworkId, message: &str) -> bool {
    let Some(network) = input.snapshot.networks.get(id) else { return false };
    let after = message.split("network ").skip(1).filter_map(|rest| rest.split_whitespace().next());
    after.map(|word| word.trim_matches(['"', '\'', ',', ':', ';', '.'])).any(|word| word == network.name)
}
