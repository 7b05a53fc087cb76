//! The only list of existing labels. Everything that needs their names (the reader, suggestions, help) uses this list.

/// One label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelInfo {
    /// The name after [`super::PREFIX`].
    pub name: &'static str,
    /// What it configures, in one sentence.
    pub description: &'static str,
}

const fn label(name: &'static str, description: &'static str) -> LabelInfo {
    LabelInfo { name, description }
}

/// Every label, in the order of the manual: first what is published, then how.
pub const LABELS: &[LabelInfo] = &[
    label("hosts", "Comma-separated host names that the service answers for; the `*` in `*.example.org` stands for exactly one label"),
    label("port", "The container port of the application"),
    label("network", "The full name of the network on which the proxies reach the service"),
    label("service_cluster", "The service cluster that publishes the service"),
    label("context_root", "The path below which the service answers"),
    label("context_root_rewrite", "Whether the context root is removed before a request is forwarded"),
    label("default_backend", "Whether the service answers for unpublished hosts"),
    label("backend_mode", "`task`: requests go to the tasks; `vip`: requests go to the service's virtual IP"),
    label("ssl_cert", "The secret with the certificate"),
    label("ssl_key", "The secret with the private key"),
    label("ssl_passthrough", "Whether TLS is routed by server name without being terminated"),
    label("ssl_backend", "Whether the proxies connect to the application by TLS"),
    label("backend_protocol", "The protocol to the application: `http` (1.1), `https`, `h2c`, `grpc` or `grpcs`"),
    label("ssl_backend_tls_verify", "How the application's certificate is verified: `none`, `required`, or a secret or config with a CA"),
    label("ssl_only", "Whether plain HTTP is redirected to HTTPS"),
    label("redirects", "`source,target` pairs of URLs, separated by `;`"),
    label("websocket_endpoints", "Comma-separated websocket paths"),
    label("sticky_session_cookie", "The cookie whose value keeps a client on one task"),
    label("ip_hash", "Whether a client's address keeps it on one task"),
    label("max_fails", "The number of failures after which a task gets no requests for `fail_timeout`"),
    label("fail_timeout", "How long a task gets no requests after `max_fails` failures"),
    label("weight", "The service's share, in percent, of a pool that several services form: 0 to 100"),
];
