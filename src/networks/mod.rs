//! Decides which networks the proxy service declares now. Attaching or detaching a network replaces every proxy, and some
//! networks keep proxies from starting. So networks are attached rarely and several at a time, tried by one proxy first, and
//! withdrawn if they fail. Pure: the time is an input, and state for later passes is returned as the next memory. Does not
//! decide whether a network may be used at all: `translate` does.

mod address_shortage;
mod attach_timing;
mod attachment_state;
mod crashing_proxies;
mod findings;
mod observation;
mod quarantine;
mod rollout_health;
mod task_errors;
mod timings;
mod wanted_networks;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

pub use address_shortage::NetworkShortage;
pub use attachment_state::{AttachmentState, NetworkTrial, QuarantinedNetwork, RecentAttachments, TaskFailure};

use crate::report::{Finding, WaitingOn};
use crate::swarm::{Snapshot, Task};
use crate::types::NetworkId;
use observation::ObservedProxies;

/// All inputs that determine the networks of one cluster's proxies.
#[derive(Debug, Clone, Copy)]
pub struct NetworkInput<'a> {
    /// The operator's instance name: the value of the owner label.
    pub instance: &'a str,
    /// The cluster's name.
    pub cluster: &'a str,
    /// The name of the proxy service.
    pub service: &'a str,
    /// The name of the control network, which belongs to the channel and not to the routes, if there is one.
    pub control: Option<&'a str>,
    /// The observed state of the Swarm.
    pub snapshot: &'a Snapshot,
    /// Ended proxies that Swarm still knows: a failed proxy disappears from snapshots immediately, together with its error.
    /// `None` if Swarm did not answer.
    pub ended: Option<&'a [Task]>,
    /// The wanted networks of the proxies.
    pub wanted: &'a [NetworkId],
    /// Networks that the proxies must leave.
    pub unfit: &'a BTreeSet<NetworkId>,
    /// Whether the document lists all networks, so that services have no influence on them.
    pub closed: bool,
    /// The names of the services whose routes need each network.
    pub needed_by: &'a BTreeMap<NetworkId, BTreeSet<String>>,
    /// The teams of these services by network, each as one string; empty for services of no team.
    pub teams: &'a BTreeMap<NetworkId, BTreeSet<String>>,
    /// Networks that the administrator names: the proxies leave none of them because a service causes a shortage.
    pub named: &'a BTreeSet<NetworkId>,
    /// The attached networks on which a proxy would get no address when it is replaced or restarts.
    pub short: &'a BTreeMap<NetworkId, NetworkShortage>,
    /// The services that would take a host port from a proxy that stops, as text that follows "waits for". No proxy is
    /// replaced while this is set.
    pub contested: Option<&'a str>,
    /// Whether a route is served over the current networks: only then does a replacement of the proxies disturb clients.
    pub serves: bool,
    /// The minimum time between two replacements of the proxies for networks.
    pub interval: SignedDuration,
    /// How long a proxy may take to start with a new network.
    pub timeout: SignedDuration,
    /// The time of this pass.
    pub now: Timestamp,
}

/// The networks that the proxy service declares now, and why others are missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NetworkDecision {
    /// The networks, sorted.
    pub networks: Vec<NetworkId>,
    /// Those of them with which no proxy is known to run yet: the first proxy must show that it does.
    pub attaching: BTreeSet<NetworkId>,
    /// Whether failed networks are withdrawn, which no current rollout holds back.
    pub withdraws: bool,
    /// Whether the withdrawal returns to the spec before the last update.
    pub goes_back: bool,
    /// What the proxy service remembers about failed networks, for an operator that has lost its memory.
    pub remembered: Option<String>,
    /// Wanted networks that are not attached, with the reason.
    pub missing: BTreeMap<NetworkId, String>,
    /// What is held back.
    pub waiting: Vec<WaitingOn>,
    /// Findings for the user.
    pub findings: Vec<Finding>,
    /// When the decision changes without any other event.
    pub due: Option<Timestamp>,
    /// The memory for the next pass.
    pub memory: AttachmentState,
}

/// Makes the decision.
///
/// # Guarantees
/// Total and deterministic. A network is declared only if it is wanted or was already declared. The size of the memory is
/// bounded by the networks that exist or recently existed.
pub fn decide(input: &NetworkInput<'_>, memory: &AttachmentState) -> NetworkDecision {
    let seen = ObservedProxies::new(input);
    let mut next = with_observed(input, &seen, memory);
    let choice = choose(input, &seen, &next);
    let goes_back = choice.held == AttachBlocker::ByWithdrawal && seen.before.as_ref() == Some(&choice.networks);
    record_settled(input, &seen, &mut next, &choice, goes_back);
    let attaching = choice.networks.iter().filter(|id| !next.settled.contains(*id)).cloned().collect();
    let report = findings::report(input, &seen, &next, &choice);
    NetworkDecision {
        attaching,
        withdraws: !next.withdrawn.is_disjoint(&seen.declared),
        goes_back,
        remembered: quarantine::to_label(&next),
        missing: report.missing,
        waiting: report.waiting,
        findings: report.findings,
        due: attach_timing::due(input, &seen, &next),
        networks: choice.networks.into_iter().collect(),
        memory: next,
    }
}

