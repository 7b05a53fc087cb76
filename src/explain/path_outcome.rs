//! The end of a walk at a published host: a redirect, an application, or the exact reason why this path has none.

use super::explanation::{TraceOutcome, TraceSubject};
use super::trace_state::TraceState;
use super::{route_backend, step};
use crate::render::CutRequest;
use crate::route::{Application, PathAction, PathMatch, Redirect, VirtualHost};
use crate::types::{ContextPath, HostPattern, RouteKey, Scheme};

/// The answer of the place.
pub(super) fn at(
    walk: &mut TraceState<'_>,
    pattern: &HostPattern,
    host: &VirtualHost,
    place: &PathMatch<'_>,
) -> Result<TraceOutcome, TraceOutcome> {
    match &place.answer {
        PathAction::Redirect(redirect) => Ok(redirected(walk, pattern, redirect)),
        PathAction::Https => {
            let by = walk.services_with("ssl_only", pattern).join(", ");
            walk.steps.push(step(TraceSubject::Redirect, format!("plain HTTP is redirected to HTTPS (com.docker.lb.ssl_only of {by})")));
            Ok(to_https(walk))
        }
        PathAction::Application(application) => applied(walk, pattern, host, place, application),
        PathAction::NoPath => Err(no_path(walk, pattern, host)),
        PathAction::NoRoute => Err(no_route(pattern)),
    }
}

fn redirected(walk: &mut TraceState<'_>, pattern: &HostPattern, redirect: &Redirect) -> TraceOutcome {
    let by = walk.services_with("redirects", pattern).join(", ");
    let source = format!("{}://{pattern}{}", redirect.scheme.as_str(), if redirect.path.is_root() { "" } else { redirect.path.as_str() });
    walk.steps.push(step(TraceSubject::Redirect, format!("{source} redirects to {} (com.docker.lb.redirects of {by})", redirect.target)));
    TraceOutcome::Redirect {
        status: walk.behavior().status_codes().redirect,
        location: format!("{}{}", redirect.target, walk.request.target),
    }
}

/// The same address by HTTPS. It contains the port only for clients that name one themselves.
pub(super) fn to_https(walk: &mut TraceState<'_>) -> TraceOutcome {
    let (request, asked) = (walk.request, walk.asked.clone());
    let published = walk.translation.table.https_published.map_or(443, crate::types::Port::get);
    let port = if asked.names_port && published != 443 { format!(":{published}") } else { String::new() };
    let codes = walk.behavior().status_codes();
    let says = format!("{}, or {} for methods other than GET and HEAD", codes.to_https, codes.to_https_other_methods);
    walk.steps.push(step(TraceSubject::Redirect, says));
    TraceOutcome::Redirect { status: codes.to_https, location: format!("https://{}{port}{}", asked.host, request.target) }
}

fn no_path(walk: &TraceState<'_>, pattern: &HostPattern, host: &VirtualHost) -> TraceOutcome {
    let reason = format!("{pattern} is published only at {}, which does not include {}", paths(host), shown(walk));
    let case = host.paths.keys().find(|path| path_fits_without_case(path, walk));
    let remedy = match case {
        Some(path) => format!("Paths are case-sensitive: did you mean {path}?"),
        None => "Use one of these paths, or publish this one with com.docker.lb.context_root.".to_owned(),
    };
    TraceOutcome::nobody(Some(404), reason, remedy)
}

fn path_fits_without_case(path: &ContextPath, walk: &TraceState<'_>) -> bool {
    let lower = ContextPath::parse(&path.as_str().to_ascii_lowercase());
    lower.is_ok_and(|lower| lower.covers_request(&shown(walk).to_ascii_lowercase()))
}

fn no_route(pattern: &HostPattern) -> TraceOutcome {
    let reason = format!("{pattern} is published only for redirects or TLS, and none of them matches this request");
    TraceOutcome::nobody(Some(503), reason, "Use the other scheme, or publish the host on a service without ssl_passthrough.")
}

fn paths(host: &VirtualHost) -> String {
    host.paths.keys().map(ContextPath::as_str).collect::<Vec<_>>().join(", ")
}

/// The path as routes see it.
fn shown(walk: &TraceState<'_>) -> String {
    walk.request.path(walk.translation.table.engine).unwrap_or_default()
}

fn applied(
    walk: &mut TraceState<'_>,
    pattern: &HostPattern,
    host: &VirtualHost,
    place: &PathMatch<'_>,
    application: &Application<'_>,
) -> Result<TraceOutcome, TraceOutcome> {
    let (root, route, path) = (application.root, application.route, shown(walk));
    let others = if host.paths.len() > 1 { format!("; the longest match among {}", paths(host)) } else { String::new() };
    walk.steps.push(step(TraceSubject::Path, format!("{root}{others}")));
    if application.root != &place.path {
        walk.steps.push(step(TraceSubject::Path, format!("{} from websocket_endpoints", place.path)));
        walk.route = walk.report(&RouteKey::new(pattern, root), crate::report::RouteKind::Http);
    }
    let cut = route.rewrite && !root.is_root();
    let by = if route.rewrite { walk.services_with("context_root_rewrite", pattern).join(", ") } else { String::new() };
    if cut && path == root.as_str() {
        walk.steps
            .push(step(TraceSubject::Redirect, format!("a slash is added, because {root} is removed (context_root_rewrite of {by})")));
        let status = walk.behavior().status_codes().added_slash;
        return Ok(TraceOutcome::Redirect { status, location: format!("{root}/{}", walk.request.query()) });
    }
    walk.pool(&route.backend, "503")?;
    let target = if cut {
        let http2 = route.backend.protocol.http2;
        let cut = CutRequest { path: &path, asked: walk.request.asked_path(), root: root.as_str(), http2 };
        let target = format!("{}{}", walk.behavior().cut_path(&cut), walk.request.query());
        walk.steps.push(step(TraceSubject::Sees, format!("{target}: {root} is removed (com.docker.lb.context_root_rewrite of {by})")));
        let prefix = walk.behavior().prefix_header();
        walk.steps.push(step(TraceSubject::Headers, format!("to the application: {prefix} with the value {root}")));
        target
    } else {
        walk.steps.push(step(TraceSubject::Sees, format!("{}, unchanged", walk.request.target)));
        walk.request.target.clone()
    };
    route_backend::manner(&route.backend, &walk.translation.table, &mut walk.steps);
    route_backend::streams(application, &walk.translation.table.settings, &mut walk.steps);
    note_plain(walk, host);
    Ok(TraceOutcome::Application { services: walk.names_of(&route.backend), target: Some(target) })
}

/// A host that has TLS and is requested without it.
fn note_plain(walk: &mut TraceState<'_>, host: &VirtualHost) {
    let told = walk.route.as_ref().and_then(|route| route.tls.as_ref());
    let shown = host.tls.as_ref().is_some_and(|binding| walk.materials.pair(binding).is_some());
    if walk.asked.scheme == Scheme::Http && shown && told.is_none_or(|tls| tls.state.is_usable()) {
        walk.steps.push(step(TraceSubject::Tls, "the host is also published over TLS; com.docker.lb.ssl_only=true would redirect to it"));
    }
}
