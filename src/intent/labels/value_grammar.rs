//! The grammars of label values. Total: any text produces a value or the rule that it breaks.

use std::time::Duration;

use super::super::quantity::parse_duration;
use super::{BackendMode, BackendProtocol, Verification};
use crate::types::{InvalidValue, ObjectName, SiteUrl};

/// Requests to `source` are redirected to `target` with the same path and query.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RedirectLabel {
    /// The source of requests.
    pub source: SiteUrl,
    /// The target; never a wildcard.
    pub target: SiteUrl,
}

/// Reads common words for yes and no, in any case.
pub(super) fn boolean(value: &str) -> Result<bool, InvalidValue> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(InvalidValue("the value must be true or false".to_owned())),
    }
}

/// Reads `backend_mode`; `default` is an older synonym of `task`.
pub(super) fn backend_mode(value: &str) -> Result<BackendMode, InvalidValue> {
    match value.to_ascii_lowercase().as_str() {
        "task" | "default" => Ok(BackendMode::Task),
        "vip" => Ok(BackendMode::Vip),
        _ => Err(InvalidValue("the backend mode must be task or vip".to_owned())),
    }
}

/// Reads `ssl_backend_tls_verify`: no check, a check against the system's roots, or a check against the roots in the secret
/// or config of that name.
pub(super) fn verification(value: &str) -> Result<Verification, InvalidValue> {
    match value.to_ascii_lowercase().as_str() {
        "required" | "require" | "system" => Ok(Verification::System),
        "none" | "optional" => Ok(Verification::Off),
        other => match boolean(other) {
            Ok(true) => Ok(Verification::System),
            Ok(false) => Ok(Verification::Off),
            Err(_) => ObjectName::parse(value).map(Verification::Authority).map_err(|_| {
                InvalidValue(
                    "the verification mode must be none, required, or the name of a secret or config with CA certificates".to_owned(),
                )
            }),
        },
    }
}

/// Reads `backend_protocol`; `h2c` and `grpc` are the same to a proxy.
pub(super) fn backend_protocol(value: &str) -> Result<BackendProtocol, InvalidValue> {
    match value.to_ascii_lowercase().as_str() {
        "http" | "http1" | "http/1.1" => Ok(BackendProtocol::Http),
        "https" => Ok(BackendProtocol::Https),
        "h2c" | "grpc" => Ok(BackendProtocol::Grpc),
        "grpcs" | "h2" => Ok(BackendProtocol::Grpcs),
        _ => Err(InvalidValue("the backend protocol must be http, https, h2c, grpc or grpcs".to_owned())),
    }
}

/// Reads `weight`.
pub(super) fn weight(value: &str) -> Result<u8, InvalidValue> {
    let digits = value.bytes().all(|b| b.is_ascii_digit());
    let number = value.parse::<u8>().ok().filter(|number| digits && *number <= 100);
    number.ok_or_else(|| InvalidValue("the weight must be a whole number from 0 to 100".to_owned()))
}

/// Reads a duration in nginx's notation: a bare number means seconds.
pub(super) fn fail_timeout(value: &str) -> Result<Duration, InvalidValue> {
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        parse_duration(&format!("{value}s"))
    } else {
        parse_duration(value)
    }
}

/// Reads `max_fails`.
pub(super) fn max_fails(value: &str) -> Result<u32, InvalidValue> {
    let digits = value.bytes().all(|b| b.is_ascii_digit());
    let number = value.parse::<u32>().ok().filter(|number| digits && *number <= 1_000_000);
    number.ok_or_else(|| InvalidValue("the number of failures must be a whole number, at most 1000000".to_owned()))
}

/// Reads one `source,target` pair.
pub(super) fn redirect(value: &str) -> Result<RedirectLabel, InvalidValue> {
    let (source, target) =
        value.split_once(',').ok_or_else(|| InvalidValue("a redirect must be a pair of URLs: source,target".to_owned()))?;
    let redirect = RedirectLabel { source: SiteUrl::parse(source.trim())?, target: SiteUrl::parse(target.trim())? };
    if redirect.target.host.is_wildcard() {
        return Err(InvalidValue("the target of a redirect must be one host, not a wildcard".to_owned()));
    }
    Ok(redirect)
}
