//! The conditions of a cluster: each with its status and the reason.

use jiff::Timestamp;

use super::StatusInput;
use crate::channel::Received;
use crate::declaration::DeclaredCluster;
use crate::report::{
    ClusterStatus, Condition, ConditionReason, ConditionStatus, ConditionType, PROXIES, ProxyTaskReport, ROUTES, RouteReport, RouteState,
    WaitingOn, number, share,
};
use crate::translate::is_closed;

/// How many names a message lists before it gives only the number of the others.
const NAMES_MAX: usize = 5;

/// The message for a cluster whose document was invalid from the start.
const NOTHING_IN_FORCE: &str = "The document is invalid, and this operator has seen no good version of it: nothing is published or changed \
                                for this cluster, and running proxies keep their configuration.";

/// Status, reason, message.
type ConditionValue = (ConditionStatus, ConditionReason, String);

/// All conditions, without times yet.
pub fn list(seen: &StatusInput<'_>, routes: &[RouteReport], proxies: &[ProxyTaskReport]) -> Vec<Condition> {
    let answers = [
        (ConditionType::Accepted, accepted(seen.declared)),
        (ConditionType::FleetConverged, fleet_converged(seen)),
        (ConditionType::Programmed, programmed(seen, proxies)),
        (ConditionType::RoutesServed, routes_served(routes)),
    ];
    let mut conditions: Vec<Condition> = answers.into_iter().map(|(kind, answer)| condition(kind, answer)).collect();
    conditions.push(ready(&conditions));
    conditions
}

/// All conditions before anything is known.
pub fn unknown(declared: &DeclaredCluster, now: Timestamp) -> Vec<Condition> {
    let never_good = declared.in_force.is_none() && !declared.accepted;
    let (reason, message) = if never_good {
        (ConditionReason::InvalidDocument, NOTHING_IN_FORCE)
    } else {
        (ConditionReason::Progressing, "This cluster has not been reconciled yet.")
    };
    let untold = || (ConditionStatus::Unknown, reason.clone(), message.to_owned());
    let rest = [ConditionType::FleetConverged, ConditionType::Programmed, ConditionType::RoutesServed]
        .into_iter()
        .map(|kind| condition(kind, untold()));
    let mut all: Vec<Condition> = std::iter::once(condition(ConditionType::Accepted, accepted(declared))).chain(rest).collect();
    all.push(ready(&all));
    with_transition_times(all, None, now)
}

/// Sets the time since which each condition has had its status.
pub fn with_transition_times(mut conditions: Vec<Condition>, previous: Option<&ClusterStatus>, now: Timestamp) -> Vec<Condition> {
    for condition in &mut conditions {
        let before = previous.into_iter().flat_map(|status| &status.conditions).find(|before| before.kind == condition.kind);
        condition.last_transition_time = match before {
            Some(before) if before.status == condition.status => before.last_transition_time,
            _ => now,
        };
    }
    conditions
}

fn condition(kind: ConditionType, (status, reason, message): ConditionValue) -> Condition {
    Condition { kind, status, reason, message, last_transition_time: Timestamp::UNIX_EPOCH }
}

fn holds(message: impl Into<String>) -> ConditionValue {
    (ConditionStatus::True, ConditionReason::AsDeclared, message.into())
}

fn fails(reason: ConditionReason, message: impl Into<String>) -> ConditionValue {
    (ConditionStatus::False, reason, message.into())
}

fn accepted(declared: &DeclaredCluster) -> ConditionValue {
    match (&declared.in_force, declared.accepted) {
        (Some(_), true) => holds("The document is valid and in use."),
        (Some((generation, _)), false) => {
            fails(ConditionReason::InvalidDocument, format!("The newest document cannot be used; version {generation} stays in use."))
        }
        (None, _) => fails(ConditionReason::InvalidDocument, NOTHING_IN_FORCE),
    }
}

fn fleet_converged(seen: &StatusInput<'_>) -> ConditionValue {
    if let Some(failure) = seen.failure {
        return fails(ConditionReason::Failed, failure);
    }
    let failed_rollout = seen.plan.waiting.iter().find(|waiting| matches!(waiting, WaitingOn::FailedRollout { .. }));
    if let Some(waiting) = failed_rollout {
        return fails(ConditionReason::RolloutFailed, format!("Waiting for {waiting}."));
    }
    if !seen.plan.steps.is_empty() {
        return fails(
            ConditionReason::Progressing,
            format!("Executed: {}.", names(seen.plan.steps.iter().map(crate::plan::PlanStep::title))),
        );
    }
    if !seen.plan.waiting.is_empty() {
        return fails(ConditionReason::Waiting, format!("Waiting for {}.", names(seen.plan.waiting.iter().map(ToString::to_string))));
    }
    holds("Services, configs, secrets and networks are as declared.")
}

