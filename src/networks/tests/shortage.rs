//! Attached networks whose addresses run out: only their own routes are affected, and no other network is blamed.

use super::*;

impl NetworkScenario {
    pub(super) fn lacks(&self, contested: bool) -> NetworkShortage {
        let message = "has 0 of 13 addresses free, and 8 tasks or virtual IPs wait for one".to_owned();
        NetworkShortage { contested, by_others: self.filled_by.clone(), message }
    }
}

/// `a` carries the routes of other teams, `b` those of a neighbour.
fn with_b() -> NetworkScenario {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.attach(&["a", "b"]);
    world.after(2 * INTERVAL).run_pass();
    world
}

fn full(decision: &NetworkDecision) -> Vec<(String, Severity)> {
    let found = decision.findings.iter().filter(|finding| finding.code == FindingCode::NetworkFull);
    found.map(|finding| (finding.value.clone().unwrap(), finding.severity)).collect()
}

#[test]
fn a_network_short_of_addresses_blocks_others_and_is_detached_if_the_shortage_lasts() {
    let mut world = with_b();
    world.short = vec![("b", true)];
    world.wanted.push("c");
    let decision = world.after(1).run_pass();
    assert_eq!(names(&decision), ["a", "b"]);
    assert_eq!(full(&decision), [("net-b".to_owned(), Severity::Warning)]);
    let finding = &decision.findings[0];
    assert_eq!(finding.subject.to_string(), "service service-b");
    assert!(
        finding.message.contains("a proxy that stops does not come back") && finding.message.contains("leave the network at"),
        "{finding}"
    );
    assert!(
        waiting(&decision).contains("net-c: the proxies cannot be replaced safely while there are too few addresses on net-b"),
        "{}",
        waiting(&decision)
    );
    assert_eq!(world.at(29), ["a", "b"]);
    assert_eq!(world.decide().due, Some(world.now + SignedDuration::from_secs(1)));
    let decision = world.after(1).run_pass();
    assert_eq!((names(&decision), decision.withdraws), (vec!["a".to_owned()], true), "new networks wait until it is gone");
    assert_eq!(full(&decision), [("net-b".to_owned(), Severity::Error)]);
    assert!(quarantined(&decision).is_empty());
    world.withdraw(&["a"]);
    world.short.clear();
    assert_eq!(world.at(1), ["a"]);
    assert_eq!(world.at(INTERVAL), ["a", "c"], "b is retried later");
    assert_eq!(full(&world.run_pass()), [("net-b".to_owned(), Severity::Error)]);
}

#[test]
fn a_brief_shortage_has_no_effect() {
    let mut world = with_b();
    world.short = vec![("b", true)];
    assert_eq!(world.at(10), ["a", "b"]);
    world.short.clear();
    world.wanted.push("c");
    world.after(10).run_pass();
    let decision = world.after(3).run_pass();
    assert_eq!((names(&decision), full(&decision)), (vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], vec![]));
}

/// Start-first proxies only wait. As long as nothing else waits for them, there is no harm.
#[test]
fn a_network_without_room_for_a_rollout_is_detached_only_for_another_network() {
    let mut world = with_b();
    world.short = vec![("b", false)];
    for _ in 0..10 {
        let decision = world.after(INTERVAL).run_pass();
        assert_eq!((names(&decision).len(), full(&decision)), (2, vec![("net-b".to_owned(), Severity::Warning)]));
    }
    world.wanted.push("c");
    let decision = world.after(1).run_pass();
    assert_eq!((names(&decision), decision.withdraws), (vec!["a".to_owned()], true));
}

#[test]
fn a_network_is_detached_soon_if_a_proxy_waits_for_an_address_outside_of_a_rollout() {
    let mut world = with_b();
    world.short = vec![("b", true)];
    world.proxies[0].1 = "new";
    assert_eq!(world.at(1), ["a", "b"]);
    assert_eq!(world.at(9), ["a", "b"]);
    let decision = world.after(1).run_pass();
    assert_eq!((names(&decision), decision.withdraws, decision.goes_back), (vec!["a".to_owned()], true, true));
    assert_eq!(full(&decision), [("net-b".to_owned(), Severity::Error)]);
    let mut alone = with_b();
    alone.proxies[0].1 = "new";
    assert_eq!(alone.at(10 * TIMEOUT), ["a", "b"], "no text states what it waits for");
}

#[test]
fn a_rollout_that_hangs_on_an_older_network_is_not_blamed_on_the_new_one() {
    for gradually in [false, true] {
        let mut world = with_b();
        world.wanted.push("c");
        world.write(&["a", "b", "c"]);
        world.proxies[0].1 = "new";
        world.short = vec![("b", true)];
        if gradually {
            world.run_pass();
        }
        world.after(1).run_pass();
        let decision = world.after(10).run_pass();
        assert_eq!((names(&decision), decision.withdraws), (vec!["a".to_owned()], true), "{gradually}");
        assert_eq!((full(&decision), quarantined(&decision)), (vec![("net-b".to_owned(), Severity::Error)], vec![]), "{gradually}");
        world.withdraw(&["a"]);
        world.short.clear();
        world.run_pass();
        assert_eq!(world.at(INTERVAL), ["a", "c"], "{gradually}");
    }
}

