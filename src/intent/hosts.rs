//! Which hosts a cluster publishes, and for whom, as it is meant. Only the document reader makes it.

use std::fmt;

use super::hosts_spec::Sharing;
use crate::types::{HostGlob, NetworkName, ServiceGlob};

/// Who may publish which hosts. By default everybody everything that no other stack has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostRules {
    /// What is admitted; absent: everything.
    pub allow: Option<Vec<HostRule>>,
    /// The services that may be the default backend; absent: see [`HostRules::allow`].
    pub default_backend: Option<Vec<ServiceGlob>>,
    /// Whether services of another stack may join a host.
    pub sharing: Sharing,
}

/// Hosts, and who may publish them. Displays as an administrator would say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRule {
    /// The hosts.
    pub host: HostGlob,
    /// The services; absent: any.
    pub services: Option<Vec<ServiceGlob>>,
    /// The networks of which the service is attached to one; absent: any.
    pub networks: Option<Vec<NetworkName>>,
}

impl HostRule {
    /// Whether it is for some services only, so that it names them for its hosts.
    pub fn names_services(&self) -> bool {
        self.services.is_some() || self.networks.is_some()
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host)?;
        if let Some(services) = &self.services {
            write!(f, " for services {}", listed(services))?;
        }
        match &self.networks {
            Some(networks) => write!(f, " on networks {}", listed(networks)),
            None => Ok(()),
        }
    }
}

/// `a, b`.
pub fn listed<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
