//! Document values that have a grammar of their own. Each is a `format` in the schema; the schema check, the conversion
//! into checked values and the remedy all use the same parser from here, so they cannot disagree.

use std::borrow::Cow;
use std::time::Duration;

/// Used in place of a list of rules: every service may use everything, as with Interlock.
pub const ANYONE: &str = "anyone";

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::placement_constraint::{Constraint, parse_preference};
use super::quantity::{parse_cpus, parse_duration, parse_memory, parse_size};
use crate::report::cases::InvalidValue as Case;
use crate::route::{BackendHttpVersion, SizeBytes};
use crate::types::{self, InvalidValue};

/// A format: its name in the schema, its check, and the case of the finding about a value that does not follow it.
pub(super) struct StringFormat {
    pub name: &'static str,
    pub check: fn(&str) -> Result<(), InvalidValue>,
    pub case: Case<'static>,
}

/// A format that an example explains.
const fn format(name: &'static str, check: fn(&str) -> Result<(), InvalidValue>, example: &'static str) -> StringFormat {
    StringFormat { name, check, case: Case::Format { example } }
}

/// All formats.
pub(super) const FORMATS: &[StringFormat] = &[
    format("address-range", |text| types::AddressRange::parse(text).map(drop), "192.0.2.0/24, 2001:db8::/32 or a single address"),
    format("go-duration", |text| parse_duration(text).map(drop), "10s, 1m30s or 500ms"),
    format("timeout", |text| timeout(text).map(drop), "5s or 10m"),
    format("engine-duration", |text| engine_duration(text).map(drop), "75s, or 0s"),
    format("control-plane-timeout", |text| control_plane_timeout(text).map(drop), "30s, or 0s for never"),
    format("size", |text| parse_size(text).map(drop), "32m or 1g, or a number of bytes"),
    format("buffer-size", |text| buffer_size(text).map(drop), "8k"),
    format("zone-size", |text| zone_size(text).map(drop), "64k"),
    format("header-buffers", |text| header_buffers(text).map(drop), "4 8k"),
    format("host-glob", |text| types::HostGlob::parse(text).map(drop), "app.example.org or *.dev.example.org"),
    format("service-glob", |text| types::ServiceGlob::parse(text).map(drop), "shop_web or shop_*"),
    format("object-glob", |text| types::ObjectGlob::parse(text).map(drop), "wildcard-2026 or wildcard-*"),
    format("stack-glob", stack_pattern, "shop or shop-*"),
    StringFormat { name: "material-openness", check: openness, case: Case::MaterialRules },
    format("log-target", |text| types::LogTarget::parse(text).map(drop), "/dev/stdout"),
    format("log-format", |text| types::LogFormat::parse(text).map(drop), "$remote_addr \"$request\" $status"),
    format("tls-ciphers", |text| types::TlsCiphers::parse(text).map(drop), "HIGH:!aNULL:!MD5"),
    format("engine-line", |text| types::EngineLine::parse(text).map(drop), "`gzip on;`"),
    StringFormat { name: "template", check: |text| types::ConfigTemplate::parse(text).map(drop), case: Case::Template },
    format("http-version", |text| http_version(text).map(drop), "1.1"),
    format("memory", |text| parse_memory(text).map(drop), "64M or 1G"),
    format("cpus", |text| parse_cpus(text).map(drop), "0.5 or 2"),
    format("constraint", |text| Constraint::parse(text).map(drop), "node.role==worker or node.labels.zone!=a"),
    format("placement-preference", |text| parse_preference(text).map(drop), "node.labels.rack"),
    format("image", image, "nginx:1.29 or registry.example.org/team/proxy:2"),
    format("stop-signal", |text| stop_signal(text).map(drop), "SIGTERM or SIGQUIT"),
    format("absolute-path", absolute_path, "/etc/nginx/nginx.conf"),
    format("log-driver", log_driver, "json-file, local or journald, or default for the driver configured on each node"),
    format("env-name", env_name, "LOG_LEVEL"),
    format("label-key", label_key, "org.example.team"),
];

