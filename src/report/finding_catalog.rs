//! The catalogue of findings: every code with its meaning and its possible severities here, and its remedies in the files
//! below. A finding can be made only from one of the `cases`, so code, severity, and remedy always belong together, and the
//! compiler checks that a remedy has all its data. `docs/findings.md` is generated from here (`BLESS=1 cargo test --test
//! findings`).
//!
//! It must never contain anything that varies from case to case: names and values belong in the message, or are data that the
//! reporting code supplies for a remedy.

#[macro_use]
mod remedies;

mod certificates;
mod documents;
mod hosts;
mod labels;
mod networks;
mod runtime;
mod values;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::word_enum;

/// What a finding can be made from: for each code its only case, or several that differ in their remedies. A case has exactly
/// the data that its remedy needs.
pub mod cases {
    pub use super::{certificates::*, documents::*, hosts::*, labels::*, networks::*, runtime::*, values::*};
}

/// How severe a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work as declared: a route, a document or an object is left out.
    Error,
    /// It works, but probably not as intended.
    Warning,
    /// Worth knowing.
    Info,
}

/// One of the [`cases`] with its data: what the catalogue contributes to a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingCase {
    /// Its severity, usually.
    pub(super) severity: Severity,
    /// Its code.
    pub(super) code: FindingCode,
    /// Its remedy, complete.
    pub(super) remedy: String,
}

impl FindingCase {
    /// Its severity, usually.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Its code.
    pub fn code(&self) -> &FindingCode {
        &self.code
    }

    /// Its remedy, complete.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

/// A remedy of a code, for the documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogRemedy {
    /// When it applies, if the code has several remedies.
    pub when: Option<&'static str>,
    /// The severity that a finding with it usually has.
    pub severity: Severity,
    /// The sentence, with the names of its data in capitals.
    pub text: String,
}

/// The properties that all findings of one code share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogEntry {
    /// The meaning, in one or two sentences.
    pub meaning: &'static str,
    /// The possible severities: the first is the default.
    pub severities: &'static [Severity],
    /// The remedies.
    pub remedies: Vec<CatalogRemedy>,
}

