//! The label reader: converts any label map to what the service asks for, and findings. Total and deterministic; looks at
//! one service only, so that no service's labels can change the meaning of another's.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::LABELS;
use super::size_limits;
use super::unknown_labels::access_control_labels;
use super::value_grammar::{self, RedirectLabel};
use super::value_reader::ValueReader;
use super::{Affinity, BackendMode, BackendProtocol, ServiceLabels, TlsLabels, Verification};
use crate::report::{Finding, cases};
use crate::types::{ContextPath, CookieName, HostPattern, InvalidValue, NetworkName, ObjectName, Port};

/// The result of reading a service's labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelReading {
    /// No label asks for publication.
    NotPublished,
    /// The service is to be published with these settings.
    Published(Box<ServiceLabels>),
    /// The labels ask for publication, and a finding says why the service is not published.
    Refused,
}

/// The result and its findings, in the order of the labels' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadLabels {
    /// The result.
    pub reading: LabelReading,
    /// The findings for the labels' author.
    pub findings: Vec<Finding>,
}

/// Reads the labels of the service `service`. Ignores labels of other programs.
pub fn read_labels(service: &str, labels: &BTreeMap<String, String>) -> ReadLabels {
    let mut reader = ValueReader::new(service, labels);
    let reading = reader.read();
    reader.report_unknown_labels(matches!(reading, LabelReading::Published(_)));
    let mut findings = reader.findings;
    findings.sort_by(|a, b| (&a.field, a).cmp(&(&b.field, b)));
    ReadLabels { reading, findings }
}

