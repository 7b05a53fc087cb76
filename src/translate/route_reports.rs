//! Builds the reports about routes: services, endpoints and shares, and why an endpoint gets no requests. Decides nothing:
//! the endpoints that get requests are already chosen.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::TranslationContext;
use super::budget::DroppedRoute;
use super::endpoints::{CandidateEndpoint, ServiceEndpoints};
use super::host_settings::Members;
use super::pool::Pool;
use crate::report::cases::NoEndpoints;
use crate::report::{EndpointReport, EndpointState, Finding, RouteKind, RouteReport, RouteState, ServiceReport, TlsReport, TlsState};
use crate::route::{Backend, BackendService, Redirect, RouteTable, TlsBinding};
use crate::types::{HostKey, HostPattern, RouteKey, Scheme};

/// Why the route of a closed service answers 503.
const CLOSED: &str = "a label of the service looks like access control but is unknown, so the service is closed";

/// Whether a route answers 503 because its service is closed: only a change of its labels helps.
pub fn is_closed(route: &RouteReport) -> bool {
    route.state == RouteState::NoEndpoints && route.reason.as_deref() == Some(CLOSED)
}

/// One route to applications.
pub fn route(context: &TranslationContext<'_>, key: &RouteKey, members: &Members<'_>, pool: &Pool) -> RouteReport {
    let served = pool.backend.services.iter().any(|service| !service.endpoints.is_empty());
    let waits = waits(members).filter(|_| !served);
    let shares = pool.backend.shares_permille();
    let parts = members.iter().zip(&pool.backend.services).zip(shares);
    RouteReport {
        host: key.host.clone(),
        path: key.path.clone(),
        state: match (served, waits) {
            (true, _) => RouteState::Served,
            (false, Some(_)) => RouteState::Pending,
            (false, None) => RouteState::NoEndpoints,
        },
        kind: RouteKind::Http,
        target: None,
        tls: None,
        reason: waits.map(str::to_owned).or_else(|| members.first().filter(|_| !served).map(|oldest| why_not(oldest).0)),
        services: parts.map(|((member, service), share)| service_report(context, member, service, share, pool.only_reachable)).collect(),
    }
}

/// A host whose TLS is passed through.
pub fn passthrough(context: &TranslationContext<'_>, host: &HostPattern, members: &Members<'_>, pool: &Pool) -> RouteReport {
    RouteReport { kind: RouteKind::Passthrough, ..route(context, &RouteKey::site(host), members, pool) }
}

/// A redirect. Its path shows the scheme that it applies to.
pub fn redirect(host: &HostPattern, redirect: &Redirect) -> RouteReport {
    let scheme = if redirect.scheme == Scheme::Https { "https" } else { "http" };
    RouteReport {
        host: host.into(),
        path: redirect.path.clone(),
        state: RouteState::Served,
        kind: RouteKind::Redirect,
        target: Some(format!("{} (from {scheme})", redirect.target)),
        tls: None,
        reason: None,
        services: Vec::new(),
    }
}

/// A route that a service loses to a limit.
pub fn dropped_route(lost: &DroppedRoute) -> RouteReport {
    RouteReport {
        host: lost.key.host.clone(),
        path: lost.key.path.clone(),
        state: RouteState::OverLimit,
        kind: RouteKind::Http,
        target: None,
        tls: None,
        reason: Some(format!("the service {} requests more than {}", lost.service, lost.left)),
        services: vec![ServiceReport { service: lost.service.clone(), share_permille: 0, endpoints: Vec::new() }],
    }
}

/// The applications behind a route that leads to any.
pub fn backend_of<'a>(table: &'a RouteTable, route: &RouteReport) -> Option<&'a Backend> {
    match (route.kind, &route.host) {
        (RouteKind::Redirect | RouteKind::Passthrough, _) => None,
        (RouteKind::Http, HostKey::DefaultBackend) => table.default_backend.as_ref().map(|default| &default.backend),
        (RouteKind::Http, HostKey::Host(host)) => table.hosts.get(host)?.paths.get(&route.path).map(|route| &route.backend),
    }
}

/// What is known here about a host's TLS: whether its objects exist. Only the extension can read certificates.
pub fn tls(binding: &TlsBinding) -> TlsReport {
    let is_missing = binding.missing().next().is_some();
    TlsReport {
        certificate: binding.certificate.name.to_string(),
        key: binding.key_object().name.to_string(),
        state: if is_missing { TlsState::Missing } else { TlsState::Unknown },
        not_before: None,
        not_after: None,
    }
}

