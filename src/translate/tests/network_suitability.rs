//! Which networks are unsuitable for proxies, and what the finding about each says.

use super::network_choice::{only, rules, with_rules};
use super::*;
use crate::intent::networks::NetworkRules;
use crate::report::Severity;

const NODES: &str = "nodes: [{name: n1, address: 198.18.0.11, manager: true}, {name: n2, address: 192.168.7.12}, {name: n3, address: 198.18.0.13, labels: {swarmgate.address: 10.66.0.3}}]\n";

/// The finding, if any, about one service on a network of this definition, beside a routing mesh and a control network.
fn on(network: &str, rules: NetworkRules) -> Option<String> {
    let translation = with_rules(
        rules,
        &format!(
            "{NODES}gatewayBridge: 172.18.0.0/16
networks: [{{name: ingress, routingMesh: true, subnet: 10.0.0.0/24}}, {{name: swarmgate-control, subnet: 10.0.1.0/24}}, {network}]
services:
  - {{name: app, labels: {{hosts: h, port: 80}}, networks: [net], tasks: 1}}
"
        ),
    );
    let finding = translation.findings.iter().find(|finding| finding.code == FindingCode::UnsuitableNetwork);
    let attached = network_ids(&translation);
    match finding {
        None => assert_eq!((attached, endpoints(&translation)), (vec!["id-net"], vec!["h/: 10.3.1.2:80".to_owned()]), "{network}"),
        Some(finding) => {
            assert_eq!((attached, endpoints(&translation)), (vec![], vec!["h/: ".to_owned()]), "{network}");
            assert_eq!((finding.severity, &finding.subject), (Severity::Error, &crate::report::Subject::Service("app".to_owned())));
            assert!(finding.message.starts_with("the network net of the service is not used: "), "{finding}");
            assert!(finding.message.ends_with("; its hosts answer 503"), "{finding}");
            let reason = translation.routes[0].reason.clone().unwrap();
            assert!(reason.starts_with("its network net is not used: "), "{reason}");
            assert_eq!(translation.left_out.keys().map(|id| id.0.as_str()).collect::<Vec<_>>(), ["id-net"]);
        }
    }
    finding.map(|finding| finding.message.clone())
}

fn check(network: &str, expected: Option<&str>) {
    check_with(network, NetworkRules::default(), expected);
}

fn check_with(network: &str, rules: NetworkRules, expected: Option<&str>) {
    let message = on(network, rules);
    match expected {
        None => assert_eq!(message, None, "{network}"),
        Some(part) => assert!(message.as_ref().is_some_and(|message| message.contains(part)), "{network}: {message:?}"),
    }
}

#[test]
fn only_overlays_of_the_swarm_are_attached() {
    check("{name: net}", None);
    check("{name: net, internal: true}", None);
    for driver in ["macvlan", "ipvlan", "bridge", "host", "null", "weaveworks/net-plugin:latest", "Overlay"] {
        check(&format!("{{name: net, driver: {driver:?}}}"), Some(&format!("it is not an overlay network (driver {driver})")));
    }
    check("{name: net, scope: global}", Some("not a Swarm network (scope global)"));
}

#[test]
fn a_subnet_must_not_contain_addresses_that_the_proxies_reach_elsewhere() {
    for (subnet, expected) in [
        ("192.168.7.0/24", Some("overlaps with 192.168.7.12, the node n2")),
        ("192.168.7.12/32", Some("the node n2")),
        ("192.168.8.0/24", None),
        ("10.66.0.0/30", Some("overlaps with 10.66.0.3, the node n3")),
        ("172.18.0.0/16", Some("overlaps with 172.18.0.0/16, docker_gwbridge of a node")),
        ("172.18.5.0/29", Some("docker_gwbridge")),
        ("172.16.0.0/12", Some("docker_gwbridge")),
        ("10.0.0.128/25", Some("the network ingress")),
        ("10.0.0.0/16", Some("the network ingress")),
        ("10.0.1.0/28", Some("the network swarmgate-control")),
        ("10.0.2.0/24", None),
        ("0.0.0.0/1", Some("its subnet 0.0.0.0/1 overlaps")),
        ("0.0.0.0/0", Some("its subnet 0.0.0.0/0 overlaps")),
        ("128.0.0.0/1", Some("its subnet 128.0.0.0/1 overlaps")),
        // Host bits are ignored.
        ("192.168.7.200/24", Some("its subnet 192.168.7.0/24 overlaps")),
    ] {
        check(&format!("{{name: net, subnet: {subnet}}}"), expected);
    }
    check("{name: net, subnet: [10.50.0.0/24, 192.168.7.0/28]}", Some("its subnet 192.168.7.0/28 overlaps"));
}

