//! Which hosts a cluster publishes, and for which services, as a document writes it (`spec.hosts`). Without it every service may
//! publish every host that no other stack has.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::formats;
use crate::types::NetworkName;

/// Which services may publish which hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostsSpec {
    /// The hosts that may be published. Each entry is a pattern (`*.dev.example.org` allows everything below it,
    /// `app-*.example.org` any characters in one label, `*` every host), or a mapping of `host`, `services` and `networks`, which
    /// allows the host only for services that match one of the patterns in `services` and are attached to one of `networks`. If
    /// omitted, every service may publish every host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<formats::HostRule>>")]
    pub allow: Option<Vec<HostRuleSpec>>,
    /// Patterns of the services that may answer for unpublished hosts. If omitted: every service if `allow` is omitted as well,
    /// otherwise the services that an entry allows for the host `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<formats::ServicePattern>>")]
    pub default_backend: Option<Vec<String>>,
    /// Whether services of other stacks may join a host that one stack published first, in any way: another path, a share of the
    /// requests, a redirect, its TLS, an exact name below a wildcard. `sameStack`: no. The stack that has the host keeps it; otherwise
    /// the stack whose service was created first gets it, and services that an entry of `allow` names take precedence. `allowed`: only
    /// services that an entry of `allow` with `services` or `networks` names for the host. `anyone`: every service, as with Interlock.
    /// Both sides get a finding in any case. Default: sameStack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
}

/// Which services may join a host of another stack.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Sharing {
    /// None.
    #[default]
    SameStack,
    /// Those that an entry of `allow` names for the host.
    Allowed,
    /// Every service.
    Anyone,
}

impl Sharing {
    /// As documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SameStack => "sameStack",
            Self::Allowed => "allowed",
            Self::Anyone => "anyone",
        }
    }
}

impl HostsSpec {
    /// Whether nothing is stated.
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }
}

/// One entry of `allow`. Its schema is [`formats::HostRule`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HostRuleSpec {
    /// For every service.
    Pattern(String),
    /// For some services.
    Limited(LimitedHost),
}

/// Hosts that only some services may publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitedHost {
    /// The pattern of the hosts.
    pub host: String,
    /// Patterns of the services' names; any if omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<String>>,
    /// Networks, to one of which the service must be attached; any if omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<Vec<NetworkName>>,
}
