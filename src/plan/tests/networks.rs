//! What an update for networks writes to Swarm, and how it is withdrawn.

use serde_json::{Value, json};

use super::world::PlanScenario;
use super::{PROXY, titles};
use crate::fleet::NetworkUpdate;
use crate::fleet::fixtures::{bundle, cluster};
use crate::intent::cluster::Cluster;
use crate::plan::{PlanStep, TaskEffect, task_effect, would_replace_tasks};
use crate::protocol::container_contract::{ENV_NEW_NETWORKS, LABEL_FAILED_NETWORKS, LABEL_UPDATE_BEFORE};
use crate::types::NetworkId;

fn app() -> NetworkId {
    NetworkId("net-app".to_owned())
}

fn attaching(world: &mut PlanScenario) {
    world.networks = vec![app()];
    world.network_update = NetworkUpdate { attaching: [app()].into(), ..NetworkUpdate::default() };
}

fn parallel() -> Cluster {
    let mut cluster = cluster();
    cluster.proxy.update.parallelism = Some(3);
    cluster.proxy.update.failure_action = Some(crate::intent::cluster_spec::FailureAction::Continue);
    cluster
}

fn env(spec: &Value) -> Vec<String> {
    let env = spec["TaskTemplate"]["ContainerSpec"]["Env"].as_array().unwrap();
    env.iter().map(|entry| entry.as_str().unwrap().to_owned()).filter(|entry| entry.starts_with(ENV_NEW_NETWORKS)).collect()
}

#[test]
fn the_first_proxy_with_a_new_network_is_tried_alone_whatever_update_policy_the_document_states() {
    let mut world = PlanScenario::converged(&parallel());
    let before = world.service(PROXY).spec;
    assert_eq!(before["UpdateConfig"]["Parallelism"], 3);
    attaching(&mut world);
    world.pass(&parallel());
    let spec = world.service(PROXY).spec;
    assert_eq!((&spec["UpdateConfig"]["Parallelism"], &spec["UpdateConfig"]["FailureAction"]), (&json!(1), &json!("rollback")));
    assert!(env(&spec)[0].contains(" 80 - "), "{:?}", env(&spec));
    world.rollout(PROXY, "updating");
    assert_eq!(titles(&world.plan(&parallel())), Vec::<String>::new(), "the update policy is not restored during the rollout");
    world.network_update = NetworkUpdate::default();
    assert_eq!(titles(&world.plan(&parallel())), Vec::<String>::new(), "nor by an operator without memory");
    world.rollout(PROXY, "completed");
    let plan = world.pass(&parallel());
    assert_eq!(titles(&plan), [format!("update service {PROXY}")]);
    let after = world.service(PROXY).spec;
    assert_eq!((&after["UpdateConfig"], after["Labels"].get(LABEL_UPDATE_BEFORE)), (&before["UpdateConfig"], None));
    assert!(!would_replace_tasks(&spec, &after) && world.plan(&parallel()).is_converged());
}

fn stopping_first() -> Cluster {
    let mut cluster = parallel();
    cluster.proxy.update.order = Some(crate::types::UpdateOrder::StopFirst);
    cluster
}

/// Swarm rolls back in any order, and would stop a running proxy while the failed one is down.
#[test]
fn with_stop_first_swarm_rolls_back_by_itself_only_if_the_image_changed() {
    for (image, action) in [(None, "pause"), (Some("swarmgate-nginx:next"), "rollback")] {
        let mut world = PlanScenario::converged(&stopping_first());
        let mut next = stopping_first();
        next.proxy.workload.image = image.map_or(next.proxy.workload.image, str::to_owned);
        attaching(&mut world);
        world.pass(&next);
        let spec = world.service(PROXY).spec;
        assert_eq!((&spec["UpdateConfig"]["Parallelism"], &spec["UpdateConfig"]["FailureAction"]), (&json!(1), &json!(action)));
        world.rollout(PROXY, "updating");
        assert_eq!(titles(&world.plan(&next)), Vec::<String>::new(), "and it does not change again");
    }
}

