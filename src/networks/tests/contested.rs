//! A port of the proxies that another service would take.

use super::*;

const CONTESTED: &str = "stray_web to give up 80/tcp";

#[test]
fn no_network_is_attached_or_detached_while_a_stopped_proxy_would_lose_its_node() {
    let mut world = NetworkScenario::new();
    world.contested = Some(CONTESTED);
    world.wanted = vec!["b"];
    assert_eq!(world.at(1), ["a"]);
    let decision = world.after(3600).run_pass();
    assert_eq!(names(&decision), ["a"]);
    assert_eq!(waiting(&decision), "the network net-b: waits for stray_web to give up 80/tcp");
    assert!(decision.missing[&NetworkId("b".to_owned())].contains("stray_web"));
    world.contested = None;
    assert_eq!(world.at(1), ["b"]);
}

#[test]
fn a_contested_port_blocks_nothing_while_no_proxy_runs() {
    let mut world = NetworkScenario::new();
    (world.contested, world.wanted) = (Some(CONTESTED), vec!["a", "b"]);
    world.proxies.iter_mut().for_each(|proxy| proxy.1 = "starting");
    assert_eq!(world.at(1), ["a", "b"]);
}

#[test]
fn a_network_is_not_blamed_if_another_service_has_the_proxys_port() {
    for contested in [None, Some(CONTESTED)] {
        let mut world = NetworkScenario::new();
        world.wanted = vec!["a", "b"];
        world.write(&["a", "b"]);
        world.proxies[0].1 = "pending";
        world.contested = contested;
        for _ in 0..20 {
            world.after(TIMEOUT).run_pass();
        }
        let decision = world.run_pass();
        assert_eq!((quarantined(&decision).is_empty(), decision.withdraws), (contested.is_some(), contested.is_none()));
        if contested.is_none() {
            continue;
        }
        assert_eq!(names(&decision), ["a", "b"]);
        assert_eq!(
            waiting(&decision),
            "the network net-b: a proxy that starts with it has no node: it waits for stray_web to give up 80/tcp"
        );
        // From then on it has as long as any other proxy.
        world.contested = None;
        assert!(!world.after(1).run_pass().withdraws);
        world.come_up(5);
        assert!(world.run_pass().waiting.is_empty());
    }
}
