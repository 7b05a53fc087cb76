//! Which hosts a cluster publishes, and for whom, as a document writes it (`spec.hosts`). Without it everybody may publish
//! every host that nobody else has.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::formats;
use crate::types::NetworkName;

/// Who may publish which hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostsSpec {
    /// The hosts that may be published. Each entry is a pattern (`*.dev.example.org` admits everything below, `app-*.example.org`
    /// any characters in one label, `*` every host), or a mapping of `host`, `services` and `networks`: then only services
    /// that fit one of the patterns `services` and are attached to one of `networks`. Absent: every host, by everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<formats::HostRule>>")]
    pub allow: Option<Vec<HostRuleSpec>>,
    /// Patterns of the services that may answer for hosts that nobody published. Absent: everybody without `allow`, else
    /// those that an entry admits for the host `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<formats::ServicePattern>>")]
    pub default_backend: Option<Vec<String>>,
    /// Whether a host that services of one stack published first may be joined by services of another one, in any way: another
    /// path, a share of the requests, a redirect, its TLS, an exact name below a wildcard. `sameStack`: no; the stack
    /// that has it keeps it, else the one whose service was created first gets it, services that an entry of `allow` names before all others.
    /// `allowed`: by those that an entry of `allow` with `services` or `networks` names for the host. `anyone`: by everybody,
    /// as with Interlock. Both sides are told in any case. Absent: sameStack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
}

/// Who may join a host of another stack.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Sharing {
    /// Nobody.
    #[default]
    SameStack,
    /// Whom an entry of `allow` names for the host.
    Allowed,
    /// Everybody.
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
    /// For everybody.
    Pattern(String),
    /// For some.
    Limited(LimitedHost),
}

/// Hosts that only some services may publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitedHost {
    /// The pattern of the hosts.
    pub host: String,
    /// Patterns of the services' names; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<String>>,
    /// Networks of which the service is attached to one; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<Vec<NetworkName>>,
}
