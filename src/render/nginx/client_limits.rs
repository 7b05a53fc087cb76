//! Limits on clients: connections per address, timeouts for heads, bodies and answers, sizes; and the exemptions for streams
//! from limits that are meant for forms. The reasons are given here, next to the directives.

use super::writer::{Word, Writer};
use super::{ConfigPurpose, Rendering, client_address};
use crate::protocol::container_contract;
use crate::route::{EngineSettings, SizeBytes};

/// The counters of requests and of passed-through connections, by client.
const HTTP_ZONE: &str = "clients";
const STREAM_ZONE: &str = "passed-clients";
/// A counter takes 64 or 128 bytes and lives as long as its client has a request. nginx refuses all clients if there is no
/// room for a counter, so there is room for twice the possible number.
const COUNTER_BYTES: u64 = 256;
/// Assumed if the number of workers is that of the processors.
const WORKERS_SUPPOSED: u64 = 32;
/// Engines support no longer time, and no connection lives longer.
const WITHOUT_LIMIT_MS: u64 = 365 * 24 * 3_600_000;

/// A time limit; 0 = none.
fn limit(ms: u64) -> Word {
    Word::millis(if ms == 0 { WITHOUT_LIMIT_MS } else { ms })
}

/// Writes the limits for all HTTP clients.
pub fn write_clients(http: &mut Writer, rendering: &Rendering<'_>) {
    let settings = &rendering.table.settings;
    // nginx accepts neither zero buffers nor header buffers smaller than its own pool size.
    let at_least = |size: SizeBytes| Word::size(SizeBytes(size.0.max(1024)));
    http.directive("keepalive_timeout", &[Word::millis(settings.keepalive_timeout_ms)]);
    if rendering.purpose != ConfigPurpose::Stock {
        // Without it a reload cuts off clients that are about to send their next request.
        http.directive("keepalive_min_timeout", &[Word::millis(settings.nginx.keepalive_min_timeout_ms)]);
    }
    // For the whole head, and for a handshake: a client that only sends a byte now and then must not hold a connection.
    http.directive("client_header_timeout", &[limit(settings.limits.client_header_timeout_ms)]);
    http.directive("send_timeout", &[limit(settings.limits.client_send_timeout_ms)]);
    http.directive("reset_timedout_connection", &["on".into()]);
    http.directive("client_max_body_size", &[Word::size(settings.client_max_body_size)]);
    http.directive("client_body_buffer_size", &[at_least(settings.nginx.client_body_buffer_size)]);
    http.directive("client_body_timeout", &[Word::millis(settings.client_body_timeout_ms)]);
    http.directive("client_header_buffer_size", &[at_least(settings.nginx.client_header_buffer_size)]);
    let buffers = settings.nginx.large_client_header_buffers_count.max(1).into();
    http.directive("large_client_header_buffers", &[buffers, at_least(settings.nginx.large_client_header_buffer_size)]);
    http.directive("http2_max_concurrent_streams", &[settings.limits.concurrent_streams_max.max(1).into()]);
    if settings.limits.client_connections_max > 0 {
        write_counting(http, settings, HTTP_ZONE);
        // Not 503, which means that the application is unavailable.
        http.directive("limit_conn_status", &["429".into()]);
    }
}

/// Writes the limits for all clients whose TLS is passed through. Reading the server name takes the place of the head.
pub fn write_passed_clients(stream: &mut Writer, rendering: &Rendering<'_>) {
    let settings = &rendering.table.settings;
    stream.directive("preread_timeout", &[limit(settings.limits.client_header_timeout_ms)]);
    stream.directive("proxy_connect_timeout", &[Word::millis(settings.connect_timeout_ms)]);
    // The content is encrypted: it may be a stream.
    stream.directive("proxy_timeout", &[limit(settings.limits.stream_idle_timeout_ms)]);
    if settings.limits.client_connections_max > 0 {
        write_counting(stream, settings, STREAM_ZONE);
    }
}

fn write_counting(out: &mut Writer, settings: &EngineSettings, zone: &'static str) {
    out.comment("A client is identified by its IPv4 address or its IPv6 network (/64). An IPv4 address may arrive as an IPv6 address.");
    let client = if zone == STREAM_ZONE { client_address::stream_variable(settings) } else { client_address::variable(settings) };
    if client == "$remote_addr" {
        out.block("map", &["$binary_remote_addr".into(), "$client_network".into()], |map| {
            map.entry("default", "$binary_remote_addr");
            map.entry("~^\\x00{10}\\xff\\xff", "$binary_remote_addr");
            map.entry("~(?s)^(?<client_prefix>.{8}).{8}$", "$client_prefix");
        });
    } else {
        write_network_of_text(out, client);
    }
    let counted = if zone == STREAM_ZONE { client_address::write_counted(out, settings, "$client_network") } else { "$client_network" };
    let zone = Word::join([container_contract::ENGINE_COUNTERS.into(), zone.into()]);
    let memory = Word::join(["zone=".into(), zone.clone(), ":".into(), zone_size(settings)]);
    out.directive("limit_conn_zone", &[counted.into(), memory]);
    out.directive("limit_conn", &[zone, settings.limits.client_connections_max.into()]);
    // Each refused request is in the access log; logging it as an error would be a second flood.
    out.directive("limit_conn_log_level", &["info".into()]);
}

/// The same for an address in text form: one reported by a load balancer that nginx does not use as the connection's
/// address.
fn write_network_of_text(out: &mut Writer, client: &'static str) {
    out.block("map", &[client.into(), "$client_network".into()], |map| {
        map.entry("default", client);
        map.entry("~*^(?<client_prefix>(?:[0-9a-f]{1,4}:){3}[0-9a-f]{1,4}):", "$client_prefix");
        map.entry("~*^(?<client_short_prefix>[0-9a-f:]+?)::", "$client_short_prefix");
    });
}

fn zone_size(settings: &EngineSettings) -> Word {
    let workers = if settings.worker_processes == 0 { WORKERS_SUPPOSED } else { settings.worker_processes.into() };
    let bytes = u64::from(settings.max_connections) * workers * COUNTER_BYTES;
    Word::size(SizeBytes(bytes.next_power_of_two().clamp(1 << 20, 1 << 30)))
}

/// Configures a location with streaming requests or answers: it may be silent for long, without a limit on the total size.
/// Data is passed on to the application as it arrives.
pub fn write_stream(location: &mut Writer, settings: &EngineSettings) {
    let silent = limit(settings.limits.stream_idle_timeout_ms);
    location.directive("client_max_body_size", &["0".into()]);
    location.directive("client_body_timeout", std::slice::from_ref(&silent));
    location.directive("send_timeout", &[silent]);
}

/// The same for an HTTP/1.1 application.
pub fn write_http1_stream(location: &mut Writer, settings: &EngineSettings) {
    write_stream(location, settings);
    let silent = limit(settings.limits.stream_idle_timeout_ms);
    location.directive("proxy_request_buffering", &["off".into()]);
    location.directive("proxy_read_timeout", std::slice::from_ref(&silent));
    location.directive("proxy_send_timeout", &[silent]);
}

/// How long an application that uses HTTP/2 may be silent: all its requests are treated as streams.
pub fn http2_silence(settings: &EngineSettings) -> Word {
    limit(settings.limits.stream_idle_timeout_ms)
}
