//! How operator, extensions and proxies reach each other: over an overlay network of their own, or without any network at the
//! addresses of their nodes.

use crate::types::Port;

/// The kind of transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelMode {
    /// Over an overlay network, using names.
    Overlay {
        /// The name of the control network.
        network: String,
        /// Whether to create it encrypted; an existing network is used as it is.
        encrypted: bool,
        /// The base URL of the operator's channel on this network.
        operator_url: String,
    },
    /// At node addresses and published ports. Peers that move are found again by asking the operator, and the operator by
    /// trying all managers.
    Host {
        /// The port at which the operator's channel is published on its node, whichever manager that is.
        operator_port: Port,
    },
}

impl ChannelMode {
    /// Whether to create the control network encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Self::Overlay { encrypted: true, .. })
    }

    /// The control network, if there is one.
    pub fn network(&self) -> Option<&str> {
        if let Self::Overlay { network, .. } = self { Some(network) } else { None }
    }
}
