//! The ServiceCluster document as it is written: serde reads it, schemars describes it. Field docs are what users see in
//! the schema. A field that is left out is not managed (DESIGN section 2), so absence is kept apart from a default.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config_quotas_spec::LimitsSpec;
use super::formats;
use super::hosts_spec::HostsSpec;
use super::networks_spec::NetworksSpec;
use super::reference_grants_spec::MaterialSpec;
pub use super::settings_spec::Settings;
use crate::types::{ClusterName, EngineKind, Port, ServiceName};

/// The only version of the document there is.
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
    pub kind: Kind,
    /// The document's name and free annotations.
    pub metadata: Metadata,
    /// What must exist.
    pub spec: ClusterSpec,
}

/// The version of the document's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The only one.
    #[serde(rename = "swarmgate/v1")]
    V1,
}

/// The kind of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// The only one.
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

/// What must exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterSpec {
    /// The value of the label `com.docker.lb.service_cluster` that this cluster publishes. Absent: it publishes the
    /// services without that label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Text>")]
    pub service_cluster: Option<String>,
    /// The proxy engine.
    pub engine: EngineKind,
    /// Which networks the proxies are attached to. A list: the only ones, all from the start. A mapping of `only` (the same),
    /// `preferred` (those to use first for services that are on several) and `reserved` (ranges of clients that no attached
    /// network may overlap with). Absent: the networks of the routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<NetworksSpec>,
    /// Which hosts may be published, and by whom.
    #[serde(default, skip_serializing_if = "HostsSpec::is_open")]
    pub hosts: HostsSpec,
    /// Which services may use which secrets and configs as TLS material, beyond their own.
    #[serde(default, skip_serializing_if = "MaterialSpec::is_default")]
    pub material: MaterialSpec,
    /// How much of the proxies' configuration services may take.
    #[serde(default, skip_serializing_if = "LimitsSpec::is_default")]
    pub limits: LimitsSpec,
    /// The service that renders and tests configurations.
    pub extension: ExtensionSpec,
    /// The service that carries the traffic.
    pub proxy: ProxySpec,
    /// Options of the engine.
    #[serde(default, skip_serializing_if = "Settings::is_default")]
    pub settings: Settings,
}

/// What extension and proxy services have in common. Flattened into both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSpec {
    /// The Swarm service's name. Default: `swarmgate-extension-NAME`, `swarmgate-proxy-NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<ServiceName>,
    /// The image.
    #[schemars(with = "formats::Image")]
    pub image: String,
    /// Arguments after the image's own entry point and Swarmgate's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<formats::Text>>")]
    pub args: Option<Vec<String>>,
    /// Environment variables (`NAME: value`), beside Swarmgate's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Environment>")]
    pub env: Option<BTreeMap<String, String>>,
    /// Placement constraints: `node.role==worker`, `node.labels.zone!=a`. Left out: the service is created with
    /// `node.platform.os==linux`, which a list of one's own replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<formats::ConstraintText>>")]
    pub constraints: Option<Vec<String>>,
    /// Placement preferences: node labels to spread over, `node.labels.rack` or `spread=node.labels.rack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<formats::Preference>>")]
    pub placement_preferences: Option<Vec<String>>,
    /// Service labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Labels>")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Container labels. A change replaces the tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Labels>")]
    pub container_labels: Option<BTreeMap<String, String>>,
    /// Limits and reservations. A change replaces the tasks. Left out: the service is created with a memory limit (2 GiB for
    /// the extension, 4 GiB for each proxy), which `resources: {}` takes away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Where the containers' output goes. A change replaces the tasks. Left out: the service is created with `json-file` and
    /// at most five files of 10 MB for each task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
}

/// The service that renders and tests configurations. One replica; it carries no traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct ExtensionSpec {
    /// What both services have.
    #[serde(flatten)]
    pub workload: WorkloadSpec,
}

