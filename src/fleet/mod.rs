//! The second representation: which services, configs, secrets and networks must exist for one cluster, as API-shaped JSON,
//! field by field. Pure: no clock (the time is an input), no randomness, no I/O. Does not know engine syntax: rendered
//! configurations are passed in as bundles and only mounted.
//!
//! Fields that the document leaves out are not managed: they have a default for the creation of the service and are free
//! afterwards (see [`DesiredValue`]). `plan` compares the fleet with the existing objects.

mod common_service_fields;
mod config_parts;
mod container_limits;
mod enrolment_tokens;
mod extension;
mod global_mode;
pub(crate) mod host_port_conflicts;
mod mounted_config;
mod new_networks;
pub(crate) mod object_names;
mod ownership_seal;
mod peer_addresses;
mod proxy;
mod service_shape;
mod spec_field;
mod tls_mounts;

use jiff::Timestamp;

use crate::intent::cluster::Cluster;
use crate::pki::Seals;
use crate::protocol::ChannelMode;
use crate::protocol::container_contract::{LABEL_CLUSTER, LABEL_OWNER, LABEL_ROLE};
use crate::protocol::messages::Bundle;
use crate::report::WaitingOn;
use crate::route::MaterialRef;
use crate::swarm::Snapshot;
use crate::types::{ClusterName, NetworkId, NetworkName};

/// The role of tokens from before there was a certificate authority.
pub const ROLE_FORMER_TOKEN: &str = "token";

pub use config_parts::{OBJECT_BYTES_MAX, whole_of};
pub use enrolment_tokens::{TokenSecret, admission};
pub use host_port_conflicts::PortConflict;
pub use mounted_config::{BOOT_SNAPSHOT_AGE_MAX, ConfigObject};
pub use object_names::{owned_by, pending_name};
pub use ownership_seal::{ObjectKind, SealedObject};
pub use peer_addresses::peers;
pub use service_shape::ServiceShape;
pub(crate) use spec_field::without_ids;
pub use spec_field::{
    ContainerArgs, DesiredValue, Entries, Equivalence, Field, FieldValue, KeyedBy, MAX_REPLICAS, REPLICAS, Role, WholeField,
};

pub use crate::intent::cluster_spec::Mode;

/// All inputs that determine the fleet of one cluster.
#[derive(Debug, Clone, Copy)]
pub struct ShapeInput<'a> {
    /// The operator's instance name: the value of the owner label.
    pub instance: &'a str,
    /// The declared cluster.
    pub cluster: &'a Cluster,
    /// The observed state of the Swarm.
    pub snapshot: &'a Snapshot,
    /// The networks that the proxies must be attached to, besides the control network.
    pub networks: &'a [NetworkId],
    /// What the update of the proxy service does about networks.
    pub network_update: &'a NetworkUpdate,
    /// What the extension service remembers about the owners of hosts.
    pub remembered_hosts: Option<&'a str>,
    /// The secrets and configs with TLS material that the newest routes name and that exist in the Swarm: the extension
    /// mounts them.
    pub material: &'a [MaterialRef],
    /// The newest boot snapshot from the extension.
    pub boot: Option<&'a Bundle>,
    /// With `rollout: replace`: the newest configuration from the extension.
    pub live: Option<&'a Bundle>,
    /// How the extension and the proxies reach the operator and each other.
    pub channel: &'a ChannelMode,
    /// The seals by which the operator recognises the objects it created.
    pub seals: &'a Seals,
    /// The time of this pass.
    pub now: Timestamp,
}

/// What an update of the proxy service does about networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkUpdate {
    /// Networks with which no proxy is known to run yet.
    pub attaching: std::collections::BTreeSet<NetworkId>,
    /// Whether the service returns to its state before networks that failed.
    pub withdraws: bool,
    /// What the service remembers about networks that failed.
    pub remembered: Option<String>,
}

