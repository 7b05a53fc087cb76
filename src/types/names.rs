//! Names and ids of Swarm objects.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{InvalidValue, checked_string};

/// Defines an opaque id from Swarm: never interpreted, only compared.
macro_rules! swarm_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub String);
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

swarm_id!(
    /// The id of a service.
    ServiceId
);
swarm_id!(
    /// The id of a task.
    TaskId
);
swarm_id!(
    /// The id of a node.
    NodeId
);
swarm_id!(
    /// The id of a network.
    NetworkId
);
swarm_id!(
    /// The id of a config object.
    ConfigId
);
swarm_id!(
    /// The id of a secret.
    SecretId
);

/// The name of a service cluster: a DNS label of at most 40 characters, so that every object name that is derived
/// from it fits Swarm's limits (63 for services, 64 for configs and secrets).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"))]
pub struct ClusterName(String);
checked_string!(ClusterName);

impl ClusterName {
    /// Accepts lower-case letters, digits and `-` inside, 1 to 40 of them.
    pub fn parse(value: &str) -> Result<Self, InvalidValue> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let edge_ok = !value.starts_with('-') && !value.ends_with('-');
        if (1..=40).contains(&value.len()) && edge_ok && value.bytes().all(inner) {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidValue("a cluster name must be 1 to 40 lower-case letters, digits and '-', without '-' at either end".to_owned()))
        }
    }
}

/// The name of a Swarm service: 1 to 63 letters, digits, `-` and `_`, alphanumeric at both ends (Swarm's own rule).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[a-zA-Z0-9]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9])?$"))]
pub struct ServiceName(String);
checked_string!(ServiceName);

impl ServiceName {
    /// Accepts what Swarm accepts.
    pub fn parse(value: &str) -> Result<Self, InvalidValue> {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
        let ends_ok = edge(value.bytes().next()) && edge(value.bytes().last());
        if value.len() <= 63 && ends_ok && value.bytes().all(inner) {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidValue("a service name must be 1 to 63 letters, digits, '-' and '_', with a letter or digit at both ends".to_owned()))
        }
    }
}

/// The name of a network, as Docker shows it (with the stack's prefix).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[a-zA-Z0-9][a-zA-Z0-9_.-]*$"))]
pub struct NetworkName(String);
checked_string!(NetworkName);

impl NetworkName {
    /// Accepts what Docker accepts: a letter or digit, then letters, digits, `_`, `.` and `-`.
    pub fn parse(value: &str) -> Result<Self, InvalidValue> {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        let first_ok = value.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if first_ok && value.bytes().all(inner) {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidValue(
                "a network name must begin with a letter or digit and may contain only letters, digits, '_', '.' and '-'".to_owned(),
            ))
        }
    }
}

/// The name of a Docker secret or config: 1 to 64 letters, digits, `-`, `_` and `.`, a letter or digit at both ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,62}[a-zA-Z0-9])?$"))]
pub struct ObjectName(String);
checked_string!(ObjectName);

impl ObjectName {
    /// Accepts what Docker accepts.
    pub fn parse(value: &str) -> Result<Self, InvalidValue> {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
        if value.len() <= 64 && edge(value.bytes().next()) && edge(value.bytes().last()) && value.bytes().all(inner) {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidValue(
                "the name of a secret or config must be 1 to 64 letters, digits, '-', '_' and '.', with a letter or digit at both ends"
                    .to_owned(),
            ))
        }
    }
}

/// The name of a cookie: 1 to 128 letters, digits, `-`, `_` and `.`. Narrower than HTTP allows, so that every engine
/// can name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[a-zA-Z0-9_.-]{1,128}$"))]
pub struct CookieName(String);
checked_string!(CookieName);

impl CookieName {
    /// Accepts the names that applications use.
    pub fn parse(value: &str) -> Result<Self, InvalidValue> {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if (1..=128).contains(&value.len()) && value.bytes().all(inner) {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidValue("a cookie name must be 1 to 128 letters, digits, '-', '_' and '.'".to_owned()))
        }
    }
}
