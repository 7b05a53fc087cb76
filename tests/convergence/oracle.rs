//! What must be true, determined without the code under test: which routes valid labels ask for, and what may be written.

use std::collections::BTreeSet;

use swarmgate::protocol::container_contract::{LABEL_CLUSTER, LABEL_OWNER, LABEL_ROLE};
use swarmgate::protocol::messages::Desired;
use swarmgate::route::Endpoint;
use swarmgate::simulator::{RecordedWrite, SwarmCall};
use swarmgate::swarm::{Service, Snapshot, Task};
use swarmgate::types::ClusterName;

/// Valid hosts.
pub const GOOD_HOSTS: &[&str] = &["a.example.org", "b.example.org", "*.example.org", "A.Example.ORG"];
/// Invalid hosts, some of them deliberately so.
pub const BAD_HOSTS: &[&str] =
    &["", "http://a.example.org", "a b", "a.example.org; return 200", "*.*.example.org", "-x-", "a.example.org/path"];
/// Valid paths.
pub const GOOD_PATHS: &[&str] = &["/", "/app", "/app/deep"];

/// Checks that every route that valid labels ask for is in the published table of its cluster, with its service, and that every
/// endpoint is a running task of its service, at an address where that task is and that all proxies can reach.
pub fn check_routes(cluster: &ClusterName, desired: &Desired, seen: &Snapshot) {
    for service in seen.services.values() {
        if let Some((host, path)) = requested(cluster, service) {
            let route =
                desired.table.hosts.iter().find(|(known, _)| known.as_str() == host).and_then(|(_, virtual_host)| {
                    virtual_host.paths.iter().find(|(known, _)| known.as_str() == path).map(|(_, route)| route)
                });
            let pooled = route.is_some_and(|route| route.backend.services.iter().any(|part| part.id == service.id));
            assert!(pooled, "cluster {cluster}: {} publishes {host}{path} but is not in the table", service.name);
        }
    }
    let parts = desired.table.hosts.values().flat_map(|host| host.paths.values()).flat_map(|route| &route.backend.services);
    for part in parts {
        for (endpoint, task) in part.endpoints.iter().filter_map(|endpoint| Some((endpoint, endpoint.task.as_ref()?))) {
            let found = seen.tasks.get(task).filter(|task| task.service == part.id && task.state.as_str() == "running");
            let fine = found.is_some_and(|task| is_at(task, endpoint, seen) && is_reached(cluster, task, endpoint, seen));
            assert!(fine, "cluster {cluster}: {endpoint:?} is listed for {} but is none of its running tasks: {found:?}", part.name);
        }
    }
}

/// Whether the task is reachable at the endpoint: on one of its networks, or at a port that it publishes on its node.
fn is_at(task: &Task, endpoint: &Endpoint, seen: &Snapshot) -> bool {
    let on_network = endpoint.port.get() == 8080 && task.addresses.iter().any(|(_, address)| address.addr() == endpoint.address);
    let node = task.node.as_ref().and_then(|id| seen.nodes.get(id)).and_then(|node| node.address);
    // The first one is that for IPv4.
    let bound = task.host_ports.iter().find(|port| port.target == 8080).is_some_and(|port| port.published == endpoint.port.get());
    on_network || (node == Some(endpoint.address) && bound)
}

/// Whether every running proxy is on the network of the endpoint's address, if that address is on a network.
fn is_reached(cluster: &ClusterName, task: &Task, endpoint: &Endpoint, seen: &Snapshot) -> bool {
    let Some((network, _)) = task.addresses.iter().find(|(_, address)| address.addr() == endpoint.address) else { return true };
    let is = |service: &Service, key: &str, value: &str| service.labels.get(key).is_some_and(|found| found == value);
    let ours = |service: &Service| {
        let labelled = is(service, LABEL_CLUSTER, cluster.as_str()) && is(service, LABEL_ROLE, "proxy");
        labelled && service.labels.contains_key(LABEL_OWNER) && !is_squatter(service)
    };
    let is_proxy = |task: &&Task| task.state.as_str() == "running" && seen.services.get(&task.service).is_some_and(ours);
    seen.tasks.values().filter(is_proxy).all(|proxy| proxy.addresses.iter().any(|(own, _)| own == network))
}

/// The route that a service's labels ask for in this cluster, if all of them are valid.
fn requested(cluster: &ClusterName, service: &Service) -> Option<(String, String)> {
    let label = |key: &str| service.labels.get(&format!("com.docker.lb.{key}")).map(String::as_str);
    let host = label("hosts").filter(|host| GOOD_HOSTS.contains(host))?;
    let fits = label("service_cluster").unwrap_or("default") == cluster.as_str();
    let right = fits && label("port") == Some("8080") && !service.networks.is_empty();
    right.then(|| (host.to_lowercase(), label("context_root").unwrap_or("/").to_owned()))
}

/// Checks the writes: they touch only our objects, and remove nothing that a rollback or a task needs.
pub fn check_writes(writes: &[RecordedWrite]) {
    for write in writes.iter().filter(|write| write.took_effect()) {
        assert!(write.owned, "a foreign object was touched: {write:?}");
        let removal = matches!(write.call, SwarmCall::RemoveConfig | SwarmCall::RemoveSecret);
        assert!(!removal || write.still_needed_by.is_empty(), "something in use was removed: {write:?}");
    }
}

/// Whether a foreign service holds a name that is ours by convention.
pub fn is_squatter(service: &Service) -> bool {
    service.labels.contains_key("squatter")
}

/// Checks that our existing objects belong to declared clusters, and that each of those has its two services.
pub fn check_fleet(declared: &BTreeSet<ClusterName>, truth: &Snapshot) {
    let ours = truth.services.values().filter(|service| service.labels.contains_key(LABEL_OWNER));
    let names: BTreeSet<&str> = ours.map(|service| service.name.as_str()).collect();
    let wanted: BTreeSet<String> =
        declared.iter().flat_map(|name| [format!("swarmgate-extension-{name}"), format!("swarmgate-proxy-{name}")]).collect();
    assert_eq!(names, wanted.iter().map(String::as_str).collect(), "the services that exist are those of the declared clusters");
}
