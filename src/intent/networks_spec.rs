//! Which networks the proxies may be attached to, as a document writes it (`spec.networks`): a list of names, or a mapping.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grammar;
use crate::types::NetworkName;

/// Which networks the proxies may be attached to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(with = "grammar::Networks")]
pub enum NetworksSpec {
    /// The same as [`NetworkRulesSpec::only`].
    Only(Vec<NetworkName>),
    /// Rules.
    Rules(NetworkRulesSpec),
}

/// Rules for networks. Their schema is [`grammar::Networks`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkRulesSpec {
    /// The only networks, all attached from the start; absent: the networks of the routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<NetworkName>>,
    /// Those to use first for a service that is on several and whose labels choose none, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preferred: Vec<NetworkName>,
    /// Ranges that no attached network may overlap with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reserved: Vec<String>,
}
