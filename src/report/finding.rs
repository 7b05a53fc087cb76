//! Findings: what somebody wrote that has another effect than they may think, where, and what to do about it.

use crate::types::{visible, without_private_key};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How bad a finding is for the one who wrote the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work as declared: a route, a document or an object is left out.
    Error,
    /// It works, but probably not as meant.
    Warning,
    /// Worth knowing.
    Info,
}

/// What a finding is about. Serialised flat: exactly one kind and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", tag = "kind", content = "name")]
pub enum Subject {
    /// A Swarm service, by name.
    Service(String),
    /// A spec file and, where known, line: `clusters.yaml:12`.
    Document(String),
    /// A service cluster, by name.
    Cluster(String),
    /// A network, config, secret or node, by name.
    Object(String),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, name) = match self {
            Self::Service(name) => ("service", name),
            Self::Document(name) => ("document", name),
            Self::Cluster(name) => ("cluster", name),
            Self::Object(name) => ("object", name),
        };
        write!(f, "{kind} {name}")
    }
}

/// The stable code of a kind of finding, in the form that status, logs and metrics show (`InvalidLabelValue`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FindingCode {
    // --- documents
    /// A document cannot be read at all (syntax, encoding, file).
    UnreadableDocument,
    /// A field that does not exist.
    UnknownField,
    /// A value of the wrong type or outside its range.
    InvalidValue,
    /// Fields that exclude or need each other.
    ImpossibleCombination,
    /// Two documents claim the same name, label value, service name or port.
    DuplicateDeclaration,
    /// A constraint with a single `=` was understood as `==`.
    SingleEqualsConstraint,
    // --- labels
    /// A label value that does not fit its grammar; what it would have asked for is left out.
    InvalidLabelValue,
    /// `com.docker.lb.*` with a name that does not exist (probably misspelt).
    UnknownLabel,
    /// A label that is understood and has no effect yet.
    LabelWithoutEffect,
    /// A label that a published service needs is missing (`port`, or `hosts` without `default_backend`).
    MissingLabel,
    /// `service_cluster` names a cluster that no document declares.
    UnknownServiceCluster,
    /// The cluster that publishes the service is declared, and no good version of its document was ever seen.
    ClusterNotInForce,
    /// The label `network` names no network of the service.
    NetworkNotFound,
    /// No proxy came up with this network; it is left out until it changes, and everything else is served.
    NetworkQuarantined,
    /// A node cannot set up this network, which the proxies do not leave: it has no proxy.
    NetworkFailing,
    /// The proxies stay for a while on a network that no route needs any more.
    NetworkLingers,
    /// Several networks fit and no label chooses one.
    AmbiguousNetwork,
    /// The service shares no network with the proxies (`networks` is a closed list), or has none at all.
    UnreachableNetwork,
    /// A network of the service could take the proxies away from their clients: no overlay, or addresses that are others'.
    UnsuitableNetwork,
    /// A network of the service has too few free addresses for the proxies.
    NetworkFull,
    /// Services that share a route disagree about a setting; the oldest one's counts.
    ConflictingSetting,
    /// More than one service wants to be the default backend; the oldest one is.
    SecondDefaultBackend,
    /// A service asks for more of the proxies' configuration than it may have, or than is left (`spec.limits`); the rest of it is
    /// not published.
    LimitExceeded,
    /// The services of a cluster use most of what they may have together (`spec.limits.cluster`).
    LimitNear,
    /// The administrator does not let the service publish this host, or be the default backend (`spec.hosts`).
    HostNotAllowed,
    /// A service of another stack published the host first, or the wildcard that stands for it (on the later service).
    HostTaken,
    /// Services of another stack ask for a host of this service, or to be the default backend in its place (on the first).
    HostContested,
    /// Older services ask for more hosts of others than can be written down for a restart of the operator (on the cluster).
    HostRegisterFull,
    /// A label sounds like access control and is not known here; the service's routes are closed.
    UnknownAccessLabel,
    /// Labels for Swarmgate stand on the container instead of the service.
    LabelOnContainer,
    /// The service has labels of another proxy and none of Swarmgate's.
    OtherProxyLabels,
    /// `backend_mode=vip` on a service without a virtual IP; its tasks are used.
    NoVirtualIp,
    /// A label names a secret (or config) that does not exist, or that whoever wrote the label cannot know of.
    SecretNotFound,
    /// A label names a secret (or config) that the service may not use: nobody granted it.
    RefNotPermitted,
    /// A host asks for TLS, and its cluster publishes no TLS port.
    TlsNotPublished,
    /// A redirect, or `ssl_only`, leads to HTTPS on a host that has none here.
    RedirectWithoutTls,
    /// A redirect leads back to itself and is left out.
    RedirectLoop,
    // --- certificates
    /// A secret that should hold a certificate (or a CA's certificates) does not.
    NotACertificate,
    /// A secret that should hold a private key does not.
    NotAPrivateKey,
    /// A private key is another certificate's.
    KeyMismatch,
    /// A certificate has expired.
    CertificateExpired,
    /// A certificate is not valid yet.
    CertificateNotYetValid,
    /// A certificate expires within 30 days.
    CertificateExpires,
    /// The kind of a certificate's key or signature is one that clients refuse.
    CertificateUnsupported,
    /// A certificate between a server's and its CA's has expired, or is not valid yet.
    CertificateChainInvalid,
    /// The object of a CA holds a private key; nothing of it is used.
    AuthorityHoldsKey,
    /// A certificate is not for the host that it is published for.
    CertificateNameMismatch,
    /// A service that must be reached on its nodes publishes the port of its label `port` nowhere in host mode.
    NoHostPort,
    /// Tasks on a node of which no address is known, or a node whose label `swarmgate.address` is no address.
    NodeAddress,
    /// A service asks for a port of nodes that proxies or the operator have there; Swarm gives it to whoever waits when it becomes free.
    HostPortContested,
    // --- runtime
    /// A route has no running endpoint and answers 503.
    NoEndpoints,
    /// The engine refused the rendered configuration; the last good one stays in force.
    EngineRefused,
    /// The engine did not answer in time or could not be asked; it is asked again, and the last good configuration stays.
    EngineUnavailable,
    /// The engine's version has faults that are published.
    EngineVulnerable,
    /// The engine refuses this route (or raw line, or template) alone; it is left out, and everything else is served.
    RouteQuarantined,
    /// What proxies must say is larger than they can read as a message; the last that was not stays in force.
    MessageTooLarge,
    /// Proxies do not follow: they cannot get, test or load newer configurations, or say nothing any more.
    ProxiesNotFollowing,
    /// The extension says nothing any more, so that proxies get nothing new.
    ExtensionSilent,
    /// The labels of a service change again and again; the last settled ones count until they are calm.
    LabelsFlapping,
    /// The rendered configuration does not fit into a Swarm config object; the last one that did stays mounted.
    ConfigTooLarge,
    /// A service, config, secret or network of the needed name exists and is not ours.
    NameTaken,
    /// The control network should be encrypted, but the one that exists is not.
    NetworkNotEncrypted,
    /// Swarm paused or rolled back a rollout.
    RolloutFailed,
    /// Somebody changed one of our objects by hand; it is put back.
    Drift,
    /// A service with our labels was not created by this operator; what its containers do beside the document is reset.
    ServiceTakenOver,
    /// The proxy service has Swarm's own global mode, in which a change of nodes replaces proxies beside their rollout.
    ProxiesReplacedTogether,
    /// On which nodes proxies must run cannot be told, so their number does not follow the nodes.
    ProxyNodesUnknown,
    /// A single replica updated stop-first: requests fail while it is replaced.
    UpdateGap,
    /// The operator's own service is not on the control network.
    ControlNetworkNotAttached,
    /// The event stream is silent or broken; polling carries on.
    EventsLost,
}

