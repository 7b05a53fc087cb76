//! What the engine refuses in a table, reported to its authors: each finding has its service or setting, the engine's
//! message and the remedy. Pure.

use std::collections::BTreeSet;

use super::StatusInput;
use crate::protocol::messages::Quarantined;
use crate::report::{Finding, RouteKind, RouteReport, RouteState, Subject, cases};
use crate::route::QuarantineUnit;
use crate::types::HostKey;

/// Marks the routes that are left out.
pub fn annotate(seen: &StatusInput<'_>, routes: &mut [RouteReport]) {
    for quarantined in held(seen) {
        for route in routes.iter_mut().filter(|route| is_of(route, &quarantined.part)) {
            route.state = RouteState::Quarantined;
            let why = if quarantined.too_large { "the configuration would be too large with it" } else { "the engine refuses it" };
            route.reason = Some(format!("{why}: {}", quarantined.message.trim()));
        }
    }
}

/// One finding for everything that is left out.
pub fn findings(seen: &StatusInput<'_>) -> Vec<Finding> {
    held(seen).flat_map(|quarantined| about(seen, quarantined)).collect()
}

/// What is left out of the newest table: parts that are no longer in it are not reported.
fn held<'a>(seen: &StatusInput<'a>) -> impl Iterator<Item = &'a Quarantined> {
    let table = &seen.desired.table;
    let quarantined_parts = seen.report.map_or(&[][..], |received| &received.report.quarantined);
    quarantined_parts.iter().filter(|quarantined| table.identity_of(&quarantined.part).is_some())
}

fn about(seen: &StatusInput<'_>, quarantined: &Quarantined) -> Vec<Finding> {
    let (what, setting) = (describe_unit(&quarantined.part), setting_of(&quarantined.part));
    let message = quarantined.message.trim();
    let (message, case) = if quarantined.too_large {
        let message = format!(
            "{what} is one of the largest parts and is left out, because proxies could not read the configuration with it; \
             everything else is served: {message}"
        );
        (message, cases::RouteQuarantined::TooLarge)
    } else {
        let message = format!("the engine refuses {what}, which is left out; everything else is served: {message}");
        (message, cases::RouteQuarantined::Refused)
    };
    let finding = |subject| Finding::new(case, subject, message.clone());
    let services = services_of(seen, &quarantined.part);
    if services.is_empty() {
        let about_cluster = finding(Subject::Cluster(seen.cluster.name.to_string()));
        return vec![match setting {
            Some((field, Some(value))) => about_cluster.with_field(format!("spec.settings.{field}"), &value),
            Some((field, None)) => Finding { field: Some(format!("spec.settings.{field}")), ..about_cluster },
            None => about_cluster,
        }];
    }
    services.into_iter().map(|service| finding(Subject::Service(service.to_owned()))).collect()
}

/// Describes a part in words.
pub fn describe_unit(part: &QuarantineUnit) -> String {
    match part {
        QuarantineUnit::Line { .. } => "this line".to_owned(),
        QuarantineUnit::Template => "the template".to_owned(),
        QuarantineUnit::DefaultBackend => "the default backend".to_owned(),
        QuarantineUnit::Passthrough { host } => format!("the passthrough host {host}"),
        QuarantineUnit::Redirects { host } => format!("the redirects of {host}"),
        QuarantineUnit::Route { host, path } => format!("the route {host}{path}"),
    }
}

/// The field of a setting, with the value where that is short.
fn setting_of(part: &QuarantineUnit) -> Option<(&'static str, Option<String>)> {
    let value = match part {
        QuarantineUnit::Line { line, .. } => Some(line.to_string()),
        _ => None,
    };
    Some((part.setting()?, value))
}

/// The services behind a part. A redirect has none of its own, so those of its host are named.
fn services_of<'a>(seen: &StatusInput<'a>, part: &QuarantineUnit) -> BTreeSet<&'a str> {
    let concerned = seen.translation.routes.iter().filter(|route| match part {
        QuarantineUnit::Redirects { host } => route.host.is(host),
        part => is_of(route, part),
    });
    concerned.flat_map(|route| &route.services).map(|service| service.service.as_str()).collect()
}

fn is_of(route: &RouteReport, part: &QuarantineUnit) -> bool {
    match part {
        QuarantineUnit::Line { .. } | QuarantineUnit::Template => false,
        QuarantineUnit::DefaultBackend => route.host == HostKey::DefaultBackend,
        QuarantineUnit::Passthrough { host } => route.kind == RouteKind::Passthrough && route.host.is(host),
        QuarantineUnit::Redirects { host } => route.kind == RouteKind::Redirect && route.host.is(host),
        QuarantineUnit::Route { host, path } => route.kind == RouteKind::Http && route.host.is(host) && route.path == *path,
    }
}
