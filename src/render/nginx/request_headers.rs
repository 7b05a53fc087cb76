//! What applications are told about a request, whatever the protocol, and what of a client's own words they never see.
//!
//! nginx drops a header only by its name, so those that tell of clients, schemes, hosts and paths are listed here. A header
//! that stands nowhere below is passed on as it came.

use super::writer::{Word, Writer};
use super::{Rendering, client_address};
use crate::route::{ClientAddressSource, EngineSettings};

/// The names of what applications are told.
pub const TOLD: &[&str] =
    &["Host", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Request-ID"];

/// The path that was cut off a request, if one was.
pub const PREFIX: &str = "X-Forwarded-Prefix";

/// Never passed on, whoever sends it: what frameworks read a client's address, scheme, host or path from instead, and
/// `Proxy`, which scripts take for their own setting.
const DROPPED: &[&str] = &[
    "Forwarded",
    "Forwarded-For",
    "Front-End-Https",
    "Proxy",
    "X-Forwarded",
    "X-Forwarded-By",
    "X-Forwarded-Context",
    "X-Forwarded-Method",
    "X-Forwarded-Path",
    "X-Forwarded-Protocol",
    "X-Forwarded-Scheme",
    "X-Forwarded-Server",
    "X-Forwarded-Ssl",
    "X-Forwarded-Uri",
    "X-Original-Forwarded-For",
    "X-Original-Host",
    "X-Original-URI",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Scheme",
    "X-Url-Scheme",
];

/// What somebody in front found out about a person or a certificate: passed on from there only.
const FROM_FRONT: &[(&str, &str, &str)] = &[
    ("X-Forwarded-Access-Token", "$http_x_forwarded_access_token", "$front_access_token"),
    ("X-Forwarded-Client-Cert", "$http_x_forwarded_client_cert", "$front_client_cert"),
    ("X-Forwarded-Email", "$http_x_forwarded_email", "$front_email"),
    ("X-Forwarded-Groups", "$http_x_forwarded_groups", "$front_groups"),
    ("X-Forwarded-Preferred-Username", "$http_x_forwarded_preferred_username", "$front_preferred_username"),
    ("X-Forwarded-Tls-Client-Cert", "$http_x_forwarded_tls_client_cert", "$front_tls_client_cert"),
    ("X-Forwarded-Tls-Client-Cert-Info", "$http_x_forwarded_tls_client_cert_info", "$front_tls_client_cert_info"),
    ("X-Forwarded-User", "$http_x_forwarded_user", "$front_user"),
];

/// The variables that the headers are made of, beyond those of [`client_address`].
pub fn write_variables(http: &mut Writer, rendering: &Rendering<'_>) {
    http.comment("The path that a location cuts off.");
    http.block("map", &["".into(), "$cut_path".into()], |map| map.entry("default", ""));
    if passes_on(&rendering.table.settings) {
        for (_, received, variable) in FROM_FRONT {
            http.block("map", &["$from_front".into(), (*variable).into()], |map| {
                map.entry("default", "");
                map.entry("1", received);
            });
        }
    }
}

/// In front of connections that begin with the PROXY protocol nobody reads headers: they are the client's own. So is whatever somebody
/// in front may have left because it is spelt with underscores, which the engine cannot tell from hyphens.
fn passes_on(settings: &EngineSettings) -> bool {
    let reads_headers = settings.client_address.as_ref().is_some_and(|client| client.from != ClientAddressSource::ProxyProtocol);
    reads_headers && !settings.passes_underscores()
}

/// With every spelling there are several times as many headers as nginx expects.
pub fn write_sizes(http: &mut Writer, rendering: &Rendering<'_>) {
    if rendering.table.settings.passes_underscores() {
        http.directive("proxy_headers_hash_max_size", &["2048".into()]);
        http.directive("proxy_headers_hash_bucket_size", &["256".into()]);
    }
}

/// One line for each header, under the directive of a protocol.
pub fn write(http: &mut Writer, rendering: &Rendering<'_>, directive: &'static str) {
    let named = headers(&rendering.table.settings);
    for (name, value) in &named {
        http.directive(directive, &[Word::identifier(name), (*value).into()]);
    }
    if rendering.table.settings.passes_underscores() {
        for name in named.iter().filter(|(name, _)| is_spelt_otherwise(directive, name)).flat_map(|(name, _)| spellings(name)) {
            http.directive(directive, &[Word::identifier(&name), "".into()]);
        }
    }
}

/// Towards HTTP/2 nginx has room for few headers, and applications that take underscores for hyphens speak it rarely.
fn is_spelt_otherwise(directive: &str, name: &str) -> bool {
    directive != "grpc_set_header" || TOLD.contains(&name)
}

fn headers(settings: &EngineSettings) -> Vec<(&'static str, &'static str)> {
    let told = [
        ("Host", "$forwarded_host"),
        ("X-Real-IP", client_address::variable(settings)),
        ("X-Forwarded-For", forwarded_for(settings)),
        ("X-Forwarded-Proto", client_address::scheme(settings)),
        ("X-Forwarded-Host", client_address::site(settings)),
        ("X-Forwarded-Port", "$forwarded_port"),
        (PREFIX, "$cut_path"),
        ("X-Request-ID", "$reqid"),
    ];
    let from_front = FROM_FRONT.iter().map(|(name, _, value)| (*name, if passes_on(settings) { *value } else { "" }));
    let dropped = DROPPED.iter().map(|name| (*name, dropped(name, settings)));
    told.into_iter().chain(from_front).chain(dropped).collect()
}

fn forwarded_for(settings: &EngineSettings) -> &'static str {
    match settings.client_address.as_ref().map(|client| client.from) {
        Some(ClientAddressSource::XForwardedFor | ClientAddressSource::Forwarded) => "$forwarded_for",
        Some(ClientAddressSource::ProxyProtocol) | None => "$remote_addr",
    }
}

/// The header of RFC 7239, where a cluster is told by it and tells it on.
pub fn forwarded(settings: &EngineSettings) -> Option<&'static str> {
    let by_it = settings.client_address.as_ref().is_some_and(|client| client.from == ClientAddressSource::Forwarded);
    by_it.then_some("Forwarded")
}

/// Nothing, but for the one header that a cluster may be told by.
fn dropped(name: &str, settings: &EngineSettings) -> &'static str {
    if forwarded(settings) == Some(name) { "$forwarded" } else { "" }
}

/// Every way to write a name with underscores.
fn spellings(name: &str) -> Vec<String> {
    let parts: Vec<&str> = name.split('-').collect();
    let hyphens = parts.len().saturating_sub(1);
    let spelt = |choice: usize| {
        let joined = |(at, part): (usize, &&str)| match at {
            0 => (*part).to_owned(),
            at if choice >> (at - 1) & 1 == 1 => format!("_{part}"),
            _ => format!("-{part}"),
        };
        parts.iter().enumerate().map(joined).collect()
    };
    (1..1 << hyphens).map(spelt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_spelt_in_every_way_with_underscores() {
        assert_eq!(spellings("Proxy"), [""; 0]);
        assert_eq!(spellings("X-Real-IP"), ["X_Real-IP", "X-Real_IP", "X_Real_IP"]);
        assert_eq!(spellings("X-Forwarded-Tls-Client-Cert").len(), 15);
    }
}
