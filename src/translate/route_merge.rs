//! Merges services into routes: services with the same host and path form a pool, all others stay apart. The oldest service
//! decides about settings that cannot be pooled; younger ones with a different setting get a finding.

use std::collections::{BTreeMap, BTreeSet};

use super::TranslationContext;
use super::budget::DroppedRoute;
use super::endpoints::{CandidateEndpoint, ServiceEndpoints};
use super::host_settings::{self, HostSettings, Members};
use super::pool::Pool;
use super::published_service::label_key;
use super::redirects;
use super::route_reports;
use super::tls_references;
use crate::intent::cluster::Cluster;
use crate::intent::labels::Affinity as RequestedAffinity;
use crate::report::{Finding, RouteKind, RouteReport, cases};
use crate::route::{Affinity, Backend, BackendProtocol, BackendService, DefaultBackend, PathRoute, RouteTable, VirtualHost};
use crate::types::{ContextPath, HostKey, HostPattern, RouteKey};

/// What has been assembled so far.
#[derive(Default)]
struct Assembly {
    hosts: BTreeMap<HostPattern, VirtualHost>,
    passthrough: BTreeMap<HostPattern, Backend>,
    reports: BTreeMap<HostPattern, Vec<RouteReport>>,
}

/// Builds the table and a report for each of its routes. `reaches` is ordered by age.
pub fn assemble(
    context: &TranslationContext<'_>,
    reaches: &[ServiceEndpoints<'_>],
    lost: &[DroppedRoute],
    findings: &mut Vec<Finding>,
) -> (RouteTable, Vec<RouteReport>) {
    let assembly = Assembly::of(context, reaches, lost, findings);
    let mut reports = Vec::new();
    let default = reaches.iter().find(|reach| reach.published.labels.default_backend);
    let default_backend = default.map(|member| default_backend(context, member, &mut reports, findings));
    reports.extend(lost.iter().filter(|lost| lost.key.host == HostKey::DefaultBackend).map(route_reports::dropped_route));
    let closed = assembly.closed(lost, default_backend.is_some());
    let Assembly { hosts, passthrough, reports: of_hosts } = assembly;
    reports.extend(of_hosts.into_values().flatten());
    let awaited = reaches.iter().flat_map(|reach| reach.awaited.iter().copied()).collect();
    (RouteTable { hosts, passthrough, closed, default_backend, awaited, ..without_routes(context.cluster) }, reports)
}

/// The table of a cluster in which no service publishes a route.
fn without_routes(cluster: &Cluster) -> RouteTable {
    let publish = &cluster.proxy.publish;
    RouteTable {
        cluster: cluster.name.clone(),
        engine: cluster.engine,
        http_port: publish.http.target,
        https_port: publish.https.map(|https| https.target),
        https_published: publish.https.map(|https| https.published),
        settings: cluster.settings.clone(),
        hosts: BTreeMap::new(),
        passthrough: BTreeMap::new(),
        closed: BTreeSet::new(),
        default_backend: None,
        awaited: BTreeSet::new(),
    }
}

/// The services of each host: first its owners, then those admitted to it, each ordered by age.
fn by_host<'a>(reaches: &'a [ServiceEndpoints<'a>]) -> BTreeMap<&'a HostPattern, Members<'a>> {
    let mut hosts = BTreeMap::<_, Members<'_>>::new();
    for reach in reaches {
        for host in &reach.published.labels.hosts {
            hosts.entry(host).or_default().push(reach);
        }
    }
    if reaches.iter().any(|reach| !reach.published.guest_at.is_empty()) {
        for (host, members) in &mut hosts {
            members.sort_by_key(|member| member.published.guest_at.contains(*host));
        }
    }
    hosts
}

impl Assembly {
    /// The routes of all hosts.
    fn of(context: &TranslationContext<'_>, reaches: &[ServiceEndpoints<'_>], lost: &[DroppedRoute], findings: &mut Vec<Finding>) -> Self {
        let mut assembly = Self::default();
        for (host, members) in by_host(reaches) {
            assembly.add_host(context, host, &members, findings);
        }
        assembly.add_redirects(context, reaches, findings);
        assembly.report_lost(lost);
        assembly
    }

    fn add_host(&mut self, context: &TranslationContext<'_>, host: &HostPattern, members: &Members<'_>, findings: &mut Vec<Finding>) {
        let wide = host_settings::host_settings(context, host, members, findings);
        let mut reports = Vec::new();
        let mut paths = BTreeMap::new();
        for (path, members) in by_path(members) {
            let key = RouteKey::new(host, path);
            let pool = pool(context, &key, &members, findings);
            let report = route_reports::route(context, &key, &members, &pool);
            reports.push(RouteReport { tls: wide.tls.as_ref().map(route_reports::tls), ..report });
            paths.insert(path.clone(), path_route(context, &key, &members, pool.open(&members), findings));
        }
        reports.extend(self.add_passthrough(context, host, &wide, findings));
        self.reports.insert(host.clone(), reports);
        let HostSettings { tls, https_only, .. } = wide;
        if !paths.is_empty() || https_only {
            self.hosts.insert(host.clone(), VirtualHost { paths, tls, https_only, redirects: Vec::new() });
        }
    }

    /// Redirects come before the other routes of their host: they take precedence.
    fn add_redirects(&mut self, context: &TranslationContext<'_>, reaches: &[ServiceEndpoints<'_>], findings: &mut Vec<Finding>) {
        let mut sites = redirects::RedirectTargets { hosts: &mut self.hosts, passthrough: &self.passthrough };
        redirects::add_redirects(context, reaches, &mut sites, findings);
        for (host, virtual_host) in &self.hosts {
            let redirects = virtual_host.redirects.iter().map(|redirect| route_reports::redirect(host, redirect));
            self.reports.entry(host.clone()).or_default().splice(0..0, redirects);
        }
    }

    /// Routes that services lose to a limit are in the list as well, unless another service publishes exactly the same
    /// route.
    fn report_lost(&mut self, lost: &[DroppedRoute]) {
        for lost in lost {
            let Some(host) = lost.key.host.pattern() else { continue };
            let reports = self.reports.entry(host.clone()).or_default();
            if !reports.iter().any(|route| route.kind != RouteKind::Redirect && route.path == lost.key.path) {
                reports.push(route_reports::dropped_route(lost));
            }
        }
    }

    /// The hosts for which no service may answer: those that services lose and no other service publishes, if a wildcard or
    /// the default backend would answer instead.
    fn closed(&self, lost: &[DroppedRoute], has_default: bool) -> BTreeSet<HostPattern> {
        let is_published = |host: &HostPattern| self.hosts.contains_key(host) || self.passthrough.contains_key(host);
        let is_caught = |host: &HostPattern| has_default || HostPattern::matching(host.as_str()).any(|pattern| is_published(&pattern));
        let hosts = lost.iter().filter_map(|lost| lost.key.host.pattern());
        hosts.filter(|host| !is_published(host) && is_caught(host)).cloned().collect()
    }

    fn add_passthrough(
        &mut self,
        context: &TranslationContext<'_>,
        host: &HostPattern,
        wide: &HostSettings<'_>,
        findings: &mut Vec<Finding>,
    ) -> Option<RouteReport> {
        if wide.passthrough.is_empty() {
            return None;
        }
        let pool = pool(context, &RouteKey::site(host), &wide.passthrough, findings);
        let report = route_reports::passthrough(context, host, &wide.passthrough, &pool);
        self.passthrough.insert(host.clone(), pool.open(&wide.passthrough));
        Some(report)
    }
}

