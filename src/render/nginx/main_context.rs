//! The part of a configuration that does not depend on routes: processes, files, limits, headers. The reasons are given
//! here, next to the directives.

use super::writer::{Word, Writer};
use super::{
    ConfigPurpose, Rendering, administrator_options, client_address, client_limits, forwarded_scheme_locations, path_escapes,
    proxy_directives, request_headers, upstreams,
};
use crate::protocol::container_contract;
use crate::route::EngineSettings;

/// The main context and `events`.
pub fn write_main(writer: &mut Writer, rendering: &Rendering<'_>) {
    let settings = &rendering.table.settings;
    writer.leave_out(administrator_options::replaced_by(&settings.nginx.global_options));
    let processes = if settings.worker_processes == 0 { "auto".into() } else { settings.worker_processes.into() };
    writer.directive("worker_processes", &[processes]);
    writer.directive("worker_rlimit_nofile", &[settings.open_files_max.max(256).into()]);
    if settings.worker_shutdown_timeout_ms > 0 {
        writer.directive("worker_shutdown_timeout", &[Word::millis(settings.worker_shutdown_timeout_ms)]);
    }
    administrator_options::write_error_log(writer, rendering);
    if rendering.purpose != ConfigPurpose::Stock {
        // A stock image keeps its own user and paths; ours has a single writable directory.
        writer.directive("pid", &[below(rendering, "/nginx.pid")]);
    }
    // A module can only be loaded before the first block.
    administrator_options::write_lines(writer, &settings.nginx.global_options);
    writer.block("events", &[], |events| {
        events.directive("worker_connections", &[settings.max_connections.max(32).into()]);
    });
}

/// Writes everything in `http` before the routes, which have been written by now.
pub fn write_http(http: &mut Writer, rendering: &Rendering<'_>) {
    let settings = &rendering.table.settings;
    administrator_options::write_access_log(http, settings);
    // For clients of plain HTTP, too: gRPC without TLS begins like this.
    http.directive("http2", &["on".into()]);
    write_files(http, rendering);
    let position = http.position();
    client_limits::write_clients(http, rendering);
    http.directive("underscores_in_headers", &[on_off(settings.nginx.underscores_in_headers)]);
    http.directive("server_tokens", &["off".into()]);
    write_maps(http);
    client_address::write(http, settings);
    request_headers::write_variables(http, rendering);
    forwarded_scheme_locations::write_map(http, rendering);
    path_escapes::write_map(http);
    write_https_address(http, rendering);
    proxy_directives::write_http1_defaults(http, settings);
    // Redirects contain only a path, because the external scheme and port are not known here.
    http.directive("absolute_redirect", &["off".into()]);
    write_request_headers(http, rendering);
    if rendering.table.backends().any(|backend| backend.protocol.http2) {
        proxy_directives::write_http2_defaults(http, rendering);
    }
    if !settings.hide_info_headers {
        write_info_headers(http, settings);
    }
    write_resolver(http, rendering);
    administrator_options::write_lines(http, &settings.nginx.http_options);
    http.insert_at(position, |http| write_hash_sizes(http, true));
}

/// The maximum number of names resolved per second: each takes two queries plus one for each task, and Docker's name server
/// is part of its engine.
const NAMES_PER_SECOND: usize = 250;
/// The maximum lifetime of an answer in seconds, however many names there are.
const ANSWERS_HOLD_MAX: usize = 10;

/// Docker declares its answers valid for ten minutes, but the address of a task that ended goes to another container within
/// seconds. An unknown name is queried again after the timeout.
pub fn write_resolver(out: &mut Writer, rendering: &Rendering<'_>) {
    if rendering.purpose != ConfigPurpose::Boot {
        return;
    }
    let seconds = upstreams::names_to_resolve(rendering.table).div_ceil(NAMES_PER_SECOND).clamp(1, ANSWERS_HOLD_MAX);
    let hold = Word::join(["valid=".into(), seconds.into(), "s".into()]);
    out.directive("resolver", &[rendering.layout.resolver.into(), hold]);
    out.directive("resolver_timeout", &["2s".into()]);
}

/// Writes the sizes of hash tables for everything in this block and in files that it includes. They must precede the first
/// map, whose table nginx builds at once.
pub fn write_hash_sizes(out: &mut Writer, headers: bool) {
    for (name, size) in out.hashed().sizes(headers) {
        out.directive(name, &[size.into()]);
    }
}

fn below(rendering: &Rendering<'_>, path: &'static str) -> Word {
    Word::join([rendering.layout.run_dir.into(), path.into()])
}

fn write_files(http: &mut Writer, rendering: &Rendering<'_>) {
    if rendering.purpose == ConfigPurpose::Stock {
        return;
    }
    http.directive(
        "client_body_temp_path",
        &[Word::join([rendering.layout.run_dir.into(), "/".into(), container_contract::ENGINE_BODY_DIR.into()])],
    );
    http.directive("proxy_temp_path", &[below(rendering, "/proxy")]);
    http.directive("fastcgi_temp_path", &[below(rendering, "/fastcgi")]);
    http.directive("uwsgi_temp_path", &[below(rendering, "/uwsgi")]);
    http.directive("scgi_temp_path", &[below(rendering, "/scgi")]);
    // The directory is in memory: a large answer to a slow client must wait in the application, not fill it.
    http.directive("proxy_max_temp_file_size", &["0".into()]);
}

