//! Hosts: which server block a request reaches. The same routes are written for plain HTTP and for TLS; only redirects differ.

use super::server_names::server_name;
use super::writer::{Word, Writer};
use super::{ConfigPurpose, Rendering, forwarded_scheme_locations, listeners, location_answers, locations, main_context, tls};
use crate::types::{HostPattern, Scheme};

/// Writes all servers, in the order of their names.
pub fn write_servers(http: &mut Writer, rendering: &Rendering<'_>) {
    write_default_server(http, rendering);
    for (host, virtual_host) in &rendering.table.hosts {
        http.block("server", &[], |server| {
            listeners::write(server, rendering, rendering.table.http_port, &[]);
            server.directive("server_name", &[server_name(host)]);
            locations::write(server, rendering, host, virtual_host, Scheme::Http);
        });
    }
    write_hosts_without_answer(http, rendering);
    tls::write_servers(http, rendering);
    if rendering.purpose != ConfigPurpose::Stock {
        main_context::write_status_server(http, rendering);
    }
}

/// Hosts that are only passed through, and those that are closed: their plain HTTP requests must not reach another
/// application, be it the default backend or a wildcard, over which an exact host takes precedence. One server for all of
/// them.
fn write_hosts_without_answer(http: &mut Writer, rendering: &Rendering<'_>) {
    let (hosts, default) = (&rendering.table.hosts, &rendering.table.default_backend);
    let caught = |host: &HostPattern| default.is_some() || HostPattern::matching(host.as_str()).any(|pattern| hosts.contains_key(&pattern));
    let by_tls_only = rendering.table.passthrough.keys().filter(|host| !hosts.contains_key(*host));
    let names: Vec<Word> = by_tls_only.chain(&rendering.table.closed).filter(|host| caught(host)).map(server_name).collect();
    if names.is_empty() {
        return;
    }
    http.block("server", &[], |server| {
        listeners::write(server, rendering, rendering.table.http_port, &[]);
        server.directive("server_name", &names);
        server.block("location", &["/".into()], |location| location.directive("return", &["503".into()]));
    });
}

/// Unpublished hosts, and requests without a host.
fn write_default_server(http: &mut Writer, rendering: &Rendering<'_>) {
    let default = rendering.table.default_backend.as_ref();
    http.block("server", &[], |server| {
        listeners::write(server, rendering, rendering.table.http_port, &["default_server".into()]);
        // The empty name, which no host can have.
        server.directive("server_name", &["".into()]);
        match default {
            Some(default) if default.https_only && forwarded_scheme_locations::scheme_is_forwarded(rendering) => {
                forwarded_scheme_locations::write_default(server, rendering, &default.backend);
            }
            Some(default) if default.https_only => {
                server.block("location", &["/".into()], |location| location_answers::write_https_redirect(location, rendering));
            }
            default => locations::write_default(server, rendering, default.map(|default| &default.backend)),
        }
    });
}
