//! No team can fill a cluster: beyond its share only its own youngest services lose.

use proptest::prelude::*;

use super::*;
use crate::intent::config_quotas::{ConfigQuotas, share_of_team};
use crate::report::{RouteState, Severity, Subject};
use crate::route::Footprint;

const UNLIMITED: Footprint = Footprint { routes: u64::MAX, locations: u64::MAX, bytes: u64::MAX };

fn routes(routes: u64) -> Footprint {
    Footprint { routes, ..UNLIMITED }
}

fn limited(team: Footprint, of_cluster: Footprint) -> Cluster {
    Cluster { limits: ConfigQuotas { service: UNLIMITED, team, cluster: of_cluster, ..ConfigQuotas::default() }, ..cluster() }
}

/// The labels that assign a service to a team: `stack`, `@access`, `stack@access`, or nothing.
fn team_labels(team: &str) -> String {
    let (stack, access) = team.split_once('@').unwrap_or((team, ""));
    let access = if access.is_empty() { String::new() } else { format!(", com.docker.ucp.access.label: {access}") };
    if stack.is_empty() { access } else { format!("{access}, com.docker.stack.namespace: {stack}") }
}

/// A service of a team with this many hosts, and no tasks at all.
fn app(name: &str, team: &str, hosts: usize) -> String {
    let hosts = (0..hosts).map(|number| format!("{name}-{number}.test")).collect::<Vec<_>>().join(",");
    format!("      - {{name: {name}, labels: {{hosts: '{hosts}', port: 80{}}}, networks: [net], replicas: 0}}\n", team_labels(team))
}

fn swarm(services: &[String]) -> Snapshot {
    snapshot(&format!("    networks: [net]\n    services:\n{}", services.concat()))
}

fn hosts_of(translation: &Translation, name: &str) -> usize {
    translation.table.hosts.keys().filter(|host| host.as_str().starts_with(&format!("{name}-"))).count()
}

/// How many hosts each of the services `a`, `b`, … gets, given the team and number of hosts of each.
fn published(cluster: &Cluster, requested: &[(&str, usize)]) -> Vec<usize> {
    let name = |at: usize| char::from(b'a' + u8::try_from(at).unwrap()).to_string();
    let services: Vec<_> = requested.iter().enumerate().map(|(at, (team, hosts))| app(&name(at), team, *hosts)).collect();
    let translation = translate(cluster, &swarm(&services));
    (0..requested.len()).map(|at| hosts_of(&translation, &name(at))).collect()
}

/// As observed: ten services without a task and with a thousand hosts each left no room for newcomers.
#[test]
fn a_team_that_requests_a_whole_cluster_leaves_a_quarter_of_it_to_newcomers() {
    let mut services: Vec<_> = (0..10).map(|number| app(&format!("greedy{number}"), "greedy", 1_000)).collect();
    services.extend(["x", "y"].map(|name| app(name, name, 1_000)));
    let translation = translate(&cluster(), &swarm(&services));
    let has = |name: &str| hosts_of(&translation, name);
    assert_eq!(
        (0..10).map(|number| has(&format!("greedy{number}"))).collect::<Vec<_>>(),
        [1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 500, 0, 0]
    );
    assert_eq!((has("x"), has("y")), (1_000, 1_000));
    let [first, second, third] = findings_of(&translation, &FindingCode::LimitExceeded)[..] else { panic!("{:#?}", translation.findings) };
    assert_eq!((&first.subject, first.severity), (&Subject::Service("greedy7".to_owned()), Severity::Error));
    let expected = "the service requests 1000 routes in the proxy configuration; older services of its team (the stack greedy) use 7000 of the 7500 that one team \
                    may use (of 10000 in the cluster default), so the limit is exceeded by 500; only its first 500 hosts are published, and these answer 503: greedy7-500.test";
    assert!(first.message.starts_with(expected), "{first}");
    assert!(first.remedy.ends_with("or have an administrator raise spec.limits.team.routes."), "{first}");
    assert!(second.message.contains("none of its hosts are published") && third.message.contains("7500 of the 7500"), "{second} {third}");
    let over: Vec<_> = translation.routes.iter().filter(|route| route.state == RouteState::OverLimit).collect();
    assert_eq!(over.len(), 2_500);
    assert!(
        over.iter().all(|route| route
            .reason
            .as_deref()
            .unwrap()
            .ends_with(" requests more than older services leave of spec.limits.team.routes"))
    );
    let [of_cluster, of_team] = findings_of(&translation, &FindingCode::LimitNear)[..] else { panic!("{:#?}", translation.findings) };
    assert!(
        of_cluster.message.contains("95% of the 10000 routes that spec.limits.cluster allows; above the limit, the youngest"),
        "{of_cluster}"
    );
    assert!(
        of_team.message.contains("(the stack greedy) use 100% of the 7500 routes that spec.limits.team allows a team; 3 services lose"),
        "{of_team}"
    );
}

