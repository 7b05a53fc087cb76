//! What a location answers: an application, a redirect or an error. Which locations there are is decided in `locations` and
//! `forwarded_scheme_locations`.

use super::proxy_directives::{self, ProxyTarget};
use super::upstreams::{default_pool, is_served, pool_name};
use super::writer::{Word, Writer};
use super::{Rendering, client_address};
use crate::route::{Application, Backend, PathAction, Redirect};
use crate::types::{ContextPath, HostPattern};

/// Writes the content of a place's location.
pub fn write_answer(
    location: &mut Writer,
    rendering: &Rendering<'_>,
    host: &HostPattern,
    path: &ContextPath,
    answer: &PathAction<'_>,
    part: PathPart,
) {
    match answer {
        PathAction::Redirect(redirect) => write_redirect(location, redirect),
        PathAction::Https => write_https_redirect(location, rendering),
        PathAction::Application(application) => write_application(location, rendering, host, path, application, part),
        PathAction::NoPath => location.directive("return", &["404".into()]),
        PathAction::NoRoute => location.directive("return", &["503".into()]),
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
pub fn write_https_redirect(location: &mut Writer, rendering: &Rendering<'_>) {
    let target = https_address(rendering);
    location.condition("$request_method !~ ^(GET|HEAD)$", |other| other.directive("return", &["308".into(), target.clone()]));
    location.directive("return", &["301".into(), target]);
}

/// The two parts of a path on its segment borders: the path itself, and everything below it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PathPart {
    /// The path itself.
    Itself,
    /// Everything below it.
    Below,
}

/// A path matches itself and everything below it on a segment border: `/app` never matches `/apple`.
pub fn write_both(server: &mut Writer, path: &ContextPath, mut body: impl FnMut(&mut Writer, PathPart)) {
    if path.is_root() {
        return server.block("location", &["/".into()], |location| body(location, PathPart::Below));
    }
    server.block("location", &["=".into(), path.into()], |location| body(location, PathPart::Itself));
    server.block("location", &[Word::join([path.into(), "/".into()])], |location| body(location, PathPart::Below));
}

fn write_application(
    location: &mut Writer,
    rendering: &Rendering<'_>,
    host: &HostPattern,
    at: &ContextPath,
    application: &Application<'_>,
    part: PathPart,
) {
    let (root, route) = (application.root, application.route);
    if route.rewrite && part == PathPart::Itself && at == root {
        let slash_added = Word::join([root.into(), "/$is_args$args".into()]);
        return location.directive("return", &["301".into(), slash_added]);
    }
    if !is_served(&route.backend, rendering) {
        return location.directive("return", &["503".into()]);
    }
    let mut target = ProxyTarget { long_lived: application.long_lived, ..ProxyTarget::whole(&route.backend, pool_name(host, root)) };
    // Requests below a path that is cut off; for the whole site there is nothing to cut.
    if route.rewrite && !root.is_root() {
        location.directive("set", &["$cut_path".into(), root.into()]);
        let rest = at.as_str().strip_prefix(root.as_str()).unwrap_or_default();
        target.cut = Some((root, Word::join([Word::path(rest), if part == PathPart::Below { "/".into() } else { "".into() }])));
    }
    proxy_directives::write(location, rendering, &target);
}

/// Writes the content of the default backend's location, or 503.
pub fn write_default_backend(location: &mut Writer, rendering: &Rendering<'_>, backend: Option<&Backend>) {
    match backend.filter(|backend| is_served(backend, rendering)) {
        Some(backend) => proxy_directives::write(location, rendering, &ProxyTarget::whole(backend, default_pool())),
        None => location.directive("return", &["503".into()]),
    }
}
