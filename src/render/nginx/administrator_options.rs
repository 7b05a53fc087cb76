//! The engine options of an administrator: logs, TLS for all hosts, raw lines. The engine tests raw lines before any proxy
//! gets them; if a line names a directive that may occur only once, our directive of that name is left out.

use super::writer::{OmittedDirectives, Word, Writer};
use super::{ConfigPurpose, Rendering, client_address};
use crate::route::{AccessLogFormat, BackendHttpVersion, EngineSettings, LogLevel, TlsProtocol};
use crate::types::{EngineLine, LogTarget};

/// The default access log format.
const MAIN_FORMAT: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \
     \"$http_user_agent\" \"$http_x_forwarded_for\" host=\"$host\" id=\"$reqid\" upstream=\"$upstream_addr\" \
     seconds=$request_time upstream_seconds=\"$upstream_response_time\"";
/// The same with timings of each step.
const TRACE_FORMAT: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \
     \"$http_user_agent\" \"$http_x_forwarded_for\" host=\"$host\" id=\"$reqid\" msec=$msec upstream=\"$upstream_addr\" \
     seconds=$request_time connect_seconds=\"$upstream_connect_time\" header_seconds=\"$upstream_header_time\" \
     upstream_seconds=\"$upstream_response_time\"";
/// One JSON object per request. Only values that are always numbers are written as such.
const JSON_FORMAT: &str = "{\"time\":\"$time_iso8601\",\"remote_addr\":\"$remote_addr\",\"remote_user\":\"$remote_user\",\
     \"method\":\"$request_method\",\"scheme\":\"$scheme\",\"host\":\"$host\",\"uri\":\"$request_uri\",\"protocol\":\"$server_protocol\",\
     \"status\":$status_number,\"bytes\":$body_bytes_sent,\"seconds\":$request_time,\"referer\":\"$http_referer\",\
     \"user_agent\":\"$http_user_agent\",\"forwarded_for\":\"$http_x_forwarded_for\",\"request_id\":\"$reqid\",\
     \"upstream\":\"$upstream_addr\",\"upstream_status\":\"$upstream_status\",\"upstream_connect_seconds\":\"$upstream_connect_time\",\
     \"upstream_header_seconds\":\"$upstream_header_time\",\"upstream_seconds\":\"$upstream_response_time\"}";
/// Forward secrecy and authenticated encryption: enough for all browsers of the last ten years.
const TLS_CIPHERS: &str = "ECDHE+AESGCM:ECDHE+CHACHA20";

/// Directives that may occur several times in one place: a raw line adds to ours.
const ADDING: &[&str] = &["access_log", "error_log", "limit_conn", "limit_conn_zone"];
/// Directives that may occur several times, each for the item that its first argument names: a raw line replaces ours for
/// the same item, because otherwise both would apply.
const NAMED: &[&str] = &["add_header", "grpc_set_header", "log_format", "proxy_hide_header", "proxy_set_header"];

/// Our directives that these lines replace.
pub fn replaced_by<'a>(lines: impl IntoIterator<Item = &'a EngineLine>) -> OmittedDirectives {
    let mut left_out = OmittedDirectives::default();
    for words in lines.into_iter().flat_map(EngineLine::words) {
        match words.as_slice() {
            [name, first, ..] if NAMED.contains(&name.as_str()) => {
                left_out.named.insert((name.clone(), first.to_ascii_lowercase()));
            }
            [name, ..] if !ADDING.contains(&name.as_str()) && !NAMED.contains(&name.as_str()) => {
                left_out.directives.insert(name.clone());
            }
            _ => {}
        }
    }
    left_out
}

/// Writes an administrator's lines unchanged.
pub fn write_lines(out: &mut Writer, lines: &[EngineLine]) {
    for line in lines {
        out.line(line);
    }
}

