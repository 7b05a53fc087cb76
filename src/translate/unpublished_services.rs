//! Finds services that ask for publication but that no declared cluster publishes.

use super::misplaced_labels::misplaced_label_findings;
use super::published_service::{is_application, is_claimed_by, label_key};
use crate::intent::cluster::Cluster;
use crate::intent::inactive_clusters::InactiveClusters;
use crate::intent::labels::{LabelReading, read_labels, service_cluster_of};
use crate::intent::suggest::nearest;
use crate::report::{Finding, FindingCase, Subject, cases};
use crate::swarm::{Service, Snapshot};
use crate::types::{ClusterName, first_invisible};

/// A finding for each of these services, sorted.
pub fn unclaimed(clusters: &[Cluster], inactive: &InactiveClusters, snapshot: &Snapshot) -> Vec<Finding> {
    let claimed = |service: &&Service| clusters.iter().any(|cluster| is_claimed_by(cluster, service));
    let strays = snapshot.services.values().filter(|service| is_application(service) && !claimed(service));
    let judged = |service: &Service| {
        let label = service_cluster_of(&service.labels).unwrap_or_default();
        match inactive.for_label(label) {
            Some(cluster) => waits_for(cluster, service),
            None if inactive.may_be_for_any() => may_wait(service),
            None => unknown(clusters, service),
        }
    };
    let judge = |service: &Service| {
        requests_publication(service).then(|| judged(service)).into_iter().chain(misplaced_label_findings(service)).collect::<Vec<_>>()
    };
    let mut findings: Vec<_> = strays.flat_map(judge).collect();
    findings.sort();
    findings
}

fn requests_publication(service: &Service) -> bool {
    read_labels(&service.name, &service.labels).reading != LabelReading::NotPublished
}

fn unknown(clusters: &[Cluster], service: &Service) -> Finding {
    let value = service_cluster_of(&service.labels);
    let message = match value {
        Some(_) => "no declared cluster publishes services with this label value; the service is not published",
        None => "no declared cluster publishes services without this label; the service is not published",
    };
    let hidden = value.and_then(first_invisible).map_or_else(String::new, |unseen| format!("; it contains {unseen}"));
    about_label(service, case_of(clusters, value), format!("{message}{hidden}"))
}

/// A finding about the label `service_cluster` of a service, which may not have it.
fn about_label(service: &Service, case: impl Into<FindingCase>, message: String) -> Finding {
    let finding = Finding::new(case, Subject::Service(service.name.clone()), message);
    let field = label_key("service_cluster");
    match service_cluster_of(&service.labels) {
        Some(value) => finding.with_field(field, value),
        None => Finding { field: Some(field), ..finding },
    }
}

/// How the service gets to an existing cluster. The cluster for services without the label is often addressed by its name,
/// which is not a label value.
fn case_of(clusters: &[Cluster], value: Option<&str>) -> FindingCase {
    use cases::UnknownServiceCluster as Case;
    let known: Vec<&str> = clusters.iter().filter_map(|cluster| cluster.service_cluster.as_deref()).collect();
    if let Some(similar) = value.and_then(|value| nearest(value, known.iter().copied())) {
        return Case::Similar { value: similar }.into();
    }
    let unlabelled = clusters.iter().find(|cluster| cluster.service_cluster.is_none()).map(|cluster| cluster.name.as_str());
    let values = or(&known);
    let is_its_name = value.zip(unlabelled).is_some_and(|(value, name)| nearest(value, std::iter::once(name)).is_some());
    let case = match unlabelled {
        Some(cluster) if is_its_name => Case::NameOfCluster { cluster },
        Some(cluster) if known.is_empty() => Case::WithoutLabel { cluster },
        Some(cluster) => Case::OtherValuesOrWithout { values: &values, cluster },
        None if known.is_empty() => Case::NoCluster,
        None => Case::OtherValues { values: &values },
    };
    case.into()
}

fn waits_for(cluster: &ClusterName, service: &Service) -> Finding {
    let message = format!(
        "this service belongs to cluster {cluster}, whose document is invalid, and this operator has not seen a valid version of it: \
         nothing is published or changed for the cluster, and running proxies keep their configuration"
    );
    about_label(service, cases::ClusterNotInForce::Invalid { cluster: cluster.as_str() }, message)
}

fn may_wait(service: &Service) -> Finding {
    let services = match service_cluster_of(&service.labels) {
        Some(_) => "with this label value",
        None => "without this label",
    };
    let message =
        format!("no readable document publishes services {services}, and some documents cannot be read; the service is not published");
    about_label(service, cases::ClusterNotInForce::Unreadable, message)
}

/// "a", "a or b", "a, b or c".
fn or(values: &[&str]) -> String {
    match values {
        [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => values.concat(),
    }
}
