//! `spec.settings`: converts it to the engine's settings in units, with the defaults of [`EngineSettings`], and checks what
//! the schema cannot express.

use serde_json::Value;

use super::client_address;
use super::client_limits;
use super::document_error::Mistakes;
use super::fields::Fields;
use super::optional::{or, some};
use crate::intent::cluster_spec::PublishMode;
use crate::intent::formats::{buffer_size, control_plane_timeout, engine_duration, header_buffers, http_version, timeout, zone_size};
use crate::intent::quantity::parse_size;
use crate::intent::settings_spec::Settings;
use crate::report::cases;
use crate::route::{EngineSettings, NginxSettings, SizeBytes};
use crate::types::{ConfigTemplate, EngineLine, InvalidValue, LogFormat, LogTarget, TlsCiphers};

/// The engine's settings. `mode`: how the proxies' ports are published.
pub(super) fn checked(spec: &Settings, mode: PublishMode) -> Result<EngineSettings, InvalidValue> {
    let default = EngineSettings::default();
    let body_size = |text: &str| parse_size(text).map(SizeBytes);
    Ok(EngineSettings {
        worker_processes: spec.worker_processes.unwrap_or(default.worker_processes),
        max_connections: client_limits::connections(spec),
        limits: client_limits::checked(spec, mode)?,
        open_files_max: spec.open_files.unwrap_or(default.open_files_max),
        connect_timeout_ms: or(spec.connect_timeout.as_deref(), timeout, default.connect_timeout_ms)?,
        send_timeout_ms: or(spec.send_timeout.as_deref(), timeout, default.send_timeout_ms)?,
        read_timeout_ms: or(spec.read_timeout.as_deref(), timeout, default.read_timeout_ms)?,
        keepalive_timeout_ms: or(spec.keepalive_timeout.as_deref(), engine_duration, default.keepalive_timeout_ms)?,
        worker_shutdown_timeout_ms: or(spec.worker_shutdown_timeout.as_deref(), engine_duration, default.worker_shutdown_timeout_ms)?,
        client_max_body_size: or(spec.client_max_body_size.as_deref(), body_size, default.client_max_body_size)?,
        client_body_timeout_ms: or(spec.client_body_timeout.as_deref(), timeout, default.client_body_timeout_ms)?,
        hide_info_headers: spec.hide_info_headers.unwrap_or(default.hide_info_headers),
        upstream_address_header: spec.upstream_address_header.unwrap_or(default.upstream_address_header),
        client_address: spec.client_address.as_ref().map(client_address::checked).transpose()?,
        ipv6: spec.ipv6,
        backend_http_version: or(spec.backend_http_version.as_deref(), http_version, default.backend_http_version)?,
        ip_hash: spec.ip_hash.unwrap_or(default.ip_hash),
        control_plane_timeout_ms: or(spec.control_plane_timeout.as_deref(), control_plane_timeout, default.control_plane_timeout_ms)?,
        nginx: nginx(spec)?,
        ..tls(spec, logs(spec, default)?)?
    })
}

fn logs(spec: &Settings, default: EngineSettings) -> Result<EngineSettings, InvalidValue> {
    Ok(EngineSettings {
        access_log: spec.access_log.unwrap_or(default.access_log),
        access_log_target: some(spec.access_log_path.as_deref(), LogTarget::parse)?,
        access_log_format: spec.access_log_format.unwrap_or(default.access_log_format),
        error_log_target: some(spec.error_log_path.as_deref(), LogTarget::parse)?,
        error_log_level: spec.error_log_level.unwrap_or(default.error_log_level),
        ..default
    })
}

fn tls(spec: &Settings, default: EngineSettings) -> Result<EngineSettings, InvalidValue> {
    let mut tls_protocols = spec.tls_protocols.clone().filter(|stated| !stated.is_empty()).unwrap_or_else(|| default.tls_protocols.clone());
    tls_protocols.sort_unstable();
    tls_protocols.dedup();
    Ok(EngineSettings { tls_protocols, tls_ciphers: some(spec.tls_ciphers.as_deref(), TlsCiphers::parse)?, ..default })
}

