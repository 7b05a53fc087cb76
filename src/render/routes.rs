//! Hosts and paths: which server block a request reaches, and which location of it. The same routes are written for plain
//! HTTP and for TLS; they differ in what redirects.

use super::proxying::{self, Target};
use super::upstreams::{default_pool, is_served, pool_name};
use super::writer::{Word, Writer};
use super::{Purpose, Rendering, engine, tls};
use crate::route::{Backend, PathRoute, Redirect, VirtualHost};
use crate::types::{ContextPath, HostPattern, Scheme};

/// All servers, in the order of their names.
pub fn write_servers(http: &mut Writer, rendering: &Rendering<'_>) {
    write_default_server(http, rendering);
    for (host, virtual_host) in &rendering.table.hosts {
        http.block("server", &[], |server| {
            server.directive("listen", &[rendering.table.http_port.into()]);
            server.directive("server_name", &[server_name(host)]);
            write_locations(server, rendering, host, virtual_host, Scheme::Http);
        });
    }
    tls::write_servers(http, rendering);
    if rendering.purpose != Purpose::Stock {
        engine::write_status_server(http, rendering);
    }
}

/// Hosts that nobody published, and requests without a host.
fn write_default_server(http: &mut Writer, rendering: &Rendering<'_>) {
    let default = rendering.table.default_backend.as_ref();
    http.block("server", &[], |server| {
        server.directive("listen", &[rendering.table.http_port.into(), "default_server".into()]);
        // The empty name is the one that no host can have.
        server.directive("server_name", &["".into()]);
        match default {
            Some(default) if default.https_only => server.block("location", &["/".into()], write_https_redirect),
            default => write_default_location(server, rendering, default.map(|default| &default.backend)),
        }
    });
}

/// The default backend's one location, or 503.
pub fn write_default_location(server: &mut Writer, rendering: &Rendering<'_>, backend: Option<&Backend>) {
    server.block("location", &["/".into()], |location| match backend.filter(|backend| is_served(backend, rendering)) {
        Some(backend) => proxying::write(location, rendering, &Target::whole(backend, default_pool())),
        None => location.directive("return", &["503".into()]),
    });
}

/// nginx's own `*.example.org` would also answer for `a.b.example.org`; ours is exactly one label, so it is a pattern.
/// An exact name still wins, and no two of our patterns fit one name.
pub fn server_name(host: &HostPattern) -> Word {
    if host.is_wildcard() { Word::one_label_wildcard(host) } else { host.into() }
}

/// The routes of a host, as requests of one scheme see them.
pub fn write_locations(server: &mut Writer, rendering: &Rendering<'_>, host: &HostPattern, virtual_host: &VirtualHost, scheme: Scheme) {
    let redirects: Vec<&Redirect> = virtual_host.redirects.iter().filter(|redirect| redirect.scheme == scheme).collect();
    if let Some(whole) = redirects.iter().find(|redirect| redirect.path.is_root()) {
        return server.block("location", &["/".into()], |location| write_redirect(location, whole));
    }
    for redirect in &redirects {
        write_both(server, &redirect.path, |location, _| write_redirect(location, redirect));
    }
    // Longest first reads as it works; nginx itself takes the longest prefix whatever the order.
    let mut paths: Vec<_> = virtual_host.paths.iter().collect();
    paths.sort_by_key(|(path, _)| (std::cmp::Reverse(path.as_str().len()), path.as_str()));
    for (path, route) in paths.into_iter().filter(|(path, _)| redirects.iter().all(|redirect| redirect.path != **path)) {
        let taken =
            |other: &ContextPath| other != path && virtual_host.paths.contains_key(other) || redirects.iter().any(|r| r.path == *other);
        let place = Place { host, path, route, virtual_host };
        if route.https_only && scheme == Scheme::Http {
            write_both(server, path, |location, _| write_https_redirect(location));
        } else {
            write_route(server, rendering, &place, &taken);
        }
    }
    if !virtual_host.paths.contains_key(&ContextPath::root()) {
        server.block("location", &["/".into()], |location| write_elsewhere(location, virtual_host, scheme));
    }
}