/// The services of each path, oldest first. A service whose TLS is passed through has no paths: the proxies cannot see
/// them.
fn by_path<'a>(members: &Members<'a>) -> BTreeMap<&'a ContextPath, Members<'a>> {
    let mut paths = BTreeMap::<_, Members<'_>>::new();
    for member in members.iter().filter(|member| !member.published.labels.tls.passthrough) {
        paths.entry(&member.published.labels.context_root).or_default().push(member);
    }
    paths
}

fn path_route(
    context: &TranslationContext<'_>,
    key: &RouteKey,
    members: &Members<'_>,
    backend: Backend,
    findings: &mut Vec<Finding>,
) -> PathRoute {
    let rewrite = agreed(key, members, &["context_root_rewrite"], |member| member.published.labels.context_root_rewrite, findings);
    let https_only = agreed(key, members, &["ssl_only"], |member| member.published.labels.tls.only, findings);
    let websockets: BTreeSet<_> = members.iter().flat_map(|member| &member.published.labels.websocket_endpoints).cloned().collect();
    PathRoute {
        rewrite,
        // Without TLS here or in front, clients could not follow the redirect.
        https_only: https_only && (context.cluster.proxy.publish.https.is_some() || context.cluster.has_front()),
        websockets: websockets.into_iter().collect(),
        backend,
    }
}

