//! The route table: hosts, paths, backends, endpoints. Ordered maps and sorted vectors only: equal meaning, equal bytes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::EngineSettings;
use crate::types::{ClusterName, ContextPath, Digest, HostPattern, Port, ServiceId, ServiceName, TaskId};

/// Everything that the proxies of one service cluster must say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteTable {
    /// The cluster that this table is for.
    pub cluster: ClusterName,
    /// The port inside the proxy container that speaks plain HTTP.
    pub http_port: Port,
    /// The port inside the proxy container that speaks TLS; absent when the cluster publishes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https_port: Option<Port>,
    /// Options of the engine that hold for all routes.
    pub settings: EngineSettings,
    /// The hosts that are published, exact and wildcard.
    pub hosts: BTreeMap<HostPattern, VirtualHost>,
    /// Who answers for hosts that nobody published; absent = 503.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_backend: Option<Backend>,
}

impl RouteTable {
    /// The identity of this table: equal tables have equal digests in every process.
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }
}

/// One published host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualHost {
    /// The paths below this host, each its own route; the longest that fits on a segment border answers.
    pub paths: BTreeMap<ContextPath, PathRoute>,
}

/// One path of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PathRoute {
    /// Whether the path is cut off before the request is passed on (`context_root_rewrite`).
    pub rewrite: bool,
    /// Who answers.
    pub backend: Backend,
}

/// The pool of endpoints behind one route: those of all services that published the same key, oldest service first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backend {
    /// The services of the pool by creation time, then id. Never empty; a service may have no endpoints.
    pub services: Vec<BackendService>,
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
    /// The endpoints that may get requests now, sorted by address and port. Empty = this part answers 503.
    pub endpoints: Vec<Endpoint>,
}

/// One address that may get requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The address on a network that the proxies share with the service.
    pub address: IpAddr,
    /// The port at that address.
    pub port: Port,
    /// The task behind the address; absent for a virtual IP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
}
