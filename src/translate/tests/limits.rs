//! Services are held to the limits of their cluster, oldest first, and are charged what is actually written.

use proptest::prelude::*;

use super::*;
use crate::intent::config_quotas::ConfigQuotas;
use crate::intent::labels::LABELS;
use crate::render::{ConfigSizer, footprint};
use crate::report::{Severity, Subject};
use crate::route::Footprint;

const UNLIMITED: Footprint = Footprint { routes: u64::MAX, locations: u64::MAX, bytes: u64::MAX };

fn limited(service: Footprint, of_cluster: Footprint) -> Cluster {
    Cluster { limits: ConfigQuotas { service, team: of_cluster, cluster: of_cluster, ..ConfigQuotas::default() }, ..cluster() }
}

/// A service with this many hosts, `a0.test` and so on.
fn app(name: &str, hosts: usize) -> String {
    let hosts = (0..hosts).map(|number| format!("{name}{number}.test")).collect::<Vec<_>>().join(",");
    format!("      - {{name: {name}, labels: {{hosts: '{hosts}', port: 80}}, networks: [net], tasks: 1}}\n")
}

fn swarm(services: &[String]) -> Snapshot {
    snapshot(&format!("    networks: [net]\n    services:\n{}", services.concat()))
}

/// How many hosts each service has, in the order of their age.
fn hosts_of(translation: &Translation, names: &[&str]) -> Vec<usize> {
    let of = |name: &&str| translation.table.hosts.keys().filter(|host| host.as_str().starts_with(*name)).count();
    names.iter().map(of).collect()
}

#[test]
fn a_service_above_its_own_limit_keeps_its_first_hosts() {
    let cluster = limited(Footprint { routes: 3, ..UNLIMITED }, UNLIMITED);
    let translation = translate(&cluster, &swarm(&[app("a", 5), app("b", 3)]));
    assert_eq!(hosts_of(&translation, &["a", "b"]), [3, 3]);
    let [finding] = findings_of(&translation, &FindingCode::LimitExceeded)[..] else { panic!("{:#?}", translation.findings) };
    assert_eq!((&finding.subject, finding.severity), (&Subject::Service("a".to_owned()), Severity::Error));
    assert_eq!(finding.field.as_deref(), Some("com.docker.lb.hosts"));
    for text in ["requests 5 routes", "2 more than", "(3)", "its first 3 hosts are published", "a3.test, a4.test"] {
        assert!(finding.message.contains(text), "{text:?}: {finding}");
    }
    assert!(finding.remedy.contains("spec.limits.service.routes"), "{finding}");
}

#[test]
fn above_the_limit_of_the_cluster_only_the_youngest_services_lose_hosts() {
    let cluster = limited(UNLIMITED, Footprint { routes: 10, ..UNLIMITED });
    let services = [app("a", 4), app("b", 4), app("c", 4), app("d", 4), app("e", 1)];
    for (count, expected) in [(2, vec![4, 4]), (3, vec![4, 4, 2]), (4, vec![4, 4, 2, 0]), (5, vec![4, 4, 2, 0, 0])] {
        let translation = translate(&cluster, &swarm(&services[..count]));
        assert_eq!(hosts_of(&translation, &["a", "b", "c", "d", "e"][..count]), expected);
    }
    let translation = translate(&cluster, &swarm(&services[..4]));
    let messages: Vec<String> = findings_of(&translation, &FindingCode::LimitExceeded).iter().map(ToString::to_string).collect();
    assert_eq!(messages.len(), 2, "{messages:#?}");
    assert!(messages[0].contains("service c") && messages[0].contains("older services use 8 of the 10"), "{messages:#?}");
    assert!(
        messages[0].contains("so the limit is exceeded by 2") && messages[0].contains("only its first 2 hosts are published"),
        "{messages:#?}"
    );
    assert!(messages[1].contains("service d") && messages[1].contains("none of its hosts are published"), "{messages:#?}");
    let [near] = findings_of(&translation, &FindingCode::LimitNear)[..] else { panic!("{:#?}", translation.findings) };
    assert!(near.message.contains("100% of the 10 routes") && near.message.contains("2 services lose routes"), "{near}");
}

