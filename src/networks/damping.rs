//! When a network is attached, and when it is detached: several together, seldom, and one that comes and goes ever more
//! seldom. Every wait is a multiple of the interval that the document states.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::observed::Observed;
use super::{Input, Memory, judge, quarantine};
use crate::types::NetworkId;

/// How long others are waited for that may come with a network, in a deployment of several services.
const GATHERED_FOR: SignedDuration = SignedDuration::from_secs(3);
/// The longest wait of a network that comes and goes, and the time for which one stays that is not needed, in intervals.
const INTERVALS_MAX: i32 = 10;
/// For how long a network must stay away, or stay, until its coming and going is forgotten, in intervals.
const CALM_INTERVALS: i32 = 30;
/// So many failures within an hour are as many as a bisection has; more make all further tries rarer.
const FAILURES_FREE: usize = 6;
/// The longest wait after failures, in intervals.
const FAILURES_INTERVALS_MAX: i32 = 30;

/// Notes which networks are wanted and which are not any more.
pub(super) fn note_wishes(input: &Input<'_>, seen: &Observed<'_>, memory: &mut Memory) {
    let names: BTreeSet<&str> = input.wanted.iter().map(|id| name(input, id)).collect();
    for gone in memory.wanted_since.keys().filter(|known| !names.contains(known.as_str())) {
        let visits = memory.visits.entry(gone.clone()).or_insert(super::Visits { count: 0, gone_at: input.now });
        *visits = super::Visits { count: visits.count.saturating_add(1), gone_at: input.now };
    }
    memory.wanted_since.retain(|known, _| names.contains(known.as_str()));
    for name in names {
        memory.wanted_since.entry(name.to_owned()).or_insert(input.now);
    }
    let calm = input.interval.saturating_mul(CALM_INTERVALS);
    let since = &memory.wanted_since;
    memory.visits.retain(|name, visits| {
        let quiet_since = since.get(name).copied().unwrap_or(visits.gone_at);
        input.now.duration_since(quiet_since) < calm
    });
    memory.unwanted_since.retain(|id, _| seen.declared.contains(id) && !input.wanted.contains(id));
    for id in seen.declared.iter().filter(|id| !input.wanted.contains(id)) {
        memory.unwanted_since.entry(id.clone()).or_insert(input.now);
    }
}

/// The networks to attach now. `replaced`: the proxies are replaced now in any case.
pub(super) fn to_attach(input: &Input<'_>, seen: &Observed<'_>, memory: &Memory, replaced: bool) -> BTreeSet<NetworkId> {
    let nobody_is_disturbed = nobody_is_disturbed(input, seen);
    let ripe = |id: &&NetworkId| nobody_is_disturbed || penalty_end(input, memory, id) <= input.now;
    let ready: BTreeSet<NetworkId> = newcomers(input, seen, memory).iter().filter(ripe).cloned().collect();
    let first = first_part(&ready, memory);
    let opens = if nobody_is_disturbed { input.now } else { pace_end(input, memory).max(gather_end(input, memory, &ready)) };
    if !first.is_empty() {
        return if replaced || opens <= input.now { first } else { BTreeSet::new() };
    }
    let retried = retries(input, seen, memory).into_iter().find(|(_, at)| (*at).max(pace_end(input, memory)) <= input.now);
    retried.filter(|_| !replaced).map(|(id, _)| id).into_iter().collect()
}

/// What failed together is tried in parts, and nothing else with it.
fn first_part(ready: &BTreeSet<NetworkId>, memory: &Memory) -> BTreeSet<NetworkId> {
    let parts = memory.parts.iter().map(|part| part.intersection(ready).cloned().collect::<BTreeSet<_>>());
    parts.into_iter().find(|part| !part.is_empty()).unwrap_or_else(|| ready.clone())
}

/// Networks that are wanted and neither there nor known to fail.
pub(super) fn newcomers(input: &Input<'_>, seen: &Observed<'_>, memory: &Memory) -> BTreeSet<NetworkId> {
    let is_new = |id: &&NetworkId| !seen.declared.contains(*id) && !memory.settled.contains(*id) && !memory.quarantine.contains_key(*id);
    input.wanted.iter().filter(is_new).cloned().collect()
}

/// Networks in quarantine that are wanted, and when each is tried again; the earliest first.
fn retries(input: &Input<'_>, seen: &Observed<'_>, memory: &Memory) -> Vec<(NetworkId, Timestamp)> {
    let wanted = input.wanted.iter().filter(|id| !seen.declared.contains(*id));
    let mut due: Vec<_> = wanted.filter_map(|id| Some((id.clone(), quarantine::retry_at(input, memory, id)?))).collect();
    due.sort_by_key(|(id, at)| (*at, id.clone()));
    due
}

