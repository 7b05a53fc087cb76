//! Servers that learn the scheme of a request only from the load balancer in front: each location gives the answer of one
//! scheme or the other. A load balancer that terminates TLS forwards HTTPS requests by plain HTTP, and must not be
//! redirected to HTTPS again.

use super::location_answers::{https_address, write_answer, write_both, write_default_backend};
use super::writer::{Word, Writer};
use super::{Rendering, client_address};
use crate::route::{Backend, PathAction, VirtualHost};
use crate::types::{HostPattern, Scheme};

/// Whether a load balancer may state the scheme.
pub fn scheme_is_forwarded(rendering: &Rendering<'_>) -> bool {
    rendering.table.settings.client_address.is_some()
}

/// Writes which redirect to HTTPS a plain request gets: only GET and HEAD may become a GET.
pub fn write_map(http: &mut Writer, rendering: &Rendering<'_>) {
    if !scheme_is_forwarded(rendering) {
        return;
    }
    let source = Word::join([client_address::scheme(&rendering.table.settings).into(), " $request_method".into()]);
    http.block("map", &[source, "$to_https".into()], |map| {
        map.entry("default", "");
        map.entry("~^http (?:GET|HEAD)$", "301");
        map.entry("~^http ", "308");
    });
}

/// Writes the routes of a host, for requests of both schemes.
pub fn write_locations(server: &mut Writer, rendering: &Rendering<'_>, host: &HostPattern, virtual_host: &VirtualHost) {
    for matched in virtual_host.path_matches_by_scheme() {
        let (path, http, https) = (&matched.path, &matched.http, &matched.https);
        write_both(server, path, |location, part| {
            let answer = |location: &mut Writer, answer: &PathAction<'_>| write_answer(location, rendering, host, path, answer, part);
            match (http, https) {
                (http, https) if http == https => answer(location, http),
                (PathAction::Https, https) => write_redirect_first(location, rendering, |location| answer(location, https)),
                // An application cannot be inside a condition, and two applications of one place are the same.
                (PathAction::Application(_), https) => write_other_first(location, Scheme::Https, https, http, &answer),
                (http, https) => write_other_first(location, Scheme::Http, http, https, &answer),
            }
        });
    }
}

/// Writes the default backend for HTTPS requests; all others are redirected to HTTPS.
pub fn write_default(server: &mut Writer, rendering: &Rendering<'_>, backend: &Backend) {
    server.block("location", &["/".into()], |location| {
        write_redirect_first(location, rendering, |location| write_default_backend(location, rendering, Some(backend)));
    });
}

fn write_redirect_first(location: &mut Writer, rendering: &Rendering<'_>, otherwise: impl FnOnce(&mut Writer)) {
    for (condition, status) in [("$to_https = 301", "301"), ("$to_https = 308", "308")] {
        location.condition(condition, |http| http.directive("return", &[status.into(), https_address(rendering)]));
    }
    otherwise(location);
}

/// Writes `other` for requests of the scheme, and `answer` for the rest.
fn write_other_first(
    location: &mut Writer,
    scheme: Scheme,
    other: &PathAction<'_>,
    answer: &PathAction<'_>,
    write: &dyn Fn(&mut Writer, &PathAction<'_>),
) {
    if !matches!(other, PathAction::Application(_)) {
        let condition = if scheme == Scheme::Https { "$client_scheme = https" } else { "$client_scheme = http" };
        location.condition(condition, |only| write(only, other));
    }
    write(location, answer);
}