#[test]
fn singular_and_plural_are_correct() {
    let message = |service: u64, of_cluster: u64, services: &[String]| {
        let cluster = limited(Footprint { routes: service, ..UNLIMITED }, Footprint { routes: of_cluster, ..UNLIMITED });
        let translation = translate(&cluster, &swarm(services));
        findings_of(&translation, &FindingCode::LimitExceeded).last().unwrap().message.clone()
    };
    let request_text = |amount: &str| format!("the service requests {amount} in the proxy configuration");
    let (one, three) = (request_text("1 route"), request_text("3 routes"));
    for (found, expected) in [
        (
            message(1, 9, &[app("a", 3)]),
            format!(
                "{three}, 2 more than the cluster default allows per service (1); only its first host is published, and these answer 503: a1.test, a2.test"
            ),
        ),
        (
            message(9, 1, &[app("a", 1), app("b", 1)]),
            format!(
                "{one}; older services use 1 of the 1 that the cluster default allows, so the limit is exceeded by 1; its host is not published, and this answers 503: b0.test"
            ),
        ),
        (
            message(9, 2, &[app("a", 2), app("b", 3)]),
            format!(
                "{three}; older services use 2 of the 2 that the cluster default allows, so the limit is exceeded by 3; none of its hosts are published, and these answer 503: b0.test, b1.test, b2.test. A wildcard host or the default backend may answer for 1 of them, because more hosts are lost than the cluster, or one team, may have routes"
            ),
        ),
        (
            message(9, 1, &[app("a", 3)]),
            format!(
                "{three}; older services use none of the 1 that the cluster default allows, so the limit is exceeded by 2; only its first host is published, and these answer 503: a1.test, a2.test. A wildcard host or the default backend may answer for 1 of them, because more hosts are lost than the cluster, or one team, may have routes"
            ),
        ),
    ] {
        assert_eq!(found, expected);
    }
    let near = translate(&limited(UNLIMITED, Footprint { routes: 1, ..UNLIMITED }), &swarm(&[app("a", 2)]));
    assert!(
        findings_of(&near, &FindingCode::LimitNear)[0]
            .message
            .contains("100% of the 1 route that spec.limits.cluster allows; one service loses routes")
    );
}

#[test]
fn a_service_that_does_not_fit_leaves_the_rest_to_smaller_ones() {
    let cluster = limited(Footprint { routes: 2, ..UNLIMITED }, Footprint { routes: 5, ..UNLIMITED });
    let translation = translate(&cluster, &swarm(&[app("a", 9), app("b", 2), app("c", 1)]));
    assert_eq!(hosts_of(&translation, &["a", "b", "c"]), [2, 2, 1]);
}

#[test]
fn a_nearly_full_cluster_is_reported_to_the_administrator() {
    for (routes, expected) in [(11, None), (10, Some("80% of the 10 routes")), (8, Some("100% of the 8 routes"))] {
        let cluster = limited(UNLIMITED, Footprint { routes, ..UNLIMITED });
        let translation = translate(&cluster, &swarm(&[app("a", 8)]));
        let near = findings_of(&translation, &FindingCode::LimitNear);
        assert_eq!(near.len(), usize::from(expected.is_some()), "{routes}");
        assert!(near.iter().all(|finding| finding.severity == Severity::Warning && finding.message.contains(expected.unwrap_or_default())));
    }
}