#[test]
fn only_the_youngest_services_of_a_team_lose_hosts_and_services_of_other_teams_do_not() {
    let cluster = limited(routes(5), routes(100));
    let requested = [("one", 3), ("two", 3), ("one", 3), ("two", 2), ("one", 1), ("three", 5)];
    assert_eq!(published(&cluster, &requested), [3, 3, 2, 2, 0, 5]);
    // A smaller one behind one that does not fit gets what is left.
    assert_eq!(published(&cluster, &[("one", 3), ("one", 0), ("one", 2), ("one", 1)]), [3, 0, 2, 0]);
}

/// Age decides, or the id for equal ages; never the order in which Docker lists services.
#[test]
fn the_order_of_services_in_a_list_does_not_matter() {
    let service = |name: &str, minute: u32| app(name, "one", 3).replace("networks:", &format!("created: {minute}, networks:"));
    let services = [service("a", 7), service("b", 1), service("c", 7), service("d", 5)];
    let reversed: Vec<_> = services.iter().rev().cloned().collect();
    let cluster = limited(routes(8), routes(100));
    for services in [&services[..], &reversed] {
        let translation = translate(&cluster, &swarm(services));
        assert_eq!(["a", "b", "c", "d"].map(|name| hosts_of(&translation, name)), [2, 3, 0, 3]);
    }
}

#[test]
fn a_team_is_an_access_label_or_else_a_stack_or_else_all_services_with_neither() {
    let cluster = limited(routes(4), routes(100));
    for (requested, expected) in [
        ([("", 3), ("", 3), ("shop", 3)], [3, 1, 3]),
        ([("shop@/prod", 3), ("blog@/prod", 3), ("blog", 3)], [3, 1, 3]),
        ([("@/prod", 3), ("shop@/prod", 3), ("@/dev", 3)], [3, 1, 3]),
        ([("shop@/prod", 3), ("shop@/dev", 3), ("shop", 3)], [3, 3, 0]),
        ([("shop", 3), ("shop@/prod", 3), ("shop@/dev", 3)], [3, 1, 1]),
        ([("shop@/prod", 3), ("@shop", 3), ("/prod", 3)], [3, 3, 3]),
    ] {
        assert_eq!(published(&cluster, &requested), expected, "{requested:?}");
    }
}

