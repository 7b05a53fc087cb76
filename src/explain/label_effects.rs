//! The actual effect of each label of a published service, derived from the route table: which network is used, which
//! service overruled it, what it fell back to. The label's own value is only used to tell whether it was followed.

use super::host_label_effects;
use super::pool_membership::{PoolRoute, ServicePool, list};
use super::service_context::{ServiceContext, describe_decision};

use crate::intent::labels::{Affinity as RequestedAffinity, BackendMode, BackendProtocol, Verification as RequestedVerification};
use crate::report::{RouteReport, RouteState};
use crate::route::{Affinity, Verification};
use crate::translate::{TlsReferences, admitted_as_default};
use crate::types::HostKey;

impl ServiceContext<'_> {
    /// The objects that the labels of the service name.
    pub fn references(&self) -> Option<&TlsReferences> {
        self.translation.references.get(&self.membership.service.id)
    }
}

/// The effect of a label. `name` is a known one.
pub fn label_effect(context: &ServiceContext<'_>, name: &str) -> String {
    let membership = &context.membership;
    match name {
        "port" => port(context),
        "network" => network(context),
        "context_root" => membership.everywhere(context_root),
        "context_root_rewrite" => membership.everywhere(|pool| rewrite(context, pool)),
        "default_backend" => default_backend(context),
        "backend_mode" => backend_mode(context),
        "max_fails" => max_fails(context),
        "fail_timeout" => fail_timeout(context),
        "weight" => membership.everywhere(|pool| weight(context, pool)),
        "websocket_endpoints" => membership.everywhere(|pool| websockets(context, pool)),
        "ip_hash" if matches!(context.requested.affinity, RequestedAffinity::Cookie(_)) => {
            format!("overruled by sticky_session_cookie: {}", membership.everywhere(|pool| affinity(context, pool)))
        }
        "sticky_session_cookie" | "ip_hash" => membership.everywhere(|pool| affinity(context, pool)),
        "ssl_backend" | "backend_protocol" => membership.everywhere(|pool| protocol(context, pool)),
        "ssl_backend_tls_verify" => membership.everywhere(|pool| verification(context, pool)),
        _ => host_label_effects::host_label_effect(context, name),
    }
}

fn port(context: &ServiceContext<'_>) -> String {
    let number = context.requested.port;
    match context.membership.part().filter(|_| context.membership.gets_requests()) {
        Some(part) if part.on_nodes => format!("requests go to the node ports that are published for port {number} of its containers"),
        Some(_) => format!("requests go to port {number} of its containers"),
        None => format!("its containers listen on port {number}"),
    }
}

fn network(context: &ServiceContext<'_>) -> String {
    let used = context.translation.reached_over.get(&context.membership.service.id);
    let networks = &context.sources.snapshot.networks;
    let name = |id| networks.get(id).map_or_else(|| id.0.clone(), |network| network.name.clone());
    let used: Vec<String> = used.into_iter().flatten().map(name).collect();
    if !used.is_empty() {
        return format!("its tasks are reached over {}", list(&used));
    }
    match context.membership.part() {
        Some(part) if part.on_nodes => "its tasks are reached at ports on their nodes".to_owned(),
        _ => "its tasks cannot be reached".to_owned(),
    }
}

fn context_root(pool: &ServicePool<'_>) -> String {
    match pool.behind {
        PoolRoute::Path(_, path, _) => format!("publishes at {path}"),
        PoolRoute::Passthrough(_) => "TLS is passed through to the application, whatever the path".to_owned(),
        PoolRoute::Default(_) => "the default backend answers for every path".to_owned(),
    }
}

fn rewrite(context: &ServiceContext<'_>, pool: &ServicePool<'_>) -> String {
    match pool.behind {
        PoolRoute::Path(_, path, _) if path.is_root() => "the whole site is published, so there is no path to remove".to_owned(),
        PoolRoute::Path(_, path, route) => {
            let effect = if route.rewrite { format!("{path} is removed") } else { "the path is passed on unchanged".to_owned() };
            describe_decision(context, pool, route.rewrite == context.requested.context_root_rewrite, effect)
        }
        PoolRoute::Passthrough(_) => "TLS is passed through to the application, whatever the path".to_owned(),
        PoolRoute::Default(_) => "the path is passed on unchanged".to_owned(),
    }
}