#[test]
fn subnets_that_are_not_private_are_refused_unless_in_a_closed_list() {
    for (subnet, private) in [
        ("10.200.0.0/16", true),
        ("172.31.0.0/16", true),
        ("192.168.0.0/24", true),
        ("100.64.0.0/10", true),
        ("\"fd00:1::/64\"", true),
        ("100.0.0.0/8", false),
        ("172.32.0.0/16", false),
        ("203.0.113.0/24", false),
        ("198.18.7.0/24", false),
        ("169.254.3.0/24", false),
        ("224.0.0.0/8", false),
        ("\"2001:db8::/64\"", false),
        ("\"fe80::/64\"", false),
        ("\"::/0\"", false),
        ("64.0.0.0/2", false),
    ] {
        let network = format!("{{name: net, subnet: {subnet}}}");
        check(&network, (!private).then_some("not private address space"));
        check_with(&network, only(&["net"]), None);
        // Anyone can create a network with a preferred name while none exists.
        check_with(&network, rules(&["net"], &[]), (!private).then_some("not private address space"));
    }
    // Listed networks must not contain the nodes' addresses either.
    check_with("{name: net, subnet: 198.18.0.0/24}", only(&["net"]), Some("the node n1"));
}

#[test]
fn no_subnet_may_overlap_a_reserved_range() {
    let reserved = || rules(&["net"], &["10.8.0.0/16", "192.0.2.7/32", "fd00:7::/48"]);
    for (subnet, expected) in [
        ("10.8.3.0/24", Some("overlaps with 10.8.0.0/16, a range in spec.networks.reserved")),
        ("10.0.0.0/8", Some("overlaps")),
        ("192.0.2.0/29", Some("overlaps with 192.0.2.7, a range in spec.networks.reserved")),
        ("\"fd00:7:0:1::/64\"", Some("a range in spec.networks.reserved")),
        ("10.9.0.0/16", None),
    ] {
        check_with(&format!("{{name: net, subnet: {subnet}}}"), reserved(), expected);
    }
}

#[test]
fn a_network_without_addresses_is_refused_after_a_delay() {
    check("{name: net, subnet: []}", None);
    let without = |created: &str| {
        let mut world = snapshot(
            "networks: [{name: net, driver: '', subnet: []}]\nservices: [{name: app, labels: {hosts: h, port: 80}, networks: [net], tasks: [{state: new, networks: []}]}]",
        );
        world.networks.values_mut().for_each(|network| network.created_at = created.parse().unwrap());
        translate(&cluster(), &world)
    };
    let young = without("2026-01-01T11:59:55Z");
    assert_eq!(codes(&young), [FindingCode::NoEndpoints]);
    let old = without("2026-01-01T11:59:45Z");
    assert_eq!(codes(&old), [FindingCode::UnsuitableNetwork, FindingCode::NoEndpoints]);
    assert!(old.findings[0].message.contains("Swarm has assigned it no addresses"), "{}", old.findings[0]);
    assert_eq!(codes(&without("1970-01-01T00:00:00Z")), [FindingCode::NoEndpoints], "no age is known without the creation time");
}

/// Two services on networks with the same subnet; returns the networks that are attached.
fn overlapping(first: &str, second: &str, services: &str) -> Vec<String> {
    let translation = translated(&format!(
        "networks: [{{name: a, subnet: 10.9.0.0/16, created: {first}}}, {{name: b, subnet: 10.9.1.0/24, created: {second}}}]\nservices:\n{services}"
    ));
    translation.networks.into_iter().map(|id| id.0).collect()
}

#[test]
fn of_two_overlapping_networks_the_attached_or_older_one_is_kept() {
    let app = |name: &str, tasks: &str| {
        format!("  - {{name: app-{name}, labels: {{hosts: {name}, port: 80}}, networks: [{name}], tasks: {tasks}}}\n")
    };
    let proxy = |networks: &str| format!("  - {{proxyOf: default, name: swarmgate-proxy-default, networks: {networks}, tasks: 1}}\n");
    let both = || app("a", "1") + &app("b", "1");
    assert_eq!(overlapping("1", "2", &both()), ["id-a"]);
    assert_eq!(overlapping("2", "1", &both()), ["id-b"]);
    assert_eq!(overlapping("1", "1", &both()), ["id-a"]);
    assert_eq!(overlapping("1", "2", &(both() + &proxy("[b]"))), ["id-b"]);
    // No task is on the older one, so it does not block the other.
    assert_eq!(overlapping("1", "2", &(app("a", "0") + &app("b", "1"))), ["id-b"]);
    assert_eq!(overlapping("1", "2", &app("b", "1")), ["id-b"]);
}

