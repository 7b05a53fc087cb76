//! What one service asks for by its `com.docker.lb.*` labels, as checked values.

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
    /// `network`, as written.
    pub network: Option<String>,
    /// `context_root`; the whole site when absent.
    pub context_root: ContextPath,
    /// `context_root_rewrite`.
    pub context_root_rewrite: bool,
    /// `default_backend`.
    pub default_backend: bool,
    /// `backend_mode`.
    pub backend_mode: BackendMode,
}

/// Which addresses become endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendMode {
    /// Those of the running tasks.
    Task,
    /// The service's virtual IP.
    Vip,
}
