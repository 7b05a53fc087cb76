//! The findings that belong in an explanation: those about the services that share the request's host.

use std::collections::{BTreeMap, BTreeSet};

use super::{HeldBackLabels, Sources, held_back_labels, runtime_state};
use crate::intent::cluster::Cluster;
use crate::intent::labels::{PREFIX, read_labels, service_cluster_of};
use crate::report::{Finding, FindingCode, Severity, Subject};
use crate::swarm::Service;
use crate::translate::{Translation, is_application, is_claimed_by, unclaimed};
use crate::types::HostPattern;

/// The findings about these services, worst first.
pub fn findings_about(sources: &Sources<'_>, cluster: &Cluster, translation: &Translation, services: &BTreeSet<String>) -> Vec<Finding> {
    let concerned = |finding: &Finding| matches!(&finding.subject, Subject::Service(name) if services.contains(name));
    let held = services.iter().filter_map(|service| Some(held_back_labels::find_held_back(sources, service)?.finding.clone()));
    let all = translation.findings.iter().cloned().chain(runtime_state::findings(sources, cluster)).chain(held);
    let mut findings: Vec<Finding> = all.filter(concerned).collect();
    findings.sort_by_key(|finding| match finding.severity {
        Severity::Error => 0,
        Severity::Warning => 1,
        Severity::Info => 2,
    });
    findings
}

/// The findings about a service that no cluster publishes. The operator reports more: it knows about clusters of other operators.
pub fn findings_without_cluster(sources: &Sources<'_>, service: &str) -> Vec<Finding> {
    let reported = sources.status.map(|status| status.findings.clone());
    let mut findings = reported.unwrap_or_else(|| unclaimed(sources.clusters, sources.inactive, sources.snapshot));
    findings.retain(|finding| finding.subject == Subject::Service(service.to_owned()));
    findings
}

/// How to grant one of these services the material that it names and may not use.
pub fn remedy_for_material(translation: &Translation, services: &BTreeSet<String>, names: &[&str]) -> Option<String> {
    let theirs = |finding: &&Finding| matches!(&finding.subject, Subject::Service(service) if services.contains(service));
    let refused = |finding: &&Finding| {
        finding.code == FindingCode::RefNotPermitted && finding.value.as_deref().is_some_and(|value| names.contains(&value))
    };
    translation.findings.iter().filter(theirs).find(refused).map(|finding| finding.remedy.clone())
}

/// The operator's remedy if the CA of one of these services cannot be used.
pub fn remedy_for_authority(sources: &Sources<'_>, cluster: &Cluster, services: &BTreeSet<String>) -> Option<String> {
    let theirs = |finding: &&Finding| matches!(&finding.subject, Subject::Service(service) if services.contains(service));
    let label = crate::translate::label_key("ssl_backend_tls_verify");
    let about = |finding: &&Finding| finding.severity == Severity::Error && finding.field.as_deref() == Some(label.as_str());
    runtime_state::findings(sources, cluster).iter().filter(theirs).find(about).map(|finding| finding.remedy.clone())
}

/// What to do about these findings, if they say why the labels of a service do not publish it.
pub fn remedy_for_labels(findings: &[Finding]) -> Option<String> {
    let is_about_a_label =
        |finding: &&Finding| finding.severity == Severity::Error && finding.field.as_ref().is_some_and(|field| field.starts_with(PREFIX));
    findings.iter().filter(is_about_a_label).find_map(|finding| match (&finding.subject, &finding.code) {
        // Correct labels; an administrator can also allow the host.
        (Subject::Service(service), FindingCode::HostNotAllowed) => Some(format!("See the finding HostNotAllowed of {service} above.")),
        (Subject::Service(service), _) => Some(format!("Correct the labels of {service}; see its finding above.")),
        _ => None,
    })
}

/// A service whose label names a host that is not published here, and why the label has no effect.
pub struct UnpublishedClaimant {
    /// The service.
    pub service: String,
    /// Why it does not publish the host here.
    pub why: String,
    /// What its author should know.
    pub findings: Vec<Finding>,
}