/// The service that carries the traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct ProxySpec {
    /// What both services have.
    #[serde(flatten)]
    pub workload: WorkloadSpec,
    /// `replicated` (default) or `global`: one task on every node that fits the constraints, kept up by the operator. Excludes `replicas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// How many tasks. Absent: 2 at creation, then as somebody scales it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 10_000))]
    pub replicas: Option<u32>,
    /// The published ports. Absent: port 80 and 443 of the routing mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publish>,
    /// The signal that ends a proxy: `SIGTERM`, `SIGQUIT` or another; the agent drains on both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::StopSignal>")]
    pub stop_signal: Option<String>,
    /// How long a proxy may finish open requests when it is stopped: `10s`, `2m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::GoDuration>")]
    pub stop_grace_period: Option<String>,
    /// How Swarm replaces proxy tasks when that cannot be avoided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdatePolicy>,
    /// `live` (default): running proxies take new configurations without being replaced. `replace`: the configuration
    /// is a Swarm config object and every change replaces the tasks; works with any stock image of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// Where a stock image wants its configuration, with `rollout: replace`. Default: `/etc/nginx/nginx.conf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::AbsolutePath>")]
    pub config_path: Option<String>,
}

/// How many tasks a service has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// `replicas` of them.
    Replicated,
    /// One on every fitting node.
    Global,
}

/// How new configurations reach the proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rollout {
    /// From inside, without replacing tasks.
    Live,
    /// By replacing tasks.
    Replace,
}

/// The published ports of the proxies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Publish {
    /// `ingress`: Swarm's routing mesh, on every node. `host`: on the nodes of the proxies only; clients' addresses are kept.
    pub mode: PublishMode,
    /// Plain HTTP.
    pub http: PortMapping,
    /// TLS. Absent: not published.
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
    /// The port outside.
    pub published: Port,
    /// The port inside the proxy container.
    pub target: Port,
}

/// How Swarm replaces tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdatePolicy {
    /// How many tasks at once. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 10_000))]
    pub parallelism: Option<u32>,
    /// The pause between two: `0s`, `10s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::GoDuration>")]
    pub delay: Option<String>,
    /// Default: `start-first` in ingress mode, `stop-first` in host mode (a fixed host port cannot start first).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<UpdateOrder>,
    /// What follows a failed task. Default: `rollback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_action: Option<FailureAction>,
    /// For how long a new task is watched: `5s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::GoDuration>")]
    pub monitor: Option<String>,
    /// The least time from one replacement of the proxies for networks to the next: networks that come meanwhile are attached
    /// together. The first one waits for nothing while no route is served. A network that comes and goes is attached ever
    /// later, from half of this time up to ten times, and one that no route needs any more, but another service does, is
    /// detached after ten times this time. `0s`: nothing of this waits. Default: `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::GoDuration>")]
    pub network_interval: Option<String>,
    /// How long a proxy may take to run with a network that is new to it. Then the network is taken away again, and tried later
    /// (`docs/findings.md`, `NetworkQuarantined`). Where tasks stop before new ones start, the time that the old one has
    /// to stop comes on top. Default: `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::GoDuration>")]
    pub network_timeout: Option<String>,
}

/// Which comes first when a task is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateOrder {
    /// The new one starts, then the old one stops.
    StartFirst,
    /// The old one stops, then the new one starts.
    StopFirst,
}

/// What follows a failed task of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FailureAction {
    /// Stop where it is.
    Pause,
    /// Go on.
    Continue,
    /// Back to the version before.
    Rollback,
}

/// Limits and reservations of each task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// The most it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceLimits>,
    /// What the scheduler keeps free for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservations: Option<ResourceAmounts>,
}

/// Processor time and memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceAmounts {
    /// Processors: `"0.5"`, `"2"`.
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
    /// Processors: `"0.5"`, `"2"`. Left out: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Cpus>")]
    pub cpus: Option<String>,
    /// Memory: `64M`, `1G`, or bytes. What exceeds it is killed, so leave room for reloads (`docs/limits.md`). Left out: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Memory>")]
    pub memory: Option<String>,
    /// Processes and threads; 0: no limit. Left out: 1,024 for the extension and 4,096 for each proxy at creation, then as
    /// somebody sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 4_194_304))]
    pub pids: Option<u32>,
}

/// Where the output of containers goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Logging {
    /// Docker's logging driver: `json-file`, `local`, `journald`, ... `default`: whatever each node's engine is set to.
    #[schemars(with = "formats::LogDriver")]
    pub driver: String,
    /// The driver's own options, such as `max-size: 10m`. Engines refuse to start a task with an option that their driver does
    /// not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::LogOptions>")]
    pub options: Option<BTreeMap<String, String>>,
}
