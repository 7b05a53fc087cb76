//! Which of the suitable networks the proxies are attached to, and when.

use proptest::prelude::*;

use super::*;
use crate::intent::networks::NetworkRules;
use crate::report::Severity;
use crate::swarm::{Network, Subnet};

pub(super) fn with_rules(rules: NetworkRules, compact: &str) -> Translation {
    translate(&Cluster { networks: rules, ..cluster() }, &snapshot(compact))
}

pub(super) fn rules(preferred: &[&str], reserved: &[&str]) -> NetworkRules {
    NetworkRules {
        only: None,
        preferred: preferred.iter().map(|name| NetworkName::parse(name).unwrap()).collect(),
        reserved: reserved.iter().map(|range| crate::types::AddressRange::parse(range).unwrap()).collect(),
    }
}

/// The same with a closed list.
pub(super) fn only(networks: &[&str]) -> NetworkRules {
    NetworkRules { only: Some(networks.iter().map(|name| NetworkName::parse(name).unwrap()).collect()), ..NetworkRules::default() }
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
    let findings: Vec<_> = translation.findings.iter().map(|finding| (finding.code.clone(), finding.value.clone().unwrap())).collect();
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
