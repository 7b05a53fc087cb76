//! Concise route tables for tests.

use std::net::SocketAddr;

use swarmgate::route::{Backend, BackendService, Endpoint, EngineSettings, PathRoute, RouteTable};
use swarmgate::types::{ClusterName, ContextPath, HostPattern, Port, ServiceId, ServiceName};

/// Whether a route cuts off its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    Kept,
    Cut,
}

/// A table without routes on a port.
pub fn empty(http: u16) -> RouteTable {
    let settings = EngineSettings { connect_timeout_ms: 1000, ..EngineSettings::default() };
    RouteTable { settings, ..RouteTable::empty(ClusterName::parse("test").unwrap(), Port::new(http).unwrap()) }
}

/// A pool of these addresses.
pub fn backend(addresses: &[SocketAddr]) -> Backend {
    let endpoint =
        |address: &SocketAddr| Endpoint { address: address.ip(), port: Port::new(address.port()).unwrap(), task: None, lasting: false };
    Backend::new(vec![service("some_app", 80, addresses.iter().map(endpoint).collect())])
}

/// One service of a pool.
pub fn service(name: &str, port: u16, endpoints: Vec<Endpoint>) -> BackendService {
    BackendService::new(ServiceId(format!("id-{name}")), ServiceName::parse(name).unwrap(), Port::new(port).unwrap(), endpoints)
}

pub fn route(table: &mut RouteTable, host: &str, path: &str, kept: Path, addresses: &[SocketAddr]) {
    let route = PathRoute { rewrite: kept == Path::Cut, ..PathRoute::to(backend(addresses)) };
    let host = table.hosts.entry(HostPattern::parse(host).unwrap()).or_default();
    host.paths.insert(ContextPath::parse(path).unwrap(), route);
}

/// Adds a route to services known by name, for boot snapshots.
pub fn route_by_name(table: &mut RouteTable, host: &str, path: &str, services: &[(&str, u16)]) {
    let pool = Backend::new(services.iter().map(|(name, port)| service(name, *port, Vec::new())).collect());
    let route = PathRoute::to(pool);
    let host = table.hosts.entry(HostPattern::parse(host).unwrap()).or_default();
    host.paths.insert(ContextPath::parse(path).unwrap(), route);
}
