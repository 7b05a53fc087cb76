//! The route table: hosts, paths, backends, endpoints. Ordered maps and sorted vectors only: equal meaning, equal bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::EngineSettings;
use super::tls::{MaterialRef, TlsBinding, Verification};
use crate::types::{
    ClusterName, ContextPath, CookieName, Digest, EngineKind, HostKey, HostPattern, NetworkName, Port, Scheme, ServiceId, ServiceName,
    SiteUrl, TaskId,
};

/// All routes that the proxies of one service cluster must serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteTable {
    /// The cluster that this table is for.
    pub cluster: ClusterName,
    /// The engine of its proxies; absent: nginx. An extension of another engine refuses the table.
    #[serde(default, skip_serializing_if = "EngineKind::is_default")]
    pub engine: EngineKind,
    /// The port inside the proxy container for plain HTTP.
    pub http_port: Port,
    /// The port inside the proxy container for TLS; absent if the cluster publishes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https_port: Option<Port>,
    /// The published port at which clients reach `https_port`: redirects to TLS contain it where clients name ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https_published: Option<Port>,
    /// Options of the engine that apply to all routes.
    pub settings: EngineSettings,
    /// The published hosts, exact and wildcard.
    pub hosts: BTreeMap<HostPattern, VirtualHost>,
    /// The hosts whose TLS is passed on to the application without being terminated, by server name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub passthrough: BTreeMap<HostPattern, Backend>,
    /// Hosts that services lose to a limit. Every path answers 503 and TLS handshakes are refused, so that neither a wildcard
    /// nor the default backend answers there. Contains none of `hosts` or `passthrough`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub closed: BTreeSet<HostPattern>,
    /// The backend for hosts that no service publishes; absent: 503.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_backend: Option<DefaultBackend>,
    /// The addresses of tasks that get requests once every proxy is attached to their networks. The first proxies there use
    /// them to check that they reach the network. No requests are sent there.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub awaited: BTreeSet<SocketAddr>,
}

impl RouteTable {
    /// A table without routes, for the default engine.
    pub fn empty(cluster: ClusterName, http_port: Port) -> Self {
        Self {
            cluster,
            engine: EngineKind::default(),
            http_port,
            https_port: None,
            https_published: None,
            settings: EngineSettings::default(),
            hosts: BTreeMap::new(),
            passthrough: BTreeMap::new(),
            closed: BTreeSet::new(),
            default_backend: None,
            awaited: BTreeSet::new(),
        }
    }

    /// The identity of this table: equal tables have equal digests in every process.
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }

    /// Every pool of the table.
    pub fn backends(&self) -> impl Iterator<Item = &Backend> {
        let paths = self.hosts.values().flat_map(|host| host.paths.values()).map(|route| &route.backend);
        paths.chain(self.passthrough.values()).chain(self.default_backend.iter().map(|default| &default.backend))
    }

    /// Every pool of the table, mutable.
    pub fn backends_mut(&mut self) -> impl Iterator<Item = &mut Backend> {
        let paths = self.hosts.values_mut().flat_map(|host| host.paths.values_mut()).map(|route| &mut route.backend);
        paths.chain(self.passthrough.values_mut()).chain(self.default_backend.iter_mut().map(|default| &mut default.backend))
    }

    /// The objects with certificates, keys and CAs that the table names and that exist in the Swarm, without duplicates.
    pub fn material(&self) -> BTreeSet<&MaterialRef> {
        let bound = self.bindings().flat_map(|(_, binding)| binding.objects());
        let authorities = self.backends().filter_map(|backend| match &backend.protocol.tls {
            Some(Verification::Authority(authority)) => Some(authority),
            _ => None,
        });
        bound.chain(authorities).filter(|object| object.id.is_some()).collect()
    }

    /// The certificates presented to clients, by host; that of the default backend comes last.
    pub fn bindings(&self) -> impl Iterator<Item = (HostKey, &TlsBinding)> {
        let hosts = self.hosts.iter().filter_map(|(host, virtual_host)| Some((HostKey::from(host), virtual_host.tls.as_ref()?)));
        hosts.chain(self.default_backend.iter().filter_map(|default| Some((HostKey::DefaultBackend, default.tls.as_ref()?))))
    }
}

/// One published host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualHost {
    /// The paths of this host, each with its own route; the longest one that matches at a segment boundary answers. Empty if
    /// the host only redirects.
    pub paths: BTreeMap<ContextPath, PathRoute>,
    /// The certificate presented to clients; absent: the host is not published over TLS, or its TLS is passed through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsBinding>,
    /// Whether plain HTTP is redirected to HTTPS on paths without a route: a host whose TLS is passed through has no routes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub https_only: bool,
    /// Redirects of requests; sorted, each (scheme, path) once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirects: Vec<Redirect>,
}

/// Redirects requests below a path to `target` and keeps their own path and query.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Redirect {
    /// The scheme of the redirected requests.
    pub scheme: Scheme,
    /// The path that they begin with, at a segment boundary.
    pub path: ContextPath,
    /// The target of the redirect. Never a wildcard.
    pub target: SiteUrl,
}

