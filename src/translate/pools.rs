//! Services to routes: the same host and path pool, everything else stays apart. The oldest service decides what cannot
//! be pooled, and later ones that say otherwise are told.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::World;
use super::endpoints::{Candidate, Reach};
use super::published::label_key;
use crate::report::{EndpointReport, EndpointState, Finding, FindingCode, RouteReport, RouteState, ServiceReport, Severity};
use crate::route::{Backend, BackendService, PathRoute, RouteTable, VirtualHost};
use crate::types::{ContextPath, HostPattern};

/// What a report calls the host of the default backend.
const DEFAULT_HOST: &str = "(default)";

/// The services of each route, oldest first.
type Keys<'a> = BTreeMap<(&'a HostPattern, &'a ContextPath), Vec<&'a Reach<'a>>>;

/// Builds the table and tells about each of its routes. `reaches` is ordered by age.
pub fn assemble(world: &World<'_>, reaches: &[Reach<'_>], findings: &mut Vec<Finding>) -> (RouteTable, Vec<RouteReport>) {
    let (mut hosts, mut reports) = (BTreeMap::<HostPattern, VirtualHost>::new(), Vec::new());
    for ((host, path), members) in keys(reaches) {
        let rewrite = agreed_rewrite(host, path, &members, findings);
        let (backend, report) = pool(world, host.as_str(), path, &members, findings);
        hosts.entry(host.clone()).or_default().paths.insert(path.clone(), PathRoute { rewrite, backend });
        reports.push(report);
    }
    let default_backend = default_member(reaches, findings).map(|member| {
        let (backend, report) = pool(world, DEFAULT_HOST, &ContextPath::root(), &[member], findings);
        reports.insert(0, report);
        backend
    });
    (table(world, hosts, default_backend), reports)
}

fn table(world: &World<'_>, hosts: BTreeMap<HostPattern, VirtualHost>, default_backend: Option<Backend>) -> RouteTable {
    let publish = &world.cluster.proxy.publish;
    RouteTable {
        cluster: world.cluster.name.clone(),
        http_port: publish.http.target,
        https_port: publish.https.map(|https| https.target),
        settings: world.cluster.settings.clone(),
        hosts,
        default_backend,
    }
}

fn keys<'a>(reaches: &'a [Reach<'a>]) -> Keys<'a> {
    let mut keys = Keys::new();
    for reach in reaches {
        let labels = &reach.published.labels;
        for host in &labels.hosts {
            keys.entry((host, &labels.context_root)).or_default().push(reach);
        }
    }
    keys
}

fn agreed_rewrite(host: &HostPattern, path: &ContextPath, members: &[&Reach<'_>], findings: &mut Vec<Finding>) -> bool {
    let Some((oldest, later)) = members.split_first() else { return false };
    let rewrite = oldest.published.labels.context_root_rewrite;
    for member in later.iter().filter(|member| member.published.labels.context_root_rewrite != rewrite) {
        let value = member.published.labels.context_root_rewrite.to_string();
        let message = format!("{} published {host}{path} first and says {rewrite}; its setting counts", oldest.published.service.name);
        let remedy = "Give all services of one host and path the same value.";
        let subject = member.published.subject();
        let finding = Finding::new(Severity::Warning, FindingCode::ConflictingSetting, subject, message, remedy);
        findings.push(finding.at(label_key("context_root_rewrite"), &value));
    }
    rewrite
}

fn default_member<'a>(reaches: &'a [Reach<'a>], findings: &mut Vec<Finding>) -> Option<&'a Reach<'a>> {
    let mut wanting = reaches.iter().filter(|reach| reach.published.labels.default_backend);
    let oldest = wanting.next()?;
    for later in wanting {
        let message = format!("{} is the default backend already, because it was created first", oldest.published.service.name);
        let remedy = "Leave com.docker.lb.default_backend on one service of a cluster.";
        let subject = later.published.subject();
        let finding = Finding::new(Severity::Warning, FindingCode::SecondDefaultBackend, subject, message, remedy);
        findings.push(finding.at(label_key("default_backend"), "true"));
    }
    Some(oldest)
}

/// One route. An endpoint on a network that not all proxies have yet would make some of them wait for nothing, so it
/// waits itself as long as another endpoint of the pool is reached by all.
fn pool(world: &World<'_>, host: &str, path: &ContextPath, members: &[&Reach<'_>], findings: &mut Vec<Finding>) -> (Backend, RouteReport) {
    let only_reachable = members.iter().flat_map(|member| &member.candidates).any(|candidate| candidate.reachable);
    let gets_requests = |candidate: &Candidate| candidate.reachable || !only_reachable;
    let services: Vec<_> = members.iter().map(|member| backend_service(member, gets_requests)).collect();
    let served = services.iter().any(|service| !service.endpoints.is_empty());
    if !served {
        findings.extend(members.first().map(|oldest| no_endpoints(host, path, oldest)));
    }
    let report = RouteReport {
        host: host.to_owned(),
        path: path.to_string(),
        state: if served { RouteState::Served } else { RouteState::NoEndpoints },
        reason: members.first().filter(|_| !served).map(|oldest| why_not(oldest).to_owned()),
        services: members.iter().map(|member| service_report(world, member, gets_requests)).collect(),
    };
    (Backend { services }, report)
}

fn backend_service(member: &Reach<'_>, gets_requests: impl Fn(&Candidate) -> bool) -> BackendService {
    let candidates = member.candidates.iter().filter(|candidate| gets_requests(candidate));
    BackendService {
        id: member.published.service.id.clone(),
        name: member.published.name.clone(),
        port: member.published.labels.port,
        vip: member.vip,
        endpoints: candidates.map(|candidate| candidate.endpoint.clone()).collect(),
    }
}

fn service_report(world: &World<'_>, member: &Reach<'_>, gets_requests: impl Fn(&Candidate) -> bool) -> ServiceReport {
    let candidates = member.candidates.iter().map(|candidate| endpoint_report(world, candidate, gets_requests(candidate)));
    ServiceReport { service: member.published.service.name.clone(), endpoints: candidates.chain(member.excluded.iter().cloned()).collect() }
}

fn endpoint_report(world: &World<'_>, candidate: &Candidate, active: bool) -> EndpointReport {
    let endpoint = &candidate.endpoint;
    let waiting = || format!("not every proxy is attached to the network {} yet", world.network_name(&candidate.network));
    EndpointReport {
        address: SocketAddr::new(endpoint.address, endpoint.port.get()).to_string(),
        task: endpoint.task.as_ref().map_or_else(|| "vip".to_owned(), |task| task.0.clone()),
        node: candidate.node.clone(),
        state: if active { EndpointState::Active } else { EndpointState::Excluded },
        reason: (!active).then(waiting),
    }
}

fn why_not(member: &Reach<'_>) -> &'static str {
    if !member.published.wants_tasks() {
        "the service is scaled to zero"
    } else if member.networks.is_empty() {
        "the service shares no network with the proxies"
    } else {
        "no task of the service is running"
    }
}

fn no_endpoints(host: &str, path: &ContextPath, member: &Reach<'_>) -> Finding {
    let message = format!("{host}{path} answers 503: {}", why_not(member));
    let remedy = "Scale the service up, or see `docker service ps` for what keeps its tasks from running.";
    Finding::new(Severity::Info, FindingCode::NoEndpoints, member.published.subject(), message, remedy)
}
