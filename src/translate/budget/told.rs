//! What is said about limits: to the author of a service that loses something, and to the administrator whose cluster is nearly
//! full. Decides nothing.

use super::{Beyond, Loss};
use crate::intent::cluster::Cluster;
use crate::report::{Finding, FindingCode, Severity, Subject};
use crate::route::{Dimension, Footprint};
use crate::translate::World;
use crate::translate::published::{Published, label_key};
use crate::types::excerpt;

/// How much of a limit may be used before the administrator hears of it, in percent.
const NEAR_PERCENT: u64 = 80;
/// How many of the lost hosts a finding names.
const NAMED_MAX: usize = 5;

/// What a service loses, and why.
pub(super) fn service(world: &World<'_>, service: &Published<'_>, loss: &Loss) -> Finding {
    let limits = &world.cluster.limits;
    let (cluster, kept) = (&world.cluster.name, service.labels.hosts.len());
    let missing = missing(service, loss);
    let (why, remedy) = match loss.beyond {
        Beyond::Service(dimension) => {
            let (wanted, limit) = (dimension.of(&loss.wanted), dimension.of(&limits.service));
            let why = format!(
                "the service asks for {wanted} {dimension} of the proxies' configuration, {} more than a service of the cluster {cluster} may have ({limit})",
                wanted.saturating_sub(limit)
            );
            (why, format!("{}, or have an administrator raise spec.limits.service.{dimension}.", fewer(dimension)))
        }
        Beyond::Cluster(dimension) => {
            let (wanted, before, limit) = (dimension.of(&loss.wanted), dimension.of(&loss.before), dimension.of(&limits.cluster));
            let why = format!(
                "the service asks for {wanted} {dimension} of the proxies' configuration; older services have {before} of the {limit} of the cluster {cluster}, so {} are too many",
                wanted.saturating_add(before).saturating_sub(limit)
            );
            (why, format!("{}, or have an administrator raise spec.limits.cluster.{dimension} or open another cluster.", fewer(dimension)))
        }
    };
    let follows = if kept == 0 { "none of its hosts is published".to_owned() } else { format!("its first {kept} hosts are published") };
    let message = format!("{why}; {follows}, and this is not: {missing}");
    let finding = Finding::new(Severity::Error, FindingCode::LimitExceeded, service.subject(), message, remedy);
    Finding { field: Some(label_key(if loss.hosts.is_empty() { "default_backend" } else { "hosts" })), ..finding }
}

fn missing(service: &Published<'_>, loss: &Loss) -> String {
    let root = &service.labels.context_root;
    let path = if root.is_root() { "" } else { root.as_str() };
    let default = loss.default_backend.then(|| "the default backend".to_owned());
    let named = default.into_iter().chain(loss.hosts.iter().map(|host| excerpt(&format!("{host}{path}"), 120)));
    let shown = named.take(NAMED_MAX).collect::<Vec<_>>();
    let more = (loss.hosts.len() + usize::from(loss.default_backend)).saturating_sub(shown.len());
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

fn fewer(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Routes => "Publish fewer hosts, or a wildcard instead of many",
        Dimension::Locations => "Publish fewer hosts, redirects or websocket endpoints",
        Dimension::Bytes => "Publish fewer hosts, or reach many replicas by their virtual IP (com.docker.lb.backend_mode=vip)",
    }
}

/// That a cluster is nearly full, or more than that. Whole percents, so that not every change is news.
pub(super) fn cluster(cluster: &Cluster, spent: &Footprint, losers: usize) -> Option<Finding> {
    let percent = |dimension: &Dimension| {
        let limit = dimension.of(&cluster.limits.cluster).max(1);
        dimension.of(spent).saturating_mul(100) / limit
    };
    let fullest = Dimension::ALL.into_iter().max_by_key(percent)?;
    let (at, limit) = (percent(&fullest), fullest.of(&cluster.limits.cluster));
    if at < NEAR_PERCENT {
        return None;
    }
    let beyond = match losers {
        0 => "beyond that the youngest services lose routes".to_owned(),
        1 => "one service loses routes".to_owned(),
        losers => format!("{losers} services lose routes"),
    };
    let message = format!("services use {at} % of the {limit} {fullest} that spec.limits.cluster allows; {beyond}");
    let remedy = format!(
        "Raise spec.limits.cluster.{fullest} if extension and proxies have the memory (docs/limits.md), lower spec.limits.service, or spread the services over several clusters."
    );
    let subject = Subject::Cluster(cluster.name.to_string());
    let finding = Finding::new(Severity::Warning, FindingCode::LimitNear, subject, message, remedy);
    Some(Finding { field: Some(format!("spec.limits.cluster.{fullest}")), ..finding })
}