#[test]
fn the_exceeded_limit_is_named_with_its_remedy() {
    let loss = |team: u64, of_cluster: u64, requested: &[(&str, usize)]| {
        let services: Vec<_> = requested.iter().enumerate().map(|(at, (team, hosts))| app(&format!("s{at}"), team, *hosts)).collect();
        let translation = translate(&limited(routes(team), routes(of_cluster)), &swarm(&services));
        let lost = findings_of(&translation, &FindingCode::LimitExceeded);
        assert_eq!(lost.len(), 1, "{lost:#?}");
        let reason = translation.routes.iter().find_map(|route| route.reason.clone().filter(|_| route.state == RouteState::OverLimit));
        (lost[0].to_string(), reason.unwrap())
    };
    let check = |(found, reason): (String, String), limit: &str, remedy: &str| {
        assert!(reason.contains(&format!("more than older services leave of spec.limits.{limit}.routes")), "{reason}");
        assert!(found.contains(&format!("have an administrator raise {remedy}.")), "{found}");
    };
    check(loss(4, 10, &[("one", 5)]), "team", "spec.limits.team.routes");
    check(loss(4, 5, &[("one", 3), ("two", 3)]), "cluster", "spec.limits.cluster.routes or add another cluster");
    // Both at once: more for the team alone would not help.
    check(loss(4, 6, &[("two", 2), ("one", 5)]), "team", "spec.limits.team.routes and spec.limits.cluster.routes");
    // A share that is no less than the cluster has no effect.
    for team in [4, 5, u64::MAX] {
        check(loss(team, 4, &[("one", 5)]), "cluster", "spec.limits.cluster.routes or add another cluster");
    }
}

#[test]
fn every_dimension_applies_to_a_team() {
    let requested = [("one", 4), ("one", 4), ("two", 4)];
    assert_eq!(published(&limited(Footprint { locations: 6, ..UNLIMITED }, UNLIMITED), &requested), [4, 2, 4]);
    let least = (1..1_000)
        .map(|step| step * 64)
        .find(|bytes| published(&limited(Footprint { bytes: *bytes, ..UNLIMITED }, UNLIMITED), &requested) == [4, 4, 4]);
    let short = limited(Footprint { bytes: least.unwrap() - 64, ..UNLIMITED }, UNLIMITED);
    assert_eq!(published(&short, &requested), [4, 3, 4]);
}

#[test]
fn the_default_backend_is_charged_to_its_team() {
    let default =
        "      - {name: rest, labels: {default_backend: true, port: 80, com.docker.stack.namespace: one}, networks: [net], tasks: 1}\n";
    let services = [app("a", "one", 2), default.to_owned(), app("b", "two", 2)];
    let has_default = |team: u64| translate(&limited(routes(team), UNLIMITED), &swarm(&services)).table.default_backend.is_some();
    assert_eq!((has_default(2), has_default(3)), (false, true));
    let translation = translate(&limited(routes(2), UNLIMITED), &swarm(&services));
    let [lost] = findings_of(&translation, &FindingCode::LimitExceeded)[..] else { panic!("{:#?}", translation.findings) };
    let expected = "the service requests 1 route in the proxy configuration; older services of its team (the stack one) use 2 of the 2 that one team may use (of \
                    18446744073709551615 in the cluster default), so the limit is exceeded by 1; it is not published, and this answers 503: the default backend";
    assert_eq!((lost.message.as_str(), lost.field.as_deref()), (expected, Some("com.docker.lb.default_backend")));
}

/// One warning for each team, whatever the number of its services and however differently they are labelled.
#[test]
fn each_team_that_uses_most_of_its_share_is_reported_once() {
    let near = |team: u64, requested: &[(&str, usize)]| {
        let services: Vec<_> = requested.iter().enumerate().map(|(at, (team, hosts))| app(&format!("s{at}"), team, *hosts)).collect();
        let translation = translate(&limited(routes(team), routes(1_000)), &swarm(&services));
        let findings = findings_of(&translation, &FindingCode::LimitNear);
        assert!(findings.iter().all(|one| one.severity == Severity::Warning && one.field.as_deref() == Some("spec.limits.team.routes")));
        assert!(findings.iter().all(|one| one.subject == Subject::Cluster("default".to_owned())));
        let used =
            |message: &str| message.split("% of").next().and_then(|used| used.strip_prefix("the services of one team ")).map(str::to_owned);
        findings.iter().map(|one| used(&one.message).unwrap()).collect::<Vec<_>>()
    };
    let nothing: [&str; 0] = [];
    assert_eq!(near(11, &[("one", 4), ("one", 4), ("two", 1)]), nothing);
    assert_eq!(near(10, &[("one", 4), ("one", 4), ("two", 9)]), ["(the stack one) use 80", "(the stack two) use 90"]);
    assert_eq!(near(10, &[("shop@/prod", 4), ("shop", 4), ("blog@/prod", 1)]), ["(the access label /prod) use 90"]);
    assert_eq!(near(10, &[("", 10)]), ["(no stack and no access label) use 100"]);
}

