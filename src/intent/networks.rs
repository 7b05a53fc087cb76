//! The checked rules on which networks the proxies may be attached to. Created only by the document reader.

use crate::types::{AddressRange, NetworkName};

/// Which networks the proxies may be attached to. By default those of the routes, unless they cause harm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkRules {
    /// The closed list, if there is one; sorted, without duplicates.
    pub only: Option<Vec<NetworkName>>,
    /// Preferred networks for a service that is on several and whose labels choose none; the best first.
    pub preferred: Vec<NetworkName>,
    /// Ranges that no attached network may overlap: those of clients, offices, VPNs.
    pub reserved: Vec<AddressRange>,
}

impl NetworkRules {
    /// All network names in it.
    pub fn names(&self) -> impl Iterator<Item = &NetworkName> {
        self.only.iter().flatten().chain(&self.preferred)
    }

    /// Whether the administrator named the network.
    pub fn name(&self, network: &str) -> bool {
        self.names().any(|name| name.as_str() == network)
    }

    /// Whether the network is in the closed list.
    pub fn list(&self, network: &str) -> bool {
        self.only.iter().flatten().any(|name| name.as_str() == network)
    }

    /// The rank of a network among the preferred ones; `None` if it is not one of them.
    pub fn preference(&self, network: &str) -> Option<usize> {
        self.preferred.iter().position(|name| name.as_str() == network)
    }
}