#[test]
fn tasks_that_come_and_go_do_not_change_shares() {
    let sized = |replicas: usize, tasks: usize| {
        let service = |name: &str| {
            format!(
                "      - {{name: {name}, labels: {{hosts: {name}.test, port: 80}}, networks: [net], replicas: {replicas}, tasks: {tasks}}}\n"
            )
        };
        swarm(&["a", "b", "c"].map(service))
    };
    let published = |bytes: u64, snapshot: &Snapshot| {
        let translation = translate(&limited(UNLIMITED, Footprint { bytes, ..UNLIMITED }), snapshot);
        hosts_of(&translation, &["a", "b", "c"]).iter().sum::<usize>()
    };
    let least = (1..1000).map(|step| step * 64).find(|bytes| published(*bytes, &sized(5, 5)) == 3).unwrap();
    for tasks in 0..=5 {
        assert_eq!((published(least, &sized(5, tasks)), published(least - 64, &sized(5, tasks))), (3, 2), "{tasks}");
    }
    assert_eq!(published(least, &sized(1, 1)), published(least, &sized(2, 2)), "a start-first update turns one task into two");
    assert!(published(least, &sized(50, 1)) < 3, "the declared size is charged");
}

#[test]
fn a_service_that_brings_tls_to_a_host_pays_for_the_second_copy_of_the_others() {
    let on_host = |number: usize, more: &str| {
        format!(
            "      - {{name: app{number}, labels: {{hosts: shared.test, port: 80, context_root: /p{number}{more}}}, networks: [net], tasks: 1}}\n"
        )
    };
    let mut services: Vec<String> = (0..10).map(|number| on_host(number, "")).collect();
    services.push(on_host(10, ", ssl_cert: cert"));
    services.push(on_host(11, ""));
    let text = format!("    networks: [net]\n    secrets: [cert]\n    services:\n{}", services.concat());
    let all = translate(&cluster(), &snapshot(&text));
    let locations = footprint(&all.table).locations;
    assert_eq!(locations, 2 * (12 * 2 + 1), "two for each path and one for all others, on each port");
    let limit = |locations: u64| limited(UNLIMITED, Footprint { locations, ..UNLIMITED });
    let paths = |cluster: &Cluster| translate(cluster, &snapshot(&text)).table.hosts[&host("shared.test")].paths.len();
    // The one with the certificate does not fit, and the younger one without does.
    assert_eq!(paths(&limit(12 * 3)), 11);
    assert!(!translate(&limit(12 * 3), &snapshot(&text)).table.hosts.values().any(|host| host.tls.is_some()));
}

#[test]
fn the_default_backend_is_charged_as_well() {
    let text = "
    networks: [net]
    services:
      - {name: a, labels: {hosts: a.test, port: 80}, networks: [net], tasks: 1}
      - {name: b, labels: {default_backend: true, port: 80}, networks: [net], tasks: 1}";
    let with = |routes| translate(&limited(UNLIMITED, Footprint { routes, ..UNLIMITED }), &snapshot(text));
    assert_eq!(default_services(&with(2)), ["b"]);
    assert_eq!(default_services(&with(1)), [] as [&str; 0]);
    let translation = with(1);
    let [finding] = findings_of(&translation, &FindingCode::LimitExceeded)[..] else { panic!("{:#?}", translation.findings) };
    assert!(finding.message.contains("the default backend"), "{finding}");
    assert_eq!(finding.field.as_deref(), Some("com.docker.lb.default_backend"));
}

#[test]
fn services_that_share_nothing_are_charged_exactly_what_is_written() {
    let text = "
    networks: [net]
    secrets: [cert]
    services:
      - {name: a, labels: {hosts: 'a.test, b.test', port: 80, ssl_cert: cert}, networks: [net], tasks: 2}
      - {name: b, labels: {hosts: c.test, port: 80, context_root: /app, websocket_endpoints: '/app/ws,/app/live'}, networks: [net], tasks: 3}
      - {name: c, labels: {hosts: d.test, port: 80, redirects: 'http://d.test/old,https://a.test/new'}, networks: [net], tasks: 2}";
    let snapshot = snapshot(text);
    let all = translate(&limited(UNLIMITED, UNLIMITED), &snapshot).table;
    let (charged, written) = (budget::charged(&cluster(), &snapshot), footprint(&all));
    // Redirects are measured separately, with a place of their own for everything else of the host.
    assert_eq!((charged.routes, charged.locations), (written.routes, written.locations + 1));
    assert!((written.bytes..written.bytes * 3 / 2).contains(&charged.bytes), "{charged:?} {written:?}");
}

