//! Findings about limits: to the author of a service that loses something, and to the administrator of a cluster that is
//! nearly full, or in which a team's share is. Decides nothing.

use std::collections::BTreeSet;

use super::remaining_budget::binds;
use super::{BudgetLoss, ExceededLimit, TeamUsage};
use crate::intent::cluster::Cluster;
use crate::report::{Finding, Subject, cases};
use crate::route::{Dimension, Footprint};
use crate::translate::TranslationContext;
use crate::translate::published_service::{PublishedService, label_key};
use crate::translate::service_team::{Team, TeamTotals};
use crate::types::excerpt;

/// The usage of a limit, in percent, above which the administrator is warned.
const NEAR_PERCENT: u64 = 80;
/// The most lost hosts named in a finding.
const NAMED_MAX: usize = 5;

/// What a service loses, and why.
pub(super) fn service(context: &TranslationContext<'_>, service: &PublishedService<'_>, loss: &BudgetLoss) -> Finding {
    let (why, dimension, limit) = why(context.cluster, &Team::new(service.service), loss);
    let these = if count(loss) == 1 { "this answers" } else { "these answer" };
    let message =
        format!("{why}; {}, and {these} 503: {}{}", published(service.labels.hosts.len(), loss), missing(service, loss), open(loss));
    let finding = Finding::new(case_of(dimension, &limit), service.subject(), message);
    Finding { field: Some(label_key(if loss.hosts.is_empty() { "default_backend" } else { "hosts" })), ..finding }
}

fn case_of(dimension: Dimension, limit: &str) -> cases::LimitExceeded<'_> {
    match dimension {
        Dimension::Routes => cases::LimitExceeded::Routes { limit },
        Dimension::Locations => cases::LimitExceeded::Locations { limit },
        Dimension::Bytes => cases::LimitExceeded::Bytes { limit },
    }
}

/// Which limit the service exceeds and by how much, in which dimension, and the fields with the limits that would have to be higher,
/// as the remedy names them.
fn why(cluster: &Cluster, team: &Team<'_>, loss: &BudgetLoss) -> (String, Dimension, String) {
    let (limits, name) = (&cluster.limits, &cluster.name);
    let requests = |dimension: Dimension| {
        // Text for hosts that are not published is not counted; their number is.
        let about = if loss.estimated && dimension != Dimension::Routes { "about " } else { "" };
        format!("the service requests {about}{} in the proxy configuration", amount(dimension.value_in(&loss.wanted), dimension))
    };
    match loss.beyond {
        ExceededLimit::Service(dimension) => {
            let limit = dimension.value_in(&limits.service);
            let more = dimension.value_in(&loss.wanted).saturating_sub(limit);
            let why = format!("{}, {more} more than the cluster {name} allows per service ({limit})", requests(dimension));
            (why, dimension, loss.beyond.to_string())
        }
        ExceededLimit::Team { dimension, cluster } => {
            let (limit, all) = (dimension.value_in(&limits.team), dimension.value_in(&limits.cluster));
            let before = before(loss, dimension);
            let why = format!(
                "{}; older services of its team ({team}) use {before} of the {limit} that one team may use (of {all} in the cluster \
                 {name}), so {}",
                requests(dimension),
                too_many(loss, dimension, limit)
            );
            let too = cluster.map_or_else(String::new, |full| format!(" and spec.limits.cluster.{full}"));
            (why, dimension, format!("{}{too}", loss.beyond))
        }
        ExceededLimit::Cluster(dimension) => {
            let limit = dimension.value_in(&limits.cluster);
            let before = before(loss, dimension);
            let why = format!(
                "{}; older services use {before} of the {limit} that the cluster {name} allows, so {}",
                requests(dimension),
                too_many(loss, dimension, limit)
            );
            (why, dimension, format!("{} or add another cluster", loss.beyond))
        }
    }
}

/// A number with its unit.
fn amount(number: u64, dimension: Dimension) -> String {
    match (number, dimension) {
        (1, Dimension::Routes) => "1 route".to_owned(),
        (1, Dimension::Locations) => "1 location".to_owned(),
        (1, Dimension::Bytes) => "1 byte".to_owned(),
        _ => format!("{number} {dimension}"),
    }
}

fn before(loss: &BudgetLoss, dimension: Dimension) -> String {
    match dimension.value_in(&loss.before) {
        0 => "none".to_owned(),
        before => before.to_string(),
    }
}

fn too_many(loss: &BudgetLoss, dimension: Dimension, limit: u64) -> String {
    match dimension.value_in(&loss.wanted).saturating_add(dimension.value_in(&loss.before)).saturating_sub(limit) {
        1 => "the limit is exceeded by 1".to_owned(),
        more => format!("the limit is exceeded by {more}"),
    }
}

/// How many items are lost.
fn count(loss: &BudgetLoss) -> usize {
    loss.hosts.len() + usize::from(loss.default_backend)
}