/// Writes the destination of errors.
pub fn write_error_log(writer: &mut Writer, rendering: &Rendering<'_>) {
    let settings = &rendering.table.settings;
    let target = settings.error_log_target.as_ref().filter(|target| target.as_str() != "/dev/stderr");
    let level = level(settings.error_log_level);
    let Some(target) = target else { return writer.directive("error_log", &["stderr".into(), level]) };
    if rendering.purpose != ConfigPurpose::Stock {
        // The agent listens there for errors that prevent the engine from loading a configuration.
        writer.directive("error_log", &["stderr".into(), "emerg".into()]);
    }
    writer.directive("error_log", &[target.into(), level]);
}

fn level(level: LogLevel) -> Word {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Notice => "notice",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
        LogLevel::Crit => "crit",
    }
    .into()
}

/// Writes the destination of the access log, and the formats that are named anywhere.
pub fn write_access_log(http: &mut Writer, settings: &EngineSettings) {
    for format in [AccessLogFormat::Main, AccessLogFormat::Trace, AccessLogFormat::Json] {
        let named = settings.nginx.http_options.iter().any(|line| line.as_str().contains(name(format)));
        if named || (settings.access_log && settings.access_log_format == format) {
            write_format(http, settings, format);
        }
    }
    if !settings.access_log {
        return http.directive("access_log", &["off".into()]);
    }
    http.directive("access_log", &[access_log_target(settings), name(settings.access_log_format).into()]);
}

/// Writes the destination of logs for requests and for passed-through connections.
pub fn access_log_target(settings: &EngineSettings) -> Word {
    settings.access_log_target.as_ref().map_or("/dev/stdout".into(), |target: &LogTarget| target.into())
}

fn name(format: AccessLogFormat) -> &'static str {
    match format {
        AccessLogFormat::Main => "main",
        AccessLogFormat::Trace => "trace",
        AccessLogFormat::Json => "json",
    }
}

fn write_format(http: &mut Writer, settings: &EngineSettings, format: AccessLogFormat) {
    let text =
        |stated: &Option<_>, own: &'static str| client_address::in_log(settings, &stated.as_ref().map_or_else(|| own.into(), Word::from));
    let mut write = |words: &[Word]| http.directive("log_format", &[&[name(format).into()], words].concat());
    match format {
        AccessLogFormat::Main => write(&[text(&settings.nginx.main_log_format, MAIN_FORMAT)]),
        AccessLogFormat::Trace => write(&[text(&settings.nginx.trace_log_format, TRACE_FORMAT)]),
        AccessLogFormat::Json => {
            write(&["escape=json".into(), client_address::in_log(settings, &JSON_FORMAT.into())]);
            http.comment("A status that is not a JSON number: the request ended before it had one.");
            http.block("map", &["$status".into(), "$status_number".into()], |map| {
                map.entry("default", "$status");
                map.entry("~^0", "0");
            });
        }
    }
}

/// The HTTP version towards applications.
pub fn backend_http_version(settings: &EngineSettings) -> Word {
    match settings.backend_http_version {
        BackendHttpVersion::Http10 => "1.0",
        BackendHttpVersion::Http11 => "1.1",
    }
    .into()
}

/// Writes the settings for every host that uses TLS.
pub fn write_tls(http: &mut Writer, settings: &EngineSettings) {
    let protocols: Vec<_> = settings.tls_protocols.iter().copied().map(protocol).collect();
    http.directive("ssl_protocols", &protocols);
    http.directive("ssl_ciphers", &[settings.tls_ciphers.as_ref().map_or(TLS_CIPHERS.into(), Word::from)]);
    // All these ciphers are good, and the client knows best which one is fast for it; a list of the administrator's own has
    // an order.
    let preference = if settings.tls_ciphers.is_some() { "on" } else { "off" };
    http.directive("ssl_prefer_server_ciphers", &[preference.into()]);
    write_lines(http, &settings.nginx.tls_options);
}

fn protocol(protocol: TlsProtocol) -> Word {
    match protocol {
        TlsProtocol::V1_0 => "TLSv1",
        TlsProtocol::V1_1 => "TLSv1.1",
        TlsProtocol::V1_2 => "TLSv1.2",
        TlsProtocol::V1_3 => "TLSv1.3",
    }
    .into()
}
