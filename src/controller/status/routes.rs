//! Routes as the status shows them: the translation knows the endpoints and why some get no requests; what the proxies run
//! decides whether a route is served already.

use super::{StatusInput, proxies};
use crate::report::{EndpointState, PROXIES, ProxyTaskReport, RouteReport, RouteState, number, share};
use crate::translate::is_closed;

/// Every route, with its current state.
pub fn list(seen: &StatusInput<'_>, proxies: &[ProxyTaskReport]) -> Vec<RouteReport> {
    let obstacle = obstacle(seen, proxies);
    let judged = |route: &RouteReport| match (&obstacle, route.state) {
        (Some((state, why)), RouteState::Served) => RouteReport { state: *state, reason: Some(why.clone()), ..route.clone() },
        _ => route.clone(),
    };
    seen.translation.routes.iter().map(judged).collect()
}

/// Whether a route answers 503 and nothing in progress would end that.
pub fn any_is_dead(routes: &[RouteReport]) -> bool {
    routes.iter().any(|route| match route.state {
        // A redirect has neither services nor endpoints, so it never lacks any. Tasks may still be about to become endpoints.
        RouteState::NoEndpoints => is_closed(route) || route.services.iter().all(|service| service.endpoints.is_empty()),
        RouteState::OverLimit | RouteState::Unverifiable | RouteState::Quarantined => true,
        RouteState::Served | RouteState::Pending | RouteState::Unknown => false,
    })
}

/// Whether a route has tasks, all of them on networks that the proxies do not have.
pub fn waits_for_network(route: &RouteReport) -> bool {
    let mut endpoints = route.services.iter().flat_map(|service| &service.endpoints);
    route.state == RouteState::Pending && route.target.is_none() && !endpoints.any(|endpoint| endpoint.state == EndpointState::Active)
}

/// Why not every proxy serves the newest routes yet.
fn obstacle(seen: &StatusInput<'_>, proxies: &[ProxyTaskReport]) -> Option<(RouteState, String)> {
    let running: Vec<&ProxyTaskReport> = proxies.iter().filter(|proxy| proxies::is_running(proxy)).collect();
    let current = running.iter().filter(|proxy| proxy.up_to_date == Some(true)).count();
    let silent = running.iter().filter(|proxy| proxies::is_silent(proxy)).count();
    let newest_accepted = seen.report.and_then(|received| received.report.accepted.as_ref());
    let rendered = newest_accepted.is_some_and(|accepted| accepted.desired_digest == seen.desired.digest);
    match (running.len(), current) {
        (0, _) => Some((RouteState::Pending, "no proxy task is running".to_owned())),
        _ if !rendered => Some((RouteState::Pending, "the extension has not accepted the newest routes yet".to_owned())),
        (all, _) if silent > 0 => {
            let have = number(silent, "has", "have");
            Some((RouteState::Unknown, format!("{} {have} not reported recently", share(silent, all, &PROXIES))))
        }
        (all, current) if current < all => {
            let by_name = match running.iter().filter(|proxy| proxies::is_on_names(proxy)).count() {
                0 => String::new(),
                count => format!(", {count} {} endpoints by name", number(count, "finds", "find")),
            };
            let run = if current == 0 {
                "no proxy runs".to_owned()
            } else {
                format!("{} {}", share(current, all, &PROXIES), number(current, "runs", "run"))
            };
            Some((RouteState::Pending, format!("{run} the newest configuration{by_name}")))
        }
        _ => None,
    }
}
