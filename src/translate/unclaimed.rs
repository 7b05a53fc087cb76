//! Services that ask for publication and that no declared cluster publishes.

use super::published::{is_application, is_claimed_by, label_key};
use crate::intent::cluster::Cluster;
use crate::intent::labels::{LabelReading, read_labels, service_cluster_of};
use crate::report::{Finding, FindingCode, Severity, Subject};
use crate::swarm::{Service, Snapshot};

/// A finding for each of them, sorted.
pub fn unclaimed(clusters: &[Cluster], snapshot: &Snapshot) -> Vec<Finding> {
    let claimed = |service: &&Service| clusters.iter().any(|cluster| is_claimed_by(cluster, service));
    let strays = snapshot.services.values().filter(|service| is_application(service) && !claimed(service));
    let mut findings: Vec<_> = strays.filter(|service| asks(service)).map(|service| finding(clusters, service)).collect();
    findings.sort();
    findings
}

fn asks(service: &Service) -> bool {
    read_labels(&service.name, &service.labels).reading != LabelReading::NotPublished
}

fn finding(clusters: &[Cluster], service: &Service) -> Finding {
    let value = service_cluster_of(&service.labels);
    let message = match value {
        Some(_) => "no declared cluster publishes this label value; the service is not published",
        None => "no declared cluster publishes services without this label; the service is not published",
    };
    let known: Vec<_> = clusters.iter().filter_map(|cluster| cluster.service_cluster.as_deref()).collect();
    let remedy = if known.is_empty() {
        "Declare a ServiceCluster for it.".to_owned()
    } else {
        format!("Write one of {}, or declare a ServiceCluster for it.", known.join(", "))
    };
    let subject = Subject::Service(service.name.clone());
    Finding::new(Severity::Error, FindingCode::UnknownServiceCluster, subject, message, remedy)
        .at(label_key("service_cluster"), value.unwrap_or_default())
}