/// The services with as many running tasks as they declare, and all the secrets and configs that labels may name.
fn running(services: &[(BTreeMap<String, String>, u8, bool)]) -> Snapshot {
    let service = |(at, (labels, tasks, _)): (usize, &(BTreeMap<String, String>, u8, bool))| serde_json::json!({"name": format!("app-{at}"), "labels": labels, "networks": ["net"], "tasks": tasks});
    let services: Vec<_> = services.iter().enumerate().map(service).collect();
    let secrets = ["qz1zq.pem", "qz1zq.both", "qz1zq.ca"];
    let raw = compact_swarm::expand(&serde_json::json!({"networks": ["net"], "secrets": secrets, "services": services}));
    Snapshot::from_raw(&serde_json::from_value(raw).unwrap()).unwrap()
}

#[test]
fn the_total_charge_is_never_less_than_what_is_written() {
    let names: Vec<&'static str> = LABELS.iter().map(|label| label.name).collect();
    let config = ProptestConfig { cases: 300, max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(services in label_generator::services(&names))| {
        let snapshot = running(&services);
        let all = translate(&limited(UNLIMITED, UNLIMITED), &snapshot).table;
        let (charged, written) = (budget::charged(&cluster(), &snapshot), ConfigSizer::new(&all).footprint(&all));
        // Two servers with one location each stand for all hosts that no service answers for on one of the ports.
        let charged = charged.plus(Footprint { routes: 0, locations: 2, bytes: 1024 });
        prop_assert_eq!(written.exceeds(&charged), None, "charged {:?}, written {:?}", charged, written);
    });
}

#[test]
fn five_thousand_ordinary_services_fit_easily() {
    let service = |number: usize| {
        format!(
            "      - {{name: s{number}, labels: {{hosts: 's{number}.apps.example.org', port: 8080, ssl_cert: cert, ssl_only: true}}, networks: [net], tasks: 2}}\n"
        )
    };
    let services: String = (0..5000).map(service).collect();
    let translation = translate(&cluster(), &snapshot(&format!("    networks: [net]\n    secrets: [cert]\n    services:\n{services}")));
    assert_eq!(translation.table.hosts.len(), 5000);
    assert!(findings_of(&translation, &FindingCode::LimitNear).is_empty(), "{:?}", findings_of(&translation, &FindingCode::LimitNear));
}

