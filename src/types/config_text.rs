//! Texts of an administrator that are one argument in an engine's configuration: where logs go, their format, which ciphers
//! are used.

use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config_line::{ConfigToken, parts};
use super::{InvalidValue, checked_string};

/// Engines limit the length of an argument to 4 KiB, and every character may need an escape character.
const ARGUMENT_BYTES_MAX: usize = 2000;

/// Where a log goes: the absolute path of a file (`/dev/stdout`), or `syslog:server=…` with its parameters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct LogTarget(String);
checked_string!(LogTarget);

impl LogTarget {
    /// Accepts plain paths and syslog servers.
    pub fn parse(value: &str) -> Result<Self, InvalidValue> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
        let of_syslog = |b: u8| allowed(b) || b":=,[]".contains(&b);
        let fine = match value.strip_prefix("syslog:") {
            Some(server) => server.starts_with("server=") && server.bytes().all(of_syslog),
            None => value.starts_with('/') && !value.ends_with('/') && !value.contains("/../") && value.bytes().all(allowed),
        };
        if fine && value.len() <= ARGUMENT_BYTES_MAX {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidValue("a log target must be the absolute path of a file, or syslog:server=ADDRESS".to_owned()))
        }
    }

    /// The address of the syslog server, if it is an IP address.
    pub fn server(&self) -> Option<IpAddr> {
        let server = self.0.strip_prefix("syslog:server=")?.split(',').next()?;
        let bare = server.strip_prefix('[').and_then(|server| server.strip_suffix(']')).unwrap_or(server);
        bare.parse().ok().or_else(|| server.parse::<SocketAddr>().ok().map(|address| address.ip()))
    }
}

/// The format of a line of the access log: text with `$variables`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct LogFormat(String);
checked_string!(LogFormat);

impl LogFormat {
    /// Parses the text as it is, or as several strings in single quotes, with or without a `;` after them, as in the files
    /// of engines (and of Interlock).
    pub fn parse(value: &str) -> Result<Self, InvalidValue> {
        let value = value.trim();
        let format = if value.starts_with('\'') { of_strings(value)? } else { on_one_line(value) };
        if format.is_empty() || format.len() > ARGUMENT_BYTES_MAX {
            return Err(InvalidValue(format!("a log format must have 1 to {ARGUMENT_BYTES_MAX} bytes")));
        }
        if format.chars().any(|c| c.is_control() && c != '\t') {
            return Err(InvalidValue("a log format must not contain control characters".to_owned()));
        }
        let names = |next: Option<char>| next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == '{');
        if format.match_indices('$').all(|(at, _)| names(format[at + 1..].chars().next())) {
            Ok(Self(format))
        } else {
            Err(InvalidValue("a $ in a log format must begin the name of a variable".to_owned()))
        }
    }
}

/// `'a ' 'b';` becomes `a b`.
fn of_strings(value: &str) -> Result<String, InvalidValue> {
    let mut parts = parts(value)?;
    if parts.last() == Some(&ConfigToken::End) {
        parts.pop();
    }
    let rule = || InvalidValue("a log format in single quotes must contain only strings in single quotes".to_owned());
    let text = |part| match part {
        ConfigToken::Word { text, quote: Some('\'') } => Ok(text),
        _ => Err(rule()),
    };
    parts.into_iter().map(text).collect()
}

/// Replaces line breaks, and the blanks around them, by one blank: a log has one line for each request.
fn on_one_line(value: &str) -> String {
    value.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// TLS ciphers in OpenSSL's syntax: `ECDHE+AESGCM:!aNULL`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct TlsCiphers(String);
checked_string!(TlsCiphers);

impl TlsCiphers {
    /// Accepts the characters of such lists; only the engine knows whether the names exist.
    pub fn parse(value: &str) -> Result<Self, InvalidValue> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+-!@=:_., ".contains(&b);
        if !value.trim().is_empty() && value.len() <= ARGUMENT_BYTES_MAX && value.bytes().all(allowed) {
            Ok(Self(value.trim().to_owned()))
        } else {
            Err(InvalidValue("ciphers must be names that OpenSSL knows, separated by colons".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: &str, expected: Option<&str>) {
        assert_eq!(LogFormat::parse(format).ok().as_ref().map(LogFormat::as_str), expected, "{format}");
    }

    #[test]
    fn a_log_format_is_read_as_written_in_every_kind_of_file() {
        check("$remote_addr \"$request\"", Some("$remote_addr \"$request\""));
        check("'$remote_addr - \"$request\" '\n\t\t    '$status';", Some("$remote_addr - \"$request\" $status"));
        check("'$reqid'", Some("$reqid"));
        check("$a\n\t  $b\n", Some("$a $b"));
        check("${a}b\t$c", Some("${a}b\t$c"));
        check("\"$a\" \"$b\"", Some("\"$a\" \"$b\""));
        check("'it''s'", None);
    }

    #[test]
    fn a_log_format_that_no_engine_reads_is_refused() {
        for bad in ["", "'", "'a' b", "'a'; 'b'", "costs 5$", "$ a", "a\u{7}b", "'a'; daemon off;", "''"] {
            check(bad, None);
        }
        check(&"x".repeat(2001), None);
    }

    #[test]
    fn logs_go_to_files_and_syslog_servers() {
        for good in ["/dev/stdout", "/var/log/nginx/access.log", "syslog:server=10.0.0.1:514,tag=web", "syslog:server=[fd00::1]"] {
            assert!(LogTarget::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "off", "stdout", "logs/a.log", "/a/../b", "/a b", "/a;", "/$host.log", "syslog:x", "syslog:server=a b", "/"] {
            assert!(LogTarget::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_address_of_a_syslog_server_is_known_if_it_is_an_ip_address() {
        let server = |target: &str| LogTarget::parse(target).unwrap().server().map(|address| address.to_string());
        for (target, expected) in [
            ("syslog:server=10.0.0.1", Some("10.0.0.1")),
            ("syslog:server=10.0.0.1:514,tag=web", Some("10.0.0.1")),
            ("syslog:server=[fd00::1]", Some("fd00::1")),
            ("syslog:server=[fd00::1]:514,nohostname", Some("fd00::1")),
            ("syslog:server=logs.example.org", None),
            ("/dev/stdout", None),
        ] {
            assert_eq!(server(target).as_deref(), expected, "{target}");
        }
    }

    #[test]
    fn ciphers_cannot_escape_their_argument() {
        assert!(TlsCiphers::parse("HIGH:!aNULL:!MD5@STRENGTH").is_ok());
        for bad in ["", " ", "HIGH;", "a\"b", "$x", "a\nb"] {
            assert!(TlsCiphers::parse(bad).is_err(), "{bad}");
        }
    }
}
