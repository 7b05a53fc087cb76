//! A node that can no longer set up a network, outside of any rollout for networks.

use super::*;

/// `b` has been attached for long, and the proxy of the first node does not run.
fn without_a_proxy() -> NetworkScenario {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.attach(&["a", "b"]);
    world.after(5 * INTERVAL).run_pass();
    world.proxies[0].1 = "preparing";
    world
}

/// The last attempt on a node has just failed with this message.
fn fails(world: &mut NetworkScenario, node: &str, message: &str) {
    let at = (world.now - SignedDuration::from_secs(1)).to_string();
    let task = json!({"ID": "failed", "ServiceID": "proxy", "NodeID": node, "DesiredState": "shutdown", "CreatedAt": at,
        "Status": {"State": "rejected", "Timestamp": at, "Err": message}});
    world.ended = Some(vec![Task::from_api(&task).unwrap()]);
}

/// Whether the proxies leave `b` if a proxy keeps failing with this message.
fn is_left(node: &str, message: &str) -> bool {
    let mut world = without_a_proxy();
    let mut decisions = (0..=TIMEOUT / 10).map(|_| {
        fails(&mut world, node, message);
        let decision = world.run_pass();
        world.after(10);
        decision
    });
    let left = decisions.find(|decision| decision.withdraws);
    if let Some(decision) = &left {
        assert_eq!((names(decision), quarantined(decision)), (vec!["a".to_owned()], vec!["net-b".to_owned()]));
        assert!(decision.findings[0].message.contains("rejected: "), "{}", decision.findings[0]);
    }
    left.is_some()
}

#[test]
fn a_network_that_a_node_can_no_longer_set_up_is_detached_if_the_engine_names_it() {
    let subnet = subnet("b");
    for message in [
        format!("network sandbox join failed: subnet sandbox join failed for \"{subnet}\": error creating vxlan interface: file exists"),
        "could not find network net-b: not found".to_owned(),
        "failed to allocate network IP for task x: network net-b is gone".to_owned(),
        // A network's name equals a word of the engine's message: the network with the subnet is the right one.
        format!("network net-a join failed: subnet sandbox join failed for \"{subnet}\""),
    ] {
        assert!(is_left("node0", &message), "{message}");
    }
}

#[test]
fn no_network_is_blamed_unless_the_message_names_exactly_one() {
    let both = format!("the networks {} and {} overlap", subnet("a"), subnet("b"));
    for message in ["", "No such image: swarmgate", "task: non-zero exit (1)", "starting container failed: abc is bad", &both] {
        assert!(!is_left("node0", message), "{message}");
    }
    assert!(!is_left("node1", &format!("failed for {}", subnet("b"))), "the next attempt succeeded");
}

#[test]
fn a_restarting_node_gets_time_to_recover() {
    let mut world = without_a_proxy();
    for _ in 0..5 {
        fails(&mut world, "node0", "could not find network net-b: not found");
        assert_eq!(world.at(10), ["a", "b"]);
    }
    (world.ended, world.proxies[0].1) = (Some(vec![]), "running");
    world.run_pass();
    assert!(world.memory.stuck_since.is_empty());
    world.services = vec![("b", 5)];
    world.proxies[0].1 = "preparing";
    for _ in 0..20 {
        fails(&mut world, "node0", "could not find network net-b: not found");
        assert_eq!(world.at(10), ["a", "b"], "most services are reached over it");
    }
}

#[test]
fn no_network_is_blamed_for_a_proxy_without_a_node_after_a_node_is_lost() {
    let mut world = NetworkScenario::new();
    (world.nodes, world.wanted) = (vec!["node0", "node1"], vec!["a", "b"]);
    world.write(&["a", "b"]);
    world.proxies = [(vec!["a", "b"], "running"), (vec!["a", "b"], "running"), (vec!["a", "b"], "pending")].to_vec();
    let decision = world.after(10 * TIMEOUT).run_pass();
    assert_eq!((quarantined(&decision), names(&decision)), (vec![], vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn a_network_named_by_the_administrator_stays_attached_for_nodes_that_can_set_it_up() {
    let mut world = without_a_proxy();
    world.named = vec!["b"];
    for _ in 0..20 {
        fails(&mut world, "node0", "could not find network net-b: not found");
        assert_eq!(world.at(10), ["a", "b"]);
    }
    let findings = world.run_pass().findings;
    assert_eq!(
        findings.iter().map(|finding| (finding.code.clone(), finding.severity)).collect::<Vec<_>>(),
        [(FindingCode::NetworkFailing, Severity::Error)]
    );
    assert!(findings[0].message.contains("net-b (rejected: could not find network net-b: not found)"), "{}", findings[0]);
}

#[test]
fn an_unresponsive_swarm_does_not_reset_timers() {
    let mut world = without_a_proxy();
    for round in 0..7 {
        fails(&mut world, "node0", "could not find network net-b: not found");
        if round == 3 {
            world.ended = None;
        }
        world.at(10);
    }
    assert!(world.memory.quarantine.keys().any(|id| id.0 == "b"));
}
