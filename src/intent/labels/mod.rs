//! What one service asks for by its `com.docker.lb.*` labels, as checked values. Nothing of a label's text goes further
//! than this room unless its type says that it is safe to write into an engine's configuration.

mod reading;
mod table;
mod values;

use std::collections::BTreeMap;
use std::time::Duration;

pub use reading::{LabelReading, ReadLabels, read_labels};
pub use table::{LABELS, LabelEffect, LabelInfo};
pub use values::{CookieName, Redirect, Scheme, SecretName, SiteUrl};

use crate::types::{ContextPath, HostPattern, Port};

/// The prefix of all labels that are read.
pub const PREFIX: &str = "com.docker.lb.";

/// What one service asks for. Made only by the label reader, which turns everything it cannot use into findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceLabels {
    /// `hosts`: never with duplicates, in the order written. Empty only with `default_backend`.
    pub hosts: Vec<HostPattern>,
    /// `port`: the container port (the target port of a host-mode publication).
    pub port: Port,
    /// `network`, as written; always a name that a network can have.
    pub network: Option<String>,
    /// `context_root`; the whole site when absent.
    pub context_root: ContextPath,
    /// `context_root_rewrite`.
    pub context_root_rewrite: bool,
    /// `default_backend`.
    pub default_backend: bool,
    /// `backend_mode`.
    pub backend_mode: BackendMode,
    /// `ssl_cert`, `ssl_key`, `ssl_only`.
    pub tls: TlsLabels,
    /// `ssl_backend`, `ssl_backend_tls_verify`.
    pub backend_tls: BackendTls,
    /// `redirects`, in the order written; every source is one of `hosts`.
    pub redirects: Vec<Redirect>,
    /// `websocket_endpoints`, in the order written, without duplicates.
    pub websocket_endpoints: Vec<ContextPath>,
    /// `sticky_session_cookie`, `ip_hash`.
    pub affinity: Affinity,
    /// `max_fails`.
    pub max_fails: Option<u32>,
    /// `fail_timeout`.
    pub fail_timeout: Option<Duration>,
}

/// Which addresses become endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendMode {
    /// Those of the running tasks.
    Task,
    /// The service's virtual IP.
    Vip,
}

/// TLS towards clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsLabels {
    /// The secret with the certificate.
    pub certificate: Option<SecretName>,
    /// The secret with the private key; absent when the certificate's secret holds both.
    pub key: Option<SecretName>,
    /// Whether plain HTTP is answered by a redirect to HTTPS.
    pub only: bool,
}

/// TLS towards the application.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BackendTls {
    /// Plain HTTP.
    #[default]
    Off,
    /// TLS; any certificate will do.
    Unverified,
    /// TLS; the certificate must be valid.
    Verified,
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

/// The service cluster that the labels name, without surrounding blanks; `None` = the cluster for services without
/// the label. A misspelt label counts as absent.
pub fn service_cluster_of(labels: &BTreeMap<String, String>) -> Option<&str> {
    labels.get("com.docker.lb.service_cluster").map(|value| value.trim()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests;