/// A world in the middle of an update for a network, with the specs before the update and now.
fn while_attaching(cluster: &Cluster) -> (PlanScenario, Value, Value) {
    let mut world = PlanScenario::converged(cluster);
    let old = world.service(PROXY).spec;
    attaching(&mut world);
    world.pass(cluster);
    let new = world.service(PROXY).spec;
    (world, old, new)
}

/// Returns the service to its state before the network.
fn going_back(world: &mut PlanScenario, cluster: &Cluster) -> Value {
    world.networks = vec![];
    world.network_update = NetworkUpdate { withdraws: true, ..NetworkUpdate::default() };
    world.pass_before(cluster);
    world.service(PROXY).spec
}

/// The proxies `p1`, which runs, and `p2`, which does not run unless `second_runs`.
fn with_tasks(world: &mut PlanScenario, running: &Value, failed: &Value, second_runs: bool) {
    world.set_tasks(PROXY, &[(running.clone(), "running"), (failed.clone(), if second_runs { "running" } else { "rejected" })]);
}

#[test]
fn missing_proxies_are_restored_before_running_ones_are_touched() {
    let cluster = stopping_first();
    let (mut world, old, new) = while_attaching(&cluster);
    with_tasks(&mut world, &new["TaskTemplate"], &new["TaskTemplate"], false);
    world.rollout(PROXY, "paused");
    let back = going_back(&mut world, &cluster);
    assert_eq!(back["TaskTemplate"], old["TaskTemplate"]);
    let update = |spec: &Value| ["Parallelism", "Order", "FailureAction"].map(|key| spec["UpdateConfig"][key].clone());
    assert_eq!(update(&back), [json!(0), json!("start-first"), json!("pause")]);

    world.rollout(PROXY, "updating");
    world.network_update = NetworkUpdate::default();
    with_tasks(&mut world, &new["TaskTemplate"], &old["TaskTemplate"], false);
    assert_eq!(titles(&world.plan(&cluster)), Vec::<String>::new());
    // Writing it now would stop all proxies at once.
    world.network_update.remembered = Some("[]".to_owned());
    assert_eq!(titles(&world.plan(&cluster)), Vec::<String>::new());
    with_tasks(&mut world, &new["TaskTemplate"], &old["TaskTemplate"], true);
    world.pass(&cluster);
    let rest = world.service(PROXY).spec;
    assert_eq!(update(&rest), [json!(1), json!("stop-first"), json!("pause")]);
    // Only the placement differs: Swarm keeps tasks of the old spec that have a node, and replaces those that wait for one.
    assert_eq!(task_effect(&old, &rest), TaskEffect::MovesMisplaced);
    world.rollout(PROXY, "updating");
    assert_eq!(titles(&world.plan(&cluster)), Vec::<String>::new());
    with_tasks(&mut world, &rest["TaskTemplate"], &old["TaskTemplate"], true);
    world.rollout(PROXY, "completed");
    world.pass(&cluster);
    let after = world.service(PROXY).spec;
    assert_eq!((task_effect(&rest, &after), &after["TaskTemplate"]), (TaskEffect::MovesMisplaced, &old["TaskTemplate"]));
    assert_eq!((&after["UpdateConfig"], after["Labels"].get(LABEL_UPDATE_BEFORE)), (&old["UpdateConfig"], None));
    assert!(world.plan(&cluster).is_converged());
}

/// Only the proxy that was tried has the new network: all others have the old spec, and Swarm keeps them.
#[test]
fn a_withdrawal_from_one_proxy_is_an_ordinary_update() {
    let cluster = stopping_first();
    let (mut world, old, new) = while_attaching(&cluster);
    with_tasks(&mut world, &old["TaskTemplate"], &new["TaskTemplate"], false);
    world.rollout(PROXY, "updating");
    let back = going_back(&mut world, &cluster);
    assert_eq!((&back["TaskTemplate"], &back["UpdateConfig"]), (&old["TaskTemplate"], &old["UpdateConfig"]));
}

