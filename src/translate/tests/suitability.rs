//! Which networks the proxies are attached to, and when.

use proptest::prelude::*;

use super::*;
use crate::intent::networks::NetworkRules;
use crate::report::Severity;
use crate::swarm::{Network, Subnet};

const NODES: &str = "nodes: [{name: n1, address: 198.18.0.11, manager: true}, {name: n2, address: 192.168.7.12}, {name: n3, address: 198.18.0.13, labels: {swarmgate.address: 10.66.0.3}}]\n";

fn with_rules(rules: NetworkRules, compact: &str) -> Translation {
    translate(&Cluster { networks: rules, ..cluster() }, &snapshot(compact))
}

fn rules(preferred: &[&str], reserved: &[&str]) -> NetworkRules {
    NetworkRules {
        only: None,
        preferred: preferred.iter().map(|name| NetworkName::parse(name).unwrap()).collect(),
        reserved: reserved.iter().map(|range| crate::types::AddressRange::parse(range).unwrap()).collect(),
    }
}

/// The same with a closed list.
fn only(networks: &[&str]) -> NetworkRules {
    NetworkRules { only: Some(networks.iter().map(|name| NetworkName::parse(name).unwrap()).collect()), ..NetworkRules::default() }
}

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
        Some(words) => assert!(message.as_ref().is_some_and(|message| message.contains(words)), "{network}: {message:?}"),
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
fn an_attached_network_that_becomes_unsuitable_is_detached() {
    let world = "
        networks: [net, other]
        services:
          - {name: app, labels: {hosts: h, port: 80}, networks: [net], tasks: 1}
          - {name: both, labels: {hosts: i, port: 80}, networks: [net, other], tasks: 1}
          - {name: wrong, labels: {hosts: j, port: none}, networks: [net], tasks: 1}
          - {proxyOf: default, name: swarmgate-proxy-default, networks: [net], tasks: 1}
        ";
    assert_eq!(network_ids(&with_rules(rules(&[], &["10.9.0.0/16"]), world)), ["id-net"]);
    let left = with_rules(rules(&[], &["10.1.0.0/16"]), world);
    assert_eq!(network_ids(&left), ["id-other"]);
    assert_eq!(endpoints(&left), ["h/: ", "i/: "], "no task is on the other one yet");
    let unsuitable = left.findings.iter().filter(|finding| finding.code == FindingCode::UnsuitableNetwork);
    assert_eq!(unsuitable.map(|finding| finding.severity).collect::<Vec<_>>(), [Severity::Error, Severity::Warning]);
}

#[test]
fn a_network_is_attached_once_a_task_runs_there_with_an_address() {
    let with = |labels: &str, tasks: &str, proxies: &str| {
        translated(&format!(
            "
            networks: [net, other]
            services:
              - {{name: app, labels: {{port: 80{labels}}}, networks: [net], tasks: {tasks}}}
              - {{proxyOf: default, name: swarmgate-proxy-default, networks: {proxies}, tasks: 1}}
            "
        ))
    };
    for labels in [", hosts: h", ", hosts: h, ssl_passthrough: true", ", hosts: h, backend_mode: vip", ", default_backend: true"] {
        for tasks in ["[{state: new, networks: []}]", "[{state: starting}]", "[{networks: []}]", "[{state: rejected}]"] {
            let translation = with(labels, tasks, "[other]");
            assert_eq!(network_ids(&translation), [""; 0], "{labels} {tasks}");
            let reason = translation.routes[0].reason.clone().unwrap();
            assert!(
                reason.contains("is running with an address on the network net; the proxies are attached to it once one is"),
                "{reason}"
            );
            assert_eq!(network_ids(&with(labels, tasks, "[net]")), ["id-net"], "attached networks are kept: {labels} {tasks}");
        }
        assert_eq!(network_ids(&with(labels, "[{state: new, networks: []}, {}]", "[other]")), ["id-net"], "{labels}");
    }
}

