//! One pool per route: its name and its endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::writer::{Word, Writer};
use super::{ConfigPurpose, Rendering, client_address};
use crate::route::{Affinity, Backend, BackendService, RouteTable, SizeBytes};
use crate::types::{ContextPath, CookieName, HostPattern};

/// Hash-balanced pools take memory for each unit of weight, so the sum of their weights is kept small.
const HASHED_WEIGHTS_MAX: u64 = 500;

/// The maximum length of a DNS label.
const LABEL_MAX: usize = 63;

/// The pool of the default backend. It cannot clash with a host's pool, whose name begins with `up-`.
pub fn default_pool() -> Word {
    "up~default".into()
}

/// The pool of a route: `up-HOST` for a whole site, `up-HOST~a~b` for the path `/a/b`. A host contains no `~`, so two routes
/// never share a name. The engine compares names of pools without regard to case.
pub fn pool_name(host: &HostPattern, path: &ContextPath) -> Word {
    let path = if path.is_root() { "" } else { path.as_str() };
    Word::join(["up-".into(), Word::identifier(host.as_str()), Word::caseless_identifier(path)])
}

/// The pool of a host whose TLS is passed through.
pub fn passthrough_pool(host: &HostPattern) -> Word {
    Word::join(["pt-".into(), Word::identifier(host.as_str())])
}

/// Whether requests can be passed on to this backend at all: it has endpoints, and their certificates can be checked as
/// configured.
pub fn is_served(backend: &Backend, rendering: &Rendering<'_>) -> bool {
    let somebody = match rendering.purpose {
        ConfigPurpose::Boot => has_named_servers(backend),
        ConfigPurpose::Live | ConfigPurpose::Stock => backend.endpoint_weights().into_iter().any(|weight| weight > 0),
    };
    somebody && backend.protocol.tls.as_ref().is_none_or(|verification| rendering.materials.can_verify(verification))
}

/// Whether any endpoint of the backend is resolved by name.
pub fn has_named_servers(backend: &Backend) -> bool {
    !named_servers(backend).is_empty()
}

/// Writes all pools of HTTP routes that can serve.
pub fn write_upstreams(http: &mut Writer, rendering: &Rendering<'_>) {
    write_cookie_maps(http, rendering);
    for (host, virtual_host) in &rendering.table.hosts {
        for (path, route) in &virtual_host.paths {
            write_pool(http, rendering, &pool_name(host, path), &route.backend);
        }
    }
    if let Some(default) = &rendering.table.default_backend {
        write_pool(http, rendering, &default_pool(), &default.backend);
    }
}

/// The key that selects an endpoint for a client: the cookie's value, or a random value for a client without it.
fn write_cookie_maps(http: &mut Writer, rendering: &Rendering<'_>) {
    for name in cookies(rendering.table) {
        http.block("map", &["$http_cookie".into(), Word::cookie_variable(name)], |map| {
            map.entry("default", "$request_id");
            map.entry_words(&Word::cookie_pattern(name), &"$sticky_value".into());
        });
    }
}

/// The cookies that select an endpoint anywhere, without duplicates.
pub fn cookies(table: &RouteTable) -> BTreeSet<&CookieName> {
    let pools = table.hosts.values().flat_map(|host| host.paths.values()).map(|route| &route.backend);
    let pools = pools.chain(table.default_backend.iter().map(|default| &default.backend));
    pools.filter_map(cookie_of).collect()
}

fn cookie_of(backend: &Backend) -> Option<&CookieName> {
    if let Affinity::Cookie(name) = &backend.affinity { Some(name) } else { None }
}

