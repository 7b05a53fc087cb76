//! The status report: the current state, what is still missing, and why.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, Finding, TlsState, WaitingOn};
use crate::types::{ConfigSource, ContextPath, Digest, EngineKind, HostKey, RouteKey, TaskId, TaskState, UpdateState};

/// The state of the operator and of all clusters. The response of `GET /status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// Always `swarmgate/v1`.
    pub api_version: String,
    /// When this report was created.
    pub generated_at: jiff::Timestamp,
    /// The operator itself.
    pub operator: OperatorStatus,
    /// Per service cluster, by name.
    pub clusters: BTreeMap<String, ClusterStatus>,
    /// Findings that belong to no cluster (documents, services of unknown clusters).
    pub findings: Vec<Finding>,
}

/// The operator's own health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperatorStatus {
    /// Its version.
    pub version: String,
    /// The instance name on its owner labels.
    pub instance: String,
    /// When the Swarm was last read completely; absent before the first time.
    pub last_snapshot_at: Option<jiff::Timestamp>,
    /// Why the newest attempt to read the Swarm failed, if it did.
    pub snapshot_error: Option<String>,
    /// Whether the Docker event stream is considered alive.
    pub events_alive: bool,
    /// Writes to the Swarm since the operator started.
    pub writes_total: u64,
}

/// The state of a cluster, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Nothing is known yet.
    Pending,
    /// Changes are in progress or pending.
    Progressing,
    /// All conditions hold.
    Ready,
    /// Something needs attention or keeps failing; traffic continues with the last good state.
    Degraded,
    /// The cluster is no longer declared and is being removed.
    Removing,
}

/// One service cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// The number of versions of the declaration that this operator has seen, from 1.
    pub generation: u64,
    /// The newest version for which a pass has completed.
    pub observed_generation: u64,
    /// The engine of its proxies; absent if no valid declaration of the cluster has been seen.
    pub engine: Option<EngineKind>,
    /// The state in one word.
    pub phase: Phase,
    /// The conditions: always one of each type.
    pub conditions: Vec<Condition>,
    /// The digest of the newest route table.
    pub routes_digest: Option<Digest>,
    /// The digest of the newest configuration that the engine accepted in the extension.
    pub config_digest: Option<Digest>,
    /// Every route, sorted by host, then by path.
    pub routes: Vec<RouteReport>,
    /// Every proxy task.
    pub proxies: Vec<ProxyTaskReport>,
    /// The rollouts of the extension and proxy services.
    pub rollouts: Vec<RolloutReport>,
    /// What each held-back step waits for.
    pub waiting: Vec<WaitingOn>,
    /// The last error of this cluster's pass, if it failed.
    pub error: Option<String>,
    /// When the cluster is retried after an error; absent if nothing failed.
    pub next_retry_at: Option<jiff::Timestamp>,
    /// Findings that belong to this cluster.
    pub findings: Vec<Finding>,
}

/// Whether a route is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RouteState {
    /// It has endpoints, and every proxy serves it.
    Served,
    /// It has endpoints, but some proxies do not serve it yet.
    Pending,
    /// It has endpoints, but it is not known what the proxies run.
    Unknown,
    /// It has no endpoint: 503.
    NoEndpoints,
    /// Its service exceeds a limit of `spec.limits`, so the route is not published: 503.
    OverLimit,
    /// The engine refuses it, so it is left out until it changes: 503.
    Quarantined,
    /// The certificate of its application cannot be verified as requested, because the CA cannot be used: 503.
    Unverifiable,
}

/// One route: a host and a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteReport {
    /// The host, or `(default)` for the default backend.
    #[schemars(with = "String")]
    pub host: HostKey,
    /// The path.
    #[schemars(with = "String")]
    pub path: ContextPath,
    /// Whether it is served.
    pub state: RouteState,
    /// How its requests are handled.
    #[serde(default)]
    pub kind: RouteKind,
    /// Where its requests are sent, when it redirects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The certificate with which its host is published by TLS; absent if the host has no TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsReport>,
    /// Why the route is not served, if it is not. For a served route: why its requests lead to no answer, because they are
    /// redirected to HTTPS and the host has no usable certificate.
    pub reason: Option<String>,
    /// The services behind it, oldest first.
    pub services: Vec<ServiceReport>,
}

impl RouteReport {
    /// Whether it is served and its requests lead to an answer.
    pub fn is_answered(&self) -> bool {
        self.state == RouteState::Served && self.reason.is_none()
    }

    /// Its key in the route table.
    pub fn key(&self) -> RouteKey {
        RouteKey { host: self.host.clone(), path: self.path.clone() }
    }
}

/// How the requests of a route are handled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RouteKind {
    /// They are forwarded to an application.
    #[default]
    Http,
    /// Their TLS connections are forwarded unchanged, by server name.
    Passthrough,
    /// They are answered with a redirect.
    Redirect,
}

/// TLS of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsReport {
    /// The secret with the certificate.
    pub certificate: String,
    /// The secret with the key.
    pub key: String,
    /// `good`, `awaited`, or what is wrong; `unknown` until the extension has reported it.
    #[schemars(with = "String")]
    pub state: TlsState,
    /// When the certificate becomes valid, if it is not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<jiff::Timestamp>,
    /// When the certificate expires, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<jiff::Timestamp>,
}

