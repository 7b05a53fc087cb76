//! The client's address, scheme, host and port: taken from the connection, or from a trusted load balancer in front
//! (`settings.clientAddress`). Every other part of the configuration takes them from here, so that redirects, logs, hashes,
//! limits and applications never disagree. Must never let an untrusted client influence any of them.
//!
//! - `$from_front`: `1` if the connection comes from a trusted load balancer.
//! - `$client_scheme`, `$client_site` (host, optionally with a port), `$client_host`, `$forwarded_port`: what the client
//!   requested.
//! - the client's address: [`variable`].

mod forwarded;
mod site_patterns;
mod trusted_ranges;

use super::writer::{Word, Writer};
use crate::route::{ClientAddress, ClientAddressSource, EngineSettings};
use crate::types::AddressRange;
use site_patterns::{port_pattern, site_pattern};

/// The last item of a list that every hop appends to. Items to its left may come from an untrusted client.
macro_rules! last {
    ($item:expr) => {
        concat!(r"~*^1 (?:.*,)?[ \t]*", $item, r"[ \t]*$")
    };
}

/// The variable that holds the client's address as text.
pub fn variable(settings: &EngineSettings) -> &'static str {
    if from(settings) == Some(ClientAddressSource::Forwarded) { "$client_address" } else { "$remote_addr" }
}

/// The variable that holds the scheme of the client's request.
pub fn scheme(settings: &EngineSettings) -> &'static str {
    if from(settings).is_some() { "$client_scheme" } else { "$scheme" }
}

/// The variable that holds the host that the client requested, with its port if it named one.
pub fn site(settings: &EngineSettings) -> &'static str {
    if from(settings).is_some() { "$client_site" } else { "$forwarded_host" }
}

/// The variable that holds that host without a port.
pub fn host(settings: &EngineSettings) -> &'static str {
    if from(settings).is_some() { "$client_host" } else { "$host" }
}

/// The variable that holds the requested host as used to tell whether the client names ports.
pub fn port_named_in(settings: &EngineSettings) -> &'static str {
    if from(settings).is_some() { "$client_site" } else { "$http_host" }
}

/// Whether each connection begins with the PROXY protocol.
pub fn by_proxy_protocol(settings: &EngineSettings) -> bool {
    from(settings) == Some(ClientAddressSource::ProxyProtocol)
}

fn from(settings: &EngineSettings) -> Option<ClientAddressSource> {
    settings.client_address.as_ref().map(|client| client.from)
}

/// A log format with the client's address, even if an administrator wrote the format.
pub fn in_log(settings: &EngineSettings, format: &Word) -> Word {
    match from(settings) {
        None => format.clone(),
        Some(ClientAddressSource::Forwarded) => {
            format.with_variable("remote_addr", "client_address").with_variable("scheme", "client_scheme")
        }
        Some(_) => format.with_variable("scheme", "client_scheme"),
    }
}

/// Writes the variables of this module, and `$forwarded_port`. `$forwarded_host` already exists.
pub fn write(http: &mut Writer, settings: &EngineSettings) {
    let Some(client) = &settings.client_address else { return write_ports(http, settings, "$forwarded_port") };
    write_trust(http, client);
    match client.from {
        ClientAddressSource::XForwardedFor => write_x_forwarded(http, settings.nginx.passes_underscores()),
        ClientAddressSource::Forwarded => forwarded::write(http, &client.trusted),
        ClientAddressSource::ProxyProtocol => write_proxy_protocol(http),
    }
    write_site(http);
    write_ports(http, settings, if client.from == ClientAddressSource::Forwarded { "$forwarded_port" } else { "$site_port" });
}

/// Writes the trusted load balancers. If nginx understands their information, it replaces the address of the connection; the
/// original address remains available and decides about trust.
fn write_trust(http: &mut Writer, client: &ClientAddress) {
    let header = match client.from {
        ClientAddressSource::XForwardedFor => Some("X-Forwarded-For"),
        ClientAddressSource::ProxyProtocol => Some("proxy_protocol"),
        ClientAddressSource::Forwarded => None,
    };
    if let Some(header) = header {
        for range in &client.trusted {
            http.directive("set_real_ip_from", &[range.into()]);
        }
        http.directive("real_ip_header", &[header.into()]);
        http.directive("real_ip_recursive", &["on".into()]);
    }
    write_from_front(http, "$realip_remote_addr", &client.trusted);
}

fn write_from_front(out: &mut Writer, peer: &'static str, trusted: &[AddressRange]) {
    out.comment("Whether the connection comes from a trusted load balancer.");
    out.block("geo", &[peer.into(), "$from_front".into()], |geo| {
        geo.entry("default", "0");
        trusted_ranges::write(geo, trusted);
    });
}

/// The same in `stream`, where connections are passed through or handed on. The address of the connection is not replaced,
/// because trust in handed-on connections is decided by it again where their requests are read.
pub fn write_stream(stream: &mut Writer, settings: &EngineSettings) {
    let Some(client) = settings.client_address.as_ref().filter(|_| by_proxy_protocol(settings)) else { return };
    write_from_front(stream, "$remote_addr", &client.trusted);
    stream.block("map", &["$from_front $proxy_protocol_addr".into(), "$passed_client".into()], |map| {
        map.entry("default", "$remote_addr");
        map.entry("~^1 (?<said_client>.+)$", "$said_client");
    });
}

