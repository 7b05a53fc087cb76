//! The ServiceCluster document as it is written: serde reads it, schemars describes it. Field docs are what users see in
//! the schema. A field that is left out is not managed, so an absent field is kept distinct from a default.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config_quotas_spec::ConfigQuotasSpec;
use super::formats;
use super::hosts_spec::HostsSpec;
use super::networks_spec::NetworksSpec;
use super::reference_grants_spec::MaterialSpec;
pub use super::settings_spec::Settings;
use crate::types::{ClusterName, EngineKind, Port, ServiceName, UpdateOrder};

/// The only version of the document.
pub const API_VERSION: &str = "swarmgate/v1";
/// The kind of these documents.
pub const KIND: &str = "ServiceCluster";

/// A fleet of proxies that publishes the services of one label value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceCluster {
    /// Always `swarmgate/v1`.
    pub api_version: ApiVersion,
    /// Always `ServiceCluster`.
    pub kind: ClusterKind,
    /// The name of the document, and annotations.
    pub metadata: Metadata,
    /// The desired state.
    pub spec: ClusterSpec,
}

/// The version of the document's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The only value.
    #[serde(rename = "swarmgate/v1")]
    V1,
}

/// The kind of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Kind")]
pub enum ClusterKind {
    /// The only value.
    ServiceCluster,
}

/// Name and annotations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The cluster's name, unique among all documents of this operator.
    pub name: ClusterName,
    /// Free text for people and tools; Swarmgate does not read it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "formats::Annotations")]
    pub annotations: BTreeMap<String, String>,
}

/// The desired state of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterSpec {
    /// The value of the label `com.docker.lb.service_cluster` of the services that this cluster publishes. If omitted, it
    /// publishes the services without that label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Text>")]
    pub service_cluster: Option<String>,
    /// The proxy engine.
    pub engine: EngineKind,
    /// The networks that the proxies are attached to. A list names the only networks, all attached from the start. A mapping has
    /// `only` (the same), `preferred` (the networks to use first for services that are on several) and `reserved` (address ranges
    /// of clients that no attached network may overlap). If omitted, the proxies are attached to the networks of the routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<NetworksSpec>,
    /// Which hosts may be published, and by which services.
    #[serde(default, skip_serializing_if = "HostsSpec::is_open")]
    pub hosts: HostsSpec,
    /// Which services may use which secrets and configs as TLS material, in addition to their own.
    #[serde(default, skip_serializing_if = "MaterialSpec::is_default")]
    pub material: MaterialSpec,
    /// How much of the proxies' configuration services may use.
    #[serde(default, skip_serializing_if = "ConfigQuotasSpec::is_default")]
    pub limits: ConfigQuotasSpec,
    /// The service that renders and tests configurations.
    pub extension: ExtensionSpec,
    /// The service that carries the traffic.
    pub proxy: ProxySpec,
    /// Options of the engine.
    #[serde(default, skip_serializing_if = "Settings::is_default")]
    pub settings: Settings,
}

/// The fields that extension and proxy services have in common. Flattened into both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSpec {
    /// The name of the Swarm service. Default: `swarmgate-extension-NAME` or `swarmgate-proxy-NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<ServiceName>,
    /// The image.
    #[schemars(with = "formats::Image")]
    pub image: String,
    /// Arguments that are appended to the image's entry point and Swarmgate's own arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<formats::Text>>")]
    pub args: Option<Vec<String>>,
    /// Environment variables (`NAME: value`), in addition to Swarmgate's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Environment>")]
    pub env: Option<BTreeMap<String, String>>,
    /// Placement constraints: `node.role==worker`, `node.labels.zone!=a`. If omitted, the service is created with
    /// `node.platform.os==linux`; a list of your own replaces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<formats::ConstraintText>>")]
    pub constraints: Option<Vec<String>>,
    /// Placement preferences: node labels to spread tasks over, `node.labels.rack` or `spread=node.labels.rack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<formats::Preference>>")]
    pub placement_preferences: Option<Vec<String>>,
    /// Labels of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Labels>")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Labels of the containers. A change replaces the tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Labels>")]
    pub container_labels: Option<BTreeMap<String, String>>,
    /// Resource limits and reservations. A change replaces the tasks. If omitted, the service is created with a memory limit
    /// (2 GiB for the extension, 4 GiB for each proxy); `resources: {}` removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Where the containers' output goes. A change replaces the tasks. If omitted, the service is created with `json-file` and
    /// at most five files of 10 MB for each task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
}

/// The service that renders and tests configurations. One replica; it carries no traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct ExtensionSpec {
    /// The fields of both services.
    #[serde(flatten)]
    pub workload: WorkloadSpec,
}

