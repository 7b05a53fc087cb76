//! Swarm's messages about proxies that do not come up: the most useful information for the authors of services. Other users
//! can influence these messages, so they are shortened, and addresses outside of the tried networks are removed.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

use super::observation::{ObservedProxies, networks_of};
use super::{NetworkInput, NetworkTrial, TaskFailure};
use crate::swarm::Task;
use crate::types::{NetworkId, TaskState, excerpt};

/// Swarm's message is cut to this length.
const CHARS_MAX: usize = 200;
/// The maximum difference between the managers' clocks and the operator's.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(5);
/// Replaces addresses that do not concern the reader.
const SOME_ADDRESS: &str = "(an address)";

/// Records the messages about proxies that start with the networks of a trial, and about those that failed with them.
pub(super) fn record_errors(input: &NetworkInput<'_>, starting: &[&Task], trial: &mut NetworkTrial) {
    let subnets: Vec<IpNet> = trial.networks.iter().flat_map(|id| subnets(input, id)).collect();
    if let Some(message) = of_tasks(starting) {
        trial.message = cut(&message, &subnets);
    }
    let failed = input
        .ended
        .into_iter()
        .flatten()
        .filter(|task| is_of(task, trial))
        .map(|task| (failed_at(task), task))
        .max_by_key(|(at, task)| (*at, &task.id));
    if let Some((at, task)) = failed.filter(|(at, _)| trial.last_failure.as_ref().is_none_or(|last| last.at <= *at)) {
        trial.last_failure = of_tasks(&[task]).map(|message| TaskFailure { at, message: cut(&message, &subnets) });
    }
}

/// The explanation of a failed trial: why a proxy failed, or else what kept one from starting, and why Swarm gave it up.
pub(super) fn describe_failure(seen: &ObservedProxies<'_>, trial: &NetworkTrial) -> String {
    let given_up = if seen.was_given_up(trial.began) { cut(seen.update_message(), &[]) } else { String::new() };
    let of_proxies = trial.last_failure.as_ref().map_or(trial.message.as_str(), |last| last.message.as_str());
    let both: Vec<&str> = [of_proxies, &given_up].into_iter().filter(|message| !message.is_empty()).collect();
    excerpt(&both.join("; "), CHARS_MAX)
}

/// The message, shortened and without addresses of other networks.
fn cut(message: &str, subnets: &[IpNet]) -> String {
    excerpt(&without_addresses(message, subnets), CHARS_MAX)
}

/// Whether a proxy failed that had some of this trial's networks.
fn is_of(task: &Task, trial: &NetworkTrial) -> bool {
    let failed = matches!(task.state, TaskState::Failed | TaskState::Rejected | TaskState::Orphaned);
    let fresh = task.created_at.checked_add(CLOCKS_DIFFER).is_ok_and(|at| at >= trial.began);
    failed && fresh && !trial.networks.is_disjoint(&networks_of(task))
}

fn failed_at(task: &Task) -> Timestamp {
    task.state_since.unwrap_or(task.created_at)
}

fn of_tasks(tasks: &[&Task]) -> Option<String> {
    let about = |task: &&Task| {
        let message = if task.error.is_empty() { &task.message } else { &task.error };
        if message.is_empty() || message == task.state.as_str() { task.state.to_string() } else { format!("{}: {message}", task.state) }
    };
    let all: BTreeSet<String> = tasks.iter().map(about).collect();
    (!all.is_empty()).then(|| all.into_iter().collect::<Vec<_>>().join("; "))
}

fn subnets(input: &NetworkInput<'_>, id: &NetworkId) -> Vec<IpNet> {
    let network = input.snapshot.networks.get(id);
    network.into_iter().flat_map(|network| &network.subnets).map(|subnet| subnet.net).collect()
}

/// The message without any address of another network.
fn without_addresses(message: &str, subnets: &[IpNet]) -> String {
    let is_of_an_address = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '/' | '[' | ']');
    let mut cleaned = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(start) = rest.find(is_of_an_address) {
        let (before, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|c| !is_of_an_address(c)).unwrap_or(from.len()));
        cleaned.push_str(before);
        // An address may be followed by punctuation.
        let bare = word.trim_end_matches(['.', ':', '/']);
        let others = address(bare).is_some_and(|address| !subnets.iter().any(|subnet| subnet.contains(&address)));
        cleaned.push_str(if others { SOME_ADDRESS } else { bare });
        cleaned.push_str(&word[bare.len()..]);
        rest = after;
    }
    cleaned + rest
}

/// The address that a word represents, with a port, with a prefix length, or alone.
fn address(word: &str) -> Option<IpAddr> {
    let ip = || word.parse::<IpAddr>().ok();
    let net = || word.parse::<IpNet>().ok().map(|net| net.addr());
    let socket = || word.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    ip().or_else(net).or_else(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_other_networks_are_removed() {
        let own: Vec<IpNet> = vec!["10.0.9.0/24".parse().unwrap()];
        let cleaned = |message: &str| without_addresses(message, &own);
        assert_eq!(cleaned("no free address in 10.0.9.0/24: 10.0.9.7 is taken."), "no free address in 10.0.9.0/24: 10.0.9.7 is taken.");
        assert_eq!(
            cleaned("overlaps with 192.168.4.0/24, dial tcp 192.168.4.9:2377: refused"),
            "overlaps with (an address), dial tcp (an address): refused"
        );
        assert_eq!(cleaned("[fd00::1]:53 and fd00::/8 and fd00::1%eth0"), "(an address) and (an address) and (an address)%eth0");
        let plain = "task: non-zero exit (1): dockerexec: unhealthy container abc123.def, a/b at 12:30:01";
        assert_eq!(cleaned(plain), plain);
    }
}