fn programmed(seen: &StatusInput<'_>, proxies: &[ProxyTaskReport]) -> ConditionValue {
    match seen.report {
        None => fails(ConditionReason::ExtensionSilent, "The extension has not reported yet; proxies keep their configuration."),
        Some(received) if seen.extension_is_silent() => {
            let message = format!("The extension has not reported since {:.0}; proxies keep their configuration.", received.at);
            (ConditionStatus::Unknown, ConditionReason::ExtensionSilent, message)
        }
        Some(received) => by_report(seen, received, proxies),
    }
}

fn by_report(seen: &StatusInput<'_>, received: &Received, proxies: &[ProxyTaskReport]) -> ConditionValue {
    let wanted = &seen.desired.digest;
    let report = &received.report;
    if let Some(fault) = seen.too_large {
        return fails(
            ConditionReason::MessageTooLarge,
            format!("The newest routes are not sent to the extension: {fault}. The previous routes stay in use."),
        );
    }
    match report.refused.as_ref().filter(|refusal| refusal.digest == *wanted) {
        Some(refusal) if refusal.undecided => {
            let message = format!(
                "The newest configuration could not be tested ({}); the test is retried, and the last good one stays in use.",
                refusal.message
            );
            return fails(ConditionReason::EngineUnavailable, message);
        }
        Some(refusal) if refusal.too_large => {
            let message = format!("The newest configuration is not distributed: {}. The last good one stays in use.", refusal.message);
            return fails(ConditionReason::MessageTooLarge, message);
        }
        Some(_) => {
            return fails(ConditionReason::EngineRefused, "The engine refused the newest configuration; the last good one stays in use.");
        }
        None => {}
    }
    let stuck = proxies.iter().filter(|proxy| proxy.stuck).map(|proxy| format!("{} on {}", proxy.task, proxy.node));
    if proxies.iter().any(|proxy| proxy.stuck) {
        return fails(ConditionReason::ProxiesNotFollowing, format!("Proxies do not apply new configurations: {}.", names(stuck)));
    }
    if report.accepted.as_ref().is_none_or(|accepted| accepted.desired_digest != *wanted) {
        return fails(ConditionReason::Progressing, "The extension is rendering and testing the newest routes.");
    }
    let running: Vec<&ProxyTaskReport> = proxies.iter().filter(|proxy| super::proxies::is_running(proxy)).collect();
    let named = |proxies: Vec<&&ProxyTaskReport>| {
        let title = |proxy: &&&ProxyTaskReport| format!("{} on {}{}", proxy.task, proxy.node, doing(proxy));
        proxies.iter().map(title).collect::<Vec<_>>()
    };
    let on_names = named(running.iter().filter(|proxy| super::proxies::is_on_names(proxy)).collect());
    let is_behind = |proxy: &&&ProxyTaskReport| proxy.up_to_date == Some(false) && !super::proxies::is_on_names(proxy);
    let behind = named(running.iter().filter(is_behind).collect());
    let silent = named(running.iter().filter(|proxy| super::proxies::is_silent(proxy)).collect());
    if running.is_empty() {
        return fails(ConditionReason::NoProxies, "No proxy task is running.");
    }
    if !behind.is_empty() {
        let (share, run) = (share(behind.len(), running.len(), &PROXIES), number(behind.len(), "runs", "run"));
        let message = format!("{share} {run} another configuration: {}.", names(behind.into_iter()));
        return fails(ConditionReason::ProxiesBehind, message);
    }
    if !on_names.is_empty() {
        let (share, find) = (share(on_names.len(), running.len(), &PROXIES), number(on_names.len(), "finds", "find"));
        let message = format!(
            "{share} {find} endpoints by name, because addresses have not been confirmed for longer than settings.controlPlaneTimeout: {}. \
             Addresses are used again once they have been confirmed for a few seconds.",
            names(on_names.into_iter())
        );
        return fails(ConditionReason::ProxiesOnNames, message);
    }
    if !silent.is_empty() {
        let (share, have) = (share(silent.len(), running.len(), &PROXIES), number(silent.len(), "has", "have"));
        let message = format!("{share} {have} not reported: {}.", names(silent.into_iter()));
        return fails(ConditionReason::ProxiesSilent, message);
    }
    holds(all_current(running.len()))
}

fn all_current(proxies: usize) -> String {
    match proxies {
        1 => "The only proxy runs the newest configuration.".to_owned(),
        all => format!("All {all} proxies run the newest configuration."),
    }
}

fn doing(proxy: &ProxyTaskReport) -> String {
    proxy.activity.as_ref().map_or_else(String::new, |activity| format!(" ({activity})"))
}

/// Whether a property holds for a route.
type RoutePredicate = fn(&RouteReport) -> bool;

