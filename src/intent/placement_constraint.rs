//! Swarm's placement constraints and preferences. Swarm accepts constraints that can match no node (such as an unknown
//! key), and the tasks then wait forever; this grammar therefore accepts only what Swarm's scheduler evaluates.

use std::net::IpAddr;

use ipnet::IpNet;

use super::suggest::nearest;
use crate::types::InvalidValue;

/// The keys whose value is a single property of the node; label keys are handled separately.
const KEYS: [&str; 6] = ["node.id", "node.hostname", "node.role", "node.ip", "node.platform.os", "node.platform.arch"];
const LABEL_PREFIXES: [&str; 2] = ["node.labels.", "engine.labels."];

/// A placement constraint that Swarm accepts and that can match a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    key: String,
    operator: &'static str,
    value: String,
    /// Whether it was written with a single `=`, which Swarm itself rejects.
    pub single_equals: bool,
}

impl Constraint {
    /// Reads `key==value`, `key!=value`, or `key=value` as a form of the first; blanks around the parts are ignored.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let (key, operator, value, single_equals) = split(text)?;
        let constraint = Self { key: key.trim().to_owned(), operator, value: value.trim().to_owned(), single_equals };
        check_key(&constraint.key)?;
        check_value(&constraint.key, &constraint.value)?;
        Ok(constraint)
    }

    /// In Swarm's form: `key==value` or `key!=value`.
    pub fn to_swarm(&self) -> String {
        format!("{}{}{}", self.key, self.operator, self.value)
    }
}

/// Reads a placement preference: `node.labels.rack` or `spread=node.labels.rack`. Returns the label's key with its prefix.
pub fn parse_preference(text: &str) -> Result<String, InvalidValue> {
    let key = text.trim();
    let key = key.strip_prefix("spread=").unwrap_or(key).trim();
    let known = LABEL_PREFIXES.iter().any(|prefix| label_of(key, prefix).is_some_and(good_key));
    if known {
        Ok(key.to_owned())
    } else {
        Err(InvalidValue("a placement preference must name a label to spread over: node.labels.KEY or engine.labels.KEY".to_owned()))
    }
}

fn split(text: &str) -> Result<(&str, &'static str, &str, bool), InvalidValue> {
    // The leftmost operator is used: a value cannot contain one.
    let not_equal = text.find("!=");
    let equal = text.find('=');
    let (at, operator, len, single) = match (equal, not_equal) {
        (Some(equal), Some(not_equal)) if not_equal < equal => (not_equal, "!=", 2, false),
        (Some(equal), _) if text[equal..].starts_with("==") => (equal, "==", 2, false),
        (Some(equal), _) => (equal, "==", 1, true),
        (None, _) => return Err(InvalidValue("a constraint must have the form key==value or key!=value".to_owned())),
    };
    Ok((&text[..at], operator, &text[at + len..], single))
}

fn check_key(key: &str) -> Result<(), InvalidValue> {
    let known = KEYS.iter().any(|known| known.eq_ignore_ascii_case(key));
    if known || LABEL_PREFIXES.iter().any(|prefix| label_of(key, prefix).is_some_and(good_key)) {
        return Ok(());
    }
    let all = KEYS.iter().copied().chain(["node.labels.KEY", "engine.labels.KEY"]).collect::<Vec<_>>().join(", ");
    let suggestion = nearest(key, KEYS.iter().copied()).map(|known| format!(" (did you mean {known}?)")).unwrap_or_default();
    Err(InvalidValue(format!(
        "the key of a constraint must be one of {all}{suggestion}; Swarm accepts any other key, but then no node matches"
    )))
}

/// The label's key after `prefix`, which is compared without regard to case.
fn label_of<'a>(key: &'a str, prefix: &str) -> Option<&'a str> {
    let head = key.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &key[prefix.len()..])
}

fn good_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn check_value(key: &str, value: &str) -> Result<(), InvalidValue> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b":-_ .*()?+[]\\^$|/".contains(&b);
    if value.is_empty() || !value.bytes().all(allowed) {
        return Err(InvalidValue(
            "the value of a constraint must not be empty or contain '=', commas, quotes, '@' or other special characters".to_owned(),
        ));
    }
    let role = ["worker", "manager"].iter().any(|role| role.eq_ignore_ascii_case(value));
    if key.eq_ignore_ascii_case("node.role") && !role {
        return Err(InvalidValue("node.role must be worker or manager; no node matches any other value".to_owned()));
    }
    let address = value.parse::<IpAddr>().is_ok() || value.parse::<IpNet>().is_ok();
    if key.eq_ignore_ascii_case("node.ip") && !address {
        return Err(InvalidValue("node.ip must be compared with an address or a range such as 10.0.0.0/8".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swarm_form(text: &str) -> Result<(String, bool), String> {
        Constraint::parse(text).map(|constraint| (constraint.to_swarm(), constraint.single_equals)).map_err(|refused| refused.0)
    }

    #[test]
    fn constraints_are_converted_to_the_form_of_swarm() {
        for (text, expected, single) in [
            ("node.role==worker", "node.role==worker", false),
            (" node.labels.lb != dev ", "node.labels.lb!=dev", false),
            ("node.labels.lb=dev", "node.labels.lb==dev", true),
            ("node.ip==10.0.0.0/8", "node.ip==10.0.0.0/8", false),
            ("Node.Hostname==n1", "Node.Hostname==n1", false),
            ("engine.labels.com.example.x==a b", "engine.labels.com.example.x==a b", false),
        ] {
            assert_eq!(swarm_form(text), Ok((expected.to_owned(), single)), "{text}");
        }
    }

    #[test]
    fn constraints_that_match_no_node_are_rejected() {
        for (text, why) in [
            ("node.role", "key==value"),
            ("node.rol==worker", "did you mean node.role"),
            ("node.labels.==x", "must be one of"),
            ("node.label.lb==x", "must be one of"),
            ("node.role==boss", "worker or manager"),
            ("node.ip==somewhere", "address"),
            ("node.labels.lb==", "not be empty"),
            ("node.labels.lb==a=b", "not be empty"),
            ("node.labels.lb==a,b", "not be empty"),
            ("node.labels.lb===a", "not be empty"),
            ("==a", "must be one of"),
            ("é==a", "must be one of"),
        ] {
            let refused = swarm_form(text).expect_err(text);
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }

    #[test]
    fn a_placement_preference_must_name_a_label() {
        assert_eq!(parse_preference("spread=node.labels.rack").ok().as_deref(), Some("node.labels.rack"));
        assert_eq!(parse_preference("engine.labels.rack").ok().as_deref(), Some("engine.labels.rack"));
        assert!(parse_preference("node.hostname").is_err() && parse_preference("node.labels.").is_err());
    }
}
