//! Routes whose networks the proxies do not have yet, or will not get: they have tasks, but not every proxy reaches them.
//! Pure.

use std::collections::BTreeMap;

use super::StatusInput;
use crate::report::RouteReport;

/// Explains what routes wait for that have no endpoints because proxies lack networks.
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

/// The services whose networks are all missing, and why.
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
