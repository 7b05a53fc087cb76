//! Which network is used, and that exchanging one loses nothing.

use super::*;

/// One service on the networks `a` and `b`, and two proxies on the networks given.
fn with_proxies(label: &str, first: &str, second: &str) -> Translation {
    translated(&format!(
        "
        networks: [a, b, c]
        services:
          - {{name: app, labels: {{hosts: h, port: 80{label}}}, networks: [a, b], tasks: 1}}
          - {{proxyOf: default, name: swarmgate-proxy-default, networks: {first}, tasks: [{{networks: {first}}}, {{networks: {second}}}]}}
        "
    ))
}

fn check(translation: &Translation, endpoint: &str, networks: &[&str]) {
    assert_eq!(endpoints(translation), [format!("h/: {endpoint}:80")]);
    assert_eq!(network_ids(translation), networks);
}

#[test]
fn requests_flow_over_a_shared_network_until_every_proxy_has_the_labelled_one() {
    check(&with_proxies(", network: b", "[a]", "[a]"), "10.1.1.2", &["id-a", "id-b"]);
    check(&with_proxies(", network: b", "[a, b]", "[a]"), "10.1.1.2", &["id-a", "id-b"]);
    check(&with_proxies(", network: b", "[a, b]", "[a, b]"), "10.2.1.2", &["id-b"]);
    check(&with_proxies(", network: b", "[b]", "[a, b]"), "10.2.1.2", &["id-b"]);
}

#[test]
fn without_a_shared_network_the_labelled_one_is_used_at_once() {
    check(&with_proxies(", network: b", "[c]", "[c]"), "10.2.1.2", &["id-b"]);
    check(&with_proxies(", network: b", "[]", "[]"), "10.2.1.2", &["id-b"]);
}

#[test]
fn a_network_that_the_proxies_have_is_preferred_to_the_first_by_name() {
    let translation = with_proxies("", "[b]", "[b]");
    check(&translation, "10.2.1.2", &["id-b"]);
    assert_eq!(codes(&translation), [FindingCode::AmbiguousNetwork]);
    check(&with_proxies("", "[c]", "[c]"), "10.1.1.2", &["id-a"]);
}

#[test]
fn tasks_that_still_have_only_the_old_network_keep_their_requests() {
    let translation = translated(
        "
        networks: [old, new]
        services:
          - {name: app, labels: {hosts: h, port: 80}, networks: [new], tasks: [{networks: [old]}, {networks: [new]}]}
          - {proxyOf: default, name: swarmgate-proxy-default, networks: [old, new], tasks: 1}
        ",
    );
    assert_eq!(endpoints(&translation), ["h/: 10.1.1.2:80, 10.2.1.3:80"]);
    assert_eq!(network_ids(&translation), ["id-new", "id-old"]);
}

#[test]
fn an_endpoint_that_some_proxies_cannot_reach_waits_while_another_serves() {
    let translation = translated(
        "
        networks: [a, b]
        services:
          - {name: v1, labels: {hosts: h, port: 80}, networks: [a], tasks: 1}
          - {name: v2, labels: {hosts: h, port: 80}, networks: [b], tasks: 1}
          - {proxyOf: default, name: swarmgate-proxy-default, networks: [a], tasks: 1}
        ",
    );
    check(&translation, "10.1.1.2", &["id-a", "id-b"]);
    let waiting = &translation.routes[0].services[1].endpoints[0];
    assert_eq!(waiting.reason.as_deref(), Some("not every proxy is attached to the network b yet"));
}

#[test]
fn a_label_finds_its_network_by_name_by_id_and_within_the_stack() {
    for label in ["shop_back", "id-shop_back", "back"] {
        let translation = translated(&format!(
            "
            networks: [a, shop_back]
            services:
              - name: shop_app
                labels: {{hosts: h, port: 80, network: {label}, com.docker.stack.namespace: shop}}
                networks: [a, shop_back]
                tasks: 1
            "
        ));
        check(&translation, "10.2.1.2", &["id-shop_back"]);
        assert_eq!(codes(&translation), []);
    }
}

#[test]
fn a_wrong_label_breaks_nothing() {
    for (networks, endpoint) in [("[b]", "10.2.1.2"), ("[b, a]", "10.1.1.2")] {
        let translation = translated(&format!(
            "
            networks: [a, b]
            services:
              - {{name: app, labels: {{hosts: h, port: 80, network: wrong}}, networks: {networks}, tasks: 1}}
            "
        ));
        assert_eq!(endpoints(&translation), [format!("h/: {endpoint}:80")]);
        assert_eq!(codes(&translation), [FindingCode::NetworkNotFound]);
    }
}

#[test]
fn the_routing_mesh_and_the_control_network_are_never_used() {
    let translation = translated(
        "
        networks: [{name: ingress, routingMesh: true}, swarmgate-control]
        services:
          - {name: app, labels: {hosts: h, port: 80}, networks: [ingress, swarmgate-control], tasks: 1}
          - {name: vip, labels: {hosts: h, port: 80, backend_mode: vip}, networks: [ingress], tasks: 1}
        ",
    );
    assert_eq!(endpoints(&translation), ["h/: "]);
    assert_eq!(network_ids(&translation), Vec::<&str>::new());
    assert_eq!(count_of(&translation.findings)[&FindingCode::UnreachableNetwork], 2);
}

#[test]
fn a_closed_list_is_what_the_proxies_get_whatever_services_ask_for() {
    let world = snapshot(
        "
        networks: [a, b, c]
        services:
          - {name: in, labels: {hosts: h, port: 80}, networks: [a, b], tasks: 1}
          - {name: out, labels: {hosts: i, port: 80}, networks: [c], tasks: 1}
        ",
    );
    let translation = translate(&closed(&["b", "missing"]), &world);
    assert_eq!(endpoints(&translation), ["h/: 10.2.1.2:80", "i/: "]);
    assert_eq!(network_ids(&translation), ["id-b"]);
    assert_eq!(codes(&translation), [FindingCode::UnreachableNetwork, FindingCode::NoEndpoints]);
}

#[test]
fn a_label_that_became_wrong_keeps_the_network_and_asks_for_no_new_one() {
    let with = |proxies: &str, labels: &str| {
        let services = format!("{{name: app, labels: {labels}, networks: [a], tasks: 1}}");
        let proxy = format!("{{proxyOf: default, name: swarmgate-proxy-default, networks: {proxies}, tasks: 1}}");
        let translation = translated(&format!("networks: [a, b]\nservices: [{services}, {proxy}]"));
        translation.networks.into_iter().map(|id| id.0).collect::<Vec<_>>()
    };
    assert_eq!(with("[a]", "{hosts: h, port: none}"), ["id-a"]);
    assert_eq!(with("[b]", "{hosts: h, port: none}"), [""; 0]);
    assert_eq!(with("[a]", "{}"), [""; 0]);
}
