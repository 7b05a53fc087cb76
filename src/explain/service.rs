//! `--service`: one service, its labels, its cluster, its networks, its routes.

use super::explanation::ServiceExplanation;
use super::findings::findings_without_cluster;
use super::labels::LabelsState;
use super::pool_membership::PoolMembership;
use super::service_context::ServiceContext;
use super::{NotFound, Sources, custom_template, held_back_labels, labels, printable, runtime_state};
use crate::intent::cluster::Cluster;
use crate::intent::labels::{LabelReading, read_labels, service_cluster_of};
use crate::render::Materials;
use crate::report::{EndpointState, Finding, RouteReport, RouteState, Subject};
use crate::swarm::{Service, is_disclosed};
use crate::translate::{Translation, is_application, is_claimed_by, note_refused_tls, translate};
use crate::types::NetworkId;

/// Explains a service, found by name or id.
pub fn explain_service(sources: &Sources<'_>, name: &str) -> Result<ServiceExplanation, NotFound> {
    let services = || sources.snapshot.services.values();
    let found = services().find(|service| service.name == name || service.id.0 == name);
    let service = found.ok_or_else(|| {
        NotFound::new("service", name, services().filter(|service| is_disclosed(&service.labels)).map(|service| service.name.as_str()))
    })?;
    let cluster = sources.clusters.iter().find(|cluster| is_claimed_by(cluster, service));
    let translation = cluster.map(|cluster| translate(cluster, sources.snapshot));
    let read = read_labels(&service.name, &service.labels);
    let world = cluster.zip(translation.as_ref());
    let findings = findings(sources, service, world, read.findings);
    let routes = routes(sources, service, cluster, translation.as_ref(), &read.reading);
    let standpoint = standpoint(sources, service, world, &read.reading, &routes);
    let label_effects = labels::label_effects(service, cluster, &standpoint, &findings);
    let held = held_back_labels::find_held_back(sources, &service.name);
    Ok(ServiceExplanation {
        service: service.name.clone(),
        served: routes.iter().any(RouteReport::is_answered),
        caveat: world
            .filter(|_| !routes.is_empty())
            .and_then(|(cluster, translation)| custom_template::caveat(sources, cluster, translation)),
        cluster: cluster_text(sources, service, cluster, &read.reading),
        network: network_text(sources, service, translation.as_ref()),
        held_until: held.map(|held| held.until),
        labels: match held {
            Some(held) => held_back_labels::merge_effects(label_effects, service, held),
            None => label_effects,
        },
        findings: findings.into_iter().filter(|finding| !labels::is_about_a_label(service, finding)).collect(),
        routes,
    })
}

/// The state of the labels as a whole. Valid labels can still leave nothing to publish: hosts that are not admitted.
fn standpoint<'a>(
    sources: &'a Sources<'a>,
    service: &'a Service,
    world: Option<(&'a Cluster, &'a Translation)>,
    reading: &'a LabelReading,
    routes: &'a [RouteReport],
) -> LabelsState<'a> {
    match (reading, world) {
        (LabelReading::NotPublished, _) => LabelsState::NotPublished,
        (LabelReading::Published(_), None) => LabelsState::Unclaimed,
        (LabelReading::Published(requested), Some((cluster, translation))) if translation.reached_over.contains_key(&service.id) => {
            let membership =
                PoolMembership::new(service, &translation.table, runtime_state::materials(sources, cluster, &translation.table));
            LabelsState::Published(ServiceContext { sources, cluster, translation, requested, membership, routes })
        }
        (LabelReading::Refused, _) | (LabelReading::Published(_), Some(_)) => LabelsState::Refused,
    }
}

fn findings(sources: &Sources<'_>, service: &Service, world: Option<(&Cluster, &Translation)>, read: Vec<Finding>) -> Vec<Finding> {
    let subject = Subject::Service(service.name.clone());
    let mut findings = match world {
        Some((cluster, translation)) => [translation.findings.clone(), runtime_state::findings(sources, cluster)].concat(),
        None => [read, findings_without_cluster(sources, &service.name)].concat(),
    };
    findings.extend(held_back_labels::find_held_back(sources, &service.name).map(|held| held.finding.clone()));
    findings.retain(|finding| finding.subject == subject);
    findings.sort();
    findings.dedup();
    findings
}

