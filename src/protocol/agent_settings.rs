//! The settings of an agent in addition to its engine's configuration. They travel as a file of the bundle, so that the
//! signature covers them, a boot snapshot contains them, and an agent of an earlier version ignores them. No I/O.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bundle::Bundle;

/// The name of the file in the bundle. The engine does not read it.
pub const AGENT_SETTINGS_FILE: &str = "agent.json";
/// The agent's default for [`AgentSettings::body_spool_max`].
pub const BODY_SPOOL_MAX: u64 = crate::route::BODY_SPOOL_MAX.0;

/// Limits that the agent enforces, because the engine has no directive for them. The agent chooses absent values; 0 means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_field_names, reason = "the names on the wire say that each is a maximum")]
pub struct AgentSettings {
    /// The maximum number of workers that finish connections of earlier configurations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retiring_workers_max: Option<u32>,
    /// The maximum memory of these workers together, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retiring_memory_max: Option<u64>,
    /// The maximum size of request bodies on the volume, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_spool_max: Option<u64>,
}

impl AgentSettings {
    /// The file's content; `None` if no setting is stated.
    pub fn to_file(self) -> Option<String> {
        // Three numbers: serialisation cannot fail.
        (self != Self::default()).then(|| serde_json::to_string(&self).unwrap_or_default() + "\n")
    }

    /// The settings in a bundle. Unreadable settings are treated as absent: the agent's defaults are safe.
    pub fn from_bundle(bundle: &Bundle) -> Self {
        let file = bundle.files.get(AGENT_SETTINGS_FILE);
        file.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::types::{ClusterName, Digest};

    fn read(file: Option<&str>) -> AgentSettings {
        let files: BTreeMap<_, _> = file.map(|text| (AGENT_SETTINGS_FILE.to_owned(), text.to_owned())).into_iter().collect();
        AgentSettings::from_bundle(&Bundle::new(ClusterName::parse("dev").unwrap(), Digest::of_bytes(b""), files))
    }

    #[test]
    fn written_settings_are_read_back_and_invalid_ones_are_ignored() {
        let bounds = AgentSettings { retiring_workers_max: Some(3), retiring_memory_max: None, body_spool_max: Some(0) };
        assert_eq!(read(bounds.to_file().as_deref()), bounds);
        assert_eq!(AgentSettings::default().to_file(), None);
        for odd in [None, Some(""), Some("[]"), Some("{\"retiringWorkersMax\": -1}")] {
            assert_eq!(read(odd), AgentSettings::default(), "{odd:?}");
        }
        assert_eq!(read(Some("{\"later\": 1, \"bodySpoolMax\": 5}")).body_spool_max, Some(5), "a later version knows more");
    }
}
