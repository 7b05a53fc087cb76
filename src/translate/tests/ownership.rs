//! Hosts stay with the team that published them first, whatever another team tries.

use proptest::prelude::*;

use super::*;
use crate::intent::hosts::{HostRule, HostRules};
use crate::intent::hosts_spec::Sharing;
use crate::intent::labels::LABELS;
use crate::render::{ConfigPurpose, render};
use crate::report::Severity;
use crate::types::{ContextPath, HostGlob, ServiceGlob};

fn sharing(sharing: Sharing, allow: &[(&str, &[&str])]) -> Cluster {
    let services = |names: &[&str]| names.iter().map(|name| ServiceGlob::parse(name).unwrap()).collect::<Vec<_>>();
    let rule = |(host, names): &(&str, &[&str])| HostRule {
        host: HostGlob::parse(host).unwrap(),
        services: (!names.is_empty()).then(|| services(names)),
        networks: None,
    };
    let allow = (!allow.is_empty()).then(|| allow.iter().map(rule).collect());
    Cluster { hosts: HostRules { allow, default_backend: None, sharing }, ..cluster() }
}

const FIRST: &str = "{name: shop_web, stack: shop, labels: {hosts: shop.example.org, port: 80, ssl_cert: cert}, networks: [net], tasks: 2}";

/// The Swarm of the shop, with these services after it.
fn world(later: &[&str]) -> Snapshot {
    let services = later.iter().map(|service| format!("\n  - {service}")).collect::<Vec<_>>().concat();
    let secrets = "[{name: shop_cert, stack: shop}, {name: evil_cert, stack: evil}]";
    snapshot(&format!("networks: [net]\nsecrets: {secrets}\nservices:\n  - {FIRST}{services}"))
}

fn summary(translation: &Translation) -> Vec<(Severity, FindingCode, String)> {
    let ours = [FindingCode::HostTaken, FindingCode::HostContested];
    let findings = translation.findings.iter().filter(|finding| ours.contains(&finding.code));
    findings.map(|finding| (finding.severity, finding.code.clone(), finding.subject.to_string())).collect()
}

/// The proxies get the same with and without the intruder; the intruder and the owner get findings.
fn check_attack(intruder: &str) {
    let (with, without) = (world(&[&intruder.replace("NAME", "evil_web")]), world(&[]));
    let (with, without) = (translate(&cluster(), &with), translate(&cluster(), &without));
    assert_eq!(with.table, without.table, "{intruder}");
    for purpose in [ConfigPurpose::Live, ConfigPurpose::Boot, ConfigPurpose::Stock] {
        assert_eq!(render(&with.table, purpose), render(&without.table, purpose), "{intruder}, {purpose:?}");
    }
    assert_eq!((&with.routes, &with.networks), (&without.routes, &without.networks), "{intruder}");
    let expected = [
        (Severity::Error, FindingCode::HostTaken, "service evil_web".to_owned()),
        (Severity::Info, FindingCode::HostContested, "service shop_web".to_owned()),
    ];
    assert_eq!(summary(&with), expected, "{intruder}");
}

#[test]
fn another_stack_cannot_take_any_part_of_a_host() {
    let labels = [
        // A share, and all of it.
        "port: 80",
        "port: 80, weight: 100",
        // Another path.
        "port: 80, context_root: /login",
        "port: 80, context_root: /login, context_root_rewrite: true, websocket_endpoints: /login/ws",
        // A redirect of the host, or of one of its paths.
        "port: 80, redirects: 'http://shop.example.org,https://evil.example.org'",
        "port: 80, redirects: 'https://shop.example.org/login,https://evil.example.org'",
        // Its TLS.
        "port: 80, ssl_cert: cert",
        "port: 80, ssl_only: true",
        "port: 443, ssl_passthrough: true",
    ];
    for labels in labels {
        for host in ["shop.example.org", "'SHOP.example.org.'"] {
            for team in ["stack: evil, ", ""] {
                check_attack(&format!("{{name: NAME, {team}labels: {{hosts: {host}, {labels}}}, networks: [net], tasks: 3}}"));
            }
        }
    }
}

