//! What a pass reports about its cluster: builds the status from what the pass saw. Pure; decides nothing. Uses the
//! previous status only to keep the time of each condition's last change, and to keep showing what was known when the Swarm
//! cannot be read.

mod certificate_findings;
mod conditions;
mod engine_version;
mod lagging_proxies;
mod message_size;
mod missing_networks;
mod proxies;
mod quarantine_findings;
mod routes;

use jiff::Timestamp;

use super::desired_state;
use crate::channel::Received;
use crate::declaration::DeclaredCluster;
use crate::intent::cluster::Cluster;
use crate::networks::NetworkDecision;
use crate::plan::Plan;
use crate::protocol::messages::{Delivery, Desired};
use crate::protocol::size_limits::TooLarge;
use crate::protocol::timings::SILENT_AFTER;
use crate::report::{
    ClusterStatus, Condition, ConditionReason, ConditionStatus, ConditionType, Finding, FindingCode, Phase, ProxyTaskReport, Severity,
    Subject, WaitingOn, cases,
};
use crate::swarm::{Service, Snapshot};
use crate::translate::{Translation, note_refused_tls};

/// Everything that a pass knows at its end.
#[derive(Debug, Clone, Copy)]
pub struct StatusInput<'a> {
    /// The operator's instance name.
    pub instance: &'a str,
    /// The declared cluster.
    pub declared: &'a DeclaredCluster,
    /// The version of the declaration that is used.
    pub cluster: &'a Cluster,
    /// The Swarm as the pass saw it.
    pub snapshot: &'a Snapshot,
    /// What the extension must render.
    pub desired: &'a Desired,
    /// The newest report from the extension.
    pub report: Option<&'a Received>,
    /// What was planned, and what was held back.
    pub plan: &'a Plan,
    /// Why `desired` was not sent to the extension, if the extension could not read it.
    pub too_large: Option<TooLarge>,
    /// What services ask for.
    pub translation: &'a Translation,
    /// Which networks the proxies have, and which they wait for.
    pub networks: &'a NetworkDecision,
    /// What failed while acting.
    pub failure: Option<&'a str>,
    /// The time of the pass.
    pub now: Timestamp,
}

/// The status after a complete pass. The loop adds when a failed pass is retried.
pub fn after_pass(seen: &StatusInput<'_>, previous: Option<&ClusterStatus>) -> ClusterStatus {
    let mut proxies = proxies::list(seen);
    lagging_proxies::record_lag(seen, previous, &mut proxies);
    let mut routes = routes::list(seen, &proxies);
    certificate_findings::annotate(seen, &mut routes);
    note_refused_tls(seen.cluster, &seen.desired.table, &mut routes);
    quarantine_findings::annotate(seen, &mut routes);
    missing_networks::annotate(seen, &mut routes);
    let conditions = conditions::list(seen, &routes, &proxies);
    let accepted = seen.report.and_then(|received| received.report.accepted.as_ref());
    ClusterStatus {
        generation: seen.declared.generation,
        observed_generation: seen.declared.in_force.as_ref().map_or(0, |(generation, _)| *generation),
        engine: Some(seen.cluster.engine),
        phase: phase(seen, &conditions, &routes, lagging_proxies::extension_silent(seen, previous).is_some()),
        conditions: conditions::with_transition_times(conditions, previous, seen.now),
        routes_digest: Some(seen.desired.table.digest()),
        config_digest: accepted.map(|accepted| accepted.config_digest.clone()),
        findings: findings(seen, previous, &proxies),
        routes,
        proxies,
        rollouts: proxies::rollouts(seen),
        waiting: waiting(seen),
        error: seen.failure.map(str::to_owned),
        next_retry_at: None,
    }
}

/// The status after a pass without a snapshot: what was known, with status `Unknown` for conditions that can no longer be
/// determined.
pub fn after_failed_observation(declared: &DeclaredCluster, why: &str, previous: Option<&ClusterStatus>, now: Timestamp) -> ClusterStatus {
    let mut status = previous.cloned().unwrap_or_else(|| pending(declared, now));
    let unknown = |condition: &Condition| match condition.kind {
        ConditionType::Accepted => condition.clone(),
        _ => Condition {
            status: ConditionStatus::Unknown,
            reason: ConditionReason::SwarmUnreadable,
            message: format!("The Swarm cannot be read, so nothing is changed: {why}"),
            ..condition.clone()
        },
    };
    status.generation = declared.generation;
    status.conditions = conditions::with_transition_times(status.conditions.iter().map(unknown).collect(), previous, now);
    status.phase = if status.phase == Phase::Pending { Phase::Pending } else { Phase::Degraded };
    status.error = Some(why.to_owned());
    status
}

/// The status before the first pass, and of a cluster of which no valid version was ever seen.
pub fn pending(declared: &DeclaredCluster, now: Timestamp) -> ClusterStatus {
    let rejected = declared.in_force.is_none() && !declared.accepted;
    ClusterStatus {
        generation: declared.generation,
        observed_generation: 0,
        engine: declared.in_force.as_ref().map(|(_, cluster)| cluster.engine),
        phase: if rejected { Phase::Degraded } else { Phase::Pending },
        conditions: conditions::unknown(declared, now),
        routes_digest: None,
        config_digest: None,
        routes: Vec::new(),
        proxies: Vec::new(),
        rollouts: Vec::new(),
        waiting: Vec::new(),
        error: None,
        next_retry_at: None,
        findings: Vec::new(),
    }
}