/// What must exist for one cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// The operator's instance name.
    pub instance: String,
    /// The cluster.
    pub cluster: ClusterName,
    /// The name of the control network, shared by all clusters of the instance, if there is one.
    pub control_network: Option<String>,
    /// Whether it is created with encryption.
    pub control_network_encrypted: bool,
    /// The secrets with which the tasks of the services obtain their certificates.
    pub tokens: Vec<TokenSecret>,
    /// The seals by which the operator recognises the objects it created.
    pub seals: Seals,
    /// The extension service.
    pub extension: ServiceShape,
    /// The proxy service.
    pub proxy: ServiceShape,
    /// Reasons that hold parts of the fleet back, independent of what exists.
    pub waiting: Vec<WaitingOn>,
    /// Findings, independent of what exists.
    pub findings: Vec<crate::report::Finding>,
}

/// Computes which objects must exist for the cluster.
///
/// # Guarantees
/// Total and deterministic. An id that does not exist yet is written as `object_names::pending`; the code that creates the object
/// fills it in.
pub fn shape(input: &ShapeInput<'_>) -> Fleet {
    let (mut proxy, mut findings) = proxy::shape(input);
    let contests = host_port_conflicts::of_proxies(input.instance, input.cluster, input.seals, input.snapshot);
    findings.extend(contests.iter().map(PortConflict::finding));
    proxy.contested = host_port_conflicts::wait(&proxy.name, &contests);
    findings.extend(peer_addresses::unknown_operator_address(input).or_else(|| peer_addresses::unknown_extension_address(input)));
    Fleet {
        instance: input.instance.to_owned(),
        cluster: input.cluster.name.clone(),
        control_network: input.channel.network().map(str::to_owned),
        control_network_encrypted: input.channel.is_encrypted(),
        tokens: enrolment_tokens::needed_tokens(input),
        seals: input.seals.clone(),
        extension: extension::shape(input),
        proxy,
        waiting: missing_networks(input),
        findings,
    }
}

/// A closed list may name networks that do not exist (yet): the proxies start without them.
fn missing_networks(input: &ShapeInput<'_>) -> Vec<WaitingOn> {
    let exists = |name: &NetworkName| input.snapshot.networks.values().any(|n| n.name == name.as_str() || n.id.0 == name.as_str());
    let declared = input.cluster.networks.only.iter().flatten();
    declared.filter(|name| !exists(name)).map(|name| WaitingOn::MissingNetwork { network: name.to_string() }).collect()
}

impl Fleet {
    /// Holds back the replacement of proxy tasks until the newest boot snapshot has arrived. A snapshot stays mounted for
    /// long, and the usual reason for a replacement is a network of a route that older snapshots do not contain.
    #[must_use]
    pub fn awaiting_newest_snapshot(mut self) -> Self {
        self.proxy.hold_replacement = Some(WaitingOn::NewestConfiguration { service: self.proxy.name.clone() });
        self
    }

    /// The labels that every object of this cluster carries.
    pub fn labels(&self, role: Role) -> std::collections::BTreeMap<String, String> {
        object_names::owner_labels(&self.instance, Some(&self.cluster), role)
    }

    /// The labels of the control network, which belongs to no single cluster.
    pub fn network_labels(&self) -> std::collections::BTreeMap<String, String> {
        object_names::owner_labels(&self.instance, None, Role::Network)
    }

    /// Whether these labels mark an object of this instance, cluster and role.
    pub fn owns(&self, labels: &std::collections::BTreeMap<String, String>, role: Role) -> bool {
        self.owns_as(labels, role.as_str())
    }

    /// The same for a token of an earlier version, which was for both roles and is no longer valid.
    pub fn owns_former_token(&self, labels: &std::collections::BTreeMap<String, String>) -> bool {
        self.owns_as(labels, ROLE_FORMER_TOKEN)
    }

    fn owns_as(&self, labels: &std::collections::BTreeMap<String, String>, role: &str) -> bool {
        let is = |key: &str, value: &str| labels.get(key).is_some_and(|found| found == value);
        is(LABEL_OWNER, &self.instance) && is(LABEL_CLUSTER, self.cluster.as_str()) && is(LABEL_ROLE, role)
    }
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
