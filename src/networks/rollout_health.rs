//! Whether proxies come up with networks that are new to them: yes, not yet, or not at all. All conclusions are drawn from
//! what the Swarm shows, so an operator that starts in the middle of a rollout comes to the same result.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::observation::ObservedProxies;
use super::timings::later;
use super::{AttachmentState, NetworkInput, NetworkTrial, address_shortage, quarantine, task_errors, wanted_networks};
use crate::types::{NetworkId, TaskState, UpdateState};

/// If the proxy service is younger than this and no proxy runs, none has ever run.
const NEVER_RAN: SignedDuration = SignedDuration::from_mins(10);
/// Proxies created later than this after their service have replaced others.
const FIRST_TASKS_WITHIN: SignedDuration = SignedDuration::from_mins(1);
/// How long a rollout for networks that are no longer wanted continues while a proxy does not come up.
const UNWANTED_TIMEOUT: SignedDuration = SignedDuration::from_secs(15);
/// How long failures are remembered.
const FAILURES_KEPT: SignedDuration = SignedDuration::from_hours(1);

/// Records the result of networks that were attached.
pub(super) fn record_trial_result(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &mut AttachmentState) {
    if !memory.known {
        begin(input, seen, memory);
    }
    forget_old_failures(input, memory);
    let withdraws = !memory.withdrawn.is_empty();
    if !seen.is_under_way() && seen.has_left(&memory.withdrawn) {
        memory.withdrawn.clear();
    }
    let fresh = fresh_networks(input, seen, memory);
    match memory.trial.take() {
        Some(trial) if trial.networks.is_disjoint(&seen.declared) => taken_back(input, seen, memory, trial),
        None if fresh.is_empty() && !withdraws => note_detached(input, seen, memory),
        _ if fresh.is_empty() => {}
        Some(trial) => judge(input, seen, memory, NetworkTrial { networks: fresh, ..trial }),
        None => begin_trial(input, seen, memory, fresh),
    }
    wanted_networks::note_teams(input, seen, memory);
    memory.declared.clone_from(&seen.declared);
}

fn begin_trial(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &mut AttachmentState, fresh: BTreeSet<NetworkId>) {
    let trial = new_trial(input, seen, memory, fresh);
    judge(input, seen, memory, trial);
}

fn forget_old_failures(input: &NetworkInput<'_>, memory: &mut AttachmentState) {
    for failures in memory.failures.values_mut() {
        failures.retain(|at| input.now.duration_since(*at) < FAILURES_KEPT);
    }
    memory.failures.retain(|_, failures| !failures.is_empty());
}

/// The declared networks with which no proxy is known to run, as far as they are wanted or on trial.
fn fresh_networks(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &AttachmentState) -> BTreeSet<NetworkId> {
    let is_of_interest =
        |id: &NetworkId| input.wanted.contains(id) || memory.trial.as_ref().is_some_and(|trial| trial.networks.contains(id));
    seen.declared.iter().filter(|id| is_fresh(id, memory) && is_of_interest(id)).cloned().collect()
}

/// The memory is empty: running networks are assumed to work, except those that are just being attached.
fn begin(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &mut AttachmentState) {
    memory.known = true;
    memory.declared.clone_from(&seen.declared);
    quarantine::restore_from_label(seen, memory);
    let Some(service) = seen.service else { return };
    let is_new = input.now.duration_since(service.created_at) < NEVER_RAN && seen.running() == 0;
    let in_question = seen.is_under_way() || seen.state() == Some(&UpdateState::Paused);
    memory.settled = match &seen.before {
        Some(before) if in_question => seen.declared.intersection(before).cloned().collect(),
        _ if is_new => BTreeSet::new(),
        _ => seen.declared.clone(),
    };
    let replaced = seen.oldest_proxy_started().filter(|at| at.duration_since(service.created_at) > FIRST_TASKS_WITHIN);
    memory.last_update = seen.update_began().or(replaced);
}

fn is_fresh(id: &NetworkId, memory: &AttachmentState) -> bool {
    !memory.settled.contains(id) && !memory.withdrawn.contains(id)
}

fn new_trial(
    input: &NetworkInput<'_>,
    seen: &ObservedProxies<'_>,
    memory: &mut AttachmentState,
    networks: BTreeSet<NetworkId>,
) -> NetworkTrial {
    let began = seen.update_began().filter(|_| seen.is_under_way()).unwrap_or(input.now);
    let update_before = memory.last_update.replace(began);
    NetworkTrial {
        networks,
        began,
        running: 0,
        progress_at: input.now,
        starting_since: None,
        message: String::new(),
        last_failure: None,
        update_before,
    }
}

/// Networks were detached without a new one being attached: this replaces the proxies too.
fn note_detached(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &mut AttachmentState) {
    if memory.declared.difference(&seen.declared).next().is_some() && seen.service.is_some() {
        memory.last_update = Some(input.now);
    }
}

/// The service no longer has the networks: Swarm rolled back, or the service was changed by hand.
fn taken_back(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &mut AttachmentState, mut trial: NetworkTrial) {
    if seen.service.is_some() && seen.was_given_up(trial.began) {
        task_errors::record_errors(input, &[], &mut trial);
        failed(input, seen, memory, &trial);
    }
}