/// Services that request the host and are not admitted, although other services publish it: their names, and why. Truncated if
/// there are very many.
pub fn rejected_services(sources: &Sources<'_>, translation: &Translation, host: &str) -> Vec<(String, String)> {
    const SHOWN_MAX: usize = 10;
    let fitting: Vec<HostPattern> = HostPattern::matching(host).collect();
    let refused = translation.not_admitted.iter().filter_map(|(id, refused)| {
        let (_, why) = refused.iter().find(|(host, _)| fitting.contains(host))?;
        Some((sources.snapshot.services.get(id)?.name.clone(), why.to_string()))
    });
    refused.take(SHOWN_MAX).collect()
}

/// The services that name the host in their labels, whether they are published or not.
pub fn claimants(sources: &Sources<'_>, cluster: &Cluster, translation: &Translation, host: &str) -> Vec<UnpublishedClaimant> {
    let fitting: Vec<HostPattern> = HostPattern::matching(host).collect();
    let naming = sources.snapshot.services.values().filter(|service| is_application(service) && names(&service.labels, host, &fitting));
    let counting: Vec<UnpublishedClaimant> = naming.map(|service| claimant(sources, cluster, translation, service, &fitting)).collect();
    let new = sources.held.iter().filter(|held| names(&held.labels, host, &fitting));
    let new = new.filter(|held| counting.iter().all(|counts| counts.service != held.service));
    let new: Vec<UnpublishedClaimant> = new.map(not_yet).collect();
    counting.into_iter().chain(new).collect()
}

fn claimant(
    sources: &Sources<'_>,
    cluster: &Cluster,
    translation: &Translation,
    service: &Service,
    fitting: &[HostPattern],
) -> UnpublishedClaimant {
    let name = service.name.clone();
    if is_claimed_by(cluster, service) {
        let findings = findings_about(sources, cluster, translation, &BTreeSet::from([name.clone()]));
        let refusal = fitting.iter().find_map(|pattern| translation.refusal(&service.id, pattern));
        let why = refusal.map(|refusal| format!("cluster {} does not admit it, because {refusal}", cluster.name));
        let why = why.unwrap_or_else(|| "the service is not published with this host; see the findings".to_owned());
        return UnpublishedClaimant { service: name, why, findings };
    }
    if let Some(other) = sources.clusters.iter().find(|other| is_claimed_by(other, service)) {
        return UnpublishedClaimant { service: name, why: format!("cluster {} publishes it", other.name), findings: Vec::new() };
    }
    let value = service_cluster_of(&service.labels).map_or_else(|| "not set".to_owned(), super::printable);
    let mut findings = findings_without_cluster(sources, &name);
    findings.extend(read_labels(&name, &service.labels).findings);
    UnpublishedClaimant { service: name, why: format!("its service_cluster is {value}, and no declared cluster publishes that"), findings }
}

/// A service that names the host now, but did not in its effective labels.
fn not_yet(held: &HeldBackLabels) -> UnpublishedClaimant {
    UnpublishedClaimant { service: held.service.clone(), why: held.message(), findings: vec![held.finding.clone()] }
}

/// Whether a label value that is probably meant as `hosts` names the host, however it is written.
fn names(labels: &BTreeMap<String, String>, host: &str, fitting: &[HostPattern]) -> bool {
    let keys = labels.iter().filter(|(key, _)| is_hosts_label(key));
    let items = keys.flat_map(|(_, value)| value.split([',', ';', ' ', '\n']));
    items.map(bare_host).any(|item| item.eq_ignore_ascii_case(host) || HostPattern::parse(item).is_ok_and(|item| fitting.contains(&item)))
}

/// `hosts`, or a misspelling of it.
fn is_hosts_label(key: &str) -> bool {
    let key = key.trim();
    let name = key.get(..PREFIX.len()).filter(|prefix| prefix.eq_ignore_ascii_case(PREFIX)).and_then(|_| key.get(PREFIX.len()..));
    name.is_some_and(|name| matches!(name.to_ascii_lowercase().as_str(), "hosts" | "host"))
}

/// The host of an item that may contain a scheme, a port or a path by mistake.
fn bare_host(item: &str) -> &str {
    let item = item.trim();
    let item = item.split_once("://").map_or(item, |(_, rest)| rest);
    item.split(['/', ':']).next().unwrap_or_default()
}
