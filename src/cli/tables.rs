//! The status as tables for a terminal. Shows the report's own wording and adds none. Invisible characters in untrusted
//! text (hosts, Swarm's messages) are escaped, so that a label cannot steer the terminal.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

use crate::report::{ClusterStatus, ConditionStatus, ConditionType, EndpointReport, EndpointState, Finding, ProxyTaskReport, StatusReport};
use crate::types::{EngineKind, visible_lines};

/// The whole report.
pub fn status(status: &StatusReport) -> String {
    let mut parts = vec![operator(status), clusters(status)];
    for (name, cluster) in &status.clusters {
        parts.extend(cluster_parts(name, cluster));
    }
    parts.push(findings("FINDINGS outside clusters", &status.findings));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

fn operator(status: &StatusReport) -> String {
    let operator = &status.operator;
    let swarm = match (&operator.snapshot_error, operator.last_snapshot_at) {
        (Some(error), _) => format!("CANNOT BE READ ({error})"),
        (None, Some(at)) => format!("read at {at:.0}"),
        (None, None) => "not read yet".to_owned(),
    };
    let events = if operator.events_alive { "alive" } else { "lost, polling continues" };
    clean(&format!(
        "swarmgate {}  instance {}  swarm {swarm}  events {events}  writes {}",
        operator.version, operator.instance, operator.writes_total
    ))
}

fn clusters(status: &StatusReport) -> String {
    let rows = status.clusters.iter().map(|(name, cluster)| {
        let current = cluster.proxies.iter().filter(|proxy| proxy.up_to_date == Some(true)).count();
        vec![
            name.clone(),
            cluster.engine.map_or("-", EngineKind::as_str).to_owned(),
            format!("{:?}", cluster.phase),
            format!("{}/{}", cluster.observed_generation, cluster.generation),
            cluster.routes.len().to_string(),
            format!("{current}/{}", cluster.proxies.len()),
            conditions(cluster),
        ]
    });
    table("CLUSTERS", &["NAME", "ENGINE", "PHASE", "GENERATION", "ROUTES", "PROXIES", "UNMET CONDITIONS"], rows)
}

fn conditions(cluster: &ClusterStatus) -> String {
    let untrue =
        cluster.conditions.iter().filter(|condition| condition.status != ConditionStatus::True && condition.kind != ConditionType::Ready);
    let lines: Vec<String> = untrue.map(|condition| format!("{}: {} ({})", condition.kind, condition.message, condition.reason)).collect();
    if lines.is_empty() { "-".to_owned() } else { lines.join("\n") }
}

fn cluster_parts(name: &str, cluster: &ClusterStatus) -> Vec<String> {
    let waiting = cluster.waiting.iter().map(|waiting| vec![waiting.to_string()]);
    let error = cluster.error.iter().map(|error| {
        let retry = cluster.next_retry_at.map_or_else(String::new, |at| format!(" (next attempt at {at:.0})"));
        vec![format!("{error}{retry}")]
    });
    vec![
        table(&format!("{name}: ERROR"), &[], error),
        routes(name, cluster),
        proxies(name, cluster),
        rollouts(name, cluster),
        table(&format!("{name}: WAITING FOR"), &[], waiting),
        findings(&format!("{name}: FINDINGS"), &cluster.findings),
    ]
}

fn routes(name: &str, cluster: &ClusterStatus) -> String {
    let rows = cluster.routes.iter().map(|route| {
        let endpoints: Vec<String> = route.services.iter().flat_map(|service| &service.endpoints).map(endpoint).collect();
        vec![route.address(), route.outcome(), route.tls_summary(), route.service_titles().join("\n"), endpoints.join("\n")]
    });
    table(&format!("{name}: ROUTES"), &["ROUTE", "STATE", "TLS", "SERVICES", "ENDPOINTS"], rows)
}

fn endpoint(endpoint: &EndpointReport) -> String {
    let node = endpoint.node.as_ref().map_or_else(String::new, |node| format!(" on {node}"));
    match endpoint.state {
        EndpointState::Active => format!("{}{node}", endpoint.address),
        EndpointState::Excluded => {
            let position = if endpoint.address.is_empty() { &endpoint.task } else { &endpoint.address };
            format!("{position}{node} excluded: {}", endpoint.reason.as_deref().unwrap_or("-"))
        }
    }
}

fn proxies(name: &str, cluster: &ClusterStatus) -> String {
    let rows = cluster.proxies.iter().map(|proxy| {
        vec![
            proxy.task.clone(),
            proxy.node.clone(),
            proxy.state.to_string(),
            proxy.running_digest.as_ref().map_or("-", |digest| digest.short()).to_owned(),
            newest(proxy),
            proxy.reload_summary(),
            proxy.lag_reason().unwrap_or("-").to_owned(),
        ]
    });
    table(&format!("{name}: PROXIES"), &["TASK", "NODE", "STATE", "RUNS", "NEWEST", "RELOADS", "OBSTACLE"], rows)
}

fn newest(proxy: &ProxyTaskReport) -> String {
    if proxy.up_to_date.is_some() && proxy.is_on_names() {
        return "by name".to_owned();
    }
    match (proxy.up_to_date, proxy.seen_at) {
        (Some(true), _) => "yes".to_owned(),
        (Some(false), _) => "no".to_owned(),
        (None, Some(at)) => format!("unknown, last report at {at:.0}"),
        (None, None) => "unknown, no report yet".to_owned(),
    }
}

fn rollouts(name: &str, cluster: &ClusterStatus) -> String {
    let rows = cluster.rollouts.iter().map(|rollout| {
        vec![
            rollout.service.clone(),
            format!("{}/{}", rollout.running, rollout.desired),
            rollout.state.to_string(),
            rollout.message.clone(),
        ]
    });
    table(&format!("{name}: SERVICES"), &["SERVICE", "RUNNING", "LAST UPDATE", "MESSAGE"], rows)
}

fn findings(title: &str, findings: &[Finding]) -> String {
    let rows = findings.iter().map(|finding| {
        let position = match (&finding.field, &finding.value) {
            (Some(field), Some(value)) => format!("{} {field} = {value}", finding.subject),
            (Some(field), None) => format!("{} {field}", finding.subject),
            _ => finding.subject.to_string(),
        };
        vec![
            format!("{:?}", finding.severity).to_lowercase(),
            finding.code.to_string(),
            position,
            format!("{}\n-> {}", finding.message, finding.remedy),
        ]
    });
    table(title, &["SEVERITY", "CODE", "ABOUT", "PROBLEM AND REMEDY"], rows)
}

/// A titled table; nothing if it has no rows.
fn table(title: &str, head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let rows: Vec<Vec<String>> = rows.map(|cells| cells.iter().map(|cell| clean(cell)).collect()).collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).add_rows(rows);
    if !head.is_empty() {
        table.set_header(head.iter().copied());
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    format!("{}\n{}", clean(title), lines.join("\n"))
}

/// Makes each invisible character visible, except our own line breaks.
fn clean(text: &str) -> String {
    visible_lines(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_escaped() {
        let text = table("T\u{202e}", &["HEAD"], std::iter::once(vec!["app\u{200b}\u{3164}\u{1b}[31m\nnext\u{9b}2J".to_owned()]));
        assert!(text.contains("T\\u{202e}") && text.contains("app\\u{200b}\\u{3164}\\u{1b}[31m"), "{text}");
        assert!(text.lines().any(|line| line.trim() == "next\\u{9b}2J"), "{text}");
    }
}
