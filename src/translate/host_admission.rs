//! Checks whether the administrator lets a service publish a host (`spec.hosts`). A refused host affects only the service
//! that asked for it. Never looks at what else is published: decisions that depend on who came first are made later
//! (`host_ownership`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::TranslationContext;
use super::host_ownership::HostOwner;
use super::published_service::label_key;
use crate::intent::cluster::Cluster;
use crate::intent::hosts::{HostRule, listed};
use crate::intent::labels::ServiceLabels;
use crate::report::{Finding, Subject, cases};
use crate::swarm::{Service, Snapshot};
use crate::types::{HostPattern, ServiceId};

/// Why a service may not publish a host. Displays as the reason, in terms of `spec.hosts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostDenied {
    /// No entry of `allow` matches the host.
    NotListed,
    /// Entries match the host, but not this service.
    ForOthers(Vec<HostRule>),
    /// The service may not be the default backend.
    NotDefault,
    /// A service of another stack owns the host, or the wildcard that covers it, and the host is not shared.
    Taken(HostOwner),
}

/// The hosts that services ask for but may not publish, with the reasons.
pub type NotAdmitted = BTreeMap<ServiceId, Vec<(HostPattern, HostDenied)>>;

impl fmt::Display for HostDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotListed => f.write_str("no entry of spec.hosts.allow matches"),
            Self::ForOthers(rules) => write!(f, "spec.hosts.allow has only entries for other services: {}", listed(rules)),
            Self::Taken(holder) => write!(f, "{holder}"),
            Self::NotDefault => f.write_str("neither spec.hosts.defaultBackend nor an entry of spec.hosts.allow for * admits the service"),
        }
    }
}

/// Whether `cluster` lets `service` publish `host`. A wildcard is admitted if all its names are.
pub fn admits(cluster: &Cluster, snapshot: &Snapshot, host: &HostPattern, service: &Service) -> bool {
    let fits = |rule: &HostRule| rule.host.matches(host) && is_for(rule, snapshot, service);
    cluster.hosts.allow.as_ref().is_none_or(|allow| allow.iter().any(fits))
}

/// Like [`admits`], with the reason for a refusal.
fn admitted(cluster: &Cluster, snapshot: &Snapshot, host: &HostPattern, service: &Service) -> Result<(), HostDenied> {
    if admits(cluster, snapshot, host, service) {
        return Ok(());
    }
    let fitting: Vec<HostRule> = cluster.hosts.allow.iter().flatten().filter(|rule| rule.host.matches(host)).cloned().collect();
    Err(if fitting.is_empty() { HostDenied::NotListed } else { HostDenied::ForOthers(fitting) })
}

/// Whether `cluster` lets `service` answer for hosts that no service publishes.
pub fn admitted_as_default(cluster: &Cluster, snapshot: &Snapshot, service: &Service) -> Result<(), HostDenied> {
    let rules = &cluster.hosts;
    let admitted = match (&rules.default_backend, &rules.allow) {
        (Some(patterns), _) => patterns.iter().any(|pattern| pattern.matches(&service.name)),
        (None, None) => true,
        // The default backend answers for any host, so a closed list also applies to it.
        (None, Some(allow)) => allow.iter().any(|rule| rule.host.is_every_host() && is_for(rule, snapshot, service)),
    };
    if admitted { Ok(()) } else { Err(HostDenied::NotDefault) }
}

/// Whether an entry applies to the service, regardless of the host.
pub fn is_for(rule: &HostRule, snapshot: &Snapshot, service: &Service) -> bool {
    let named = |id| snapshot.networks.get(id).map_or(id.0.as_str(), |network| network.name.as_str());
    let attached = |name: &str| service.networks.iter().any(|id| named(id) == name);
    let by_name = rule.services.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(&service.name)));
    by_name && rule.networks.as_ref().is_none_or(|networks| networks.iter().any(|network| attached(network.as_str())))
}

/// Removes what the service may not have from its labels and reports it. Returns whether anything is left to publish.
pub fn keep_admitted(
    context: &TranslationContext<'_>,
    service: &Service,
    labels: &mut ServiceLabels,
    not_admitted: &mut NotAdmitted,
    findings: &mut Vec<Finding>,
) -> bool {
    keep_admitted_hosts(context, service, labels, not_admitted, findings);
    if labels.default_backend
        && let Err(refusal) = admitted_as_default(context.cluster, context.snapshot, service)
    {
        labels.default_backend = false;
        findings.push(default_refused(context.cluster, service, &refusal));
    }
    labels.default_backend || !labels.hosts.is_empty()
}

fn keep_admitted_hosts(
    context: &TranslationContext<'_>,
    service: &Service,
    labels: &mut ServiceLabels,
    not_admitted: &mut NotAdmitted,
    findings: &mut Vec<Finding>,
) {
    let refused = take_refused_hosts(context, service, labels);
    findings.extend(refused.iter().map(|(refusal, hosts)| hosts_refused(context.cluster, service, hosts, refusal)));
    let each = refused.into_iter().flat_map(|(refusal, hosts)| hosts.into_iter().map(move |host| (host, refusal.clone())));
    let each: Vec<_> = each.collect();
    if !each.is_empty() {
        not_admitted.insert(service.id.clone(), each);
    }
    // A redirect also answers for its source.
    if let Some(refused) = not_admitted.get(&service.id) {
        let refused: BTreeSet<&HostPattern> = refused.iter().map(|(host, _)| host).collect();
        labels.redirects.retain(|redirect| !refused.contains(&redirect.source.host));
    }
}

/// Removes the hosts that the service may not publish, and returns them by reason.
fn take_refused_hosts(
    context: &TranslationContext<'_>,
    service: &Service,
    labels: &mut ServiceLabels,
) -> Vec<(HostDenied, Vec<HostPattern>)> {
    let mut refused: Vec<(HostDenied, Vec<HostPattern>)> = Vec::new();
    labels.hosts.retain(|host| {
        let Err(refusal) = admitted(context.cluster, context.snapshot, host, service) else { return true };
        match refused.iter_mut().find(|(known, _)| *known == refusal) {
            Some((_, hosts)) => hosts.push(host.clone()),
            None => refused.push((refusal, vec![host.clone()])),
        }
        false
    });
    refused
}

/// One finding for all hosts with the same reason: a service can have a thousand hosts.
fn hosts_refused(cluster: &Cluster, service: &Service, hosts: &[HostPattern], refusal: &HostDenied) -> Finding {
    let message = format!("the cluster {} does not publish this for the service: {refusal}", cluster.name);
    finding(service, cases::HostNotAllowed::Host, message).with_field(label_key("hosts"), &listed(hosts))
}

fn default_refused(cluster: &Cluster, service: &Service, refusal: &HostDenied) -> Finding {
    let message = format!("the service may not be the default backend of the cluster {}: {refusal}", cluster.name);
    finding(service, cases::HostNotAllowed::DefaultBackend, message).with_field(label_key("default_backend"), "true")
}

fn finding(service: &Service, case: cases::HostNotAllowed, message: String) -> Finding {
    Finding::new(case, Subject::Service(service.name.clone()), message)
}