fn nginx(spec: &Settings) -> Result<NginxSettings, InvalidValue> {
    let default = NginxSettings::default();
    let lines = |stated: &Option<Vec<String>>| stated.iter().flatten().map(|line| EngineLine::parse(line)).collect::<Result<Vec<_>, _>>();
    let (count, size) = or(spec.large_client_header_buffers.as_deref(), header_buffers, {
        (default.large_client_header_buffers_count, default.large_client_header_buffer_size)
    })?;
    Ok(NginxSettings {
        keepalive_min_timeout_ms: or(spec.keepalive_min_timeout.as_deref(), engine_duration, default.keepalive_min_timeout_ms)?,
        client_body_buffer_size: or(spec.client_body_buffer_size.as_deref(), buffer_size, default.client_body_buffer_size)?,
        client_header_buffer_size: or(spec.client_header_buffer_size.as_deref(), buffer_size, default.client_header_buffer_size)?,
        large_client_header_buffers_count: count,
        large_client_header_buffer_size: size,
        underscores_in_headers: spec.underscores_in_headers.unwrap_or(default.underscores_in_headers),
        main_log_format: some(spec.main_log_format.as_deref(), LogFormat::parse)?,
        trace_log_format: some(spec.trace_log_format.as_deref(), LogFormat::parse)?,
        upstream_zone_size: or(spec.upstream_zone_size.as_deref(), zone_size, default.upstream_zone_size)?,
        tls_options: lines(&spec.tls_options)?,
        global_options: lines(&spec.global_options)?,
        http_options: lines(&spec.http_options)?,
        template: some(spec.template.as_deref(), ConfigTemplate::parse)?,
        tcp_options: lines(&spec.tcp_options)?,
    })
}

/// Reports settings that exclude each other, and values that make no sense.
pub(super) fn check(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    timing(fields, mistakes);
    client_limits::check(fields, mistakes);
    client_address::check(fields, mistakes);
    unused_logs(fields, mistakes);
    unshown_address(fields, mistakes);
    protocols(fields, mistakes);
}

fn timing(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let millis = |name: &str| fields.text(&format!("/spec/settings/{name}")).and_then(|text| engine_duration(text).ok());
    let minimum = "/spec/settings/keepaliveMinTimeout";
    if millis("keepaliveMinTimeout") == Some(0) {
        let message = "with 0 a reload closes idle client connections that are about to send a request";
        mistakes.add(cases::InvalidValue::NoKeepaliveMinimum, minimum, message);
    }
    let longer = millis("keepaliveMinTimeout").zip(millis("keepaliveTimeout")).is_some_and(|(least, idle)| least > idle);
    if longer {
        let message = "the value is longer than keepaliveTimeout, which closes idle connections first";
        mistakes.add(cases::InvalidValue::AboveField { field: "keepaliveTimeout" }, minimum, message);
    }
    files(fields, mistakes);
    let body = "/spec/settings/clientMaxBodySize";
    if fields.text(body).and_then(|text| parse_size(text).ok()).is_some_and(|bytes| (1..1024).contains(&bytes)) {
        let message = "request bodies of a kilobyte are rejected; a number without a unit is in bytes";
        mistakes.add(cases::InvalidValue::TooSmall { example: "32m" }, body, message);
    }
}

fn files(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let (at, stated) = ("/spec/settings/maxConnections", fields.number("/spec/settings/openFiles"));
    let files = stated.unwrap_or_else(|| u64::from(EngineSettings::default().open_files_max));
    if fields.number(at).is_some_and(|connections| connections > files) {
        let whose = if stated.is_some() { "" } else { ", the default" };
        let message = format!("every connection needs an open file, and the value is larger than openFiles ({files}{whose})");
        mistakes.add(cases::InvalidValue::FewOpenFiles, at, message);
    }
}

fn unused_logs(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let off = fields.any("/spec/settings/accessLog").and_then(Value::as_bool) == Some(false);
    for name in ["accessLogPath", "accessLogFormat"] {
        let pointer = format!("/spec/settings/{name}");
        if off && fields.any(&pointer).is_some() {
            mistakes.add(cases::InvalidValue::WithoutEffect, &pointer, "the field has no effect, because accessLog is false");
        }
    }
}

/// One hides what the other shows.
fn unshown_address(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let is_on = |name: &str| fields.any(&format!("/spec/settings/{name}")).and_then(Value::as_bool) == Some(true);
    if is_on("upstreamAddressHeader") && is_on("hideInfoHeaders") {
        let message = "the field has no effect: hideInfoHeaders removes all of these headers from responses, including x-upstream-addr";
        mistakes.add(cases::InvalidValue::WithoutEffect, "/spec/settings/upstreamAddressHeader", message);
    }
}

fn protocols(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let pointer = "/spec/settings/tlsProtocols";
    let stated = fields.list(pointer);
    if fields.any(pointer).is_some_and(Value::is_array) && stated.is_empty() {
        mistakes.add(cases::ImpossibleCombination::NoProtocol, pointer, "the list is empty, so no client could connect by TLS");
    }
    for (at, _) in stated.iter().enumerate().filter(|(_, name)| *name == "TLSv1" || *name == "TLSv1.1") {
        let message = "no browser supports this version any more, and its handshakes fail unless tlsCiphers contains @SECLEVEL=0";
        mistakes.add(cases::InvalidValue::OldTls, &format!("{pointer}/{at}"), message);
    }
}
