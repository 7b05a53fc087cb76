//! The checked rules on which hosts a cluster publishes, and for which services. Created only by the document reader.

use std::fmt;

use super::hosts_spec::Sharing;
use crate::types::{HostGlob, NetworkName, ServiceGlob};

/// Which services may publish which hosts. By default every service may publish every host that no other stack has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostRules {
    /// The admitted hosts; `None`: all.
    pub allow: Option<Vec<HostRule>>,
    /// The services that may be the default backend; `None`: see [`HostRules::allow`].
    pub default_backend: Option<Vec<ServiceGlob>>,
    /// Whether services of another stack may join a host.
    pub sharing: Sharing,
}

/// Hosts, and the services that may publish them. Displays in the administrator's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRule {
    /// The hosts.
    pub host: HostGlob,
    /// The services; `None`: any.
    pub services: Option<Vec<ServiceGlob>>,
    /// Networks, of which the service must be attached to one; `None`: any.
    pub networks: Option<Vec<NetworkName>>,
}

impl HostRule {
    /// Whether it applies to certain services only, and so names them for its hosts.
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
