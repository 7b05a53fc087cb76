//! Routes whose networks the proxies do not have yet, or do not get: they have endpoints, and no proxy reaches them. Pure.

use std::collections::BTreeMap;

use super::Seen;
use crate::report::{RouteReport, RouteState};

/// Marks the routes of which no service is reached.
pub fn annotate(seen: &Seen<'_>, routes: &mut [RouteReport]) {
    if seen.networks.missing.is_empty() {
        return;
    }
    let unreached = unreached(seen);
    let is_open = |route: &&mut RouteReport| route.state == RouteState::Served && !route.services.is_empty();
    for route in routes.iter_mut().filter(is_open) {
        let reasons = route.services.iter().map(|service| unreached.get(service.service.as_str()));
        let reasons: Option<Vec<&&str>> = reasons.collect();
        if let Some(reason) = reasons.and_then(|reasons| reasons.first().map(|reason| (**reason).to_owned())) {
            route.state = RouteState::Pending;
            route.reason = Some(reason);
        }
    }
}

/// The services all of whose networks are missing, and why.
fn unreached<'a>(seen: &Seen<'a>) -> BTreeMap<&'a str, &'a str> {
    let missing = &seen.networks.missing;
    let mut unreached = BTreeMap::new();
    for (id, networks) in &seen.translation.reached_over {
        let Some(service) = seen.snapshot.services.get(id) else { continue };
        let reasons: Option<Vec<&String>> = networks.iter().map(|network| missing.get(network)).collect();
        if let Some(reason) = reasons.and_then(|reasons| reasons.first().copied()) {
            unreached.insert(service.name.as_str(), reason.as_str());
        }
    }
    unreached
}