/// Paths of the host that are no route.
fn write_elsewhere(location: &mut Writer, virtual_host: &VirtualHost, scheme: Scheme) {
    if virtual_host.https_only && scheme == Scheme::Http {
        return write_https_redirect(location);
    }
    // A host that has no route at all only redirects: to everything else it is unknown.
    let status = if virtual_host.paths.is_empty() { "503" } else { "404" };
    location.directive("return", &[status.into()]);
}

/// `302` to the target, with the request's own path and query.
fn write_redirect(location: &mut Writer, redirect: &Redirect) {
    location.directive("return", &["302".into(), Word::join([(&redirect.target).into(), "$request_uri".into()])]);
}

/// The same address by HTTPS. Only a method that asks may become a GET.
fn write_https_redirect(location: &mut Writer) {
    let target: Word = "https://$host$https_port_suffix$request_uri".into();
    location.condition("$request_method !~ ^(GET|HEAD)$", |other| other.directive("return", &["308".into(), target.clone()]));
    location.directive("return", &["301".into(), target]);
}

/// A path on its segment borders: the path itself, and what is below it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Itself,
    Below,
}

/// A path answers for itself and for everything below it on a segment border: `/app` never catches `/apple`.
fn write_both(server: &mut Writer, path: &ContextPath, mut body: impl FnMut(&mut Writer, Part)) {
    if path.is_root() {
        return server.block("location", &["/".into()], |location| body(location, Part::Below));
    }
    server.block("location", &["=".into(), path.into()], |location| body(location, Part::Itself));
    server.block("location", &[Word::join([path.into(), "/".into()])], |location| body(location, Part::Below));
}

/// One route and where it stands.
struct Place<'a> {
    host: &'a HostPattern,
    path: &'a ContextPath,
    route: &'a PathRoute,
    virtual_host: &'a VirtualHost,
}

fn write_route(server: &mut Writer, rendering: &Rendering<'_>, place: &Place<'_>, taken: &dyn Fn(&ContextPath) -> bool) {
    let long_lived = place.route.websockets.contains(place.path);
    write_both(server, place.path, |location, part| {
        if place.route.rewrite && part == Part::Itself {
            let slash_added = Word::join([place.path.into(), "/$is_args$args".into()]);
            return location.directive("return", &["301".into(), slash_added]);
        }
        write_target(location, rendering, place, place.path, part, long_lived);
    });
    for websocket in place.route.websockets.iter().filter(|path| *path != place.path && place.owns(path) && !taken(path)) {
        write_both(server, websocket, |location, part| write_target(location, rendering, place, websocket, part, true));
    }
}

impl Place<'_> {
    /// Whether no longer route of the host has this path.
    fn owns(&self, path: &ContextPath) -> bool {
        let longer = |other: &&ContextPath| other.as_str().len() > self.path.as_str().len() && other.covers(path);
        !self.virtual_host.paths.keys().any(|other| longer(&other))
    }
}

fn write_target(location: &mut Writer, rendering: &Rendering<'_>, place: &Place<'_>, at: &ContextPath, part: Part, long_lived: bool) {
    let backend = &place.route.backend;
    if !is_served(backend, rendering) {
        return location.directive("return", &["503".into()]);
    }
    let mut target = Target { long_lived, ..Target::whole(backend, pool_name(place.host, place.path)) };
    // Requests below a path that is cut off; the whole site has nothing to cut.
    if place.route.rewrite && !place.path.is_root() {
        let rest = at.as_str().strip_prefix(place.path.as_str()).unwrap_or_default();
        target.cut = Some((place.path, Word::join([Word::path(rest), if part == Part::Below { "/".into() } else { "".into() }])));
    }
    proxying::write(location, rendering, &target);
}