#[test]
fn a_closed_list_is_attached_from_the_start_except_unsuitable_networks() {
    let world = snapshot(
        "
        nodes: [{name: n1, address: 10.2.0.9}]
        networks: [good, bad, {name: lan, driver: macvlan}, {name: public, subnet: 203.0.113.0/24}, {name: tiny, subnet: 10.77.0.0/30}]
        services: []
        ",
    );
    let translation = translate(&closed(&["good", "bad", "lan", "public", "tiny"]), &world);
    assert_eq!(network_ids(&translation), ["id-good", "id-public"]);
    let findings: Vec<_> = translation.findings.iter().map(|finding| (finding.code, finding.value.clone().unwrap())).collect();
    let unsuitable = |name: &str| (FindingCode::UnsuitableNetwork, name.to_owned());
    assert_eq!(
        findings,
        [unsuitable("bad"), unsuitable("lan"), (FindingCode::NetworkFull, "tiny".to_owned())],
        "nobody is on it, and a proxy has no room"
    );
    assert!(translation.findings.iter().all(|finding| finding.subject == crate::report::Subject::Cluster("default".to_owned())));
}

#[test]
fn preferred_networks_take_precedence_over_attached_ones_and_over_names() {
    let world = |proxies: &str, label: &str| {
        format!(
            "
            networks: [db, edge, front]
            services:
              - {{name: app, labels: {{hosts: h, port: 80{label}}}, networks: [db, edge, front], tasks: 1}}
              - {{proxyOf: default, name: swarmgate-proxy-default, networks: {proxies}, tasks: []}}
            "
        )
    };
    let check_all = |preferred: &[&str], proxies: &str, label: &str, networks: &[&str], expected: &[FindingCode]| {
        let translation = with_rules(rules(preferred, &[]), &world(proxies, label));
        assert_eq!(
            (network_ids(&translation), codes(&translation)),
            (networks.to_vec(), expected.to_vec()),
            "{preferred:?} {proxies} {label}"
        );
    };
    let check = |preferred: &[&str], proxies: &str, label: &str, network: &str, expected: &[FindingCode]| {
        check_all(preferred, proxies, label, &[network], expected);
    };
    let ambiguous = &[FindingCode::AmbiguousNetwork];
    check(&[], "[]", "", "id-db", ambiguous);
    check(&["missing"], "[]", "", "id-db", ambiguous);
    check(&["missing", "front", "edge"], "[]", "", "id-front", &[]);
    // A proxy that starts now has the first one, and reaches the service over it until the other one is there.
    check_all(&["edge", "front"], "[db]", "", &["id-db", "id-edge"], &[]);
    check(&[], "[front]", "", "id-front", ambiguous);
    check(&["edge"], "[]", ", network: front", "id-front", &[]);
    check(&["edge"], "[]", ", network: wrong", "id-edge", &[FindingCode::NetworkNotFound]);
    let finding = with_rules(rules(&[], &[]), &world("[]", "")).findings.remove(0);
    assert!(finding.remedy.contains("com.docker.lb.network") && finding.remedy.contains("spec.networks.preferred"), "{finding}");
}

#[test]
fn a_bad_network_next_to_a_good_one_produces_only_a_warning() {
    let with = |label: &str| {
        translated(&format!(
            "
            networks: [apps, {{name: lan, driver: macvlan}}]
            services:
              - {{name: app, labels: {{hosts: h, port: 80{label}}}, networks: [apps, lan], tasks: 1}}
            "
        ))
    };
    for (label, is_reported) in [("", true), (", network: lan", true), (", network: apps", false)] {
        let translation = with(label);
        assert_eq!((network_ids(&translation), endpoints(&translation)), (vec!["id-apps"], vec!["h/: 10.1.1.2:80".to_owned()]), "{label}");
        let expected: &[FindingCode] = if is_reported { &[FindingCode::UnsuitableNetwork] } else { &[] };
        assert_eq!(codes(&translation), expected, "{label}");
        assert!(translation.findings.iter().all(|f| f.severity == Severity::Warning && f.message.contains("the network apps is used")));
    }
}

