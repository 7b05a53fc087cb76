//! The headers that describe a request to applications, whatever the protocol, and the client's own headers that they never
//! see.
//!
//! nginx drops a header only by its name, so headers about clients, schemes, hosts and paths are listed here. Headers that
//! are not listed are passed on unchanged.

use super::writer::{Word, Writer};
use super::{Rendering, client_address};
use crate::route::{ClientAddressSource, EngineSettings};

/// The names of the headers that the proxy adds for applications.
pub const ADDED: &[&str] =
    &["Host", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Request-ID"];

/// The path that was cut off a request, if any.
pub const PREFIX: &str = "X-Forwarded-Prefix";

/// Never passed on, whoever sends them: alternative headers from which frameworks read a client's address, scheme, host or
/// path, and `Proxy`, which CGI scripts mistake for their own setting.
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

/// Facts about a person or a certificate that a load balancer in front established: passed on only from there.
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

/// Writes the variables for the headers, in addition to those of [`client_address`].
pub fn write_variables(http: &mut Writer, rendering: &Rendering<'_>) {
    http.comment("The path that a location removes.");
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

/// A load balancer that uses the PROXY protocol reads no headers: they are the client's own. The same applies to headers
/// spelt with underscores, which the load balancer may have let through and the engine cannot tell from hyphens.
fn passes_on(settings: &EngineSettings) -> bool {
    let reads_headers = settings.client_address.as_ref().is_some_and(|client| client.from != ClientAddressSource::ProxyProtocol);
    reads_headers && !settings.nginx.passes_underscores()
}

/// All spellings together are several times as many headers as nginx expects.
pub fn write_sizes(http: &mut Writer, rendering: &Rendering<'_>) {
    if rendering.table.settings.nginx.passes_underscores() {
        http.directive("proxy_headers_hash_max_size", &["2048".into()]);
        http.directive("proxy_headers_hash_bucket_size", &["256".into()]);
    }
}

/// Writes one line for each header, with the directive of a protocol.
pub fn write(http: &mut Writer, rendering: &Rendering<'_>, directive: &'static str) {
    let named = headers(&rendering.table.settings);
    for (name, value) in &named {
        http.directive(directive, &[Word::identifier(name), (*value).into()]);
    }
    if rendering.table.settings.nginx.passes_underscores() {
        for name in named.iter().filter(|(name, _)| is_spelt_otherwise(directive, name)).flat_map(|(name, _)| spellings(name)) {
            http.directive(directive, &[Word::identifier(&name), "".into()]);
        }
    }
}

/// For HTTP/2 nginx has room for few headers, and applications that treat underscores as hyphens rarely use it.
fn is_spelt_otherwise(directive: &str, name: &str) -> bool {
    directive != "grpc_set_header" || ADDED.contains(&name)
}

fn headers(settings: &EngineSettings) -> Vec<(&'static str, &'static str)> {
    let added = [
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
    added.into_iter().chain(from_front).chain(dropped).collect()
}

fn forwarded_for(settings: &EngineSettings) -> &'static str {
    match settings.client_address.as_ref().map(|client| client.from) {
        Some(ClientAddressSource::XForwardedFor | ClientAddressSource::Forwarded) => "$forwarded_for",
        Some(ClientAddressSource::ProxyProtocol) | None => "$remote_addr",
    }
}

/// The header of RFC 7239, if the cluster reads it; then it is passed on as well.
pub fn forwarded(settings: &EngineSettings) -> Option<&'static str> {
    let by_it = settings.client_address.as_ref().is_some_and(|client| client.from == ClientAddressSource::Forwarded);
    by_it.then_some("Forwarded")
}

/// Empty, except for the header that the cluster reads.
fn dropped(name: &str, settings: &EngineSettings) -> &'static str {
    if forwarded(settings) == Some(name) { "$forwarded" } else { "" }
}

/// Every spelling of a name with underscores.
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
    fn all_spellings_of_a_name_with_underscores_are_listed() {
        assert_eq!(spellings("Proxy"), [""; 0]);
        assert_eq!(spellings("X-Real-IP"), ["X_Real-IP", "X-Real_IP", "X_Real_IP"]);
        assert_eq!(spellings("X-Forwarded-Tls-Client-Cert").len(), 15);
    }
}
