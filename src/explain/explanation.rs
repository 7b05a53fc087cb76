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
    /// Whether it reaches an application or a redirect in a cluster that listens for it.
    pub reached: bool,
    /// The walk through each cluster; those that listen on the URL's port come first.
    pub clusters: Vec<ClusterWalk>,
}

/// One request in one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterWalk {
    /// The cluster.
    pub cluster: String,
    /// Whether its proxies listen for the request.
    pub listens: bool,
    /// What is passed on the way, in order.
    pub steps: Vec<Step>,
    /// The route that answers, with each endpoint; absent: none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteReport>,
    /// How it ends.
    pub outcome: Outcome,
    /// What all of this depends on: a template of the administrator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caveat: Option<String>,
    /// Findings about the services concerned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// One step of a walk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// What it is about.
    pub about: About,
    /// What there is to say, one line.
    pub says: String,
}

/// What a step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum About {
    /// The published port.
    Listener,
    /// Who asks, and who is believed about that.
    Client,
    /// The proxies and the configuration that they run.
    Proxies,
    /// Which host answers.
    Host,
    /// Labels whose changes are held back.
    Held,
    /// What the client is shown by TLS.
    Tls,
    /// A redirect.
    Redirect,
    /// Which path answers.
    Path,
    /// A service of the pool and its share.
    Service,
    /// An endpoint that gets requests.
    Endpoint,
    /// An endpoint that does not, and why.
    Excluded,
    /// What the application sees of the path.
    Sees,
    /// How the application is spoken to.
    Protocol,
    /// What keeps a client on the same endpoint.
    Affinity,
    /// What happens when an endpoint fails.
    Retries,
    /// Upgrades.
    Websockets,
    /// What flows for long.
    Streams,
    /// Headers that are added.
    Headers,
}

impl About {
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
pub enum Outcome {
    /// An application answers.
    Application {
        /// The services that get such requests, oldest first.
        services: Vec<String>,
        /// Path and query as the application sees them; absent when they are encrypted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
    },
    /// The client is sent elsewhere.
    Redirect {
        /// The status of the answer to a GET.
        status: u16,
        /// Where to.
        location: String,
    },
    /// Nobody answers.
    Nobody {
        /// The status of the answer; absent when there is none, because no connection or no TLS session comes about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// Why.
        reason: String,
        /// What to do.
        remedy: String,
    },
}

impl Outcome {
    pub(super) fn nobody(status: Option<u16>, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Nobody { status, reason: reason.into(), remedy: remedy.into() }
    }

    /// Whether the request reaches an application or a redirect.
    pub fn is_reached(&self) -> bool {
        !matches!(self, Self::Nobody { .. })
    }
}

/// What became of each label of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceExplanation {
    /// The service.
    pub service: String,
    /// Whether it has a route that is served.
    pub served: bool,
    /// What all of this depends on: a template of the administrator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caveat: Option<String>,
    /// Which cluster publishes it, or why none does.
    pub cluster: String,
    /// Over which networks its tasks are reached.
    pub network: String,
    /// Its labels change again and again: what they say now counts from here on, unless they change again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// Each label that is meant for Swarmgate.
    pub labels: Vec<LabelFate>,
    /// Its routes, with each endpoint.
    pub routes: Vec<RouteReport>,
    /// Findings that are not about one label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// What became of one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelFate {
    /// Its key.
    pub key: String,
    /// Its value as written, shortened.
    pub value: String,
    /// What it really does.
    pub effect: String,
    /// What there is to say against it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}
