//! The only list of existing labels. Everything that needs their names (the reader, suggestions, help) uses this list.

/// One label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelInfo {
    /// The name after [`super::PREFIX`].
    pub name: &'static str,
    /// What it asks for, in one sentence.
    pub description: &'static str,
}

const fn label(name: &'static str, description: &'static str) -> LabelInfo {
    LabelInfo { name, description }
}

/// Every label, in the order of a manual: first what is published, then how.
pub const LABELS: &[LabelInfo] = &[
    label("hosts", "Comma-separated host names that the service answers for; `*.example.org` is one left-most label"),
    label("port", "The container port of the application"),
    label("network", "The network on which the proxies reach the service, with its full name"),
    label("service_cluster", "The service cluster that publishes the service"),
    label("context_root", "The path below which the service answers"),
    label("context_root_rewrite", "Whether the context root is cut off before a request is passed on"),
    label("default_backend", "Whether the service answers for hosts that nobody published"),
    label("backend_mode", "`task`: requests go to the tasks; `vip`: to the service's virtual IP"),
    label("ssl_cert", "The secret with the certificate"),
    label("ssl_key", "The secret with the private key"),
    label("ssl_passthrough", "Whether TLS is routed by server name without being terminated"),
    label("ssl_backend", "Whether the application is spoken to in TLS"),
    label("backend_protocol", "How the application is spoken to: `http` (1.1), `https`, `h2c`, `grpc` or `grpcs`"),
    label("ssl_backend_tls_verify", "`none`, `required`, or a secret or config with a CA: how the application's certificate is checked"),
    label("ssl_only", "Whether plain HTTP is redirected to HTTPS"),
    label("redirects", "`source,target` pairs of URLs, separated by `;`"),
    label("websocket_endpoints", "Comma-separated paths of websockets"),
    label("sticky_session_cookie", "The cookie whose value keeps a client on one task"),
    label("ip_hash", "Whether a client's address keeps it on one task"),
    label("max_fails", "Failures after which a task gets no requests for a while"),
    label("fail_timeout", "How long that while is"),
    label("weight", "The service's share in percent of a pool that several services form, 0 to 100"),
];
