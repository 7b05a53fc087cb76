//! The way from the client to a proxy: the published port, and whether a proxy is running.

use super::explanation::{TraceOutcome, TraceStep, TraceSubject};
use super::request::Request;
use super::{Sources, client_identity, stale_endpoints, step};
use crate::intent::cluster::Cluster;
use crate::intent::cluster_spec::{PortMapping, PublishMode};
use crate::protocol::container_contract::{LABEL_CLUSTER, LABEL_OWNER, LABEL_ROLE, ROLE_PROXY};
use crate::render::behavior;
use crate::report::ClusterStatus;
use crate::swarm::Service;
use crate::types::{Scheme, TaskState};

/// How well a cluster's ports fit a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// It publishes the port.
    Exact,
    /// It serves the scheme on another port, and the URL states none: something in front may translate.
    Implied,
    /// It cannot receive the request.
    None,
}

/// How the cluster's ports fit the request.
pub fn fit(cluster: &Cluster, request: &Request) -> Fit {
    match (mapping(cluster, request), request.stated_port) {
        (Some(_), _) if ends_in_front(cluster, request) => Fit::Implied,
        (Some(mapping), _) if mapping.published.get() == request.port() => Fit::Exact,
        (Some(_), None) => Fit::Implied,
        _ => Fit::None,
    }
}

fn mapping(cluster: &Cluster, request: &Request) -> Option<PortMapping> {
    let publish = &cluster.proxy.publish;
    match request.scheme {
        Scheme::Http => Some(publish.http),
        Scheme::Https => publish.https.or(ends_in_front(cluster, request).then_some(publish.http)),
    }
}

/// Whether an HTTPS request arrives by plain HTTP, from a trusted load balancer.
fn ends_in_front(cluster: &Cluster, request: &Request) -> bool {
    request.scheme == Scheme::Https && request.sent.is_none() && cluster.proxy.publish.https.is_none() && cluster.has_front()
}

fn protocol_of(scheme: Scheme) -> &'static str {
    if scheme == Scheme::Https { "TLS" } else { "plain HTTP" }
}

/// Describes the published port; the error is the outcome if there is none.
pub fn listener(cluster: &Cluster, request: &Request, steps: &mut Vec<TraceStep>) -> Result<(), TraceOutcome> {
    let protocol = protocol_of(request.scheme);
    let Some(mapping) = mapping(cluster, request) else {
        let reason = format!("cluster {} publishes no TLS port", cluster.name);
        return Err(TraceOutcome::not_served(None, reason, "Add spec.proxy.publish.https to the cluster's document, or use http."));
    };
    let place = match cluster.proxy.publish.mode {
        PublishMode::Ingress => "on every node (routing mesh)",
        PublishMode::Host => "on the nodes of the proxies (host mode)",
    };
    let in_front = ends_in_front(cluster, request);
    let protocol = if in_front { protocol_of(Scheme::Http) } else { protocol };
    if in_front {
        let by = client_identity::tls_header(&cluster.settings);
        let message =
            format!("a load balancer in front terminates TLS, sends plain HTTP, and reports TLS by {by} (settings.clientAddress)");
        steps.push(step(TraceSubject::Listener, message));
    }
    let message = format!("{protocol} on port {} {place}, port {} in the proxies", mapping.published, mapping.target);
    match fit(cluster, request) {
        Fit::Exact => steps.push(step(TraceSubject::Listener, message)),
        Fit::Implied => {
            steps.push(step(TraceSubject::Listener, message));
            let port = request.port();
            steps.push(step(
                TraceSubject::Listener,
                format!("port {port} does not belong to this cluster: a request gets here only if a load balancer in front forwards it"),
            ));
        }
        Fit::None => return Err(wrong_port(cluster, request, mapping)),
    }
    if request.scheme == Scheme::Https && cluster.has_front() && !in_front && request.sent.is_none() {
        let message = "if the load balancer in front terminates TLS, explain its request instead: http://, with --from and its headers";
        steps.push(step(TraceSubject::Listener, message));
    }
    client_identity::admit(cluster.engine, &cluster.settings, request, steps)
}

