//! What every pass works with, whatever its cluster: the Swarm, the channel to the extensions, the operator's own names.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::channel::wire::{Desired, Peers};
use crate::channel::{ChannelMode, Hub, Received};
use crate::swarm::Swarm;
use crate::types::{ClusterName, Digest};

/// What every pass works with.
#[derive(Clone)]
pub struct Surroundings {
    /// The Swarm.
    pub swarm: Arc<dyn Swarm>,
    /// The way to the extensions.
    pub line: Arc<dyn Line>,
    /// The operator's instance name: the value of the owner label.
    pub instance: String,
    /// How extensions and proxies reach the operator and each other.
    pub channel: ChannelMode,
    /// Makes the contents of token secrets: each call another one that nobody can guess.
    pub tokens: Arc<dyn Fn() -> String + Send + Sync>,
    /// Writes to the Swarm since the start, tried ones included.
    pub writes: Arc<AtomicU64>,
}

/// A token of 256 random bits as hexadecimal digits.
pub fn random_token() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

/// The way to the extensions. The hub is the real one; tests have their own.
pub trait Line: Send + Sync {
    /// Says what a cluster's proxies must say from now on, and the digest of every token that its extension may use.
    fn publish(&self, cluster: &ClusterName, desired: Desired, tokens: Vec<Digest>);
    /// Says where a cluster's peers are from now on, to those who share no network.
    fn introduce(&self, cluster: &ClusterName, peers: Peers);
    /// What the cluster's extension last said.
    fn report(&self, cluster: &ClusterName) -> Option<Received>;
    /// Forgets a cluster.
    fn retire(&self, cluster: &ClusterName);
}

impl Line for Hub {
    fn publish(&self, cluster: &ClusterName, desired: Desired, tokens: Vec<Digest>) {
        Hub::publish(self, cluster, desired, tokens);
    }
    fn introduce(&self, cluster: &ClusterName, peers: Peers) {
        Hub::introduce(self, cluster, peers);
    }
    fn report(&self, cluster: &ClusterName) -> Option<Received> {
        Hub::report(self, cluster)
    }
    fn retire(&self, cluster: &ClusterName) {
        Hub::retire(self, cluster);
    }
}
