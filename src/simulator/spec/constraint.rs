//! Placement constraints: `key==value` and `key!=value`, with Swarm's grammar and comparison.

use std::collections::BTreeMap;

use super::super::api_error::ApiError;
use crate::swarm::SwarmErrorKind;

/// One constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacementConstraint {
    key: String,
    value: String,
    equal: bool,
}

/// The attributes of a node that constraints can use.
pub struct ConstraintSubject<'a> {
    pub id: &'a str,
    pub hostname: &'a str,
    pub role: &'static str,
    pub labels: &'a BTreeMap<String, String>,
}

impl PlacementConstraint {
    /// Parses one constraint as Swarm does, which reports its syntax errors with status 500.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let refused = |m: String| ApiError::new(SwarmErrorKind::Invalid, format!("rpc error: code = Unknown desc = {m}"));
        let split = text.split_once("==").map(|(k, v)| (k, v, true)).or_else(|| text.split_once("!=").map(|(k, v)| (k, v, false)));
        let Some((key, value, equal)) = split else { return Err(refused("constraint expected one operator from ==, !=".to_owned())) };
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b)) {
            return Err(refused(format!("key '{key}' is invalid")));
        }
        if value.is_empty() || !value.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.*()?+[]\\^$|/ ".contains(&b)) {
            return Err(refused(format!("value '{value}' is invalid")));
        }
        Ok(Self { key: key.to_owned(), value: value.to_owned(), equal })
    }

    /// Whether a node satisfies it. Keys are case-sensitive, values are not; an unknown key matches nothing.
    pub fn holds(&self, node: &ConstraintSubject<'_>) -> bool {
        let found = match self.key.as_str() {
            "node.id" => node.id,
            "node.hostname" => node.hostname,
            "node.role" => node.role,
            "node.platform.os" => "linux",
            "node.platform.arch" => "x86_64",
            key => match key.strip_prefix("node.labels.") {
                Some(label) => node.labels.get(label).map_or("", String::as_str),
                None if key.starts_with("engine.labels.") => "",
                None => return false,
            },
        };
        found.eq_ignore_ascii_case(&self.value) == self.equal
    }
}
