//! The status report: the current state, what is still missing, and why.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, Finding, TlsState, WaitingOn};
use crate::types::{ConfigSource, ContextPath, Digest, EngineKind, HostKey, RouteKey, TaskState};

/// Everything the operator has to say. The answer of `GET /status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// Always `swarmgate/v1`.
    pub api_version: String,
    /// When this report was made.
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
    /// Whether the event stream is believed alive.
    pub events_alive: bool,
    /// Writes to the Swarm since the operator started.
    pub writes_total: u64,
}

/// How a cluster is, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Nothing is known yet.
    Pending,
    /// Changes are being carried out or waited for.
    Progressing,
    /// All conditions hold.
    Ready,
    /// Something needs a person, or fails again and again; traffic goes on with the last good state.
    Degraded,
    /// The cluster left the declaration and is being removed.
    Removing,
}

/// One service cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// Counts versions of the declaration that this operator has seen, from 1.
    pub generation: u64,
    /// The newest of them that a pass has completed for.
    pub observed_generation: u64,
    /// The engine of its proxies; none: no good declaration of it was seen.
    pub engine: Option<EngineKind>,
    /// In one word.
    pub phase: Phase,
    /// Always one of each of [`super::ConditionType`].
    pub conditions: Vec<Condition>,
    /// The digest of the newest route table.
    pub routes_digest: Option<Digest>,
    /// The digest of the newest configuration that the engine accepted in the extension.
    pub config_digest: Option<Digest>,
    /// Every route, by host then path.
    pub routes: Vec<RouteReport>,
    /// Every proxy task.
    pub proxies: Vec<ProxyTaskReport>,
    /// Rollouts of our services.
    pub rollouts: Vec<RolloutReport>,
    /// What each held-back step waits for.
    pub waiting: Vec<WaitingOn>,
    /// The last error of this cluster's pass, if it failed.
    pub error: Option<String>,
    /// When the next pass is due because of an error; absent when nothing failed.
    pub next_retry_at: Option<jiff::Timestamp>,
    /// Findings that belong to this cluster.
    pub findings: Vec<Finding>,
}

/// Whether a route is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RouteState {
    /// It has endpoints and every proxy has it.
    Served,
    /// It has endpoints, and some proxies do not have it yet.
    Pending,
    /// It has endpoints, and nobody can tell what the proxies run.
    Unknown,
    /// It has no endpoint: 503.
    NoEndpoints,
    /// Its service asks for more than `spec.limits` allows, so it is not published: 503.
    OverLimit,
    /// The engine refuses it, so it is left out until it changes: 503.
    Quarantined,
    /// The certificate of its application cannot be checked as asked, because the CA cannot be used: 503.
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
    /// What becomes of its requests.
    #[serde(default)]
    pub kind: RouteKind,
    /// Where its requests are sent, when it redirects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What its host is published with by TLS; absent: it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsReport>,
    /// Why not, when it is not.
    pub reason: Option<String>,
    /// The services behind it, oldest first.
    pub services: Vec<ServiceReport>,
}

impl RouteReport {
    /// Where it stands in the table.
    pub fn key(&self) -> RouteKey {
        RouteKey { host: self.host.clone(), path: self.path.clone() }
    }
}

/// What becomes of the requests of a route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RouteKind {
    /// They are passed on to an application.
    #[default]
    Http,
    /// Their TLS connection is passed on as it is, by server name.
    Passthrough,
    /// They are answered by a redirect.
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
    /// `good`, `awaited`, or what is wrong; `unknown` while the extension has not said.
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
    /// Its endpoints, those that get requests and those that do not.
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
    /// `address:port`, or empty when it has no address.
    pub address: String,
    /// The task's id, or `vip`.
    pub task: String,
    /// The node's host name, when known.
    pub node: Option<String>,
    /// Whether it gets requests.
    pub state: EndpointState,
    /// Why not.
    pub reason: Option<String>,
}

/// One proxy task as the operator and the extension see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxyTaskReport {
    /// The task's id.
    pub task: String,
    /// The node's host name.
    pub node: String,
    /// Swarm's word for its state, with its explanation.
    #[schemars(with = "String")]
    pub state: ProxyTaskState,
    /// The configuration digest that it last said it runs; absent when it was not heard of.
    pub running_digest: Option<Digest>,
    /// Whether that is the newest accepted one; absent when it was not heard of lately, so that nobody can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to_date: Option<bool>,
    /// Where that came from: `live`; `names` while addresses are too old, because the control plane was silent; `volume` or `boot` since a
    /// start alone. Absent when it was not heard of, and with `rollout: replace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub source: Option<ConfigSource>,
    /// How often it has gone over to names since its agent started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallbacks: Option<u64>,
    /// Reloads since the agent started.
    pub reloads: Option<u64>,
    /// Workers that finish connections of earlier configurations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retiring_workers: Option<u32>,
    /// Such workers that were ended with their connections since the agent started, because they were too many or held too much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_workers: Option<u64>,
    /// What request bodies take on its volume, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_spool_bytes: Option<u64>,
    /// What it refused last and why.
    pub rejected: Option<String>,
    /// When it was last heard of.
    pub seen_at: Option<jiff::Timestamp>,
    /// What it is about, if that is anything but following the extension: that the engine tests a newer configuration, or why
    /// none is to be had, each with the time since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<String>,
    /// Since when this operator has known it not to follow: it runs another configuration than the newest, cannot get one, or was
    /// not heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lagging_since: Option<jiff::Timestamp>,
    /// Whether it does not follow and does nothing that would end that by itself: somebody must look.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stuck: bool,
}

/// Swarm's word for the state of a task, and its explanation where there is one. Serialised as `running`, or `pending: no suitable node`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct ProxyTaskState {
    /// The word.
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
    /// Whether Swarm reports it as running.
    pub fn is_running(&self) -> bool {
        self.state.state == TaskState::Running
    }

    /// Whether it resolves endpoints by name, because their addresses were not confirmed for too long.
    pub fn is_on_names(&self) -> bool {
        self.source == Some(ConfigSource::Names)
    }
}

impl ProxyTaskReport {
    /// Its reloads and the workers left over from them, as text for people.
    pub fn reloads_in_words(&self) -> String {
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

/// A rollout of one of our services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutReport {
    /// The service.
    pub service: String,
    /// Swarm's word for the state of its last update, or `none`.
    pub state: String,
    /// Swarm's message.
    pub message: String,
    /// Tasks running.
    pub running: u64,
    /// Tasks wanted.
    pub desired: u64,
}
