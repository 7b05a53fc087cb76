//! The servers: one per published host, one for all other hosts, one for TLS clients, one for the container itself.

use super::upstreams::{default_pool, is_served, pool_name};
use super::writer::{Word, Writer};
use super::{Purpose, Rendering, engine};
use crate::route::{PathRoute, VirtualHost};
use crate::types::{ContextPath, HostPattern};

/// All servers, in the order of their names.
pub fn write_servers(http: &mut Writer, rendering: &Rendering<'_>) {
    write_default_server(http, rendering);
    for (host, virtual_host) in &rendering.table.hosts {
        write_host(http, rendering, host, virtual_host);
    }
    if rendering.purpose != Purpose::Stock {
        write_tls_refusal(http, rendering);
        engine::write_status_server(http, rendering);
    }
}

/// Hosts that nobody published, and requests without a host.
fn write_default_server(http: &mut Writer, rendering: &Rendering<'_>) {
    let backend = rendering.table.default_backend.as_ref().filter(|backend| is_served(backend, rendering.purpose));
    http.block("server", &[], |server| {
        server.directive("listen", &[rendering.table.http_port.into(), "default_server".into()]);
        // The empty name is the one that no host can have.
        server.directive("server_name", &["".into()]);
        server.block("location", &["/".into()], |location| match backend {
            Some(_) => location.directive("proxy_pass", &[Word::join(["http://".into(), default_pool()])]),
            None => location.directive("return", &["503".into()]),
        });
    });
}

fn write_host(http: &mut Writer, rendering: &Rendering<'_>, host: &HostPattern, virtual_host: &VirtualHost) {
    http.block("server", &[], |server| {
        server.directive("listen", &[rendering.table.http_port.into()]);
        server.directive("server_name", &[server_name(host)]);
        // Longest first reads as it works; nginx itself takes the longest prefix whatever the order.
        let mut paths: Vec<_> = virtual_host.paths.iter().collect();
        paths.sort_by_key(|(path, _)| (std::cmp::Reverse(path.as_str().len()), path.as_str()));
        for (path, route) in paths {
            write_path(server, rendering, host, path, route);
        }
        if !virtual_host.paths.contains_key(&ContextPath::root()) {
            server.block("location", &["/".into()], |location| location.directive("return", &["404".into()]));
        }
    });
}

/// nginx's own `*.example.org` would also answer for `a.b.example.org`; ours is exactly one label, so it is a pattern.
/// An exact name still wins, and no two of our patterns fit one name.
fn server_name(host: &HostPattern) -> Word {
    if host.is_wildcard() { Word::one_label_wildcard(host) } else { host.into() }
}

/// A path answers for itself and for everything below it on a segment border: `/app` never catches `/apple`.
fn write_path(out: &mut Writer, rendering: &Rendering<'_>, host: &HostPattern, path: &ContextPath, route: &PathRoute) {
    let served = is_served(&route.backend, rendering.purpose);
    let pool = Word::join(["http://".into(), pool_name(host, path)]);
    if path.is_root() {
        return out.block("location", &["/".into()], |location| answer(location, served, pool));
    }
    let below = Word::join([path.into(), "/".into()]);
    if route.rewrite {
        let slash_added = Word::join([path.into(), "/$is_args$args".into()]);
        out.block("location", &["=".into(), path.into()], |location| location.directive("return", &["301".into(), slash_added]));
        // The URI behind the pool's name replaces the path that was matched.
        return out.block("location", &[below], |location| answer(location, served, Word::join([pool, "/".into()])));
    }
    out.block("location", &["=".into(), path.into()], |location| answer(location, served, pool.clone()));
    out.block("location", &[below], |location| answer(location, served, pool));
}

/// Without a URI behind the pool's name the request goes on exactly as it was received.
fn answer(location: &mut Writer, served: bool, pool: Word) {
    if served {
        location.directive("proxy_pass", &[pool]);
    } else {
        location.directive("return", &["503".into()]);
    }
}

/// Nothing is published by TLS yet: a client is told so in its own words instead of being left without an answer.
fn write_tls_refusal(http: &mut Writer, rendering: &Rendering<'_>) {
    let Some(port) = rendering.table.https_port else { return };
    http.block("server", &[], |server| {
        server.directive("listen", &[port.into(), "ssl".into(), "default_server".into()]);
        server.directive("ssl_reject_handshake", &["on".into()]);
    });
}
