//! What is told of proxies that failed and are out of every snapshot at once.

use super::*;

fn failed(world: &NetworkScenario, id: &str, age: i64, error: &str) -> Task {
    let at = (world.now - SignedDuration::from_secs(age)).to_string();
    let task = json!({"ID": id, "ServiceID": "proxy", "DesiredState": "shutdown", "CreatedAt": at, "Spec": {"Networks": [{"Target": "b"}]},
        "Status": {"State": "rejected", "Timestamp": at, "Err": error}});
    Task::from_api(&task).unwrap()
}

/// Swarm rolls back at once, and no look ever shows the proxy that was rejected.
fn told_of(ended: impl Fn(&NetworkScenario) -> Vec<Task>) -> String {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.write(&["a", "b"]);
    world.after(1).look();
    world.now += SignedDuration::from_secs(1);
    world.ended = Some(ended(&world));
    world.update = Some(("rollback_completed", world.now));
    world.declared = vec!["a"];
    world.proxies = vec![(vec!["a"], "running"), (vec!["a"], "running")];
    let decision = world.look();
    assert_eq!(quarantined(&decision), ["net-b"]);
    decision.findings[0].message.clone()
}

#[test]
fn a_proxy_that_was_rejected_at_once_is_quoted() {
    let told = told_of(|world| {
        vec![failed(world, "t1", 1, "no address on the node"), failed(world, "t2", 0, "could not find 192.168.7.8 \u{1b}[31m")]
    });
    assert!(
        told.contains("(rejected: could not find (an address) \\u{1b}[31m; Swarm's words)"),
        "the last one, and only what may be shown: {told}"
    );
    let told = told_of(|world| vec![failed(world, "t1", 0, &"x".repeat(5_000))]);
    assert!(told.contains("rejected: xxx") && told.len() < 1_000, "{}", told.len());
}

#[test]
fn proxies_that_failed_before_the_rollout_or_without_the_network_are_not_quoted() {
    let told = told_of(|world| {
        let elsewhere = Task { spec: json!({"Networks": [{"Target": "a"}]}), ..failed(world, "t2", 0, "another reason") };
        vec![failed(world, "t1", 100, "long ago"), elsewhere]
    });
    assert!(!told.contains("long ago") && !told.contains("another reason"), "{told}");
}

/// The history of tasks is short, and later ones push the first out of it.
#[test]
fn words_that_were_read_once_are_kept() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.write(&["a", "b"]);
    world.after(1).look();
    world.ended = Some(vec![failed(&world, "t1", 0, "no suitable node")]);
    world.after(1).look();
    world.ended = Some(vec![]);
    world.after(1).look();
    assert_eq!(quarantined(&world.after(TIMEOUT).look()), ["net-b"]);
    assert!(world.decide().findings[0].message.contains("no suitable node"));
}
