//! Where a configuration of ours lives: directories, ports and name server of the container that runs it.

use std::net::{Ipv4Addr, SocketAddr};

use crate::protocol::container_contract;

/// Directories, ports and name server. Static text only: nothing of it comes from labels or documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The directory for everything that the engine writes; exists before the engine starts.
    pub run_dir: &'static str,
    /// The port on the loopback that tells whether the engine serves.
    pub status_port: u16,
    /// Who resolves service names: the agent, which asks Docker's own name server.
    pub resolver: SocketAddr,
    /// The root certificates of the system, against which applications' certificates are checked when asked.
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
