//! The outcome of each label of one service: its actual effect, and the objections to it.

use super::explanation::LabelEffect;
use super::label_effects;
use super::printable;
use super::service_context::ServiceContext;
use crate::intent::cluster::Cluster;
use crate::intent::labels::{LABELS, PREFIX, access_key};
use crate::report::{Finding, FindingCode, Severity};
use crate::swarm::Service;

/// The state of a service's labels as a whole.
pub enum LabelsState<'a> {
    /// No label publishes the service.
    NotPublished,
    /// Labels publish it, but findings explain why it is not published.
    Refused,
    /// No cluster publishes it.
    Unclaimed,
    /// It is published.
    Published(ServiceContext<'a>),
}

/// Each label of the service that is, or seems to be, addressed to Swarmgate. `cluster` is the one that its labels select, and
/// `findings` are those about the service.
pub fn label_effects(service: &Service, cluster: Option<&Cluster>, standpoint: &LabelsState<'_>, findings: &[Finding]) -> Vec<LabelEffect> {
    let labels = service.labels.iter().filter(|(key, _)| is_for_swarmgate(key));
    labels.map(|(key, value)| label_effect((key, value), cluster, standpoint, findings)).collect()
}

/// Whether a finding is about one of the labels that the service has.
pub fn is_about_a_label(service: &Service, finding: &Finding) -> bool {
    finding.field.as_ref().is_some_and(|field| service.labels.keys().any(|key| is_for_swarmgate(key) && printable(key) == *field))
}

fn is_for_swarmgate(key: &str) -> bool {
    let plain = crate::types::without_invisible(key);
    let key = plain.trim();
    key == "com.docker.network" || key.get(..PREFIX.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX))
}

fn label_effect((key, value): (&str, &str), cluster: Option<&Cluster>, standpoint: &LabelsState<'_>, findings: &[Finding]) -> LabelEffect {
    let shown_key = printable(access_key(key, value).unwrap_or(key));
    let findings: Vec<Finding> = findings.iter().filter(|finding| finding.field.as_deref() == Some(&shown_key)).cloned().collect();
    let name = key.strip_prefix(PREFIX).filter(|name| LABELS.iter().any(|info| info.name == *name));
    let closes = findings.iter().any(|finding| finding.code == FindingCode::UnknownAccessLabel);
    let effect = match (name, standpoint) {
        (None, _) if closes => "not a Swarmgate label, but looks like access control, so the service's routes are closed (503)".to_owned(),
        (None, _) => "not a Swarmgate label: no effect".to_owned(),
        (Some(_), _) if value.trim().is_empty() => "empty: the label is ignored".to_owned(),
        (Some("service_cluster"), _) => {
            cluster.map_or_else(|| "no declared cluster has this value".to_owned(), |cluster| format!("selects cluster {}", cluster.name))
        }
        (Some(_), LabelsState::NotPublished) => "no effect: the labels do not publish the service".to_owned(),
        (Some(_), LabelsState::Unclaimed) => "no effect: no cluster publishes the service".to_owned(),
        (Some(_), LabelsState::Refused) => "no effect: the service is not published".to_owned(),
        (Some(name), LabelsState::Published(published)) => qualified(name, &label_effects::label_effect(published, name), &findings),
    };
    let (key, value) = shown(key, value);
    LabelEffect { key, value, effect, findings }
}

/// A label in a form that may be shown.
pub fn shown(key: &str, value: &str) -> (String, String) {
    match access_key(key, value) {
        Some(key) => (printable(key), "(not shown)".to_owned()),
        None => (printable(key), printable(value)),
    }
}

/// Labels that have an effect even with an invalid value: lists, whose remaining items apply, and the request for a check.
const NEVER_ABSENT: [&str; 4] = ["hosts", "redirects", "websocket_endpoints", "ssl_backend_tls_verify"];

/// The actual effect, marked as such if it does not come from this label.
fn qualified(name: &str, really: &str, findings: &[Finding]) -> String {
    let has = |code| findings.iter().any(|finding| finding.code == code);
    let bad = findings.iter().any(|finding| finding.code == FindingCode::InvalidLabelValue && finding.severity == Severity::Error);
    if really.starts_with(NO_EFFECT) {
        really.to_owned()
    } else if bad && !NEVER_ABSENT.contains(&name) {
        format!("the label is ignored: {really}")
    } else if has(FindingCode::LabelWithoutEffect) && name != "redirects" {
        format!("{NO_EFFECT}{really}")
    } else {
        really.to_owned()
    }
}

const NO_EFFECT: &str = "no effect: ";