fn write_pool(http: &mut Writer, rendering: &Rendering<'_>, name: &Word, backend: &Backend) {
    if !is_served(backend, rendering) {
        return;
    }
    write_servers(http, rendering, name, backend, |upstream| match &backend.affinity {
        Affinity::None => {}
        Affinity::Cookie(cookie) => upstream.directive("hash", &[Word::cookie_variable(cookie), "consistent".into()]),
        // nginx's own `ip_hash` uses only three quarters of an IPv4 address, and moves most clients when one endpoint
        // disappears.
        Affinity::ClientAddress => {
            let address = client_address::variable(&rendering.table.settings);
            upstream.directive("hash", &[address.into(), "consistent".into()]);
        }
    });
}

/// Writes an `upstream` block. `choose` writes how an endpoint is selected, if not round-robin.
pub fn write_servers(out: &mut Writer, rendering: &Rendering<'_>, name: &Word, backend: &Backend, choose: impl FnOnce(&mut Writer)) {
    let servers = if rendering.purpose == ConfigPurpose::Boot { named_servers(backend) } else { addressed_servers(backend) };
    let in_stream = !backend_is_http(name);
    out.block("upstream", std::slice::from_ref(name), |upstream| {
        // A pool with one address has no state for workers to share, and most pools are such: this saves a third of the
        // memory of a table with thousands of hosts.
        if rendering.purpose == ConfigPurpose::Boot || servers.len() > 1 {
            upstream.directive("zone", &[name.clone(), zone_size(rendering, servers.len())]);
        }
        choose(upstream);
        write_server_lines(upstream, rendering.purpose, backend, &servers);
        if in_stream {
            return;
        }
        upstream.directive("keepalive", &["32".into()]);
        // Shorter than the timeouts of common application servers (5 s), so that they never close a connection on which a
        // request is just being sent.
        upstream.directive("keepalive_timeout", &["4s".into()]);
    });
}

fn backend_is_http(name: &Word) -> bool {
    name.as_str().starts_with("up")
}

/// Whether the engine's DNS knows the service's tasks: they are on a network that the proxies share.
fn has_name(service: &BackendService) -> bool {
    !service.on_nodes
}

/// One server of a pool: its address, its weight, and its service's failure settings.
struct UpstreamServer {
    address: Word,
    weight: u64,
    max_fails: Option<u32>,
    fail_timeout_ms: Option<u64>,
}

/// Servers by service name, and at the few addresses that a boot snapshot may contain. Without endpoints a weight cannot be
/// divided by their number, so it is used unchanged.
fn named_servers(backend: &Backend) -> Vec<UpstreamServer> {
    let wanted = backend.services.iter().filter(|service| service.weight != Some(0));
    let all_unweighted = backend.services.iter().all(|service| service.weight.is_none());
    let unstated = if all_unweighted { 1 } else { rest_of_the_pool(backend) };
    let server = |service: &BackendService, address| UpstreamServer {
        address,
        weight: service.weight.map_or(unstated, u64::from),
        max_fails: service.max_fails,
        fail_timeout_ms: service.fail_timeout_ms,
    };
    let servers = wanted.flat_map(|service| lasting_addresses(service).into_iter().map(move |address| server(service, address)));
    servers.filter(|s| s.weight > 0).collect()
}

fn lasting_addresses(service: &BackendService) -> Vec<Word> {
    if has_name(service) {
        return vec![Word::join([tasks_of(service), ":".into(), service.port.into()])];
    }
    service.endpoints.iter().map(|endpoint| SocketAddr::new(endpoint.address, endpoint.port.get()).into()).collect()
}

/// The name of a service's tasks on the network over which it is reached, as Docker's name server and the agent understand
/// it. It does not match an alias of another service on another network, and the agent does not trust the result of one.
fn tasks_of(service: &BackendService) -> Word {
    // Names of Swarm networks contain no dots; the name of an older network could change where the name is looked up.
    let network = service.network.as_ref().filter(|network| network.as_str().len() <= LABEL_MAX && !network.as_str().contains('.'));
    let tasks = Word::join(["tasks.".into(), (&service.name).into()]);
    network.map_or_else(|| tasks.clone(), |network| Word::join([tasks.clone(), ".".into(), network.into()]))
}

