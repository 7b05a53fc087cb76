//! Sites as targets of redirects: a scheme, a host, optionally a port and a path. Never a query, a fragment or a user.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ContextPath, HostPattern, InvalidValue, Port};

/// Plain or TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// `http`.
    Http,
    /// `https`.
    Https,
}

impl Scheme {
    /// The scheme as written in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// `scheme://host[:port][/path]`. Displays in that form, without a `/` at the end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SiteUrl {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// The host.
    pub host: HostPattern,
    /// The port, if stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// The path; the root when absent.
    pub path: ContextPath,
}

impl fmt::Display for SiteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))?;
        if self.path.is_root() { Ok(()) } else { write!(f, "{}", self.path) }
    }
}

impl SiteUrl {
    /// Parses a URL of that form.
    pub fn parse(value: &str) -> Result<Self, InvalidValue> {
        let scheme_refused = || InvalidValue("a URL must begin with http:// or https://".to_owned());
        let (scheme, rest) = value.split_once("://").ok_or_else(scheme_refused)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(scheme_refused()),
        };
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(Port::parse(port)?)),
            None => (authority, None),
        };
        Ok(Self { scheme, host: HostPattern::parse(host)?, port, path: ContextPath::parse(path)? })
    }
}
