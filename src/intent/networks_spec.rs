//! Which networks the proxies may be attached to, as a document writes it (`spec.networks`): a list of names, or a mapping.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::formats;
use crate::types::NetworkName;

/// So many networks a closed list names at most.
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

/// That of the rules, or a list. An `anyOf` of both would say of a mistake only that neither fits.
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
    /// The only networks that the proxies are attached to, all from the start. Absent: the networks of the routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = NETWORKS_MAX))]
    pub only: Option<Vec<NetworkName>>,
    /// The networks to use first, the best first, for services that are on several and whose label com.docker.lb.network
    /// chooses none. They need not exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub preferred: Vec<NetworkName>,
    /// Ranges of clients, offices and VPNs, such as 10.8.0.0/16: no network that overlaps with one of them is attached,
    /// because the proxies' answers to these clients would go into it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<formats::AddressRange>", length(max = 256))]
    pub reserved: Vec<String>,
}