/// The memory with what this snapshot shows.
fn with_observed(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &AttachmentState) -> AttachmentState {
    let mut next = memory.clone();
    attach_timing::record_wanted_networks(input, seen, &mut next);
    address_shortage::record_shortages(input, seen, &mut next);
    rollout_health::record_trial_result(input, seen, &mut next);
    address_shortage::withdraw_short(input, seen, &mut next);
    crashing_proxies::withdraw_failing(input, seen, &mut next);
    quarantine::prune(input, seen, &mut next);
    next
}

/// Records the networks with which no proxy has to show that it runs.
fn record_settled(
    input: &NetworkInput<'_>,
    seen: &ObservedProxies<'_>,
    memory: &mut AttachmentState,
    choice: &NetworkChoice,
    goes_back: bool,
) {
    let wanted: BTreeSet<&NetworkId> = input.wanted.iter().collect();
    if goes_back {
        memory.settled.extend(choice.networks.iter().cloned());
    }
    memory.settled.retain(|id| choice.networks.contains(id) || (wanted.contains(id) && !seen.declared.contains(id)));
}

/// The networks to declare, and what holds back the other wanted networks.
struct NetworkChoice {
    networks: BTreeSet<NetworkId>,
    held: AttachBlocker,
}

/// What prevents wanted networks from being attached now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AttachBlocker {
    /// Nothing, or a separate reason for each network.
    No,
    /// Proxies are starting with other networks.
    ByTrial,
    /// Failed networks are withdrawn first.
    ByWithdrawal,
    /// The proxies are being replaced for another reason.
    ByRollout,
    /// A proxy that stops would lose its node to another service.
    ByContest,
    /// A network of the proxies has too few addresses.
    ByShortage,
}

fn choose(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &AttachmentState) -> NetworkChoice {
    let held = |held, networks| NetworkChoice { networks, held };
    if seen.service.is_none() {
        let wanted = input.wanted.iter().filter(|id| !quarantine::holds(input, seen, memory, id)).cloned();
        return held(AttachBlocker::No, wanted.collect());
    }
    if !memory.withdrawn.is_empty() {
        return held(AttachBlocker::ByWithdrawal, without_withdrawn(input, seen, memory));
    }
    if memory.trial.is_some() {
        return held(AttachBlocker::ByTrial, seen.declared.clone());
    }
    if seen.is_under_way() && seen.running() > 0 {
        return held(AttachBlocker::ByRollout, seen.declared.clone());
    }
    if input.contested.is_some() && seen.running() > 0 {
        return held(AttachBlocker::ByContest, seen.declared.clone());
    }
    if address_shortage::blocks_rollouts(memory) && seen.running() > 0 {
        return held(AttachBlocker::ByShortage, without_short(seen, memory));
    }
    held(AttachBlocker::No, when_free(input, seen, memory))
}

/// Removes failed networks. Networks that were detached by the same update are attached again with the old spec, because the
/// proxies that were not touched yet still have that spec and would otherwise be replaced for nothing.
fn without_withdrawn(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &AttachmentState) -> BTreeSet<NetworkId> {
    let left: BTreeSet<NetworkId> = seen.declared.difference(&memory.withdrawn).cloned().collect();
    let failed = |id: &NetworkId| !memory.quarantine.get(id).is_some_and(|held| held.full);
    let is_fine = |id: &NetworkId| input.snapshot.networks.contains_key(id) && !input.unfit.contains(id) && !memory.withdrawn.contains(id);
    let before = seen.before.as_ref().filter(|before| left.is_subset(before) && before.iter().all(is_fine));
    let is_of_trial = memory.withdrawn.iter().all(failed) && !memory.withdrawn.is_disjoint(&seen.declared);
    before.filter(|_| is_of_trial).cloned().unwrap_or(left)
}

/// Attaches nothing, and detaches only those unneeded networks that lack addresses.
fn without_short(seen: &ObservedProxies<'_>, memory: &AttachmentState) -> BTreeSet<NetworkId> {
    let leaves = |id: &&NetworkId| memory.short_since.contains_key(*id) && memory.unwanted_since.contains_key(*id);
    seen.declared.iter().filter(|id| !leaves(id)).cloned().collect()
}

/// Nothing else is under way: attaches new networks and detaches unneeded ones when they are due.
fn when_free(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &AttachmentState) -> BTreeSet<NetworkId> {
    let wanted: BTreeSet<NetworkId> = input.wanted.iter().cloned().collect();
    let gone = attach_timing::to_detach(input, seen, memory, false);
    let attach = attach_timing::to_attach(input, seen, memory, !gone.is_empty());
    let gone = if attach.is_empty() { gone } else { attach_timing::to_detach(input, seen, memory, true) };
    // A network that was removed by hand is restored immediately: the proxies are known to run with it.
    let restored = memory.settled.intersection(&wanted);
    let kept = seen.declared.union(&attach).chain(restored).cloned().collect::<BTreeSet<_>>();
    kept.difference(&gone).cloned().collect()
}

#[cfg(test)]
mod tests;
