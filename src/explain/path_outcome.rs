//! The end of a walk at a published host: a redirect, an application, or the exact reason why this path has none.

use super::explanation::{TraceOutcome, TraceSubject};
use super::trace_state::TraceState;
use super::{route_backend, step};
use crate::render::CutRequest;
use crate::route::{Application, PathAction, PathMatch, Redirect, VirtualHost};
use crate::types::{ContextPath, HostPattern, RouteKey, Scheme};

/// The answer of the place.
pub(super) fn path_outcome(
    trace: &mut TraceState<'_>,
    pattern: &HostPattern,
    host: &VirtualHost,
    matched: &PathMatch<'_>,
) -> Result<TraceOutcome, TraceOutcome> {
    match &matched.answer {
        PathAction::Redirect(redirect) => Ok(redirected(trace, pattern, redirect)),
        PathAction::Https => {
            let by = trace.services_with("ssl_only", pattern).join(", ");
            trace.steps.push(step(TraceSubject::Redirect, format!("plain HTTP is redirected to HTTPS (com.docker.lb.ssl_only of {by})")));
            Ok(redirect_to_https(trace))
        }
        PathAction::Application(application) => applied(trace, pattern, host, matched, application),
        PathAction::NoPath => Err(no_path(trace, pattern, host)),
        PathAction::NoRoute => Err(no_route(pattern)),
    }
}

fn redirected(trace: &mut TraceState<'_>, pattern: &HostPattern, redirect: &Redirect) -> TraceOutcome {
    let by = trace.services_with("redirects", pattern).join(", ");
    let source = format!("{}://{pattern}{}", redirect.scheme.as_str(), if redirect.path.is_root() { "" } else { redirect.path.as_str() });
    trace.steps.push(step(TraceSubject::Redirect, format!("{source} redirects to {} (com.docker.lb.redirects of {by})", redirect.target)));
    let location = format!("{}{}", redirect.target, trace.request.target);
    let refused = trace.refused_at(&redirect.target, &location);
    TraceOutcome::Redirect { status: trace.behavior().status_codes().redirect, location, refused }
}

/// The same address by HTTPS. It contains the port only for clients that name one themselves.
pub(super) fn redirect_to_https(trace: &mut TraceState<'_>) -> TraceOutcome {
    let (request, effective) = (trace.request, trace.effective.clone());
    let published = trace.translation.table.https_published.map_or(443, crate::types::Port::get);
    let port = if effective.names_port && published != 443 { format!(":{published}") } else { String::new() };
    let codes = trace.behavior().status_codes();
    let message = format!("{}, or {} for methods other than GET and HEAD", codes.to_https, codes.to_https_other_methods);
    trace.steps.push(step(TraceSubject::Redirect, message));
    let location = format!("https://{}{port}{}", effective.host, request.target);
    TraceOutcome::Redirect { status: codes.to_https, location, refused: trace.refused_target() }
}

fn no_path(trace: &TraceState<'_>, pattern: &HostPattern, host: &VirtualHost) -> TraceOutcome {
    let reason = format!("{pattern} is published only at {}, which does not include {}", paths(host), shown(trace));
    let case = host.paths.keys().find(|path| path_fits_without_case(path, trace));
    let remedy = match case {
        Some(path) => format!("Paths are case-sensitive: did you mean {path}?"),
        None => "Use one of these paths, or publish this one with com.docker.lb.context_root.".to_owned(),
    };
    TraceOutcome::not_served(Some(404), reason, remedy)
}

fn path_fits_without_case(path: &ContextPath, trace: &TraceState<'_>) -> bool {
    let lower = ContextPath::parse(&path.as_str().to_ascii_lowercase());
    lower.is_ok_and(|lower| lower.covers_request(&shown(trace).to_ascii_lowercase()))
}

fn no_route(pattern: &HostPattern) -> TraceOutcome {
    let reason = format!("{pattern} is published only for redirects or TLS, and none of them matches this request");
    TraceOutcome::not_served(Some(503), reason, "Use the other scheme, or publish the host on a service without ssl_passthrough.")
}

fn paths(host: &VirtualHost) -> String {
    host.paths.keys().map(ContextPath::as_str).collect::<Vec<_>>().join(", ")
}

/// The path as routes see it.
fn shown(trace: &TraceState<'_>) -> String {
    trace.request.path(trace.translation.table.engine).unwrap_or_default()
}

fn applied(
    trace: &mut TraceState<'_>,
    pattern: &HostPattern,
    host: &VirtualHost,
    matched: &PathMatch<'_>,
    application: &Application<'_>,
) -> Result<TraceOutcome, TraceOutcome> {
    let (root, route, path) = (application.root, application.route, shown(trace));
    let others = if host.paths.len() > 1 { format!("; the longest match among {}", paths(host)) } else { String::new() };
    trace.steps.push(step(TraceSubject::Path, format!("{root}{others}")));
    if application.root != &matched.path {
        trace.steps.push(step(TraceSubject::Path, format!("{} from websocket_endpoints", matched.path)));
        trace.route = trace.report(&RouteKey::new(pattern, root), crate::report::RouteKind::Http);
    }
    let cut = route.rewrite && !root.is_root();
    let by = if route.rewrite { trace.services_with("context_root_rewrite", pattern).join(", ") } else { String::new() };
    if cut && path == root.as_str() {
        trace
            .steps
            .push(step(TraceSubject::Redirect, format!("a slash is added, because {root} is removed (context_root_rewrite of {by})")));
        let status = trace.behavior().status_codes().added_slash;
        return Ok(TraceOutcome::redirect(status, format!("{root}/{}", trace.request.query())));
    }
    trace.pool(&route.backend, "503")?;
    let target = if cut {
        let http2 = route.backend.protocol.http2;
        let cut = CutRequest { path: &path, requested: trace.request.requested_path(), root: root.as_str(), http2 };
        let target = format!("{}{}", trace.behavior().cut_path(&cut), trace.request.query());
        trace.steps.push(step(TraceSubject::Sees, format!("{target}: {root} is removed (com.docker.lb.context_root_rewrite of {by})")));
        let prefix = trace.behavior().prefix_header();
        trace.steps.push(step(TraceSubject::Headers, format!("to the application: {prefix} with the value {root}")));
        target
    } else {
        trace.steps.push(step(TraceSubject::Sees, format!("{}, unchanged", trace.request.target)));
        trace.request.target.clone()
    };
    route_backend::trace_protocol(&route.backend, &trace.translation.table, &mut trace.steps);
    route_backend::trace_streams(application, &trace.translation.table.settings, &mut trace.steps);
    note_plain(trace, host);
    Ok(TraceOutcome::Application { services: trace.names_of(&route.backend), target: Some(target) })
}

/// A host that has TLS and is requested without it.
fn note_plain(trace: &mut TraceState<'_>, host: &VirtualHost) {
    let tls = trace.route.as_ref().and_then(|route| route.tls.as_ref());
    let shown = host.tls.as_ref().is_some_and(|binding| trace.materials.pair(binding).is_some());
    if trace.effective.scheme == Scheme::Http && shown && tls.is_none_or(|tls| tls.state.is_usable()) {
        trace.steps.push(step(TraceSubject::Tls, "the host is also published over TLS; com.docker.lb.ssl_only=true would redirect to it"));
    }
}
