//! What an explanation says: typed, for programs as JSON and for people as text. One type feeds the endpoint and the
//! command line.

use std::fmt;

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

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.url)?;
        self.clusters.iter().try_for_each(|walk| write!(f, "\n{walk}"))
    }
}

impl fmt::Display for ClusterWalk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "cluster {}", self.cluster)?;
        for step in &self.steps {
            line(f, step.about.as_str(), &step.says)?;
        }
        self.findings.iter().try_for_each(|finding| line(f, "finding", &told(finding, Place::Elsewhere)))?;
        end(f, &self.outcome.to_string(), self.caveat.as_deref())
    }
}

fn line(f: &mut fmt::Formatter<'_>, word: &str, says: &str) -> fmt::Result {
    writeln!(f, "  {word:<10} {}", super::printable_line(says))
}

/// The last line, and what it depends on.
fn end(f: &mut fmt::Formatter<'_>, says: &str, caveat: Option<&str>) -> fmt::Result {
    let caveat = caveat.map_or_else(String::new, |caveat| format!(" ({caveat})"));
    writeln!(f, "  => {}", super::printable_line(&format!("{says}{caveat}")))
}

/// Where a finding is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Below the label that it is about.
    AtTheLabel,
    /// Where nothing else says what it is about.
    Elsewhere,
}

/// A finding as sentences.
fn told(finding: &Finding, place: Place) -> String {
    let severity = format!("{:?}", finding.severity).to_lowercase();
    let about = match (place, &finding.field, &finding.value) {
        (Place::AtTheLabel, _, _) => String::new(),
        (Place::Elsewhere, Some(field), Some(value)) => format!(" {}, {field} = {value}", finding.subject),
        (Place::Elsewhere, Some(field), None) => format!(" {}, {field}", finding.subject),
        (Place::Elsewhere, None, _) => format!(" {}", finding.subject),
    };
    // A value of a list is only part of what the label says.
    let value = finding.value.as_ref().filter(|_| place == Place::AtTheLabel).map_or_else(String::new, |value| format!(" \"{value}\""));
    format!("{severity} {}{about}{value}: {}. {}", finding.code.as_str(), finding.message.trim_end_matches('.'), finding.remedy)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application { services, target: Some(target) } => write!(f, "{} answers, and sees {target}", services.join(" or ")),
            Self::Application { services, target: None } => write!(f, "{} answers", services.join(" or ")),
            Self::Redirect { status, location } => write!(f, "redirect {status} to {location}"),
            Self::Nobody { status: Some(status), reason, remedy } => write!(f, "{status}: {reason}. {remedy}"),
            Self::Nobody { status: None, reason, remedy } => write!(f, "no answer: {reason}. {remedy}"),
        }
    }
}

impl fmt::Display for ServiceExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "service {}", self.service)?;
        line(f, "cluster", &self.cluster)?;
        line(f, "network", &self.network)?;
        self.held_until.iter().try_for_each(|until| line(f, "held", &super::damped_labels::words(*until)))?;
        for label in &self.labels {
            writeln!(f, "  {} = {}", super::printable_line(&label.key), super::printable_line(&label.value))?;
            writeln!(f, "      {}", super::printable_line(&label.effect))?;
            for finding in &label.findings {
                writeln!(f, "      {}", super::printable_line(&told(finding, Place::AtTheLabel)))?;
            }
        }
        self.routes.iter().try_for_each(|route| super::backend::write_route(f, route))?;
        self.findings.iter().try_for_each(|finding| line(f, "finding", &told(finding, Place::Elsewhere)))?;
        let end_words = match (self.served, self.labels.is_empty(), self.routes.is_empty()) {
            (true, _, _) => "it has a route that is served",
            (false, true, _) => "it has no label of Swarmgate, so nothing is published for it",
            (false, false, true) => "it has no route",
            (false, false, false) => "no route of it is served by every proxy",
        };
        end(f, end_words, self.caveat.as_deref())
    }
}
