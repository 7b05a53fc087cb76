//! Route tables for the tests.

use std::collections::BTreeMap;

use swarmgate::route::{Backend, BackendService, Endpoint, EngineSettings, NginxSettings, PathRoute, RouteTable, VirtualHost};
use swarmgate::types::{ContextPath, HostPattern, Port, ServiceId, ServiceName, TaskId};

use crate::stage::{Stage, cluster};
use crate::tasks::{Extension, RunningProxy};
use crate::test_application::TestApplication;

/// Starts an extension and a proxy that serve this application at this host, and waits until they do.
pub async fn serve_app(stage: &Stage, host: &str, app: &TestApplication) -> (Extension, RunningProxy) {
    stage.serve(routes(stage, &[(host, &[app])]), host, app.name).await
}

/// A table with these hosts, each served by these applications.
pub fn routes(stage: &Stage, hosts: &[(&str, &[&TestApplication])]) -> RouteTable {
    let host = |(name, apps): &(&str, &[&TestApplication])| (HostPattern::parse(name).unwrap(), virtual_host(apps));
    RouteTable {
        settings: EngineSettings {
            nginx: NginxSettings { keepalive_min_timeout_ms: 2_000, ..NginxSettings::default() },
            access_log: false,
            ..EngineSettings::default()
        },
        hosts: hosts.iter().map(host).collect(),
        ..RouteTable::empty(cluster(), Port::new(stage.http().port()).unwrap())
    }
}

fn virtual_host(apps: &[&TestApplication]) -> VirtualHost {
    let endpoint = |app: &&TestApplication| Endpoint {
        address: app.address.ip(),
        port: Port::new(app.address.port()).unwrap(),
        task: Some(TaskId(format!("task-{}", app.address.port()))),
        lasting: false,
    };
    let (id, name) = (ServiceId("service".to_owned()), ServiceName::parse("app").unwrap());
    let service = BackendService::new(id, name, Port::new(8080).unwrap(), apps.iter().map(endpoint).collect());
    let route = PathRoute::to(Backend::new(vec![service]));
    VirtualHost { paths: BTreeMap::from([(ContextPath::root(), route)]), ..VirtualHost::default() }
}
