//! The one list of labels that exist. Everything that needs their names (the reader, suggestions, help) takes them from here.

/// Whether a label does something yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelEffect {
    /// It does what its description says.
    Served,
    /// It is read and checked, and a finding says that it has no effect yet.
    NotYet,
}

/// One label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelInfo {
    /// The name behind [`super::PREFIX`].
    pub name: &'static str,
    /// What it asks for, in one sentence.
    pub description: &'static str,
    /// Whether it does so.
    pub effect: LabelEffect,
}

const fn served(name: &'static str, description: &'static str) -> LabelInfo {
    LabelInfo { name, description, effect: LabelEffect::Served }
}

const fn not_yet(name: &'static str, description: &'static str) -> LabelInfo {
    LabelInfo { name, description, effect: LabelEffect::NotYet }
}

/// Every label, in the order of a manual: what is published, then how.
pub const LABELS: &[LabelInfo] = &[
    served("hosts", "Comma-separated host names that the service answers for; `*.example.org` is one left-most label"),
    served("port", "The container port of the application"),
    served("network", "The network on which the proxies reach the service, with its full name"),
    served("service_cluster", "The service cluster that publishes the service"),
    served("context_root", "The path below which the service answers"),
    served("context_root_rewrite", "Whether the context root is cut off before a request is passed on"),
    served("default_backend", "Whether the service answers for hosts that nobody published"),
    served("backend_mode", "`task`: requests go to the tasks; `vip`: to the service's virtual IP"),
    not_yet("ssl_cert", "The secret with the certificate"),
    not_yet("ssl_key", "The secret with the private key"),
    not_yet("ssl_passthrough", "Whether TLS is routed by server name without being terminated"),
    not_yet("ssl_backend", "Whether the application is spoken to in TLS"),
    not_yet("ssl_backend_tls_verify", "`none` or `required`: whether the application's certificate is checked"),
    not_yet("ssl_only", "Whether plain HTTP is redirected to HTTPS"),
    not_yet("redirects", "`source,target` pairs of URLs, separated by `;`"),
    not_yet("websocket_endpoints", "Comma-separated paths of websockets"),
    not_yet("sticky_session_cookie", "The cookie whose value keeps a client on one task"),
    not_yet("ip_hash", "Whether a client's address keeps it on one task"),
    not_yet("max_fails", "Failures after which a task gets no requests for a while"),
    not_yet("fail_timeout", "How long that while is"),
];