fn judge(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &mut AttachmentState, trial: NetworkTrial) {
    let trial = observed(input, seen, trial);
    let (short, succeeded_now) = (address_shortage::suspect_networks(input, memory), has_succeeded(input, seen, &trial));
    if succeeded_now {
        succeeded(memory, &trial);
    } else if !short.is_empty() {
        held_up(input, seen, memory, &trial, &short);
    } else if is_blocked_by_port(input, seen, &trial) {
        memory.trial = Some(NetworkTrial { progress_at: input.now, starting_since: None, ..trial });
    } else if seen.was_given_up(trial.began) || deadline(input, seen, &trial) <= input.now {
        failed(input, seen, memory, &trial);
    } else {
        memory.trial = Some(trial);
    }
}

/// Adds what the snapshot shows to what is known of a trial.
fn observed(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, mut trial: NetworkTrial) -> NetworkTrial {
    if seen.state() == Some(&UpdateState::Updating) {
        trial.began = seen.update_began().unwrap_or(trial.began);
    }
    let running = seen.running_with(&trial.networks);
    if running != trial.running {
        trial = NetworkTrial { running, progress_at: input.now, starting_since: None, ..trial };
    }
    let starting = seen.starting_with(&trial.networks);
    trial.starting_since = if starting.is_empty() { None } else { trial.starting_since.or(Some(input.now)) };
    task_errors::record_errors(input, &starting, &mut trial);
    trial
}

/// Whether all proxies run with the networks and Swarm no longer monitors them. If no proxy has an eligible node, there is
/// nothing to wait for.
fn has_succeeded(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, trial: &NetworkTrial) -> bool {
    if seen.has_no_task() {
        return !seen.is_under_way() && input.now.duration_since(trial.began) > input.timeout;
    }
    seen.all_run_with(&trial.networks) && !seen.is_under_way() && !seen.was_given_up(trial.began)
}

/// Whether a proxy with the networks finds no node because another service has, or would take, one of its ports: that says
/// nothing about networks.
pub(super) fn is_blocked_by_port(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, trial: &NetworkTrial) -> bool {
    let finds_no_node = || seen.starting_with(&trial.networks).iter().any(|task| task.state == TaskState::Pending);
    input.contested.is_some() && !seen.was_given_up(trial.began) && finds_no_node()
}

/// By when a proxy must run with the networks.
pub(super) fn deadline(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, trial: &NetworkTrial) -> Timestamp {
    if is_blocked_by_port(input, seen, trial) {
        return Timestamp::MAX;
    }
    let wanted = input.wanted.iter().any(|id| trial.networks.contains(id));
    let timeout = if wanted { input.timeout } else { input.timeout.min(UNWANTED_TIMEOUT) };
    if seen.all_run_with(&trial.networks) && !seen.has_no_task() {
        // Swarm is only monitoring them.
        return Timestamp::MAX;
    }
    let at_the_latest = later(trial.progress_at, timeout.saturating_add(seen.replacement_interval()));
    trial.starting_since.map_or(at_the_latest, |since| later(since, timeout))
}

/// A proxy does not start for lack of addresses on a network that proxies had before: the new networks are not to blame, and
/// are attached again when there is room.
fn held_up(
    input: &NetworkInput<'_>,
    seen: &ObservedProxies<'_>,
    memory: &mut AttachmentState,
    trial: &NetworkTrial,
    short: &BTreeSet<NetworkId>,
) {
    memory.withdrawn.extend(trial.networks.iter().cloned());
    address_shortage::withdraw(input, seen, memory, short);
}

fn succeeded(memory: &mut AttachmentState, trial: &NetworkTrial) {
    memory.settled.extend(trial.networks.iter().cloned());
    memory.quarantine.retain(|id, _| !trial.networks.contains(id));
    for part in &mut memory.parts {
        part.retain(|id| !trial.networks.contains(id));
    }
    memory.parts.retain(|part| !part.is_empty());
}

/// A single network is quarantined; several are retried in halves, immediately, as long as there are parts.
fn failed(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &mut AttachmentState, trial: &NetworkTrial) {
    memory.withdrawn.extend(trial.networks.iter().cloned());
    memory.parts.retain_mut(|part| {
        part.retain(|id| !trial.networks.contains(id));
        !part.is_empty()
    });
    // Networks that are no longer wanted are not to blame for a rollout that was interrupted.
    if trial.networks.iter().all(|id| !input.wanted.contains(id)) {
        return;
    }
    let message = task_errors::describe_failure(seen, trial);
    let networks: Vec<_> = trial.networks.iter().cloned().collect();
    match &networks[..] {
        [] => {}
        [one] => {
            for team in wanted_networks::teams(input, one) {
                memory.failures.entry(team).or_default().push(input.now);
            }
            quarantine::add(input, seen, memory, one, trial.began, message);
        }
        several => {
            let (first, second) = several.split_at(several.len() / 2);
            let halves = [first, second].map(|half| half.iter().cloned().collect::<BTreeSet<_>>());
            memory.parts.splice(0..0, halves);
        }
    }
    if !memory.parts.is_empty() {
        memory.last_update = trial.update_before;
    }
}
