//! Properties of whole configurations, whatever the routes are.

use std::net::IpAddr;

use super::CONFIG_FILE;
use crate::render::{ConfigPurpose, Materials, render};
use crate::route::{Backend, BackendService, DefaultBackend, Endpoint, PathRoute, RouteTable, VirtualHost};
use crate::types::{ClusterName, ContextPath, HostPattern, Port, ServiceId, ServiceName, TaskId};

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

fn backend(addresses: &[&str]) -> Backend {
    let endpoint = |address: &&str| Endpoint {
        address: address.parse::<IpAddr>().unwrap(),
        port: port(8080),
        task: Some(TaskId(format!("task-{address}"))),
        lasting: false,
    };
    let name = ServiceName::parse("shop_web").unwrap();
    Backend::new(vec![BackendService::new(ServiceId("s1".to_owned()), name, port(8080), addresses.iter().map(endpoint).collect())])
}

fn table(routes: &[(&str, &str, &[&str])]) -> RouteTable {
    let mut table = RouteTable::empty(ClusterName::parse("dev").unwrap(), port(80));
    table.https_port = Some(port(443));
    for (host, path, addresses) in routes {
        let route = PathRoute::to(backend(addresses));
        let host: &mut VirtualHost = table.hosts.entry(HostPattern::parse(host).unwrap()).or_default();
        host.paths.insert(ContextPath::parse(path).unwrap(), route);
    }
    table
}

fn config(table: &RouteTable, purpose: ConfigPurpose) -> String {
    render(table, purpose).files[CONFIG_FILE].clone()
}

#[test]
fn a_boot_snapshot_does_not_change_when_endpoints_change() {
    let before = table(&[("a.example.org", "/", &["10.0.1.2"])]);
    let mut after = table(&[("a.example.org", "/", &["10.0.1.7", "10.0.1.8"])]);
    assert_eq!(render(&before, ConfigPurpose::Boot), render(&after, ConfigPurpose::Boot));
    after.default_backend = Some(DefaultBackend::plain(backend(&[])));
    assert_ne!(render(&before, ConfigPurpose::Boot).digest, render(&after, ConfigPurpose::Boot).digest);
}

#[test]
fn a_boot_snapshot_contains_names_instead_of_application_addresses() {
    let text = config(&table(&[("a.example.org", "/", &["10.0.1.2"])]), ConfigPurpose::Boot);
    assert!(text.contains("server tasks.shop_web:8080 resolve"), "{text}");
    assert!(!text.contains("10.0.1.2"), "{text}");
}

#[test]
fn another_task_at_the_same_address_does_not_change_the_configuration() {
    let before = table(&[("a.example.org", "/", &["10.0.1.2"])]);
    let mut after = before.clone();
    let host = after.hosts.values_mut().next().unwrap();
    host.paths.values_mut().next().unwrap().backend.services[0].endpoints[0].task = Some(TaskId("other".to_owned()));
    assert_eq!(render(&before, ConfigPurpose::Live).digest, render(&after, ConfigPurpose::Live).digest);
    assert_ne!(before.digest(), after.digest());
}

#[test]
fn the_pools_of_different_routes_never_share_a_name() {
    let tricky = table(&[
        ("a", "/b", &["10.0.1.2"]),
        ("a", "/b_c", &["10.0.1.2"]),
        ("a", "/b/c", &["10.0.1.2"]),
        ("a", "/b~c", &["10.0.1.2"]),
        ("a_b", "/", &["10.0.1.2"]),
        ("*.a", "/", &["10.0.1.2"]),
        ("default", "/", &["10.0.1.2"]),
    ]);
    let text = config(&tricky, ConfigPurpose::Live);
    let names: Vec<_> = text.lines().filter(|line| line.trim().starts_with("upstream ")).collect();
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!((names.len(), distinct.len()), (7, 7), "{names:?}");
}

#[test]
fn a_stock_configuration_has_its_own_user_and_paths() {
    let text = config(&table(&[("a.example.org", "/", &["10.0.1.2", "10.0.1.3"])]), ConfigPurpose::Stock);
    let is_comment = |line: &&str| line.trim_start().starts_with('#');
    let directives: String = text.lines().filter(|line| !is_comment(line)).flat_map(|line| ["\n", line]).collect();
    for directive in ["keepalive_min_timeout", " resolve", "\npid ", "_temp_path", "\nuser "] {
        assert!(!directives.contains(directive), "{directive} in {text}");
    }
}

#[test]
fn the_last_endpoint_of_a_pool_is_never_left_out() {
    let text = config(&table(&[("one", "/", &["10.0.1.2"]), ("two", "/", &["10.0.2.2", "fd00::2"])]), ConfigPurpose::Live);
    assert!(text.contains("server 10.0.1.2:8080 max_fails=0;"), "{text}");
    assert!(text.contains("server [fd00::2]:8080 max_fails=0 backup;"), "{text}");
}

#[test]
fn parts_name_what_changed() {
    let parts = |table: &RouteTable| crate::render::parts(table, &Materials::default());
    let before = parts(&table(&[("a.example.org", "/", &["10.0.1.2"]), ("b.example.org", "/", &[])]));
    let after = parts(&table(&[("a.example.org", "/", &["10.0.1.3"]), ("b.example.org", "/", &[])]));
    let changed: Vec<_> = before.keys().filter(|key| before.get(*key) != after.get(*key)).collect();
    assert_eq!(changed, ["endpoints of a.example.org"]);
}

#[test]
fn addresses_on_future_networks_are_sent_to_agents_but_are_in_no_pool() {
    let mut table = table(&[("a.test", "/", &["10.0.0.1"])]);
    let before = render(&table, ConfigPurpose::Boot);
    table.awaited = ["10.9.0.2:80".parse().unwrap(), "[fd00::2]:81".parse().unwrap()].into();
    assert_eq!(render(&table, ConfigPurpose::Boot), before);
    let live = render(&table, ConfigPurpose::Live);
    assert_eq!(live.files[crate::protocol::container_contract::AWAITED_FILE], "10.9.0.2:80\n[fd00::2]:81\n");
    assert!(!live.files[CONFIG_FILE].contains("10.9.0.2"));
    assert!(!render(&table, ConfigPurpose::Stock).files.contains_key(crate::protocol::container_contract::AWAITED_FILE));
}
