//! The content of an explanation: typed, as JSON for programs and as text for people (`explanation_text`). The endpoint and
//! the command line use the same types.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::{Finding, RouteReport};

/// One request, followed through every cluster that it concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The request's URL in its usual form.
    pub url: String,
    /// Whether it reaches an application, or a redirect that is not refused at its target, in a cluster that listens for it.
    pub reached: bool,
    /// The walk through each cluster; those that listen on the URL's port come first.
    pub clusters: Vec<ClusterTrace>,
}

/// One request in one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ClusterWalk")]
pub struct ClusterTrace {
    /// The cluster.
    pub cluster: String,
    /// Whether its proxies listen for the request.
    pub listens: bool,
    /// The steps of the walk, in order.
    pub steps: Vec<TraceStep>,
    /// The route that answers, with each endpoint. Absent if no route answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteReport>,
    /// How it ends.
    pub outcome: TraceOutcome,
    /// What this explanation depends on: the administrator's template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caveat: Option<String>,
    /// Findings about the services concerned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// One step of a walk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Step")]
pub struct TraceStep {
    /// The subject of the step.
    pub about: TraceSubject,
    /// The explanation, one line.
    pub says: String,
}

/// What a step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "About")]
pub enum TraceSubject {
    /// The published port.
    Listener,
    /// The client's address, and which source of it is trusted.
    Client,
    /// The proxies, and the configuration that they run.
    Proxies,
    /// The host that answers.
    Host,
    /// Labels whose changes are held back.
    Held,
    /// How TLS is handled, and which certificate the client gets.
    Tls,
    /// A redirect.
    Redirect,
    /// The path that answers.
    Path,
    /// A service of the pool and its share.
    Service,
    /// An endpoint that gets requests.
    Endpoint,
    /// An endpoint that does not, and why.
    Excluded,
    /// The path that the application receives.
    Sees,
    /// The protocol to the application.
    Protocol,
    /// What keeps a client on the same endpoint.
    Affinity,
    /// What happens when an endpoint fails.
    Retries,
    /// WebSocket upgrades.
    Websockets,
    /// Long-lived streams.
    Streams,
    /// Headers that are added.
    Headers,
}

impl TraceSubject {
    /// The word in front of a line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Client => "client",
            Self::Proxies => "proxies",
            Self::Host => "host",
            Self::Held => "held",
            Self::Tls => "tls",
            Self::Redirect => "redirect",
            Self::Path => "path",
            Self::Service => "service",
            Self::Endpoint => "endpoint",
            Self::Excluded => "excluded",
            Self::Sees => "sees",
            Self::Protocol => "protocol",
            Self::Affinity => "affinity",
            Self::Retries => "retries",
            Self::Websockets => "websockets",
            Self::Streams => "streams",
            Self::Headers => "headers",
        }
    }
}

/// How a walk ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "kind")]
#[schemars(rename = "Outcome")]
pub enum TraceOutcome {
    /// An application answers.
    Application {
        /// The services that get such requests, oldest first.
        services: Vec<String>,
        /// Path and query as the application receives them. Absent if they are encrypted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
    },
    /// The client is redirected.
    Redirect {
        /// The status of the answer to a GET.
        status: u16,
        /// The target of the redirect.
        location: String,
        /// Why nothing answers there, if these proxies refuse the TLS handshake.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<RefusedTarget>,
    },
    /// No application answers.
    Nobody {
        /// The status of the answer. Absent if there is no answer, because the connection or the TLS handshake is refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// Why.
        reason: String,
        /// What to do.
        remedy: String,
    },
}

/// Why nothing answers at the target of a redirect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusedTarget {
    /// Why.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

impl TraceOutcome {
    pub(super) fn not_served(status: Option<u16>, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Nobody { status, reason: reason.into(), remedy: remedy.into() }
    }

    pub(super) fn redirect(status: u16, location: impl Into<String>) -> Self {
        Self::Redirect { status, location: location.into(), refused: None }
    }

    /// Whether the request reaches an application, or a redirect that is not refused at its target.
    pub fn is_reached(&self) -> bool {
        !matches!(self, Self::Nobody { .. } | Self::Redirect { refused: Some(_), .. })
    }
}

/// The effect of each label of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceExplanation {
    /// The service.
    pub service: String,
    /// Whether it has a route that is served, and that does not only redirect to where TLS is refused.
    pub served: bool,
    /// What this explanation depends on: the administrator's template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caveat: Option<String>,
    /// The cluster that publishes it, or why none does.
    pub cluster: String,
    /// The networks over which its tasks are reached.
    pub network: String,
    /// Set if its labels change too often: when their current values take effect, unless they change again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// Each label that is addressed to Swarmgate.
    pub labels: Vec<LabelEffect>,
    /// Its routes, with each endpoint.
    pub routes: Vec<RouteReport>,
    /// Findings that are not about one label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// The effect of one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "LabelFate")]
pub struct LabelEffect {
    /// Its key.
    pub key: String,
    /// Its value as written, shortened.
    pub value: String,
    /// Its actual effect.
    pub effect: String,
    /// Findings about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}