/// Whether the second of two services joins the first one's host, given the labels of each.
fn joins(first: &str, second: &str) -> bool {
    let service =
        |name: &str, labels: &str| format!("{{name: {name}, labels: {{hosts: h, port: 80, {labels}}}, networks: [net], tasks: 1}}");
    let translation = translated(&format!("{{networks: [net], services: [{}, {}]}}", service("a", first), service("b", second)));
    translation.table.hosts[&host("h")].paths[&ContextPath::root()].backend.services.len() == 2
}

#[test]
fn an_access_label_and_then_the_stack_decide_the_team() {
    let (a, b) = ("com.docker.ucp.access.label: /a", "com.docker.ucp.access.label: /b");
    let (s, t) = ("com.docker.stack.namespace: s", "com.docker.stack.namespace: t");
    let both = |access: &str, stack: &str| format!("{access}, {stack}");
    for (first, second, expected) in [
        ("", "", true),
        (s, s, true),
        (s, t, false),
        (s, "", false),
        (a, a, true),
        (a, b, false),
        (a, "", false),
        (&both(a, s), &both(a, t), true),
        // With a different access label, the stack's name does not matter.
        (&both(a, s), &both(b, s), false),
        // A stack file with access labels on some of its services.
        (&both(a, s), s, true),
        (&both(a, s), t, false),
    ] {
        assert_eq!(joins(first, second), expected, "{first:?} {second:?}");
        assert_eq!(joins(second, first), expected, "{second:?} {first:?}");
    }
}

#[test]
fn a_service_scaled_to_zero_keeps_its_host() {
    let asleep = FIRST.replace("tasks: 2", "tasks: 0");
    let evil = "{name: evil_web, stack: evil, labels: {hosts: shop.example.org, port: 80}, networks: [net], tasks: 1}";
    let translation = translated(&format!("{{networks: [net], services: [{asleep}, {evil}]}}"));
    assert_eq!(endpoints(&translation), ["shop.example.org/: "]);
}

#[test]
fn services_of_one_team_share_their_hosts_without_findings() {
    let own = "{name: shop_v2, stack: shop, labels: {hosts: shop.example.org, port: 80, weight: 10}, networks: [net], tasks: 1}";
    let translation = translate(&cluster(), &world(&[own]));
    assert_eq!(translation.table.hosts[&host("shop.example.org")].paths[&ContextPath::root()].backend.services.len(), 2);
    assert_eq!(summary(&translation), []);
    let label = |stack: &str| {
        format!(
            "{{name: {stack}_web, stack: {stack}, labels: {{hosts: h, port: 80, com.docker.ucp.access.label: /Shared/a}}, networks: [net], tasks: 1}}"
        )
    };
    let translation = translated(&format!("{{networks: [net], services: [{}, {}]}}", label("a"), label("b")));
    assert_eq!(endpoints(&translation), ["h/: 10.1.1.2:80, 10.1.2.2:80"], "the same people can change both");
    let unstacked = |name: &str| format!("{{name: {name}, labels: {{hosts: h, port: 80}}, networks: [net], tasks: 1}}");
    let translation = translated(&format!("{{networks: [net], services: [{}, {}]}}", unstacked("web"), unstacked("web-v2")));
    assert_eq!(endpoints(&translation), ["h/: 10.1.1.2:80, 10.1.2.2:80"]);
}

const JOINING: &str =
    "{name: promo_web, stack: promo, labels: {hosts: 'shop.example.org, promo.example.org', port: 80}, networks: [net], tasks: 1}";

/// Checks which services answer for the shop's host, and the findings.
fn check_sharing(cluster: &Cluster, services: &[&str], expected: &[(Severity, FindingCode, &str)]) {
    let translation = translate(cluster, &world(&[JOINING]));
    let backend = &translation.table.hosts[&host("shop.example.org")].paths[&ContextPath::root()].backend;
    assert_eq!(backend.services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(), services);
    let expected: Vec<_> = expected.iter().map(|(severity, code, name)| (*severity, code.clone(), format!("service {name}"))).collect();
    assert_eq!(summary(&translation), expected);
    assert!(translation.table.hosts.contains_key(&host("promo.example.org")), "its own host stays");
}

