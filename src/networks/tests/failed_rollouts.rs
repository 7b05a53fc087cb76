//! Rollouts in which proxies do not start with a new network: it is withdrawn, quarantined, and tried again.

use super::*;

#[test]
fn a_network_on_which_no_proxy_comes_up_is_withdrawn_and_named() {
    for state in ["new", "pending", "assigned", "preparing", "rejected", "starting"] {
        let mut world = NetworkScenario::new();
        world.wanted = vec!["a", "b"];
        world.write(&["a", "b"]);
        world.proxies[0].1 = state;
        let decision = world.after(TIMEOUT - 1).run_pass();
        assert_eq!((names(&decision).len(), decision.withdraws, decision.attaching.len()), (2, false, 1), "{state}");
        assert!(waiting(&decision).contains("net-b: proxies are starting with it"), "{}", waiting(&decision));
        let decision = world.after(1).run_pass();
        assert_eq!((names(&decision), decision.withdraws), (vec!["a".to_owned()], true), "{state}");
        assert_eq!(quarantined(&decision), ["net-b"], "{state}");
        let finding = &decision.findings[0];
        assert!(finding.subject.to_string() == "service service-b" && finding.message.contains(state), "{finding}");
        assert!(decision.missing.contains_key(&NetworkId("b".to_owned())));
        world.withdraw(&["a"]);
        let decision = world.after(10).run_pass();
        assert_eq!((names(&decision), decision.withdraws), (vec!["a".to_owned()], false), "{state}");
        assert!(world.memory.withdrawn.is_empty());
    }
}

#[test]
fn a_network_of_a_rollout_that_swarm_gave_up_is_quarantined_too() {
    for (state, spec) in [("rollback_completed", vec!["a"]), ("rollback_started", vec!["a"]), ("paused", vec!["a", "b"])] {
        let mut world = NetworkScenario::new();
        world.wanted = vec!["a", "b"];
        world.write(&["a", "b"]);
        world.declared = spec;
        world.update = Some((state, world.now));
        let decision = world.after(3).run_pass();
        assert_eq!((names(&decision), quarantined(&decision)), (vec!["a".to_owned()], vec!["net-b".to_owned()]), "{state}");
        assert!(decision.findings[0].message.contains("Swarm's words"), "{state}");
    }
}

#[test]
fn a_proxy_that_fails_after_others_came_up_quarantines_the_network_too() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.write(&["a", "b"]);
    world.proxies[0].1 = "running";
    world.after(30).run_pass();
    world.proxies[1] = (vec!["a", "b"], "preparing");
    world.after(40).run_pass();
    assert_eq!(quarantined(&world.after(TIMEOUT - 1).run_pass()), Vec::<String>::new(), "each has its time");
    assert_eq!(quarantined(&world.after(1).run_pass()), ["net-b"]);
}

#[test]
fn the_failing_network_of_several_is_found_and_the_others_are_attached_immediately() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b", "c", "d", "e"];
    let mut tries = 0;
    for _ in 0..200 {
        let decision = world.after(1).run_pass();
        let networks: Vec<&'static str> = NETWORKS.into_iter().filter(|id| names(&decision).iter().any(|n| n == id)).collect();
        if decision.withdraws {
            world.withdraw(&networks);
        } else if networks != world.declared {
            tries += 1;
            world.write(&networks);
            if networks.contains(&"d") {
                world.update = Some(("rollback_completed", world.now));
                world.declared = world.before.take().unwrap();
                let declared = world.declared.clone();
                world.proxies.iter_mut().for_each(|proxy| *proxy = (declared.clone(), "running"));
            } else {
                world.come_up(5);
            }
        }
    }
    let decision = world.run_pass();
    assert_eq!((names(&decision).join(""), quarantined(&decision)), ("abce".to_owned(), vec!["net-d".to_owned()]));
    assert!(tries <= 6, "{tries} tries");
}

#[test]
fn a_quarantined_network_is_retried_at_growing_intervals_and_sooner_after_a_change() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    for wait in [5 * INTERVAL, 10 * INTERVAL, 20 * INTERVAL] {
        world.write(&["a", "b"]);
        world.update = Some(("rollback_completed", world.now));
        world.declared = vec!["a"];
        world.proxies[0] = (vec!["a"], "running");
        assert_eq!(quarantined(&world.run_pass()), ["net-b"]);
        let mut changed = world.clone();
        changed.memory.quarantine.values_mut().for_each(|held| held.state = crate::types::Digest::of_bytes(b"other"));
        assert_eq!(changed.at((wait / 6).max(INTERVAL)), ["a", "b"]);
        assert_eq!(world.at(wait - 1), ["a"]);
        assert_eq!(world.at(1), ["a", "b"]);
    }
    world.attach(&["a", "b"]);
    let decision = world.run_pass();
    assert_eq!((quarantined(&decision), decision.remembered), (vec![], None));
}

#[test]
fn a_restarted_operator_reads_failed_networks_from_the_service() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.write(&["a", "b"]);
    let decision = world.after(TIMEOUT).run_pass();
    world.label = decision.remembered.clone();
    world.withdraw(&["a"]);
    world.memory = AttachmentState::default();
    let decision = world.after(10).run_pass();
    assert_eq!((names(&decision), quarantined(&decision)), (vec!["a".to_owned()], vec!["net-b".to_owned()]));
    assert_eq!(decision.remembered, world.label, "nothing is recorded for it");
    world.label = Some("nonsense".to_owned());
    world.memory = AttachmentState::default();
    assert_eq!(world.run_pass().memory.quarantine.len(), 0);
}

#[test]
fn an_operator_that_starts_during_a_hanging_rollout_ends_it() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.write(&["a", "b"]);
    world.memory = AttachmentState::default();
    world.run_pass();
    let decision = world.after(TIMEOUT).run_pass();
    assert_eq!((names(&decision), decision.withdraws), (vec!["a".to_owned()], true));
}

/// After a power failure all proxies start at the same time, long after any rollout. They keep their networks, however long
/// they take.
#[test]
fn proxies_that_start_outside_of_a_rollout_keep_their_networks() {
    for restarted in [false, true] {
        let mut world = NetworkScenario::new();
        world.proxies.iter_mut().for_each(|proxy| proxy.1 = "starting");
        if restarted {
            world.memory = AttachmentState::default();
        }
        for _ in 0..10 {
            assert_eq!(world.at(TIMEOUT), ["a"], "restarted: {restarted}");
        }
    }
}

#[test]
fn unwanted_networks_are_not_blamed_for_a_hanging_rollout() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.write(&["a", "b"]);
    world.wanted = vec!["a"];
    let decision = world.after(20).run_pass();
    assert_eq!((names(&decision), decision.withdraws, world.memory.quarantine.len()), (vec!["a".to_owned()], true, 0));
}

#[test]
fn a_new_service_whose_proxies_never_ran_withdraws_networks_too() {
    let mut world = NetworkScenario::new();
    (world.exists, world.memory) = (false, AttachmentState::default());
    world.proxies.clear();
    world.wanted = vec!["a", "b"];
    assert_eq!(world.at(1), ["a", "b"]);
    world.exists = true;
    world.declared = vec!["a", "b"];
    world.proxies = vec![(vec!["a", "b"], "new")];
    world.at(1);
    let decision = world.after(TIMEOUT).run_pass();
    assert_eq!((names(&decision), decision.withdraws), (vec![], true));
    world.withdraw(&[]);
    assert_eq!(world.at(1), ["a"], "each half alone");
}