/// The status of a cluster that is no longer declared.
pub fn removing(plan: &Plan, failure: Option<&str>, previous: Option<&ClusterStatus>) -> ClusterStatus {
    let base = previous.cloned().unwrap_or_else(|| ClusterStatus {
        generation: 0,
        observed_generation: 0,
        engine: None,
        phase: Phase::Removing,
        conditions: Vec::new(),
        routes_digest: None,
        config_digest: None,
        routes: Vec::new(),
        proxies: Vec::new(),
        rollouts: Vec::new(),
        waiting: Vec::new(),
        error: None,
        next_retry_at: None,
        findings: Vec::new(),
    });
    ClusterStatus {
        phase: Phase::Removing,
        waiting: plan.waiting.clone(),
        findings: plan.findings.clone(),
        error: failure.map(str::to_owned),
        next_retry_at: None,
        routes: Vec::new(),
        proxies: Vec::new(),
        rollouts: Vec::new(),
        ..base
    }
}

impl StatusInput<'_> {
    /// Whether proxies follow the extension, or are replaced.
    fn delivery(&self) -> Delivery {
        self.desired.delivery
    }

    /// Whether it is no longer known what the proxies run.
    fn extension_is_silent(&self) -> bool {
        self.report.is_none_or(|received| self.now.duration_since(received.at) > SILENT_AFTER)
    }

    /// One of our services, by name; another owner's service of that name is not shown.
    fn own_service(&self, name: &str) -> Option<&Service> {
        use crate::protocol::container_contract::LABEL_OWNER;
        let ours = |service: &&Service| service.labels.get(LABEL_OWNER).is_some_and(|owner| owner == self.instance);
        self.snapshot.services.values().filter(ours).find(|service| service.name == name)
    }
}

/// What the plan waits for, and the routes.
fn waiting(seen: &StatusInput<'_>) -> Vec<WaitingOn> {
    seen.plan.waiting.iter().cloned().chain(desired_state::acceptance(seen.report, seen.desired)).collect()
}

fn findings(seen: &StatusInput<'_>, previous: Option<&ClusterStatus>, proxies: &[ProxyTaskReport]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = [&seen.translation.findings[..], &seen.plan.findings].concat();
    findings.extend(engine_refused(seen));
    findings.extend(message_size::finding(seen));
    findings.extend(lagging_proxies::finding(seen, proxies));
    findings.extend(lagging_proxies::extension_silent(seen, previous));
    findings.extend(engine_version::vulnerable(seen));
    findings.extend(certificate_findings::findings(seen));
    findings.extend(quarantine_findings::findings(seen));
    findings.sort();
    findings.dedup();
    findings
}

/// The engine's own message about the newest table, if the engine refused it.
fn engine_refused(seen: &StatusInput<'_>) -> Option<Finding> {
    let refusal = seen.report?.report.refused.as_ref().filter(|refusal| refusal.digest == seen.desired.digest)?;
    let subject = Subject::Cluster(seen.cluster.name.to_string());
    if refusal.too_large {
        return Some(message_size::refused(seen, &refusal.message));
    }
    if refusal.undecided {
        return Some(Finding::new(
            cases::EngineUnavailable,
            subject,
            format!(
                "The newest configuration could not be tested ({}); the test is retried, and the last good configuration stays in use.",
                refusal.message.trim()
            ),
        ));
    }
    Some(Finding::new(
        cases::EngineRefused,
        subject,
        format!("The engine refused the newest configuration, so the last good one stays in use: {}", refusal.message.trim()),
    ))
}

fn phase(seen: &StatusInput<'_>, conditions: &[Condition], routes: &[crate::report::RouteReport], extension_is_silent: bool) -> Phase {
    let is = |kind: ConditionType, wanted: ConditionStatus| {
        conditions.iter().any(|condition| condition.kind == kind && condition.status == wanted)
    };
    let stuck = [
        ConditionReason::EngineRefused,
        ConditionReason::EngineUnavailable,
        ConditionReason::MessageTooLarge,
        ConditionReason::ProxiesNotFollowing,
        ConditionReason::RolloutFailed,
        ConditionReason::InvalidDocument,
        ConditionReason::Failed,
    ];
    let needs_somebody = conditions.iter().any(|condition| condition.status != ConditionStatus::True && stuck.contains(&condition.reason));
    let foreign =
        seen.plan.waiting.iter().any(|waiting| matches!(waiting, WaitingOn::ForeignObject { .. } | WaitingOn::MissingNetwork { .. }));
    let contested =
        seen.plan.findings.iter().any(|finding| finding.code == FindingCode::HostPortContested && finding.severity == Severity::Error);
    // Those that wait for their turn are counted as in progress.
    let left = seen.networks.memory.quarantine.keys().any(|id| seen.networks.missing.contains_key(id));
    if is(ConditionType::Ready, ConditionStatus::True) {
        Phase::Ready
    } else if needs_somebody || foreign || contested || extension_is_silent || left || routes::any_is_dead(routes) {
        Phase::Degraded
    } else {
        Phase::Progressing
    }
}

#[cfg(test)]
mod tests;
