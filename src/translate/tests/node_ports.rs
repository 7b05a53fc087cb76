//! Applications on ports of their nodes, and the ways from there to a network and back.

use super::*;

/// One service on the network `a` that also publishes its port on its node, with this additional label, and one proxy on
/// the given networks.
fn published_twice(label: &str, proxy: &str) -> Translation {
    translated(&format!(
        "
        networks: [a, b]
        nodes: [{{name: n1, address: 192.0.2.1}}]
        services:
          - name: app
            labels: {{hosts: h, port: 80{label}}}
            networks: [a]
            hostPorts: [{{target: 80, published: 8000}}]
            tasks: 1
          - {{proxyOf: default, name: swarmgate-proxy-default, networks: {proxy}, tasks: 1}}
        "
    ))
}

fn check(translation: &Translation, endpoint: &str, networks: &[&str]) {
    assert_eq!(endpoints(translation), [format!("h/: {endpoint}")]);
    assert_eq!(network_ids(translation), networks);
    assert_eq!(codes(translation), []);
}

fn lasting(translation: &Translation) -> Vec<bool> {
    let hosts = translation.table.hosts.values();
    let services = hosts.flat_map(|host| host.paths.values()).flat_map(|route| &route.backend.services);
    services.flat_map(|service| &service.endpoints).map(|endpoint| endpoint.lasting).collect()
}

#[test]
fn a_network_is_preferred_unless_the_label_says_otherwise() {
    check(&published_twice("", "[a]"), "10.1.1.2:80", &["id-a"]);
    check(&published_twice(", network: bridge", "[a]"), "192.0.2.1:8000", &[]);
}

#[test]
fn ports_on_nodes_carry_the_requests_until_every_proxy_has_the_network() {
    let meanwhile = published_twice("", "[b]");
    check(&meanwhile, "192.0.2.1:8000", &["id-a"]);
    assert_eq!(lasting(&meanwhile), [false], "boot snapshots will contain the network's name");
    assert_eq!(lasting(&published_twice(", network: bridge", "[b]")), [true]);
}

#[test]
fn an_implicit_node_port_waits_behind_endpoints_that_are_certainly_reachable() {
    let translation = translated(
        "
        networks: [a, b]
        nodes: [{name: n1, address: 192.0.2.1}]
        services:
          - {name: old, labels: {hosts: h, port: 80}, networks: [b], tasks: 1}
          - {name: new, labels: {hosts: h, port: 80}, networks: [a], hostPorts: [80], tasks: 1}
          - {proxyOf: default, name: swarmgate-proxy-default, networks: [b], tasks: 1}
        ",
    );
    assert_eq!(endpoints(&translation), ["h/: 10.2.1.2:80"]);
    let reason = translation.routes[0].services[1].endpoints[0].reason.as_deref();
    assert_eq!(reason, Some("not every proxy is attached to the network a yet"));
}

#[test]
fn a_closed_list_does_not_prevent_ports_on_nodes() {
    let snapshot = snapshot(
        "
        networks: [a, b]
        nodes: [{name: n1, address: 192.0.2.1}]
        services: [{name: app, labels: {hosts: h, port: 80}, networks: [a], hostPorts: [80], tasks: 1}]
        ",
    );
    let translation = translate(&closed(&["b"]), &snapshot);
    check(&translation, "192.0.2.1:32768", &["id-b"]);
}

#[test]
fn a_port_that_another_service_publishes_too_does_not_last() {
    let with = |other: &str| {
        translated(&format!(
            "
            nodes: [{{name: n1, address: 192.0.2.1}}]
            services:
              - {{name: app, labels: {{hosts: h, port: 80}}, hostPorts: [{{target: 80, published: 8000}}], tasks: 1}}
              - {{name: other, hostPorts: [{other}], tasks: 0}}
            "
        ))
    };
    assert_eq!(lasting(&with("{target: 80, published: 8000}")), [false]);
    assert_eq!(lasting(&with("{target: 80, published: 8001}")), [true]);
    assert_eq!(lasting(&with("80")), [true]);
}

