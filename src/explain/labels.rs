//! What became of each label of one service: what it is understood as, and what there is to say against it.

use std::fmt::Display;

use super::printable;
use super::words::LabelFate;
use crate::intent::labels::{Affinity, BackendMode, BackendProtocol, LABELS, LabelReading, PREFIX, ServiceLabels, Verification};
use crate::report::{Finding, FindingCode};
use crate::swarm::Service;

/// Each label of the service that is, or looks as if it were, meant for Swarmgate. `findings` are those about the service.
pub fn fates(service: &Service, claimed: bool, reading: &LabelReading, findings: &[Finding]) -> Vec<LabelFate> {
    let meant = service.labels.iter().filter(|(key, _)| is_meant(key));
    meant.map(|(key, value)| fate((key, value), claimed, reading, findings)).collect()
}

/// Whether a finding is about one of the labels that the service has.
pub fn is_about_a_label(service: &Service, finding: &Finding) -> bool {
    finding.field.as_ref().is_some_and(|field| service.labels.keys().any(|key| is_meant(key) && printable(key) == *field))
}

fn is_meant(key: &str) -> bool {
    let key = key.trim();
    key == "com.docker.network" || key.get(..PREFIX.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX))
}

fn fate((key, value): (&str, &str), claimed: bool, reading: &LabelReading, findings: &[Finding]) -> LabelFate {
    let findings: Vec<Finding> = findings.iter().filter(|finding| finding.field.as_deref() == Some(&printable(key))).cloned().collect();
    let name = key.strip_prefix(PREFIX).filter(|name| LABELS.iter().any(|info| info.name == *name));
    let effect = match (name, reading) {
        (None, _) => "not a label of Swarmgate: no effect".to_owned(),
        (Some(_), _) if value.trim().is_empty() => "empty: counts as absent".to_owned(),
        (Some("service_cluster"), _) => format!("asks for the cluster that publishes {}", printable(value.trim())),
        (Some(_), LabelReading::NotPublished) => "asks for nothing".to_owned(),
        (Some(_), LabelReading::Refused) => "no effect: the service is not published".to_owned(),
        (Some(name), LabelReading::Published(labels)) => {
            let code = findings.iter().map(|finding| finding.code).next();
            qualified(effect(name, labels), claimed, code)
        }
    };
    LabelFate { key: printable(key), value: printable(value), effect, findings }
}

/// What a label is understood as, unless something stands against it.
fn qualified(understood: String, claimed: bool, code: Option<FindingCode>) -> String {
    match code {
        _ if !claimed => format!("{understood}; no effect, because no cluster publishes the service"),
        Some(FindingCode::LabelWithoutEffect) => "understood, without effect".to_owned(),
        Some(FindingCode::ConflictingSetting | FindingCode::SecondDefaultBackend) => {
            format!("{understood}; overruled")
        }
        Some(FindingCode::HostNotAllowed) => format!("{understood}, as far as the cluster admits it"),
        _ => understood,
    }
}

/// What the label's value is understood as.
fn effect(name: &str, labels: &ServiceLabels) -> String {
    match name {
        "hosts" => format!("answers for {}", list(&labels.hosts, "no host")),
        "port" => format!("its containers listen on port {}", labels.port),
        "network" => labels.network.as_ref().map_or_else(absent, |network| format!("its tasks are reached over the network {network}")),
        "context_root" => format!("publishes at {}", labels.context_root),
        "context_root_rewrite" => yes_no(labels.context_root_rewrite, "the path is cut off", "the path is passed on"),
        "default_backend" => yes_no(labels.default_backend, "wants to answer for unknown hosts", "answers for its own hosts only"),
        "backend_mode" => match labels.backend_mode {
            BackendMode::Task => "requests go to the tasks".to_owned(),
            BackendMode::Vip => "requests go to the virtual IP".to_owned(),
        },
        "max_fails" => labels.max_fails.map_or_else(absent, |fails| format!("an endpoint is left out after {fails} failures")),
        "fail_timeout" => {
            labels.fail_timeout.map_or_else(absent, |time| format!("it is left out for {}", humantime::format_duration(time)))
        }
        "weight" => labels.weight.map_or_else(absent, |weight| format!("{weight} % of its pools' requests, when they have other services")),
        "redirects" => redirects(labels),
        "websocket_endpoints" => format!("long-lived connections at {}", list(&labels.websocket_endpoints, "no path")),
        "ip_hash" if matches!(labels.affinity, Affinity::Cookie(_)) => "the cookie counts instead".to_owned(),
        "sticky_session_cookie" | "ip_hash" => affinity(&labels.affinity),
        "ssl_backend" | "backend_protocol" => protocol(labels.backend_protocol).to_owned(),
        "ssl_backend_tls_verify" => verification(&labels.backend_verification),
        _ => tls(name, labels),
    }
}

fn tls(name: &str, labels: &ServiceLabels) -> String {
    let tls = &labels.tls;
    match name {
        "ssl_cert" => tls.certificate.as_ref().map_or_else(absent, |secret| format!("the certificate is in the secret {secret}")),
        "ssl_key" => tls.key.as_ref().map_or_else(absent, |secret| format!("the key is in the secret {secret}")),
        "ssl_only" => yes_no(tls.only, "plain HTTP is redirected to HTTPS", "plain HTTP is served"),
        "ssl_passthrough" => yes_no(tls.passthrough, "TLS is passed on to the application", "TLS is terminated here"),
        _ => "understood".to_owned(),
    }
}

fn absent() -> String {
    "counts as absent".to_owned()
}

fn yes_no(value: bool, yes: &str, no: &str) -> String {
    if value { yes.to_owned() } else { no.to_owned() }
}

/// A label can name a thousand hosts.
const ITEMS_MAX: usize = 10;

fn list<T: Display>(items: &[T], none: &str) -> String {
    if items.is_empty() {
        return none.to_owned();
    }
    let shown = items.iter().take(ITEMS_MAX).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if items.len() > ITEMS_MAX { format!("{shown} and {} more", items.len() - ITEMS_MAX) } else { shown }
}

fn redirects(labels: &ServiceLabels) -> String {
    let pairs: Vec<String> = labels.redirects.iter().map(|redirect| format!("{} to {}", redirect.source, redirect.target)).collect();
    format!("redirects {}", list(&pairs, "nothing"))
}

fn affinity(affinity: &Affinity) -> String {
    match affinity {
        Affinity::None => "clients are spread".to_owned(),
        Affinity::Cookie(cookie) => format!("the cookie {cookie} keeps a client on one endpoint"),
        Affinity::ClientAddress => "its address keeps a client on one endpoint".to_owned(),
    }
}

fn protocol(protocol: BackendProtocol) -> &'static str {
    match protocol {
        BackendProtocol::Http => "spoken to in HTTP/1.1",
        BackendProtocol::Https => "spoken to in HTTP/1.1 in TLS",
        BackendProtocol::Grpc => "spoken to in HTTP/2",
        BackendProtocol::Grpcs => "spoken to in HTTP/2 in TLS",
    }
}

fn verification(verification: &Verification) -> String {
    match verification {
        Verification::Off => "the application's certificate is not checked".to_owned(),
        Verification::System => "its certificate is checked against the system's roots".to_owned(),
        Verification::Authority(object) => format!("its certificate is checked against the CA in {object}"),
    }
}