/// The backend for hosts that no service publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DefaultBackend {
    /// The applications that answer.
    pub backend: Backend,
    /// The certificate presented to clients of other names, or without a server name; absent: their handshake is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsBinding>,
    /// Whether plain HTTP is answered by a redirect to HTTPS (`ssl_only`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub https_only: bool,
}

/// One path of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PathRoute {
    /// Whether the path is removed before the request is passed on (`context_root_rewrite`).
    pub rewrite: bool,
    /// Whether plain HTTP is answered by a redirect to HTTPS (`ssl_only`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub https_only: bool,
    /// Paths of long-lived connections (`websocket_endpoints`), at or below this route's path; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub websockets: Vec<ContextPath>,
    /// The applications that answer.
    pub backend: Backend,
}

/// The pool of endpoints behind one route: those of all services that publish the same key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backend {
    /// The services of the pool: owners of the host first, then by creation time and id. Never empty; a service may have no
    /// endpoints.
    pub services: Vec<BackendService>,
    /// How a client is kept at the same endpoint.
    #[serde(default, skip_serializing_if = "Affinity::is_none")]
    pub affinity: Affinity,
    /// The protocol between the proxies and the applications.
    #[serde(default, skip_serializing_if = "BackendProtocol::is_default")]
    pub protocol: BackendProtocol,
}

/// How a client is kept at the same endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Affinity {
    /// Not at all.
    #[default]
    None,
    /// By the value of a cookie that the application sets; clients without it are distributed.
    Cookie(CookieName),
    /// By the client's address.
    ClientAddress,
}

impl Affinity {
    /// Whether there is no affinity.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// The protocol between the proxies and the applications.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendProtocol {
    /// HTTP/2 (with prior knowledge) instead of HTTP/1.1.
    pub http2: bool,
    /// TLS, with the way in which certificates are verified; absent: plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Verification>,
}

impl BackendProtocol {
    /// Whether this is HTTP/1.1 in plain text.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// One service's part of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendService {
    /// The service's id.
    pub id: ServiceId,
    /// The service's name; `tasks.NAME` resolves to its running tasks on a shared overlay network.
    pub name: ServiceName,
    /// The port on which its containers listen.
    pub port: Port,
    /// Whether `endpoints` is the one virtual IP (`backend_mode=vip`) instead of task addresses.
    pub vip: bool,
    /// The service's share in percent of a pool of several services (`weight`), independent of the number of its endpoints.
    /// Services without a weight share the rest, each endpoint equally.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
    /// Failures after which an endpoint gets no requests for a while (`max_fails`); 0 = never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_fails: Option<u32>,
    /// How long the endpoint then gets no requests, in milliseconds (`fail_timeout`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_timeout_ms: Option<u64>,
    /// Whether the service is reached at ports that its tasks publish on their nodes (host mode). The proxies' DNS has no name
    /// for such tasks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_nodes: bool,
    /// The network over which it is reached; proxies do not accept addresses on other networks as tasks of the service. Absent
    /// for services reached on nodes, and in tables of operators that do not send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// The endpoints that may get requests now, sorted by address and port. Empty: this part answers 503.
    pub endpoints: Vec<Endpoint>,
}

impl BackendService {
    /// A service without weight and failure settings, reached at its tasks' addresses.
    pub fn new(id: ServiceId, name: ServiceName, port: Port, endpoints: Vec<Endpoint>) -> Self {
        Self { id, name, port, vip: false, on_nodes: false, weight: None, max_fails: None, fail_timeout_ms: None, network: None, endpoints }
    }
}

impl PathRoute {
    /// A route that passes requests on unchanged.
    pub fn to(backend: Backend) -> Self {
        Self { rewrite: false, https_only: false, websockets: Vec::new(), backend }
    }
}

impl Backend {
    /// A pool in plain HTTP/1.1 without affinity.
    pub fn new(services: Vec<BackendService>) -> Self {
        Self { services, affinity: Affinity::None, protocol: BackendProtocol::default() }
    }
}

impl DefaultBackend {
    /// A default backend in plain HTTP.
    pub fn plain(backend: Backend) -> Self {
        Self { backend, tls: None, https_only: false }
    }
}

/// One address that may get requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The address on a network that the proxies share with the service, or that of a node.
    pub address: IpAddr,
    /// The port at that address.
    pub port: Port,
    /// The task behind the address; absent for a virtual IP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// Whether address and port belong to this service while it is published in this way: a node's address, and a fixed port
    /// that no other service publishes. Every other address is reused by others eventually.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lasting: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_names_its_engine_only_if_it_is_not_the_default() {
        let table = RouteTable::empty(ClusterName::parse("dev").unwrap(), Port::new(80).unwrap());
        let value = serde_json::to_value(&table).unwrap();
        assert_eq!(value.get("engine"), None, "digests of tables without the field must not change");
        assert_eq!(serde_json::from_value::<RouteTable>(value).unwrap(), table);
    }

    #[test]
    fn a_table_for_an_unknown_engine_is_refused_by_name() {
        let table = RouteTable::empty(ClusterName::parse("dev").unwrap(), Port::new(80).unwrap());
        let mut value = serde_json::to_value(table).unwrap();
        value["engine"] = "haproxy".into();
        let error = serde_json::from_value::<RouteTable>(value).unwrap_err().to_string();
        assert!(error.contains("unknown engine \"haproxy\""), "{error}");
    }
}