#[test]
fn ports_on_nodes_are_used_if_the_only_network_is_bad() {
    let translation = translated(
        "
        nodes: [{name: n1, address: 192.0.2.1}]
        networks: [{name: lan, driver: macvlan}]
        services:
          - {name: app, labels: {hosts: h, port: 80}, networks: [lan], hostPorts: [80], tasks: 1}
        ",
    );
    assert_eq!(endpoints(&translation), ["h/: 192.0.2.1:32768"]);
    assert_eq!(codes(&translation), [FindingCode::UnsuitableNetwork]);
    assert!(translation.findings[0].message.ends_with("its ports on the nodes are used"), "{}", translation.findings[0]);
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

/// Any network, most of them unsuitable.
fn any_network() -> impl Strategy<Value = (String, String, Vec<ipnet::IpNet>)> {
    let driver = prop_oneof![4 => Just("overlay"), 1 => Just("macvlan"), 1 => Just(""), 1 => Just("ipvlan")];
    let scope = prop_oneof![6 => Just("swarm"), 1 => Just("local"), 1 => Just("")];
    let four = (any::<u32>(), 0_u8..=32).prop_map(|(bits, len)| ipnet::Ipv4Net::new(bits.into(), len).unwrap().trunc().into());
    let near =
        (0_u32..4, 8_u8..=32).prop_map(|(n, len)| ipnet::Ipv4Net::new(((10 << 24) + (n << 16) + 9).into(), len).unwrap().trunc().into());
    let six = (any::<u128>(), 0_u8..=128).prop_map(|(bits, len)| ipnet::Ipv6Net::new(bits.into(), len).unwrap().trunc().into());
    let subnets = prop::collection::vec(prop_oneof![four, near, six], 0..3);
    (driver.prop_map(str::to_owned), scope.prop_map(str::to_owned), subnets)
}

proptest! {
    /// Services on good networks have the same routes whatever other services are attached to, and no unsuitable network is
    /// ever attached.
    #[test]
    fn bad_networks_do_not_change_routes_of_services_on_good_ones(bad in prop::collection::vec(any_network(), 0..6), attached in any::<u8>()) {
        let good = snapshot(
            "
            nodes: [{name: n1, address: 10.0.0.9}]
            networks: [{name: web, subnet: 10.1.0.0/24, created: 0}, {name: shop, subnet: 10.3.0.0/24, created: 0}]
            services:
              - {name: a, labels: {hosts: a, port: 80}, networks: [web], tasks: 2}
              - {name: b, labels: {hosts: b, port: 80, backend_mode: vip}, networks: [shop], tasks: 1}
              - {name: c, labels: {hosts: c, port: 80}, networks: [shop, web], tasks: 1}
              - {proxyOf: default, name: swarmgate-proxy-default, networks: [web, shop], tasks: 1}
            ",
        );
        let mut all = good.clone();
        let (web, app) = (all.networks[&NetworkId("id-web".to_owned())].clone(), all.services.values().find(|s| s.name == "a").unwrap().clone());
        for (at, (driver, scope, subnets)) in bad.into_iter().enumerate() {
            let id = NetworkId(format!("bad-{at}"));
            let subnets = subnets.into_iter().map(|net| Subnet { net, range: None, gateway: None, auxiliary: Vec::new() }).collect();
            let network = Network { id: id.clone(), name: format!("bad{at}"), driver, scope, subnets, created_at: all.taken_at, ..web.clone() };
            all.networks.insert(id.clone(), network);
            let mut service = app.clone();
            service.id = crate::types::ServiceId(format!("bad-{at}"));
            service.name = format!("bad-{at}");
            service.labels.insert("com.docker.lb.hosts".to_owned(), format!("bad{at}"));
            service.networks = vec![id.clone()];
            if attached & (1 << at) != 0 {
                let mut task = all.tasks.values().next().unwrap().clone();
                task.id = crate::types::TaskId(format!("bad-{at}"));
                task.service = service.id.clone();
                task.addresses = vec![(id, "10.200.0.7/24".parse().unwrap())];
                all.tasks.insert(task.id.clone(), task);
            }
            all.services.insert(service.id.clone(), service);
        }
        let (with, without) = (translate(&cluster(), &all), translate(&cluster(), &good));
        let mut table = with.table.clone();
        table.hosts.retain(|host, _| !host.as_str().starts_with("bad"));
        // Services that wait for a network are in no route.
        table.awaited.clone_from(&without.table.awaited);
        prop_assert_eq!(table, without.table);
        for id in &with.networks {
            let network = &all.networks[id];
            let known = id.0.starts_with("id-");
            let clean = network.subnets.iter().all(|subnet| good.networks.values().all(|g| !subnet.net.contains(&g.subnets[0].net)) && !subnet.net.contains(&ipnet::IpNet::from(std::net::IpAddr::from([10, 0, 0, 9]))));
            prop_assert!(known || (network.driver == "overlay" && network.scope == "swarm" && clean), "{:?}", network);
        }
        prop_assert!(without.networks.iter().all(|id| with.networks.contains(id)));
    }
}
