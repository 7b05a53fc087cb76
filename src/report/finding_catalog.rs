//! The catalogue of findings: every code with its meaning, its possible severities, and its remedy. The code that reports a
//! finding supplies only data; the table in `docs/findings.md` is generated from here (`BLESS=1 cargo test --test
//! findings`).
//!
//! It must never contain anything that varies from case to case: names and values belong in the message, or are data that the
//! reporting code supplies for a remedy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

/// The remedy of the findings of one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The same remedy for every finding.
    Always(&'static str),
    /// This remedy, unless the reporting code supplies a more specific one.
    Usually(&'static str),
    /// The same sentence for every finding, with data of the finding in place of the names in braces.
    Template(&'static str),
    /// The remedy differs from case to case in more than its data, so every finding supplies its own.
    PerCase,
}

impl Remedy {
    /// The default remedy, if the code has one.
    pub fn text(self) -> Option<&'static str> {
        match self {
            Self::Always(text) | Self::Usually(text) => Some(text),
            Self::Template(_) | Self::PerCase => None,
        }
    }

    /// Whether a finding may have a remedy of its own. One whose remedy is a template supplies only data.
    pub(super) fn permits_own(self) -> bool {
        match self {
            Self::Always(_) | Self::Template(_) => false,
            Self::Usually(_) | Self::PerCase => true,
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
    /// A file or document cannot be read (syntax, encoding, I/O error).
    UnreadableDocument = Error or Warning, Remedy::PerCase;
    /// A document contains a field that does not exist.
    UnknownField = Error, Remedy::PerCase;
    /// A value has the wrong type or is out of range.
    InvalidValue = Error or Warning, Remedy::PerCase;
    /// Fields exclude each other, or one requires another that is missing.
    ImpossibleCombination = Error, Remedy::PerCase;
    /// Two documents claim the same name, label value, service name or port.
    DuplicateDeclaration = Error or Warning, Remedy::PerCase;
    /// A constraint uses a single `=`, which is read as `==`.
    SingleEqualsConstraint = Warning, Remedy::Template("Use {constraint}.");
    // --- labels
    /// A label has an invalid value; whatever it configures is left out.
    InvalidLabelValue = Error or Warning, Remedy::PerCase;
    /// A `com.docker.lb.*` label does not exist (probably a typo).
    UnknownLabel = Warning or Info, Remedy::PerCase;
    /// A valid label has no effect.
    LabelWithoutEffect = Warning, Remedy::PerCase;
    /// A label that is required to publish a service is missing (`port`, or `hosts` without `default_backend`).
    MissingLabel = Error, Remedy::PerCase;
    /// `service_cluster` names a cluster that no document declares.
    UnknownServiceCluster = Error or Info, Remedy::PerCase;
    /// The cluster that publishes the service is declared, but no valid version of its document has been seen yet.
    ClusterNotInForce = Error, Remedy::PerCase;
    /// The label `network` does not name a network that the service can be reached on.
    NetworkNotFound = Warning, Remedy::PerCase;
    /// No proxy started with this network; it is left out until it changes, and everything else is served.
    NetworkQuarantined = Error, Remedy::Template(
        "Look at the errors of the tasks of {service} (docker service ps --no-trunc). Check that {network} has free addresses, does \
         not overlap with a network of any node, and lets nodes reach each other (UDP 4789). Otherwise move the service to a \
         network that the proxies have.",
    );
    /// A node cannot set up a network that the proxies must keep, so no proxy runs on that node.
    NetworkFailing = Error, Remedy::Template(
        "See which tasks of {service} failed (docker service ps --no-trunc), and repair that node: it has another network with the \
         same addresses, or has lost this one. Restarting its Docker engine usually helps.",
    );
    /// The proxies stay attached for a while to a network that no route needs any more.
    NetworkLingers = Info, Remedy::Always("No action is needed.");
    /// Several networks are possible and no label chooses one.
    AmbiguousNetwork = Warning, Remedy::Always(
        "Set com.docker.lb.network to the network that the proxies share with the service, or name that network in the \
         cluster's spec.networks.preferred.",
    );
    /// The service has no network that the proxies may use (`networks` is a closed list), or no network at all.
    UnreachableNetwork = Error, Remedy::PerCase;
    /// A network of the service could cut the proxies off from their clients: it is not an overlay, or its addresses are in use elsewhere.
    UnsuitableNetwork = Error or Warning, Remedy::PerCase;
    /// A network of the service does not have enough free addresses for the proxies.
    NetworkFull = Error or Warning, Remedy::PerCase;
    /// Services that share a route disagree about a setting; the oldest service's setting is used.
    ConflictingSetting = Warning, Remedy::Usually("Set the same value on all services of one host and path.");
    /// More than one service asks to be the default backend; the oldest service is used.
    SecondDefaultBackend = Warning, Remedy::Always(
        "Keep com.docker.lb.default_backend on one service of the cluster, and remove it from the others.",
    );
    /// A service exceeds a limit on its share of the proxies' configuration (`spec.limits`); the excess is not published.
    LimitExceeded = Error, Remedy::PerCase;
    /// The services of a cluster together are close to a limit (`spec.limits.cluster`).
    LimitNear = Warning, Remedy::PerCase;
    /// The cluster's `spec.hosts` does not allow the service to publish this host, or to be the default backend.
    HostNotAllowed = Error, Remedy::PerCase;
    /// A service of another stack published this host, or a wildcard that covers it, first (reported on the later service).
    HostTaken = Error or Warning or Info, Remedy::PerCase;
    /// Services of another stack ask for a host of this service, or to be the default backend in its place (reported on the first
    /// service).
    HostContested = Info or Warning, Remedy::PerCase;
    /// Older services ask for more hosts of other stacks than the operator can record for its next restart (reported on the
    /// cluster).
    HostRegisterFull = Warning, Remedy::Always(
        "Remove hosts from the labels of services that do not get them (HostTaken), or name the owning services in \
         spec.hosts.allow.",
    );
    /// An unknown label looks like access control, so the service's routes are closed.
    UnknownAccessLabel = Error, Remedy::Always(
        "If the service is open to everyone, remove the label. Otherwise enforce access in the application, or in a proxy in front \
         of it.",
    );
    /// Labels for Swarmgate are set on the containers instead of the service.
    LabelOnContainer = Error or Warning, Remedy::Always(
        "Set them under deploy.labels in the stack file (`docker service create --label`, not --container-label).",
    );
    /// The service has labels for another proxy but none for Swarmgate.
    OtherProxyLabels = Info, Remedy::PerCase;
    /// A service with `backend_mode=vip` has no virtual IP; its tasks' addresses are used.
    NoVirtualIp = Warning, Remedy::PerCase;
    /// A label names a secret (or config) that does not exist, or that has another access label.
    SecretNotFound = Error, Remedy::PerCase;
    /// A label names a secret (or config) that is not granted to the service.
    RefNotPermitted = Error, Remedy::PerCase;
    /// A host asks for TLS, but its cluster publishes no TLS port.
    TlsNotPublished = Error, Remedy::Always("Add spec.proxy.publish.https to the cluster's document.");
    /// A redirect or `ssl_only` leads to HTTPS on a host that has no TLS in this cluster.
    RedirectWithoutTls = Error or Warning, Remedy::PerCase;
    /// A redirect leads back to itself and is left out.
    RedirectLoop = Error, Remedy::Always(
        "Redirect to another host, scheme or path, or remove ssl_only if it leads back.",
    );
    // --- certificates
    /// A secret that should hold a certificate (or CA certificates) does not contain one.
    NotACertificate = Error, Remedy::Usually(
        "Store a certificate that the engine supports, with its chain, as PEM text in a new secret, and name that secret.",
    );
    /// A secret that should hold a private key does not contain one.
    NotAPrivateKey = Error, Remedy::Always(
        "Store the private key as PEM text without a passphrase in a new secret, and name that secret.",
    );
    /// A private key does not match the certificate.
    KeyMismatch = Error, Remedy::Always(
        "Name the private key that belongs to the certificate; in a chain, the server's own certificate must come first.",
    );
    /// A certificate has expired.
    CertificateExpired = Error, Remedy::Always(
        "Store the renewed certificate in a new secret and name that secret: proxies switch to it without a restart.",
    );
    /// A certificate is not valid yet.
    CertificateNotYetValid = Error, Remedy::Always(
        "Name a certificate that is valid now, such as the previous one; this one is used as soon as it becomes valid. If it \
         should be valid now, correct the clock of the node or of the CA.",
    );
    /// A certificate expires within 30 days.
    CertificateExpires = Warning, Remedy::Always(
        "Store the renewed certificate in a new secret and name that secret: proxies switch to it without a restart.",
    );
    /// A certificate has a key type or signature algorithm that clients reject.
    CertificateUnsupported = Warning, Remedy::Always(
        "Issue a certificate with a key that all clients accept (ECDSA P-256, or RSA with 2048 bits) and a SHA-256 signature.",
    );
    /// An intermediate certificate has expired, or is not valid yet.
    CertificateChainInvalid = Warning, Remedy::Always(
        "Store the certificate with the CA's current chain in a new secret, and name that secret.",
    );
    /// A secret or config that is used as a CA holds a private key, so it is not used at all.
    AuthorityHoldsKey = Error, Remedy::Always(
        "Store only the certificates (openssl x509 -in FILE) in a new config or secret, and name that object. If the key was in a \
         config, treat it as disclosed and replace it.",
    );
    /// A certificate does not cover the host that it is published for.
    CertificateNameMismatch = Warning, Remedy::Always(
        "Name a certificate whose subject alternative names include these hosts; a wildcard covers exactly one label.",
    );
    /// A service that must be reached at its nodes does not publish the port of its label `port` in host mode.
    NoHostPort = Error or Warning, Remedy::Template(
        "Publish it (docker service update --publish-add mode=host,target={port}; in a stack file, `mode: host` in the long syntax \
         of `ports`), or attach the service to an overlay network.",
    );
    /// The address of a node with tasks is unknown, or the node's label `swarmgate.address` is not a usable address.
    NodeAddress = Error or Warning, Remedy::Usually("Set it with: docker node update --label-add swarmgate.address=ADDRESS NODE.");
    /// A service asks for a node port that proxies or the operator use; Swarm assigns it to the waiting service when it becomes free.
    HostPortContested = Error or Warning, Remedy::Template(
        "Remove the service, stop publishing this port, or keep the service off the nodes of {service} with constraints \
         (node.labels, node.hostname, node.id, node.role).",
    );
    // --- runtime
    /// A route has no running endpoint, so it answers 503.
    NoEndpoints = Info, Remedy::PerCase;
    /// The engine refused the rendered configuration; the last good one stays in use.
    EngineRefused = Error, Remedy::Always(
        "Find the host or option in the engine's error message, and change the label or setting that it comes from.",
    );
    /// The engine could not test the new configuration, or not in time; the test is repeated, and the last good configuration stays in
    /// use.
    EngineUnavailable = Error, Remedy::Always(
        "If this persists, give the extension more CPU (spec.extension.resources), or spread the hosts over several clusters.",
    );
    /// The engine's version has known vulnerabilities.
    EngineVulnerable = Warning, Remedy::Template(
        "Use an image with {engine} {version} or newer. If your distribution has backported the fixes to this version, ignore this \
         finding.",
    );
    /// The engine refuses only this route (or raw line, or template); it is left out, and everything else is served.
    RouteQuarantined = Error, Remedy::Usually("Correct what the engine's error message names; it is tried again when it changes.");
    /// The configuration for the proxies exceeds the maximum message size; the last one within it stays in use.
    MessageTooLarge = Error, Remedy::Always(
        "Publish fewer hosts or replicas of the parts that the message names, lower spec.limits of the cluster, or spread its \
         services over several clusters.",
    );
    /// Proxies do not follow: they cannot get, test or load newer configurations, or they stopped sending reports.
    ProxiesNotFollowing = Error, Remedy::Always(
        "Read each proxy's last message, and `docker service logs` of the proxy service. A proxy that sends no reports cannot \
         reach the extension, or hangs: `docker service update --force` replaces it.",
    );
    /// The extension stopped sending reports, so the proxies get no new configuration.
    ExtensionSilent = Error, Remedy::Always(
        "Check `docker service ps` and `docker service logs` of the extension service; it must be able to reach the operator's \
         channel port.",
    );
    /// The labels of a service keep changing; the last stable labels are used until the changes stop.
    LabelsFlapping = Warning or Error, Remedy::Always(
        "Find out what keeps updating the service, or have an administrator raise spec.limits.service.labelUpdates.",
    );
    /// The rendered configuration does not fit into a Swarm config object; the last one that did fit stays mounted.
    ConfigTooLarge = Error, Remedy::PerCase;
    /// A service, config, secret or network with the required name exists but does not belong to this operator.
    NameTaken = Error, Remedy::Template("Remove or rename the other {kind}, or choose another name in the document.");
    /// The control network should be encrypted, but the one that exists is not.
    NetworkNotEncrypted = Warning, Remedy::Always(
        "Use another control network, or remove this one while nothing is attached to it; Swarm cannot change a network.",
    );
    /// Swarm paused or rolled back a rollout.
    RolloutFailed = Error, Remedy::Template(
        "Find out why its tasks failed (docker service ps --no-trunc {service}); a changed document is tried immediately.",
    );
    /// An object of this operator was changed by hand; the operator restores it.
    Drift = Warning, Remedy::Usually("Change the document instead, or remove the field from it to manage the value by hand.");
    /// A service with this operator's labels was not created by it; container settings that the document does not state are reset.
    ServiceTakenOver = Warning, Remedy::Always(
        "After an upgrade or a new installation, state in the document what should stay. Otherwise find out who created the \
         service.",
    );
    /// The proxy service uses Swarm's global mode, in which node changes replace proxies outside their rollout.
    ProxiesReplacedTogether = Warning, Remedy::PerCase;
    /// The operator cannot determine which nodes must run proxies, so the number of proxies does not follow the nodes.
    ProxyNodesUnknown = Warning, Remedy::Always(
        "Use constraints on node.id, node.hostname, node.role, node.platform or node.labels only, or set mode: replicated with the \
         number of replicas.",
    );
    /// A service with a single replica is updated stop-first: requests fail while the replica is replaced.
    UpdateGap = Info or Warning, Remedy::PerCase;
    /// The operator's own service is not on the control network.
    ControlNetworkNotAttached = Error, Remedy::Always(
        "Attach the service to the control network in the stack file, or set SWARMGATE_CONTROL_NETWORK to a network of the service.",
    );
    /// The Docker event stream is silent or broken; changes are detected by polling.
    EventsLost = Info, Remedy::Always("No action is needed; if this persists, check the log of the manager's Docker daemon.");
}

impl FindingCode {
    /// The code as status, logs and metrics show it.
    pub fn as_str(self) -> String {
        format!("{self:?}")
    }

    /// The remedy of a finding whose catalogue entry is a template. `data` has a value for each name in braces.
    pub fn remedy_with(self, data: &[(&str, &str)]) -> String {
        let Remedy::Template(template) = self.entry().remedy else {
            debug_assert!(false, "the remedy of {self:?} is no template");
            return String::new();
        };
        let mut parts = template.split('{');
        let mut remedy = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, text) = part.split_once('}').unwrap_or((part, ""));
            let value = data.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            debug_assert!(value.is_some(), "the remedy of {self:?} needs {name}");
            remedy.push_str(value.unwrap_or(name));
            remedy.push_str(text);
        }
        remedy
    }

    /// The severity of its findings by default.
    pub fn severity(self) -> Severity {
        self.entry().severities.first().copied().unwrap_or(Severity::Error)
    }
}