#[test]
fn the_administrator_decides_who_may_join() {
    use FindingCode::{HostContested, HostTaken};
    let everything: (&str, &[&str]) = ("*", &[]);
    let refused = [(Severity::Error, HostTaken, "promo_web"), (Severity::Info, HostContested, "shop_web")];
    let joined = [(Severity::Warning, HostTaken, "promo_web"), (Severity::Warning, HostContested, "shop_web")];
    let named = [(Severity::Info, HostTaken, "promo_web"), (Severity::Info, HostContested, "shop_web")];
    check_sharing(&sharing(Sharing::SameStack, &[]), &["shop_web"], &refused);
    check_sharing(&sharing(Sharing::Anyone, &[]), &["shop_web", "promo_web"], &joined);
    check_sharing(&sharing(Sharing::Allowed, &[]), &["shop_web"], &refused);
    check_sharing(&sharing(Sharing::Allowed, &[everything]), &["shop_web"], &refused);
    check_sharing(&sharing(Sharing::Allowed, &[everything, ("shop.example.org", &["promo_*"])]), &["shop_web", "promo_web"], &named);
    check_sharing(&sharing(Sharing::Allowed, &[everything, ("shop.example.org", &["other_*"])]), &["shop_web"], &refused);
}

/// `docker stack rm` and another deployment make a service younger than one that asked for its host meanwhile.
#[test]
fn a_service_named_by_an_entry_comes_before_a_squatter() {
    let names = |cluster: &Cluster| {
        let translation = translate(cluster, &world(&[JOINING]));
        let backend = &translation.table.hosts[&host("shop.example.org")].paths[&ContextPath::root()].backend;
        backend.services.iter().map(|service| service.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&sharing(Sharing::SameStack, &[("*", &[]), ("shop.example.org", &["promo_*"])])), ["promo_web"]);
    let both: &[&str] = &["promo_*", "shop_*"];
    assert_eq!(
        names(&sharing(Sharing::SameStack, &[("*", &[]), ("shop.example.org", both)])),
        ["shop_web"],
        "the older of those that are named"
    );
    let exactly: [(&str, &[&str]); 3] = [("*", &[]), ("*.example.org", &["shop_*"]), ("shop.example.org", &["promo_*"])];
    assert_eq!(names(&sharing(Sharing::SameStack, &exactly)), ["promo_web"], "the more exact entry applies");
}

fn wildcard(first: &str, second: &str, cluster: &Cluster) -> (Vec<String>, Vec<(Severity, FindingCode, String)>) {
    let service = |(name, hosts): (&str, &str)| {
        format!("{{name: {name}_web, stack: {name}, labels: {{hosts: '{hosts}', port: 80}}, networks: [net], tasks: 1}}")
    };
    let [a, b] = [("a", first), ("b", second)].map(service);
    let translation = translate(cluster, &snapshot(&format!("{{networks: [net], services: [{a}, {b}]}}")));
    (translation.table.hosts.keys().map(ToString::to_string).collect(), summary(&translation))
}

#[test]
fn a_name_below_anothers_wildcard_takes_requests_from_it() {
    use FindingCode::{HostContested, HostTaken};
    let findings = |later, first| vec![(later, HostTaken, "service b_web".to_owned()), (first, HostContested, "service a_web".to_owned())];
    let mut refused = findings(Severity::Error, Severity::Info);
    refused.sort();
    let default = cluster();
    assert_eq!(wildcard("*.example.org", "app.example.org", &default), (vec!["*.example.org".to_owned()], refused));
    let both = || vec!["*.example.org".to_owned(), "app.example.org".to_owned()];
    let mut joined = findings(Severity::Warning, Severity::Warning);
    joined.sort();
    assert_eq!(wildcard("*.example.org", "app.example.org", &sharing(Sharing::Anyone, &[])), (both(), joined));
    assert_eq!(wildcard("app.example.org", "*.example.org", &default), (both(), vec![]), "a later wildcard does not take a host");
    let named: [(&str, &[&str]); 2] = [("*", &[]), ("app.example.org", &["b_*"])];
    assert_eq!(wildcard("*.example.org", "app.example.org", &sharing(Sharing::SameStack, &named)).0, both());
    // A service that was refused the wildcard owns nothing below it.
    let (hosts, _) = wildcard("*.example.org", "*.example.org, x.y.example.org", &default);
    assert_eq!(hosts, ["*.example.org", "x.y.example.org"], "a wildcard is one label");
}

