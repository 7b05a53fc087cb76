//! The contents of secret files on their way to a proxy. Neither `Debug` nor an error may show them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Contents of secret files, by file name. Never shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(rename = "Contents")]
pub struct SecretFiles(pub BTreeMap<String, String>);

/// Errors of the JSON library quote their input, which would be a key here.
impl<'de> Deserialize<'de> for SecretFiles {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let silent = |_| serde::de::Error::custom("the contents of secret files are malformed");
        BTreeMap::deserialize(deserializer).map(Self).map_err(silent)
    }
}

impl std::fmt::Debug for SecretFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_contents_are_not_quoted() {
        for damaged in ["\"the key itself\"", "[\"the key itself\"]", "{\"a\": [\"the key itself\"]}"] {
            let error = serde_json::from_str::<SecretFiles>(damaged).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("the key itself"), "{error}");
        }
        let good = serde_json::from_str::<SecretFiles>("{\"a\": \"b\"}").unwrap();
        assert_eq!(good.0["a"], "b");
    }
}