impl FindingCode {
    /// The code as status, logs and metrics show it.
    pub fn as_str(self) -> String {
        format!("{self:?}")
    }
}

/// One finding: who wrote what where, what follows, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The stable code.
    pub code: FindingCode,
    /// What it is about.
    pub subject: Subject,
    /// The label key or document path (`spec.proxy.replicas`) concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The value found, shortened to 120 characters, control characters escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What is wrong and what follows from it, one sentence.
    pub message: String,
    /// What to do about it, one sentence.
    pub remedy: String,
}

impl Finding {
    /// A finding without field and value.
    pub fn new(severity: Severity, code: FindingCode, subject: Subject, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity, code, subject, field: None, value: None, message: message.into(), remedy: remedy.into() }
    }

    /// Names the field and the value found, made safe to show.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>, value: &str) -> Self {
        self.field = Some(field.into());
        self.value = Some(shorten(value));
        self
    }
}

/// One line for logs, or with `{:#}` three for people: `error InvalidLabelValue service app (com.docker.lb.port = http): what. -> Remedy.`
impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {}", format!("{:?}", self.severity).to_lowercase(), self.code, self.subject)?;
        match (&self.field, &self.value) {
            (Some(field), Some(value)) => write!(f, " ({field} = {value})")?,
            (Some(field), None) => write!(f, " ({field})")?,
            _ => {}
        }
        let (message, remedy) = (&self.message, &self.remedy);
        if f.alternate() { write!(f, "\n      {message}\n      -> {remedy}") } else { write!(f, ": {message} -> {remedy}") }
    }
}

/// Longer values are cut when shown: a label can hold megabytes.
const VALUE_CHARS_MAX: usize = 120;

fn shorten(value: &str) -> String {
    let escaped = visible(without_private_key(value));
    if escaped.chars().count() <= VALUE_CHARS_MAX {
        return escaped;
    }
    escaped.chars().take(VALUE_CHARS_MAX).chain("…".chars()).collect()
}