/// The service that carries the traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct ProxySpec {
    /// The fields of both services.
    #[serde(flatten)]
    pub workload: WorkloadSpec,
    /// `replicated` (default) or `global`: one task on every node that meets the constraints, maintained by the operator. `global`
    /// excludes `replicas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The number of tasks. If omitted, the service is created with 2 and can then be scaled by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 10_000))]
    pub replicas: Option<u32>,
    /// The published ports. Default: ports 80 and 443 of the routing mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publish>,
    /// The signal that stops a proxy: `SIGTERM`, `SIGQUIT` or another one. The agent drains connections on both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::StopSignal>")]
    pub stop_signal: Option<String>,
    /// How long a proxy may take to finish open requests when it is stopped: `10s`, `2m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::GoDuration>")]
    pub stop_grace_period: Option<String>,
    /// How Swarm replaces proxy tasks when a replacement is unavoidable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdatePolicy>,
    /// `live` (default): running proxies load new configurations without being replaced. `replace`: the configuration is a
    /// Swarm config object, and every change replaces the tasks; this works with any stock image of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStrategy>,
    /// Where a stock image expects its configuration, with `rollout: replace`. Default: `/etc/nginx/nginx.conf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::AbsolutePath>")]
    pub config_path: Option<String>,
}

/// How the number of tasks of a service is determined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The number in `replicas`.
    Replicated,
    /// One task on every node that meets the constraints.
    Global,
}

/// How new configurations reach the proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Rollout")]
pub enum RolloutStrategy {
    /// Running proxies load them, without being replaced.
    Live,
    /// The tasks are replaced.
    Replace,
}

/// The published ports of the proxies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Publish {
    /// `ingress`: Swarm's routing mesh, on every node. `host`: only on the nodes of the proxies; preserves client addresses.
    pub mode: PublishMode,
    /// The port for plain HTTP.
    pub http: PortMapping,
    /// The port for TLS. If omitted, TLS is not published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<PortMapping>,
}

/// Where ports are bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PublishMode {
    /// Swarm's routing mesh.
    Ingress,
    /// The nodes of the tasks.
    Host,
}

/// One published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortMapping {
    /// The port that clients connect to.
    pub published: Port,
    /// The port inside the proxy container.
    pub target: Port,
}

/// How Swarm replaces tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdatePolicy {
    /// The number of tasks that are replaced at once. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 10_000))]
    pub parallelism: Option<u32>,
    /// The pause between two replacements: `0s`, `10s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::GoDuration>")]
    pub delay: Option<String>,
    /// Whether the new task starts first or the old one stops first. Default: `start-first` in ingress mode, `stop-first` in host
    /// mode (the new task cannot start while the old one has the host port).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<UpdateOrder>,
    /// What to do if a new task fails. Default: `rollback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_action: Option<FailureAction>,
    /// How long a new task is monitored for failure: `5s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::GoDuration>")]
    pub monitor: Option<String>,
    /// The minimum interval between two replacements of the proxies because of networks. Networks that are needed meanwhile are
    /// attached together. While no route is served, the first network is attached immediately. A network that comes and goes
    /// is attached with an increasing delay, from half of this interval up to ten times. A network that no route needs any
    /// more, but that other services use, is detached after ten times this interval. `0s`: no delays. Default: `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::GoDuration>")]
    pub network_interval: Option<String>,
    /// How long a proxy may take to start with a new network. After that the network is removed from the proxies and retried later
    /// (`docs/findings.md`, `NetworkQuarantined`). Where the old task stops before the new one starts, the time that it may take
    /// to stop is added. Less than `40s` also removes healthy networks: an engine sometimes takes 30 s to join one. Default: `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::GoDuration>")]
    pub network_timeout: Option<String>,
}

/// What to do if a task fails in a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FailureAction {
    /// Pause the rollout.
    Pause,
    /// Continue the rollout.
    Continue,
    /// Roll back to the previous version.
    Rollback,
}

/// Limits and reservations of each task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// The most that it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceLimits>,
    /// What the scheduler reserves for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservations: Option<ResourceAmounts>,
}

/// CPU and memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceAmounts {
    /// CPUs: `"0.5"`, `"2"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Cpus>")]
    pub cpus: Option<String>,
    /// Memory: `64M`, `1G`, or bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Memory>")]
    pub memory: Option<String>,
}

/// The most that a task may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceLimits {
    /// CPUs: `"0.5"`, `"2"`. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Cpus>")]
    pub cpus: Option<String>,
    /// Memory: `64M`, `1G`, or bytes. A task that exceeds the limit is killed, so leave room for reloads (`docs/limits.md`).
    /// Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Memory>")]
    pub memory: Option<String>,
    /// Processes and threads; 0 = no limit. If omitted, the service is created with 1,024 for the extension and 4,096 for each
    /// proxy, and the value can then be changed by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 4_194_304))]
    pub pids: Option<u32>,
}

/// Where the output of containers goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Logging {
    /// Docker's logging driver: `json-file`, `local`, `journald`, ... `default`: the driver that is configured on each node.
    #[schemars(with = "formats::LogDriver")]
    pub driver: String,
    /// Options of the driver, such as `max-size: 10m`. Docker refuses to start a task with an option that the driver does not
    /// support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::LogOptions>")]
    pub options: Option<BTreeMap<String, String>>,
}
