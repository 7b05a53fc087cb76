//! Which changes replace tasks, and what an update reports about itself.

use serde_json::{Value, json};
use swarmgate::swarm::Service;
use swarmgate::types::ServiceId;

use super::test_swarm::{NO_IMAGE, TestSwarm, running};

fn state(service: &Service) -> Option<&str> {
    service.update_status.as_ref().map(|s| s.state.as_str())
}

async fn until_state(bench: &TestSwarm, id: &ServiceId, expected: &str) {
    bench.until(&format!("the update is {expected}"), |s| state(&s.services[id]) == Some(expected)).await;
}

async fn keeps_tasks(bench: &TestSwarm, edit: impl Fn(&mut Value)) {
    let (id, old) = bench.running(&bench.spec("a", 2), 2).await;
    bench.edit(&id, edit).await;
    bench.stays(&id, &old).await;
    assert_eq!(state(&bench.service(&id).await), None);
}

async fn replaces_tasks(bench: &TestSwarm, edit: impl Fn(&mut Value)) {
    let (id, old) = bench.running(&bench.spec("a", 2), 2).await;
    bench.edit(&id, edit).await;
    bench.until_replaced(&id, &old).await;
    until_state(bench, &id, "completed").await;
}

pub async fn rewriting_the_same_spec_overwrites_the_previous_spec(bench: &TestSwarm) {
    // The snapshot does not keep the previous spec of services that belong to others.
    let mut spec = bench.spec("a", 1);
    spec["Labels"] = json!({"swarmgate.owner": "o"});
    let (id, old) = bench.running(&spec, 1).await;
    bench.edit(&id, |s| s["Labels"]["a"] = json!("1")).await;
    let before = bench.service(&id).await;
    bench.edit(&id, |_| ()).await;
    let after = bench.service(&id).await;
    assert_ne!(before.previous_spec.as_ref(), Some(&before.spec));
    assert_eq!(after.previous_spec.as_ref(), Some(&after.spec));
    assert!(after.version > before.version);
    bench.stays(&id, &old).await;
}

pub async fn labels_and_update_settings_replace_no_task(bench: &TestSwarm) {
    keeps_tasks(bench, |s| {
        s["Labels"]["a"] = json!("b");
        s["UpdateConfig"]["Parallelism"] = json!(2);
        s["RollbackConfig"]["Parallelism"] = json!(2);
    })
    .await;
}

pub async fn more_replicas_replace_no_task(bench: &TestSwarm) {
    let (id, old) = bench.running(&bench.spec("a", 1), 1).await;
    bench.edit(&id, |s| s["Mode"]["Replicated"]["Replicas"] = json!(2)).await;
    let all = bench.until_running(&id, 2).await;
    assert!(all.is_superset(&old));
    assert_eq!(state(&bench.service(&id).await), None);
}

pub async fn every_change_of_the_container_replaces_tasks(bench: &TestSwarm) {
    replaces_tasks(bench, |s| s["TaskTemplate"]["ContainerSpec"]["Labels"] = json!({"a": "b"})).await;
}

pub async fn a_default_made_explicit_replaces_tasks(bench: &TestSwarm) {
    replaces_tasks(bench, |s| s["TaskTemplate"]["RestartPolicy"] = json!({"Condition": "any"})).await;
}

pub async fn a_forced_update_and_a_network_replace_tasks(bench: &TestSwarm) {
    let network = bench.network("n").await;
    let (id, first) = bench.running(&bench.spec("a", 1), 1).await;
    bench.edit(&id, |s| s["TaskTemplate"]["ForceUpdate"] = json!(1)).await;
    bench.until_replaced(&id, &first).await;
    let second = bench.until_running(&id, 1).await;
    bench.edit(&id, |s| s["TaskTemplate"]["Networks"] = json!([{"Target": network.0}])).await;
    bench.until_replaced(&id, &second).await;
    let seen = bench.snapshot().await;
    assert_eq!(running(&seen, &id)[0].addresses[0].0, network);
}

