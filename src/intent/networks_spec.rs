//! Which networks the proxies may be attached to, as a document writes it (`spec.networks`): a list of names, or a mapping.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::formats;
use crate::types::NetworkName;

/// The maximum number of networks in a closed list.
const NETWORKS_MAX: u32 = 1_000;

/// Which networks the proxies may be attached to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NetworksSpec {
    /// The same as [`NetworkRulesSpec::only`].
    Only(Vec<NetworkName>),
    /// Rules.
    Rules(NetworkRulesSpec),
}

/// The schema of the rules, or a list. An `anyOf` of both would report a mistake only as "neither fits".
impl JsonSchema for NetworksSpec {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Networks")
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = NetworkRulesSpec::json_schema(generator);
        schema.insert("type".to_owned(), json!(["array", "object"]));
        schema.insert("items".to_owned(), NetworkName::json_schema(generator).to_value());
        schema.insert("maxItems".to_owned(), json!(NETWORKS_MAX));
        schema
    }
}

/// Rules for networks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkRulesSpec {
    /// The only networks that the proxies are attached to, all from the start. If omitted, the networks of the routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = NETWORKS_MAX))]
    pub only: Option<Vec<NetworkName>>,
    /// The networks to prefer, in this order, for services that are on several and whose label com.docker.lb.network does not
    /// choose one. They need not exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub preferred: Vec<NetworkName>,
    /// Address ranges of clients, offices and VPNs, such as 10.8.0.0/16. The proxies are not attached to a network that overlaps one
    /// of them, because their responses to these clients would be sent into that network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<formats::AddressRange>", length(max = 256))]
    pub reserved: Vec<String>,
}
