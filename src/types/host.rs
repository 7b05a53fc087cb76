//! Host names as routes use them: exact, or a wildcard of exactly one left-most label.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{InvalidValue, checked_string};

/// The host name of a route: `app.example.org` or `*.example.org`. Always lower case, at most 253 bytes; each label has
/// 1 to 63 letters, digits, `-` and `_` (Docker service names contain underscores), and does not begin or end with `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct HostPattern(String);
checked_string!(HostPattern);

impl HostPattern {
    /// Parses a host name in any case; a trailing dot (the root) is dropped.
    pub fn parse(value: &str) -> Result<Self, InvalidValue> {
        let name = value.strip_suffix('.').unwrap_or(value).to_ascii_lowercase();
        if name.is_empty() {
            return Err(InvalidValue("a host name must not be empty".to_owned()));
        }
        if name.len() > 253 {
            return Err(InvalidValue(format!("a host name must have at most 253 bytes, this one has {}", name.len())));
        }
        let labels = name.strip_prefix("*.").unwrap_or(&name);
        labels.split('.').try_for_each(check_label)?;
        Ok(Self(name))
    }

    /// The patterns that match the host name of a request, in order of precedence: the name itself, then the wildcard in
    /// place of its first label.
    pub fn matching(name: &str) -> impl Iterator<Item = Self> {
        let exact = Self::parse(name).ok().filter(|pattern| !pattern.is_wildcard());
        let rest = name.split_once('.').filter(|(first, _)| !first.is_empty()).map(|(_, rest)| rest);
        let wildcard = rest.and_then(|rest| Self::parse(&format!("*.{rest}")).ok());
        exact.into_iter().chain(wildcard)
    }

    /// Whether this is a wildcard (`*.example.org`).
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }
}

fn check_label(label: &str) -> Result<(), InvalidValue> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if label.is_empty() {
        return Err(InvalidValue("a host name must not have an empty part between its dots".to_owned()));
    }
    if label.len() > 63 {
        return Err(InvalidValue(format!("a part of a host name must have at most 63 bytes, this one has {}", label.len())));
    }
    if !label.bytes().all(allowed) {
        return Err(InvalidValue(
            "a host name may contain only letters, digits, '-', '_' and dots, without scheme, port or path; a wildcard begins with '*.'"
                .to_owned(),
        ));
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(InvalidValue("a part of a host name must not begin or end with '-'".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::HostPattern;

    fn check(name: &str, expected: &[&str]) {
        let fitting: Vec<_> = HostPattern::matching(name).map(String::from).collect();
        assert_eq!(fitting, expected, "{name}");
    }

    #[test]
    fn a_name_matches_itself_then_the_wildcard_of_one_label() {
        check("App.example.org", &["app.example.org", "*.example.org"]);
        check("app.example.org.", &["app.example.org", "*.example.org"]);
        check("localhost", &["localhost"]);
        check("*.example.org", &["*.example.org"]);
        check("-odd-.example.org", &["*.example.org"]);
        check("[::1]", &[]);
        check("", &[]);
    }
}
