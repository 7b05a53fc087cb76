//! The keys by which routes are found, listed and compared: a host or the default backend, and a path on it. The table, its
//! reports and findings share this one form, so that no code compares texts.
//!
//! It must never know what happens to the requests: a host can have a route, a redirect and passed-through TLS at one key.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ContextPath, HostPattern, InvalidValue};

/// The name of the default backend where a host is expected. No host name has parentheses.
const DEFAULT_BACKEND: &str = "(default)";

/// A published host, or the default backend, which answers for all others. Shown and serialised as `app.example.org` or
/// `(default)`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum HostKey {
    /// The default backend.
    DefaultBackend,
    /// A host.
    Host(HostPattern),
}

impl HostKey {
    /// Parses what [`HostKey::as_str`] returns.
    pub fn parse(value: &str) -> Result<Self, InvalidValue> {
        if value == DEFAULT_BACKEND { Ok(Self::DefaultBackend) } else { HostPattern::parse(value).map(Self::Host) }
    }

    /// The key as it is shown.
    pub fn as_str(&self) -> &str {
        self.pattern().map_or(DEFAULT_BACKEND, HostPattern::as_str)
    }

    /// The host, unless this is the default backend.
    pub fn pattern(&self) -> Option<&HostPattern> {
        match self {
            Self::DefaultBackend => None,
            Self::Host(host) => Some(host),
        }
    }

    /// Whether this is that host.
    pub fn is(&self, host: &HostPattern) -> bool {
        self.pattern() == Some(host)
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&HostPattern> for HostKey {
    fn from(host: &HostPattern) -> Self {
        Self::Host(host.clone())
    }
}

impl TryFrom<String> for HostKey {
    type Error = InvalidValue;

    fn try_from(value: String) -> Result<Self, Self::Error> {
        Self::parse(&value)
    }
}

impl From<HostKey> for String {
    fn from(key: HostKey) -> Self {
        match key {
            HostKey::DefaultBackend => DEFAULT_BACKEND.to_owned(),
            HostKey::Host(host) => host.into(),
        }
    }
}

/// A path on a host, or on the default backend, which only has the whole site. Shown as `app.example.org/path`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteKey {
    /// The host, or the default backend.
    pub host: HostKey,
    /// The path.
    pub path: ContextPath,
}

impl RouteKey {
    /// A path on a host.
    pub fn new(host: &HostPattern, path: &ContextPath) -> Self {
        Self { host: host.into(), path: path.clone() }
    }

    /// The whole site of a host.
    pub fn site(host: &HostPattern) -> Self {
        Self { host: host.into(), path: ContextPath::root() }
    }

    /// The default backend.
    pub fn default_backend() -> Self {
        Self { host: HostKey::DefaultBackend, path: ContextPath::root() }
    }
}

impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.host, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_parses_its_displayed_form() {
        for text in ["(default)", "app.example.org", "*.example.org"] {
            let key = HostKey::parse(text).unwrap();
            assert_eq!((key.to_string().as_str(), serde_json::to_value(&key).unwrap()), (text, text.into()));
            assert_eq!(serde_json::from_value::<HostKey>(text.into()).unwrap(), key);
        }
        assert!(HostKey::parse("(other)").is_err() && HostKey::parse("").is_err());
    }

    #[test]
    fn the_default_backend_comes_first_and_paths_follow_their_host() {
        let host = |name| HostPattern::parse(name).unwrap();
        let path = ContextPath::parse("/a").unwrap();
        let keys = [
            RouteKey::default_backend(),
            RouteKey::site(&host("a.test")),
            RouteKey::new(&host("a.test"), &path),
            RouteKey::site(&host("b.test")),
        ];
        assert!(keys.is_sorted());
        assert_eq!(keys.map(|key| key.to_string()), ["(default)/", "a.test/", "a.test/a", "b.test/"]);
    }
}
