//! How requests are handled when proxies resolve endpoints by name because their addresses were not confirmed for longer
//! than `settings.controlPlaneTimeout` (docs/silence.md). A running operator knows which proxies do; without one, only the
//! possible effect on a pool is explained. Never claims an answer from an endpoint that those proxies do not use.

use super::explanation::{TraceOutcome, TraceStep, TraceSubject};
use super::{Sources, step};
use crate::intent::cluster::Cluster;
use crate::intent::cluster_spec::RolloutStrategy;
use crate::render::{answers_by_name, is_found_by_name};
use crate::report::{PROXIES, ProxyTaskReport, number, share};
use crate::route::{Backend, BackendService, EngineSettings};
use crate::types::ConfigSource;

/// The running proxies, and how many of them resolve endpoints by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProxyResolution {
    proxies: usize,
    running: usize,
}

impl ProxyResolution {
    /// The numbers reported by a running operator; `None` without one.
    pub fn observed(sources: &Sources<'_>, cluster: &Cluster) -> Option<Self> {
        let status = sources.status_of(&cluster.name)?;
        let running: Vec<_> = status.proxies.iter().filter(|proxy| proxy.is_running()).collect();
        Some(Self { proxies: running.iter().filter(|proxy| is_by_name(proxy)).count(), running: running.len() })
    }

    fn any(self) -> bool {
        self.proxies > 0
    }

    fn all(self) -> bool {
        self.any() && self.proxies == self.running
    }

    /// `1 of 2 proxies`.
    fn text(self) -> String {
        share(self.proxies, self.running, &PROXIES)
    }

    /// The form that agrees with the number of proxies that resolve names.
    fn number<'f>(self, one: &'f str, several: &'f str) -> &'f str {
        number(self.proxies, one, several)
    }
}

fn is_by_name(proxy: &ProxyTaskReport) -> bool {
    proxy.source.as_ref().is_some_and(ConfigSource::is_by_name)
}

/// Whether the cluster's proxies ever switch to names.
fn is_possible(cluster: &Cluster) -> bool {
    cluster.proxy.rollout == RolloutStrategy::Live && cluster.settings.control_plane_timeout_ms > 0
}

/// How long the control plane may be silent, in words.
fn timeout(cluster: &Cluster) -> String {
    humantime::format_duration(EngineSettings::millis(cluster.settings.control_plane_timeout_ms)).to_string()
}

/// The behaviour of a proxy that has not reported lately.
pub(super) fn of_unheard(cluster: &Cluster) -> String {
    if is_possible(cluster) {
        format!("; if the control plane is silent for {}, it finds endpoints by name", timeout(cluster))
    } else {
        String::new()
    }
}

/// Explains how a pool with endpoints is affected. The error: no proxy uses any of them. `answer`: the answer in this case.
pub(super) fn judge(
    (sources, cluster): (&Sources<'_>, &Cluster),
    pool: &Backend,
    (status, answer): (Option<u16>, &str),
    steps: &mut Vec<TraceStep>,
) -> Result<(), TraceOutcome> {
    match ProxyResolution::observed(sources, cluster) {
        Some(by_name) if by_name.any() => {
            steps.extend(pool.services.iter().map(|service| step(TraceSubject::Service, describe_service(service, by_name))));
            if answers_by_name(cluster.engine, pool) {
                return Ok(());
            }
            if by_name.all() {
                return Err(not_found_by_name(pool, status));
            }
            steps.push(step(TraceSubject::Proxies, format!("for requests through {}, {answer}", by_name.text())));
        }
        None if is_possible(cluster) => steps.extend(would_be_lost(cluster, pool, answer)),
        Some(_) | None => {}
    }
    Ok(())
}

fn describe_service(service: &BackendService, by_name: ProxyResolution) -> String {
    let (name, proxies) = (&service.name, by_name.text());
    if !is_found_by_name(service) {
        let they_find = by_name.number("it finds", "they find");
        return format!("{name}: no requests from {proxies}, because {they_find} endpoints by name and {NOT_BY_NAME}");
    }
    if !service.on_nodes {
        let find = by_name.number("finds", "find");
        return format!("{name}: {proxies} {find} its tasks by name instead of using the endpoints above");
    }
    let lasting = service.endpoints.iter().filter(|endpoint| endpoint.lasting);
    let ports: Vec<String> = lasting.map(|endpoint| std::net::SocketAddr::new(endpoint.address, endpoint.port.get()).to_string()).collect();
    let know = by_name.number("finds endpoints by name and knows", "find endpoints by name and know");
    format!("{name}: {proxies} {know} only the node ports that the service fixes: {}", ports.join(", "))
}

/// Why the owner of an address is unknown.
const NOT_BY_NAME: &str = "the service does not fix its ports on nodes, so another service may own such a port by now";

fn not_found_by_name(pool: &Backend, status: Option<u16>) -> TraceOutcome {
    let names: Vec<&str> = pool.services.iter().map(|service| service.name.as_str()).collect();
    let names = names.join(" and ");
    let reason = format!(
        "all proxies find endpoints by name, because addresses were not confirmed for longer than settings.controlPlaneTimeout, and \
         {names} cannot be found by name: {NOT_BY_NAME}"
    );
    let remedy = "Run `swarmgate status` to see which component is silent. Fixed ports and overlay networks keep working during a silence.";
    TraceOutcome::not_served(status, reason, remedy)
}

/// Without an operator the state of the proxies is unknown; if names would give another answer, this is mentioned.
fn would_be_lost(cluster: &Cluster, pool: &Backend, answer: &str) -> Option<TraceStep> {
    let message = format!(
        "this applies while the control plane is reachable: after a silence of {} {answer}, because {NOT_BY_NAME}. Only a running operator \
         knows whether it is silent now",
        timeout(cluster)
    );
    (!answers_by_name(cluster.engine, pool)).then(|| step(TraceSubject::Proxies, message))
}

/// The services of a pool that get requests.
pub(super) fn answering_services(sources: &Sources<'_>, cluster: &Cluster, pool: &Backend) -> Vec<String> {
    let by_name = ProxyResolution::observed(sources, cluster).is_some_and(ProxyResolution::all);
    let answers = |service: &&BackendService| !service.endpoints.is_empty() && (!by_name || is_found_by_name(service));
    pool.services.iter().filter(answers).map(|service| service.name.to_string()).collect()
}

/// Explains TLS for unpublished hosts: a configuration with names contains only the certificates of hosts. The error: all
/// proxies refuse it.
pub(super) fn judge_default_tls(sources: &Sources<'_>, cluster: &Cluster, steps: &mut Vec<TraceStep>) -> Result<(), TraceOutcome> {
    let Some(by_name) = ProxyResolution::observed(sources, cluster).filter(|by_name| by_name.any()) else { return Ok(()) };
    let why = "proxies that find endpoints by name have no certificate for unpublished hosts";
    if by_name.all() {
        let remedy = "Run `swarmgate status` to see which component is silent. Plain HTTP is still served.";
        return Err(TraceOutcome::not_served(None, format!("the TLS handshake is refused: {why}"), remedy));
    }
    steps.push(step(TraceSubject::Tls, format!("refused by {}: {why}", by_name.text())));
    Ok(())
}
