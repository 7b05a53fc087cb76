//! Hosts and paths: which server block a request reaches, and which location in it. The same routes are written for plain
//! HTTP and for TLS; only redirects differ.

use super::proxy_directives::{self, Target};
use super::upstreams::{default_pool, is_served, pool_name};
use super::writer::{Word, Writer};
use super::{Purpose, Rendering, client_address, forwarded_scheme_locations, listeners, main_context, path_escapes, tls};
use crate::route::{Answer, Application, Backend, Redirect, VirtualHost};
use crate::types::{ContextPath, HostPattern, Scheme};

/// Writes all servers, in the order of their names.
pub fn write_servers(http: &mut Writer, rendering: &Rendering<'_>) {
    write_default_server(http, rendering);
    for (host, virtual_host) in &rendering.table.hosts {
        http.block("server", &[], |server| {
            listeners::write(server, rendering, rendering.table.http_port, &[]);
            server.directive("server_name", &[server_name(host)]);
            write_locations(server, rendering, host, virtual_host, Scheme::Http);
        });
    }
    write_hosts_without_answer(http, rendering);
    tls::write_servers(http, rendering);
    if rendering.purpose != Purpose::Stock {
        main_context::write_status_server(http, rendering);
    }
}

/// Hosts that are only passed through, and those that are closed: their plain HTTP requests must not reach another
/// application, be it the default backend or a wildcard, over which an exact host takes precedence. One server for all of
/// them.
fn write_hosts_without_answer(http: &mut Writer, rendering: &Rendering<'_>) {
    let (hosts, default) = (&rendering.table.hosts, &rendering.table.default_backend);
    let caught = |host: &HostPattern| default.is_some() || HostPattern::fitting(host.as_str()).any(|pattern| hosts.contains_key(&pattern));
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
            Some(default) if default.https_only && forwarded_scheme_locations::is_told(rendering) => {
                forwarded_scheme_locations::write_default(server, rendering, &default.backend);
            }
            Some(default) if default.https_only => {
                server.block("location", &["/".into()], |location| write_https_redirect(location, rendering));
            }
            default => write_default_location(server, rendering, default.map(|default| &default.backend)),
        }
    });
}

/// Writes the only location of the default backend, or 503.
pub fn write_default_location(server: &mut Writer, rendering: &Rendering<'_>, backend: Option<&Backend>) {
    server.block("location", &["/".into()], |location| write_default_backend(location, rendering, backend));
}

/// Writes the content of that location.
pub fn write_default_backend(location: &mut Writer, rendering: &Rendering<'_>, backend: Option<&Backend>) {
    match backend.filter(|backend| is_served(backend, rendering)) {
        Some(backend) => proxy_directives::write(location, rendering, &Target::whole(backend, default_pool())),
        None => location.directive("return", &["503".into()]),
    }
}

/// nginx's own `*.example.org` would also match `a.b.example.org`; our wildcards are exactly one label, so they are
/// patterns. Exact names still take precedence, and no name matches two of our patterns.
pub fn server_name(host: &HostPattern) -> Word {
    if host.is_wildcard() { Word::one_label_wildcard(host) } else { host.into() }
}

/// Writes the routes of a host, as requests of one scheme see them. The order is for readers: nginx uses the longest prefix.
pub fn write_locations(server: &mut Writer, rendering: &Rendering<'_>, host: &HostPattern, virtual_host: &VirtualHost, scheme: Scheme) {
    path_escapes::write_refusal(server, virtual_host);
    if forwarded_scheme_locations::is_told(rendering) {
        return forwarded_scheme_locations::write_locations(server, rendering, host, virtual_host);
    }
    for place in virtual_host.places(scheme) {
        write_both(server, &place.path, |location, part| write_answer(location, rendering, host, &place.path, &place.answer, part));
    }
}

/// Writes the content of a place's location.
pub fn write_answer(
    location: &mut Writer,
    rendering: &Rendering<'_>,
    host: &HostPattern,
    path: &ContextPath,
    answer: &Answer<'_>,
    part: Part,
) {
    match answer {
        Answer::Redirect(redirect) => write_redirect(location, redirect),
        Answer::Https => write_https_redirect(location, rendering),
        Answer::Application(application) => write_application(location, rendering, host, path, application, part),
        Answer::NoPath => location.directive("return", &["404".into()]),
        Answer::NoRoute => location.directive("return", &["503".into()]),
    }
}

/// Writes a `302` to the target, with the request's own path and query.
fn write_redirect(location: &mut Writer, redirect: &Redirect) {
    location.directive("return", &["302".into(), Word::join([(&redirect.target).into(), "$request_uri".into()])]);
}

/// The same address by HTTPS.
pub fn https_address(rendering: &Rendering<'_>) -> Word {
    let host = client_address::host(&rendering.table.settings);
    Word::join(["https://".into(), host.into(), "$https_port_suffix$request_uri".into()])
}

/// Writes a redirect to the same address by HTTPS. Only GET and HEAD may become a GET.
fn write_https_redirect(location: &mut Writer, rendering: &Rendering<'_>) {
    let target = https_address(rendering);
    location.condition("$request_method !~ ^(GET|HEAD)$", |other| other.directive("return", &["308".into(), target.clone()]));
    location.directive("return", &["301".into(), target]);
}

/// The two parts of a path on its segment borders: the path itself, and everything below it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The path itself.
    Itself,
    /// Everything below it.
    Below,
}

/// A path matches itself and everything below it on a segment border: `/app` never matches `/apple`.
pub fn write_both(server: &mut Writer, path: &ContextPath, mut body: impl FnMut(&mut Writer, Part)) {
    if path.is_root() {
        return server.block("location", &["/".into()], |location| body(location, Part::Below));
    }
    server.block("location", &["=".into(), path.into()], |location| body(location, Part::Itself));
    server.block("location", &[Word::join([path.into(), "/".into()])], |location| body(location, Part::Below));
}

fn write_application(
    location: &mut Writer,
    rendering: &Rendering<'_>,
    host: &HostPattern,
    at: &ContextPath,
    application: &Application<'_>,
    part: Part,
) {
    let (root, route) = (application.root, application.route);
    if route.rewrite && part == Part::Itself && at == root {
        let slash_added = Word::join([root.into(), "/$is_args$args".into()]);
        return location.directive("return", &["301".into(), slash_added]);
    }
    if !is_served(&route.backend, rendering) {
        return location.directive("return", &["503".into()]);
    }
    let mut target = Target { long_lived: application.long_lived, ..Target::whole(&route.backend, pool_name(host, root)) };
    // Requests below a path that is cut off; for the whole site there is nothing to cut.
    if route.rewrite && !root.is_root() {
        location.directive("set", &["$cut_path".into(), root.into()]);
        let rest = at.as_str().strip_prefix(root.as_str()).unwrap_or_default();
        target.cut = Some((root, Word::join([Word::path(rest), if part == Part::Below { "/".into() } else { "".into() }])));
    }
    proxy_directives::write(location, rendering, &target);
}
