//! The status as a plain HTML page: no script, no asset from elsewhere, reloads itself. Everything that others wrote
//! (hosts, service names, label values, Swarm's messages) is escaped.

use std::fmt::Write as _;

use crate::report::{ClusterStatus, ConditionStatus, EndpointState, Finding, ProxyTaskReport, StatusReport};

/// How often the page reloads itself.
const RELOAD_SECONDS: u32 = 5;

const STYLE: &str = "body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em;color:#222}\
table{border-collapse:collapse;margin:.4em 0 1.2em;width:100%}th,td{text-align:left;padding:.25em .7em;border-bottom:1px solid #ddd;vertical-align:top}\
th{background:#f4f4f4}.good{color:#176b2c}.bad{color:#a3151b}.meh{color:#8a5a00}code{font-size:12px}small{color:#666}";

/// The whole page.
pub fn render(status: &StatusReport) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"{RELOAD_SECONDS}\">\
         <title>Swarmgate</title><style>{STYLE}</style></head><body><h1>Swarmgate</h1>"
    );
    html.push_str(&operator(status));
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

fn cluster_section(name: &str, cluster: &ClusterStatus) -> String {
    let mut html = format!("<h2>{} <small>{:?}</small></h2>", escape(name), cluster.phase);
    if let Some(error) = &cluster.error {
        let _ = write!(html, "<p class=\"bad\">{}</p>", escape(error));
    }
    html.push_str(&conditions(cluster));
    html.push_str(&routes(cluster));
    html.push_str(&proxies(cluster));
    html.push_str(&rollouts(cluster));
    let waiting = cluster.waiting.iter().map(|waiting| vec![escape(&waiting.to_string())]);
    html.push_str(&table("Waiting", &["for"], waiting));
    html.push_str(&findings("Findings", &cluster.findings));
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
            escape(&condition.kind),
            format!("<span class=\"{class}\">{:?}</span>", condition.status),
            escape(&condition.reason),
            escape(&condition.message),
            format!("{:.0}", condition.last_transition_time),
        ]
    });
    table("Conditions", &["condition", "status", "reason", "message", "since"], rows)
}

fn routes(cluster: &ClusterStatus) -> String {
    let rows = cluster.routes.iter().map(|route| {
        let endpoints: Vec<String> =
            route.services.iter().flat_map(|service| service.endpoints.iter().map(move |e| (service, e))).map(endpoint).collect();
        let services: Vec<String> = route.service_titles().iter().map(|title| escape(title)).collect();
        let (place, outcome, tls) = (escape(&route.place()), escape(&route.outcome()), escape(&route.tls_words()));
        vec![place, outcome, tls, services.join("<br>"), endpoints.join("<br>")]
    });
    table("Routes", &["route", "state", "TLS", "services", "endpoints"], rows)
}

fn endpoint((service, endpoint): (&crate::report::ServiceReport, &crate::report::EndpointReport)) -> String {
    let place = format!("{} {} {}", service.service, endpoint.address, endpoint.node.as_deref().unwrap_or(""));
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
            escape(&proxy.state),
            format!("<code>{digest}</code>"),
            newest(proxy),
            proxy.reloads.map_or_else(|| "-".to_owned(), |reloads| reloads.to_string()),
            escape(proxy.rejected.as_deref().unwrap_or("")),
        ]
    });
    table("Proxies", &["task", "node", "state", "runs", "newest", "reloads", "refused"], rows)
}

fn newest(proxy: &ProxyTaskReport) -> String {
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
            format!("{:?}", finding.severity),
            escape(&finding.code.as_str()),
            escape(&finding.subject.to_string()),
            escape(&place),
            format!("{}<br><small>{}</small>", escape(&finding.message), escape(&finding.remedy)),
        ]
    });
    table(title, &["severity", "code", "about", "where", "what"], rows)
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
    use crate::report::{Finding, FindingCode, OperatorStatus, Severity, StatusReport, Subject};

    #[test]
    fn what_others_wrote_is_escaped() {
        let finding = Finding::new(Severity::Error, FindingCode::InvalidLabelValue, Subject::Service("<b>app".to_owned()), "x", "y")
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
