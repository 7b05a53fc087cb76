//! Selects the services that a cluster publishes, ordered by creation, then id.

use std::collections::BTreeSet;

use super::claim_limits::ClaimLimiter;
use super::host_admission::NotAdmitted;
use super::host_ownership::OwnershipResult;
use super::published_service::{PublishedService, is_claimed_by, stack_of};
use super::{TranslationContext, host_admission, host_ownership, misplaced_labels};

use crate::intent::labels::{LabelReading, read_labels};

use crate::report::{Finding, Subject, cases};
use crate::swarm::Service;
use crate::types::{ServiceName, UpdateOrder};

/// The services of the cluster, oldest first, and the hosts that they ask for but may not have. Services with unusable
/// labels are left out and get findings.
pub fn published_services<'a>(
    context: &TranslationContext<'a>,
    findings: &mut Vec<Finding>,
) -> (Vec<PublishedService<'a>>, NotAdmitted, OwnershipResult) {
    let mut not_admitted = NotAdmitted::new();
    let ours = context.snapshot.services.values().filter(|service| is_claimed_by(context.cluster, service));
    let mut ours: Vec<&Service> = ours.collect();
    ours.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    // Requests that will not be granted are dropped as they are read: their total has no bound.
    let mut limiter = ClaimLimiter::new(context);
    let services = ours.into_iter().filter_map(|service| read(context, service, &mut limiter, &mut not_admitted, findings)).collect();
    let (services, ownership) = host_ownership::keep_owned(context, services, &mut not_admitted, findings);
    (services, not_admitted, ownership)
}

fn read<'a>(
    context: &TranslationContext<'a>,
    service: &'a Service,
    limiter: &mut ClaimLimiter<'_, 'a>,
    not_admitted: &mut NotAdmitted,
    findings: &mut Vec<Finding>,
) -> Option<PublishedService<'a>> {
    let read = read_labels(&service.name, &service.labels);
    findings.extend(read.findings.into_iter().chain(misplaced_labels::misplaced_label_findings(service)));
    let LabelReading::Published(mut labels) = read.reading else { return None };
    let closed = misplaced_labels::closed_on_container(service);
    labels.closed |= closed.is_some();
    findings.extend(closed);
    findings.extend(limiter.admit(service, &mut labels));
    if !host_admission::keep_admitted(context, service, &mut labels, not_admitted, findings) {
        return None;
    }
    match ServiceName::parse(&service.name) {
        Ok(name) => {
            findings.extend(update_gap(context, service));
            Some(PublishedService { service, name, labels: *labels, guest_at: BTreeSet::new() })
        }
        Err(rule) => {
            findings.push(unusable_name(service, &rule.0));
            None
        }
    }
}

/// Swarm itself refuses such names, so only a file or another implementation can contain one.
fn unusable_name(service: &Service, rule: &str) -> Finding {
    let message = format!("{rule}; the service is not published");
    let subject = Subject::Service(service.name.clone());
    Finding::new(cases::InvalidValue::ServiceName, subject, message).with_field("name", &service.name)
}

fn update_gap(context: &TranslationContext<'_>, service: &Service) -> Option<Finding> {
    let order = service.spec.pointer("/UpdateConfig/Order").and_then(serde_json::Value::as_str).unwrap_or_default();
    if service.replicas != Some(1) || order == UpdateOrder::StartFirst.as_str() {
        return None;
    }
    let message = "the only task is stopped before its successor starts, so requests fail during every update";
    let subject = Subject::Service(service.name.clone());
    Some(Finding::new(gap_case(context, service), subject, message))
}

/// The case whose remedy actually works: a port of a node cannot be bound twice, and without a stack file the update order is set
/// elsewhere.
fn gap_case<'a>(context: &TranslationContext<'_>, service: &'a Service) -> cases::UpdateGap<'a> {
    let on_host_network = context.tasks_of(&service.id).iter().any(|task| task.on_host_network);
    let fixed = on_host_network || service.ports.iter().any(|port| port.host_mode && port.published != 0);
    match stack_of(service) {
        _ if fixed => cases::UpdateGap::PortOfNode,
        Some(_) => cases::UpdateGap::InStack,
        None => cases::UpdateGap::WithoutStack { service: &service.name },
    }
}
