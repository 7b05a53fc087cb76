//! The port to a Swarm: everything the operator may read and write, and nothing else. It has two implementations: `docker`
//! (bollard) and `simulator`. Specs are API-shaped JSON, because a service update replaces the whole spec, and fields unknown
//! to us must survive it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;

use super::RawSnapshot;
use crate::types::{ConfigId, NetworkId, SecretId, ServiceId};

/// The kind of failure, as far as the caller's reaction depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SwarmErrorKind {
    /// The object changed since it was read (HTTP 500 "update out of sequence"): read it again.
    OutOfSequence,
    /// An object with that name exists.
    NameTaken,
    /// The object does not exist.
    NotFound,
    /// The object is used by another one.
    InUse,
    /// Swarm rejected the request as invalid; it will reject the same request again.
    Invalid,
    /// No leader, not a manager, or the connection was refused, cut or timed out: says nothing about the state of the Swarm.
    Unavailable,
    /// Any other answer of Swarm.
    Other,
}

/// A failed call: what it did to which object, and Swarm's message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{doing}: {message}")]
pub struct SwarmError {
    /// The kind of failure, which determines the reaction.
    pub kind: SwarmErrorKind,
    /// The action and its object: `update service swarmgate-proxy-dev`.
    pub doing: String,
    /// The message of Swarm or of the connection.
    pub message: String,
}

/// Something may have changed: observe again. Carries no facts.
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
    /// Reads everything: services (then tasks with desired state running), nodes, networks, and the metadata of all secrets, of
    /// the configs that look like the operator's own ([`super::looks_like_our_config`]) and of those that services name
    /// ([`super::NamedConfigs`]). If any part fails, the whole fails. The metadata of a config may be some minutes old, unless
    /// a write through this port or a hint reported a change. If other users have created very many configs that look like the
    /// operator's own, those mounted by its services are read, but not all others.
    async fn observe(&self) -> Result<RawSnapshot, SwarmError>;

    /// Reads only the tasks whose desired state is running (for jobs: complete), for a quick check between two snapshots.
    async fn running_tasks(&self) -> Result<Vec<Value>, SwarmError>;

    /// Reads the tasks that Swarm asked to stop and that have not ended, because they finish the work they have begun. Only for
    /// requests by people: the raw answer also contains the history of ended tasks, which is filtered out here.
    async fn stopping_tasks(&self) -> Result<Vec<Value>, SwarmError>;

    /// Reads every task of one service that Swarm still knows, including ended ones: the history of the service's own specs.
    async fn tasks_of(&self, service: &ServiceId) -> Result<Vec<Value>, SwarmError>;

    /// Like `tasks_of`, for an optional answer that other work would wait for: fails if it takes longer than a moment.
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
    /// Replaces a service's whole spec, provided the service is still at `version`.
    async fn update_service(&self, id: &ServiceId, version: u64, spec: &Value) -> Result<(), SwarmError>;

    /// Removes a service; its tasks shut down afterwards.
    async fn remove_service(&self, id: &ServiceId) -> Result<(), SwarmError>;
    /// Removes a config object.
    async fn remove_config(&self, id: &ConfigId) -> Result<(), SwarmError>;
    /// Removes a secret.
    async fn remove_secret(&self, id: &SecretId) -> Result<(), SwarmError>;
    /// Removes a network.
    async fn remove_network(&self, id: &NetworkId) -> Result<(), SwarmError>;
}