/// A timeout of the engine: at least a millisecond, because an engine interprets 0 as "fail immediately" or rejects it.
pub(super) fn timeout(text: &str) -> Result<u64, InvalidValue> {
    match engine_duration(text)? {
        0 => Err(InvalidValue("a timeout must be longer than 0".to_owned())),
        millis => Ok(millis),
    }
}

/// An engine duration in milliseconds.
pub(super) fn engine_duration(text: &str) -> Result<u64, InvalidValue> {
    let duration = parse_duration(text)?;
    let millis = u64::try_from(duration.as_millis()).map_err(|_| InvalidValue("the duration is too long".to_owned()))?;
    if Duration::from_millis(millis) == duration {
        Ok(millis)
    } else {
        Err(InvalidValue("the duration must be a whole number of milliseconds".to_owned()))
    }
}

/// How long the control plane may be silent, in milliseconds. Less than the time in which two of its messages arrive would
/// make proxies switch back and forth.
pub(super) fn control_plane_timeout(text: &str) -> Result<u64, InvalidValue> {
    match engine_duration(text)? {
        1..10_000 => Err(InvalidValue("the timeout must be at least 10s, or 0s for never".to_owned())),
        millis => Ok(millis),
    }
}

/// An engine buffer: 1 KiB to 1 GiB.
pub(super) fn buffer_size(text: &str) -> Result<SizeBytes, InvalidValue> {
    match parse_size(text)? {
        bytes @ 1024..=0x4000_0000 => Ok(SizeBytes(bytes)),
        _ => Err(InvalidValue("a buffer size must be from 1k to 1g".to_owned())),
    }
}

/// The shared memory of a pool: nginx rejects fewer than eight pages.
pub(super) fn zone_size(text: &str) -> Result<SizeBytes, InvalidValue> {
    match parse_size(text)? {
        bytes @ 0x8000..=0x4000_0000 => Ok(SizeBytes(bytes)),
        _ => Err(InvalidValue("the shared memory of a pool must be from 32k to 1g".to_owned())),
    }
}

/// Number and size of large header buffers.
pub(super) fn header_buffers(text: &str) -> Result<(u16, SizeBytes), InvalidValue> {
    let rule = || InvalidValue("header buffers must be a number from 1 to 1024, a space, and a size from 1k to 1g".to_owned());
    let (count, size) = text.trim().split_once(' ').ok_or_else(rule)?;
    let count = count.parse::<u16>().ok().filter(|count| (1..=1024).contains(count)).ok_or_else(rule)?;
    Ok((count, buffer_size(size.trim()).map_err(|_| rule())?))
}

/// The HTTP version to applications.
pub(super) fn http_version(text: &str) -> Result<BackendHttpVersion, InvalidValue> {
    match text {
        "1.0" => Ok(BackendHttpVersion::Http10),
        "1.1" => Ok(BackendHttpVersion::Http11),
        _ => Err(InvalidValue("the HTTP version to applications must be 1.1 or 1.0".to_owned())),
    }
}

/// Signals by their Linux names; Docker rejects all others.
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD",
    "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// Reads a stop signal by name (with or without `SIG`, in any case) or number; returns Docker's form, `SIGQUIT` or `3`.
pub(super) fn stop_signal(text: &str) -> Result<String, InvalidValue> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if SIGNALS.contains(&name) {
        return Ok(format!("SIG{name}"));
    }
    let number = name.parse::<u8>().ok().filter(|number| (1..=64).contains(number) && name == upper && !name.starts_with('+'));
    number
        .map(|number| number.to_string())
        .ok_or_else(|| InvalidValue("a stop signal must be the name or number of a Linux signal".to_owned()))
}

/// A pattern of stack names. They have the same characters as service names, which begin with them.
fn stack_pattern(text: &str) -> Result<(), InvalidValue> {
    let rule = |_| InvalidValue("a stack pattern may contain only letters, digits, '-', '_' and '*'".to_owned());
    types::ServiceGlob::parse(text).map(drop).map_err(rule)
}

/// The single word allowed in place of a list of rules.
fn openness(text: &str) -> Result<(), InvalidValue> {
    if text == ANYONE { Ok(()) } else { Err(InvalidValue("the value must be the word anyone, or a list of rules".to_owned())) }
}

