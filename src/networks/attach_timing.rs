//! When networks are attached and detached: several together, rarely, and a network that comes and goes less and less often.
//! Every wait is a multiple of the interval that the document states.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::observation::ObservedProxies;
use super::timings::{doubled, later, next_rollout_at};
use super::wanted_networks::{name, new_networks, teams};
use super::{AttachmentState, NetworkInput, RecentAttachments, address_shortage, crashing_proxies, quarantine, rollout_health};
use crate::types::NetworkId;

/// How long to wait for further networks, for deployments of several services.
const GATHERED_FOR: SignedDuration = SignedDuration::from_secs(3);
/// In intervals: the longest wait of a network that comes and goes, and how long an unneeded network stays.
const INTERVALS_MAX: i32 = 10;
/// In intervals: how long a network must stay away, or stay, before its coming and going is forgotten.
const CALM_INTERVALS: i32 = 30;
/// How often a team's networks may leave the proxies before its next ones wait, and how many of them may fail within an
/// hour.
const TEAM_VISITS_FREE: u32 = 3;
const TEAM_FAILURES_FREE: usize = 3;
/// If networks of this many teams failed within an hour, networks of teams that have none attached wait as well: one author
/// could give each network another team.
const FAILING_TEAMS_FREE: usize = 6;
/// The longest wait after failures, in intervals.
const FAILURES_INTERVALS_MAX: i32 = 30;