/// Why a route has no endpoint yet, if that is because proxies have to get a network first.
pub fn waits<'a>(members: &Members<'a>) -> Option<&'a str> {
    members.iter().find_map(|member| member.waits.as_deref())
}

fn service_report(
    context: &TranslationContext<'_>,
    member: &ServiceEndpoints<'_>,
    service: &BackendService,
    share: u16,
    only_reachable: bool,
) -> ServiceReport {
    let weightless = service.endpoints.is_empty();
    let candidates = member.candidates.iter().map(|candidate| {
        let waits = !candidate.reachable && only_reachable;
        let why = if waits { Some(waiting(context, candidate)) } else { weightless.then(|| weightless_text(service)) };
        endpoint_report(candidate, why)
    });
    ServiceReport {
        service: member.published.service.name.clone(),
        share_permille: share,
        endpoints: candidates.chain(member.excluded.iter().cloned()).collect(),
    }
}

fn waiting(context: &TranslationContext<'_>, candidate: &CandidateEndpoint) -> String {
    let network = candidate.network.as_ref().map(|id| context.network_name(id)).unwrap_or_default();
    format!("not every proxy is attached to the network {network} yet")
}

fn weightless_text(service: &BackendService) -> String {
    match service.weight {
        Some(weight) => format!("the service has the weight {weight}"),
        None => "the services with weights get all requests of the pool".to_owned(),
    }
}

fn endpoint_report(candidate: &CandidateEndpoint, why_not: Option<String>) -> EndpointReport {
    let endpoint = &candidate.endpoint;
    EndpointReport {
        address: SocketAddr::new(endpoint.address, endpoint.port.get()).to_string(),
        task: EndpointReport::task_or_virtual_ip(endpoint.task.clone()),
        node: candidate.node.clone(),
        state: if why_not.is_none() { EndpointState::Active } else { EndpointState::Excluded },
        reason: why_not,
    }
}

/// Why no endpoint of a service answers, and the case of the finding about it.
fn why_not(member: &ServiceEndpoints<'_>) -> (String, NoEndpoints) {
    let (why, case) = reason(member);
    (why.to_owned(), case)
}

fn reason<'a>(member: &'a ServiceEndpoints<'_>) -> (&'a str, NoEndpoints) {
    if member.published.labels.closed {
        (CLOSED, NoEndpoints::Closed)
    } else if !member.published.wants_tasks() {
        ("the service is scaled to zero", NoEndpoints::ScaledToZero)
    } else if !member.candidates.is_empty() {
        ("the weights of its services leave no requests for any of them", NoEndpoints::NoWeight)
    } else if member.published.service.is_job() && member.excluded.is_empty() {
        ("no task of the job is running: it has finished or not started", NoEndpoints::Job)
    } else if member.on_nodes {
        ("no running task of the service can be reached at a port of its node", NoEndpoints::OnNodes)
    } else if let Some((why, case)) = &member.hindrance {
        (why, *case)
    } else if member.networks.is_empty() {
        ("the service shares no network with the proxies", NoEndpoints::NoNetwork)
    } else {
        ("no task of the service is running", NoEndpoints::NoTask)
    }
}

/// Findings about routes that answer 503: one for each service that is the oldest of such routes, because it can have a
/// thousand of them.
pub fn no_endpoints(routes: &[RouteReport], reaches: &[ServiceEndpoints<'_>]) -> Vec<Finding> {
    let mut silent = BTreeMap::<&str, Vec<String>>::new();
    for route in routes.iter().filter(|route| route.state == RouteState::NoEndpoints) {
        let oldest = route.services.first().map_or("", |oldest| &oldest.service);
        silent.entry(oldest).or_default().push(route.key().to_string());
    }
    let affected = reaches.iter().filter_map(|reach| Some((reach, silent.get(reach.published.service.name.as_str())?)));
    affected.map(|(oldest, addresses)| no_endpoints_at(addresses, oldest)).collect()
}

fn no_endpoints_at(addresses: &[String], oldest: &ServiceEndpoints<'_>) -> Finding {
    let (why, case) = why_not(oldest);
    let message = match addresses {
        [only] => format!("{only} answers 503: {why}"),
        several => format!("{} routes answer 503 ({}): {why}", several.len(), some(several)),
    };
    Finding::new(case, oldest.published.subject(), message)
}

/// The most routes named in a finding, of which there may be a thousand.
const NAMED_MAX: usize = 5;

fn some(addresses: &[String]) -> String {
    let named = addresses.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = addresses.len().saturating_sub(NAMED_MAX);
    if more > 0 { format!("{named} and {more} more") } else { named }
}