fn on_off(value: bool) -> Word {
    if value { "on".into() } else { "off".into() }
}

fn write_maps(http: &mut Writer) {
    http.comment("A valid request id of the client is kept.");
    http.block("map", &["$http_x_request_id".into(), "$reqid".into()], |map| {
        map.entry("default", "$request_id");
        map.entry("~^[A-Za-z0-9._~+/=:-]{8,128}$", "$http_x_request_id");
    });
    http.comment("The host as received. If the request line names another one, that host is used, because it chose the route.");
    http.block("map", &["$host $http_host".into(), "$forwarded_host".into()], |map| {
        map.entry("default", "$host");
        map.entry("~*^([^ ]+) \\1[.]?(:[0-9]+)?$", "$http_host");
    });
    http.comment("Upgrades are passed on, except to HTTP/2 in plain text, which would bypass the routes.");
    http.block("map", &["$http_upgrade".into(), "$forwarded_upgrade".into()], |map| {
        map.entry("default", "$http_upgrade");
        map.entry("~*h2c", "");
    });
    http.block("map", &["$forwarded_upgrade".into(), "$forwarded_connection".into()], |map| {
        map.entry("default", "upgrade");
        // No header at all, so that connections to applications are kept alive.
        map.entry("", "");
    });
}

/// Redirects to HTTPS contain the published port only for clients that named a port other than the default themselves: for
/// all others, something in front translates the default ports. Clients of a trusted load balancer use its port, not ours.
fn write_https_address(http: &mut Writer, rendering: &Rendering<'_>) {
    let settings = &rendering.table.settings;
    let published = rendering.table.https_published;
    if published.is_none() && settings.client_address.is_none() {
        return;
    }
    let believes = settings.client_address.is_some();
    let source = if believes { "$from_front $client_site" } else { "$http_host" };
    http.block("map", &[source.into(), "$https_port_suffix".into()], |map| {
        map.entry("default", "");
        if let Some(port) = published.filter(|port| port.get() != 443) {
            map.entry("~:80$", "");
            let named = if believes { "~^0 .*:[0-9]+$" } else { "~:[0-9]+$" };
            map.entry_words(&named.into(), &Word::join([":".into(), port.into()]));
        }
    });
}

/// Headers of HTTP/1.1 connections; HTTP/2 does not have them.
const UPGRADE_HEADERS: &[(&str, &str)] = &[("Upgrade", "$forwarded_upgrade"), ("Connection", "$forwarded_connection")];

fn write_request_headers(http: &mut Writer, rendering: &Rendering<'_>) {
    request_headers::write_sizes(http, rendering);
    request_headers::write(http, rendering, "proxy_set_header");
    for (name, value) in UPGRADE_HEADERS {
        http.directive("proxy_set_header", &[(*name).into(), (*value).into()]);
    }
}

/// The address of the application that answered.
const UPSTREAM_ADDRESS: &str = "x-upstream-addr";

/// Response headers with information about how the request was proxied.
const INFO_HEADERS: &[(&str, &str)] = &[
    ("x-request-id", "$reqid"),
    ("x-proxy-id", "$hostname"),
    ("x-server-info", concat!("swarmgate/", env!("CARGO_PKG_VERSION"), " (nginx)")),
    (UPSTREAM_ADDRESS, "$upstream_addr"),
    // When headers are written the answer is not complete, so the only available time is that to its first byte.
    ("x-upstream-response-time", "$upstream_header_time"),
];

/// `always`: this information matters most for errors.
fn write_info_headers(http: &mut Writer, settings: &EngineSettings) {
    // If an application echoes the id, it must not appear twice.
    http.directive("proxy_hide_header", &["x-request-id".into()]);
    for (name, value) in info_headers(settings) {
        http.directive("add_header", &[name.into(), value.into(), "always".into()]);
    }
}

/// The headers that are shown: addresses of applications only if an administrator enabled them.
pub fn info_headers(settings: &EngineSettings) -> impl Iterator<Item = (&'static str, &'static str)> {
    let shown = settings.upstream_address_header;
    INFO_HEADERS.iter().copied().filter(move |(name, _)| shown || *name != UPSTREAM_ADDRESS)
}

/// Writes the status server: answers only on the container's loopback whether this engine serves, never on an application's
/// host.
pub fn write_status_server(http: &mut Writer, rendering: &Rendering<'_>) {
    let listen = Word::join(["127.0.0.1:".into(), rendering.layout.status_port.into()]);
    http.block("server", &[], |server| {
        server.directive("listen", &[listen]);
        server.directive("access_log", &["off".into()]);
        server.block("location", &["=".into(), container_contract::ENGINE_READY_PATH.into()], |location| {
            location.directive("return", &["200".into()]);
        });
        server.block("location", &["/".into()], |location| location.directive("return", &["404".into()]));
    });
}
