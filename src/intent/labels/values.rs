//! The grammars of label values. Total: any text gives a value or the rule that it breaks.

use std::fmt;
use std::time::Duration;

use super::super::quantity::parse_duration;
use super::BackendMode;
use crate::types::{ContextPath, HostPattern, Port, Refused};

/// The name of a Docker secret: 1 to 64 of letters, digits, `-`, `_` and `.`, a letter or digit at both ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretName(String);

impl SecretName {
    /// Accepts what Docker accepts.
    pub fn parse(value: &str) -> Result<Self, Refused> {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
        if value.len() <= 64 && edge(value.bytes().next()) && edge(value.bytes().last()) && value.bytes().all(inner) {
            Ok(Self(value.to_owned()))
        } else {
            Err(Refused("a secret's name is 1 to 64 of letters, digits, '-', '_' and '.', with a letter or digit at both ends".to_owned()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a cookie: 1 to 128 of letters, digits, `-`, `_` and `.`. Narrower than HTTP allows, so that every engine
/// can name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CookieName(String);

impl CookieName {
    /// Accepts the names that applications use.
    pub fn parse(value: &str) -> Result<Self, Refused> {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if (1..=128).contains(&value.len()) && value.bytes().all(inner) {
            Ok(Self(value.to_owned()))
        } else {
            Err(Refused("a cookie's name is 1 to 128 of letters, digits, '-', '_' and '.'".to_owned()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Plain or TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// `http`.
    Http,
    /// `https`.
    Https,
}

/// `scheme://host[:port][/path]`, as redirects name sites. Displays in that form, without a `/` at the end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SiteUrl {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// The host.
    pub host: HostPattern,
    /// The port, if stated.
    pub port: Option<Port>,
    /// The path; the root when absent.
    pub path: ContextPath,
}

impl fmt::Display for SiteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.scheme == Scheme::Https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))?;
        if self.path.is_root() { Ok(()) } else { write!(f, "{}", self.path) }
    }
}

/// Requests to `source` are answered by a redirect to `target` with the same path and query.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Redirect {
    /// Where requests arrive.
    pub source: SiteUrl,
    /// Where they are sent; never a wildcard.
    pub target: SiteUrl,
}

/// Reads what people write for yes and no, in any case.
pub(super) fn boolean(value: &str) -> Result<bool, Refused> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Refused("this is true or false".to_owned())),
    }
}

/// Reads `backend_mode`; `default` is an old synonym of `task`.
pub(super) fn backend_mode(value: &str) -> Result<BackendMode, Refused> {
    match value.to_ascii_lowercase().as_str() {
        "task" | "default" => Ok(BackendMode::Task),
        "vip" => Ok(BackendMode::Vip),
        _ => Err(Refused("a backend mode is task or vip".to_owned())),
    }
}

/// Reads `ssl_backend_tls_verify`: whether certificates are checked.
pub(super) fn verification(value: &str) -> Result<bool, Refused> {
    match value.to_ascii_lowercase().as_str() {
        "required" | "require" => Ok(true),
        "none" | "optional" => Ok(false),
        other => boolean(other).map_err(|_| Refused("a verification mode is none or required".to_owned())),
    }
}

/// Reads a duration in nginx's manner: a bare number means seconds.
pub(super) fn fail_timeout(value: &str) -> Result<Duration, Refused> {
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        parse_duration(&format!("{value}s"))
    } else {
        parse_duration(value)
    }
}

/// Reads `max_fails`.
pub(super) fn max_fails(value: &str) -> Result<u32, Refused> {
    let digits = value.bytes().all(|b| b.is_ascii_digit());
    let number = value.parse::<u32>().ok().filter(|number| digits && *number <= 1_000_000);
    number.ok_or_else(|| Refused("a number of failures is a whole number, at most 1000000".to_owned()))
}

/// Reads one `source,target` pair.
pub(super) fn redirect(value: &str) -> Result<Redirect, Refused> {
    let (source, target) = value.split_once(',').ok_or_else(|| Refused("a redirect is a pair of URLs: source,target".to_owned()))?;
    let redirect = Redirect { source: site_url(source.trim())?, target: site_url(target.trim())? };
    if redirect.target.host.is_wildcard() {
        return Err(Refused("a redirect's target is one host, not a wildcard".to_owned()));
    }
    Ok(redirect)
}

fn site_url(value: &str) -> Result<SiteUrl, Refused> {
    let (scheme, rest) = value.split_once("://").ok_or_else(|| Refused("a URL begins with http:// or https://".to_owned()))?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return Err(Refused("a URL begins with http:// or https://".to_owned())),
    };
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(Port::parse(port)?)),
        None => (authority, None),
    };
    Ok(SiteUrl { scheme, host: HostPattern::parse(host)?, port, path: ContextPath::parse(path)? })
}
