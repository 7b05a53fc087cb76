//! Which networks the proxy service declares now. Attaching or detaching a network replaces every proxy, and a network can be
//! such that no proxy starts on it; so networks are attached together and seldom, tried by one proxy first, and taken away
//! again when they fail. Pure: time comes in, and what must be known later goes out as the next memory. Never decides
//! whether a network may be used at all: that is the business of `translate`.

mod address_shortage;
mod attach_timing;
mod crashing_proxies;
mod findings;
mod intervals;
mod observation;
mod quarantine;
mod rollout_health;
mod state;
mod task_errors;
mod wanted_networks;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

pub use address_shortage::NetworkShortage;
pub use state::{LastWords, NetworkMemory, NetworkTrial, QuarantinedNetwork, Visits};

use crate::report::{Finding, WaitingOn};
use crate::swarm::{Snapshot, Task};
use crate::types::NetworkId;
use observation::ObservedProxies;

/// Everything that decides about the networks of one cluster's proxies.
#[derive(Debug, Clone, Copy)]
pub struct NetworkInput<'a> {
    /// The operator's instance name: the value of the owner label.
    pub instance: &'a str,
    /// The cluster's name.
    pub cluster: &'a str,
    /// The name of the proxy service.
    pub service: &'a str,
    /// The name of the control network, which belongs to the channel and not to the routes; none where there is none.
    pub control: Option<&'a str>,
    /// The world as it was seen.
    pub snapshot: &'a Snapshot,
    /// Proxies that have ended, as far as Swarm still knows them: what it says of one that failed is gone from a snapshot at once. None
    /// if it did not say.
    pub ended: Option<&'a [Task]>,
    /// The networks that the proxies shall have.
    pub wanted: &'a [NetworkId],
    /// Networks that the proxies must not have any more.
    pub unfit: &'a BTreeSet<NetworkId>,
    /// Whether the document names them all, so that services change nothing about them.
    pub closed: bool,
    /// By network, the services whose routes need it, by name.
    pub needed_by: &'a BTreeMap<NetworkId, BTreeSet<String>>,
    /// By network, the teams of these services, each in a word; those of no team are empty.
    pub teams: &'a BTreeMap<NetworkId, BTreeSet<String>>,
    /// Networks that the administrator names: no service's shortage makes the proxies leave one.
    pub named: &'a BTreeSet<NetworkId>,
    /// The attached networks on which proxies that are replaced, or start again, would not get their addresses.
    pub short: &'a BTreeMap<NetworkId, NetworkShortage>,
    /// Who would get a port of nodes from proxies that stop, in words that follow "waits for": none are replaced meanwhile.
    pub contested: Option<&'a str>,
    /// Whether a route is served over what the proxies have now: then replacing them disturbs somebody.
    pub serves: bool,
    /// The least time from one replacement for networks to the next.
    pub interval: SignedDuration,
    /// How long a proxy may take to run with a new network.
    pub timeout: SignedDuration,
    /// The time of this pass.
    pub now: Timestamp,
}

/// What the proxy service declares now, and why not more.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NetworkDecision {
    /// The networks, sorted.
    pub networks: Vec<NetworkId>,
    /// Those of them that no proxy is known to run with: the first proxy must show that it does.
    pub attaching: BTreeSet<NetworkId>,
    /// Whether networks that failed are taken away, which no rollout under way holds back.
    pub withdraws: bool,
    /// Whether that is going back to what the service was before its last update.
    pub goes_back: bool,
    /// What the proxy service remembers about networks that failed, for an operator that knows nothing any more.
    pub remembered: Option<String>,
    /// Networks that are wanted and not attached, with the reason.
    pub missing: BTreeMap<NetworkId, String>,
    /// What is held back.
    pub waiting: Vec<WaitingOn>,
    /// What somebody should know.
    pub findings: Vec<Finding>,
    /// When the decision becomes another by the passing of time alone.
    pub due: Option<Timestamp>,
    /// What must be known at the next pass.
    pub memory: NetworkMemory,
}