/// The networks to detach now. `replaced`: the proxies are replaced now in any case.
pub(super) fn to_detach(input: &Input<'_>, seen: &Observed<'_>, memory: &Memory, replaced: bool) -> BTreeSet<NetworkId> {
    let linger = input.interval.saturating_mul(if replaced { 1 } else { INTERVALS_MAX });
    let at_once = input.closed || seen.running() == 0;
    let others = if at_once || memory.unwanted_since.is_empty() { BTreeSet::new() } else { seen.used_by_others() };
    let is_due =
        |id: &NetworkId, since: Timestamp| !others.contains(id) || input.unfit.contains(id) || input.now.duration_since(since) >= linger;
    memory.unwanted_since.iter().filter(|(id, since)| is_due(id, **since)).map(|(id, _)| id.clone()).collect()
}

/// Nobody uses the proxies, or there are none: then nothing is gained by waiting.
pub(super) fn nobody_is_disturbed(input: &Input<'_>, seen: &Observed<'_>) -> bool {
    !input.serves || seen.running() == 0
}

/// Until when a network that came and went is held back.
pub(super) fn penalty_end(input: &Input<'_>, memory: &Memory, id: &NetworkId) -> Timestamp {
    let name = name(input, id);
    let since = memory.wanted_since.get(name).copied().unwrap_or(input.now);
    let count = memory.visits.get(name).map_or(0, |visits| visits.count);
    later(since, penalty(input.interval, count))
}

fn penalty(interval: SignedDuration, count: u32) -> SignedDuration {
    if count == 0 {
        return SignedDuration::ZERO;
    }
    let half = interval.checked_div(2).unwrap_or_default();
    half.saturating_mul(doubled(count - 1)).min(interval.saturating_mul(INTERVALS_MAX))
}

/// Two to this power.
pub(super) fn doubled(times: u32) -> i32 {
    1_i32.checked_shl(times.min(16)).unwrap_or(i32::MAX)
}

/// Until when networks that are ready wait for others.
pub(super) fn gather_end(input: &Input<'_>, memory: &Memory, ready: &BTreeSet<NetworkId>) -> Timestamp {
    let wait = GATHERED_FOR.min(input.interval);
    let since: Vec<_> = ready.iter().filter_map(|id| memory.wanted_since.get(name(input, id)).copied()).collect();
    let (first, last) = (since.iter().min(), since.iter().max());
    let end = first.zip(last).map(|(first, last)| later(*last, wait).min(later(*first, wait.saturating_mul(3))));
    end.unwrap_or(input.now)
}

/// Until when the proxies are not replaced for networks again.
pub(super) fn pace_end(input: &Input<'_>, memory: &Memory) -> Timestamp {
    let after_update = memory.last_update.map(|at| later(at, input.interval));
    let many = memory.failures.len().saturating_sub(FAILURES_FREE);
    let wait = input.interval.saturating_mul(doubled(u32::try_from(many).unwrap_or(u32::MAX)).min(FAILURES_INTERVALS_MAX));
    let after_failures = memory.failures.last().filter(|_| many > 0).map(|at| later(*at, wait));
    after_update.into_iter().chain(after_failures).max().unwrap_or(Timestamp::MIN)
}

/// Since when the proxies would be replaced no more for what is attached and not wanted.
pub(super) fn linger_end(input: &Input<'_>, since: Timestamp) -> Timestamp {
    later(since, input.interval.saturating_mul(INTERVALS_MAX))
}

/// When the decision becomes another by the passing of time alone.
pub(super) fn due(input: &Input<'_>, seen: &Observed<'_>, memory: &Memory) -> Option<Timestamp> {
    let newcomers = newcomers(input, seen, memory);
    let opens = pace_end(input, memory).max(gather_end(input, memory, &newcomers));
    let attached = newcomers.iter().map(|id| penalty_end(input, memory, id).max(opens));
    let lingers = memory.unwanted_since.values().map(|since| linger_end(input, *since));
    let retries = retries(input, seen, memory).into_iter().map(|(_, at)| at.max(pace_end(input, memory)));
    let deadline = memory.trial.as_ref().map(|trial| judge::deadline(input, seen, trial));
    attached.chain(lingers).chain(retries).chain(deadline).filter(|at| *at > input.now).min()
}

/// The name of a network, or its id if the snapshot does not know it.
pub(super) fn name<'a>(input: &'a Input<'_>, id: &'a NetworkId) -> &'a str {
    input.snapshot.networks.get(id).map_or(id.0.as_str(), |network| network.name.as_str())
}

pub(super) fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
