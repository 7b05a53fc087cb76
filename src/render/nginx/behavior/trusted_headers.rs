//! What a load balancer in front says about a client: the patterns that `../client_address.rs` writes for nginx, implemented
//! as code. `tests/nginx/trusted_peers_explained.rs` compares the two.

use std::net::IpAddr;

use super::forwarded::{self, site};
use crate::render::{ClientClaims, ReceivedRequest};
use crate::route::{ClientAddress, ClientAddressSource, EngineSettings};

/// What a trusted load balancer says.
pub fn client_claims(settings: &EngineSettings, front: &ClientAddress, request: &dyn ReceivedRequest) -> ClientClaims {
    match front.from {
        ClientAddressSource::XForwardedFor if settings.nginx.passes_underscores() => by_x_forwarded_in_any_spelling(front, request),
        ClientAddressSource::XForwardedFor => by_x_forwarded(front, request),
        ClientAddressSource::Forwarded => by_forwarded(front, request),
        ClientAddressSource::ProxyProtocol => by_proxy_header(request),
    }
}

fn by_x_forwarded_for(front: &ClientAddress, request: &dyn ReceivedRequest) -> IpAddr {
    let mut client = request.peer();
    let chain = request.header("x-forwarded-for").unwrap_or_default();
    for hop in hops(&chain) {
        let Some(address) = address(hop) else { break };
        client = address;
        if !front.trusts(address) {
            break;
        }
    }
    client
}

fn by_x_forwarded(front: &ClientAddress, request: &dyn ReceivedRequest) -> ClientClaims {
    let last =
        |name: &str| request.header(name).map(|list| list.rsplit(',').next().unwrap_or_default().trim_matches([' ', '\t']).to_owned());
    ClientClaims {
        client: Some(by_x_forwarded_for(front, request)),
        secure: last("x-forwarded-proto").and_then(|word| is_secure(&word)),
        site: last("x-forwarded-host").filter(|host| site(host) == Some(host.len())),
    }
}

/// If names with underscores are allowed, nginx merges every spelling into one list, any item of which may come from a
/// client.
fn by_x_forwarded_in_any_spelling(front: &ClientAddress, request: &dyn ReceivedRequest) -> ClientClaims {
    let secure = request.header_in_any_spelling("x-forwarded-proto").and_then(|word| is_secure(&word));
    ClientClaims { client: Some(by_x_forwarded_for(front, request)), secure, site: None }
}

fn by_forwarded(front: &ClientAddress, request: &dyn ReceivedRequest) -> ClientClaims {
    let header = request.header("forwarded").unwrap_or_default();
    let elements = forwarded::read(&header, |address| front.trusts(address));
    ClientClaims { client: elements.client, secure: elements.is_secure(), site: elements.site().map(str::to_owned) }
}

/// Version 1 cannot state that the client used TLS; the HTTPS port implies it.
fn by_proxy_header(request: &dyn ReceivedRequest) -> ClientClaims {
    let Some((client, port)) = request.proxied_for() else { return ClientClaims::default() };
    ClientClaims { client: Some(client), secure: (port == 443).then_some(true), site: None }
}

fn is_secure(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "https" | "wss" => Some(true),
        "http" | "ws" => Some(false),
        _ => None,
    }
}

/// The items of a list, from the last to the first. As in nginx, a comma or blank at the very beginning is part of the first
/// item.
fn hops(chain: &str) -> impl Iterator<Item = &str> {
    let first = chain.char_indices().nth(1).map_or(chain.len(), |(second, _)| second);
    let separators = chain[first..].rmatch_indices([' ', ',']).map(move |(at, _)| first + at);
    let mut end = chain.len();
    let items = separators.chain([usize::MAX]).map(move |at| {
        let start = at.checked_add(1).unwrap_or_default();
        let item = &chain[start..end];
        end = at.min(end);
        item
    });
    items.filter(|item| !item.is_empty())
}

/// An address, optionally with a port, IPv6 optionally in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let in_brackets = || text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    let address = text.parse().ok().or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()));
    address.or_else(|| in_brackets()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::hops;

    #[test]
    fn items_are_read_from_the_end_like_in_nginx() {
        for (chain, expected) in
            [("a, b,,c ", &["c", "b", "a"][..]), (",a", &[",a"]), (", a", &["a", ","]), ("a", &["a"]), ("", &[]), (",", &[","])]
        {
            assert_eq!(hops(chain).collect::<Vec<_>>(), expected, "{chain:?}");
        }
    }
}