/// The number of different names that the engine resolves.
pub fn names_to_resolve(table: &RouteTable) -> usize {
    let services = table.backends().flat_map(|backend| &backend.services).filter(|service| has_name(service));
    services.map(|service| (&service.name, &service.network)).collect::<BTreeSet<_>>().len()
}

fn rest_of_the_pool(backend: &Backend) -> u64 {
    let stated: u64 = backend.services.iter().filter_map(|service| service.weight).map(u64::from).sum();
    100_u64.saturating_sub(stated)
}

fn addressed_servers(backend: &Backend) -> Vec<UpstreamServer> {
    let mut servers = BTreeMap::<SocketAddr, UpstreamServer>::new();
    for (service, weight) in backend.services.iter().zip(backend.endpoint_weights()) {
        for endpoint in &service.endpoints {
            let address = SocketAddr::new(endpoint.address, endpoint.port.get());
            let (max_fails, fail_timeout_ms) = (service.max_fails, service.fail_timeout_ms);
            servers.entry(address).or_insert(UpstreamServer { address: address.into(), weight, max_fails, fail_timeout_ms });
        }
    }
    let mut servers: Vec<UpstreamServer> = servers.into_values().filter(|server| server.weight > 0).collect();
    if !backend.affinity.is_none() {
        bound_weights(&mut servers);
    }
    servers
}

fn bound_weights(servers: &mut [UpstreamServer]) {
    let sum: u64 = servers.iter().map(|server| server.weight).sum();
    if sum > HASHED_WEIGHTS_MAX {
        for server in servers.iter_mut() {
            server.weight = (server.weight * HASHED_WEIGHTS_MAX / sum).max(1);
        }
    }
}

/// A failing endpoint is left out for a moment. If all of them fail, the same endpoints are used as backups that are never
/// left out: a burst of errors must not turn into "no live upstreams" while any endpoint can answer. Hash-balanced pools
/// cannot have backups, so their endpoints are never left out unless the service configures it.
fn write_server_lines(upstream: &mut Writer, purpose: ConfigPurpose, backend: &Backend, servers: &[UpstreamServer]) {
    let alone = servers.len() == 1;
    let doubled = purpose != ConfigPurpose::Boot && backend.affinity.is_none() && !alone;
    for server in servers {
        let mut words = vec![server.address.clone()];
        words.extend((server.weight > 1 && !alone).then(|| Word::join(["weight=".into(), server.weight.into()])));
        words.extend((purpose == ConfigPurpose::Boot).then(|| "resolve".into()));
        let max_fails = server.max_fails.unwrap_or(if doubled { 3 } else { 0 });
        words.push(Word::join(["max_fails=".into(), max_fails.into()]));
        if max_fails > 0 {
            words.push(Word::join(["fail_timeout=".into(), Word::seconds(server.fail_timeout_ms.unwrap_or(5_000))]));
        }
        upstream.directive("server", &words);
    }
    let left_out_at_times = servers.iter().any(|server| server.max_fails != Some(0));
    for server in servers.iter().filter(|_| doubled && left_out_at_times) {
        upstream.directive("server", &[server.address.clone(), "max_fails=0".into(), "backup".into()]);
    }
}

/// The shared memory of a pool: as configured, but always enough for its endpoints (each is listed twice and takes less than
/// 1 KiB).
fn zone_size(rendering: &Rendering<'_>, servers: usize) -> Word {
    let endpoints = if rendering.purpose == ConfigPurpose::Boot { servers * 64 } else { servers * 2 };
    let needed = u64::try_from(endpoints).unwrap_or(u64::MAX).saturating_mul(1 << 10).saturating_add(32 << 10);
    let size = rendering.table.settings.nginx.upstream_zone_size.0.max(needed).clamp(64 << 10, 1 << 30);
    Word::size(SizeBytes(size.next_multiple_of(64 << 10)))
}