/// No other service gets what is lost: with the default backend, a wildcard, a wildcard that is passed through, or none of
/// them above.
#[test]
fn lost_hosts_are_closed_and_reported() {
    let cluster = limited(Footprint { routes: 1, ..UNLIMITED }, UNLIMITED);
    let closed = |more: &str| {
        let text = format!(
            "
    networks: [net]
    services:
      - {{name: big, labels: {{hosts: 'kept.test,x.w.test,y.test,*.z.test', port: 80}}, networks: [net], tasks: 1}}\n{more}"
        );
        let translation = translate(&cluster, &snapshot(&text));
        let over: Vec<_> = translation.routes.iter().filter(|route| route.state == crate::report::RouteState::OverLimit).collect();
        assert_eq!(over.iter().map(|route| route.address()).collect::<Vec<_>>(), ["*.z.test/", "x.w.test/", "y.test/"], "{more}");
        assert!(
            over.iter()
                .all(|route| route.reason.as_deref() == Some("the service big requests more than spec.limits.service.routes allows"))
        );
        translation.table.closed.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let nobody: [&str; 0] = [];
    assert_eq!(closed(""), nobody, "no service would answer there");
    let service = |labels: &str| format!("      - {{name: other, labels: {{{labels}}}, networks: [net], tasks: 1}}\n");
    assert_eq!(closed(&service("default_backend: true, port: 80")), ["*.z.test", "x.w.test", "y.test"]);
    assert_eq!(closed(&service("hosts: '*.w.test', port: 80")), ["x.w.test"]);
    assert_eq!(closed(&service("hosts: '*.w.test', port: 443, ssl_passthrough: true")), ["x.w.test"]);
    // A host that another service publishes belongs to that service.
    let text = "
    networks: [net]
    services:
      - {name: big, labels: {hosts: 'kept.test,y.test', port: 80}, networks: [net], tasks: 1}
      - {name: rest, labels: {default_backend: true, port: 80}, networks: [net], tasks: 1}
      - {name: other, labels: {hosts: y.test, port: 80}, networks: [net], tasks: 1}";
    let translation = translate(&cluster, &snapshot(text));
    assert!(translation.table.closed.is_empty() && translation.table.hosts.contains_key(&host("y.test")));
    assert!(translation.routes.iter().all(|route| route.state != crate::report::RouteState::OverLimit));
}

/// Twenty services with a thousand hosts: as many names are closed as there may be routes, at little cost.
#[test]
fn closed_hosts_are_bounded_and_cheap() {
    let services: Vec<String> = (0..25).map(|number| app(&format!("s{number}x"), 1_000)).collect();
    let rest = "      - {name: rest, labels: {default_backend: true, port: 80}, networks: [net], tasks: 1}\n".to_owned();
    let cluster = limited(ConfigQuotas::default().service, ConfigQuotas::default().cluster);
    let open = translate(&cluster, &swarm(&services));
    let translation = translate(&cluster, &swarm(&[&[rest][..], &services].concat()));
    assert_eq!((translation.table.hosts.len(), translation.table.closed.len()), (9_999, 10_000));
    let without = crate::route::RouteTable { closed: std::collections::BTreeSet::new(), ..translation.table.clone() };
    let (with, without) = (footprint(&translation.table), footprint(&without));
    assert_eq!((with.routes, with.locations), (without.routes, without.locations + 1));
    assert!(with.bytes - without.bytes < 10_000 * 20, "{} bytes", with.bytes - without.bytes);
    assert!(open.table.closed.is_empty());
    let findings = findings_of(&translation, &FindingCode::LimitExceeded);
    let open: Vec<_> = findings.iter().filter(|finding| finding.message.contains("or the default backend may answer for")).collect();
    assert_eq!((findings.len(), open.len()), (16, 6), "{:#?}", open.first());
}

proptest! {
    /// Whatever is lost: a name that a service asks for is answered by it, by others that publish that very name, or by no
    /// service, unless a finding says that there are too many.
    #[test]
    fn no_host_is_answered_by_a_service_that_does_not_publish_it(services in label_generator::services(&LABELS.iter().map(|label| label.name).collect::<Vec<_>>()), routes in 0_u64..4) {
        let snapshot = running(&services);
        let all = translate(&limited(UNLIMITED, UNLIMITED), &snapshot).table;
        let some = translate(&limited(UNLIMITED, Footprint { routes, ..UNLIMITED }), &snapshot);
        let too_many = some.findings.iter().any(|finding| finding.message.contains("or the default backend may answer for"));
        let some = some.table;
        for host in all.hosts.keys().chain(all.passthrough.keys()) {
            let known = some.hosts.contains_key(host) || some.passthrough.contains_key(host) || some.closed.contains(host);
            let caught = some.default_backend.is_some()
                || HostPattern::matching(host.as_str()).any(|pattern| some.hosts.contains_key(&pattern) || some.passthrough.contains_key(&pattern));
            prop_assert!(known || !caught || too_many, "{host}");
        }
        prop_assert!(some.closed.iter().all(|host| !some.hosts.contains_key(host) && !some.passthrough.contains_key(host)));
    }
}