/// Why routes are not served, the first that applies: for one route, and for several.
const OBSTACLES: [(RoutePredicate, ConditionReason, &str, &str); 6] = [
    (
        |route| route.state == RouteState::NoEndpoints && !is_closed(route),
        ConditionReason::NoEndpoints,
        "has no endpoint",
        "have no endpoint",
    ),
    (
        is_closed,
        ConditionReason::Closed,
        "is closed, because a label of its service looks like access control",
        "are closed, because labels of their services look like access control",
    ),
    (
        |route| route.state == RouteState::OverLimit,
        ConditionReason::LimitExceeded,
        "exceeds spec.limits and answers 503",
        "exceed spec.limits and answer 503",
    ),
    (
        |route| route.state == RouteState::Unverifiable,
        ConditionReason::NoValidCa,
        "answers 503 because the CA of its application cannot be used",
        "answer 503 because the CA of their applications cannot be used",
    ),
    (
        |route| route.state == RouteState::Quarantined,
        ConditionReason::Quarantined,
        "is left out because the engine refuses it, and answers 503",
        "are left out because the engine refuses them, and answer 503",
    ),
    (
        super::routes::waits_for_network,
        ConditionReason::NetworkMissing,
        "answers 503 because the proxies are not attached to its network",
        "answer 503 because the proxies are not attached to their networks",
    ),
];

fn routes_served(routes: &[RouteReport]) -> ConditionValue {
    if routes.is_empty() {
        return (ConditionStatus::True, ConditionReason::NoRoutes, "No service publishes a route in this cluster.".to_owned());
    }
    for (is_so, reason, one, several) in OBSTACLES {
        let addresses: Vec<String> = routes.iter().filter(|route| is_so(route)).map(RouteReport::address).collect();
        if !addresses.is_empty() {
            let (share, state) = (share(addresses.len(), routes.len(), &ROUTES), number(addresses.len(), one, several));
            return fails(reason, format!("{share} {state}: {}.", names(addresses.into_iter())));
        }
    }
    holds(match routes.len() {
        1 => "The only route has endpoints.".to_owned(),
        all => format!("All {all} routes have endpoints."),
    })
}

/// Summarizes all others: the first that does not hold gives the reason.
fn ready(others: &[Condition]) -> Condition {
    let obstacle = others.iter().find(|condition| condition.status != ConditionStatus::True);
    let Some(obstacle) = obstacle else { return condition(ConditionType::Ready, holds("Everything is as declared.")) };
    let message = format!("{}: {}", obstacle.kind, obstacle.message);
    Condition { kind: ConditionType::Ready, message, ..obstacle.clone() }
}

/// The first few names, and the number of the others.
fn names(all: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = all.collect();
    let shown = all.iter().take(NAMES_MAX).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > NAMES_MAX { format!("{shown} and {} more", all.len() - NAMES_MAX) } else { shown }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::{names, unknown, with_transition_times};
    use crate::controller::status::{after_failed_observation, pending};
    use crate::declaration::DeclaredCluster;
    use crate::report::{Condition, ConditionReason, ConditionStatus, ConditionType};

    const NEVER_GOOD: DeclaredCluster = DeclaredCluster { generation: 1, in_force: None, accepted: false, label: None };

    fn with_status(conditions: &[Condition], status: ConditionStatus) -> Vec<Condition> {
        conditions.iter().map(|condition| Condition { status, ..condition.clone() }).collect()
    }

    #[test]
    fn the_time_of_a_condition_changes_only_with_its_status() {
        let start = Timestamp::UNIX_EPOCH;
        let later = start + SignedDuration::from_secs(60);
        let mut before = pending(&NEVER_GOOD, start);
        before.conditions = with_transition_times(with_status(&before.conditions, ConditionStatus::True), None, start);
        let same = with_transition_times(with_status(&before.conditions, ConditionStatus::True), Some(&before), later);
        assert!(same.iter().all(|condition| condition.last_transition_time == start));
        let other = with_transition_times(with_status(&before.conditions, ConditionStatus::False), Some(&before), later);
        assert!(other.iter().all(|condition| condition.last_transition_time == later));
    }

    #[test]
    fn a_cluster_without_a_valid_document_has_every_condition() {
        let conditions = unknown(&NEVER_GOOD, Timestamp::UNIX_EPOCH);
        let kinds: Vec<&str> = conditions.iter().map(|condition| condition.kind.as_str()).collect();
        assert_eq!(kinds, ["Accepted", "FleetConverged", "Programmed", "RoutesServed", "Ready"]);
        assert_eq!((conditions[0].status, conditions[0].reason.clone()), (ConditionStatus::False, ConditionReason::InvalidDocument));
        for condition in &conditions {
            assert!(condition.message.contains("no good version") && condition.reason == ConditionReason::InvalidDocument, "{condition:?}");
        }
    }

    #[test]
    fn without_a_snapshot_all_conditions_but_accepted_become_unknown() {
        let before = pending(&NEVER_GOOD, Timestamp::UNIX_EPOCH);
        let without_observation = after_failed_observation(&NEVER_GOOD, "connection refused", Some(&before), Timestamp::UNIX_EPOCH);
        for condition in &without_observation.conditions {
            let document = condition.kind == ConditionType::Accepted;
            assert_eq!(condition.reason == ConditionReason::SwarmUnreadable, !document, "{condition:?}");
        }
        assert_eq!(without_observation.error.as_deref(), Some("connection refused"));
    }

    #[test]
    fn long_lists_are_truncated_and_show_how_many_more_there_are() {
        let all = (0..8).map(|n| n.to_string());
        assert_eq!(names(all), "0, 1, 2, 3, 4 and 3 more");
    }
}