/// Decides.
///
/// # Guarantees
/// Total and deterministic. A network is declared only if it is wanted, or was declared already. What is kept of the memory
/// is bounded by the networks that there are, or were a short while ago.
pub fn decide(input: &NetworkInput<'_>, memory: &NetworkMemory) -> NetworkDecision {
    let seen = ObservedProxies::of(input);
    let mut next = memory.clone();
    attach_timing::note_wishes(input, &seen, &mut next);
    address_shortage::note(input, &seen, &mut next);
    rollout_health::step(input, &seen, &mut next);
    address_shortage::step(input, &seen, &mut next);
    crashing_proxies::step(input, &seen, &mut next);
    quarantine::prune(input, &seen, &mut next);
    let choice = choose(input, &seen, &next);
    let wanted: BTreeSet<&NetworkId> = input.wanted.iter().collect();
    let goes_back = choice.held == AttachBlocker::ByWithdrawal && seen.before.as_ref() == Some(&choice.networks);
    if goes_back {
        next.settled.extend(choice.networks.iter().cloned());
    }
    next.settled.retain(|id| choice.networks.contains(id) || (wanted.contains(id) && !seen.declared.contains(id)));
    let attaching = choice.networks.iter().filter(|id| !next.settled.contains(*id)).cloned().collect();
    let report = findings::of(input, &seen, &next, &choice);
    NetworkDecision {
        attaching,
        withdraws: !next.withdrawn.is_disjoint(&seen.declared),
        goes_back,
        remembered: quarantine::remembered(&next),
        missing: report.missing,
        waiting: report.waiting,
        findings: report.findings,
        due: attach_timing::due(input, &seen, &next),
        networks: choice.networks.into_iter().collect(),
        memory: next,
    }
}

/// The networks to declare, and those among the wanted ones that wait for something with a time.
struct NetworkChoice {
    networks: BTreeSet<NetworkId>,
    held: AttachBlocker,
}

/// What keeps wanted networks from being attached now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AttachBlocker {
    /// Nothing, or each network its own reason.
    No,
    /// Proxies start with other networks.
    ByTrial,
    /// Networks that failed are taken away first.
    ByWithdrawal,
    /// The proxies are being replaced for another reason.
    ByRollout,
    /// A proxy that stops would lose its node to somebody else.
    ByContest,
    /// A network that the proxies have has too few addresses.
    ByShortage,
}

fn choose(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &NetworkMemory) -> NetworkChoice {
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
    if address_shortage::holds_back(memory) && seen.running() > 0 {
        return held(AttachBlocker::ByShortage, without_short(seen, memory));
    }
    held(AttachBlocker::No, when_free(input, seen, memory))
}

/// What failed goes. Networks that went in the very update that brought it come back with the old spec, which the proxies have that
/// were not touched yet: those are replaced for nothing otherwise.
fn without_withdrawn(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &NetworkMemory) -> BTreeSet<NetworkId> {
    let left: BTreeSet<NetworkId> = seen.declared.difference(&memory.withdrawn).cloned().collect();
    let failed = |id: &NetworkId| !memory.quarantine.get(id).is_some_and(|held| held.full);
    let is_fine = |id: &NetworkId| input.snapshot.networks.contains_key(id) && !input.unfit.contains(id) && !memory.withdrawn.contains(id);
    let before = seen.before.as_ref().filter(|before| left.is_subset(before) && before.iter().all(is_fine));
    let is_of_trial = memory.withdrawn.iter().all(failed) && !memory.withdrawn.is_disjoint(&seen.declared);
    before.filter(|_| is_of_trial).cloned().unwrap_or(left)
}

/// Nothing is attached, and of what is not needed only that is left on which addresses are missing.
fn without_short(seen: &ObservedProxies<'_>, memory: &NetworkMemory) -> BTreeSet<NetworkId> {
    let leaves = |id: &&NetworkId| memory.short_since.contains_key(*id) && memory.unwanted_since.contains_key(*id);
    seen.declared.iter().filter(|id| !leaves(id)).cloned().collect()
}

/// Nothing else is under way: what came is attached, and what is not needed detached, when its time has come.
fn when_free(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &NetworkMemory) -> BTreeSet<NetworkId> {
    let wanted: BTreeSet<NetworkId> = input.wanted.iter().cloned().collect();
    let gone = attach_timing::to_detach(input, seen, memory, false);
    let attach = attach_timing::to_attach(input, seen, memory, !gone.is_empty());
    let gone = if attach.is_empty() { gone } else { attach_timing::to_detach(input, seen, memory, true) };
    // What somebody took away by hand is put back at once: the proxies are known to run with it.
    let restored = memory.settled.intersection(&wanted);
    let kept = seen.declared.union(&attach).chain(restored).cloned().collect::<BTreeSet<_>>();
    kept.difference(&gone).cloned().collect()
}

#[cfg(test)]
mod tests;