impl ValueReader<'_> {
    fn read(&mut self) -> LabelReading {
        if !self.requests_anything() {
            return LabelReading::NotPublished;
        }
        let default_backend = self.flag("default_backend");
        let hosts = self.hosts(default_backend);
        let port = self.port();
        let context_root = self.context_root();
        let rest = OtherLabels::read(self, &hosts, context_root.as_ref());
        let (Some(port), Some(context_root)) = (port, context_root) else {
            return LabelReading::Refused;
        };
        if hosts.is_empty() && !default_backend {
            return LabelReading::Refused;
        }
        LabelReading::Published(Box::new(rest.into_labels(hosts, port, context_root, default_backend)))
    }

    /// Empty values and `false` ask for nothing.
    fn requests_anything(&self) -> bool {
        LABELS.iter().any(|info| {
            self.value(info.name).is_some_and(|value| !matches!(value_grammar::boolean(value), Ok(false)) || info.name == "hosts")
        })
    }

    /// Valid hosts in the order written, without duplicates; each invalid one produces a finding and does not affect the others.
    fn hosts(&mut self, default_backend: bool) -> Vec<HostPattern> {
        let Some(text) = self.value("hosts").map(str::to_owned) else {
            if !default_backend {
                self.missing("hosts", cases::MissingLabel::Hosts);
            }
            return Vec::new();
        };
        let (hosts, bad) = self.list("hosts", &text, &size_limits::HOSTS, HostPattern::parse);
        if hosts.is_empty() && bad.is_empty() && !default_backend {
            self.missing("hosts", cases::MissingLabel::Hosts);
        }
        self.note_list("hosts", &bad, "the host is not published");
        hosts
    }

    fn port(&mut self) -> Option<Port> {
        let Some(text) = self.value("port") else {
            self.missing("port", cases::MissingLabel::Port);
            return None;
        };
        let parsed = size_limits::check_length(text).and_then(|()| Port::parse(text));
        match parsed {
            Ok(port) => Some(port),
            Err(rule) => {
                let text = text.to_owned();
                self.bad("port", &text, &rule, "the service is not published");
                None
            }
        }
    }

    /// A service with an invalid context root is not published: publishing it at `/` instead would take the whole host from other
    /// services.
    fn context_root(&mut self) -> Option<ContextPath> {
        let Some(text) = self.value("context_root").map(str::to_owned) else {
            return Some(ContextPath::root());
        };
        match size_limits::check_length(&text).and_then(|()| ContextPath::parse(&text)) {
            Ok(path) => {
                self.note_several_roots(&text);
                Some(path)
            }
            Err(rule) => {
                self.bad("context_root", &text, &rule, "the service is not published");
                None
            }
        }
    }

    /// A comma is valid in a path, but `/a,/b` most probably means two paths.
    fn note_several_roots(&mut self, text: &str) {
        if text.contains(",/") {
            let message = "the value is read as one path that contains a comma: a service has only one context root";
            self.add(cases::InvalidLabelValue::SeveralPaths, "context_root", Some(text), message);
        }
    }

    fn redirects(&mut self, hosts: &[HostPattern]) -> Vec<RedirectLabel> {
        let Some(text) = self.value("redirects").map(str::to_owned) else {
            return Vec::new();
        };
        let own: BTreeSet<&HostPattern> = hosts.iter().collect();
        let (redirects, bad) = self.list("redirects", &text, &size_limits::REDIRECTS, |pair| {
            let redirect = value_grammar::redirect(pair)?;
            if own.contains(&redirect.source.host) {
                Ok(redirect)
            } else {
                Err(InvalidValue(format!(
                    "the source of a redirect must be one of the service's hosts, and {} is not",
                    redirect.source.host
                )))
            }
        });
        self.note_list("redirects", &bad, "the redirect is left out");
        redirects
    }

    /// A path outside the context root belongs to another route: it is reported and left out.
    fn websocket_endpoints(&mut self, root: Option<&ContextPath>) -> Vec<ContextPath> {
        let Some(text) = self.value("websocket_endpoints").map(str::to_owned) else {
            return Vec::new();
        };
        let (paths, bad) = self.list("websocket_endpoints", &text, &size_limits::WEBSOCKET_ENDPOINTS, |item| {
            let path = ContextPath::parse(item)?;
            match root.filter(|root| !root.covers(&path)) {
                Some(root) => Err(InvalidValue(format!("the path is not below the service's context root {root}"))),
                None => Ok(path),
            }
        });
        self.note_list("websocket_endpoints", &bad, "the path is left out (upgrades work on every path of the service anyway)");
        paths
    }

    /// Cookie and client address exclude each other; the cookie is more specific.
    fn affinity(&mut self) -> Affinity {
        let by_address = self.flag("ip_hash");
        let cookie = self.parsed("sticky_session_cookie", CookieName::parse);
        if cookie.is_some() && by_address {
            let message = "the service also has sticky_session_cookie, which is used instead of the client's address";
            self.add(cases::ConflictingSetting::Affinity, "ip_hash", Some("true"), message);
        }
        match (cookie, by_address) {
            (Some(cookie), _) => Affinity::Cookie(cookie),
            (None, true) => Affinity::ClientAddress,
            (None, false) => Affinity::None,
        }
    }

    /// `ssl_backend` is the older form of `backend_protocol`.
    fn backend_protocol(&mut self) -> BackendProtocol {
        let stated = self.parsed("backend_protocol", value_grammar::backend_protocol);
        match (self.flag("ssl_backend"), stated.unwrap_or_default()) {
            (true, BackendProtocol::Http) => BackendProtocol::Https,
            (true, BackendProtocol::Grpc) => BackendProtocol::Grpcs,
            (_, protocol) => protocol,
        }
    }

    fn verification(&mut self, protocol: BackendProtocol) -> Verification {
        const LABEL: &str = "ssl_backend_tls_verify";
        if !matches!(protocol, BackendProtocol::Http | BackendProtocol::Grpc) {
            return self.requested_verification(LABEL);
        }
        let verification = self.parsed(LABEL, value_grammar::verification).unwrap_or_default();
        if verification != Verification::Off {
            let message = "the proxies connect to the application without TLS, so there is no certificate to verify";
            self.without_effect(LABEL, message, cases::LabelWithoutEffect::NothingToVerify);
        }
        verification
    }

    /// A service whose label requests verification with an invalid value must not go unverified.
    fn requested_verification(&mut self, label: &str) -> Verification {
        let Some(text) = self.value(label).map(str::to_owned) else { return Verification::default() };
        size_limits::check_length(&text).and_then(|()| value_grammar::verification(&text)).unwrap_or_else(|rule| {
            self.bad(label, &text, &rule, "the application's certificate is verified against the system's roots");
            Verification::System
        })
    }

    fn tls(&mut self) -> TlsLabels {
        let tls = TlsLabels {
            certificate: self.parsed("ssl_cert", ObjectName::parse),
            key: self.parsed("ssl_key", ObjectName::parse),
            only: self.flag("ssl_only"),
            passthrough: self.flag("ssl_passthrough"),
        };
        if tls.certificate.is_none() && tls.key.is_some() && !tls.passthrough {
            let message = "the private key has no certificate, so the service's hosts are not published by TLS";
            self.without_effect("ssl_key", message, cases::LabelWithoutEffect::KeyWithoutCertificate);
        }
        if tls.passthrough {
            self.note_passthrough(&tls);
        }
        tls
    }

    /// Reports labels that have no effect because TLS hides the requests from the proxy.
    fn note_passthrough(&mut self, tls: &TlsLabels) {
        let case = cases::LabelWithoutEffect::Passthrough;
        for (name, _) in [("ssl_cert", &tls.certificate), ("ssl_key", &tls.key)].iter().filter(|(_, object)| object.is_some()) {
            self.without_effect(name, "the application itself terminates TLS (ssl_passthrough)", case);
        }
        let unseen = ["context_root", "context_root_rewrite", "websocket_endpoints", "sticky_session_cookie", "backend_protocol"];
        for name in unseen {
            let is_requested = self.value(name).is_some_and(|value| !matches!(value_grammar::boolean(value), Ok(false)) && value != "/");
            if is_requested {
                let message = "requests are encrypted all the way to the application (ssl_passthrough), so the proxies cannot read them";
                self.without_effect(name, message, case);
            }
        }
    }
}