fn wrong_port(cluster: &Cluster, request: &Request, mapping: PortMapping) -> TraceOutcome {
    let publish = &cluster.proxy.publish;
    let other = publish.https.filter(|_| request.scheme == Scheme::Http).or(Some(publish.http));
    let other_at_port = other.filter(|other| other.published.get() == request.port());
    let reason = match other_at_port {
        Some(_) if request.scheme == Scheme::Http => format!("port {} of cluster {} accepts TLS only", request.port(), cluster.name),
        Some(_) => format!("port {} of cluster {} accepts plain HTTP only", request.port(), cluster.name),
        None => format!("cluster {} does not publish port {}", cluster.name, request.port()),
    };
    let status =
        other_at_port.filter(|_| request.scheme == Scheme::Http).map(|_| behavior(cluster.engine).status_codes().plain_on_tls_port);
    let remedy = format!("Use port {} for {}.", mapping.published, protocol_of(request.scheme));
    TraceOutcome::not_served(status, reason, remedy)
}

/// Describes the proxies and what they run; the error is the outcome if there are none.
pub fn proxies(sources: &Sources<'_>, cluster: &Cluster, steps: &mut Vec<TraceStep>) -> Result<(), TraceOutcome> {
    let reported = sources.status_of(&cluster.name).map(|status| from_status(cluster, status, steps));
    let running = match reported {
        Some(running) => Some(running),
        None => from_snapshot(sources, cluster, steps),
    };
    if running == Some(0) {
        let reason = format!("no proxy of cluster {} is running", cluster.name);
        return Err(TraceOutcome::not_served(None, reason, "Run `swarmgate status` to see why."));
    }
    Ok(())
}

fn from_status(cluster: &Cluster, status: &ClusterStatus, steps: &mut Vec<TraceStep>) -> usize {
    let proxies: Vec<_> = status.proxies.iter().filter(|proxy| proxy.is_running()).collect();
    let current = proxies.iter().filter(|proxy| proxy.up_to_date == Some(true)).count();
    steps.push(step(TraceSubject::Proxies, format!("{current} of {} run the newest configuration", proxies.len())));
    for proxy in proxies.iter().filter(|proxy| proxy.up_to_date != Some(true)) {
        let what = match (proxy.up_to_date, &proxy.rejected) {
            (None, _) => format!("has not reported lately, so its configuration is unknown{}", stale_endpoints::of_unheard(cluster)),
            (_, _) if proxy.is_on_names() => {
                "finds endpoints by name, because addresses were not confirmed for longer than settings.controlPlaneTimeout".to_owned()
            }
            (_, Some(rejected)) => format!("runs an older one, because it rejected {rejected}"),
            (_, None) => "runs an older one and is being updated".to_owned(),
        };
        steps.push(step(TraceSubject::Proxies, format!("{} on {} {what}", proxy.task, proxy.node)));
    }
    steps.extend(status.error.iter().map(|error| step(TraceSubject::Proxies, format!("the operator is stopped by an error: {error}"))));
    proxies.len()
}

/// Without an operator, only the running tasks are known, if the cluster has a proxy service already.
fn from_snapshot(sources: &Sources<'_>, cluster: &Cluster, steps: &mut Vec<TraceStep>) -> Option<usize> {
    let label = |service: &Service, key: &str, value: &str| service.labels.get(key).is_some_and(|found| found == value);
    let is_proxy = |service: &&Service| {
        let ours = service.labels.contains_key(LABEL_OWNER);
        ours && label(service, LABEL_ROLE, ROLE_PROXY) && label(service, LABEL_CLUSTER, cluster.name.as_str())
    };
    let Some(service) = sources.snapshot.services.values().find(is_proxy) else {
        steps.push(step(TraceSubject::Proxies, "none in the snapshot yet; the following applies once they run"));
        return None;
    };
    let tasks = sources.snapshot.tasks.values().filter(|task| task.service == service.id);
    let running = tasks.filter(|task| task.state == TaskState::Running).count();
    steps.push(step(TraceSubject::Proxies, format!("{running} running; only a running operator knows their configuration")));
    Some(running)
}