fn with_settings(client: &[&str], log: Option<&str>, listed: Option<&[&str]>) -> Vec<String> {
    let trusted = client.iter().map(|range| crate::types::AddressRange::parse(range).unwrap()).collect();
    let mut cluster = cluster();
    cluster.networks = listed.map(only).unwrap_or_default();
    let from = crate::route::ClientAddressSource::XForwardedFor;
    cluster.settings.client_address = (!client.is_empty()).then_some(crate::route::ClientAddress { trusted, from });
    cluster.settings.error_log_target = log.map(|target| crate::types::LogTarget::parse(target).unwrap());
    let translation = translate(
        &cluster,
        &snapshot(
            "
            networks: [{name: net, subnet: 10.9.8.0/24}]
            services:
              - {name: app, labels: {hosts: h, port: 80}, networks: [net], tasks: 1}
            ",
        ),
    );
    let found = translation.findings.into_iter().filter(|finding| finding.code == FindingCode::UnsuitableNetwork);
    found.map(|finding| finding.message).collect()
}

/// Answers to a load balancer in such a network would go into it. In a wider range it is unknown where the load balancers
/// are.
#[test]
fn a_network_around_a_balancer_in_front_of_the_proxies_is_left_out() {
    for around in ["10.9.8.7/32", "10.9.8.0/24", "10.9.8.128/25"] {
        let found = with_settings(&[around], None, None);
        assert!(found.len() == 1 && found[0].contains("settings.clientAddress.trusted"), "{around}: {found:?}");
        assert_eq!(with_settings(&[around], None, Some(&["net"])), [""; 0], "the administrator states that they are in it");
    }
    for other in ["10.9.0.0/16", "10.0.0.0/8", "0.0.0.0/0", "10.9.9.1/32", "fd00::/8"] {
        assert_eq!(with_settings(&[other], None, None), [""; 0], "{other}");
    }
    let found = with_settings(&[], Some("syslog:server=10.9.8.9:514"), None);
    assert!(found.len() == 1 && found[0].contains("10.9.8.9, the log server of settings.errorLogPath"), "{found:?}");
    assert_eq!(with_settings(&[], Some("syslog:server=logs.example.org"), None), [""; 0]);
}

#[test]
fn the_control_network_is_recognised_by_its_users_under_any_name() {
    let mut world = snapshot(
        "
        networks: [channel]
        services:
          - {name: app, labels: {hosts: h, port: 80}, networks: [channel], tasks: 1}
          - {name: swarmgate-extension-default, networks: [channel], tasks: 1}
          - {name: impostor, networks: [channel], tasks: 1, labels: {swarmgate.owner: swarmgate, swarmgate.role: extension}}
        ",
    );
    assert_eq!(network_ids(&translate(&cluster(), &world)), ["id-channel"], "labels of a service do not make a network unusable");
    let extension = world.services.values_mut().find(|service| service.name == "swarmgate-extension-default").unwrap();
    extension.labels.insert("swarmgate.owner".to_owned(), "swarmgate".to_owned());
    assert_eq!(network_ids(&translate(&cluster(), &world)), [""; 0]);
}

#[test]
fn an_internal_network_does_not_remove_published_ports_of_nodes() {
    let with = |mode: PublishMode, proxies: &str| {
        let world = format!(
            "
            networks: [{{name: net, internal: true}}, swarmgate-control, other]
            services:
              - {{name: app, labels: {{hosts: h, port: 80}}, networks: [net], tasks: 1}}
              - {{proxyOf: default, name: swarmgate-proxy-default, networks: {proxies}, dnsrr: true, tasks: 1}}
            "
        );
        let mut cluster = cluster();
        cluster.proxy.publish.mode = mode;
        codes(&translate(&cluster, &snapshot(&world)))
    };
    let refused = [FindingCode::UnsuitableNetwork, FindingCode::NoEndpoints];
    assert_eq!(with(PublishMode::Host, "[]"), refused);
    assert_eq!(with(PublishMode::Host, "[other]"), refused, "it disappears with its services");
    assert_eq!(with(PublishMode::Host, "[swarmgate-control]"), []);
    assert_eq!(with(PublishMode::Ingress, "[]"), [], "the routing mesh is not internal");
}
