//! Which networks the proxies may be attached to, as it is meant. Only the document reader makes it.

use crate::types::{AddressRange, NetworkName};

/// Which networks the proxies may be attached to. By default those of the routes, as far as they do no harm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkRules {
    /// The closed list, if there is one; sorted, without duplicates.
    pub only: Option<Vec<NetworkName>>,
    /// Those to use first for a service that is on several and whose labels choose none, the best first.
    pub preferred: Vec<NetworkName>,
    /// Ranges that no attached network may overlap with: clients', offices', VPNs'.
    pub reserved: Vec<AddressRange>,
}

impl NetworkRules {
    /// All names of networks in it.
    pub fn names(&self) -> impl Iterator<Item = &NetworkName> {
        self.only.iter().flatten().chain(&self.preferred)
    }

    /// Whether the administrator has named the network.
    pub fn name(&self, network: &str) -> bool {
        self.names().any(|name| name.as_str() == network)
    }

    /// Whether the network is of the closed list.
    pub fn list(&self, network: &str) -> bool {
        self.only.iter().flatten().any(|name| name.as_str() == network)
    }

    /// The place of a network among the preferred ones; none if it is not one of them.
    pub fn preference(&self, network: &str) -> Option<usize> {
        self.preferred.iter().position(|name| name.as_str() == network)
    }
}
