//! Clusters that left the declaration: first removes their services, then the objects that nothing uses any more. Works from
//! owner labels alone, because there is no document left to read.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster_of_service::cluster_of;
use super::references::ReferencedIds;
use super::step::{Plan, PlanStep};
use crate::fleet::{ROLE_FORMER_TOKEN, Role, owned_by};
use crate::protocol::container_contract::{LABEL_CLUSTER, LABEL_OWNER, LABEL_ROLE};
use crate::report::WaitingOn;
use crate::swarm::Snapshot;
use crate::types::ClusterName;

/// Roles that belong to a cluster's fleet. This module ignores other objects with our labels (stored documents).
const FLEET_ROLES: [Role; 6] = [Role::Extension, Role::Proxy, Role::Boot, Role::Live, Role::ExtensionToken, Role::ProxyToken];

/// The clusters that have objects of this instance but are not declared.
pub fn leftover_clusters(instance: &str, declared: &BTreeSet<ClusterName>, snapshot: &Snapshot) -> BTreeSet<ClusterName> {
    let ours = |labels: &BTreeMap<String, String>| is(labels, LABEL_OWNER, instance) && has_fleet_role(labels);
    let services = snapshot.services.values().filter(|service| ours(&service.labels)).filter_map(cluster_of);
    let configs = snapshot.configs.values().map(|config| &config.labels);
    let secrets = snapshot.secrets.values().map(|secret| &secret.labels);
    let objects = configs.chain(secrets).filter(|labels| ours(labels)).filter_map(|labels| labels.get(LABEL_CLUSTER));
    let clusters = services.chain(objects.map(String::as_str)).filter_map(|name| ClusterName::parse(name).ok());
    clusters.filter(|name| !declared.contains(name)).collect()
}

/// Plans the removal of everything that belongs to a cluster that left the declaration, and of the control network if this
/// was the last cluster and this instance created the network.
pub fn plan_removal(instance: &str, cluster: &ClusterName, snapshot: &Snapshot) -> Plan {
    let owned = |labels: &BTreeMap<String, String>| owned_by(labels, instance, cluster.as_str()) && has_fleet_role(labels);
    let ours = |labels: &BTreeMap<String, String>| is(labels, LABEL_OWNER, instance) && has_fleet_role(labels);
    let services = snapshot.services.values().filter(|service| ours(&service.labels) && cluster_of(service) == Some(cluster.as_str()));
    let reason = "the cluster was removed from the declaration";
    let mut steps: Vec<PlanStep> = services
        .map(|service| PlanStep::RemoveService { id: service.id.clone(), name: service.name.clone(), reason: reason.to_owned() })
        .collect();
    let mut waiting = Vec::new();
    // Services first: the objects they use can be removed once a new snapshot shows that they are unused.
    if steps.is_empty() {
        let used = ReferencedIds::new(snapshot);
        for config in snapshot.configs.values().filter(|config| owned(&config.labels)) {
            let step = PlanStep::RemoveConfig { id: config.id.clone(), name: config.name.clone() };
            unless_used(&used, &config.id.0, step, &mut steps, &mut waiting);
        }
        for secret in snapshot.secrets.values().filter(|secret| owned(&secret.labels)) {
            let step = PlanStep::RemoveSecret { id: secret.id.clone(), name: secret.name.clone() };
            unless_used(&used, &secret.id.0, step, &mut steps, &mut waiting);
        }
        steps.extend(network(instance, cluster, snapshot, &used));
    }
    Plan { instance: instance.to_owned(), cluster: cluster.to_string(), steps, waiting, findings: Vec::new(), rollouts: Vec::new() }
}

fn unless_used(used: &ReferencedIds, id: &str, step: PlanStep, steps: &mut Vec<PlanStep>, waiting: &mut Vec<WaitingOn>) {
    match used.user(id) {
        Some(service) => waiting.push(WaitingOn::InUse { object: step.name().to_owned(), by: format!("service {service}") }),
        None => steps.push(step),
    }
}

/// The control networks that this instance created, if it has no objects of any other cluster left.
fn network(instance: &str, cluster: &ClusterName, snapshot: &Snapshot, used: &ReferencedIds) -> Vec<PlanStep> {
    let others = leftover_clusters(instance, &BTreeSet::from([cluster.clone()]), snapshot);
    if !others.is_empty() {
        return Vec::new();
    }
    let made = |labels: &BTreeMap<String, String>| is(labels, LABEL_OWNER, instance) && is(labels, LABEL_ROLE, Role::Network.as_str());
    let unused = snapshot.networks.values().filter(|network| made(&network.labels) && !used.has(&network.id.0));
    unused.map(|network| PlanStep::RemoveNetwork { id: network.id.clone(), name: network.name.clone() }).collect()
}

fn has_fleet_role(labels: &BTreeMap<String, String>) -> bool {
    labels.get(LABEL_ROLE).is_some_and(|found| found == ROLE_FORMER_TOKEN || FLEET_ROLES.iter().any(|role| role.as_str() == found))
}

fn is(labels: &BTreeMap<String, String>, key: &str, value: &str) -> bool {
    labels.get(key).is_some_and(|found| found == value)
}
