//! One pool per route: its name and its endpoints.

use super::writer::{Word, Writer};
use super::{Purpose, Rendering};
use crate::route::{Backend, SizeBytes};
use crate::types::{ContextPath, HostPattern};

/// The pool of the default backend; no host's pool can have this name, because theirs begin with `up-`.
pub fn default_pool() -> Word {
    "up~default".into()
}

/// The pool of a route: `up-HOST` for a whole site, `up-HOST~a~b` for the path `/a/b`. A host holds no `~`, so two
/// routes never share a name.
pub fn pool_name(host: &HostPattern, path: &ContextPath) -> Word {
    let path = if path.is_root() { "" } else { path.as_str() };
    Word::join(["up-".into(), Word::identifier(host.as_str()), Word::identifier(path)])
}

/// Whether requests can be passed on to this backend at all.
pub fn is_served(backend: &Backend, purpose: Purpose) -> bool {
    purpose == Purpose::Boot || backend.services.iter().any(|service| !service.endpoints.is_empty())
}

/// All pools that can serve.
pub fn write_upstreams(http: &mut Writer, rendering: &Rendering<'_>) {
    for (host, virtual_host) in &rendering.table.hosts {
        for (path, route) in &virtual_host.paths {
            write_pool(http, rendering, &pool_name(host, path), &route.backend);
        }
    }
    if let Some(backend) = &rendering.table.default_backend {
        write_pool(http, rendering, &default_pool(), backend);
    }
}

fn write_pool(http: &mut Writer, rendering: &Rendering<'_>, name: &Word, backend: &Backend) {
    if !is_served(backend, rendering.purpose) {
        return;
    }
    let servers = if rendering.purpose == Purpose::Boot { named_servers(backend) } else { addressed_servers(backend) };
    http.block("upstream", std::slice::from_ref(name), |upstream| {
        // A pool of one address has no state that workers could share, and most pools are such: a third of the memory
        // of a table with thousands of hosts.
        if rendering.purpose == Purpose::Boot || servers.len() > 1 {
            upstream.directive("zone", &[name.clone(), zone_size(rendering, servers.len())]);
        }
        write_server_lines(upstream, rendering.purpose, servers);
        upstream.directive("keepalive", &["32".into()]);
        // Shorter than what common application servers allow (5 s), so that they never close a connection on which a
        // request is just being sent.
        upstream.directive("keepalive_timeout", &["4s".into()]);
    });
}

fn named_servers(backend: &Backend) -> Vec<Word> {
    let name =
        |service: &crate::route::BackendService| Word::join(["tasks.".into(), (&service.name).into(), ":".into(), service.port.into()]);
    backend.services.iter().map(name).collect()
}

fn addressed_servers(backend: &Backend) -> Vec<Word> {
    let endpoints = backend.services.iter().flat_map(|service| &service.endpoints);
    let mut addresses: Vec<_> = endpoints.map(|endpoint| std::net::SocketAddr::new(endpoint.address, endpoint.port.get())).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.into_iter().map(Word::from).collect()
}

/// An endpoint that fails is left out for a moment. Should all of them fail, the same endpoints stand as backups that are
/// never left out: a burst of errors must not turn into "no live upstreams" while anything can answer.
fn write_server_lines(upstream: &mut Writer, purpose: Purpose, servers: Vec<Word>) {
    if purpose == Purpose::Boot {
        return servers.into_iter().for_each(|server| upstream.directive("server", &[server, "resolve".into(), "max_fails=0".into()]));
    }
    if let [only] = servers.as_slice() {
        return upstream.directive("server", &[only.clone(), "max_fails=0".into()]);
    }
    for server in &servers {
        upstream.directive("server", &[server.clone(), "max_fails=3".into(), "fail_timeout=5s".into()]);
    }
    for server in servers {
        upstream.directive("server", &[server, "max_fails=0".into(), "backup".into()]);
    }
}

/// The shared memory of a pool: as set, but always enough for its endpoints (each stands twice and takes less than 1 KiB).
fn zone_size(rendering: &Rendering<'_>, servers: usize) -> Word {
    let endpoints = if rendering.purpose == Purpose::Boot { servers * 64 } else { servers * 2 };
    let needed = u64::try_from(endpoints).unwrap_or(u64::MAX).saturating_mul(1 << 10).saturating_add(32 << 10);
    let size = rendering.table.settings.upstream_zone_size.0.max(needed).clamp(64 << 10, 1 << 30);
    Word::size(SizeBytes(size.next_multiple_of(64 << 10)))
}