fn publish(spec: &mut Value) {
    spec["EndpointSpec"] = json!({"Mode": "vip", "Ports": [{"TargetPort": 80, "PublishMode": "host"}]});
}

pub async fn ports_replace_tasks(bench: &TestSwarm) {
    replaces_tasks(bench, publish).await;
}

fn add_constraint(spec: &mut Value) {
    spec["TaskTemplate"]["Placement"] = json!({"Constraints": ["node.platform.os==linux"]});
}

pub async fn a_placement_that_still_holds_replaces_no_task(bench: &TestSwarm) {
    keeps_tasks(bench, add_constraint).await;
}

pub async fn an_empty_placement_stays_and_replaces_no_task(bench: &TestSwarm) {
    let mut spec = bench.spec("a", 1);
    spec["TaskTemplate"]["Placement"] = json!({"Constraints": ["node.platform.os==linux"]});
    let (id, ids) = bench.running(&spec, 1).await;
    bench.edit(&id, |spec| spec["TaskTemplate"]["Placement"] = json!({})).await;
    bench.stays(&id, &ids).await;
    // It is returned as it was sent: if it were absent, the managers would crash.
    assert_eq!(bench.service(&id).await.spec["TaskTemplate"]["Placement"], json!({}));
}

pub async fn placement_and_ports_together_are_not_applied(bench: &TestSwarm) {
    let (id, old) = bench.running(&bench.spec("a", 1), 1).await;
    bench
        .edit(&id, |s| {
            add_constraint(s);
            publish(s);
        })
        .await;
    bench.stays(&id, &old).await;
    assert_eq!(running(&bench.snapshot().await, &id)[0].host_ports, []);
    bench.edit(&id, |s| s["TaskTemplate"]["ForceUpdate"] = json!(1)).await;
    bench.until_replaced(&id, &old).await;
    assert!(!running(&bench.snapshot().await, &id)[0].host_ports.is_empty());
}

pub async fn an_update_reports_a_state_only_when_tasks_are_replaced(bench: &TestSwarm) {
    let (id, _) = bench.running(&bench.spec("a", 1), 1).await;
    let before = bench.service(&id).await.version;
    bench.edit(&id, |s| s["TaskTemplate"]["ForceUpdate"] = json!(1)).await;
    until_state(bench, &id, "updating").await;
    until_state(bench, &id, "completed").await;
    let after = bench.service(&id).await;
    assert!(after.version > before + 1);
    assert!(after.update_status.unwrap().completed_at.is_some());
    bench.edit(&id, |s| s["Labels"]["a"] = json!("b")).await;
    assert_eq!(state(&bench.service(&id).await), None);
}

fn break_image(spec: &mut Value) {
    spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!(NO_IMAGE);
}

pub async fn an_update_that_fails_pauses(bench: &TestSwarm) {
    let (id, old) = bench.running(&bench.spec("a", 2), 2).await;
    bench.edit(&id, break_image).await;
    until_state(bench, &id, "paused").await;
    let seen = bench.snapshot().await;
    let kept = running(&seen, &id);
    assert!(kept.len() == 1 && old.contains(&kept[0].id.0));
    assert_eq!(seen.services[&id].spec["TaskTemplate"]["ContainerSpec"]["Image"], NO_IMAGE);
}

pub async fn an_update_that_fails_rolls_back(bench: &TestSwarm) {
    let (id, _) = bench.running(&bench.spec("a", 1), 1).await;
    let good = bench.service(&id).await.spec["TaskTemplate"]["ContainerSpec"]["Image"].clone();
    bench
        .edit(&id, |s| {
            break_image(s);
            s["UpdateConfig"]["FailureAction"] = json!("rollback");
        })
        .await;
    until_state(bench, &id, "rollback_completed").await;
    bench.until_running(&id, 1).await;
    let after = bench.service(&id).await;
    assert_eq!(after.spec["TaskTemplate"]["ContainerSpec"]["Image"], good);
    assert_eq!(after.previous_spec, None);
}
