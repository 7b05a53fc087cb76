//! Keys, pools, order, endpoints.

use super::*;
use crate::intent::inactive_clusters::{InactiveCluster, InactiveClusters};

#[test]
fn only_running_tasks_with_an_address_become_endpoints() {
    let translation = translated(
        "
        networks: [web]
        services:
          - name: app
            labels: {hosts: a.example.org, port: 80}
            networks: [web]
            replicas: 4
            tasks: [{}, {state: starting}, {state: pending, error: no suitable node}, {networks: []}]
        ",
    );
    assert_eq!(endpoints(&translation), ["a.example.org/: 10.1.1.2:80"]);
    let reasons: Vec<_> = translation.routes[0].services[0].endpoints.iter().map(|endpoint| endpoint.reason.as_deref()).collect();
    let expected = [
        None,
        Some("the task is starting"),
        Some("the task is pending: no suitable node"),
        Some("the task has no address on the network web"),
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn the_same_host_and_path_pool_and_other_paths_stay_apart() {
    check_endpoints(
        "
        networks: [web]
        services:
          - {name: v1, labels: {hosts: 'a.example.org, B.Example.org', port: 80}, networks: [web], tasks: 2}
          - {name: v2, labels: {hosts: A.example.ORG, port: 8080}, networks: [web], tasks: 1}
          - {name: shop, labels: {hosts: a.example.org, port: 80, context_root: /shop/}, networks: [web], tasks: 1}
        ",
        &[
            "a.example.org/: 10.1.1.2:80, 10.1.1.3:80, 10.1.2.2:8080",
            "a.example.org/shop: 10.1.3.2:80",
            "b.example.org/: 10.1.1.2:80, 10.1.1.3:80",
        ],
    );
}

#[test]
fn the_oldest_service_decides_and_later_ones_get_findings() {
    let translation = translated(
        "
        networks: [web]
        services:
          - {name: a-late, created: 9, labels: {hosts: h, port: 80, context_root: /x}, networks: [web], tasks: 1}
          - {name: z-first, created: 1, labels: {hosts: h, port: 80, context_root: /x, context_root_rewrite: true}, networks: [web], tasks: 1}
        ",
    );
    let route = translation.table.hosts[&host("h")].paths.values().next().unwrap();
    assert!(route.rewrite);
    let names: Vec<_> = route.backend.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["z-first", "a-late"]);
    assert_eq!(codes(&translation), [FindingCode::ConflictingSetting]);
}

#[test]
fn the_oldest_default_backend_wins() {
    let translation = translated(
        "
        networks: [web]
        services:
          - {name: late, created: 5, labels: {default_backend: true, port: 80}, networks: [web], tasks: 1}
          - {name: first, created: 2, labels: {default_backend: true, port: 80}, networks: [web], tasks: 1}
        ",
    );
    assert_eq!(default_services(&translation), ["first"]);
    assert_eq!(codes(&translation), [FindingCode::SecondDefaultBackend]);
}

#[test]
fn a_service_scaled_to_zero_keeps_its_host() {
    let translation = translated(
        "
        networks: [web]
        services:
          - {name: app, labels: {hosts: h, port: 80}, networks: [web], tasks: 0}
        ",
    );
    assert_eq!(endpoints(&translation), ["h/: "]);
    assert_eq!(codes(&translation), [FindingCode::NoEndpoints]);
    assert_eq!(translation.routes[0].reason.as_deref(), Some("the service is scaled to zero"));
    assert_eq!(network_ids(&translation), [""; 0], "no task is there yet");
}

#[test]
fn routes_without_endpoints_are_reported_once_for_each_service() {
    let hosts = (1..=7).map(|n| format!("h{n}")).collect::<Vec<_>>().join(", ");
    let translation = translated(&format!(
        "
        networks: [web]
        services:
          - {{name: asleep, labels: {{hosts: '{hosts}', port: 80}}, networks: [web], tasks: 0}}
          - {{name: other, labels: {{hosts: 'h7, h8', context_root: /app, port: 80}}, networks: [web], tasks: 0}}
        "
    ));
    let findings: Vec<_> = translation.findings.iter().map(|finding| (finding.subject.to_string(), finding.message.as_str())).collect();
    let why = "the service is scaled to zero";
    let expected = [
        ("service asleep", format!("7 routes answer 503 (h1/, h2/, h3/, h4/, h5/ and 2 more): {why}")),
        ("service other", format!("2 routes answer 503 (h7/app, h8/app): {why}")),
    ];
    assert_eq!(findings, expected.each_ref().map(|(subject, message)| ((*subject).to_owned(), message.as_str())));
}

#[test]
fn a_virtual_ip_does_not_change_with_tasks() {
    let with = |tasks: &str| {
        format!(
            "
        networks: [web]
        services:
          - {{name: app, labels: {{hosts: h, port: 80, backend_mode: vip}}, networks: [web], replicas: 2, tasks: {tasks}}}
          - {{proxyOf: default, name: swarmgate-proxy-default, networks: [web], tasks: 1}}
        "
        )
    };
    let before = translated(&with("2"));
    assert_eq!(endpoints(&before), ["h/: 10.1.1.1:80"]);
    for tasks in ["0", "7", "[{state: failed}]"] {
        assert_eq!(translated(&with(tasks)).table, before.table, "{tasks}");
    }
}

#[test]
fn a_missing_virtual_ip_is_replaced_by_tasks() {
    let translation = translated(
        "
        networks: [web]
        services:
          - {name: app, labels: {hosts: h, port: 80, backend_mode: vip}, networks: [web], dnsrr: true, tasks: 1}
          - {name: new, labels: {hosts: i, port: 80, backend_mode: vip}, networks: [web], vips: false, tasks: 1}
          - {name: off, labels: {hosts: j, port: 80, backend_mode: vip}, networks: [web], tasks: 0}
        ",
    );
    assert_eq!(endpoints(&translation), ["h/: 10.1.1.2:80", "i/: 10.1.2.2:80", "j/: "]);
    assert_eq!(count_of(&translation.findings)[&FindingCode::NoVirtualIp], 2);
}

#[test]
fn our_own_services_are_never_routed() {
    check_endpoints(
        "
        networks: [web]
        services:
          - {name: ours, labels: {hosts: h, port: 80, swarmgate.owner: x}, networks: [web], tasks: 1}
        ",
        &[],
    );
}

#[test]
fn a_service_is_published_by_the_cluster_it_names_and_by_no_other() {
    let world = snapshot(
        "
        networks: [web]
        services:
          - {name: none, labels: {hosts: h, port: 80}, networks: [web], tasks: 1}
          - {name: dev, labels: {hosts: h, port: 81, service_cluster: dev}, networks: [web], tasks: 1}
          - {name: lost, labels: {hosts: h, port: 82, service_cluster: nowhere}, networks: [web], tasks: 1}
          - {name: silent, labels: {service_cluster: ''}, networks: [web], tasks: 1}
        ",
    );
    let dev = Cluster { name: ClusterName::parse("dev").unwrap(), service_cluster: Some("dev".to_owned()), ..cluster() };
    assert_eq!(endpoints(&translate(&cluster(), &world)), ["h/: 10.1.1.2:80"]);
    assert_eq!(endpoints(&translate(&dev, &world)), ["h/: 10.1.2.2:81"]);
    let strays = |clusters: &[Cluster]| {
        unclaimed(clusters, &InactiveClusters::default(), &world).into_iter().map(|finding| finding.subject).collect::<Vec<_>>()
    };
    let service = |name: &str| crate::report::Subject::Service(name.to_owned());
    assert_eq!(strays(&[cluster(), dev.clone()]), [service("lost")]);
    assert_eq!(strays(&[dev]), [service("lost"), service("none")]);
}

#[test]
fn a_service_that_names_an_undeclared_cluster_gets_a_finding_with_the_remedy() {
    let labelled = |name: &str, value: Option<&str>| Cluster {
        name: ClusterName::parse(name).unwrap(),
        service_cluster: value.map(str::to_owned),
        ..cluster()
    };
    let (default, prod, dev) = (labelled("default", None), labelled("main", Some("prod")), labelled("dev", Some("dev")));
    let remedy = |clusters: &[Cluster], value: &str| {
        let world = snapshot(&format!("services: [{{name: app, labels: {{hosts: h, port: 80, service_cluster: '{value}'}}, tasks: 1}}]"));
        unclaimed(clusters, &InactiveClusters::default(), &world).remove(0).remedy
    };
    let removal = "Remove the label: the cluster default publishes services without it.";
    let either = "Set it to prod or dev, remove the label (the cluster default publishes services without it), or declare a ServiceCluster for this service.";
    let all = [default.clone(), prod.clone(), dev.clone()];
    let alone = [default];
    assert_eq!(remedy(&alone, "default"), removal);
    assert_eq!(
        remedy(&alone, "elsewhere"),
        "Remove the label (the cluster default publishes services without it), or declare a ServiceCluster for this service."
    );
    assert_eq!(remedy(&all, "Default"), removal);
    assert_eq!(remedy(&all, "prdo"), "Did you mean prod? Otherwise declare a ServiceCluster for this service.");
    assert_eq!(remedy(&all, "elsewhere"), either);
    assert_eq!(remedy(std::slice::from_ref(&dev), ""), "Set it to dev, or declare a ServiceCluster for this service.");
    assert_eq!(remedy(&[prod, dev], ""), "Set it to prod or dev, or declare a ServiceCluster for this service.");
    assert_eq!(remedy(&[], "default"), "Declare a ServiceCluster for this service.");
}

#[test]
fn a_cluster_without_a_valid_document_is_not_reported_as_undeclared() {
    use FindingCode::{ClusterNotInForce as Waits, UnknownServiceCluster as Unknown};

    let world = snapshot(
        "
        networks: [web]
        services:
          - {name: none, labels: {hosts: h, port: 80}, networks: [web], tasks: 1}
          - {name: dev, labels: {hosts: h, port: 81, service_cluster: dev}, networks: [web], tasks: 1}
        ",
    );
    let check = |label: Option<&str>, incomplete: bool, expected: [FindingCode; 2]| {
        let cluster = InactiveCluster { name: ClusterName::parse("x").unwrap(), label: label.map(str::to_owned) };
        let inactive = InactiveClusters { named: vec![cluster], incomplete };
        let codes: Vec<_> = unclaimed(&[], &inactive, &world).into_iter().map(|found| found.code).collect();
        assert_eq!(codes, expected, "{label:?} {incomplete}");
    };
    let (fields, values): (Vec<_>, Vec<_>) =
        unclaimed(&[], &InactiveClusters::default(), &world).into_iter().map(|found| (found.field.is_some(), found.value)).unzip();
    assert_eq!(fields, [true, true]);
    assert_eq!(values, [Some("dev".to_owned()), None], "a label that is not set has no value");
    // In the order of the codes.
    check(Some("dev"), false, [Unknown, Waits]);
    check(Some(""), false, [Unknown, Waits]);
    check(Some("other"), false, [Unknown, Unknown]);
    check(None, false, [Waits, Waits]);
    check(Some("other"), true, [Waits, Waits]);
}

#[test]
fn a_single_replica_that_stops_first_gets_a_finding_about_its_gap() {
    let translation = translated(
        "
        networks: [web]
        services:
          - {name: gap, labels: {hosts: h, port: 80}, networks: [web], tasks: 1, updateOrder: stop-first}
          - {name: two, labels: {hosts: i, port: 80}, networks: [web], tasks: 2, updateOrder: stop-first}
        ",
    );
    assert_eq!(codes(&translation), [FindingCode::UpdateGap]);
}