/// `CODE = SEVERITY or SEVERITY;`, documented by its meaning.
macro_rules! catalog {
    ($($(#[doc = $meaning:literal])+ $code:ident = $usual:ident $(or $other:ident)*;)+) => {
        word_enum! {
            /// The stable code of a kind of finding, in the form that status, logs and metrics show (`InvalidLabelValue`).
            /// docs/findings.md lists all of them. Later versions may add more.
            FindingCode {
                $($(#[doc = $meaning])+ $code = stringify!($code),)+
            }
        }

        impl FindingCode {
            /// Every code, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$code),+];

            /// The properties that all findings of this code share; nothing for a code of another version.
            pub fn entry(&self) -> Option<CatalogEntry> {
                let (meaning, remedies) = match self {
                    $(Self::$code => (concat!($($meaning),+).trim_ascii(), cases::$code::remedies()),)+
                    Self::Other(_) => return None,
                };
                Some(CatalogEntry { meaning, severities: self.severities(), remedies })
            }

            /// The possible severities of its findings: the first is the default. None are known for a code of another version.
            pub fn severities(&self) -> &'static [Severity] {
                match self {
                    $(Self::$code => &[Severity::$usual $(, Severity::$other)*],)+
                    Self::Other(_) => &[],
                }
            }
        }
    };
}

catalog! {
    // --- documents
    /// A file or document cannot be read (syntax, encoding, I/O error).
    UnreadableDocument = Error or Warning;
    /// A document contains a field that does not exist.
    UnknownField = Error;
    /// A value has the wrong type or is out of range.
    InvalidValue = Error or Warning;
    /// Fields exclude each other, or one requires another that is missing.
    ImpossibleCombination = Error;
    /// Two documents claim the same name, label value, service name or port.
    DuplicateDeclaration = Error or Warning;
    /// A constraint uses a single `=`, which is read as `==`.
    SingleEqualsConstraint = Warning;
    // --- labels
    /// A label has an invalid value; whatever it configures is left out.
    InvalidLabelValue = Error or Warning;
    /// A `com.docker.lb.*` label does not exist (probably a typo).
    UnknownLabel = Warning or Info;
    /// A valid label has no effect.
    LabelWithoutEffect = Warning;
    /// A label that is required to publish a service is missing (`port`, or `hosts` without `default_backend`).
    MissingLabel = Error;
    /// `service_cluster` names a cluster that no document declares.
    UnknownServiceCluster = Error or Info;
    /// The cluster that publishes the service is declared, but no valid version of its document has been seen yet.
    ClusterNotInForce = Error;
    /// The label `network` does not name a network that the service can be reached on.
    NetworkNotFound = Warning;
    /// No proxy started with this network; it is left out until it changes, and everything else is served.
    NetworkQuarantined = Error;
    /// A node cannot set up a network that the proxies must keep, so no proxy runs on that node.
    NetworkFailing = Error;
    /// The proxies stay attached for a while to a network that no route needs any more.
    NetworkLingers = Info;
    /// Several networks are possible and no label chooses one.
    AmbiguousNetwork = Warning;
    /// The service has no network that the proxies may use (`networks` is a closed list), or no network at all.
    UnreachableNetwork = Error;
    /// A network of the service could cut the proxies off from their clients: it is not an overlay, or its addresses are in use elsewhere.
    UnsuitableNetwork = Error or Warning;
    /// A network of the service does not have enough free addresses for the proxies.
    NetworkFull = Error or Warning;
    /// Services that share a route disagree about a setting; the oldest service's setting is used.
    ConflictingSetting = Warning;
    /// More than one service asks to be the default backend; the oldest service is used.
    SecondDefaultBackend = Warning;
    /// A service exceeds a limit on its share of the proxies' configuration (`spec.limits`); the excess is not published.
    LimitExceeded = Error;
    /// The services of a cluster together are close to a limit (`spec.limits.cluster`).
    LimitNear = Warning;
    /// The cluster's `spec.hosts` does not allow the service to publish this host, or to be the default backend.
    HostNotAllowed = Error;
    /// A service of another stack published this host, or a wildcard that covers it, first (reported on the later service).
    HostTaken = Error or Warning or Info;
    /// Services of another stack ask for a host of this service, or to be the default backend in its place (reported on the first
    /// service).
    HostContested = Info or Warning;
    /// Older services ask for more hosts of other stacks than the operator can record for its next restart (reported on the
    /// cluster).
    HostRegisterFull = Warning;
    /// An unknown label looks like access control, so the service's routes are closed.
    UnknownAccessLabel = Error;
    /// Labels for Swarmgate are set on the containers instead of the service.
    LabelOnContainer = Error or Warning;
    /// The service has labels for another proxy but none for Swarmgate.
    OtherProxyLabels = Info;
    /// A service with `backend_mode=vip` has no virtual IP; its tasks' addresses are used.
    NoVirtualIp = Warning;
    /// A label names a secret (or config) that does not exist, or that has another access label.
    SecretNotFound = Error;
    /// A label names a secret (or config) that is not granted to the service.
    RefNotPermitted = Error;
    /// A host asks for TLS, but its cluster publishes no TLS port.
    TlsNotPublished = Error;
    /// A redirect or `ssl_only` leads to HTTPS on a host that has no TLS in this cluster.
    RedirectWithoutTls = Error or Warning;
    /// A redirect leads back to itself and is left out.
    RedirectLoop = Error;
    // --- certificates
    /// A secret that should hold a certificate (or CA certificates) does not contain one.
    NotACertificate = Error;
    /// A secret that should hold a private key does not contain one.
    NotAPrivateKey = Error;
    /// A private key does not match the certificate.
    KeyMismatch = Error;
    /// A certificate has expired.
    CertificateExpired = Error;
    /// A certificate is not valid yet.
    CertificateNotYetValid = Error;
    /// A certificate expires within 30 days.
    CertificateExpires = Warning;
    /// A certificate has a key type or signature algorithm that clients reject.
    CertificateUnsupported = Warning;
    /// An intermediate certificate has expired, or is not valid yet.
    CertificateChainInvalid = Warning;
    /// A secret or config that is used as a CA holds a private key, so it is not used at all.
    AuthorityHoldsKey = Error;
    /// A certificate does not cover the host that it is published for.
    CertificateNameMismatch = Warning;
    // --- ports and addresses of nodes
    /// A service that must be reached at its nodes does not publish the port of its label `port` in host mode.
    NoHostPort = Error or Warning;
    /// The address of a node with tasks is unknown, or the node's label `swarmgate.address` is not a usable address.
    NodeAddress = Error or Warning;
    /// A service asks for a node port that proxies or the operator use; Swarm assigns it to the waiting service when it becomes free.
    HostPortContested = Error or Warning;
    // --- runtime
    /// A route has no running endpoint, so it answers 503.
    NoEndpoints = Info;
    /// The engine refused the rendered configuration; the last good one stays in use.
    EngineRefused = Error;
    /// The engine could not test the new configuration, or not in time; the test is repeated, and the last good configuration stays in
    /// use.
    EngineUnavailable = Error;
    /// The engine's version has known vulnerabilities.
    EngineVulnerable = Warning;
    /// The engine refuses only this route (or raw line, or template); it is left out, and everything else is served.
    RouteQuarantined = Error;
    /// The configuration for the proxies exceeds the maximum message size; the last one within it stays in use.
    MessageTooLarge = Error;
    /// Proxies do not follow: they cannot get, test or load newer configurations, or they stopped sending reports.
    ProxiesNotFollowing = Error;
    /// The extension stopped sending reports, so the proxies get no new configuration.
    ExtensionSilent = Error;
    /// The labels of a service keep changing; the last stable labels are used until the changes stop.
    LabelsFlapping = Warning or Error;
    /// The rendered configuration does not fit into a Swarm config object; the last one that did fit stays mounted.
    ConfigTooLarge = Error;
    /// A service, config, secret or network with the required name exists but does not belong to this operator.
    NameTaken = Error;
    /// The control network should be encrypted, but the one that exists is not.
    NetworkNotEncrypted = Warning;
    /// Swarm paused or rolled back a rollout.
    RolloutFailed = Error;
    /// An object of this operator was changed by hand; the operator restores it.
    Drift = Warning;
    /// A service with this operator's labels was not created by it; container settings that the document does not state are reset.
    ServiceTakenOver = Warning;
    /// The proxy service uses Swarm's global mode, in which node changes replace proxies outside their rollout.
    ProxiesReplacedTogether = Warning;
    /// The operator cannot determine which nodes must run proxies, so the number of proxies does not follow the nodes.
    ProxyNodesUnknown = Warning;
    /// A service with a single replica is updated stop-first: requests fail while the replica is replaced.
    UpdateGap = Info or Warning;
    /// The operator's own service is not on the control network.
    ControlNetworkNotAttached = Error;
    /// The Docker event stream is silent or broken; changes are detected by polling.
    EventsLost = Info;
}

impl FindingCode {
    /// The severity of its findings by default.
    pub fn severity(&self) -> Severity {
        self.severities().first().copied().unwrap_or(Severity::Error)
    }
}