/// The variable that holds the client's address as text in `stream`.
pub fn stream_variable(settings: &EngineSettings) -> &'static str {
    if by_proxy_protocol(settings) { "$passed_client" } else { "$remote_addr" }
}

/// A log format of `stream` with the client's address.
pub fn in_stream_log(settings: &EngineSettings, format: &Word) -> Word {
    if by_proxy_protocol(settings) { format.with_variable("remote_addr", "passed_client") } else { format.clone() }
}

/// The variable by which connections are counted in `stream`, where no header identifies the client: connections of a load
/// balancer in front belong to many clients and are not counted.
pub fn write_counted(stream: &mut Writer, settings: &EngineSettings, client: &'static str) -> &'static str {
    let Some(front) = settings.client_address.as_ref().filter(|_| !by_proxy_protocol(settings)) else { return client };
    write_from_front(stream, "$remote_addr", &front.trusted);
    stream.block("map", &["$from_front".into(), "$counted_client".into()], |map| {
        map.entry("default", client);
        map.entry("1", "");
    });
    "$counted_client"
}

/// Each header is a list that the last hop appends to, so its last item comes from the trusted load balancer. If names with
/// underscores are allowed (`underscores`), the engine adds `X_Forwarded_Proto` to the same list, which a load balancer in
/// front may not know: then lists cannot be trusted, and headers that the load balancer may not send at all are ignored.
fn write_x_forwarded(http: &mut Writer, underscores: bool) {
    http.comment("Starts with the client: the items before it in the list are not trusted.");
    let addresses = "$from_front $remote_addr $realip_remote_addr $http_x_forwarded_for";
    http.block("map", &[addresses.into(), "$forwarded_for".into()], |map| {
        map.entry("default", "$remote_addr");
        map.entry(r"~^1 ([^ ]+) [^ ]+ (?:.*[, ])?(?<chain>\1(?:[ ]*,.*)?)$", "$chain, $realip_remote_addr");
        map.entry(r"~^1 ([^ ]+) \1 ", "$remote_addr");
        map.entry("~^1 ", "$remote_addr, $realip_remote_addr");
    });
    http.block("map", &["$from_front $http_x_forwarded_proto".into(), "$client_scheme".into()], |map| {
        map.entry("default", "$scheme");
        map.entry(if underscores { "~*^1 (?:https|wss)$" } else { last!("(?:https|wss)") }, "https");
        map.entry(if underscores { "~*^1 (?:http|ws)$" } else { last!("(?:http|ws)") }, "http");
    });
    if underscores {
        http.block("map", &["$from_front".into(), "$believed_site".into()], |map| map.entry("default", ""));
        http.block("map", &["$from_front".into(), "$forwarded_port".into()], |map| map.entry("default", "$site_port"));
    } else {
        write_forwarded_site(http);
    }
}

/// Host and port that the load balancer in front forwards: the last items of its lists.
fn write_forwarded_site(http: &mut Writer) {
    http.block("map", &["$from_front $http_x_forwarded_host".into(), "$believed_site".into()], |map| {
        map.entry("default", "");
        map.entry(concat!(r"~*^1 (?:.*,)?[ \t]*(?<believed_host>", site_pattern!(), r")[ \t]*$"), "$believed_host");
    });
    http.block("map", &["$from_front $http_x_forwarded_port".into(), "$forwarded_port".into()], |map| {
        map.entry("default", "$site_port");
        map.entry(concat!(r"~^1 (?:.*,)?[ \t]*(?<believed_port>", port_pattern!(), r")[ \t]*$"), "$believed_port");
    });
}

/// A connection states where it came from and to which port it was made. Version 2 can also state that it used TLS; version
/// 1 cannot, so the HTTPS port implies it.
fn write_proxy_protocol(http: &mut Writer) {
    let source = "$from_front $proxy_protocol_tlv_ssl_version $proxy_protocol_server_port";
    http.block("map", &[source.into(), "$client_scheme".into()], |map| {
        map.entry("default", "$scheme");
        map.entry("~^1 [^ ]+ ", "https");
        map.entry("~^1  443$", "https");
    });
    http.block("map", &["$from_front $proxy_protocol_server_port".into(), "$forwarded_port".into()], |map| {
        map.entry("default", "$site_port");
        map.entry("~^1 (?<believed_port>[1-9][0-9]{0,4})$", "$believed_port");
    });
    http.block("map", &["$from_front".into(), "$believed_site".into()], |map| map.entry("default", ""));
}

fn write_site(http: &mut Writer) {
    http.block("map", &["$believed_site".into(), "$client_site".into()], |map| {
        map.entry("default", "$believed_site");
        map.entry("", "$forwarded_host");
    });
    http.block("map", &["$believed_site".into(), "$client_host".into()], |map| {
        map.entry("default", "$host");
        map.entry(r"~^(?<site_host>\[[^\]]+\]|[^:]+)(?::[0-9]+)?$", "$site_host");
    });
}

/// The port that the client used, as far as it follows from scheme and host.
fn write_ports(http: &mut Writer, settings: &EngineSettings, port: &'static str) {
    http.comment("The port that the client used; publishing may have translated it.");
    http.block("map", &[scheme(settings).into(), "$scheme_port".into()], |map| {
        map.entry("default", "80");
        map.entry("https", "443");
    });
    http.block("map", &[port_named_in(settings).into(), port.into()], |map| {
        map.entry("default", "$scheme_port");
        map.entry("~:(?<host_port>[0-9]{1,5})$", "$host_port");
    });
}
