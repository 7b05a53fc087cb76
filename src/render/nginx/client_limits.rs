//! What bounds clients: connections for each address, times for heads, bodies and answers, sizes; and where the limits that are
//! made for forms do not hold, because a stream flows. The reasons stand here, where the directives are chosen.

use super::writer::{Word, Writer};
use super::{Purpose, Rendering, client_address};
use crate::protocol::container_contract;
use crate::route::{EngineSettings, SizeBytes};

/// The counters of requests and of passed-through connections, by client.
const HTTP_ZONE: &str = "clients";
const STREAM_ZONE: &str = "passed-clients";
/// A counter takes 64 or 128 bytes and lives as long as its client has a request; where counters have no room nginx refuses
/// everybody, so there is room for twice as many as there can be.
const COUNTER_BYTES: u64 = 256;
/// Where the number of workers is that of the processors.
const WORKERS_SUPPOSED: u64 = 32;
/// No engine counts further, and no connection lives longer.
const WITHOUT_LIMIT_MS: u64 = 365 * 24 * 3_600_000;

/// A time limit; 0 = none.
fn limit(ms: u64) -> Word {
    Word::millis(if ms == 0 { WITHOUT_LIMIT_MS } else { ms })
}

/// What holds for all clients of HTTP.
pub fn write_clients(http: &mut Writer, rendering: &Rendering<'_>) {
    let settings = &rendering.table.settings;
    // nginx refuses no buffers at all, and header buffers below its own pool size.
    let at_least = |size: SizeBytes| Word::size(SizeBytes(size.0.max(1024)));
    http.directive("keepalive_timeout", &[Word::millis(settings.keepalive_timeout_ms)]);
    if rendering.purpose != Purpose::Stock {
        // Without it a reload cuts off clients that are about to send their next request.
        http.directive("keepalive_min_timeout", &[Word::millis(settings.keepalive_min_timeout_ms)]);
    }
    // For the whole head, and for a handshake: who sends a byte now and then is not waited for.
    http.directive("client_header_timeout", &[limit(settings.limits.client_header_timeout_ms)]);
    http.directive("send_timeout", &[limit(settings.limits.client_send_timeout_ms)]);
    http.directive("reset_timedout_connection", &["on".into()]);
    http.directive("client_max_body_size", &[Word::size(settings.client_max_body_size)]);
    http.directive("client_body_buffer_size", &[at_least(settings.client_body_buffer_size)]);
    http.directive("client_body_timeout", &[Word::millis(settings.client_body_timeout_ms)]);
    http.directive("client_header_buffer_size", &[at_least(settings.client_header_buffer_size)]);
    let buffers = settings.large_client_header_buffers_count.max(1).into();
    http.directive("large_client_header_buffers", &[buffers, at_least(settings.large_client_header_buffer_size)]);
    http.directive("http2_max_concurrent_streams", &[settings.limits.concurrent_streams_max.max(1).into()]);
    if settings.limits.client_connections_max > 0 {
        write_counting(http, settings, HTTP_ZONE);
        // Not 503, which says that the application has gone.
        http.directive("limit_conn_status", &["429".into()]);
    }
}

/// What holds for all clients whose TLS is passed through. The look at the server name is their head.
pub fn write_passed_clients(stream: &mut Writer, rendering: &Rendering<'_>) {
    let settings = &rendering.table.settings;
    stream.directive("preread_timeout", &[limit(settings.limits.client_header_timeout_ms)]);
    stream.directive("proxy_connect_timeout", &[Word::millis(settings.connect_timeout_ms)]);
    // Nobody sees what flows inside: it may be a stream.
    stream.directive("proxy_timeout", &[limit(settings.limits.stream_idle_timeout_ms)]);
    if settings.limits.client_connections_max > 0 {
        write_counting(stream, settings, STREAM_ZONE);
    }
}

fn write_counting(out: &mut Writer, settings: &EngineSettings, zone: &'static str) {
    out.comment(
        "Who a client is: its address, of IPv6 the network (/64) that one client has whole. An IPv4 address may come as one of IPv6.",
    );
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
    // The access log has each refused request; as errors they would be a second flood.
    out.directive("limit_conn_log_level", &["info".into()]);
}

/// The same of an address that is text, because somebody in front says it and nginx does not take it for the connection's own.
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

/// A location whose requests or answers flow: it may be silent for long, and no sum of bytes is too much. What an application
/// gets it gets as it comes.
pub fn write_stream(location: &mut Writer, settings: &EngineSettings) {
    let silent = limit(settings.limits.stream_idle_timeout_ms);
    location.directive("client_max_body_size", &["0".into()]);
    location.directive("client_body_timeout", std::slice::from_ref(&silent));
    location.directive("send_timeout", &[silent]);
}

/// The same towards an application in HTTP/1.1.
pub fn write_http1_stream(location: &mut Writer, settings: &EngineSettings) {
    write_stream(location, settings);
    let silent = limit(settings.limits.stream_idle_timeout_ms);
    location.directive("proxy_request_buffering", &["off".into()]);
    location.directive("proxy_read_timeout", std::slice::from_ref(&silent));
    location.directive("proxy_send_timeout", &[silent]);
}

/// How long an application that speaks HTTP/2 may be silent: all that is asked of it are streams.
pub fn http2_silence(settings: &EngineSettings) -> Word {
    limit(settings.limits.stream_idle_timeout_ms)
}