fn image(text: &str) -> Result<(), InvalidValue> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._/:@-".contains(&b);
    let begins_well = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if begins_well && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(InvalidValue("an image must be a name with an optional tag or digest, without spaces or variables".to_owned()))
    }
}

fn absolute_path(text: &str) -> Result<(), InvalidValue> {
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && !b"\"'\\;{}$,".contains(&b));
    let climbs = text.split('/').any(|segment| segment == "..");
    if text.starts_with('/') && !text.ends_with('/') && plain && !climbs {
        Ok(())
    } else {
        Err(InvalidValue("the value must be the absolute path of a file, without spaces, quotes or '..'".to_owned()))
    }
}

/// The name of a logging driver: a built-in one, or a plugin's (`grafana/loki-docker-driver:3`).
fn log_driver(text: &str) -> Result<(), InvalidValue> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@".contains(&byte);
    let fits = text.len() <= 255 && text.bytes().all(plain) && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    if fits { Ok(()) } else { Err(InvalidValue("the value is not a valid name of a logging driver".to_owned())) }
}

fn env_name(text: &str) -> Result<(), InvalidValue> {
    if text.is_empty() || text.contains('=') || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(InvalidValue("the name of a variable must not be empty or contain '=' or spaces".to_owned()));
    }
    if text.starts_with("SWARMGATE_") {
        return Err(InvalidValue("variables that begin with SWARMGATE_ are reserved for Swarmgate".to_owned()));
    }
    Ok(())
}

fn label_key(text: &str) -> Result<(), InvalidValue> {
    if text.trim().is_empty() {
        return Err(InvalidValue("the key of a label must not be empty".to_owned()));
    }
    if text.starts_with("swarmgate.") {
        return Err(InvalidValue(
            "labels that begin with swarmgate. are reserved: Swarmgate sets them on the objects that it owns".to_owned(),
        ));
    }
    Ok(())
}

/// Stand-in types that define a field's schema while serde reads plain text. Those that YAML may write as a number say so.
macro_rules! words {
    ($($name:ident => $schema:tt),* $(,)?) => { $(
        pub(super) struct $name;
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )* };
}

