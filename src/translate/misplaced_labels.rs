//! Finds services that ask for publication with labels that Swarmgate does not read: labels on the container instead of the
//! service, and labels of other proxies. Each gets one finding; none of these labels ever publishes anything.

use std::collections::BTreeSet;

use super::published_service::label_key;
use crate::intent::labels::{PREFIX, access_key};
use crate::report::{Finding, Severity, Subject, cases};
use crate::swarm::Service;
use crate::types::{HostPattern, Port, excerpt};

/// The most labels named in a finding.
const NAMED_MAX: usize = 10;

/// The findings about a service that its own labels do not produce.
pub fn misplaced_label_findings(service: &Service) -> impl Iterator<Item = Finding> {
    on_container(service).into_iter().chain(of_other_proxy(service))
}

/// The finding for a service to be published whose containers have a label that looks like access control. Its author
/// expects restricted access, so no request is let through. `None` if there is no such label.
pub fn closed_on_container(service: &Service) -> Option<Finding> {
    let only_there = |key: &str| !service.labels.contains_key(key);
    let mut keys = service.container_labels().filter_map(|(key, value)| access_key(key, value).filter(|key| only_there(key)));
    let key = keys.next()?;
    let message = "this label is set on the containers, where labels have no effect, and it looks like access control, which no label \
                   provides: to keep unauthorized clients out, the service's routes are closed and answer 503";
    let finding = Finding::new(cases::UnknownAccessLabel, subject(service), message);
    Some(Finding { field: Some(excerpt(key, 120)), ..finding })
}

/// Labels of ours that the containers have and the service does not.
fn on_container(service: &Service) -> Option<Finding> {
    let ours = service.container_labels().filter(|(key, _)| key.starts_with(PREFIX));
    let ours = ours.map(|(key, value)| access_key(key, value).unwrap_or(key));
    let only_there: Vec<&str> = ours.filter(|key| !service.labels.contains_key(*key)).collect();
    let first = *only_there.first()?;
    let more = only_there.len().saturating_sub(NAMED_MAX);
    let named = only_there.iter().take(NAMED_MAX).map(|key| excerpt(key, 120)).collect::<Vec<_>>().join(", ");
    let named = if more > 0 { format!("{named} and {more} more") } else { named };
    let requests = only_there.iter().any(|key| [label_key("hosts"), label_key("default_backend")].iter().any(|name| name == key));
    let severity = if requests { Severity::Error } else { Severity::Warning };
    let message = format!("these labels are set on the containers instead of the service, so they have no effect: {named}");
    let finding = Finding::new(cases::LabelOnContainer, subject(service), message).with_severity(severity);
    Some(Finding { field: Some(excerpt(first, 120)), ..finding })
}

/// The most hosts written into a remedy.
const HOSTS_MAX: usize = 10;

/// A widely used proxy, and what its labels correspond to here. Keys are lower case.
struct ForeignProxy {
    name: &'static str,
    /// Whether a label asks the proxy to publish something.
    requests: fn(&str, &str) -> bool,
    /// The hosts that a label names.
    hosts: fn(&str, &str) -> Vec<String>,
    /// The port that a label names.
    port: fn(&str, &str) -> Option<String>,
    /// Whether a label specifies more than host and port: a path, TLS, access control.
    sets_more: fn(&str, &str) -> bool,
}

