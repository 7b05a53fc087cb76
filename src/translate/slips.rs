//! Services that ask for publication in a way that nobody here reads: labels on the container instead of the service, and labels
//! of other proxies. One finding each, and only for those that ask; nothing of it ever publishes anything.

use super::published::label_key;
use crate::intent::labels::PREFIX;
use crate::report::{Finding, FindingCode, Severity, Subject};
use crate::swarm::Service;
use crate::types::{HostPattern, Port, excerpt};

/// So many labels are named at most.
const NAMED_MAX: usize = 10;

/// What there is to say of a service beside what its own labels say.
pub fn slips(service: &Service) -> impl Iterator<Item = Finding> {
    on_container(service).into_iter().chain(of_other_proxy(service))
}

/// Labels of ours that the containers have and the service has not.
fn on_container(service: &Service) -> Option<Finding> {
    let ours = service.container_labels().map(|(key, _)| key).filter(|key| key.starts_with(PREFIX));
    let only_there: Vec<&str> = ours.filter(|key| !service.labels.contains_key(*key)).collect();
    let first = *only_there.first()?;
    let more = only_there.len().saturating_sub(NAMED_MAX);
    let named = only_there.iter().take(NAMED_MAX).map(|key| excerpt(key, 120)).collect::<Vec<_>>().join(", ");
    let named = if more > 0 { format!("{named} and {more} more") } else { named };
    let asks = only_there.iter().any(|key| [label_key("hosts"), label_key("default_backend")].iter().any(|asking| asking == key));
    let severity = if asks { Severity::Error } else { Severity::Warning };
    let message = format!("these labels stand on the containers and not on the service, where nobody reads them: {named}");
    let remedy = "Write them under deploy.labels in the stack file (`docker service create --label`, not --container-label).";
    let finding = Finding::new(severity, FindingCode::LabelOnContainer, subject(service), message, remedy);
    Some(Finding { field: Some(excerpt(first, 120)), ..finding })
}

/// A proxy whose labels people know, and what its labels would be here.
struct Proxy {
    name: &'static str,
    /// Whether a label asks it to publish something.
    asks: fn(&str, &str) -> bool,
    /// The host that a label names.
    host: fn(&str, &str) -> Option<String>,
    /// The port that a label names.
    port: fn(&str, &str) -> Option<String>,
}

const PROXIES: [Proxy; 3] = [
    Proxy {
        name: "Traefik",
        asks: |key, value| {
            let rule =
                key.starts_with("traefik.http.routers.") || key.starts_with("traefik.tcp.routers.") || key == "traefik.frontend.rule";
            rule || (key == "traefik.enable" && value.eq_ignore_ascii_case("true"))
        },
        host: |key, value| {
            let rule = (key.starts_with("traefik.") && key.rsplit('.').next() == Some("rule")).then_some(value)?;
            let quoted = rule.split_once("Host(").and_then(|(_, rest)| rest.split(['`', '"', '\'']).nth(1));
            quoted.or_else(|| rule.strip_prefix("Host:")).map(str::to_owned)
        },
        port: |key, value| {
            let is_port = key == "traefik.port" || (key.starts_with("traefik.") && key.ends_with(".loadbalancer.server.port"));
            is_port.then(|| value.to_owned())
        },
    },
    Proxy {
        name: "caddy-docker-proxy",
        asks: |key, _| is_caddy_site(key),
        host: |key, value| is_caddy_site(key).then(|| value.split([' ', ',']).next().unwrap_or_default().to_owned()),
        port: |key, value| {
            let upstreams = (key.starts_with("caddy") && key.ends_with(".reverse_proxy")).then_some(value)?;
            let port = upstreams.split_once("upstreams ").and_then(|(_, rest)| rest.split([' ', '}']).next())?;
            Some(port.to_owned())
        },
    },
    Proxy {
        name: "Docker Flow Proxy",
        asks: |key, value| key == "com.df.notify" && value.eq_ignore_ascii_case("true"),
        host: |key, value| (key == "com.df.serviceDomain").then(|| value.split(',').next().unwrap_or_default().to_owned()),
        port: |key, value| (key == "com.df.port").then(|| value.to_owned()),
    },
];

/// `caddy`, or `caddy_1`.
fn is_caddy_site(key: &str) -> bool {
    key.strip_prefix("caddy").is_some_and(|rest| {
        rest.is_empty() || rest.strip_prefix('_').is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    })
}

fn of_other_proxy(service: &Service) -> Option<Finding> {
    if service.labels.keys().any(|key| key.starts_with(PREFIX)) {
        return None;
    }
    let labels = || service.labels.iter().map(|(key, value)| (key.as_str(), value.trim()));
    let (proxy, key) =
        PROXIES.iter().find_map(|proxy| labels().find(|(key, value)| (proxy.asks)(key, value)).map(|(key, _)| (proxy, key)))?;
    // What cannot be read for certain is left to whoever knows the service: a label is to be written by hand.
    let host = labels().filter_map(|(key, value)| (proxy.host)(key, value)).find_map(|host| HostPattern::parse(host.trim()).ok());
    let port = labels().filter_map(|(key, value)| (proxy.port)(key, value)).find_map(|port| Port::parse(port.trim()).ok());
    let ours = format!(
        "{}={} and {}={}",
        label_key("hosts"),
        host.map_or_else(|| "HOST".to_owned(), |host| host.to_string()),
        label_key("port"),
        port.map_or_else(|| "PORT".to_owned(), |port| port.to_string())
    );
    let message = format!("the service has labels for {}, which Swarmgate does not read: it is not published here", proxy.name);
    let remedy =
        format!("Nothing, if that proxy is to publish it. For Swarmgate: {ours} under deploy.labels; docs/labels.md has the others.");
    let finding = Finding::new(Severity::Info, FindingCode::OtherProxyLabels, subject(service), message, remedy);
    Some(Finding { field: Some(excerpt(key, 120)), ..finding })
}

fn subject(service: &Service) -> Subject {
    Subject::Service(service.name.clone())
}