/// Closed names are bounded for each team as well, so no team's lost hosts go to a wildcard because of another team's.
#[test]
fn lost_hosts_of_a_team_do_not_displace_closed_hosts_of_others() {
    let rest =
        "      - {name: rest, labels: {default_backend: true, port: 80, com.docker.stack.namespace: rest}, networks: [net], tasks: 1}\n";
    let services = [rest.to_owned(), app("a", "one", 40), app("b", "one", 40), app("c", "two", 9)];
    let translation = translate(&limited(routes(6), routes(15)), &swarm(&services));
    let closed = |name: &str| translation.table.closed.iter().filter(|host| host.as_str().starts_with(name)).count();
    assert_eq!((closed("a-"), closed("b-"), closed("c-")), (6, 0, 3));
    let [first, second, third] = findings_of(&translation, &FindingCode::LimitExceeded)[..] else { panic!("{:#?}", translation.findings) };
    assert!(first.message.contains("may answer for 28 of them"), "{first}");
    assert!(second.message.contains("may answer for 40 of them"), "{second}");
    assert!(!third.message.contains("or the default backend may answer for"), "{third}");
}

fn requested() -> impl Strategy<Value = Vec<(&'static str, usize)>> {
    let team = prop_oneof![Just(""), Just("one"), Just("two"), Just("@x"), Just("one@x"), Just("two@y"), Just("one@y")];
    prop::collection::vec((team, 1_usize..6), 1..8)
}

/// Whether services with these labels are of one team, implemented independently.
fn is_one_team(one: &str, other: &str) -> bool {
    let [(stack, access), (stack_of_other, access_of_other)] = [one, other].map(|team| team.split_once('@').unwrap_or((team, "")));
    match (access, access_of_other) {
        ("", "") => stack == stack_of_other,
        ("", _) | (_, "") => !stack.is_empty() && stack == stack_of_other,
        _ => access == access_of_other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Counted by hand: each host is one route.
    #[test]
    fn each_service_gets_what_its_team_and_the_cluster_have_left(requested in requested(), team in 1_u64..12, of_cluster in 1_u64..20) {
        let mut expected = Vec::<usize>::new();
        for (at, (name, hosts)) in requested.iter().enumerate() {
            let older = || requested[..at].iter().zip(&expected);
            let of_team: usize = older().filter(|((other, _), _)| is_one_team(name, other)).map(|(_, has)| has).sum();
            let all: usize = expected.iter().sum();
            let left = |limit: u64, taken: usize| usize::try_from(limit).unwrap().saturating_sub(taken);
            expected.push((*hosts).min(left(team, of_team)).min(left(of_cluster, all)));
        }
        prop_assert_eq!(published(&limited(routes(team), routes(of_cluster)), &requested), expected);
    }

    /// What a team loses to its own share costs others nothing: the result is as if it had not asked for that.
    #[test]
    fn excess_requests_of_a_team_change_nothing_for_others(requested in requested(), of_cluster in 1_u64..20) {
        let of_cluster = routes(of_cluster);
        let cluster = limited(share_of_team(of_cluster), of_cluster);
        let has = published(&cluster, &requested);
        let modest: Vec<_> = requested.iter().zip(&has).map(|((team, _), has)| (*team, *has)).filter(|(_, has)| *has > 0).collect();
        let kept: Vec<_> = has.into_iter().filter(|has| *has > 0).collect();
        prop_assert_eq!(published(&cluster, &modest), kept);
    }
}