words! {
    Text => {"type": ["string", "number", "boolean"]},
    Image => {"type": "string", "format": "image"},
    GoDuration => {"type": "string", "format": "go-duration"},
    Timeout => {"type": "string", "format": "timeout"},
    EngineDuration => {"type": "string", "format": "engine-duration"},
    ControlPlaneTimeout => {"type": "string", "format": "control-plane-timeout"},
    Size => {"type": ["string", "integer"], "format": "size"},
    BufferSize => {"type": ["string", "integer"], "format": "buffer-size"},
    ZoneSize => {"type": ["string", "integer"], "format": "zone-size"},
    HeaderBuffers => {"type": "string", "format": "header-buffers"},
    ServicePattern => {"type": "string", "format": "service-glob"},
    HostRule => {
        "type": ["string", "object"],
        "format": "host-glob",
        "properties": {
            "host": {"description": "A pattern of the hosts.", "type": "string", "format": "host-glob"},
            "services": {
                "description": "Patterns of the services that may publish them. If omitted: any service.",
                "type": "array",
                "items": {"type": "string", "format": "service-glob"}
            },
            "networks": {
                "description": "Networks, to one of which the service must be attached. If omitted: any network.",
                "type": "array",
                "items": {"type": "string", "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]*$"}
            }
        },
        "required": ["host"],
        "additionalProperties": false
    },
    MaterialAllow => {
        "type": ["string", "array"],
        "format": "material-openness",
        "items": {
            "type": ["string", "object"],
            "format": "object-glob",
            "properties": {
                "name": {
                    "description": "A pattern of the full names of secrets and configs.",
                    "type": ["string", "number", "boolean"],
                    "format": "object-glob"
                },
                "services": {
                    "description": "Patterns of the services that may use them. If omitted: any service.",
                    "type": "array",
                    "items": {"type": ["string", "number", "boolean"], "format": "service-glob"}
                },
                "stacks": {
                    "description": "Patterns of stacks, to one of which the service must belong. If omitted: any stack.",
                    "type": "array",
                    "items": {"type": ["string", "number", "boolean"], "format": "stack-glob"}
                },
                "accessLabels": {
                    "description": "Values of com.docker.ucp.access.label, one of which the service must have exactly. If omitted: any.",
                    "type": "array",
                    "items": {"type": ["string", "number", "boolean"]}
                }
            },
            "required": ["name"],
            "additionalProperties": false
        }
    },
    AddressRange => {"type": "string", "format": "address-range"},
    LogTarget => {"type": "string", "format": "log-target"},
    LogFormat => {"type": "string", "format": "log-format"},
    Ciphers => {"type": "string", "format": "tls-ciphers"},
    EngineLine => {"type": "string", "format": "engine-line"},
    Template => {"type": "string", "format": "template"},
    HttpVersion => {"type": ["string", "number"], "format": "http-version"},
    Memory => {"type": ["string", "integer"], "format": "memory"},
    Cpus => {"type": ["string", "number"], "format": "cpus"},
    ConstraintText => {"type": "string", "format": "constraint"},
    Preference => {"type": "string", "format": "placement-preference"},
    StopSignal => {"type": ["string", "integer"], "format": "stop-signal"},
    AbsolutePath => {"type": "string", "format": "absolute-path"},
    LogDriver => {"type": "string", "format": "log-driver"},
    LogOptions => {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
    Environment => {"type": "object", "propertyNames": {"format": "env-name"}, "additionalProperties": {"type": ["string", "number", "boolean"]}},
    Labels => {"type": "object", "propertyNames": {"format": "label-key"}, "additionalProperties": {"type": ["string", "number", "boolean"]}},
    Annotations => {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: &str, good: &[&str], bad: &[&str]) {
        let format = FORMATS.iter().find(|known| known.name == format).expect("a known format");
        for text in good {
            assert_eq!((format.check)(text), Ok(()), "{}: {text}", format.name);
        }
        for text in bad {
            assert!((format.check)(text).is_err(), "{}: {text}", format.name);
        }
    }

    #[test]
    fn images_paths_and_names_reject_characters_special_to_a_shell_or_engine() {
        check("image", &["nginx:alpine", "r.example:5000/a/b@sha256:00"], &["", " nginx", "${IMAGE}", "-x", "a b", "nginx\n"]);
        check("absolute-path", &["/etc/nginx/nginx.conf"], &["", "nginx.conf", "/a b", "/a/../b", "/a/", "/a;b", "/é"]);
        check("env-name", &["LOG_LEVEL", "a.b"], &["", "A=B", "A B", "SWARMGATE_TASK", "A\0"]);
        check("log-driver", &["json-file", "default", "grafana/loki-docker-driver:3.3"], &["", " local", "-x", "a b", "a\n"]);
        check("label-key", &["org.example.x"], &["", " ", "swarmgate.owner"]);
    }

    #[test]
    fn values_that_would_stop_the_engine_are_rejected() {
        check("timeout", &["5s", "1ms"], &["0s", "0", "1us", "5", "99999h"]);
        check("engine-duration", &["0s", "75s"], &["1500us", "-1s"]);
        check("control-plane-timeout", &["0s", "10s", "5m"], &["9999ms", "1ms", "30", "-1s", ""]);
        check("buffer-size", &["1k", "8K", "4096"], &["0", "1", "2g"]);
        check("zone-size", &["64k"], &["16k"]);
        check("header-buffers", &["4 8k", "4  8k"], &["8k", "0 8k", "4 0", "4 8k 1"]);
    }

    #[test]
    fn stop_signals_are_names_or_numbers_of_signals() {
        for (text, expected) in [
            ("SIGQUIT", Some("SIGQUIT")),
            ("term", Some("SIGTERM")),
            ("15", Some("15")),
            ("0", None),
            ("65", None),
            ("SIG15", None),
            ("SIGNAL", None),
            ("", None),
        ] {
            assert_eq!(stop_signal(text).ok().as_deref(), expected, "{text}");
        }
    }
}
