//! Attached networks whose addresses ran out. If other tasks wait for addresses, an address that a proxy returns is lost, so
//! replacing the proxies for some other network would take down one node after the other. Such a network therefore holds
//! back every replacement for networks. The proxies leave it if the shortage lasts, or if a proxy does not start. Must never
//! blame another network.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::observation::ObservedProxies;
use super::timings::{self, later};
use super::{AttachmentState, NetworkInput, quarantine, wanted_networks};
use crate::types::NetworkId;

/// A shortage that ends sooner, as when a deployment stops one service to start another, has no effect.
const LASTS_FOR: SignedDuration = SignedDuration::from_secs(30);
/// Swarm normally assigns a task's addresses immediately. A task that waits this long waits for addresses that do not exist.
const WAITS_FOR: SignedDuration = SignedDuration::from_secs(10);

/// For this many intervals teams wait for someone to act before the proxies leave a network that other services fill.
const CROWDED_INTERVALS: i32 = 10;

/// The shortage of an attached network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkShortage {
    /// Whether other tasks wait for more addresses than there are.
    pub contested: bool,
    /// The service with the most addresses, if the shortage is caused by services other than those of a team whose routes
    /// need the network.
    pub by_others: Option<String>,
    /// The available and the missing addresses, as text that follows the network's name.
    pub message: String,
}

/// Records since when networks are short of addresses, and since when a proxy waits for addresses.
pub(super) fn record_shortages(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &mut AttachmentState) {
    memory.short_since.retain(|id, _| input.short.contains_key(id) && seen.declared.contains(id));
    for id in input.short.keys().filter(|id| seen.declared.contains(*id)) {
        memory.short_since.entry(id.clone()).or_insert(input.now);
    }
    memory.waits_since = if seen.waits_for_addresses() { memory.waits_since.or(Some(input.now)) } else { None };
}

/// Withdraws networks that have been short for too long. Trials and other withdrawals come first.
pub(super) fn withdraw_short(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &mut AttachmentState) {
    if memory.trial.is_some() || !memory.withdrawn.is_empty() {
        return;
    }
    let due = memory.short_since.keys().filter(|id| leaves_at(input, seen, memory, id).is_some_and(|at| at <= input.now));
    let due: BTreeSet<NetworkId> = due.cloned().collect();
    withdraw(input, seen, memory, &due);
}

/// The networks that keep a proxy from starting and with which proxies ran before. Empty unless a proxy has waited for a
/// while. Includes networks that the proxies do not leave (`is_kept`).
pub(super) fn suspect_networks(input: &NetworkInput<'_>, memory: &AttachmentState) -> BTreeSet<NetworkId> {
    let waits = memory.waits_since.is_some_and(|since| later(since, waits_for(input)) <= input.now);
    let short = memory.short_since.keys().filter(|id| waits && memory.settled.contains(*id));
    short.cloned().collect()
}

/// Withdraws networks for lack of addresses, except those that the proxies do not leave at all.
pub(super) fn withdraw(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &mut AttachmentState, networks: &BTreeSet<NetworkId>) {
    for id in networks {
        if is_kept(input, seen, memory, id) {
            continue;
        }
        let message = input.short.get(id).map(|short| short.message.clone()).unwrap_or_default();
        quarantine::add_full(input, seen, memory, id, message);
        memory.settled.remove(id);
        memory.withdrawn.insert(id.clone());
        memory.last_update = Some(input.now);
    }
}

/// When the proxies leave a network, if its shortage lasts.
pub(super) fn leaves_at(
    input: &NetworkInput<'_>,
    seen: &ObservedProxies<'_>,
    memory: &AttachmentState,
    id: &NetworkId,
) -> Option<Timestamp> {
    let (short, since) = (input.short.get(id)?, *memory.short_since.get(id)?);
    if is_kept(input, seen, memory, id) {
        return None;
    }
    let when_stuck = memory.waits_since.map(|waits| later(waits.max(since), waits_for(input)));
    let newcomers = wanted_networks::new_networks(input, seen, memory);
    let in_time = if short.by_others.is_some() {
        crowded_since(input, memory, id, &newcomers)
            .map(|crowded| later(crowded.max(since), input.interval.saturating_mul(CROWDED_INTERVALS)))
    } else {
        (short.contested || !newcomers.is_empty()).then(|| later(since, LASTS_FOR.min(input.timeout)))
    };
    when_stuck.into_iter().chain(in_time.map(|at| at.max(timings::next_rollout_at(input, memory)))).min()
}

/// Since when more teams wait for networks than are reached over this network, which other services fill. While every proxy
/// runs, a service that fills a network must not take it from the teams that have routes there. But no other team gets a
/// network meanwhile, and the service that fills it may belong to a team that has the routes.
fn crowded_since(input: &NetworkInput<'_>, memory: &AttachmentState, id: &NetworkId, newcomers: &BTreeSet<NetworkId>) -> Option<Timestamp> {
    let teams = |id: &NetworkId| input.teams.get(id).into_iter().flatten();
    let reached: BTreeSet<&String> = teams(id).collect();
    let mut waiting = BTreeMap::<&String, Timestamp>::new();
    for network in newcomers {
        let since = memory.wanted_since.get(wanted_networks::name(input, network)).copied().unwrap_or(input.now);
        for team in teams(network).filter(|team| !reached.contains(team)) {
            waiting.entry(team).and_modify(|first| *first = since.min(*first)).or_insert(since);
        }
    }
    let mut began: Vec<Timestamp> = waiting.into_values().collect();
    began.sort_unstable();
    began.get(reached.len()).copied()
}

/// The times at which a shortage has consequences without any other event.
pub(super) fn due(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &AttachmentState) -> Vec<Timestamp> {
    let leaves = memory.short_since.keys().filter_map(|id| leaves_at(input, seen, memory, id));
    let waits = memory.waits_since.filter(|_| blocks_rollouts(memory)).map(|since| later(since, waits_for(input)));
    leaves.chain(waits).collect()
}

/// Whether proxies must not be replaced for networks now, because an attached network is short of addresses.
pub(super) fn blocks_rollouts(memory: &AttachmentState) -> bool {
    !memory.short_since.is_empty()
}

/// Whether the proxies keep a network although it is short of addresses, or although one of their nodes cannot set it up.
/// Either the administrator named it for several teams, so one team's tasks, or one node, must not take it from all others;
/// or leaving it would cost more than it protects.
pub(super) fn is_kept(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &AttachmentState, id: &NetworkId) -> bool {
    input.named.contains(id) || carries_most(input, seen, memory, id)
}

/// Whether more services are reached over this network than over all other networks of the proxies.
fn carries_most(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &AttachmentState, id: &NetworkId) -> bool {
    let over = |id: &NetworkId| input.needed_by.get(id).into_iter().flatten();
    let others = seen.declared.iter().filter(|other| *other != id && !memory.withdrawn.contains(*other));
    let others: BTreeSet<&String> = others.flat_map(over).collect();
    over(id).count() > others.len()
}

fn waits_for(input: &NetworkInput<'_>) -> SignedDuration {
    WAITS_FOR.min(input.timeout)
}
