//! TLS that is passed through: connections are routed by the server name in their first message, and passed on unchanged.
//! All others are handed to the TLS-terminating servers within the engine.

use super::server_names::server_name;
use super::upstreams::{is_served, passthrough_pool, write_servers};
use super::writer::{Word, Writer};
use super::{Rendering, administrator_options, client_address, client_limits, listeners, main_context, tls};
use crate::route::{AccessLogFormat, Affinity, Backend};
use crate::types::{HostPattern, Port};

const LOG_FORMAT: &str = "$remote_addr [$time_local] tls \"$ssl_preread_server_name\" $status $bytes_sent $bytes_received \
     upstream=\"$upstream_addr\" seconds=$session_time";
/// The same as an object, so that a JSON log contains only JSON.
const JSON_LOG_FORMAT: &str = "{\"time\":\"$time_iso8601\",\"remote_addr\":\"$remote_addr\",\"server_name\":\"$ssl_preread_server_name\",\
     \"status\":$status,\"bytes\":$bytes_sent,\"bytes_received\":$bytes_received,\"seconds\":$session_time,\"upstream\":\"$upstream_addr\"}";

/// The `stream` block; empty if no host is passed through and the administrator has no lines for it.
pub fn write_stream(writer: &mut Writer, rendering: &Rendering<'_>) {
    let lines = &rendering.table.settings.nginx.tcp_options;
    let port = rendering.table.https_port.filter(|_| !rendering.table.passthrough.is_empty());
    if port.is_none() && lines.is_empty() {
        return;
    }
    writer.block("stream", &[], |stream| {
        stream.leave_out(administrator_options::replaced_by(lines));
        let position = stream.position();
        if let Some(port) = port {
            write_settings(stream, rendering);
            administrator_options::write_lines(stream, lines);
            write_passthrough(stream, rendering, port);
            stream.insert_at(position, |stream| main_context::write_hash_sizes(stream, false));
        } else {
            administrator_options::write_lines(stream, lines);
        }
    });
}

/// Writes the part that grows with the hosts that are passed through.
pub fn write_routes(writer: &mut Writer, rendering: &Rendering<'_>) {
    if let Some(port) = rendering.table.https_port.filter(|_| !rendering.table.passthrough.is_empty()) {
        write_passthrough(writer, rendering, port);
    }
}

fn write_passthrough(stream: &mut Writer, rendering: &Rendering<'_>, port: Port) {
    write_passthrough_pools(stream, rendering);
    stream.block("server", &[], |server| {
        listeners::write(server, rendering, port, &["default_server".into()]);
        let names: Vec<Word> = std::iter::once("".into()).chain(published_below_wildcards(rendering).map(server_name)).collect();
        server.directive("server_name", &names);
        server.directive("ssl_preread", &["on".into()]);
        server.directive("pass", &[tls::terminator(rendering)]);
    });
    for (host, backend) in &rendering.table.passthrough {
        write_passthrough_host(stream, rendering, port, host, backend);
    }
}

fn write_passthrough_pools(stream: &mut Writer, rendering: &Rendering<'_>) {
    for (host, backend) in &rendering.table.passthrough {
        if is_served(backend, rendering) {
            let by_address = backend.affinity == Affinity::ClientAddress;
            write_servers(stream, rendering, &passthrough_pool(host), backend, |upstream| {
                if by_address {
                    let client = client_address::stream_variable(&rendering.table.settings);
                    upstream.directive("hash", &[client.into(), "consistent".into()]);
                }
            });
        }
    }
}

fn write_passthrough_host(stream: &mut Writer, rendering: &Rendering<'_>, port: Port, host: &HostPattern, backend: &Backend) {
    stream.block("server", &[], |server| {
        listeners::write(server, rendering, port, &[]);
        server.directive("server_name", &[server_name(host)]);
        server.directive("ssl_preread", &["on".into()]);
        if is_served(backend, rendering) {
            server.directive("proxy_pass", &[passthrough_pool(host)]);
        } else {
            // There is no application: the connection is closed, and never gets another host's certificate.
            server.directive("return", &["".into()]);
        }
    });
}

/// An exact host takes precedence over a wildcard, even if only the wildcard is passed through or the host is closed.
fn published_below_wildcards<'a>(rendering: &Rendering<'a>) -> impl Iterator<Item = &'a HostPattern> + 'a {
    let table = rendering.table;
    let caught = |host: &&HostPattern| {
        let own = table.passthrough.contains_key(*host);
        !own && HostPattern::matching(host.as_str()).any(|pattern| table.passthrough.contains_key(&pattern))
    };
    table.hosts.keys().chain(&table.closed).filter(caught)
}

fn write_settings(stream: &mut Writer, rendering: &Rendering<'_>) {
    let settings = &rendering.table.settings;
    if settings.access_log_format == AccessLogFormat::Json {
        stream.directive(
            "log_format",
            &["passed".into(), "escape=json".into(), client_address::in_stream_log(settings, &JSON_LOG_FORMAT.into())],
        );
    } else {
        stream.directive("log_format", &["passed".into(), client_address::in_stream_log(settings, &LOG_FORMAT.into())]);
    }
    if settings.access_log {
        stream.directive("access_log", &[administrator_options::access_log_target(settings), "passed".into()]);
    } else {
        stream.directive("access_log", &["off".into()]);
    }
    client_address::write_stream(stream, settings);
    client_limits::write_passed_clients(stream, rendering);
    main_context::write_resolver(stream, rendering);
}