/// Its routes, as the operator reports them if there is one. A redirect has no service behind it, only a host that the
/// service names.
fn routes(
    sources: &Sources<'_>,
    service: &Service,
    cluster: Option<&Cluster>,
    translation: Option<&Translation>,
    reading: &LabelReading,
) -> Vec<RouteReport> {
    let hosts = if let LabelReading::Published(labels) = reading { labels.hosts.as_slice() } else { &[] };
    let redirects = matches!(reading, LabelReading::Published(labels) if !labels.redirects.is_empty());
    let its_own = |route: &RouteReport| {
        let behind = route.services.iter().any(|behind| behind.service == service.name);
        behind || redirects && route.target.is_some() && hosts.iter().any(|host| route.host.is(host))
    };
    let Some((cluster, translation)) = cluster.zip(translation) else { return Vec::new() };
    let membership = PoolMembership::new(service, &translation.table, Materials::assumed(&translation.table));
    let own = translation.routes.iter().filter(|route| its_own(route)).map(|route| sources.newest(&cluster.name, route));
    let mut own: Vec<RouteReport> = own.map(|route| unless_unchecked(&membership, route)).collect();
    note_refused_tls(cluster, &translation.table, &mut own);
    own
}

/// An application that cannot be checked as configured gets no requests, even if its tasks run.
fn unless_unchecked(membership: &PoolMembership<'_>, route: RouteReport) -> RouteReport {
    let pools = membership.pools.iter().filter(|pool| pool.is_of(&route));
    let unchecked = pools.map(|pool| pool.backend).find(|backend| !membership.is_checkable(backend));
    if unchecked.is_none() || route.state != RouteState::Served {
        return route;
    }
    RouteReport { state: RouteState::Unverifiable, reason: Some("the application's certificate cannot be checked".to_owned()), ..route }
}

fn cluster_text(sources: &Sources<'_>, service: &Service, cluster: Option<&Cluster>, reading: &LabelReading) -> String {
    if !is_application(service) {
        return "none: this service belongs to Swarmgate itself".to_owned();
    }
    if *reading == LabelReading::NotPublished {
        return "none: no label publishes the service".to_owned();
    }
    let requested = service_cluster_of(&service.labels).map(printable);
    match (cluster, requested) {
        (Some(cluster), Some(requested)) => format!("{} (service_cluster {requested})", cluster.name),
        (Some(cluster), None) => format!("{} (no service_cluster)", cluster.name),
        (None, requested) => no_cluster_text(sources, service, requested),
    }
}

fn no_cluster_text(sources: &Sources<'_>, service: &Service, requested: Option<String>) -> String {
    if let Some(inactive) = sources.inactive.for_label(service_cluster_of(&service.labels).unwrap_or_default()) {
        return format!("none: the document of {inactive} is invalid, and no valid version of it has been seen");
    }
    let services = requested.map_or_else(|| "services without service_cluster".to_owned(), |value| format!("service_cluster {value}"));
    format!("none: no cluster publishes {services}; declared clusters: {}", declared(sources))
}

fn declared(sources: &Sources<'_>) -> String {
    let text = |cluster: &Cluster| {
        let value =
            cluster.service_cluster.as_ref().map_or_else(|| "no service_cluster".to_owned(), |value| format!("service_cluster {value}"));
        format!("{} ({value})", cluster.name)
    };
    let all: Vec<String> = sources.clusters.iter().map(text).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

fn network_text(sources: &Sources<'_>, service: &Service, translation: Option<&Translation>) -> String {
    let name = |id: &NetworkId| network_name(sources, service, id);
    let left_out = |id| translation.and_then(|translation| translation.left_out.get(id)).map(|why| format!(" (not used: {why})"));
    let attached: Vec<String> = service.networks.iter().map(|id| name(id) + &left_out(id).unwrap_or_default()).collect();
    let attached = if attached.is_empty() { "no network".to_owned() } else { attached.join(", ") };
    let used = translation.and_then(|translation| translation.reached_over.get(&service.id));
    let used: Vec<String> = used.into_iter().flatten().map(name).collect();
    let active = |route: &RouteReport| {
        let own = route.services.iter().filter(|behind| behind.service == service.name);
        own.flat_map(|behind| &behind.endpoints).any(|endpoint| endpoint.state == EndpointState::Active)
    };
    if !used.is_empty() {
        format!("{}; the service is attached to {attached}", used.join(", "))
    } else if translation.is_some_and(|translation| translation.routes.iter().any(active)) {
        format!("none needed, because requests go to the addresses of nodes; the service is attached to {attached}")
    } else {
        format!("none used; the service is attached to {attached}")
    }
}

/// The network's readable name. The nodes' own network is in no list of Swarm; only tasks reveal that it is the one.
fn network_name(sources: &Sources<'_>, service: &Service, id: &NetworkId) -> String {
    let mut tasks = sources.snapshot.tasks.values().filter(|task| task.service == service.id).peekable();
    match sources.snapshot.networks.get(id) {
        Some(network) => network.name.clone(),
        None if tasks.peek().is_none() => format!("{} (not in the list of networks, like {HOST_NETWORK}, the nodes' own network)", id.0),
        None if tasks.any(|task| task.on_host_network) => HOST_NETWORK.to_owned(),
        None => id.0.clone(),
    }
}

/// Docker's name for the network of a node itself.
const HOST_NETWORK: &str = "host";