#[test]
fn a_second_default_backend_of_another_stack_is_reported_to_both_sides() {
    let service =
        |name: &str| format!("{{name: {name}_web, stack: {name}, labels: {{default_backend: true, port: 80}}, networks: [net], tasks: 1}}");
    let of = |a: &str, b: &str| translated(&format!("{{networks: [net], services: [{}, {}]}}", service(a), service(b)));
    let translation = of("a", "b");
    assert_eq!(default_services(&translation), ["a_web"]);
    assert_eq!(codes(&translation), [FindingCode::SecondDefaultBackend, FindingCode::HostContested]);
}

#[test]
fn only_the_name_of_the_other_service_is_revealed() {
    let evil =
        "{name: evil_web, stack: evilstack, labels: {hosts: shop.example.org, port: 8099, ssl_cert: evil_cert}, networks: [net], tasks: 1}";
    let translation = translate(&cluster(), &world(&[evil]));
    for finding in translation.findings.iter().filter(|finding| finding.subject.to_string() == "service shop_web") {
        let text = finding.to_string();
        assert!(!text.contains("evilstack") && !text.contains("8099") && !text.contains("evil_cert"), "{text}");
    }
    let taken = translation.findings.iter().find(|finding| finding.code == FindingCode::HostTaken).unwrap();
    assert!(taken.remedy.contains("- {host: shop.example.org, services: [evil_web]}"), "{taken}");
    assert!(taken.message.contains("shop_web") && !taken.to_string().contains("shop_cert"), "{taken}");
}

#[test]
fn a_thousand_competing_services_produce_one_finding() {
    let other =
        |n| format!("\n  - {{name: evil{n}, stack: evil, labels: {{hosts: shop.example.org, port: 80}}, networks: [net], tasks: 0}}");
    let others = (0..1_000).map(other).collect::<Vec<String>>().concat();
    let translation = translated(&format!("networks: [net]\nservices:\n  - {FIRST}{others}"));
    let contested: Vec<_> = translation.findings.iter().filter(|finding| finding.code == FindingCode::HostContested).collect();
    assert_eq!(contested.len(), 1);
    assert!(contested[0].message.contains("and 990 more"), "{}", contested[0]);
}

proptest! {
    /// Whatever a younger service of another team asks for, the answers of the others' hosts are the same without it, byte
    /// for byte.
    #[test]
    fn an_intruder_changes_nothing_for_existing_services(services in super::label_generator::services(&LABELS.iter().map(|label| label.name).collect::<Vec<_>>())) {
        let all = super::isolation::world(services.into_iter().map(|(labels, _, _)| labels).collect());
        let Some(last) = all.services.values().last().map(|last| last.id.clone()) else { return Ok(()) };
        let (mut with, mut without) = (all.clone(), all);
        let intruder = with.services.get_mut(&last).unwrap();
        intruder.created_at += jiff::SignedDuration::from_hours(1);
        intruder.labels.insert("com.docker.stack.namespace".to_owned(), "evil".to_owned());
        without.services.remove(&last);
        let (mut with, without) = (translate(&cluster(), &with).table, translate(&cluster(), &without).table);
        let known = |host: &HostPattern| HostPattern::matching(host.as_str()).any(|host| without.hosts.contains_key(&host) || without.passthrough.contains_key(&host));
        with.hosts.retain(|host, _| known(host));
        with.passthrough.retain(|host, _| known(host));
        if without.default_backend.is_none() {
            with.default_backend = None;
        }
        prop_assert_eq!(&with, &without);
        prop_assert_eq!(render(&with, ConfigPurpose::Live), render(&without, ConfigPurpose::Live));
    }
}