/// What the service keeps.
fn published(kept: usize, loss: &BudgetLoss) -> String {
    match (kept, loss.hosts.len()) {
        (0, 0) => "it is not published".to_owned(),
        (0, 1) => "its host is not published".to_owned(),
        (0, _) => "none of its hosts are published".to_owned(),
        (1, _) => "only its first host is published".to_owned(),
        _ => format!("only its first {kept} hosts are published"),
    }
}

/// What is lost and not even closed to other services.
fn open(loss: &BudgetLoss) -> String {
    let which = match (loss.open, count(loss)) {
        (0, _) => return String::new(),
        (1, 1) => "it".to_owned(),
        (1, _) => "1 of them".to_owned(),
        (open, _) => format!("{open} of them"),
    };
    format!(
        ". A wildcard host or the default backend may answer for {which}, because more hosts are lost than the cluster, or one team, may \
         have routes"
    )
}

fn missing(service: &PublishedService<'_>, loss: &BudgetLoss) -> String {
    let root = &service.labels.context_root;
    let path = if root.is_root() { "" } else { root.as_str() };
    let default = loss.default_backend.then(|| "the default backend".to_owned());
    let named = default.into_iter().chain(loss.hosts.iter().map(|host| excerpt(&format!("{host}{path}"), 120)));
    let shown = named.take(NAMED_MAX).collect::<Vec<_>>();
    let more = count(loss).saturating_sub(shown.len());
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

/// A cluster is nearly full, or beyond that. Whole percents, so that not every small change changes the finding.
pub(super) fn cluster(cluster: &Cluster, spent: &Footprint, losers: usize) -> Option<Finding> {
    let (at, fullest) = fullest(spent, &cluster.limits.cluster, |_| true)?;
    let limit = amount(fullest.value_in(&cluster.limits.cluster), fullest);
    let message = format!("services use {at}% of the {limit} that spec.limits.cluster allows; {}", beyond(losers, "the"));
    let limit = format!("spec.limits.cluster.{fullest}");
    Some(near(cluster, cases::LimitNear::Cluster { limit: &limit }, &limit, message))
}

/// The same for each team's share, the fullest first. A team that overlaps with a reported one is covered by its finding.
pub(super) fn teams(cluster: &Cluster, teams: &BTreeSet<Team<'_>>, shares: &TeamTotals<'_, TeamUsage>) -> Vec<Finding> {
    let limits = &cluster.limits;
    let at = |team| fullest(&shares.total(team).spent, &limits.team, |dimension| binds(limits, dimension));
    let mut full: Vec<_> = teams.iter().filter_map(|team| at(team).map(|(at, dimension)| (team, at, dimension))).collect();
    full.sort_by_key(|(_, at, _)| std::cmp::Reverse(*at));
    let mut reported = TeamTotals::<usize>::default();
    full.retain(|(team, ..)| {
        let is_news = reported.total(team) == 0;
        reported.add(**team, usize::from(is_news));
        is_news
    });
    full.into_iter().map(|(team, at, dimension)| nearly_full(cluster, team, shares.total(team).losers, (at, dimension))).collect()
}

fn nearly_full(cluster: &Cluster, team: &Team<'_>, losers: usize, (at, fullest): (u64, Dimension)) -> Finding {
    let limit = amount(fullest.value_in(&cluster.limits.team), fullest);
    let message = format!(
        "the services of one team ({team}) use {at}% of the {limit} that spec.limits.team allows a team; {}",
        beyond(losers, "its")
    );
    let limit = format!("spec.limits.team.{fullest}");
    near(cluster, cases::LimitNear::Team { limit: &limit }, &limit, message)
}

/// The dimension with the highest usage among those that apply, with the percentage; `None` if that is low.
fn fullest(spent: &Footprint, limit: &Footprint, counts: impl Fn(Dimension) -> bool) -> Option<(u64, Dimension)> {
    let percent = |dimension: Dimension| dimension.value_in(spent).saturating_mul(100) / dimension.value_in(limit).max(1);
    let all = Dimension::ALL.into_iter().filter(|dimension| counts(*dimension)).map(|dimension| (percent(dimension), dimension));
    all.max_by_key(|(at, _)| *at).filter(|(at, _)| *at >= NEAR_PERCENT)
}

fn beyond(losers: usize, whose: &str) -> String {
    match losers {
        0 => format!("above the limit, {whose} youngest services lose routes"),
        1 => "one service loses routes".to_owned(),
        losers => format!("{losers} services lose routes"),
    }
}

fn near(cluster: &Cluster, case: cases::LimitNear<'_>, limit: &str, message: String) -> Finding {
    let subject = Subject::Cluster(cluster.name.to_string());
    Finding { field: Some(limit.to_owned()), ..Finding::new(case, subject, message) }
}
