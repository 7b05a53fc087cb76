//! The look at the whole instance, beside the passes for single clusters: which clusters have left objects behind, which
//! services nobody publishes, whose tasks matter, whether something moves. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::declared::Declared;
use super::signals::Interest;
use crate::channel::contract::LABEL_OWNER;
use crate::intent::cluster::Cluster;
use crate::intent::labels::PREFIX;
use crate::plan::leftover_clusters;
use crate::report::Finding;
use crate::swarm::{Service, Snapshot};
use crate::translate::{node_addresses, unclaimed};
use crate::types::ClusterName;

/// What the look shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Clusters of this instance that have objects and are not declared.
    pub leftover: BTreeSet<ClusterName>,
    /// Services that no declared cluster publishes, and labels of nodes that cannot be used.
    pub findings: Vec<Finding>,
    /// Whose tasks matter.
    pub interest: Interest,
    /// Whether any service asks to be published.
    pub routed: bool,
    /// Whether a task that matters is not running yet, or a rollout is under way.
    pub unsettled: bool,
}

/// Looks at the whole instance.
pub fn take(instance: &str, declared: &Declared, snapshot: &Snapshot) -> Census {
    let names: BTreeSet<ClusterName> = declared.clusters.keys().cloned().collect();
    // While a document may exist that was never read, nothing counts as left over.
    let leftover = if declared.incomplete { BTreeSet::new() } else { leftover_clusters(instance, &names, snapshot) };
    let clusters: Vec<Cluster> = declared.in_force().map(|cluster| cluster.as_ref().clone()).collect();
    let all = snapshot.services.values();
    let concerned: BTreeMap<_, &Service> =
        all.filter(|service| is_routed(service) || is_ours(instance, service)).map(|service| (service.id.clone(), service)).collect();
    let starting = snapshot.tasks.values().any(|task| task.state != "running" && concerned.contains_key(&task.service));
    let rolling = concerned.values().any(|service| is_rolling(service));
    let not_in_force = declared.not_in_force().collect::<Vec<_>>();
    Census {
        leftover,
        findings: [unclaimed(&clusters, &not_in_force, declared.incomplete, snapshot), node_addresses(snapshot)].concat(),
        routed: concerned.values().any(|service| is_routed(service)),
        unsettled: starting || rolling,
        interest: Interest { known: snapshot.services.keys().cloned().collect(), concerned: concerned.into_keys().collect() },
    }
}

fn is_routed(service: &Service) -> bool {
    service.labels.keys().any(|key| key.starts_with(PREFIX))
}

fn is_ours(instance: &str, service: &Service) -> bool {
    service.labels.get(LABEL_OWNER).is_some_and(|owner| owner == instance)
}

fn is_rolling(service: &Service) -> bool {
    service.update_status.as_ref().is_some_and(|update| matches!(update.state.as_str(), "updating" | "rollback_started"))
}
