//! The pool behind a route in words: services with their shares, endpoints, why some get no requests, and the protocol
//! towards applications.

use std::fmt;

use super::explanation::{TraceStep, TraceSubject};
use super::{printable_line, step};
use crate::render::{Behavior, RetryRule, behavior};
use crate::report::{EndpointReport, EndpointState, RouteKind, RouteReport, RouteState, ServiceReport};
use crate::route::{Affinity, Application, Backend, BackendService, EngineSettings, RouteTable, Verification};

/// Describes the services of a route and all their endpoints.
pub fn trace_services(backend: &Backend, route: Option<&RouteReport>, steps: &mut Vec<TraceStep>) {
    let reports = |service: &BackendService| route.and_then(|route| route.services.iter().find(|r| r.service == service.name.as_str()));
    let shares = backend.shares_permille();
    for (service, share) in backend.services.iter().zip(shares) {
        steps.push(step(TraceSubject::Service, service_text(service, share)));
        for endpoint in reports(service).into_iter().flat_map(|report| &report.endpoints) {
            steps.push(endpoint_step(endpoint));
        }
    }
    let in_pool = |report: &&ServiceReport| backend.services.iter().any(|service| service.name.as_str() == report.service);
    for closed in route.into_iter().flat_map(|route| &route.services).filter(|report| !in_pool(report)) {
        steps.push(step(TraceSubject::Service, format!("{}: closed, so it gets no requests", closed.service)));
        steps.extend(closed.endpoints.iter().map(endpoint_step));
    }
}

fn service_text(service: &BackendService, share: u16) -> String {
    let weight = service.weight.map_or_else(String::new, |weight| format!(" (weight {weight})"));
    let count = service.endpoints.len();
    let kind = match (service.vip, count) {
        (true, _) => "its virtual IP".to_owned(),
        (false, 1) => "1 endpoint".to_owned(),
        (false, count) => format!("{count} endpoints"),
    };
    format!("{}: {}.{} % of the requests{weight}, {kind}, port {}", service.name, share / 10, share % 10, service.port)
}

fn endpoint_step(endpoint: &EndpointReport) -> TraceStep {
    match endpoint.state {
        EndpointState::Active => step(TraceSubject::Endpoint, endpoint_text(endpoint)),
        EndpointState::Excluded => {
            step(TraceSubject::Excluded, format!("{}: {}", endpoint_text(endpoint), endpoint.reason.as_deref().unwrap_or("reason unknown")))
        }
    }
}

/// `10.0.0.2:80 (task t1 on node n1)`.
fn endpoint_text(endpoint: &EndpointReport) -> String {
    let node = endpoint.node.as_ref().map_or_else(String::new, |node| format!(" on {node}"));
    let task = if endpoint.is_virtual_ip() { "virtual IP".to_owned() } else { format!("task {}{node}", endpoint.task) };
    if endpoint.address.is_empty() { task } else { format!("{}, {task}", endpoint.address) }
}

/// Describes how the application is contacted, apart from its address.
pub fn trace_protocol(backend: &Backend, table: &RouteTable, steps: &mut Vec<TraceStep>) {
    let (settings, engine) = (&table.settings, behavior(table.engine));
    steps.push(step(TraceSubject::Protocol, protocol(backend)));
    steps.push(step(TraceSubject::Affinity, affinity(backend)));
    steps.push(step(TraceSubject::Retries, retries(backend, engine, settings)));
    let added = engine.request_headers(settings, backend.protocol.http2);
    steps.push(step(TraceSubject::Headers, format!("to the application: {}", added.join(", "))));
    if settings.hide_info_headers {
        steps.push(step(TraceSubject::Headers, "to the client: none (settings.hideInfoHeaders)"));
    } else {
        steps.push(step(TraceSubject::Headers, format!("to the client: {}", engine.info_headers(settings).join(", "))));
    }
}

/// Describes how upgrades and long streams are handled.
pub fn trace_streams(application: &Application<'_>, settings: &EngineSettings, steps: &mut Vec<TraceStep>) {
    let http2 = application.route.backend.protocol.http2;
    if !http2 {
        steps.push(step(TraceSubject::Websockets, "upgraded on request"));
    }
    let why = match (http2, application.long_lived) {
        (true, _) => "proxies use HTTP/2 to the application",
        (false, true) => "websocket_endpoints",
        (false, false) => return,
    };
    let silence = match settings.limits.stream_idle_timeout_ms {
        0 => "without limit".to_owned(),
        ms => format!("for {}", humantime::format_duration(EngineSettings::millis(ms))),
    };
    let says = format!("both directions are passed on without buffering, of any size, and may be idle {silence} ({why})");
    steps.push(step(TraceSubject::Streams, says));
}

