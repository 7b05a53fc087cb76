//! What every pass works with, whatever its cluster: the Swarm, the channel to the extensions, the operator's own names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::channel::{Hub, Moment, Received};
use crate::execute::{NewSecret, SecretSource};
use crate::fleet::{ObjectKind, SealedObject};
use crate::pki::{Authority, Seals};
use crate::plan::SecretContent;
use crate::protocol::container_contract::{LABEL_ROLE, LABEL_TOKEN_DIGEST};
use crate::protocol::messages::{Desired, Peers};
use crate::protocol::{Admission, ChannelMode, bootstrap};
use crate::swarm::Swarm;
use crate::types::{ClusterName, Digest, ServiceId};

/// What every pass works with.
#[derive(Clone)]
pub struct Context {
    /// The Swarm.
    pub swarm: Arc<dyn Swarm>,
    /// The way to the extensions.
    pub extensions: Arc<dyn ExtensionChannel>,
    /// The operator's instance name: the value of the owner label.
    pub instance: String,
    /// The operator's own service, if it is one.
    pub own_service: Option<ServiceId>,
    /// How extensions and proxies reach the operator and each other.
    pub channel: ChannelMode,
    /// By which the operator knows what it created.
    pub seals: Seals,
    /// Makes the contents of secrets.
    pub secrets: Arc<dyn Fn() -> Box<dyn SecretSource> + Send + Sync>,
    /// Writes to the Swarm since the start, tried ones included.
    pub writes: Arc<AtomicU64>,
}

/// Makes the secrets by which tasks get their first certificate: a random token, and whom to believe.
pub struct Tokens {
    authority: Arc<Authority>,
    instance: String,
}

impl Tokens {
    /// For this operator.
    pub fn new(authority: Arc<Authority>, instance: String) -> Self {
        Self { authority, instance }
    }
}

impl SecretSource for Tokens {
    fn make(&mut self, name: &str, labels: &BTreeMap<String, String>, content: &SecretContent) -> NewSecret {
        let SecretContent::Token { role, cluster } = content;
        let token = hex::encode(rand::random::<[u8; 32]>());
        let mut labels = labels.clone();
        labels.insert(LABEL_TOKEN_DIGEST.to_owned(), Digest::of_bytes(token.as_bytes()).to_string());
        let object_role = labels.get(LABEL_ROLE).cloned().unwrap_or_default();
        let described =
            SealedObject { kind: ObjectKind::Secret, instance: &self.instance, cluster: cluster.as_str(), role: &object_role, name };
        let labels = described.seal(&self.authority.seals(), labels);
        NewSecret { data: bootstrap::encode(*role, cluster, &token, &self.authority.root_pem()), labels }
    }
}

/// For a look that never acts.
struct NoSecrets;

impl SecretSource for NoSecrets {
    fn make(&mut self, _name: &str, labels: &BTreeMap<String, String>, _content: &SecretContent) -> NewSecret {
        NewSecret { data: Vec::new(), labels: labels.clone() }
    }
}

/// For a look that never acts.
pub fn no_secrets() -> Box<dyn SecretSource> {
    Box::new(NoSecrets)
}

/// The way to the extensions. The hub is the real one; tests have their own.
pub trait ExtensionChannel: Send + Sync {
    /// Says who gets certificates for a cluster, and leaves what its proxies must say as it is.
    fn admit(&self, cluster: &ClusterName, admission: Admission);
    /// Says what a cluster's proxies must say from now on, and who gets certificates for it; `observed_at` is when the look at the Swarm
    /// began that says so.
    fn publish(&self, cluster: &ClusterName, desired: Desired, admission: Admission, observed_at: Moment);
    /// Says where a cluster's peers are from now on, to those who share no network.
    fn introduce(&self, cluster: &ClusterName, peers: Peers);
    /// What the cluster's extension last said.
    fn report(&self, cluster: &ClusterName) -> Option<Received>;
    /// Forgets a cluster.
    fn retire(&self, cluster: &ClusterName);
}

impl ExtensionChannel for Hub {
    fn publish(&self, cluster: &ClusterName, desired: Desired, admission: Admission, observed_at: Moment) {
        Hub::publish(self, cluster, desired, admission, observed_at);
    }
    fn admit(&self, cluster: &ClusterName, admission: Admission) {
        Hub::admit(self, cluster, admission);
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
