//! Which server of a cluster's configuration a request reaches, and which place in it. Like the renderer, uses only a route
//! table and its materials.

use super::misleading_paths::is_misleading;
use super::request::Request;
use crate::render::{BadPath, Materials};
use crate::route::{Backend, DefaultBackend, PathAction, PathMatch, RouteTable, TlsBinding, VirtualHost};
use crate::types::{ContextPath, HostPattern, Scheme};

/// Why a path is refused although the engines themselves would accept it.
const MISLEADING: &str = "an application may resolve this path to one outside the path at which it is published";

/// How a request is handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoutingDecision<'a> {
    /// The TLS handshake is refused.
    Refused(HandshakeRefusal<'a>),
    /// The connection is passed on unchanged.
    Passthrough(HostPattern, &'a Backend),
    /// The path is answered with 400 before any route is considered.
    BadPath(String),
    /// The host is not published, and there is no default backend: 503.
    UnknownHost,
    /// The default backend answers.
    Default(&'a DefaultBackend),
    /// A place of a published host answers.
    Match(HostPattern, &'a VirtualHost, PathMatch<'a>),
}

/// Why a TLS handshake is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandshakeRefusal<'a> {
    /// The client names no host, because it was given an address.
    NoName,
    /// The host is not published.
    UnknownHost,
    /// The host is published by plain HTTP only.
    PlainOnly(HostPattern),
    /// The host's certificate cannot be used.
    BadMaterial(HostPattern, &'a TlsBinding),
}

/// A request, with the facts found out about it.
struct RequestView<'r> {
    request: &'r Request,
    path: &'r Result<String, BadPath>,
    scheme: Scheme,
}

/// Decides. `scheme`: the one that the client used, whatever the connection.
pub fn decide<'a>(table: &'a RouteTable, materials: &Materials, request: &Request, scheme: Scheme) -> RoutingDecision<'a> {
    // TLS can only terminate in front if a load balancer states that it did.
    let view = &RequestView { request, path: &request.path(table.engine), scheme };
    let ends_in_front = table.https_port.is_none() && table.settings.client_address.is_some() && request.sent.is_none();
    match request.scheme {
        Scheme::Https if !ends_in_front => decide_tls(table, materials, view),
        Scheme::Http | Scheme::Https => decide_plain(table, view),
    }
}

fn decide_plain<'a>(table: &'a RouteTable, view: &RequestView<'_>) -> RoutingDecision<'a> {
    // An exact name takes precedence over a wildcard, even if it is passed through and answers nothing here.
    for pattern in HostPattern::matching(&view.request.host) {
        if let Some(host) = table.hosts.get(&pattern) {
            return at_host(pattern, host, view);
        }
        if table.passthrough.contains_key(&pattern) || table.closed.contains(&pattern) {
            return at_default(None, view);
        }
    }
    at_default(table.default_backend.as_ref(), view)
}

fn decide_tls<'a>(table: &'a RouteTable, materials: &Materials, view: &RequestView<'_>) -> RoutingDecision<'a> {
    let default = table.default_backend.as_ref().filter(|default| is_good(default.tls.as_ref(), materials));
    if !view.request.is_name {
        return default.map_or(RoutingDecision::Refused(HandshakeRefusal::NoName), |default| at_default(Some(default), view));
    }
    for pattern in HostPattern::matching(&view.request.host) {
        if let Some(backend) = table.passthrough.get(&pattern) {
            return RoutingDecision::Passthrough(pattern, backend);
        }
        if let Some(host) = table.hosts.get(&pattern) {
            return terminated(pattern, host, materials, view);
        }
        if table.closed.contains(&pattern) {
            return RoutingDecision::Refused(HandshakeRefusal::UnknownHost);
        }
    }
    default.map_or(RoutingDecision::Refused(HandshakeRefusal::UnknownHost), |default| at_default(Some(default), view))
}

/// A published host answers itself or not at all; a wildcard or the default backend never answers for it.
fn terminated<'a>(pattern: HostPattern, host: &'a VirtualHost, materials: &Materials, view: &RequestView<'_>) -> RoutingDecision<'a> {
    match &host.tls {
        Some(binding) if is_good(Some(binding), materials) => at_host(pattern, host, view),
        Some(binding) => RoutingDecision::Refused(HandshakeRefusal::BadMaterial(pattern, binding)),
        None => RoutingDecision::Refused(HandshakeRefusal::PlainOnly(pattern)),
    }
}

fn is_good(binding: Option<&TlsBinding>, materials: &Materials) -> bool {
    binding.is_some_and(|binding| materials.pair(binding).is_some())
}

fn at_default<'a>(default: Option<&'a DefaultBackend>, view: &RequestView<'_>) -> RoutingDecision<'a> {
    match (view.path, default) {
        (Err(bad), _) => RoutingDecision::BadPath(bad.to_string()),
        (Ok(_), Some(default)) => RoutingDecision::Default(default),
        (Ok(_), None) => RoutingDecision::UnknownHost,
    }
}

fn at_host<'a>(pattern: HostPattern, host: &'a VirtualHost, view: &RequestView<'_>) -> RoutingDecision<'a> {
    match view.path {
        Err(bad) => RoutingDecision::BadPath(bad.to_string()),
        Ok(_) if host.is_shared_by_path() && is_misleading(view.request.requested_path()) => {
            RoutingDecision::BadPath(MISLEADING.to_owned())
        }
        Ok(path) => {
            let unknown = || PathMatch { path: ContextPath::root(), answer: PathAction::NoRoute };
            RoutingDecision::Match(pattern, host, host.path_match(view.scheme, path).unwrap_or_else(unknown))
        }
    }
}
