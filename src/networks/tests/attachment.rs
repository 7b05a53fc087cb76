//! When networks are attached and detached while every proxy starts.

use super::*;

#[test]
fn running_networks_stay_unchanged() {
    let mut world = NetworkScenario::new();
    let decision = world.run_pass();
    assert_eq!((names(&decision), decision.due, waiting(&decision)), (vec!["a".to_owned()], None, String::new()));
    assert!(decision.attaching.is_empty() && !decision.withdraws && decision.remembered.is_none());
}

#[test]
fn unused_networks_are_detached_immediately_and_used_ones_later() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.attach(&["a", "b"]);
    world.wanted = vec!["a"];
    let decision = world.after(30).run_pass();
    assert_eq!(names(&decision), ["a", "b"]);
    assert_eq!((&decision.findings[0].code, waiting(&decision)), (&FindingCode::NetworkLingers, String::new()));
    assert_eq!(world.at(10 * INTERVAL - 1), ["a", "b"]);
    let mut alone = world.clone();
    alone.used = vec!["a"];
    assert_eq!(alone.at(0), ["a"]);
    let mut unfit = world.clone();
    unfit.unfit = vec!["b"];
    assert_eq!(unfit.at(0), ["a"], "an unsuitable network is detached immediately");
    assert_eq!(world.at(1), ["a"]);
    let mut closed = NetworkScenario::new();
    (closed.closed, closed.wanted) = (true, vec![]);
    assert_eq!(closed.at(1), Vec::<String>::new(), "the document requires it");
}

#[test]
fn new_and_unneeded_networks_change_in_one_update() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.attach(&["a", "b"]);
    world.wanted = vec!["a", "c"];
    assert_eq!(world.at(1), ["a", "b"], "b stays attached for a while and c waits");
    assert_eq!(world.at(INTERVAL), ["a", "c"]);
    let mut world = NetworkScenario::new();
    world.attach(&["a"]);
    world.wanted = vec!["c"];
    world.used = vec!["c"];
    assert_eq!(world.at(1), ["c"], "waiting for a to be detached does not mean waiting for c");
}

#[test]
fn flapping_labels_replace_no_proxy() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.attach(&["a", "b"]);
    for _ in 0..50 {
        world.wanted = vec!["a"];
        assert_eq!(world.at(20), ["a", "b"]);
        world.wanted = vec!["a", "b"];
        assert_eq!(world.at(20), ["a", "b"]);
    }
}

#[test]
fn a_network_removed_by_hand_is_restored_immediately() {
    let mut world = NetworkScenario::new();
    world.attach(&["a"]);
    world.declared = vec![];
    world.update = None;
    assert_eq!(world.at(1), ["a"]);
    assert!(world.decide().attaching.is_empty());
}
