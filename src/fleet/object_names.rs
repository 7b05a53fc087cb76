//! Names and labels of a fleet's objects, and placeholders for ids that do not exist yet.

use std::collections::BTreeMap;

use super::spec_field::Role;
use crate::pki::ChannelRole;
use crate::protocol::container_contract::{LABEL_CLUSTER, LABEL_OWNER, LABEL_ROLE};
use crate::types::{ClusterName, Digest};

/// Swarm's limit for names of configs and secrets, in bytes.
const OBJECT_NAME_BYTES_MAX: usize = 64;
/// The prefix of an id that does not exist yet; real ids contain no colon.
const PENDING_PREFIX: &str = "created:";

/// The placeholder id of an object that will be created under this name.
pub fn pending(name: &str) -> String {
    format!("{PENDING_PREFIX}{name}")
}

/// The name of the object for which this id is a placeholder, if it is one.
pub fn pending_name(id: &str) -> Option<&str> {
    id.strip_prefix(PENDING_PREFIX)
}

/// The name of the secret with which tasks of a role in the cluster obtain their certificates. It depends on the authority.
pub fn token_secret(role: ChannelRole, cluster: &ClusterName, authority: &Digest) -> String {
    config_object(token_role(role), cluster, authority)
}

/// The role label of the secret for the tasks of a role.
pub fn token_role(role: ChannelRole) -> Role {
    match role {
        ChannelRole::Extension => Role::ExtensionToken,
        ChannelRole::Proxy => Role::ProxyToken,
    }
}

/// The node-local volume with the proxies' last good state.
pub fn state_volume(cluster: &ClusterName) -> String {
    format!("swarmgate-state-{cluster}")
}

/// The name of the config object (or secret) for the content with this digest: equal contents have equal names. The
/// cluster's part is cut if the name would exceed Swarm's limit; the digest covers the full cluster name, so names stay
/// unique.
pub fn config_object(role: Role, cluster: &ClusterName, content: &Digest) -> String {
    let digest = Digest::of_bytes(format!("{cluster} {content}").as_bytes());
    let prefix = format!("swarmgate-{}-", role.as_str());
    let room = OBJECT_NAME_BYTES_MAX - prefix.len() - 1 - digest.short().len();
    let cluster: String = cluster.as_str().chars().take(room).collect();
    format!("{prefix}{}-{}", cluster.trim_end_matches('-'), digest.short())
}

/// The labels that mark an object as ours.
pub fn owner_labels(instance: &str, cluster: Option<&ClusterName>, role: Role) -> BTreeMap<String, String> {
    let cluster = cluster.map(|name| (LABEL_CLUSTER.to_owned(), name.to_string()));
    let always = [(LABEL_OWNER.to_owned(), instance.to_owned()), (LABEL_ROLE.to_owned(), role.as_str().to_owned())];
    always.into_iter().chain(cluster).collect()
}

/// Whether these labels mark an object of this instance and cluster, whatever its role.
pub fn owned_by(labels: &BTreeMap<String, String>, instance: &str, cluster: &str) -> bool {
    labels.get(LABEL_OWNER).is_some_and(|owner| owner == instance) && labels.get(LABEL_CLUSTER).is_some_and(|name| name == cluster)
}