#[test]
fn a_new_network_that_is_full_itself_is_blamed() {
    let mut world = with_b();
    world.wanted.push("c");
    world.write(&["a", "b", "c"]);
    world.proxies[0].1 = "new";
    world.short = vec![("c", true)];
    let decision = world.after(TIMEOUT).run_pass();
    assert_eq!((names(&decision), quarantined(&decision)), (vec!["a".to_owned(), "b".to_owned()], vec!["net-c".to_owned()]));
}

/// A mistake of the team with the most services does not become an outage for it.
#[test]
fn the_network_with_most_services_is_kept() {
    let mut world = with_b();
    world.services = vec![("b", 5)];
    world.short = vec![("b", true)];
    world.wanted.push("c");
    world.proxies[0].1 = "new";
    for _ in 0..5 {
        let decision = world.after(INTERVAL).run_pass();
        assert_eq!(names(&decision), ["a", "b"]);
        let findings = full(&decision);
        assert!(findings.len() == 5 && findings.iter().all(|(_, severity)| *severity == Severity::Error), "{findings:?}");
    }
    world.write(&["a", "b", "c"]);
    world.proxies[0].1 = "new";
    world.after(1).run_pass();
    let decision = world.after(20).run_pass();
    assert_eq!((names(&decision), quarantined(&decision)), (vec!["a".to_owned(), "b".to_owned()], vec![]), "c is not blamed either");
}

/// One team's tasks that never start must not take the network from all teams for which the administrator created it.
#[test]
fn a_network_that_the_document_names_is_kept() {
    for (contested, severity) in [(true, Severity::Error), (false, Severity::Warning)] {
        let mut world = with_b();
        world.named = vec!["b"];
        world.short = vec![("b", contested)];
        world.wanted.push("c");
        for _ in 0..5 {
            let decision = world.after(INTERVAL).run_pass();
            assert_eq!((names(&decision), full(&decision)), (vec!["a".to_owned(), "b".to_owned()], vec![("net-b".to_owned(), severity)]));
            assert!(
                decision.findings[0].message.ends_with("They stay attached, because spec.networks names it."),
                "{}",
                decision.findings[0]
            );
        }
        world.proxies[0].1 = "new";
        assert_eq!(world.at(TIMEOUT), ["a", "b"]);
        (world.proxies[0].1, world.short) = ("running", vec![]);
        assert_eq!(world.at(INTERVAL), ["a", "b", "c"]);
    }
}

#[test]
fn a_restarted_operator_knows_why_a_network_was_detached() {
    let mut world = with_b();
    world.short = vec![("b", true)];
    world.run_pass();
    let decision = world.after(INTERVAL).run_pass();
    world.label = decision.remembered.clone();
    world.withdraw(&["a"]);
    (world.memory, world.short) = (AttachmentState::default(), vec![]);
    let decision = world.after(10).run_pass();
    assert_eq!((names(&decision), full(&decision)), (vec!["a".to_owned()], vec![("net-b".to_owned(), Severity::Error)]));
    assert_eq!(decision.remembered, world.label);
}

/// A withdrawal returns to the spec of the untouched proxies, including the networks that the update removed.
#[test]
fn a_withdrawal_restores_networks_detached_by_the_same_update() {
    let mut world = with_b();
    world.used = vec!["a", "c"];
    world.wanted = vec!["a", "c"];
    world.after(2 * INTERVAL);
    world.write(&["a", "c"]);
    let decision = world.after(TIMEOUT).run_pass();
    assert_eq!((names(&decision), decision.withdraws, decision.goes_back), (vec!["a".to_owned(), "b".to_owned()], true, true));
    assert!(decision.attaching.is_empty());
    world.withdraw(&["a", "b"]);
    world.run_pass();
    assert_eq!(world.at(2 * INTERVAL), ["a"], "it is detached when it is due");
}

#[test]
fn a_service_that_fills_a_network_does_not_take_it_from_its_routes() {
    let mut world = with_b();
    (world.short, world.filled_by) = (vec![("b", true)], Some("filler".to_owned()));
    world.wanted.push("c");
    world.teams = vec![("b", "guest".to_owned()), ("c", "new".to_owned())];
    for _ in 0..20 {
        assert_eq!(world.at(INTERVAL), ["a", "b"], "other teams wait, and no team loses its network");
    }
    let decision = world.run_pass();
    assert_eq!(full(&decision), [("net-b".to_owned(), Severity::Error)]);
    assert!(
        decision.findings[0].message.contains("most of them the service filler: the proxies leave it only if"),
        "{}",
        decision.findings[0]
    );
    world.proxies[0].1 = "new";
    let left = (0..30).find(|_| world.at(1) == ["a"]);
    assert!(left.is_some(), "a proxy that does not start takes precedence");
}

/// A service that fills a network may belong to a team with a route there, and all others would wait forever.
#[test]
fn a_filled_network_is_detached_eventually_if_more_teams_wait_than_it_serves() {
    let mut world = with_b();
    (world.short, world.filled_by) = (vec![("b", true)], Some("filler".to_owned()));
    world.teams = vec![("b", "guest".to_owned()), ("c", "one".to_owned()), ("d", "two".to_owned())];
    for _ in 0..20 {
        assert_eq!(world.at(INTERVAL), ["a", "b"], "no team waits");
    }
    world.wanted.extend(["c", "d"]);
    for interval in 0..10 {
        assert_eq!(world.at(INTERVAL), ["a", "b"], "{interval}");
    }
    assert_eq!(world.at(INTERVAL), ["a"]);
}
