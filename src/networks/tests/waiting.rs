//! What is said of networks that are waited for: of one as of one, of several as of several, and what its time means.

use super::*;

#[test]
fn networks_with_which_proxies_start_are_told_with_the_time_that_the_next_proxy_has() {
    for (new, starts) in
        [(&["b"][..], "the network net-b: proxies start with it"), (&["b", "c"], "the networks net-b and net-c: proxies start with them")]
    {
        let mut world = NetworkScenario::new();
        world.attach(&["a"]);
        world.wanted = [&["a"], new].concat();
        world.after(3600).write(&[&["a"], new].concat());
        let decision = world.look();
        let WaitingOn::Networks { until: Some(until), .. } = &decision.waiting[0] else { panic!("{:?}", decision.waiting) };
        assert_eq!(waiting(&decision), format!("{starts}, one after the other; the next one has until {until:.0}"));
        assert_eq!(decision.missing.len(), new.len(), "{:?}", decision.missing);
        let each =
            decision.missing.values().all(|why| why.contains(": proxies start with it, one after the other; the next one has until "));
        assert!(each, "{:?}", decision.missing);
    }
}

#[test]
fn a_network_that_came_and_went_once_is_told_so_and_when_it_is_attached_at_the_earliest() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.look();
    world.wanted = vec!["a"];
    world.after(3600).look();
    world.wanted = vec!["a", "b"];
    let decision = world.after(1).look();
    let WaitingOn::Networks { until: Some(until), .. } = &decision.waiting[0] else { panic!("{:?}", decision.waiting) };
    let expected = format!("the network net-b: it came and went once lately, so it is attached at {until:.0} at the earliest");
    assert_eq!(waiting(&decision), expected);
}
