//! What every pass works with, for any cluster: the Swarm, the channel to the extensions, and the operator's own names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::channel::{Hub, Moment, Received};
use crate::execute::{NewSecret, SecretSource};
use crate::fleet::{ObjectKind, SealedObject};
use crate::pki::{Authority, Seals};
use crate::plan::SecretContent;
use crate::protocol::container_contract::{LABEL_ROLE, LABEL_TOKEN_DIGEST};
use crate::protocol::messages::{Desired, PeerAddresses};
use crate::protocol::{AdmittedTasks, ChannelMode, bootstrap};
use crate::swarm::Swarm;
use crate::types::{ClusterName, Digest, ServiceId};

/// What every pass works with.
#[derive(Clone)]
pub struct Context {
    /// The Swarm.
    pub swarm: Arc<dyn Swarm>,
    /// The channel to the extensions.
    pub extensions: Arc<dyn ExtensionChannel>,
    /// The operator's instance name: the value of the owner label.
    pub instance: String,
    /// The operator's own service, if it is one.
    pub own_service: Option<ServiceId>,
    /// How extensions and proxies reach the operator and each other.
    pub channel: ChannelMode,
    /// The seals by which the operator recognizes what it created.
    pub seals: Seals,
    /// Creates the contents of secrets.
    pub secrets: Arc<dyn Fn() -> Box<dyn SecretSource> + Send + Sync>,
    /// Number of writes to the Swarm since the start, including attempts.
    pub writes: Arc<AtomicU64>,
}

/// Creates the secrets with which tasks obtain their first certificate: a random token and the authority to trust.
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

/// For previews, which never write.
struct NoSecrets;

impl SecretSource for NoSecrets {
    fn make(&mut self, _name: &str, labels: &BTreeMap<String, String>, _content: &SecretContent) -> NewSecret {
        NewSecret { data: Vec::new(), labels: labels.clone() }
    }
}

/// For previews, which never write.
pub fn no_secrets() -> Box<dyn SecretSource> {
    Box::new(NoSecrets)
}

/// The channel to the extensions. The hub is the real one; tests have their own.
pub trait ExtensionChannel: Send + Sync {
    /// Sets who gets certificates for a cluster; leaves its proxies' configuration unchanged.
    fn admit(&self, cluster: &ClusterName, admission: AdmittedTasks);
    /// Publishes what a cluster's proxies must serve from now on, and who gets certificates for it. `observed_at` is when the snapshot of
    /// the Swarm on which this is based began.
    fn publish(&self, cluster: &ClusterName, desired: Desired, admission: AdmittedTasks, observed_at: Moment);
    /// Publishes a cluster's current peer addresses for tasks that share no network.
    fn publish_peers(&self, cluster: &ClusterName, peers: PeerAddresses);
    /// The newest report from the cluster's extension.
    fn report(&self, cluster: &ClusterName) -> Option<Received>;
    /// Forgets a cluster.
    fn retire(&self, cluster: &ClusterName);
}

impl ExtensionChannel for Hub {
    fn publish(&self, cluster: &ClusterName, desired: Desired, admission: AdmittedTasks, observed_at: Moment) {
        Hub::publish(self, cluster, desired, admission, observed_at);
    }
    fn admit(&self, cluster: &ClusterName, admission: AdmittedTasks) {
        Hub::admit(self, cluster, admission);
    }
    fn publish_peers(&self, cluster: &ClusterName, peers: PeerAddresses) {
        Hub::publish_peers(self, cluster, peers);
    }
    fn report(&self, cluster: &ClusterName) -> Option<Received> {
        Hub::report(self, cluster)
    }
    fn retire(&self, cluster: &ClusterName) {
        Hub::retire(self, cluster);
    }
}
