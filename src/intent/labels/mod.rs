//! What one service asks for by its `com.docker.lb.*` labels, as checked values. Label text leaves this room only in types
//! that guarantee that it is safe to write into an engine's configuration.

mod access_control_names;
mod catalog;
mod parser;
mod size_limits;
mod unknown_labels;
mod value_grammar;
mod value_mistakes;
mod value_reader;

use std::collections::BTreeMap;
use std::time::Duration;

pub use catalog::{LABELS, LabelInfo};
pub use parser::{LabelReading, ReadLabels, read_labels};
pub use unknown_labels::{access_control_labels, access_key};
pub use value_grammar::RedirectLabel;

use crate::types::{ContextPath, CookieName, HostPattern, ObjectName, Port};

/// The prefix of all labels that are read.
pub const PREFIX: &str = "com.docker.lb.";

/// What one service asks for. Created only by the label reader, which reports everything it cannot use as findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceLabels {
    /// `hosts`: never with duplicates, in the order written. Empty only with `default_backend`.
    pub hosts: Vec<HostPattern>,
    /// `port`: the container port (the target port of a host-mode publication).
    pub port: Port,
    /// `network`, as written; always a valid network name.
    pub network: Option<String>,
    /// `context_root`; the whole site when absent.
    pub context_root: ContextPath,
    /// `context_root_rewrite`.
    pub context_root_rewrite: bool,
    /// `default_backend`.
    pub default_backend: bool,
    /// Whether a label asks for an access control that does not exist here: then no client may reach the application.
    pub closed: bool,
    /// `backend_mode`.
    pub backend_mode: BackendMode,
    /// `ssl_cert`, `ssl_key`, `ssl_only`.
    pub tls: TlsLabels,
    /// `backend_protocol`, and `ssl_backend`, which turns it into its TLS form.
    pub backend_protocol: BackendProtocol,
    /// `ssl_backend_tls_verify`: how an application's certificate is checked if the proxies connect to it by TLS.
    pub backend_verification: Verification,
    /// `redirects`, in the order written; every source is one of `hosts`.
    pub redirects: Vec<RedirectLabel>,
    /// `websocket_endpoints`, in the order written, without duplicates.
    pub websocket_endpoints: Vec<ContextPath>,
    /// `sticky_session_cookie`, `ip_hash`.
    pub affinity: Affinity,
    /// `max_fails`.
    pub max_fails: Option<u32>,
    /// `fail_timeout`.
    pub fail_timeout: Option<Duration>,
    /// `weight`: the service's share of a pool, 0 to 100.
    pub weight: Option<u8>,
}

/// Which addresses become endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendMode {
    /// Those of the running tasks.
    Task,
    /// The service's virtual IP.
    Vip,
}

/// TLS to clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsLabels {
    /// The secret with the certificate.
    pub certificate: Option<ObjectName>,
    /// The secret with the private key; absent when the certificate's secret holds both.
    pub key: Option<ObjectName>,
    /// Whether plain HTTP is answered by a redirect to HTTPS.
    pub only: bool,
    /// Whether TLS is passed through to the application without being terminated.
    pub passthrough: bool,
}

/// The protocol to the application.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BackendProtocol {
    /// HTTP/1.1.
    #[default]
    Http,
    /// HTTP/1.1 in TLS.
    Https,
    /// HTTP/2 without TLS.
    Grpc,
    /// HTTP/2 in TLS.
    Grpcs,
}

/// How an application's certificate is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Verification {
    /// Not at all.
    #[default]
    Off,
    /// Against the roots of the proxy's system.
    System,
    /// Against the certificates in this secret or config.
    Authority(ObjectName),
}

/// What keeps a client on the same endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Affinity {
    /// Nothing.
    #[default]
    None,
    /// The value of a cookie that the application sets.
    Cookie(CookieName),
    /// The client's address.
    ClientAddress,
}

/// The service cluster that the labels name, without surrounding blanks; `None` = the cluster for services without the
/// label. A misspelt label is treated as absent.
pub fn service_cluster_of(labels: &BTreeMap<String, String>) -> Option<&str> {
    labels.get("com.docker.lb.service_cluster").map(|value| value.trim()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests;