const PROXIES: [ForeignProxy; 3] = [
    ForeignProxy {
        name: "Traefik",
        // Without a rule Traefik publishes a service by its default rule; its other labels request nothing
        // (`traefik.docker.network`).
        requests: |key, value| {
            let publishes = ["traefik.http.", "traefik.tcp.", "traefik.frontend.", "traefik.port"].iter().any(|word| key.starts_with(word));
            publishes || (key == "traefik.enable" && !value.is_empty() && !is_no(value))
        },
        hosts: |key, value| {
            let is_rule = key.starts_with("traefik.") && key.rsplit('.').next() == Some("rule");
            let rule = if is_rule { value } else { "" };
            // Version 2 and later: Host(`a`, `b`) || Host(`c`); before: Host:a,b;PathPrefix:/x.
            let is_required = |at: &usize| !rule[..*at].trim_end().ends_with('!');
            let named = rule.match_indices("Host(").filter(|(at, _)| is_required(at)).map(|(at, word)| &rule[at + word.len()..]);
            let quoted = named.filter_map(|rest| rest.split_once(')')).flat_map(|(hosts, _)| hosts.split(','));
            let former = rule.strip_prefix("Host:").and_then(|rest| rest.split(';').next()).into_iter().flat_map(|hosts| hosts.split(','));
            quoted.chain(former).map(|host| host.trim().trim_matches(['`', '"', '\'']).to_owned()).collect()
        },
        port: |key, value| {
            let is_port = key == "traefik.port" || (key.starts_with("traefik.") && key.ends_with(".loadbalancer.server.port"));
            is_port.then(|| value.to_owned())
        },
        sets_more: |key, value| {
            let is_rule = key.rsplit('.').next() == Some("rule");
            (is_rule && ["Path", "Header", "Method", "Query", "ClientIP", "HostRegexp"].iter().any(|part| value.contains(part)))
                || key.contains(".tls")
                || key.ends_with(".middlewares")
        },
    },
    ForeignProxy {
        name: "caddy-docker-proxy",
        requests: |key, _| is_caddy_site(key),
        hosts: |key, value| {
            let sites = if is_caddy_site(key) { value } else { "" };
            sites.split([' ', ',']).filter(|site| !site.is_empty()).map(str::to_owned).collect()
        },
        port: |key, value| {
            let upstreams = (key.starts_with("caddy") && key.ends_with(".reverse_proxy")).then_some(value)?;
            let port = upstreams.split_once("upstreams ").and_then(|(_, rest)| rest.split([' ', '}']).next())?;
            Some(port.to_owned())
        },
        sets_more: |key, value| {
            (is_caddy_site(key) && value.contains(['/', ' ', ',']))
                || (key.starts_with("caddy") && key.contains('.') && !key.ends_with(".reverse_proxy"))
        },
    },
    ForeignProxy {
        name: "Docker Flow Proxy",
        requests: |key, value| key == "com.df.notify" && value.eq_ignore_ascii_case("true"),
        hosts: |key, value| if key == "com.df.servicedomain" { value.split(',').map(str::to_owned).collect() } else { Vec::new() },
        port: |key, value| (key == "com.df.port").then(|| value.to_owned()),
        sets_more: |key, value| {
            (key == "com.df.servicepath" && value != "/") || ["com.df.users", "com.df.httpsonly", "com.df.allowedmethods"].contains(&key)
        },
    },
];

/// How Traefik, which is written in Go, parses a boolean.
fn is_no(value: &str) -> bool {
    ["false", "0", "f"].iter().any(|no| value.eq_ignore_ascii_case(no))
}

/// `caddy`, or `caddy_1`.
fn is_caddy_site(key: &str) -> bool {
    key.strip_prefix("caddy").is_some_and(|rest| {
        rest.is_empty() || rest.strip_prefix('_').is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    })
}

fn of_other_proxy(service: &Service) -> Option<Finding> {
    let all: Vec<(String, &str)> = service.labels.iter().map(|(key, value)| (key.to_ascii_lowercase(), value.trim())).collect();
    let is_disabled = all.iter().any(|(key, value)| key == "traefik.enable" && is_no(value));
    if is_disabled || all.iter().any(|(key, value)| key.starts_with(PREFIX) && !value.is_empty()) {
        return None;
    }
    let labels = || all.iter().map(|(key, value)| (key.as_str(), *value));
    let (proxy, key) =
        PROXIES.iter().find_map(|proxy| labels().find(|(key, value)| (proxy.requests)(key, value)).map(|(key, _)| (proxy, key)))?;
    // What cannot be read with certainty is left to the author of the service, who has to write the label by hand.
    let hosts: BTreeSet<HostPattern> =
        labels().flat_map(|(key, value)| (proxy.hosts)(key, value)).filter_map(|host| HostPattern::parse(host.trim()).ok()).collect();
    let hosts = hosts.iter().take(HOSTS_MAX).map(HostPattern::as_str).collect::<Vec<_>>().join(",");
    let hosts = if hosts.is_empty() { "HOST" } else { &hosts };
    let port = labels().filter_map(|(key, value)| (proxy.port)(key, value)).find_map(|port| Port::parse(port.trim()).ok());
    let port = port.map_or_else(|| "PORT".to_owned(), |port| port.to_string());
    let message = format!("the service has labels for {}, which Swarmgate does not read: it is not published here", proxy.name);
    let case = if labels().any(|(key, value)| (proxy.sets_more)(key, value)) {
        cases::OtherProxyLabels::MoreSettings { hosts, port: &port }
    } else {
        cases::OtherProxyLabels::Publication { hosts, port: &port }
    };
    let finding = Finding::new(case, subject(service), message);
    let key = service.labels.keys().find(|written| written.eq_ignore_ascii_case(key)).map_or(key, String::as_str);
    Some(Finding { field: Some(excerpt(key, 120)), ..finding })
}

fn subject(service: &Service) -> Subject {
    Subject::Service(service.name.clone())
}