fn protocol(backend: &Backend) -> String {
    let version = if backend.protocol.http2 { "HTTP/2" } else { "HTTP/1.1" };
    match &backend.protocol.tls {
        None => format!("{version} in plain text"),
        Some(Verification::Off) => format!("{version} over TLS; the application's certificate is not checked"),
        Some(Verification::System) => {
            format!("{version} over TLS; the application's certificate is checked against the system's CA certificates")
        }
        Some(Verification::Authority(authority)) => {
            format!("{version} over TLS; the application's certificate is checked against the CA in {}", authority.name)
        }
    }
}

fn affinity(backend: &Backend) -> String {
    if backend.services.iter().all(|service| service.vip) {
        return "none: Swarm chooses the task behind the virtual IP".to_owned();
    }
    match &backend.affinity {
        Affinity::None => "none: round robin".to_owned(),
        Affinity::Cookie(cookie) => format!("by the value of the cookie {cookie}; clients without it are distributed over all endpoints"),
        Affinity::ClientAddress => "by the client's address".to_owned(),
    }
}

fn retries(backend: &Backend, engine: &dyn Behavior, settings: &EngineSettings) -> String {
    let endpoints: usize = backend.services.iter().map(|service| service.endpoints.len()).sum();
    if endpoints < 2 {
        return "none: there is no other endpoint".to_owned();
    }
    let RetryRule { tries_max, time_ms, when } = engine.retry_rule(settings);
    let within = humantime::format_duration(EngineSettings::millis(time_ms));
    let own = backend.services.iter().filter_map(|service| service.max_fails.map(|fails| (service, fails)));
    let exceptions: Vec<String> =
        own.map(|(service, fails)| format!("; {} leaves an endpoint out after {fails} failures", service.name)).collect();
    format!("up to {tries_max} endpoints within {within}: {when}{}", exceptions.concat())
}

/// Describes a whole route for `--service`.
pub fn write_route(f: &mut fmt::Formatter<'_>, route: &RouteReport) -> fmt::Result {
    let kind = match (route.kind, &route.target) {
        (RouteKind::Redirect, Some(target)) => format!(" redirects to {target}"),
        (RouteKind::Passthrough, _) => " (TLS passed through)".to_owned(),
        _ => String::new(),
    };
    let state = match (route.state, &route.reason) {
        (RouteState::Served, None) => "served".to_owned(),
        (RouteState::Served, Some(reason)) => reason.clone(),
        (RouteState::Pending, reason) if lacks_endpoints(route) => {
            format!("answers 503 until every proxy has the network: {}", reason.as_deref().unwrap_or("reason unknown"))
        }
        (RouteState::Pending, reason) => format!("not served by every proxy yet: {}", reason.as_deref().unwrap_or("reason unknown")),
        (RouteState::Unknown, reason) => format!("unknown: {}", reason.as_deref().unwrap_or("reason unknown")),
        (RouteState::Quarantined, reason) => {
            format!("left out, answers 503: {}", reason.as_deref().unwrap_or("the engine rejects it"))
        }
        (RouteState::Unverifiable, reason) => {
            format!("answers 503: {}", reason.as_deref().unwrap_or("the application's certificate cannot be checked"))
        }
        (RouteState::OverLimit, reason) => format!("answers 503: {}", reason.as_deref().unwrap_or("it exceeds a limit")),
        (RouteState::NoEndpoints, reason) => format!("answers 503: {}", reason.as_deref().unwrap_or("it has no endpoint")),
    };
    writeln!(f, "  {:<10} {}", "route", printable_line(&format!("{}{kind}: {state}", route.key())))?;
    route.services.iter().try_for_each(|service| write_service(f, service))
}

fn lacks_endpoints(route: &RouteReport) -> bool {
    let mut endpoints = route.services.iter().flat_map(|service| &service.endpoints);
    route.target.is_none() && !endpoints.any(|endpoint| endpoint.state == EndpointState::Active)
}

fn write_service(f: &mut fmt::Formatter<'_>, service: &ServiceReport) -> fmt::Result {
    let share = format!("{}: {}.{} % of the requests", service.service, service.share_permille / 10, service.share_permille % 10);
    writeln!(f, "  {:<10} {}", "service", printable_line(&share))?;
    for endpoint in &service.endpoints {
        let step = endpoint_step(endpoint);
        writeln!(f, "  {:<10} {}", step.about.as_str(), printable_line(&step.says))?;
    }
    Ok(())
}
