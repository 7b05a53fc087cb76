//! Which network is used, and that exchanging one loses no requests.

use super::*;
use crate::report::{EndpointState, RouteState};

/// One service on the networks `a` and `b`, and two proxies on the given networks.
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
fn without_a_shared_network_no_task_gets_requests_until_every_proxy_has_the_labelled_one() {
    for (first, second) in [("[c]", "[c]"), ("[]", "[]"), ("[b, c]", "[c]"), ("[c]", "[b, c]")] {
        let translation = with_proxies(", network: b", first, second);
        assert_eq!(endpoints(&translation), ["h/: "], "{first} {second}");
        assert_eq!(network_ids(&translation), ["id-b"], "it is attached nevertheless");
        assert_eq!(translation.table.awaited.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.2.1.2:80"]);
        assert_eq!(translation.routes[0].state, RouteState::Pending);
        assert!(!codes(&translation).contains(&FindingCode::NoEndpoints));
    }
    check(&with_proxies(", network: b", "[b, c]", "[b]"), "10.2.1.2", &["id-b"]);
}

/// One service on the network `b`, and proxies that declare the given networks.
fn waiting_for(labels: &str, declared: &str, proxies: &str) -> Translation {
    translated(&format!(
        "
        nodes: [n1, n2, n3]
        networks: [a, b]
        services:
          - {{name: app, labels: {{hosts: h, port: 80{labels}}}, networks: [b], tasks: 1}}
          - {{proxyOf: default, name: swarmgate-proxy-default, networks: {declared}, tasks: [{proxies}]}}
        "
    ))
}

#[test]
fn the_report_names_the_proxy_that_lacks_the_network() {
    let proxy = |(node, networks): (&str, &str)| format!("{{node: {node}, networks: {networks}}}");
    let (with, second, third) = (("n1", "[a, b]"), ("n2", "[a]"), ("n3", "[a]"));
    for (proxies, expected) in [
        (&[with, second, ("n3", "[a, b]")][..], "the proxy on n2 is not attached to the network b yet"),
        (&[with, second, third], "2 proxies, one of them on n2, are not attached to the network b yet"),
        (&[second, third], "the proxies are not attached to the network b yet"),
    ] {
        let proxies = proxies.iter().copied().map(proxy).collect::<Vec<_>>().join(", ");
        let translation = waiting_for("", "[a, b]", &proxies);
        let route = &translation.routes[0];
        assert_eq!((route.state, route.reason.as_deref()), (RouteState::Pending, Some(expected)), "{proxies}");
        let endpoint = &route.services[0].endpoints[0];
        assert_eq!((endpoint.state, endpoint.reason.as_deref()), (EndpointState::Excluded, Some(expected)));
        assert_eq!(endpoint.address, "10.2.1.2:80");
    }
}

#[test]
fn proxies_are_considered_while_they_are_on_their_node_and_wanted() {
    let served = |declared: &str, proxies: &str| waiting_for("", declared, proxies).routes[0].state == RouteState::Served;
    let with = "{networks: [a, b]}";
    for (state, expected) in [
        ("new", true),
        ("pending", true),
        ("assigned", false),
        ("preparing", false),
        ("starting", false),
        ("running", false),
        ("failed", true),
    ] {
        assert_eq!(served("[a, b]", &format!("{with}, {{networks: [a], state: {state}}}")), expected, "{state}");
    }
    assert!(served("[a, b]", &format!("{with}, {{networks: [a], desired: shutdown}}")), "a stopping proxy gets no new requests");
    assert!(!served("[a]", with), "the next proxy will not have it");
    assert!(served("[a, b]", "") && !served("[a]", ""), "a starting proxy has the declared networks");
}

#[test]
fn a_virtual_ip_waits_for_its_network_like_tasks() {
    let waiting = waiting_for(", backend_mode: vip", "[a]", "{networks: [a]}");
    assert_eq!(endpoints(&waiting), ["h/: "]);
    assert_eq!(network_ids(&waiting), ["id-b"]);
    assert_eq!(codes(&waiting), []);
    assert_eq!(waiting.routes[0].state, RouteState::Pending);
    check(&waiting_for(", backend_mode: vip", "[a, b]", "{networks: [a, b]}"), "10.2.1.1", &["id-b"]);
}

#[test]
fn a_network_that_the_proxies_have_is_preferred_to_the_first_by_name() {
    let translation = with_proxies("", "[b]", "[b]");
    check(&translation, "10.2.1.2", &["id-b"]);
    assert_eq!(codes(&translation), [FindingCode::AmbiguousNetwork]);
    assert_eq!(network_ids(&with_proxies("", "[c]", "[c]")), ["id-a"]);
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
    assert_eq!(waiting.reason.as_deref(), Some("the proxies are not attached to the network b yet"));
    assert_eq!(translation.routes[0].state, RouteState::Served);
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
fn a_wrong_network_label_does_not_interrupt_requests() {
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
fn the_proxies_get_exactly_the_networks_of_a_closed_list() {
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
fn a_label_that_becomes_invalid_keeps_the_network_and_requests_no_new_one() {
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
