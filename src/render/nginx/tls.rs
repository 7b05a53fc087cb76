//! TLS towards clients. A client gets only the certificate of the host that it names: the default server of the TLS port
//! refuses the handshake, and answers 421 to requests over a connection for another host.
//!
//! Each host has a file of its own, so that a proxy that starts without its secrets can leave out that host alone.

use std::collections::BTreeSet;

use super::server_names::server_name;
use super::writer::{Word, Writer};
use super::{ConfigPurpose, Rendering, administrator_options, listeners, locations};
use crate::route::{TlsBinding, VirtualHost};
use crate::types::{HostPattern, Scheme};

/// Writes the servers of the TLS port, except the hosts that have files of their own.
pub fn write_servers(http: &mut Writer, rendering: &Rendering<'_>) {
    if rendering.table.https_port.is_none() {
        return;
    }
    write_session_settings(http, rendering);
    write_default_server(http, rendering);
    let hosts: Vec<_> = terminated(rendering).collect();
    if rendering.purpose == ConfigPurpose::Stock {
        // Only one file can be mounted.
        for (host, virtual_host, binding) in hosts {
            write_host(http, rendering, host, virtual_host, binding);
        }
    } else if !hosts.is_empty() {
        http.directive("include", &["host-*.conf".into()]);
    }
}

/// The hosts that are published by TLS with valid material.
pub fn terminated<'a>(rendering: &Rendering<'a>) -> impl Iterator<Item = (&'a HostPattern, &'a VirtualHost, &'a TlsBinding)> {
    let (table, materials) = (rendering.table, rendering.materials);
    let bound = table.hosts.iter().filter_map(|(host, virtual_host)| Some((host, virtual_host, virtual_host.tls.as_ref()?)));
    bound.filter(move |(_, _, binding)| table.https_port.is_some() && materials.pair(binding).is_some())
}

/// Writes the server of one host.
pub fn write_host(out: &mut Writer, rendering: &Rendering<'_>, host: &HostPattern, virtual_host: &VirtualHost, binding: &TlsBinding) {
    out.block("server", &[], |server| {
        write_listen(server, rendering, &["ssl".into()]);
        server.directive("server_name", &[server_name(host)]);
        write_certificate(server, rendering, binding);
        locations::write(server, rendering, host, virtual_host, Scheme::Https);
    });
}

/// Where TLS is terminated: the port itself, or, if some hosts are passed through, an inner socket after the server name is
/// read. The connection is handed over within the engine, which preserves clients' addresses.
fn write_listen(server: &mut Writer, rendering: &Rendering<'_>, options: &[Word]) {
    match rendering.table.https_port {
        Some(port) if rendering.table.passthrough.is_empty() => listeners::write(server, rendering, port, options),
        _ => server.directive("listen", &[&[terminator(rendering)], options].concat()),
    }
}

/// The socket at which TLS is terminated after the server name is read.
pub fn terminator(rendering: &Rendering<'_>) -> Word {
    let directory = if rendering.purpose == ConfigPurpose::Stock { "/tmp" } else { rendering.layout.run_dir };
    Word::join(["unix:".into(), directory.into(), "/tls.sock".into()])
}

fn write_session_settings(http: &mut Writer, rendering: &Rendering<'_>) {
    administrator_options::write_tls(http, &rendering.table.settings);
    http.directive("ssl_session_cache", &["shared:tls:10m".into()]);
    http.directive("ssl_session_timeout", &["1h".into()]);
    // Tickets would be encrypted with a key that lives as long as the engine and is known to only one proxy.
    http.directive("ssl_session_tickets", &["off".into()]);
}

fn write_certificate(server: &mut Writer, rendering: &Rendering<'_>, binding: &TlsBinding) {
    let Some(files) = rendering.materials.pair(binding) else { return };
    server.directive("ssl_certificate", &[rendering.secret_path(&files.certificate)]);
    server.directive("ssl_certificate_key", &[rendering.secret_path(&files.key)]);
}

/// Names that are not published by TLS, and clients without a name. Every configuration needs this server: without a default
/// server nginx would show the first host's certificate.
fn write_default_server(http: &mut Writer, rendering: &Rendering<'_>) {
    let default = rendering.table.default_backend.as_ref();
    let binding = default.and_then(|default| default.tls.as_ref());
    // When starting without the secret, the default server could not be left out.
    let binding = binding.filter(|binding| rendering.purpose != ConfigPurpose::Boot && rendering.materials.pair(binding).is_some());
    http.block("server", &[], |server| {
        write_listen(server, rendering, &["ssl".into(), "default_server".into()]);
        server.directive("server_name", &["".into()]);
        match binding {
            Some(binding) => {
                write_certificate(server, rendering, binding);
                locations::write_default(server, rendering, default.map(|default| &default.backend));
            }
            None => write_refusal(server),
        }
    });
    write_hosts_without_tls(http, rendering, binding.is_some());
}

fn write_refusal(server: &mut Writer) {
    server.directive("ssl_reject_handshake", &["on".into()]);
    server.block("location", &["/".into()], |location| location.directive("return", &["421".into()]));
}

/// Published hosts without TLS here, and closed hosts, must not be answered by another application: neither by the default
/// backend nor by a wildcard, over which an exact host takes precedence.
fn write_hosts_without_tls(http: &mut Writer, rendering: &Rendering<'_>, default_answers: bool) {
    let terminated: BTreeSet<&HostPattern> = terminated(rendering).map(|(host, _, _)| host).collect();
    let caught = |host: &HostPattern| default_answers || HostPattern::matching(host.as_str()).any(|pattern| terminated.contains(&pattern));
    let table = rendering.table;
    let passed_through = table.passthrough.keys().filter(|host| !table.hosts.contains_key(*host));
    let refused = table.hosts.keys().chain(passed_through).chain(&table.closed);
    let names: Vec<Word> = refused.filter(|host| !terminated.contains(host) && caught(host)).map(server_name).collect();
    if names.is_empty() {
        return;
    }
    http.block("server", &[], |server| {
        write_listen(server, rendering, &["ssl".into()]);
        server.directive("server_name", &names);
        write_refusal(server);
    });
}
