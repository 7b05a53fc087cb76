//! Messages about proxies that failed and disappeared from every snapshot immediately.

use super::*;

fn failed(world: &NetworkScenario, id: &str, age: i64, error: &str) -> Task {
    let at = (world.now - SignedDuration::from_secs(age)).to_string();
    let task = json!({"ID": id, "ServiceID": "proxy", "DesiredState": "shutdown", "CreatedAt": at, "Spec": {"Networks": [{"Target": "b"}]},
        "Status": {"State": "rejected", "Timestamp": at, "Err": error}});
    Task::from_api(&task).unwrap()
}

/// Swarm rolls back immediately, and no snapshot ever shows the rejected proxy.
fn message_for(ended: impl Fn(&NetworkScenario) -> Vec<Task>) -> String {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.write(&["a", "b"]);
    world.after(1).run_pass();
    world.now += SignedDuration::from_secs(1);
    world.ended = Some(ended(&world));
    world.update = Some(("rollback_completed", world.now));
    world.declared = vec!["a"];
    world.proxies = vec![(vec!["a"], "running"), (vec!["a"], "running")];
    let decision = world.run_pass();
    assert_eq!(quarantined(&decision), ["net-b"]);
    decision.findings[0].message.clone()
}

#[test]
fn the_error_of_an_immediately_rejected_proxy_is_quoted() {
    let message = message_for(|world| {
        vec![failed(world, "t1", 1, "no address on the node"), failed(world, "t2", 0, "could not find 192.168.7.8 \u{1b}[31m")]
    });
    assert!(
        message.contains("(rejected: could not find (an address) \\u{1b}[31m; Swarm's words)"),
        "the last one, and only what may be shown: {message}"
    );
    let message = message_for(|world| vec![failed(world, "t1", 0, &"x".repeat(5_000))]);
    assert!(message.contains("rejected: xxx") && message.len() < 1_000, "{}", message.len());
}

#[test]
fn errors_from_before_the_rollout_or_without_the_network_are_not_quoted() {
    let message = message_for(|world| {
        let elsewhere = Task { spec: json!({"Networks": [{"Target": "a"}]}), ..failed(world, "t2", 0, "another reason") };
        vec![failed(world, "t1", 100, "long ago"), elsewhere]
    });
    assert!(!message.contains("long ago") && !message.contains("another reason"), "{message}");
}

/// The task history is short, and later tasks push the first one out of it.
#[test]
fn an_error_that_was_read_once_is_kept() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.write(&["a", "b"]);
    world.after(1).run_pass();
    world.ended = Some(vec![failed(&world, "t1", 0, "no suitable node")]);
    world.after(1).run_pass();
    world.ended = Some(vec![]);
    world.after(1).run_pass();
    assert_eq!(quarantined(&world.after(TIMEOUT).run_pass()), ["net-b"]);
    assert!(world.decide().findings[0].message.contains("no suitable node"));
}