#[test]
fn the_port_for_the_family_of_the_nodes_address_is_used() {
    let with = |address: &str, ipv4: u16, ipv6: u16| {
        translated(&format!(
            "
            nodes: [{{name: n1, address: \"{address}\"}}]
            services:
              - name: app
                labels: {{hosts: h, port: 80}}
                hostPorts: [80]
                tasks: [{{hostPorts: [{ipv4}], hostPortsIpv6: [{ipv6}]}}]
            "
        ))
    };
    check(&with("192.0.2.1", 32_769, 32_768), "192.0.2.1:32769", &[]);
    check(&with("192.0.2.1", 32_768, 32_769), "192.0.2.1:32768", &[]);
    check(&with("2001:db8::1", 32_769, 32_768), "2001:db8::1:32768", &[]);
    check(&with("2001:db8::1", 32_768, 32_769), "2001:db8::1:32769", &[]);
}

#[test]
fn a_task_that_moves_changes_only_its_address() {
    let on = |node: &str| {
        translated(&format!(
            "
            nodes: [{{name: n1, address: 192.0.2.1}}, {{name: n2, address: 192.0.2.2}}]
            services: [{{name: app, labels: {{hosts: h, port: 80}}, hostPorts: [80], tasks: [{{node: {node}, hostPorts: [40000]}}]}}]
            "
        ))
    };
    check(&on("n1"), "192.0.2.1:40000", &[]);
    check(&on("n2"), "192.0.2.2:40000", &[]);
    assert_eq!(lasting(&on("n1")), [false], "Swarm chose the port");
}

#[test]
fn a_service_on_the_host_network_uses_no_other_network_even_if_its_label_names_one() {
    let labelled = |network: &str, tasks: &str| {
        translated(&format!(
            "
            nodes: [{{name: n1, address: 192.0.2.1}}]
            services: [{{name: app, hostNetwork: true, labels: {{hosts: h, port: 9101{network}}}, tasks: {tasks}}}]
            "
        ))
    };
    for (network, expected) in [
        ("", None),
        (", network: host", None),
        (", network: HOST", None),
        (", network: web", Some(FindingCode::NetworkNotFound)),
        (", network: bridge", Some(FindingCode::NetworkNotFound)),
        (", network: Bridge", Some(FindingCode::NetworkNotFound)),
    ] {
        let translation = labelled(network, "[{node: n1}]");
        assert_eq!(endpoints(&translation), ["h/: 192.0.2.1:9101"], "{network}");
        assert_eq!(codes(&translation), Vec::from_iter(expected), "{network}");
        let remedies = translation.findings.iter().map(|finding| finding.remedy.as_str());
        assert!(remedies.clone().all(|remedy| remedy == "Remove the label, or set it to host."), "{network}");
    }
}

#[test]
fn a_completed_job_has_no_virtual_ip_and_reports_the_reason() {
    let job = |tasks: &str, how: &str| {
        translated(&format!(
            "
            networks: [web]
            nodes: [{{name: n1, address: 192.0.2.1}}]
            services:
              - {{name: app, job: true, labels: {{hosts: h, port: 80, backend_mode: vip}}, {how}, tasks: {tasks}}}
              - {{proxyOf: default, name: swarmgate-proxy-default, networks: [web], tasks: 1}}
            "
        ))
    };
    let answers = |translation: &Translation| !endpoints(translation)[0].ends_with(' ');
    assert!(answers(&job("[{}]", "networks: [web]")));
    assert!(answers(&job("[{}, {state: complete}]", "networks: [web]")));
    assert!(!answers(&job("[{state: complete}]", "networks: [web]")));
    assert!(!answers(&job("[]", "networks: [web]")));
    for tasks in ["[]", "[{node: n1, state: complete}]"] {
        let on_host = job(tasks, "hostNetwork: true");
        let reason = on_host.routes[0].reason.as_deref();
        assert_eq!(reason, Some("no task of the job is running: it has finished or not started"), "{tasks}");
    }
}