fn default_backend(context: &ServiceContext<'_>) -> String {
    let own = "answers for its own hosts only";
    let service = context.membership.service;
    match oldest_default(context) {
        Some(oldest) if oldest == service.name => "answers for hosts that no service publishes".to_owned(),
        _ if !context.requested.default_backend => own.to_owned(),
        _ if admitted_as_default(context.cluster, context.sources.snapshot, service).is_err() => format!("not admitted: {own}"),
        Some(oldest) => format!("overruled by {oldest}: {own}"),
        None => own.to_owned(),
    }
}

/// The service that is the default backend. A closed one is only in the report.
fn oldest_default<'a>(context: &'a ServiceContext<'_>) -> Option<&'a str> {
    let is_default = |route: &&RouteReport| route.host == HostKey::DefaultBackend && route.state != RouteState::OverLimit;
    let route = context.translation.routes.iter().find(is_default)?;
    route.services.first().map(|oldest| oldest.service.as_str())
}

fn backend_mode(context: &ServiceContext<'_>) -> String {
    let Some(part) = context.membership.part() else { return context.membership.everywhere(|_| String::new()) };
    let to_tasks = if part.on_nodes { "requests go to ports on the nodes of its tasks" } else { "requests go to the tasks" };
    match context.requested.backend_mode {
        _ if part.vip => "requests go to the virtual IP".to_owned(),
        BackendMode::Task => to_tasks.to_owned(),
        BackendMode::Vip if context.membership.service.replicas == Some(0) => {
            "no requests, because the service is scaled to zero".to_owned()
        }
        BackendMode::Vip if part.endpoints.is_empty() => "no requests, because no endpoint can be reached".to_owned(),
        BackendMode::Vip => format!("no usable virtual IP: {to_tasks}"),
    }
}

fn max_fails(context: &ServiceContext<'_>) -> String {
    context.membership.everywhere(|pool| match fails(context, pool) {
        0 => "endpoints are never left out".to_owned(),
        1 => format!("an endpoint is left out after one failure{}", if_alone(pool)),
        fails => format!("an endpoint is left out after {fails} failures{}", if_alone(pool)),
    })
}

fn fail_timeout(context: &ServiceContext<'_>) -> String {
    // Engines support only whole seconds.
    let time = context.requested.fail_timeout.map_or(5, |time| time.as_secs() + u64::from(time.subsec_nanos() > 0));
    let time = humantime::format_duration(std::time::Duration::from_secs(time));
    context.membership.everywhere(|pool| match (fails(context, pool), context.requested.max_fails) {
        (0, Some(_)) => "no effect: endpoints are never left out (max_fails)".to_owned(),
        (0, None) => "no effect: a hash chooses the endpoint, so without max_fails endpoints are never left out".to_owned(),
        _ => format!("a failing endpoint is left out for {time}{}", if_alone(pool)),
    })
}

/// The number of failures that takes an endpoint out; 0: never.
fn fails(context: &ServiceContext<'_>, pool: &ServicePool<'_>) -> u32 {
    context.requested.max_fails.unwrap_or(if pool.backend.affinity.is_none() { 3 } else { 0 })
}