/// All labels except those that decide whether and where the service is published.
struct OtherLabels {
    network: Option<NetworkName>,
    rewrite: bool,
    backend_mode: BackendMode,
    tls: TlsLabels,
    backend_protocol: BackendProtocol,
    backend_verification: Verification,
    redirects: Vec<RedirectLabel>,
    websocket_endpoints: Vec<ContextPath>,
    affinity: Affinity,
    max_fails: Option<u32>,
    fail_timeout: Option<std::time::Duration>,
    weight: Option<u8>,
    closed: bool,
}

impl OtherLabels {
    fn read(reader: &mut ValueReader<'_>, hosts: &[HostPattern], root: Option<&ContextPath>) -> Self {
        let backend_protocol = reader.backend_protocol();
        Self {
            network: reader.parsed("network", NetworkName::parse),
            rewrite: reader.flag("context_root_rewrite"),
            backend_mode: reader.parsed("backend_mode", value_grammar::backend_mode).unwrap_or(BackendMode::Task),
            tls: reader.tls(),
            backend_protocol,
            backend_verification: reader.verification(backend_protocol),
            redirects: reader.redirects(hosts),
            websocket_endpoints: reader.websocket_endpoints(root),
            affinity: reader.affinity(),
            max_fails: reader.parsed("max_fails", value_grammar::max_fails),
            fail_timeout: reader.parsed("fail_timeout", value_grammar::fail_timeout),
            weight: reader.parsed("weight", value_grammar::weight),
            closed: access_control_labels(reader.labels).next().is_some(),
        }
    }

    fn into_labels(self, hosts: Vec<HostPattern>, port: Port, context_root: ContextPath, default_backend: bool) -> ServiceLabels {
        ServiceLabels {
            hosts,
            port,
            network: self.network.map(String::from),
            context_root,
            context_root_rewrite: self.rewrite,
            default_backend,
            closed: self.closed,
            backend_mode: self.backend_mode,
            tls: self.tls,
            backend_protocol: self.backend_protocol,
            backend_verification: self.backend_verification,
            redirects: self.redirects,
            websocket_endpoints: self.websocket_endpoints,
            affinity: self.affinity,
            max_fails: self.max_fails,
            fail_timeout: self.fail_timeout,
            weight: self.weight,
        }
    }
}