/// The oldest service's value of a setting that cannot be pooled, from one of these labels. Younger services with a
/// different value get a finding.
fn agreed<T: PartialEq + Default>(
    key: &RouteKey,
    members: &Members<'_>,
    labels: &[&'static str],
    setting: impl Fn(&ServiceEndpoints<'_>) -> T,
    findings: &mut Vec<Finding>,
) -> T {
    let Some((oldest, later)) = members.split_first() else { return T::default() };
    let counting = setting(oldest);
    for member in later.iter().filter(|member| setting(member) != counting) {
        let (label, value) = written(member, labels).or(labels.first().map(|label| (*label, ""))).unwrap_or_default();
        let oldest_value = match written(oldest, labels) {
            Some((same, oldest_value)) if same == label => format!("with {oldest_value}"),
            Some((other, oldest_value)) => format!("with {other}={oldest_value}"),
            None => "without a value".to_owned(),
        };
        let message = format!("service {} published {key} first {oldest_value}, so its setting is used", oldest.published.service.name);
        let subject = member.published.subject();
        let finding = Finding::new(cases::ConflictingSetting::Setting, subject, message);
        findings.push(finding.with_field(label_key(label), value));
    }
    counting
}

/// The first of the labels that the service has.
fn written<'a>(member: &'a ServiceEndpoints<'_>, labels: &[&'static str]) -> Option<(&'static str, &'a str)> {
    let of_service = &member.published.service.labels;
    labels.iter().find_map(|label| Some((*label, of_service.get(&label_key(label)).filter(|value| !value.is_empty())?.as_str())))
}

fn default_backend(
    context: &TranslationContext<'_>,
    member: &ServiceEndpoints<'_>,
    reports: &mut Vec<RouteReport>,
    findings: &mut Vec<Finding>,
) -> DefaultBackend {
    let members = vec![member];
    let published = context.cluster.proxy.publish.https.is_some();
    let tls = tls_references::binding(context, member.published, findings).filter(|_| published);
    let key = RouteKey::default_backend();
    let pool = pool(context, &key, &members, findings);
    let report = route_reports::route(context, &key, &members, &pool);
    reports.push(RouteReport { tls: tls.as_ref().map(route_reports::tls), ..report });
    let https_only = member.published.labels.tls.only && (published || context.cluster.has_front());
    DefaultBackend { backend: pool.open(&members), tls, https_only }
}

/// The pool of a route. An endpoint that uses a port of its node, because not all proxies have its network yet, waits while
/// another endpoint of the pool is at its intended address: no label asked for the port.
fn pool(context: &TranslationContext<'_>, key: &RouteKey, members: &Members<'_>, findings: &mut Vec<Finding>) -> Pool {
    let only_reachable = members.iter().flat_map(|member| &member.candidates).any(|candidate| candidate.reachable);
    let services = members.iter().map(|member| backend_service(member, only_reachable)).collect();
    let affinity = agreed(key, members, &["sticky_session_cookie", "ip_hash"], |member| affinity(context, member), findings);
    let protocol = protocol(context, key, members, findings);
    let mut backend = Backend { services, affinity, protocol };
    let weights = backend.endpoint_weights();
    backend.services.iter_mut().zip(weights).filter(|(_, weight)| *weight == 0).for_each(|(service, _)| service.endpoints.clear());
    Pool { backend, only_reachable }
}

/// The protocol between the proxies and the pool's applications. Verification is a separate setting, which needs TLS.
fn protocol(context: &TranslationContext<'_>, key: &RouteKey, members: &Members<'_>, findings: &mut Vec<Finding>) -> BackendProtocol {
    let protocol_of = |member: &ServiceEndpoints<'_>| tls_references::protocol(context, member.published, &mut Vec::new());
    let version = |member: &ServiceEndpoints<'_>| (protocol_of(member).http2, protocol_of(member).tls.is_some());
    agreed(key, members, &["backend_protocol", "ssl_backend"], version, findings);
    let Some((oldest, later)) = members.split_first() else { return BackendProtocol::default() };
    let by_tls = later.iter().filter(|member| protocol_of(member).tls.is_some());
    let checking: Members<'_> = std::iter::once(oldest).chain(by_tls).copied().collect();
    agreed(key, &checking, &["ssl_backend_tls_verify"], |member| protocol_of(member).tls.unwrap_or_default(), findings);
    for member in members {
        tls_references::protocol(context, member.published, findings);
    }
    protocol_of(oldest)
}

fn affinity(context: &TranslationContext<'_>, member: &ServiceEndpoints<'_>) -> Affinity {
    match &member.published.labels.affinity {
        RequestedAffinity::None if context.cluster.settings.ip_hash => Affinity::ClientAddress,
        RequestedAffinity::None => Affinity::None,
        RequestedAffinity::Cookie(name) => Affinity::Cookie(name.clone()),
        RequestedAffinity::ClientAddress => Affinity::ClientAddress,
    }
}

fn backend_service(member: &ServiceEndpoints<'_>, only_reachable: bool) -> BackendService {
    let labels = &member.published.labels;
    let candidates = member.candidates.iter().filter(|candidate: &&CandidateEndpoint| candidate.reachable || !only_reachable);
    BackendService {
        id: member.published.service.id.clone(),
        name: member.published.name.clone(),
        port: labels.port,
        vip: member.vip,
        on_nodes: member.on_nodes,
        weight: labels.weight,
        max_fails: labels.max_fails,
        network: member.network.clone(),
        fail_timeout_ms: labels.fail_timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
        endpoints: candidates.map(|candidate| candidate.endpoint.clone()).collect(),
    }
}
