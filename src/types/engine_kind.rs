//! The proxy engine of a service cluster: one name for it in document, route table, environment, bundle and status. Each
//! engine is one row here. Must never know more of an engine than every process needs: its syntax belongs to `render`.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The proxy engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(rename = "Engine", rename_all = "lowercase")]
pub enum EngineKind {
    /// nginx, 1.27.4 or newer for `rollout: live`.
    #[default]
    Nginx,
}

/// What every process knows about an engine.
struct Row {
    name: &'static str,
    main_file: &'static str,
    stock_config_path: &'static str,
}

const NGINX: Row = Row { name: "nginx", main_file: "nginx.conf", stock_config_path: "/etc/nginx/nginx.conf" };

impl EngineKind {
    /// Every engine.
    pub const ALL: [Self; 1] = [Self::Nginx];

    const fn row(self) -> &'static Row {
        match self {
            Self::Nginx => &NGINX,
        }
    }

    /// Its name in documents and messages.
    pub const fn as_str(self) -> &'static str {
        self.row().name
    }

    /// The file of a bundle with which the engine is started.
    pub const fn main_file(self) -> &'static str {
        self.row().main_file
    }

    /// Where stock images of the engine expect their configuration.
    pub const fn stock_config_path(self) -> &'static str {
        self.row().stock_config_path
    }

    /// Whether this is the engine of messages and containers that name none. They predate the field, and naming it would
    /// change every digest and replace every proxy for nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An engine that this version does not support.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown engine {name:?}; this version supports {}", known())]
pub struct UnknownEngine {
    name: String,
}

fn known() -> String {
    EngineKind::ALL.map(EngineKind::as_str).join(", ")
}

impl FromStr for EngineKind {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<Self, UnknownEngine> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        found.ok_or_else(|| UnknownEngine { name: super::excerpt(name, 100) })
    }
}

impl Serialize for EngineKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EngineKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::EngineKind;

    #[test]
    fn every_engine_is_read_by_its_name() {
        for kind in EngineKind::ALL {
            assert_eq!(serde_json::from_value::<EngineKind>(serde_json::json!(kind)).unwrap(), kind);
        }
    }

    #[test]
    fn an_unknown_engine_is_refused_with_the_known_names() {
        let error = serde_json::from_str::<EngineKind>("\"haproxy\"").unwrap_err().to_string();
        assert!(error.contains("unknown engine \"haproxy\"; this version supports nginx"), "{error}");
        assert!("Nginx".parse::<EngineKind>().is_err(), "names are lower case");
    }
}
