//! The overview of the whole instance, alongside the passes for single clusters: which clusters left objects behind, which
//! services no cluster publishes, which services' tasks matter, and whether anything is changing. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::trigger_channels::WatchedServices;
use crate::declaration::Declared;
use crate::intent::cluster::Cluster;
use crate::intent::labels::PREFIX;
use crate::plan::leftover_clusters;
use crate::protocol::container_contract::LABEL_OWNER;
use crate::report::{Finding, FindingCode, cases};
use crate::swarm::{Service, Snapshot};
use crate::translate::{node_addresses, unclaimed};
use crate::types::{ClusterName, TaskState, excerpt};

/// Longer operator names are truncated.
const NAME_CHARS_MAX: usize = 60;

/// The overview.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceOverview {
    /// Clusters of this instance that have objects but are not declared.
    pub leftover: BTreeSet<ClusterName>,
    /// Services that no declared cluster publishes, and node labels that cannot be used.
    pub findings: Vec<Finding>,
    /// Which services' tasks matter.
    pub interest: WatchedServices,
    /// Whether any service asks to be published.
    pub routed: bool,
    /// Whether a task that matters is not running yet, or a rollout is in progress.
    pub unsettled: bool,
}

/// Computes the overview.
pub fn overview(instance: &str, declared: &Declared, snapshot: &Snapshot) -> InstanceOverview {
    let names: BTreeSet<ClusterName> = declared.clusters.keys().cloned().collect();
    // While a document may exist that was never read, nothing is treated as left over.
    let leftover = if declared.incomplete { BTreeSet::new() } else { leftover_clusters(instance, &names, snapshot) };
    let clusters: Vec<Cluster> = declared.in_force().map(|cluster| cluster.as_ref().clone()).collect();
    let all = snapshot.services.values();
    let concerned: BTreeMap<_, &Service> =
        all.filter(|service| is_routed(service) || is_ours(instance, service)).map(|service| (service.id.clone(), service)).collect();
    let starting = snapshot.tasks.values().any(|task| task.state != TaskState::Running && concerned.contains_key(&task.service));
    let rolling = concerned.values().any(|service| is_rolling(service));
    let strays = unclaimed(&clusters, &declared.inactive(), snapshot);
    InstanceOverview {
        leftover,
        findings: [beside_others(instance, strays, snapshot), node_addresses(snapshot)].concat(),
        routed: concerned.values().any(|service| is_routed(service)),
        unsettled: starting || rolling,
        interest: WatchedServices { known: snapshot.services.keys().cloned().collect(), concerned: concerned.into_keys().collect() },
    }
}

/// A service that belongs to no cluster here may belong to one of another operator, whose documents are not read here.
fn beside_others(instance: &str, findings: Vec<Finding>, snapshot: &Snapshot) -> Vec<Finding> {
    let owners = snapshot.services.values().filter_map(|service| service.labels.get(LABEL_OWNER));
    let Some(other) = owners.filter(|owner| *owner != instance).min() else { return findings };
    let operator = excerpt(other, NAME_CHARS_MAX);
    let adapted = |finding: Finding| match finding.code {
        FindingCode::UnknownServiceCluster => of_another(finding, &operator),
        _ => finding,
    };
    findings.into_iter().map(adapted).collect()
}

fn of_another(finding: Finding, operator: &str) -> Finding {
    let message = "no cluster of this operator publishes the service, but another operator in this Swarm may publish it";
    let case = cases::UnknownServiceCluster::OtherOperator { operator, remedy: &finding.remedy };
    Finding { field: finding.field, value: finding.value, ..Finding::new(case, finding.subject, message) }
}

fn is_routed(service: &Service) -> bool {
    service.labels.keys().any(|key| key.starts_with(PREFIX))
}

fn is_ours(instance: &str, service: &Service) -> bool {
    service.labels.get(LABEL_OWNER).is_some_and(|owner| owner == instance)
}

fn is_rolling(service: &Service) -> bool {
    service.update_status.as_ref().is_some_and(|update| update.state.is_under_way())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::Severity;
    use crate::swarm::RawSnapshot;

    fn adapted(owner: &str) -> (Severity, String) {
        let service = |id: &str, labels: serde_json::Value| json!({"ID": id, "CreatedAt": "2026-01-01T00:00:00Z", "Spec": {"Name": id, "Labels": labels}});
        let services = vec![
            service("fleet", json!({LABEL_OWNER: owner})),
            service(
                "app",
                json!({"com.docker.lb.hosts": "a.example", "com.docker.lb.port": "80", "com.docker.lb.service_cluster": "theirs"}),
            ),
        ];
        let taken_at = "2026-01-01T00:00:00Z".parse().unwrap();
        let raw = RawSnapshot { taken_at, services, networks: vec![], tasks: vec![], nodes: vec![], configs: vec![], secrets: vec![] };
        let findings = overview("swarmgate", &Declared::default(), &Snapshot::from_raw(&raw).unwrap()).findings;
        (findings[0].severity, findings[0].remedy.clone())
    }

    #[test]
    fn a_service_that_another_operator_may_publish_is_not_an_error() {
        assert_eq!(adapted("swarmgate").0, Severity::Error);
        let (severity, remedy) = adapted("edge\u{202e}");
        assert_eq!(severity, Severity::Info);
        assert!(remedy.contains("edge\\u{202e} publishes it"), "{remedy}");
    }
}
