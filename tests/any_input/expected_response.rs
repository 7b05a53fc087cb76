//! The response that a request must get according to the route table alone. Reimplements what the table's types promise,
//! without looking at any configuration.

use std::collections::BTreeSet;

use swarmgate::render::ConfigPurpose;
use swarmgate::route::{Backend, BackendService, MaterialRef, RouteTable, TlsBinding, Verification, VirtualHost};
use swarmgate::types::{ContextPath, HostPattern, Scheme};

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedResponse {
    /// The proxy passes the request to one of these servers, under this path.
    Passed { servers: BTreeSet<String>, path: String },
    /// The proxy redirects the request.
    Redirect { status: u16, target: String },
    /// The proxy answers with this status.
    Status(u16),
}

/// A kind of request: its purpose and scheme.
#[derive(Debug, Clone, Copy)]
pub struct RequestKind {
    pub purpose: ConfigPurpose,
    pub scheme: Scheme,
}

/// Whether both objects exist, which in these tests means that they are valid.
pub fn is_good(binding: &TlsBinding) -> bool {
    binding.objects().all(|object| object.id.is_some())
}

/// Whether the host is published over TLS that the proxy terminates.
pub fn is_terminated(table: &RouteTable, host: &VirtualHost) -> bool {
    table.https_port.is_some() && host.tls.as_ref().is_some_and(is_good)
}

/// The addresses that may receive a pool's requests, or the names while no addresses are known.
pub fn servers(backend: &Backend, purpose: ConfigPurpose) -> BTreeSet<String> {
    let verifiable = match &backend.protocol.tls {
        Some(Verification::Authority(MaterialRef { id, .. })) => id.is_some(),
        _ => true,
    };
    if !verifiable {
        return BTreeSet::new();
    }
    if purpose != ConfigPurpose::Boot {
        let endpoints = backend.services.iter().flat_map(|service| &service.endpoints);
        return endpoints.map(|endpoint| std::net::SocketAddr::new(endpoint.address, endpoint.port.get()).to_string()).collect();
    }
    let stated: u32 = backend.services.iter().filter_map(|service| service.weight).map(u32::from).sum();
    let some_stated = backend.services.iter().any(|service| service.weight.is_some());
    let counts = |weight: Option<u8>| weight.map_or(!some_stated || stated < 100, |weight| weight > 0);
    let names = backend.services.iter().filter(|service| counts(service.weight));
    let network = |service: &BackendService| service.network.as_ref().map_or_else(String::new, |network| format!(".{network}"));
    names.map(|service| format!("tasks.{}{}:{}", service.name, network(service), service.port)).collect()
}

/// The outcome of a request for `path` of a published host.
pub fn host_answer(host: &VirtualHost, path: &str, kind: RequestKind) -> ExpectedResponse {
    let is_below = |covering: &ContextPath| covering.is_root() || path == covering.as_str() || path.starts_with(&format!("{covering}/"));
    let redirects = host.redirects.iter().filter(|redirect| redirect.scheme == kind.scheme && is_below(&redirect.path));
    let redirect = redirects.max_by_key(|redirect| redirect.path.as_str().len());
    let route = host.paths.iter().filter(|(covering, _)| is_below(covering)).max_by_key(|(covering, _)| covering.as_str().len());
    let whole = host.redirects.iter().any(|redirect| redirect.scheme == kind.scheme && redirect.path.is_root());
    match (redirect, route) {
        (Some(redirect), route) if whole || route.is_none_or(|(path, _)| path.as_str().len() <= redirect.path.as_str().len()) => {
            // A redirect of the whole site leaves nothing for the host's other redirects and routes.
            let whole_site = host.redirects.iter().find(|redirect| whole && redirect.scheme == kind.scheme && redirect.path.is_root());
            let target = &whole_site.unwrap_or(redirect).target;
            ExpectedResponse::Redirect { status: 302, target: format!("{target}$request_uri") }
        }
        (_, Some((_, route))) if route.https_only && kind.scheme == Scheme::Http => to_https(),
        (_, Some((covering, route))) if route.rewrite && !covering.is_root() && path == covering.as_str() => {
            ExpectedResponse::Redirect { status: 301, target: format!("{covering}/$is_args$args") }
        }
        (_, Some((covering, route))) => {
            let cut = if route.rewrite && !covering.is_root() { path.strip_prefix(covering.as_str()).unwrap_or(path) } else { path };
            pool_answer(&route.backend, cut, kind)
        }
        (_, None) if host.https_only && kind.scheme == Scheme::Http => to_https(),
        (_, None) => ExpectedResponse::Status(if host.paths.is_empty() { 503 } else { 404 }),
    }
}

/// The outcome of a request that no host of the table answers.
pub fn default_answer(table: &RouteTable, path: &str, kind: RequestKind) -> ExpectedResponse {
    match &table.default_backend {
        Some(default) if kind.scheme == Scheme::Https && !default_has_tls(table, kind.purpose) => {
            let _ = default;
            ExpectedResponse::Status(421)
        }
        None if kind.scheme == Scheme::Https => ExpectedResponse::Status(421),
        Some(default) if default.https_only && kind.scheme == Scheme::Http => to_https(),
        Some(default) => pool_answer(&default.backend, path, kind),
        None => ExpectedResponse::Status(503),
    }
}

/// Whether unpublished names are answered over TLS: never when a proxy starts without a control plane to ask.
pub fn default_has_tls(table: &RouteTable, purpose: ConfigPurpose) -> bool {
    let binding = table.default_backend.as_ref().and_then(|default| default.tls.as_ref());
    purpose != ConfigPurpose::Boot && table.https_port.is_some() && binding.is_some_and(is_good)
}

fn pool_answer(backend: &Backend, path: &str, kind: RequestKind) -> ExpectedResponse {
    let servers = servers(backend, kind.purpose);
    if servers.is_empty() { ExpectedResponse::Status(503) } else { ExpectedResponse::Passed { servers, path: path.to_owned() } }
}

/// The redirect of a GET to the same address over TLS.
fn to_https() -> ExpectedResponse {
    ExpectedResponse::Redirect { status: 301, target: "https://$host$https_port_suffix$request_uri".to_owned() }
}

/// Requests worth making to this host: at, below and beside each of its paths, and some at its root.
pub fn probes(host: &VirtualHost) -> BTreeSet<String> {
    let routes = host.paths.iter().flat_map(|(path, route)| std::iter::once(path).chain(&route.websockets));
    let paths = routes.chain(host.redirects.iter().map(|redirect| &redirect.path)).filter(|path| !path.is_root());
    let around = paths.flat_map(|path| [path.to_string(), format!("{path}/"), format!("{path}/x/y"), format!("{path}x")]);
    around.chain(["/", "/x"].map(str::to_owned)).collect()
}

/// A host's name as the table's own types write it, or an empty string.
pub fn host_name(host: Option<&HostPattern>) -> String {
    host.map(ToString::to_string).unwrap_or_default()
}
