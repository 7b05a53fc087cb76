//! Route tables for tests, in a few words.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use swarmgate::route::{Backend, BackendService, Endpoint, EngineSettings, PathRoute, RouteTable};
use swarmgate::types::{ClusterName, ContextPath, HostPattern, Port, ServiceId, ServiceName};

/// Whether a route's path is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    Kept,
    Cut,
}

/// A table without routes on a port.
pub fn empty(http: u16) -> RouteTable {
    RouteTable {
        cluster: ClusterName::parse("test").unwrap(),
        http_port: Port::new(http).unwrap(),
        https_port: None,
        settings: EngineSettings { connect_timeout_ms: 1000, ..EngineSettings::default() },
        hosts: BTreeMap::new(),
        default_backend: None,
    }
}

/// The pool of some addresses.
pub fn backend(addresses: &[SocketAddr]) -> Backend {
    let endpoint = |address: &SocketAddr| Endpoint { address: address.ip(), port: Port::new(address.port()).unwrap(), task: None };
    let service = BackendService {
        id: ServiceId("id".to_owned()),
        name: ServiceName::parse("some_app").unwrap(),
        port: Port::new(80).unwrap(),
        vip: false,
        endpoints: addresses.iter().map(endpoint).collect(),
    };
    Backend { services: vec![service] }
}

/// Adds a route.
pub fn route(table: &mut RouteTable, host: &str, path: &str, kept: Path, addresses: &[SocketAddr]) {
    let route = PathRoute { rewrite: kept == Path::Cut, backend: backend(addresses) };
    let host = table.hosts.entry(HostPattern::parse(host).unwrap()).or_default();
    host.paths.insert(ContextPath::parse(path).unwrap(), route);
}

/// Adds a route to services known by name, for boot snapshots.
pub fn route_by_name(table: &mut RouteTable, host: &str, path: &str, services: &[(&str, u16)]) {
    let service = |(name, port): &(&str, u16)| BackendService {
        id: ServiceId(format!("id-{name}")),
        name: ServiceName::parse(name).unwrap(),
        port: Port::new(*port).unwrap(),
        vip: false,
        endpoints: Vec::new(),
    };
    let route = PathRoute { rewrite: false, backend: Backend { services: services.iter().map(service).collect() } };
    let host = table.hosts.entry(HostPattern::parse(host).unwrap()).or_default();
    host.paths.insert(ContextPath::parse(path).unwrap(), route);
}
