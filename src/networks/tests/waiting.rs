//! Messages about networks that wait: singular and plural, and the meaning of the stated time.

use super::*;

#[test]
fn waiting_states_until_when_the_next_proxy_must_start() {
    for (new, starts) in [
        (&["b"][..], "the network net-b: proxies are starting with it"),
        (&["b", "c"], "the networks net-b and net-c: proxies are starting with them"),
    ] {
        let mut world = NetworkScenario::new();
        world.attach(&["a"]);
        world.wanted = [&["a"], new].concat();
        world.after(3600).write(&[&["a"], new].concat());
        let decision = world.run_pass();
        let WaitingOn::Networks { until: Some(until), .. } = &decision.waiting[0] else { panic!("{:?}", decision.waiting) };
        assert_eq!(waiting(&decision), format!("{starts}, one after the other; the next one must be running by {until:.0}"));
        assert_eq!(decision.missing.len(), new.len(), "{:?}", decision.missing);
        let each = decision
            .missing
            .values()
            .all(|why| why.contains(": proxies are starting with it, one after the other; the next one must be running by "));
        assert!(each, "{:?}", decision.missing);
    }
}

#[test]
fn waiting_states_that_a_network_came_and_went_and_its_earliest_time() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.run_pass();
    world.wanted = vec!["a"];
    world.after(3600).run_pass();
    world.wanted = vec!["a", "b"];
    let decision = world.after(1).run_pass();
    let WaitingOn::Networks { until: Some(until), .. } = &decision.waiting[0] else { panic!("{:?}", decision.waiting) };
    let expected = format!("the network net-b: it came and went once recently, so it is attached at {until:.0} or later");
    assert_eq!(waiting(&decision), expected);
}
