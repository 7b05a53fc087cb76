//! Route tables for the tests.

use std::collections::BTreeMap;

use swarmgate::route::{Backend, BackendService, Endpoint, EngineSettings, PathRoute, RouteTable, VirtualHost};
use swarmgate::types::{ContextPath, HostPattern, Port, ServiceId, ServiceName, TaskId};

use crate::apps::App;
use crate::stage::{Stage, cluster};

/// A table with these hosts, each served by these applications.
pub fn routes(stage: &Stage, hosts: &[(&str, &[&App])]) -> RouteTable {
    let host = |(name, apps): &(&str, &[&App])| (HostPattern::parse(name).unwrap(), virtual_host(apps));
    RouteTable {
        cluster: cluster(),
        http_port: Port::new(stage.http().port()).unwrap(),
        https_port: None,
        settings: EngineSettings { keepalive_min_timeout_ms: 2_000, access_log: false, ..EngineSettings::default() },
        hosts: hosts.iter().map(host).collect(),
        default_backend: None,
    }
}

fn virtual_host(apps: &[&App]) -> VirtualHost {
    let endpoint = |app: &&App| Endpoint {
        address: app.address.ip(),
        port: Port::new(app.address.port()).unwrap(),
        task: Some(TaskId(format!("task-{}", app.address.port()))),
    };
    let service = BackendService {
        id: ServiceId("service".to_owned()),
        name: ServiceName::parse("app").unwrap(),
        port: Port::new(8080).unwrap(),
        vip: false,
        endpoints: apps.iter().map(endpoint).collect(),
    };
    let route = PathRoute { rewrite: false, backend: Backend { services: vec![service] } };
    VirtualHost { paths: BTreeMap::from([(ContextPath::root(), route)]) }
}
