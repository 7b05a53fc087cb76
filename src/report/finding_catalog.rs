//! The catalogue of findings: every code with its meaning, its possible severities, and its remedy. The code that reports a
//! finding supplies only data; the table in `docs/findings.md` is generated from here (`BLESS=1 cargo test --test
//! findings`).
//!
//! It must never contain what differs from case to case: names and values belong in the message, and in a remedy that the
//! reporting code supplies.

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

/// The remedy for findings of one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Always this one.
    Always(&'static str),
    /// This one, unless the reporting code supplies a more specific one.
    Usually(&'static str),
    /// It depends on the case, so every finding supplies its own.
    PerCase,
}

impl Remedy {
    /// The remedy of findings that supply none.
    pub fn text(self) -> Option<&'static str> {
        match self {
            Self::Always(text) | Self::Usually(text) => Some(text),
            Self::PerCase => None,
        }
    }
}

/// The properties that all findings of one code share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogEntry {
    /// The meaning, in one or two sentences.
    pub meaning: &'static str,
    /// The possible severities: the first is the default.
    pub severities: &'static [Severity],
    /// The remedy.
    pub remedy: Remedy,
}

/// `CODE = SEVERITY or SEVERITY, REMEDY;`, documented by its meaning.
macro_rules! catalog {
    ($($(#[doc = $meaning:literal])+ $code:ident = $usual:ident $(or $other:ident)*, $remedy:expr;)+) => {
        /// The stable code of a kind of finding, in the form that status, logs and metrics show (`InvalidLabelValue`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum FindingCode {
            $($(#[doc = $meaning])+ $code,)+
        }

        impl FindingCode {
            /// Every code, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$code),+];

            /// The properties that all findings of this code share.
            pub fn entry(self) -> CatalogEntry {
                match self {
                    $(Self::$code => CatalogEntry {
                        meaning: concat!($($meaning),+).trim_ascii(),
                        severities: &[Severity::$usual $(, Severity::$other)*],
                        remedy: $remedy,
                    },)+
                }
            }
        }
    };
}

catalog! {
    // --- documents
    /// A document cannot be read at all (syntax, encoding, file).
    UnreadableDocument = Error or Warning, Remedy::PerCase;
    /// A field that does not exist.
    UnknownField = Error, Remedy::PerCase;
    /// A value of the wrong type or outside its range.
    InvalidValue = Error or Warning, Remedy::PerCase;
    /// Fields that exclude or need each other.
    ImpossibleCombination = Error, Remedy::PerCase;
    /// Two documents claim the same name, label value, service name or port.
    DuplicateDeclaration = Error or Warning, Remedy::PerCase;
    /// A constraint with a single `=` was understood as `==`.
    SingleEqualsConstraint = Warning, Remedy::PerCase;
    // --- labels
    /// A label value that does not fit its grammar; what it would have asked for is left out.
    InvalidLabelValue = Error or Warning, Remedy::PerCase;
    /// `com.docker.lb.*` with a name that does not exist (probably misspelt).
    UnknownLabel = Warning or Info, Remedy::PerCase;
    /// A label that is understood and has no effect yet.
    LabelWithoutEffect = Warning, Remedy::PerCase;
    /// A label that a published service needs is missing (`port`, or `hosts` without `default_backend`).
    MissingLabel = Error, Remedy::PerCase;
    /// `service_cluster` names a cluster that no document declares.
    UnknownServiceCluster = Error or Info, Remedy::PerCase;
    /// The cluster that publishes the service is declared, and no good version of its document was ever seen.
    ClusterNotInForce = Error, Remedy::PerCase;
    /// The label `network` names no network of the service.
    NetworkNotFound = Warning, Remedy::PerCase;
    /// No proxy came up with this network; it is left out until it changes, and everything else is served.
    NetworkQuarantined = Error, Remedy::PerCase;
    /// A node cannot set up this network, which the proxies do not leave: it has no proxy.
    NetworkFailing = Error, Remedy::PerCase;
    /// The proxies stay for a while on a network that no route needs any more.
    NetworkLingers = Info, Remedy::Always("Nothing needs to be done.");
    /// Several networks fit and no label chooses one.
    AmbiguousNetwork = Warning, Remedy::Always(
        "Set com.docker.lb.network to the network that the proxies share with the service, or name that network in the \
         cluster's spec.networks.preferred.",
    );
    /// The service shares no network with the proxies (`networks` is a closed list), or has none at all.
    UnreachableNetwork = Error, Remedy::PerCase;
    /// A network of the service could take the proxies away from their clients: no overlay, or addresses that are others'.
    UnsuitableNetwork = Error or Warning, Remedy::PerCase;
    /// A network of the service has too few free addresses for the proxies.
    NetworkFull = Error or Warning, Remedy::PerCase;
    /// Services that share a route disagree about a setting; the oldest one's counts.
    ConflictingSetting = Warning, Remedy::PerCase;
    /// More than one service wants to be the default backend; the oldest one is.
    SecondDefaultBackend = Warning, Remedy::Always("Leave com.docker.lb.default_backend on one service of a cluster.");
    /// A service asks for more of the proxies' configuration than it may have, or than is left (`spec.limits`); the rest of it is
    /// not published.
    LimitExceeded = Error, Remedy::PerCase;
    /// The services of a cluster use most of what they may have together (`spec.limits.cluster`).
    LimitNear = Warning, Remedy::PerCase;
    /// The administrator does not let the service publish this host, or be the default backend (`spec.hosts`).
    HostNotAllowed = Error, Remedy::PerCase;
    /// A service of another stack published the host first, or the wildcard that stands for it (on the later service).
    HostTaken = Error or Warning or Info, Remedy::PerCase;
    /// Services of another stack ask for a host of this service, or to be the default backend in its place (on the first).
    HostContested = Info or Warning, Remedy::PerCase;
    /// Older services ask for more hosts of others than can be written down for a restart of the operator (on the cluster).
    HostRegisterFull = Warning, Remedy::Always(
        "Take hosts of others from the labels of services that do not get them (HostTaken), or name the services whose they are \
         in spec.hosts.allow.",
    );
    /// A label sounds like access control and is not known here; the service's routes are closed.
    UnknownAccessLabel = Error, Remedy::Always(
        "Remove the label if everybody may get in; else let the application (or a proxy of its own before it) check who asks.",
    );
    /// Labels for Swarmgate stand on the container instead of the service.
    LabelOnContainer = Error or Warning, Remedy::Always(
        "Write them under deploy.labels in the stack file (`docker service create --label`, not --container-label).",
    );
    /// The service has labels of another proxy and none of Swarmgate's.
    OtherProxyLabels = Info, Remedy::PerCase;
    /// `backend_mode=vip` on a service without a virtual IP; its tasks are used.
    NoVirtualIp = Warning, Remedy::PerCase;
    /// A label names a secret (or config) that does not exist, or that whoever wrote the label cannot know of.
    SecretNotFound = Error, Remedy::PerCase;
    /// A label names a secret (or config) that the service may not use: nobody granted it.
    RefNotPermitted = Error, Remedy::PerCase;
    /// A host asks for TLS, and its cluster publishes no TLS port.
    TlsNotPublished = Error, Remedy::Always("Add spec.proxy.publish.https to the cluster's document.");
    /// A redirect, or `ssl_only`, leads to HTTPS on a host that has none here.
    RedirectWithoutTls = Error or Warning, Remedy::PerCase;
    /// A redirect leads back to itself and is left out.
    RedirectLoop = Error, Remedy::Always("Name another host, scheme or path as the target, or remove ssl_only where that leads back.");
    // --- certificates
    /// A secret that should hold a certificate (or a CA's certificates) does not.
    NotACertificate = Error, Remedy::Usually(
        "Store a certificate that the engine can use, with its chain, as PEM text in a new secret, and name that one.",
    );
    /// A secret that should hold a private key does not.
    NotAPrivateKey = Error, Remedy::Always("Store the private key as PEM text without a passphrase in a new secret, and name that one.");
    /// A private key is another certificate's.
    KeyMismatch = Error, Remedy::Always(
        "Name the key that the certificate was made for; the server's own certificate stands first in its secret.",
    );
    /// A certificate has expired.
    CertificateExpired = Error, Remedy::Always(
        "Store the renewed certificate in a new secret and name that one: proxies take it over without a restart.",
    );
    /// A certificate is not valid yet.
    CertificateNotYetValid = Error, Remedy::Always(
        "Name a certificate that is valid now, such as the one before; this one is used when its time comes. If it should be \
         valid now, set the clock of the node or of the CA.",
    );
    /// A certificate expires within 30 days.
    CertificateExpires = Warning, Remedy::Always(
        "Store the renewed certificate in a new secret and name that one: proxies take it over without a restart.",
    );
    /// The kind of a certificate's key or signature is one that clients refuse.
    CertificateUnsupported = Warning, Remedy::Always(
        "Have a certificate made with a key that all clients take (ECDSA P-256, or RSA with 2048 bits) and a signature with \
         SHA-256.",
    );
    /// A certificate between a server's and its CA's has expired, or is not valid yet.
    CertificateChainInvalid = Warning, Remedy::Always(
        "Store the certificate with the CA's current chain in a new secret, and name that one.",
    );
    /// The object of a CA holds a private key; nothing of it is used.
    AuthorityHoldsKey = Error, Remedy::Always(
        "Store the certificates alone (openssl x509 -in FILE) in a new config or secret, and name that one. A key that lay in a \
         config is known to others: replace it.",
    );
    /// A certificate is not for the host that it is published for.
    CertificateNameMismatch = Warning, Remedy::Always(
        "Name a certificate that has these hosts among its alternative names; a wildcard stands for one label.",
    );
    /// A service that must be reached on its nodes publishes the port of its label `port` nowhere in host mode.
    NoHostPort = Error or Warning, Remedy::PerCase;
    /// Tasks on a node of which no address is known, or a node whose label `swarmgate.address` is no address.
    NodeAddress = Error or Warning, Remedy::Usually("Set it with: docker node update --label-add swarmgate.address=ADDRESS NODE.");
    /// A service asks for a port of nodes that proxies or the operator have there; Swarm gives it to whoever waits when it becomes free.
    HostPortContested = Error or Warning, Remedy::PerCase;
    // --- runtime
    /// A route has no running endpoint and answers 503.
    NoEndpoints = Info, Remedy::PerCase;
    /// The engine refused the rendered configuration; the last good one stays in force.
    EngineRefused = Error, Remedy::Always(
        "Look in the engine's words for the host or option that it names, and change the label or the setting that asks for it.",
    );
    /// The engine did not answer in time or could not be asked; it is asked again, and the last good configuration stays.
    EngineUnavailable = Error, Remedy::Always(
        "If this lasts, give the extension more processor time (spec.extension.resources), or spread the hosts over several \
         clusters.",
    );
    /// The engine's version has faults that are published.
    EngineVulnerable = Warning, Remedy::PerCase;
    /// The engine refuses this route (or raw line, or template) alone; it is left out, and everything else is served.
    RouteQuarantined = Error, Remedy::Usually("Change what the engine's words name; it is tried again when it changes.");
    /// What proxies must say is larger than they can read as a message; the last that was not stays in force.
    MessageTooLarge = Error, Remedy::Always(
        "Publish fewer hosts or replicas of what is named, lower spec.limits of the cluster, or spread its services over \
         several clusters.",
    );
    /// Proxies do not follow: they cannot get, test or load newer configurations, or say nothing any more.
    ProxiesNotFollowing = Error, Remedy::Always(
        "See the words of each, and `docker service logs` of the proxy service. One that says nothing cannot reach the \
         extension, or hangs: `docker service update --force` replaces it.",
    );
    /// The extension says nothing any more, so that proxies get nothing new.
    ExtensionSilent = Error, Remedy::Always(
        "See `docker service ps` and `docker service logs` of the extension service; it must reach the operator on its channel \
         port.",
    );
    /// The labels of a service change again and again; the last settled ones count until they are calm.
    LabelsFlapping = Warning or Error, Remedy::Always(
        "Find out what updates the service again and again, or have an administrator raise spec.limits.service.labelUpdates.",
    );
    /// The rendered configuration does not fit into a Swarm config object; the last one that did stays mounted.
    ConfigTooLarge = Error, Remedy::PerCase;
    /// A service, config, secret or network of the needed name exists and is not ours.
    NameTaken = Error, Remedy::PerCase;
    /// The control network should be encrypted, but the one that exists is not.
    NetworkNotEncrypted = Warning, Remedy::Always(
        "Name another control network, or remove this one while nothing uses it; Swarm cannot change a network.",
    );
    /// Swarm paused or rolled back a rollout.
    RolloutFailed = Error, Remedy::PerCase;
    /// Somebody changed one of our objects by hand; it is put back.
    Drift = Warning, Remedy::Usually("Change the document instead, or leave the field out of it to manage it by hand.");
    /// A service with our labels was not created by this operator; what its containers do beside the document is reset.
    ServiceTakenOver = Warning, Remedy::Always(
        "After an upgrade or a new installation, state in the document what should stay. Else find out who created the service.",
    );
    /// The proxy service has Swarm's own global mode, in which a change of nodes replaces proxies beside their rollout.
    ProxiesReplacedTogether = Warning, Remedy::PerCase;
    /// On which nodes proxies must run cannot be told, so their number does not follow the nodes.
    ProxyNodesUnknown = Warning, Remedy::Always(
        "Use constraints that compare node.id, node.hostname, node.role, node.platform or node.labels, or write mode: \
         replicated with the number of replicas.",
    );
    /// A single replica updated stop-first: requests fail while it is replaced.
    UpdateGap = Info or Warning, Remedy::PerCase;
    /// The operator's own service is not on the control network.
    ControlNetworkNotAttached = Error, Remedy::Always(
        "Attach the service to that network in the stack file, or set SWARMGATE_CONTROL_NETWORK to the network that it is on.",
    );
    /// The event stream is silent or broken; polling carries on.
    EventsLost = Info, Remedy::Always("Nothing needs to be done; if it lasts, look into the log of the manager's Docker daemon.");
}

impl FindingCode {
    /// The code as status, logs and metrics show it.
    pub fn as_str(self) -> String {
        format!("{self:?}")
    }

    /// The severity of its findings by default.
    pub fn severity(self) -> Severity {
        self.entry().severities.first().copied().unwrap_or(Severity::Error)
    }
}