/// Records which networks are wanted and which no longer are.
pub(super) fn record_wanted_networks(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &mut AttachmentState) {
    let names: BTreeSet<&str> = input.wanted.iter().map(|id| name(input, id)).collect();
    for gone in memory.wanted_since.keys().filter(|known| !names.contains(known.as_str())) {
        let visits = memory.visits.entry(gone.clone()).or_insert(RecentAttachments { count: 0, gone_at: input.now });
        *visits = RecentAttachments { count: visits.count.saturating_add(1), gone_at: input.now };
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
    memory.team_visits.retain(|_, visits| input.now.duration_since(visits.gone_at) < calm);
    memory.unwanted_since.retain(|id, _| seen.declared.contains(id) && !input.wanted.contains(id));
    for id in seen.declared.iter().filter(|id| !input.wanted.contains(id)) {
        memory.unwanted_since.entry(id.clone()).or_insert(input.now);
    }
}

/// The networks to attach now. `replaced`: the proxies are being replaced anyway.
pub(super) fn to_attach(
    input: &NetworkInput<'_>,
    seen: &ObservedProxies<'_>,
    memory: &AttachmentState,
    replaced: bool,
) -> BTreeSet<NetworkId> {
    let no_client_is_disturbed = disturbs_no_client(input, seen);
    let ripe = |id: &&NetworkId| no_client_is_disturbed || hold_end(input, memory, id) <= input.now;
    let ready: BTreeSet<NetworkId> = new_networks(input, seen, memory).iter().filter(ripe).cloned().collect();
    let first = first_part(&ready, memory);
    let opens = if no_client_is_disturbed { input.now } else { next_rollout_at(input, memory).max(gather_end(input, memory, &ready)) };
    if !first.is_empty() {
        return if replaced || opens <= input.now { first } else { BTreeSet::new() };
    }
    let retried = retries(input, seen, memory).into_iter().find(|(_, at)| *at <= input.now);
    retried.filter(|_| !replaced).map(|(id, _)| id).into_iter().collect()
}

/// Networks that failed together are tried in parts, with no other network.
fn first_part(ready: &BTreeSet<NetworkId>, memory: &AttachmentState) -> BTreeSet<NetworkId> {
    let parts = memory.parts.iter().map(|part| part.intersection(ready).cloned().collect::<BTreeSet<_>>());
    parts.into_iter().find(|part| !part.is_empty()).unwrap_or_else(|| ready.clone())
}

/// Wanted networks in quarantine, and when each is retried; the earliest first.
fn retries(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &AttachmentState) -> Vec<(NetworkId, Timestamp)> {
    let wanted = input.wanted.iter().filter(|id| !seen.declared.contains(*id));
    let pace = next_rollout_at(input, memory);
    let at = |id: &NetworkId| Some(quarantine::retry_at(input, seen, memory, id)?.max(pace).max(team_backoff_end(input, memory, id)));
    let mut due: Vec<_> = wanted.filter_map(|id| Some((id.clone(), at(id)?))).collect();
    due.sort_by_key(|(id, at)| (*at, id.clone()));
    due
}

/// The networks to detach now. `replaced`: the proxies are being replaced anyway. A network that no other service uses is
/// detached as soon as the proxies may be replaced for networks, because it cannot be removed before; a network that must
/// not be attached at all is detached immediately.
pub(super) fn to_detach(
    input: &NetworkInput<'_>,
    seen: &ObservedProxies<'_>,
    memory: &AttachmentState,
    replaced: bool,
) -> BTreeSet<NetworkId> {
    let at_once = input.closed || seen.running() == 0;
    let others = networks_of_other_services(seen, memory);
    let is_due = |id: &NetworkId, since: Timestamp| {
        let used = others.contains(id);
        at_once
            || input.unfit.contains(id)
            || (replaced && (!used || later(since, input.interval) <= input.now))
            || leave_at(input, memory, id, since, used) <= input.now
    };
    memory.unwanted_since.iter().filter(|(id, since)| is_due(id, **since)).map(|(id, _)| id.clone()).collect()
}

/// The networks that other services use, if any are unneeded.
pub(super) fn networks_of_other_services(seen: &ObservedProxies<'_>, memory: &AttachmentState) -> BTreeSet<NetworkId> {
    if memory.unwanted_since.is_empty() { BTreeSet::new() } else { seen.used_by_others() }
}

/// When the proxies leave a network that no route has needed since `since`, unless they are replaced before. `used`: another
/// service is on it.
pub(super) fn leave_at(input: &NetworkInput<'_>, memory: &AttachmentState, id: &NetworkId, since: Timestamp, used: bool) -> Timestamp {
    let lingers = if used { input.interval.saturating_mul(INTERVALS_MAX) } else { team_penalty(input, memory, memory.teams.get(id)) };
    later(since, lingers).max(next_rollout_at(input, memory))
}

/// Whether no client uses the proxies, or there are none: then waiting gains nothing.
pub(super) fn disturbs_no_client(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>) -> bool {
    !input.serves || seen.running() == 0
}

/// Until when a network is held back because of its own history or that of its team.
pub(super) fn hold_end(input: &NetworkInput<'_>, memory: &AttachmentState, id: &NetworkId) -> Timestamp {
    penalty_end(input, memory, id).max(team_backoff_end(input, memory, id))
}

/// Until when a network is held back because it, or other networks of its team, came and went.
pub(super) fn penalty_end(input: &NetworkInput<'_>, memory: &AttachmentState, id: &NetworkId) -> Timestamp {
    let name = name(input, id);
    let since = memory.wanted_since.get(name).copied().unwrap_or(input.now);
    let count = memory.visits.get(name).map_or(0, |visits| visits.count);
    later(since, penalty(input.interval, count).max(team_penalty(input, memory, input.teams.get(id))))
}

/// How long networks of these teams wait because others of theirs came and went. The calmest team decides, so that no team
/// waits because of another.
fn team_penalty(input: &NetworkInput<'_>, memory: &AttachmentState, teams: Option<&BTreeSet<String>>) -> SignedDuration {
    let count = |team: &String| memory.team_visits.get(team).map_or(0, |visits| visits.count);
    let count = teams.into_iter().flatten().map(count).min().unwrap_or(0);
    penalty(input.interval, count.saturating_sub(TEAM_VISITS_FREE))
}

/// Until when a network is held back because networks of its team failed, or because networks of many teams failed and its
/// team has none attached.
pub(super) fn team_backoff_end(input: &NetworkInput<'_>, memory: &AttachmentState, id: &NetworkId) -> Timestamp {
    let until = |failures: &[Timestamp], many: usize| {
        let wait = input.interval.saturating_mul(doubled(u32::try_from(many).unwrap_or(u32::MAX)).min(FAILURES_INTERVALS_MAX));
        failures.last().filter(|_| many > 0).map_or(Timestamp::MIN, |at| later(*at, wait))
    };
    let teams = teams(input, id);
    let of_team = |team: &String| {
        let failures = memory.failures.get(team).map_or(&[][..], Vec::as_slice);
        until(failures, failures.len().saturating_sub(TEAM_FAILURES_FREE))
    };
    let own = teams.iter().map(of_team).min().unwrap_or(Timestamp::MIN);
    let is_known = memory.teams.values().flatten().any(|team| teams.contains(team));
    let mut latest: Vec<Timestamp> = memory.failures.values().filter_map(|failures| failures.last().copied()).collect();
    latest.sort_unstable();
    let many = if is_known { 0 } else { latest.len().saturating_sub(FAILING_TEAMS_FREE) };
    own.max(until(&latest, many))
}

fn penalty(interval: SignedDuration, count: u32) -> SignedDuration {
    if count == 0 {
        return SignedDuration::ZERO;
    }
    let half = interval.checked_div(2).unwrap_or_default();
    half.saturating_mul(doubled(count - 1)).min(interval.saturating_mul(INTERVALS_MAX))
}

/// Until when networks that are ready wait for others.
pub(super) fn gather_end(input: &NetworkInput<'_>, memory: &AttachmentState, ready: &BTreeSet<NetworkId>) -> Timestamp {
    let wait = GATHERED_FOR.min(input.interval);
    let since: Vec<_> = ready.iter().filter_map(|id| memory.wanted_since.get(name(input, id)).copied()).collect();
    let (first, last) = (since.iter().min(), since.iter().max());
    let end = first.zip(last).map(|(first, last)| later(*last, wait).min(later(*first, wait.saturating_mul(3))));
    end.unwrap_or(input.now)
}

/// When the decision changes without any other event.
pub(super) fn due(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &AttachmentState) -> Option<Timestamp> {
    let newcomers = new_networks(input, seen, memory);
    let opens = next_rollout_at(input, memory).max(gather_end(input, memory, &newcomers));
    let attached = newcomers.iter().map(|id| hold_end(input, memory, id).max(opens));
    let others = networks_of_other_services(seen, memory);
    let lingers = memory.unwanted_since.iter().map(|(id, since)| leave_at(input, memory, id, *since, others.contains(id)));
    let retries = retries(input, seen, memory).into_iter().map(|(_, at)| at);
    let deadline = memory.trial.as_ref().map(|trial| rollout_health::deadline(input, seen, trial));
    let short = address_shortage::due(input, seen, memory);
    let stuck = crashing_proxies::due(input, memory);
    attached.chain(lingers).chain(retries).chain(deadline).chain(short).chain(stuck).filter(|at| *at > input.now).min()
}