/// Users may have set by hand what the document leaves out.
#[test]
fn a_manual_update_policy_is_restored_too() {
    let mut world = PlanScenario::converged(&cluster());
    world.by_hand(PROXY, |spec| {
        spec["UpdateConfig"]["Parallelism"] = json!(0);
        spec["UpdateConfig"]["MaxFailureRatio"] = json!(0.5);
    });
    let before = world.service(PROXY).spec["UpdateConfig"].clone();
    attaching(&mut world);
    world.pass(&cluster());
    let alone = world.service(PROXY).spec["UpdateConfig"].clone();
    assert_eq!((&alone["Parallelism"], &alone["MaxFailureRatio"]), (&json!(1), &json!(0)));
    world.network_update = NetworkUpdate::default();
    world.pass(&cluster());
    assert_eq!(world.service(PROXY).spec["UpdateConfig"], before);
    assert!(world.plan(&cluster()).is_converged());
}

#[test]
fn a_withdrawal_restores_exactly_the_spec_of_the_old_tasks() {
    let mut world = PlanScenario::converged(&parallel());
    let before = world.service(PROXY).spec;
    // The update for the new network also brought the newest boot snapshot.
    world.boot = Some(bundle("second"));
    attaching(&mut world);
    world.pass(&parallel());
    let tried = world.service(PROXY).spec;
    assert_ne!(tried["TaskTemplate"]["ContainerSpec"]["Configs"], before["TaskTemplate"]["ContainerSpec"]["Configs"]);
    world.rollout(PROXY, "updating");
    world.networks = vec![];
    let remembered = Some("[]".to_owned());
    world.network_update = NetworkUpdate { withdraws: true, remembered, ..NetworkUpdate::default() };
    let plan = world.pass_before(&parallel());
    let spec = plan.steps.iter().find_map(|step| match step {
        PlanStep::UpdateService { name, spec, .. } if name == PROXY => Some(spec.clone()),
        _ => None,
    });
    let spec = spec.unwrap_or_else(|| panic!("{plan}"));
    assert_eq!(spec["TaskTemplate"], before["TaskTemplate"]);
    assert_eq!((&spec["UpdateConfig"], &spec["Labels"][LABEL_FAILED_NETWORKS]), (&before["UpdateConfig"], &json!("[]")));
    world.network_update.withdraws = false;
    let after = world.plan(&parallel());
    assert!(!after.steps.iter().any(|step| step.name() == PROXY), "{after}");
}

/// A label replaces no task, so writing it does not retry anything.
#[test]
fn failed_networks_are_recorded_immediately_after_a_rollback() {
    let mut world = PlanScenario::converged(&cluster());
    attaching(&mut world);
    world.pass(&cluster());
    world.roll_back(PROXY);
    world.networks = vec![];
    world.network_update = NetworkUpdate { remembered: Some("[]".to_owned()), ..NetworkUpdate::default() };
    world.pass(&cluster());
    assert_eq!(world.service(PROXY).spec["Labels"][LABEL_FAILED_NETWORKS], "[]");
    world.roll_back(PROXY);
    world.pass(&cluster());
    assert_eq!(world.service(PROXY).spec["Labels"][LABEL_FAILED_NETWORKS], "[]", "even if the same spec was written before");
}

#[test]
fn the_new_networks_variable_stays_until_tasks_are_replaced_anyway() {
    let mut world = PlanScenario::converged(&cluster());
    attaching(&mut world);
    world.pass(&cluster());
    let before = env(&world.service(PROXY).spec);
    world.network_update = NetworkUpdate::default();
    world.pass_time(100_000);
    assert!(world.plan(&cluster()).is_converged(), "{}", world.plan(&cluster()));
    assert_eq!(env(&world.service(PROXY).spec), before);
    let mut next = cluster();
    next.proxy.workload.image = "swarmgate-nginx:next".to_owned();
    world.pass(&next);
    assert_eq!(env(&world.service(PROXY).spec), Vec::<String>::new());
}