/// The only endpoint of a pool is always tried.
fn if_alone(pool: &ServicePool<'_>) -> &'static str {
    let endpoints: usize = pool.backend.services.iter().map(|service| service.endpoints.len()).sum();
    if endpoints > 1 { "" } else { " (if the pool has other endpoints)" }
}

fn weight(context: &ServiceContext<'_>, pool: &ServicePool<'_>) -> String {
    let parts = pool.backend.services.iter().zip(pool.backend.shares_permille());
    let own = parts.clone().find(|(part, _)| part.id == context.membership.service.id);
    let share = own.map_or(0, |(_, share)| share);
    let with_requests = parts.filter(|(_, share)| *share > 0).count();
    if share > 0 && with_requests == 1 {
        return "all requests, because no other service has a share".to_owned();
    }
    format!("{}.{} % of the requests", share / 10, share % 10)
}

fn websockets(context: &ServiceContext<'_>, pool: &ServicePool<'_>) -> String {
    match pool.behind {
        PoolRoute::Path(_, _, route) => {
            let own: Vec<_> = context.requested.websocket_endpoints.iter().filter(|path| route.websockets.contains(path)).collect();
            format!("long-lived connections at {}", if own.is_empty() { "no path".to_owned() } else { list(&own) })
        }
        PoolRoute::Passthrough(_) => "TLS is passed through to the application, whatever the path".to_owned(),
        PoolRoute::Default(_) => "the default backend has no such paths".to_owned(),
    }
}

fn affinity(context: &ServiceContext<'_>, pool: &ServicePool<'_>) -> String {
    let by_address = context.translation.table.settings.ip_hash;
    let requested = match &context.requested.affinity {
        RequestedAffinity::Cookie(name) => Affinity::Cookie(name.clone()),
        RequestedAffinity::None if !by_address => Affinity::None,
        RequestedAffinity::None | RequestedAffinity::ClientAddress => Affinity::ClientAddress,
    };
    let behind_vip = pool.part_of(context.membership.service).is_some_and(|part| part.vip);
    let effect = match &pool.backend.affinity {
        _ if behind_vip => "Swarm distributes clients behind the virtual IP".to_owned(),
        Affinity::Cookie(_) if matches!(pool.behind, PoolRoute::Passthrough(_)) => {
            "proxies cannot see the cookie, so clients are distributed over all endpoints".to_owned()
        }
        Affinity::Cookie(cookie) => format!("the cookie {cookie} keeps a client on one endpoint"),
        Affinity::ClientAddress => "the client's address keeps it on one endpoint".to_owned(),
        Affinity::None => "clients are distributed over all endpoints".to_owned(),
    };
    describe_decision(context, pool, pool.backend.affinity == requested, effect)
}

fn protocol(context: &ServiceContext<'_>, pool: &ServicePool<'_>) -> String {
    if let PoolRoute::Passthrough(_) = pool.behind {
        return "TLS is passed through to the application, whatever its protocol".to_owned();
    }
    let requested = context.requested.backend_protocol;
    let requested = (
        matches!(requested, BackendProtocol::Grpc | BackendProtocol::Grpcs),
        matches!(requested, BackendProtocol::Https | BackendProtocol::Grpcs),
    );
    let really = (pool.backend.protocol.http2, pool.backend.protocol.tls.is_some());
    let version = if really.0 { "HTTP/2" } else { "HTTP/1.1" };
    let tls = if really.1 { " over TLS" } else { " in plain text" };
    let unchecked = ", but the application's certificate cannot be checked, so it gets no requests";
    let follows = if context.membership.is_checkable(pool.backend) { "" } else { unchecked };
    describe_decision(context, pool, really == requested, format!("proxies use {version}{tls}{follows}"))
}

fn verification(context: &ServiceContext<'_>, pool: &ServicePool<'_>) -> String {
    let tls = pool.backend.protocol.tls.as_ref();
    let followed = match (&context.requested.backend_verification, tls) {
        // If TLS is missing, the protocol's own label explains why.
        (_, None) => matches!(context.requested.backend_protocol, BackendProtocol::Http | BackendProtocol::Grpc),
        (RequestedVerification::Off, Some(Verification::Off)) | (RequestedVerification::System, Some(Verification::System)) => true,
        (RequestedVerification::Authority(_), Some(Verification::Authority(object))) => {
            context.references().is_some_and(|references| references.authority.as_ref() == Some(object))
        }
        _ => false,
    };
    let passed = matches!(pool.behind, PoolRoute::Passthrough(_));
    let closed = if passed { "connections are closed" } else { "requests are answered with 503" };
    let effect = match tls {
        Some(Verification::Authority(object)) if !context.membership.is_checkable(pool.backend) => {
            let why = if object.id.is_some() {
                format!("the CA in {} is unusable", object.name)
            } else {
                format!("there is no secret or config {} that the service may use", object.name)
            };
            format!("{why}, so the application's certificate cannot be checked and {closed}")
        }
        _ if passed => "TLS is passed through to the application, so proxies check no certificate".to_owned(),
        None => "proxies use plain text to the application, so there is no certificate to check".to_owned(),
        Some(Verification::Off) => "the application's certificate is not checked".to_owned(),
        Some(Verification::System) => "the application's certificate is checked against the system's CA certificates".to_owned(),
        Some(Verification::Authority(object)) => format!("the application's certificate is checked against the CA in {}", object.name),
    };
    describe_decision(context, pool, followed, effect)
}
