//! The status as a plain HTML page: no script, no asset from elsewhere, reloads itself. Everything that others wrote
//! (hosts, service names, label values, Swarm's messages) is escaped.

use std::fmt::Write as _;

use crate::report::{
    ClusterStatus, ConditionStatus, ConditionType, EndpointState, Finding, Phase, ProxyTaskReport, RouteState, Severity, StatusReport,
};

/// How often the page reloads itself.
const RELOAD_SECONDS: u32 = 5;

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;margin:0 auto;max-width:80em;padding:0 1.2em 3em;color:#1f2328;background:#fff}\
h1{margin:.8em 0 .2em}h2{margin:2em 0 .3em;padding-top:.6em;border-top:2px solid #d0d7de}h3{margin:1.1em 0 .3em;font-size:1em}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.28em .9em .28em .5em;border-bottom:1px solid #e4e8ec;vertical-align:top;overflow-wrap:anywhere}\
th{background:#f6f8fa;font-weight:600;white-space:nowrap}.good{color:#116329}.bad{color:#a40e26}.meh{color:#7d4e00}\
.tag{border:1px solid;border-radius:1em;padding:.05em .7em;font-size:12px;font-weight:600;white-space:nowrap}h2 .tag{vertical-align:middle}\
.fix{color:#57606a}.fix:before{content:'\\2192\\a0'}.word{white-space:nowrap}code{font-size:12px}small,.when{color:#57606a;font-size:12px;white-space:nowrap}\
a{color:#0550ae}";

/// The whole page.
pub fn render(status: &StatusReport) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"{RELOAD_SECONDS}\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Swarmgate</title><style>{STYLE}</style></head><body><h1>Swarmgate</h1>"
    );
    html.push_str(&operator(status));
    html.push_str(&overview(status));
    for (name, cluster) in &status.clusters {
        html.push_str(&cluster_section(name, cluster));
    }
    html.push_str(&findings("Findings outside of clusters", &status.findings));
    html.push_str("<p><a href=\"status\">/status</a> · <a href=\"plan\">/plan</a> · <a href=\"metrics\">/metrics</a></p></body></html>\n");
    html
}

fn operator(status: &StatusReport) -> String {
    let operator = &status.operator;
    let read = match (&operator.snapshot_error, operator.last_snapshot_at) {
        (Some(error), _) => format!("<span class=\"bad\">cannot be read: {}</span>", escape(error)),
        (None, Some(at)) => format!("<span class=\"good\">read completely at {at:.0}</span>"),
        (None, None) => "<span class=\"meh\">not read yet</span>".to_owned(),
    };
    let events = if operator.events_alive { "alive" } else { "lost (polling carries on)" };
    format!(
        "<p>Version {}, instance {}. Swarm: {read}. Events: {events}. Writes since start: {}. <small>{:.0}</small></p>",
        escape(&operator.version),
        escape(&operator.instance),
        operator.writes_total,
        status.generated_at
    )
}

/// One line for each cluster, so that nobody has to look for the one that is not well.
fn overview(status: &StatusReport) -> String {
    let rows = status.clusters.iter().map(|(name, cluster)| {
        let current = cluster.proxies.iter().filter(|proxy| proxy.up_to_date == Some(true)).count();
        let untrue = cluster
            .conditions
            .iter()
            .filter(|condition| condition.status != ConditionStatus::True && condition.kind != ConditionType::Ready);
        let untrue: Vec<String> = untrue.map(|condition| escape(&format!("{}: {}", condition.kind, condition.message))).collect();
        vec![
            format!("<a href=\"#{0}\">{0}</a>", escape(name)),
            phase(cluster),
            cluster.routes.len().to_string(),
            format!("{current} of {}", cluster.proxies.len()),
            cluster.findings.len().to_string(),
            untrue.join("<br>"),
        ]
    });
    table("Clusters", &["cluster", "phase", "routes", "proxies up to date", "findings", "what is not true"], rows)
}

fn phase(cluster: &ClusterStatus) -> String {
    let class = match cluster.phase {
        Phase::Ready => "good",
        Phase::Degraded => "bad",
        Phase::Pending | Phase::Progressing | Phase::Removing => "meh",
    };
    format!("<span class=\"tag {class}\">{:?}</span>", cluster.phase)
}

fn cluster_section(name: &str, cluster: &ClusterStatus) -> String {
    let mut html = format!("<h2 id=\"{0}\">{0} {1}</h2>", escape(name), phase(cluster));
    if let Some(error) = &cluster.error {
        let _ = write!(html, "<p class=\"bad\">{}</p>", escape(error));
    }
    html.push_str(&conditions(cluster));
    let waiting = cluster.waiting.iter().map(|waiting| vec![escape(&waiting.to_string())]);
    html.push_str(&table("Waiting", &["for"], waiting));
    html.push_str(&findings("Findings", &cluster.findings));
    html.push_str(&routes(cluster));
    html.push_str(&proxies(cluster));
    html.push_str(&rollouts(cluster));
    html
}

fn conditions(cluster: &ClusterStatus) -> String {
    let rows = cluster.conditions.iter().map(|condition| {
        let class = match condition.status {
            ConditionStatus::True => "good",
            ConditionStatus::False => "bad",
            ConditionStatus::Unknown => "meh",
        };
        vec![
            word("", condition.kind.as_str()),
            word(class, &format!("{:?}", condition.status)),
            word("", condition.reason.as_str()),
            escape(&condition.message),
            format!("<span class=\"when\">{:.0}</span>", condition.last_transition_time),
        ]
    });
    table("Conditions", &["condition", "status", "reason", "message", "since"], rows)
}

fn routes(cluster: &ClusterStatus) -> String {
    let rows = cluster.routes.iter().map(|route| {
        let endpoints: Vec<String> =
            route.services.iter().flat_map(|service| service.endpoints.iter().map(move |e| (service, e))).map(endpoint).collect();
        let services: Vec<String> = route.service_titles().iter().map(|title| escape(title)).collect();
        let class = match route.state {
            RouteState::Served => "good",
            RouteState::NoEndpoints | RouteState::OverLimit | RouteState::Quarantined | RouteState::Unverifiable => "bad",
            RouteState::Pending | RouteState::Unknown => "meh",
        };
        let outcome = format!("<span class=\"{class}\">{}</span>", escape(&route.outcome()));
        let (place, tls) = (escape(&route.place()), escape(&route.tls_words()));
        vec![place, outcome, tls, services.join("<br>"), endpoints.join("<br>")]
    });
    table("Routes", &["route", "state", "TLS", "services", "endpoints"], rows)
}

fn endpoint((service, endpoint): (&crate::report::ServiceReport, &crate::report::EndpointReport)) -> String {
    let node = endpoint.node.as_deref().map_or_else(String::new, |node| format!(" on {node}"));
    let address = if endpoint.address.is_empty() { &endpoint.task } else { &endpoint.address };
    let place = format!("{} {address}{node}", service.service);
    match endpoint.state {
        EndpointState::Active => format!("<span class=\"good\">{}</span>", escape(&place)),
        EndpointState::Excluded => {
            format!("<span class=\"meh\">{}: {}</span>", escape(&place), escape(endpoint.reason.as_deref().unwrap_or("excluded")))
        }
    }
}

fn proxies(cluster: &ClusterStatus) -> String {
    let rows = cluster.proxies.iter().map(|proxy| {
        let digest = proxy.running_digest.as_ref().map_or("-", |digest| digest.short());
        vec![
            escape(&proxy.task),
            escape(&proxy.node),
            escape(&proxy.state.to_string()),
            format!("<code>{digest}</code>"),
            newest(proxy),
            proxy.reloads_in_words(),
            escape(proxy.obstacle().unwrap_or("")),
        ]
    });
    table("Proxies", &["task", "node", "state", "runs", "newest", "reloads", "obstacle"], rows)
}

fn newest(proxy: &ProxyTaskReport) -> String {
    if proxy.up_to_date.is_some() && proxy.is_on_names() {
        return "<span class=\"meh\">by name</span>".to_owned();
    }
    match (proxy.up_to_date, proxy.seen_at) {
        (Some(true), _) => "<span class=\"good\">yes</span>".to_owned(),
        (Some(false), _) => "<span class=\"bad\">no</span>".to_owned(),
        (None, Some(at)) => format!("<span class=\"meh\">unknown</span><br><small>last heard of at {at:.0}</small>"),
        (None, None) => "<span class=\"meh\">unknown</span><br><small>not heard of</small>".to_owned(),
    }
}

fn rollouts(cluster: &ClusterStatus) -> String {
    let rows = cluster.rollouts.iter().map(|rollout| {
        vec![
            escape(&rollout.service),
            format!("{} of {}", rollout.running, rollout.desired),
            escape(&rollout.state),
            escape(&rollout.message),
        ]
    });
    table("Services", &["service", "running", "last update", "message"], rows)
}

fn findings(title: &str, findings: &[Finding]) -> String {
    let rows = findings.iter().map(|finding| {
        let place = match (&finding.field, &finding.value) {
            (Some(field), Some(value)) => format!("{field} = {value}"),
            (Some(field), None) => field.clone(),
            _ => String::new(),
        };
        vec![
            severity(finding),
            word("", &finding.code.as_str()),
            escape(&finding.subject.to_string()),
            escape(&place),
            format!("{}<div class=\"fix\">{}</div>", escape(&finding.message), escape(&finding.remedy)),
        ]
    });
    table(title, &["severity", "code", "about", "where", "what, and what to do"], rows)
}

fn severity(finding: &Finding) -> String {
    let class = match finding.severity {
        Severity::Error => "bad",
        Severity::Warning => "meh",
        Severity::Info => "",
    };
    word(class, &format!("{:?}", finding.severity))
}

/// A word that is never broken, however narrow its column: only hosts and messages are.
fn word(class: &str, text: &str) -> String {
    format!("<span class=\"word {class}\">{}</span>", escape(text))
}

/// A table of cells that are HTML already; nothing when there are no rows.
fn table(title: &str, head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let body = rows.map(|cells| format!("<tr><td>{}</td></tr>", cells.join("</td><td>"))).collect::<Vec<_>>().concat();
    if body.is_empty() {
        return String::new();
    }
    format!("<h3>{title}</h3><table><tr><th>{}</th></tr>{body}</table>", head.join("</th><th>"))
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::render;
    use crate::report::{Finding, FindingCode, OperatorStatus, StatusReport, Subject};

    #[test]
    fn what_others_wrote_is_escaped() {
        let finding = Finding::new(FindingCode::InvalidLabelValue, Subject::Service("<b>app".to_owned()), "x")
            .with_remedy("y")
            .at("com.docker.lb.hosts", "<script>alert('1')</script>");
        let operator = OperatorStatus {
            version: "1".to_owned(),
            instance: "i".to_owned(),
            last_snapshot_at: None,
            snapshot_error: Some("a & b".to_owned()),
            events_alive: true,
            writes_total: 0,
        };
        let html = render(&StatusReport {
            api_version: "swarmgate/v1".to_owned(),
            generated_at: jiff::Timestamp::UNIX_EPOCH,
            operator,
            clusters: BTreeMap::new(),
            findings: vec![finding],
        });
        assert!(!html.contains("<script"), "{html}");
        assert!(!html.contains("<b>"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;") && html.contains("a &amp; b"), "{html}");
    }
}
