//! Which hosts a cluster publishes for which services.

use super::*;
use crate::intent::hosts::{HostRule, HostRules};
use crate::types::{HostGlob, ServiceGlob};

const SWARM: &str = "
    networks: [dev_net, prod_net]
    services:
      - {name: dev_app, labels: {hosts: 'a.dev.example.org, shop.example.org, x.y.dev.example.org', port: 80, network: dev_net}, networks: [dev_net, prod_net], tasks: 1}
      - {name: prod_shop, labels: {hosts: shop.example.org, port: 80}, networks: [prod_net], tasks: 1}
      - {name: dev_thief, labels: {hosts: '*.example.org', port: 80, default_backend: true}, networks: [dev_net], tasks: 1}
    ";

fn rule(host: &str, services: &[&str], networks: &[&str]) -> HostRule {
    let stated = |list: &[&str]| (!list.is_empty()).then(|| list.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
    HostRule {
        host: HostGlob::parse(host).unwrap(),
        services: stated(services).map(|list| list.iter().map(|name| ServiceGlob::parse(name).unwrap()).collect()),
        networks: stated(networks).map(|list| list.iter().map(|name| NetworkName::parse(name).unwrap()).collect()),
    }
}

fn with(allow: Vec<HostRule>, default_backend: Option<&str>) -> Cluster {
    let default_backend = default_backend.map(|pattern| vec![ServiceGlob::parse(pattern).unwrap()]);
    Cluster { hosts: HostRules { allow: Some(allow), default_backend, ..HostRules::default() }, ..cluster() }
}

/// Checks the services of each host, and the subjects of the findings.
fn check(cluster: &Cluster, expected: &[(&str, &[&str])], refused: &[&str], default: &[&str]) {
    let translation = translate(cluster, &snapshot(SWARM));
    let services = |(host, known): (&HostPattern, &crate::route::VirtualHost)| {
        let services = known.paths.values().flat_map(|route| &route.backend.services);
        (host.to_string(), services.map(|service| service.name.to_string()).collect::<Vec<_>>())
    };
    let given: Vec<_> = translation.table.hosts.iter().map(services).collect();
    let expected: Vec<_> =
        expected.iter().map(|(host, names)| ((*host).to_owned(), names.iter().map(ToString::to_string).collect::<Vec<_>>())).collect();
    assert_eq!(given, expected);
    assert_eq!(default_services(&translation), default);
    let findings = translation.findings.iter().filter(|finding| finding.code == FindingCode::HostNotAllowed);
    assert_eq!(findings.map(|finding| finding.subject.to_string()).collect::<Vec<_>>(), refused, "{:#?}", translation.findings);
}

#[test]
fn without_rules_every_service_publishes_everything() {
    check(
        &cluster(),
        &[
            ("*.example.org", &["dev_thief"]),
            ("a.dev.example.org", &["dev_app"]),
            ("shop.example.org", &["dev_app", "prod_shop"]),
            ("x.y.dev.example.org", &["dev_app"]),
        ],
        &[],
        &["dev_thief"],
    );
}

#[test]
fn a_service_loses_only_the_hosts_that_are_not_admitted() {
    let rules = with(vec![rule("*.dev.example.org", &[], &[]), rule("shop.example.org", &["prod_*"], &[])], None);
    let hosts: [(&str, &[&str]); 3] =
        [("a.dev.example.org", &["dev_app"]), ("shop.example.org", &["prod_shop"]), ("x.y.dev.example.org", &["dev_app"])];
    let refused = ["service dev_app", "service dev_thief", "service dev_thief"];
    check(&rules, &hosts, &refused, &[]);
    let networks = network_ids(&translate(&rules, &snapshot(SWARM))).join(" ");
    assert_eq!(networks, "id-dev_net id-prod_net");
}

#[test]
fn a_service_that_may_publish_nothing_attaches_the_proxies_to_no_network() {
    let translation = translate(&with(vec![rule("shop.example.org", &["prod_shop"], &[])], None), &snapshot(SWARM));
    assert_eq!(network_ids(&translation), ["id-prod_net"]);
}

#[test]
fn an_entry_with_networks_applies_to_services_attached_to_one() {
    let rules = with(vec![rule("*", &[], &["prod_net"])], None);
    let all: &[&str] = &["dev_app", "prod_shop"];
    let hosts: [(&str, &[&str]); 3] =
        [("a.dev.example.org", &["dev_app"]), ("shop.example.org", all), ("x.y.dev.example.org", &["dev_app"])];
    check(&rules, &hosts, &["service dev_thief", "service dev_thief"], &[]);
    let both = with(vec![rule("*", &["prod_*"], &["prod_net"])], Some("dev_*"));
    check(&both, &[("shop.example.org", &["prod_shop"])], &["service dev_app", "service dev_thief"], &["dev_thief"]);
}

#[test]
fn the_finding_names_the_hosts_the_rules_and_the_remedy() {
    let rules = with(vec![rule("shop.example.org", &["prod_*"], &["prod_net"]), rule("*.dev.example.org", &[], &[])], None);
    let translation = translate(&rules, &snapshot(SWARM));
    let finding = translation.findings.iter().find(|finding| finding.code == FindingCode::HostNotAllowed).unwrap();
    assert_eq!((finding.field.as_deref(), finding.value.as_deref()), (Some("com.docker.lb.hosts"), Some("shop.example.org")));
    assert!(
        finding
            .message
            .ends_with("spec.hosts.allow has only entries for other services: shop.example.org for services prod_* on networks prod_net"),
        "{finding}"
    );
}

#[test]
fn a_redirect_answers_for_its_source() {
    let swarm = "
        networks: [web]
        services:
          - name: app
            labels: {hosts: 'a.example.org, b.example.org', port: 80, redirects: 'http://b.example.org,http://a.example.org'}
            networks: [web]
            tasks: 1
        ";
    let (allowed, snapshot) = (with(vec![rule("a.example.org", &[], &[])], None), snapshot(swarm));
    let host_owners = HostOwners::default();
    let world = TranslationContext::new(&allowed, &snapshot, &host_owners);
    let published = service_selection::published_services(&world, &mut Vec::new()).0;
    assert_eq!((published[0].labels.hosts.len(), published[0].labels.redirects.len()), (1, 0));
}
