//! The environment of our configurations: directories, ports and name server of the container that runs the engine.

use std::net::{Ipv4Addr, SocketAddr};

use crate::protocol::container_contract;

/// Directories, ports and name server. Static text only: none of it comes from labels or documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The directory for everything that the engine writes; exists before the engine starts.
    pub run_dir: &'static str,
    /// The loopback port that reports whether the engine serves.
    pub status_port: u16,
    /// The resolver of service names: the agent, which queries Docker's own name server.
    pub resolver: SocketAddr,
    /// The system's root certificates, against which applications' certificates are checked when a service asks for it.
    pub system_roots: &'static str,
    /// Where secrets and configs are mounted, each under its id.
    pub material_dir: &'static str,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            run_dir: container_contract::RUN_DIR,
            status_port: container_contract::ENGINE_STATUS_PORT,
            resolver: SocketAddr::from((Ipv4Addr::LOCALHOST, container_contract::AGENT_NAMES_PORT)),
            system_roots: container_contract::SYSTEM_ROOTS,
            material_dir: container_contract::MATERIAL_DIR,
        }
    }
}
