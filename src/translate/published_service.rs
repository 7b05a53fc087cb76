//! A service that a cluster publishes, and what can be read from any service: its owner, stack and cluster.

use std::collections::{BTreeMap, BTreeSet};

use crate::intent::cluster::Cluster;
use crate::intent::labels::{PREFIX, ServiceLabels, service_cluster_of};
use crate::protocol::container_contract::LABEL_OWNER;
use crate::report::Subject;
use crate::swarm::Service;
use crate::types::{HostPattern, ServiceName};

/// A service with usable labels.
#[derive(Debug)]
pub struct PublishedService<'a> {
    /// The service.
    pub service: &'a Service,
    /// Its validated name.
    pub name: ServiceName,
    /// Its labels.
    pub labels: ServiceLabels,
    /// The hosts of other teams to which it is admitted.
    pub guest_at: BTreeSet<HostPattern>,
}

impl PublishedService<'_> {
    /// The subject of findings about it.
    pub fn subject(&self) -> Subject {
        Subject::Service(self.service.name.clone())
    }

    /// Whether it wants any tasks.
    pub fn wants_tasks(&self) -> bool {
        self.service.replicas != Some(0)
    }
}

/// Whether the service is an application (not one of ours) and its label names this cluster.
pub fn is_claimed_by(cluster: &Cluster, service: &Service) -> bool {
    let publishes = cluster.service_cluster.as_deref().filter(|value| !value.is_empty());
    is_application(service) && service_cluster_of(&service.labels) == publishes
}

/// Whether the service is not one of ours.
pub fn is_application(service: &Service) -> bool {
    !service.labels.contains_key(LABEL_OWNER)
}

/// The label in which Compose stores the name of the stack, which prefixes the names of the stack's networks, secrets and
/// configs.
const STACK_LABEL: &str = "com.docker.stack.namespace";

/// The stack that deployed the service, if any.
pub fn stack_of(service: &Service) -> Option<&str> {
    stack_in(&service.labels)
}

/// The stack in the labels of an object, if any.
pub fn stack_in(labels: &BTreeMap<String, String>) -> Option<&str> {
    labels.get(STACK_LABEL).map(String::as_str).filter(|stack| !stack.is_empty())
}

/// The full key of one of our labels.
pub fn label_key(name: &str) -> String {
    format!("{PREFIX}{name}")
}
