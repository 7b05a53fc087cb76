//! The checked form of a service cluster, with all defaults resolved that need no Swarm knowledge. `Option` still means
//! "not managed". Created only by the document reader.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::cluster_spec::{FailureAction, Mode, Publish, RolloutStrategy};
use super::config_quotas::ConfigQuotas;
use super::hosts::HostRules;
use super::networks::NetworkRules;
use super::reference_grants::MaterialRules;
use crate::route::EngineSettings;
use crate::types::{ClusterName, EngineKind, ServiceName, UpdateOrder};

/// One service cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its name.
    pub name: ClusterName,
    /// The label value it publishes; `None`: services without the label (or with an empty one).
    pub service_cluster: Option<String>,
    /// The proxy engine.
    pub engine: EngineKind,
    /// Which networks the proxies may be attached to.
    pub networks: NetworkRules,
    /// Which hosts may be published, and by which services.
    pub hosts: HostRules,
    /// Which services may use which secrets and configs, beyond their own.
    pub material: MaterialRules,
    /// How much of the proxies' configuration services may use.
    pub limits: ConfigQuotas,
    /// The extension service.
    pub extension: Workload,
    /// The proxy service.
    pub proxy: Proxy,
    /// Engine options, defaults filled in.
    pub settings: EngineSettings,
}

impl Cluster {
    /// Whether a load balancer in front of the proxies is trusted about clients, including whether they used TLS.
    pub fn has_front(&self) -> bool {
        self.settings.client_address.is_some()
    }

    /// The names of all Swarm objects that the document names.
    pub fn named_objects(&self) -> BTreeSet<String> {
        let rules = self.hosts.allow.iter().flatten().filter_map(|rule| rule.networks.as_ref());
        self.networks.names().chain(rules.flatten()).map(ToString::to_string).collect()
    }
}

/// What extension and proxy services have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// The Swarm service's name, default resolved.
    pub service_name: ServiceName,
    /// The image.
    pub image: String,
    /// Further arguments.
    pub args: Option<Vec<String>>,
    /// Further environment.
    pub env: Option<BTreeMap<String, String>>,
    /// Placement constraints in Swarm's form (`key==value`), in the order written.
    pub constraints: Option<Vec<String>>,
    /// Node labels to spread over (`node.labels.rack`), in order.
    pub placement_preferences: Option<Vec<String>>,
    /// Service labels; none begins with `swarmgate.`.
    pub labels: Option<BTreeMap<String, String>>,
    /// Container labels.
    pub container_labels: Option<BTreeMap<String, String>>,
    /// Limits and reservations.
    pub resources: Option<Resources>,
    /// Where the output goes.
    pub logging: Option<Logging>,
}

/// The proxy service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// What both services have.
    pub workload: Workload,
    /// Replicated or global.
    pub mode: Mode,
    /// Replicas, if stated; never with `Mode::Global`.
    pub replicas: Option<u64>,
    /// Published ports, default resolved (routing mesh, 80 and 443).
    pub publish: Publish,
    /// Stop signal, if stated.
    pub stop_signal: Option<String>,
    /// Stop grace period, if stated.
    pub stop_grace_period: Option<Duration>,
    /// How Swarm replaces tasks.
    pub update: UpdatePolicy,
    /// How configurations reach the proxies, default resolved.
    pub rollout: RolloutStrategy,
    /// Where a stock image expects its configuration (`rollout: replace`).
    pub config_path: String,
}

/// How Swarm replaces tasks; `None` = not stated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdatePolicy {
    /// The number of tasks replaced at once.
    pub parallelism: Option<u64>,
    /// The pause between two replacements.
    pub delay: Option<Duration>,
    /// Which comes first: stopping the old task or starting the new one.
    pub order: Option<UpdateOrder>,
    /// What happens after a task fails.
    pub failure_action: Option<FailureAction>,
    /// How long a new task is monitored.
    pub monitor: Option<Duration>,
    /// The minimum interval between two replacements because of networks.
    pub network_interval: Option<Duration>,
    /// How long a proxy may take to run with a new network.
    pub network_timeout: Option<Duration>,
}

/// The number of proxies of a service that is created without a stated number, so that one may fail.
pub const PROXIES_AT_CREATION: u64 = 2;
/// The placement of services that are created without stated constraints: our images are for Linux, and a Swarm can have Windows
/// nodes, where their tasks would fail.
pub const CONSTRAINT_AT_CREATION: &str = "node.platform.os==linux";
/// The default of [`UpdatePolicy::network_interval`].
pub const NETWORK_INTERVAL: Duration = Duration::from_secs(60);
/// The default of [`UpdatePolicy::network_timeout`].
pub const NETWORK_TIMEOUT: Duration = Duration::from_secs(60);

/// Limits and reservations in Swarm's units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// Limits.
    pub limits: Amounts,
    /// The maximum number of processes and threads, if stated; 0 = no limit.
    pub pids_limit: Option<i64>,
    /// Reservations.
    pub reservations: Amounts,
}

/// CPU and memory; `None` = not stated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Billionths of a CPU.
    pub nano_cpus: Option<i64>,
    /// Bytes.
    pub memory_bytes: Option<i64>,
}

/// Where the output of containers goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logging {
    /// As configured on each node's Docker engine.
    EngineDefault,
    /// To a logging driver, with its options.
    Driver {
        /// Its name.
        name: String,
        /// Its options.
        options: BTreeMap<String, String>,
    },
}
