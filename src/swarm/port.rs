//! The port to a Swarm: everything the operator may read and write, and nothing else. Two implementations: `docker`
//! (bollard) and `simulator`. Specs are API-shaped JSON, because a service update replaces the whole spec and fields
//! that we do not know must survive it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;

use super::RawSnapshot;
use crate::types::{ConfigId, NetworkId, SecretId, ServiceId};

/// What went wrong, as far as it decides what happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SwarmErrorKind {
    /// The object changed since it was read (HTTP 500 "update out of sequence"): look again.
    OutOfSequence,
    /// An object of that name exists.
    NameTaken,
    /// The object does not exist.
    NotFound,
    /// The object is used by another one.
    InUse,
    /// Swarm refused the request as wrong; the same request will be refused again.
    Invalid,
    /// No leader, not a manager, connection refused, cut or timed out: says nothing about the Swarm's content.
    Unavailable,
    /// Anything else that Swarm answered.
    Other,
}

/// A failed call: what we were doing to what, and Swarm's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{doing}: {message}")]
pub struct SwarmError {
    /// What decides what happens next.
    pub kind: SwarmErrorKind,
    /// What we were doing to what: `update service swarmgate-proxy-dev`.
    pub doing: String,
    /// Swarm's (or the connection's) own words.
    pub message: String,
}

/// Something may have changed; look again. Carries no facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// `service`, `node`, `network`, `config` or `secret`.
    pub kind: String,
    /// For the log only.
    pub detail: String,
}

/// A Swarm that can be read and written.
///
/// # Guarantees
/// `observe` is complete or fails; no method retries; a write that fails may still have taken effect.
#[async_trait]
pub trait Swarm: Send + Sync {
    /// Reads everything: services (then tasks with desired state running), nodes, networks, metadata of all secrets, and of the
    /// configs that look like the operator's own ([`super::looks_like_our_config`]) and those that services name
    /// ([`super::NamedConfigs`]). Any failed part fails the whole. What is known of a config may be some minutes old, unless a
    /// write of this port or a hint told of a change; where strangers have made very many configs that look like the
    /// operator's own, those that services of his mount are read, and not all others.
    async fn observe(&self) -> Result<RawSnapshot, SwarmError>;

    /// Reads only the tasks whose desired state is running (of jobs: complete), for the quick look between two snapshots.
    async fn running_tasks(&self) -> Result<Vec<Value>, SwarmError>;

    /// Reads the tasks that Swarm has told to stop and that have not ended: they finish what they have begun. For people's
    /// questions only; the answer holds the history of ended tasks, too, until it is sorted out here.
    async fn stopping_tasks(&self) -> Result<Vec<Value>, SwarmError>;

    /// Reads every task that the Swarm still knows of one service, ended ones included: the history of its own specs.
    async fn tasks_of(&self, service: &ServiceId) -> Result<Vec<Value>, SwarmError>;

    /// The same for an answer that nobody needs and others would wait for: one that takes longer than a moment is an error.
    async fn tasks_of_briefly(&self, service: &ServiceId) -> Result<Vec<Value>, SwarmError> {
        self.tasks_of(service).await
    }

    /// Hints that something changed, until the stream breaks (ends or gives an error).
    fn hints(&self) -> BoxStream<'static, Result<Hint, SwarmError>>;

    /// Creates an overlay network from an API-shaped body (`Name`, `Driver`, `Labels`, ...).
    async fn create_network(&self, body: &Value) -> Result<NetworkId, SwarmError>;
    /// Creates a config object.
    async fn create_config(&self, name: &str, labels: &BTreeMap<String, String>, data: &[u8]) -> Result<ConfigId, SwarmError>;
    /// Creates a secret.
    async fn create_secret(&self, name: &str, labels: &BTreeMap<String, String>, data: &[u8]) -> Result<SecretId, SwarmError>;
    /// Creates a service from an API-shaped `ServiceSpec`.
    async fn create_service(&self, spec: &Value) -> Result<ServiceId, SwarmError>;
    /// Replaces a service's whole spec, if it is still at `version`.
    async fn update_service(&self, id: &ServiceId, version: u64, spec: &Value) -> Result<(), SwarmError>;

    /// Removes a service; its tasks are shut down after.
    async fn remove_service(&self, id: &ServiceId) -> Result<(), SwarmError>;
    /// Removes a config object.
    async fn remove_config(&self, id: &ConfigId) -> Result<(), SwarmError>;
    /// Removes a secret.
    async fn remove_secret(&self, id: &SecretId) -> Result<(), SwarmError>;
    /// Removes a network.
    async fn remove_network(&self, id: &NetworkId) -> Result<(), SwarmError>;
}