/// One service behind a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceReport {
    /// The service's name.
    pub service: String,
    /// Its share of the route's requests, in thousandths.
    #[serde(default)]
    pub share_permille: u16,
    /// Its endpoints, including those that get no requests.
    pub endpoints: Vec<EndpointReport>,
}

/// Whether an endpoint gets requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EndpointState {
    /// It gets requests.
    Active,
    /// It does not; `reason` says why.
    Excluded,
}

/// One endpoint, active or excluded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointReport {
    /// `address:port`, or empty if it has no address.
    pub address: String,
    /// The task's id, or `vip`.
    pub task: String,
    /// The node's host name, when known.
    pub node: Option<String>,
    /// Whether it gets requests.
    pub state: EndpointState,
    /// Why it gets no requests.
    pub reason: Option<String>,
}

/// What [`EndpointReport::task`] has for a virtual IP. No task has such an id.
const VIRTUAL_IP: &str = "vip";

impl EndpointReport {
    /// The value of [`Self::task`]: an endpoint without a task is a virtual IP.
    pub fn task_or_virtual_ip(task: Option<TaskId>) -> String {
        task.map_or_else(|| VIRTUAL_IP.to_owned(), |task| task.0)
    }

    /// Whether this is the virtual IP of a service, not a task.
    pub fn is_virtual_ip(&self) -> bool {
        self.task == VIRTUAL_IP
    }
}

/// One proxy task as the operator and the extension see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxyTaskReport {
    /// The task's id.
    pub task: String,
    /// The node's host name.
    pub node: String,
    /// Its state in Swarm, with Swarm's explanation.
    #[schemars(with = "String")]
    pub state: ProxyTaskState,
    /// The digest of the configuration that it last reported to run; absent if it has sent no report.
    pub running_digest: Option<Digest>,
    /// Whether that is the newest accepted configuration; absent if its last report is too old to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to_date: Option<bool>,
    /// The source of that configuration: `live`; `names` while endpoints are resolved by name, because the control plane has been silent;
    /// `volume` or `boot` since a start without the control plane. Absent without a report, and with `rollout: replace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub source: Option<ConfigSource>,
    /// How often it has switched to names since its agent started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallbacks: Option<u64>,
    /// Reloads since the agent started.
    pub reloads: Option<u64>,
    /// Changes applied without a reload since the agent started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_changes: Option<u64>,
    /// Workers that are finishing connections of earlier configurations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retiring_workers: Option<u32>,
    /// Such workers that were ended together with their connections since the agent started, because they were too many or used too
    /// much memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_workers: Option<u64>,
    /// The space that request bodies use on its volume, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_spool_bytes: Option<u64>,
    /// The configuration that it rejected last, and why.
    pub rejected: Option<String>,
    /// When it sent its last report.
    pub seen_at: Option<jiff::Timestamp>,
    /// What it is doing instead of following the extension: testing a newer configuration, or why it cannot get one, each with
    /// the time since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<String>,
    /// Since when this operator has known that it does not follow: it does not run the newest configuration, cannot get one, or
    /// sends no reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lagging_since: Option<jiff::Timestamp>,
    /// Whether it does not follow and will not recover by itself: it needs attention.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stuck: bool,
}

/// The state of a task in Swarm, and Swarm's explanation if there is one. Serialised as `running`, or `pending: no suitable node`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct ProxyTaskState {
    /// The state.
    pub state: TaskState,
    /// The explanation.
    pub why: Option<String>,
}

impl std::fmt::Display for ProxyTaskState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.why {
            Some(why) => write!(f, "{}: {why}", self.state),
            None => self.state.fmt(f),
        }
    }
}

impl From<String> for ProxyTaskState {
    fn from(text: String) -> Self {
        match text.split_once(": ") {
            Some((state, why)) => Self { state: state.into(), why: Some(why.to_owned()) },
            None => Self { state: text.into(), why: None },
        }
    }
}

impl From<ProxyTaskState> for String {
    fn from(state: ProxyTaskState) -> Self {
        state.to_string()
    }
}

impl ProxyTaskReport {
    /// Whether Swarm reports that it is running.
    pub fn is_running(&self) -> bool {
        self.state.state == TaskState::Running
    }

    /// Whether it resolves endpoints by name, because their addresses have not been confirmed for too long.
    pub fn is_on_names(&self) -> bool {
        self.source == Some(ConfigSource::Names)
    }
}

impl ProxyTaskReport {
    /// Its reloads and the workers that remain from them, as text for people.
    pub fn reload_summary(&self) -> String {
        let left = [(self.retiring_workers.map(u64::from), "retiring"), (self.ended_workers, "cut")];
        let left: Vec<String> =
            left.iter().filter_map(|(count, word)| Some(format!("{} {word}", count.filter(|count| *count > 0)?))).collect();
        match (self.reloads, left.is_empty()) {
            (None, _) => "-".to_owned(),
            (Some(reloads), true) => reloads.to_string(),
            (Some(reloads), false) => format!("{reloads} ({})", left.join(", ")),
        }
    }
}

/// A rollout of an extension or proxy service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutReport {
    /// The service.
    pub service: String,
    /// The state of its last update in Swarm, or `none`.
    #[schemars(with = "String")]
    pub state: UpdateState,
    /// Swarm's message.
    pub message: String,
    /// The number of running tasks.
    pub running: u64,
    /// The desired number of tasks.
    pub desired: u64,
}
