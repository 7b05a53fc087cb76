//! Finds services that ask for publication but that no declared cluster publishes.

use super::misplaced_labels::misplaced_label_findings;
use super::published_service::{is_application, is_claimed_by, label_key};
use crate::intent::cluster::Cluster;
use crate::intent::labels::{LabelReading, read_labels, service_cluster_of};
use crate::intent::suggest::nearest;
use crate::report::{Finding, FindingCase, Subject, cases};
use crate::swarm::{Service, Snapshot};
use crate::types::{ClusterName, first_invisible};

/// A declared cluster without any valid version of its document so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InactiveCluster<'a> {
    /// Its name.
    pub name: &'a ClusterName,
    /// The label value of the services it is for, empty for services without the label; `None` if it cannot be read.
    pub label: Option<&'a str>,
}

/// A finding for each of these services, sorted. `incomplete`: there may be documents whose names could not be read.
pub fn unclaimed(clusters: &[Cluster], not_in_force: &[InactiveCluster<'_>], incomplete: bool, snapshot: &Snapshot) -> Vec<Finding> {
    let claimed = |service: &&Service| clusters.iter().any(|cluster| is_claimed_by(cluster, service));
    let strays = snapshot.services.values().filter(|service| is_application(service) && !claimed(service));
    let unread = incomplete || not_in_force.iter().any(|cluster| cluster.label.is_none());
    let judged = |service: &Service| {
        let label = service_cluster_of(&service.labels).unwrap_or_default();
        match not_in_force.iter().find(|cluster| cluster.label == Some(label)) {
            Some(cluster) => waits_for(cluster.name, service),
            None if unread => may_wait(service),
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
    let message = format!("{message}{hidden}");
    let subject = Subject::Service(service.name.clone());
    Finding::new(case_of(clusters, value), subject, message).with_field(label_key("service_cluster"), value.unwrap_or_default())
}

/// How the service gets to an existing cluster. The cluster for services without the label is often addressed by its name,
/// which is not a label value.
fn case_of(clusters: &[Cluster], value: Option<&str>) -> FindingCase {
    use cases::UnknownServiceCluster as Case;
    let known: Vec<&str> = clusters.iter().filter_map(|cluster| cluster.service_cluster.as_deref()).collect();
    if let Some(meant) = value.and_then(|value| nearest(value, known.iter().copied())) {
        return Case::Similar { value: meant }.into();
    }
    let unlabelled = clusters.iter().find(|cluster| cluster.service_cluster.is_none()).map(|cluster| cluster.name.as_str());
    let values = known.join(", ");
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
        "This service belongs to cluster {cluster}, whose document is invalid, and this operator has not seen a valid version of it: \
         nothing is published or changed for the cluster, and running proxies keep their configuration."
    );
    not_in_force(service, message, cases::ClusterNotInForce::Invalid { cluster: cluster.as_str() })
}

fn may_wait(service: &Service) -> Finding {
    let message = "No readable document publishes services with this label value, and some documents could not be read: the service is not \
                   published.";
    not_in_force(service, message.to_owned(), cases::ClusterNotInForce::Unreadable)
}

fn not_in_force(service: &Service, message: String, case: cases::ClusterNotInForce<'_>) -> Finding {
    let value = service_cluster_of(&service.labels).unwrap_or_default();
    Finding::new(case, Subject::Service(service.name.clone()), message).with_field(label_key("service_cluster"), value)
}
