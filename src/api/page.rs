//! The status as a plain HTML page: no scripts, no external assets, reloads itself. The template (`page.html`) escapes
//! everything that it receives, because it is untrusted: hosts, service names, label values, Swarm's messages. Nothing here
//! writes HTML.

use std::sync::LazyLock;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use crate::report::{
    ClusterStatus, Condition, ConditionStatus, ConditionType, EndpointReport, EndpointState, Finding, Phase, ProxyTaskReport, RouteReport,
    RouteState, ServiceReport, Severity, StatusReport,
};
use crate::types::EngineKind;

/// How often the page reloads itself.
const RELOAD_SECONDS: u32 = 5;
const TEMPLATE: &str = include_str!("page.html");

const NAME: &str = "page.html";

static ENVIRONMENT: LazyLock<Result<Environment<'static>, minijinja::Error>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_template(NAME, TEMPLATE)?;
    Ok(environment)
});

/// The whole page.
pub fn render(status: &StatusReport) -> String {
    let rendered = match &*ENVIRONMENT {
        Ok(environment) => {
            environment.get_template(NAME).and_then(|template| template.render(Serde(page(status)))).map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    rendered.unwrap_or_else(|error| {
        // Cannot happen with a template that the tests have rendered; nothing of the status is shown then.
        tracing::error!(error, "cannot render the status page");
        "<!doctype html><title>Swarmgate</title><p>The page cannot be rendered. See <a href=\"status\">/status</a>.</p>\n".to_owned()
    })
}

/// A text and its style class.
#[derive(Serialize)]
struct Styled {
    class: &'static str,
    text: String,
}

impl Styled {
    fn new(class: &'static str, text: impl Into<String>) -> Self {
        Self { class, text: text.into() }
    }
}

/// The template's input.
#[derive(Serialize)]
struct Page {
    reload_seconds: u32,
    operator: OperatorLine,
    clusters: Vec<ClusterSection>,
    findings_outside: Vec<FindingRow>,
}

#[derive(Serialize)]
struct OperatorLine {
    version: String,
    instance: String,
    swarm: Styled,
    events: &'static str,
    writes: u64,
    generated_at: String,
}

#[derive(Serialize)]
struct ClusterSection {
    name: String,
    engine: &'static str,
    phase: Styled,
    error: Option<String>,
    /// Conditions that are not true, so that an unhealthy cluster is easy to spot.
    untrue: Vec<String>,
    current_proxies: usize,
    conditions: Vec<ConditionRow>,
    waiting: Vec<String>,
    findings: Vec<FindingRow>,
    routes: Vec<RouteRow>,
    proxies: Vec<ProxyRow>,
    rollouts: Vec<RolloutRow>,
}

#[derive(Serialize)]
struct ConditionRow {
    kind: String,
    status: Styled,
    reason: String,
    message: String,
    since: String,
}

#[derive(Serialize)]
struct FindingRow {
    severity: Styled,
    code: String,
    subject: String,
    field: String,
    message: String,
    remedy: String,
}

#[derive(Serialize)]
struct RouteRow {
    address: String,
    outcome: Styled,
    tls: String,
    services: Vec<String>,
    endpoints: Vec<Styled>,
}

#[derive(Serialize)]
struct ProxyRow {
    task: String,
    node: String,
    state: String,
    digest: String,
    newest: Styled,
    seen_ago: Option<String>,
    reloads: String,
    obstacle: String,
}

#[derive(Serialize)]
struct RolloutRow {
    service: String,
    running: String,
    state: String,
    message: String,
}

fn page(status: &StatusReport) -> Page {
    Page {
        reload_seconds: RELOAD_SECONDS,
        operator: operator(status),
        clusters: status.clusters.iter().map(|(name, cluster)| section(name, cluster)).collect(),
        findings_outside: findings(&status.findings),
    }
}

fn operator(status: &StatusReport) -> OperatorLine {
    let operator = &status.operator;
    let swarm = match (&operator.snapshot_error, operator.last_snapshot_at) {
        (Some(error), _) => Styled::new("bad", format!("cannot be read: {error}")),
        (None, Some(at)) => Styled::new("good", format!("read at {at:.0}")),
        (None, None) => Styled::new("meh", "not read yet"),
    };
    OperatorLine {
        version: operator.version.clone(),
        instance: operator.instance.clone(),
        swarm,
        events: if operator.events_alive { "alive" } else { "lost (polling continues)" },
        writes: operator.writes_total,
        generated_at: format!("{:.0}", status.generated_at),
    }
}

fn section(name: &str, cluster: &ClusterStatus) -> ClusterSection {
    let untrue =
        cluster.conditions.iter().filter(|condition| condition.status != ConditionStatus::True && condition.kind != ConditionType::Ready);
    ClusterSection {
        name: name.to_owned(),
        engine: cluster.engine.map_or("-", EngineKind::as_str),
        phase: phase(cluster.phase),
        error: cluster.error.clone(),
        untrue: untrue.map(|condition| format!("{}: {}", condition.kind.as_str(), condition.message)).collect(),
        current_proxies: cluster.proxies.iter().filter(|proxy| proxy.up_to_date == Some(true)).count(),
        conditions: cluster.conditions.iter().map(condition).collect(),
        waiting: cluster.waiting.iter().map(ToString::to_string).collect(),
        findings: findings(&cluster.findings),
        routes: cluster.routes.iter().map(route).collect(),
        proxies: cluster.proxies.iter().map(proxy).collect(),
        rollouts: rollouts(cluster),
    }
}

fn phase(phase: Phase) -> Styled {
    let class = match phase {
        Phase::Ready => "good",
        Phase::Degraded => "bad",
        Phase::Pending | Phase::Progressing | Phase::Removing => "meh",
    };
    Styled::new(class, format!("{phase:?}"))
}

fn condition(condition: &Condition) -> ConditionRow {
    let class = match condition.status {
        ConditionStatus::True => "good",
        ConditionStatus::False => "bad",
        ConditionStatus::Unknown => "meh",
    };
    ConditionRow {
        kind: condition.kind.as_str().to_owned(),
        status: Styled::new(class, format!("{:?}", condition.status)),
        reason: condition.reason.as_str().to_owned(),
        message: condition.message.clone(),
        since: format!("{:.0}", condition.last_transition_time),
    }
}

fn route(route: &RouteReport) -> RouteRow {
    let class = match route.state {
        RouteState::Served if !route.is_answered() => "bad",
        RouteState::Served => "good",
        RouteState::NoEndpoints | RouteState::OverLimit | RouteState::Quarantined | RouteState::Unverifiable => "bad",
        RouteState::Pending | RouteState::Unknown => "meh",
    };
    let endpoints = route.services.iter().flat_map(|service| service.endpoints.iter().map(move |found| endpoint(service, found)));
    RouteRow {
        address: route.address(),
        outcome: Styled::new(class, route.outcome()),
        tls: route.tls_summary(),
        services: route.service_titles(),
        endpoints: endpoints.collect(),
    }
}

fn endpoint(service: &ServiceReport, endpoint: &EndpointReport) -> Styled {
    let node = endpoint.node.as_deref().map_or_else(String::new, |node| format!(" on {node}"));
    let address = if endpoint.address.is_empty() { &endpoint.task } else { &endpoint.address };
    let address = format!("{} {address}{node}", service.service);
    match endpoint.state {
        EndpointState::Active => Styled::new("good", address),
        EndpointState::Excluded => Styled::new("meh", format!("{address}: {}", endpoint.reason.as_deref().unwrap_or("excluded"))),
    }
}

fn proxy(proxy: &ProxyTaskReport) -> ProxyRow {
    let (newest, seen_ago) = newest(proxy);
    ProxyRow {
        task: proxy.task.clone(),
        node: proxy.node.clone(),
        state: proxy.state.to_string(),
        digest: proxy.running_digest.as_ref().map_or_else(|| "-".to_owned(), |digest| digest.short().to_owned()),
        newest,
        seen_ago,
        reloads: proxy.reload_summary(),
        obstacle: proxy.lag_reason().unwrap_or_default().to_owned(),
    }
}

/// Whether a proxy runs the newest configuration; if unknown, when it last reported.
fn newest(proxy: &ProxyTaskReport) -> (Styled, Option<String>) {
    if proxy.up_to_date.is_some() && proxy.is_on_names() {
        return (Styled::new("meh", "by name"), None);
    }
    match (proxy.up_to_date, proxy.seen_at) {
        (Some(true), _) => (Styled::new("good", "yes"), None),
        (Some(false), _) => (Styled::new("bad", "no"), None),
        (None, Some(at)) => (Styled::new("meh", "unknown"), Some(format!("last report at {at:.0}"))),
        (None, None) => (Styled::new("meh", "unknown"), Some("no report yet".to_owned())),
    }
}

fn rollouts(cluster: &ClusterStatus) -> Vec<RolloutRow> {
    let rows = cluster.rollouts.iter().map(|rollout| RolloutRow {
        service: rollout.service.clone(),
        running: format!("{} of {}", rollout.running, rollout.desired),
        state: rollout.state.to_string(),
        message: rollout.message.clone(),
    });
    rows.collect()
}

fn findings(findings: &[Finding]) -> Vec<FindingRow> {
    findings.iter().map(finding).collect()
}

fn finding(finding: &Finding) -> FindingRow {
    let class = match finding.severity {
        Severity::Error => "bad",
        Severity::Warning => "meh",
        Severity::Info => "",
    };
    let field = match (&finding.field, &finding.value) {
        (Some(field), Some(value)) => format!("{field} = {value}"),
        (Some(field), None) => field.clone(),
        _ => String::new(),
    };
    FindingRow {
        severity: Styled::new(class, format!("{:?}", finding.severity)),
        code: finding.code.to_string(),
        subject: finding.subject.to_string(),
        field,
        message: finding.message.clone(),
        remedy: finding.remedy.clone(),
    }
}

#[cfg(test)]
mod tests;
