//! Which services may use which secrets and configs, as a document writes it (`spec.material`). Without it a service may use
//! its own objects and those whose label grants it; see `translate::reference_grants`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::formats;

/// Which services may use which secrets and configs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MaterialSpec {
    /// What services may use in addition to the objects of their own stack or access label, and to objects whose label
    /// `swarmgate.use-by` names them. Each entry is a pattern of names (`wildcard-*`: for every service), or a mapping of `name`,
    /// `services`, `stacks` and `accessLabels`: only for services that match every given field. `anyone`: every service may use
    /// every secret and config, as with Interlock. Swarmgate's own objects are never granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::MaterialAllow>")]
    pub allow: Option<AllowSpec>,
}

impl MaterialSpec {
    /// Whether nothing is stated.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// `allow`. Its schema is [`formats::MaterialAllow`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AllowSpec {
    /// The word [`formats::ANYONE`].
    Word(String),
    /// Rules.
    Rules(Vec<MaterialRuleSpec>),
}

/// One entry of `allow`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MaterialRuleSpec {
    /// For every service.
    Pattern(String),
    /// For some services.
    Limited(LimitedMaterial),
}

/// Objects that only some services may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitedMaterial {
    /// The pattern of the objects' full names.
    pub name: String,
    /// Patterns of the services' names; any if omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<String>>,
    /// Patterns of the services' stacks; any stack or no stack if omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stacks: Option<Vec<String>>,
    /// Access labels, one of which the service must have; any label or no label if omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_labels: Option<Vec<String>>,
}
