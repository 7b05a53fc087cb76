//! Routes whose networks the proxies do not have yet, or do not get: they have tasks, and not every proxy reaches them. Pure.

use std::collections::BTreeMap;

use super::StatusInput;
use crate::report::RouteReport;

/// Says of the routes without endpoints, because proxies lack networks, what these wait for.
pub fn annotate(seen: &StatusInput<'_>, routes: &mut [RouteReport]) {
    if seen.networks.missing.is_empty() {
        return;
    }
    let unreached = unreached(seen);
    for route in routes.iter_mut().filter(|route| super::routes::waits_for_network(route)) {
        let reason = route.services.iter().find_map(|service| unreached.get(service.service.as_str()));
        route.reason = reason.map(|reason| (*reason).to_owned()).or(route.reason.take());
    }
}

/// The services all of whose networks are missing, and why.
fn unreached<'a>(seen: &StatusInput<'a>) -> BTreeMap<&'a str, &'a str> {
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
