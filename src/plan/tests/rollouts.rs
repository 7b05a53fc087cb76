//! One rollout at a time, and what happens after Swarm gave one up.

use serde_json::json;

use super::world::PlanScenario;
use super::{PROXY, codes, titles};
use crate::fleet::fixtures::{bundle, cluster};
use crate::intent::cluster::Cluster;
use crate::plan::{
    OperationResult, Plan, PlanStep, ROLLBACK_HANGS_AFTER, ROLLOUT_HOLD_MAX, ROLLOUT_IDLE_AFTER, ROLLOUT_SLOW_AFTER, ROLLOUT_STUCK_AFTER,
};
use crate::report::WaitingOn;

fn with_image(image: &str) -> Cluster {
    let mut cluster = cluster();
    cluster.proxy.workload.image = image.to_owned();
    cluster
}

fn update() -> Vec<String> {
    vec![format!("update service {PROXY}")]
}

fn nothing() -> Vec<String> {
    Vec::new()
}

/// When a plan states that a failed rollout is retried, in seconds from now.
fn retry_in(world: &PlanScenario, plan: &Plan) -> i64 {
    let at = plan.waiting.iter().find_map(|waiting| match waiting {
        WaitingOn::FailedRollout { retry_at, .. } => *retry_at,
        _ => None,
    });
    at.unwrap_or_else(|| panic!("{plan}")).duration_since(world.now()).as_secs()
}

#[test]
fn nothing_else_is_written_during_a_rollout() {
    let mut world = PlanScenario::converged(&cluster());
    world.rollout(PROXY, "updating");
    let plan = world.plan(&cluster());
    assert!(matches!(&plan.waiting[..], [WaitingOn::Rollout { .. }]), "not converged: {plan}");
    let plan = world.plan(&with_image("swarmgate-nginx:next"));
    assert_eq!(titles(&plan), nothing());
    assert!(matches!(&plan.waiting[..], [WaitingOn::Rollout { .. }]), "{plan}");
}

#[test]
fn a_rollout_is_not_waited_for_longer_than_the_limit() {
    let mut world = PlanScenario::converged(&cluster());
    world.rollout(PROXY, "updating");
    world.first_task(PROXY)["Status"] = json!({"State": "starting"});
    world.pass_time(ROLLOUT_HOLD_MAX.as_secs() + 1);
    assert_eq!(titles(&world.plan(&with_image("swarmgate-nginx:next"))), update());
    assert_eq!(titles(&world.plan(&cluster())), nothing(), "without a change there is no reason to write");
}

#[test]
fn a_rollout_whose_task_finds_no_node_may_be_superseded() {
    let mut world = PlanScenario::converged(&cluster());
    world.rollout(PROXY, "updating");
    world.first_task(PROXY)["Status"] = json!({"State": "pending", "Err": "no suitable node"});
    assert_eq!(titles(&world.plan(&with_image("swarmgate-nginx:next"))), nothing());
    world.pass_time(ROLLOUT_STUCK_AFTER.as_secs() + 1);
    assert_eq!(titles(&world.plan(&with_image("swarmgate-nginx:next"))), update());
}

#[test]
fn a_rolled_back_rollout_is_retried_at_growing_intervals() {
    let bad = with_image("swarmgate-nginx:bad");
    let mut world = PlanScenario::converged(&cluster());
    for (round, wait) in [30, 60, 120, 240, 480, 600, 600].into_iter().enumerate() {
        assert_eq!(titles(&world.pass(&bad)), update(), "round {round}");
        world.roll_back(PROXY);
        let plan = world.pass(&bad);
        assert_eq!(titles(&plan), nothing(), "round {round}: {plan}");
        assert_eq!(codes(&plan), ["RolloutFailed"], "and no drift: {plan}");
        assert_eq!(retry_in(&world, &plan), wait - 1, "round {round}");
        world.pass_time(wait - 2);
        assert_eq!(titles(&world.pass(&bad)), nothing(), "round {round}");
    }
}

#[test]
fn after_a_failed_rollout_a_changed_document_is_tried_immediately() {
    let mut world = PlanScenario::converged(&cluster());
    world.pass(&with_image("swarmgate-nginx:bad"));
    world.roll_back(PROXY);
    world.pass(&with_image("swarmgate-nginx:bad"));
    assert_eq!(titles(&world.plan(&with_image("swarmgate-nginx:good"))), update());
    assert!(world.plan(&cluster()).is_converged(), "after a return to the old document there is nothing to do");
}

#[test]
fn after_a_failed_rollout_another_set_of_nodes_is_tried_immediately() {
    let bad = with_image("swarmgate-nginx:bad");
    let mut world = PlanScenario::converged(&cluster());
    world.pass(&bad);
    world.roll_back(PROXY);
    world.pass(&bad);
    world.raw.nodes.push(json!({"ID": "node2", "Status": {"State": "ready"}}));
    assert_eq!(titles(&world.pass(&bad)), update());
    world.roll_back(PROXY);
    assert_eq!(titles(&world.pass(&bad)), nothing());
}

#[test]
fn another_boot_snapshot_is_no_reason_to_retry_a_failed_rollout() {
    let bad = with_image("swarmgate-nginx:bad");
    let mut world = PlanScenario::converged(&cluster());
    world.pass(&bad);
    world.roll_back(PROXY);
    world.pass(&bad);
    world.boot = Some(bundle("second"));
    assert_eq!(titles(&world.plan(&bad)), nothing());
}

#[test]
fn a_restarted_operator_waits_for_a_failed_rollout_too() {
    let bad = with_image("swarmgate-nginx:bad");
    let mut world = PlanScenario::converged(&cluster());
    world.pass(&bad);
    world.roll_back(PROXY);
    world.memory = crate::plan::PlannerState::default();
    assert_eq!(titles(&world.pass(&bad)), nothing());
    world.pass_time(30);
    assert_eq!(titles(&world.pass(&bad)), update());
}

#[test]
fn a_paused_rollout_is_resumed_by_writing_the_same_spec() {
    let mut world = PlanScenario::converged(&cluster());
    world.rollout(PROXY, "paused");
    let before = world.service(PROXY).spec;
    let plan = world.pass(&cluster());
    assert_eq!((titles(&plan), codes(&plan)), (nothing(), vec!["RolloutFailed".to_owned()]));
    world.pass_time(30);
    let plan = world.pass(&cluster());
    assert_eq!(titles(&plan), update());
    assert!(plan.to_string().contains("resumes"), "{plan}");
    assert_eq!(world.service(PROXY).spec, before);
    assert!(world.plan(&cluster()).is_converged());
}

#[test]
fn a_success_clears_failures() {
    let bad = with_image("swarmgate-nginx:bad");
    let mut world = PlanScenario::converged(&cluster());
    world.pass(&bad);
    world.roll_back(PROXY);
    world.pass(&bad);
    assert_eq!(world.memory.rollouts.len(), 1);
    world.pass_time(60);
    world.pass(&bad);
    world.rollout(PROXY, "completed");
    world.pass(&bad);
    assert_eq!(world.memory, crate::plan::PlannerState::default());
}

#[test]
fn memory_survives_serialisation() {
    let bad = with_image("swarmgate-nginx:bad");
    let mut world = PlanScenario::converged(&cluster());
    world.pass(&bad);
    world.roll_back(PROXY);
    world.pass(&bad);
    let text = serde_json::to_string(&world.memory).unwrap();
    assert_eq!(serde_json::from_str::<crate::plan::PlannerState>(&text).unwrap(), world.memory);
}

#[test]
fn a_paused_rollout_is_not_resumed_while_one_of_its_tasks_does_not_run() {
    let mut world = PlanScenario::converged(&cluster());
    world.rollout(PROXY, "paused");
    let task = world.first_task(PROXY);
    let good = task.clone();
    task["Status"] = json!({"State": "starting"});
    world.pass_time(3600);
    world.pass(&cluster());
    world.pass_time(3600);
    let plan = world.pass(&cluster());
    assert!(matches!(&plan.waiting[..], [WaitingOn::FailedRollout { retry_at: None, .. }]), "{plan}");
    assert_eq!(titles(&plan), nothing());
    assert_eq!(titles(&world.plan(&with_image("swarmgate-nginx:good"))), update(), "another document is tried");
    let task = world.raw.tasks.iter_mut().find(|task| task["ID"] == good["ID"]).unwrap();
    *task = good;
    assert_eq!(titles(&world.pass(&cluster())), update());
}

#[test]
fn a_rollback_is_not_interrupted_for_the_declaration_that_caused_it() {
    let bad = with_image("swarmgate-nginx:bad");
    let mut world = PlanScenario::converged(&cluster());
    world.pass(&bad);
    world.roll_back(PROXY);
    world.rollout(PROXY, "rollback_started");
    world.first_task(PROXY)["Status"] = json!({"State": "pending", "Err": "no suitable node"});
    world.pass_time(3600);
    assert_eq!(titles(&world.pass(&bad)), nothing());
    assert_eq!(titles(&world.pass(&with_image("swarmgate-nginx:good"))), update());
}

/// Seen with 20.10: the updater waits for a task, and neither that task nor any other runs.
#[test]
fn a_rollback_without_progress_is_ended_whatever_its_tasks_do() {
    let mut world = PlanScenario::converged(&cluster());
    world.rollout(PROXY, "rollback_started");
    let mut gone = world.clone();
    gone.raw.tasks.clear();
    world.first_task(PROXY)["Status"] = json!({"State": "pending", "Err": "host-mode port already in use on 1 node"});
    for mut world in [world, gone] {
        world.pass_time(ROLLBACK_HANGS_AFTER.as_secs() + 5);
        assert_eq!(titles(&world.plan(&cluster())), nothing(), "Swarm may still wait for a task to end");
        world.pass_time(1);
        let plan = world.pass(&cluster());
        assert_eq!((titles(&plan), codes(&plan)), (update(), Vec::new()));
        let after = world.plan(&cluster());
        let waits = |waiting: &WaitingOn| matches!(waiting, WaitingOn::Tasks { service, .. } if service == PROXY);
        assert!(titles(&after).is_empty() && after.waiting.iter().any(waits), "only once: {after}");
    }
}

#[test]
fn a_changed_declaration_replaces_a_rollout_whose_task_makes_no_progress() {
    for state in ["new", "assigned", "preparing", "starting", "rejected"] {
        let mut world = PlanScenario::converged(&cluster());
        world.rollout(PROXY, "updating");
        world.first_task(PROXY)["Status"] = json!({"State": state});
        world.pass_time(ROLLOUT_SLOW_AFTER.as_secs() - 1);
        assert_eq!(titles(&world.plan(&with_image("swarmgate-nginx:next"))), nothing(), "{state}");
        world.pass_time(2);
        assert_eq!(titles(&world.plan(&with_image("swarmgate-nginx:next"))), update(), "{state}");
        assert_eq!(titles(&world.plan(&cluster())), nothing(), "{state}: without a change there is no reason to write");
    }
}

/// How long all tasks have run when a rollout is finished in practice: Swarm monitors the last one for 5 s.
fn idle() -> i64 {
    ROLLOUT_IDLE_AFTER.as_secs() + 5
}

#[test]
fn a_rollout_that_swarm_never_ends_is_ended_by_writing_the_same_spec() {
    for state in ["updating", "rollback_started"] {
        let mut world = PlanScenario::converged(&cluster());
        world.rollout(PROXY, state);
        let before = world.service(PROXY).spec;
        world.pass_time(idle());
        assert_eq!(titles(&world.pass(&cluster())), nothing(), "{state}: Swarm may still watch the last task");
        let plan = world.pass(&cluster());
        assert_eq!((titles(&plan), codes(&plan)), (update(), Vec::new()), "{state}");
        assert!(plan.to_string().contains("ends a rollout"), "{plan}");
        assert_eq!(world.service(PROXY).spec, before, "{state}");
        assert!(world.plan(&cluster()).is_converged(), "{state}: {}", world.plan(&cluster()));
    }
}

#[test]
fn a_rollout_continues_while_swarm_delays_or_monitors_or_a_task_does_not_run() {
    let mut world = PlanScenario::converged(&cluster());
    world.rollout(PROXY, "rollback_started");
    world.pass_time(idle() + 1);
    assert_eq!(titles(&world.plan(&cluster())), update());
    let is_left_alone = |world: &PlanScenario| {
        assert_eq!(titles(&world.plan(&cluster())), nothing());
        assert!(matches!(&world.plan(&cluster()).waiting[..], [WaitingOn::Rollout { .. }]), "{}", world.plan(&cluster()));
    };
    let mut starting = world.clone();
    starting.first_task(PROXY)["Status"]["State"] = json!("starting");
    is_left_alone(&starting);
    // A snapshot shows nothing of a task that waits for an old one to stop.
    let mut replaced = world.clone();
    let id = replaced.first_task(PROXY)["ID"].clone();
    replaced.raw.tasks.retain(|task| task["ID"] != id);
    is_left_alone(&replaced);
    let mut fresh = world.clone();
    fresh.first_task(PROXY)["Status"]["Timestamp"] = json!(world.now().to_string());
    is_left_alone(&fresh);
    for (config, field) in [("UpdateConfig", "Delay"), ("RollbackConfig", "Monitor")] {
        let mut patient = world.clone();
        patient.raw_service(PROXY)["Spec"][config][field] = json!(3600 * 1_000_000_000_i64);
        assert_eq!(titles(&patient.plan(&cluster())), nothing(), "{config} {field}");
    }
}

/// A service in Swarm's own global mode, as it was created while its nodes could not be counted.
fn in_swarms_global_mode(cluster: &Cluster) -> PlanScenario {
    let mut odd = cluster.clone();
    odd.proxy.workload.constraints = Some(vec!["engine.labels.disk==ssd".to_owned()]);
    let mut world = PlanScenario::converged(&odd);
    world.converge(cluster);
    world
}

#[test]
fn a_task_that_waits_for_the_port_of_an_equal_task_does_not_keep_a_rollout_open() {
    let mut global = cluster();
    global.proxy.mode = crate::fleet::Mode::Global;
    let mut world = in_swarms_global_mode(&global);
    let task = world.first_task(PROXY);
    task["NodeID"] = json!("node1");
    let mut waits = task.clone();
    waits["ID"] = json!("one-more");
    waits["Status"] = json!({"State": "pending", "Err": "host-mode port already in use on 1 node"});
    world.raw.tasks.push(waits);
    world.rollout(PROXY, "rollback_started");
    assert_eq!(titles(&world.plan(&global)), nothing());
    world.pass_time(idle() + 1);
    assert_eq!(titles(&world.plan(&global)), update());
    // If the spec were written here, Swarm would stop the running task for one that cannot run.
    world.first_task(PROXY)["Spec"]["ForceUpdate"] = json!(7);
    assert_eq!(titles(&world.plan(&global)), nothing());
}

#[test]
fn a_clock_that_is_ahead_does_not_keep_a_rollout_open() {
    let mut world = PlanScenario::converged(&cluster());
    world.rollout(PROXY, "rollback_started");
    world.first_task(PROXY)["Status"]["Timestamp"] = json!("2027-01-01T00:00:00Z");
    world.pass_time(idle() + 1);
    assert_eq!(titles(&world.plan(&cluster())), update());
}

#[test]
fn a_rollout_gets_more_time_if_its_slots_are_unknown() {
    let mut global = cluster();
    global.proxy.mode = crate::fleet::Mode::Global;
    global.proxy.workload.constraints = Some(vec!["engine.labels.disk==ssd".to_owned()]);
    let mut world = PlanScenario::converged(&global);
    world.first_task(PROXY)["NodeID"] = json!("node1");
    world.rollout(PROXY, "rollback_started");
    world.pass_time(ROLLOUT_HOLD_MAX.as_secs());
    assert_eq!(titles(&world.plan(&global)), nothing());
    world.pass_time(10);
    assert_eq!(titles(&world.plan(&global)), update());
}

#[test]
fn a_rollback_that_swarm_never_ends_is_followed_by_a_retry() {
    let bad = with_image("swarmgate-nginx:bad");
    let mut world = PlanScenario::converged(&cluster());
    world.pass(&bad);
    world.roll_back(PROXY);
    world.rollout(PROXY, "rollback_started");
    assert_eq!(titles(&world.pass(&bad)), nothing());
    world.pass_time(idle());
    let plan = world.pass(&bad);
    assert_eq!((titles(&plan), codes(&plan)), (nothing(), vec!["RolloutFailed".to_owned()]));
    assert_eq!(retry_in(&world, &plan), 29);
    assert_eq!(titles(&world.plan(&with_image("swarmgate-nginx:good"))), update(), "another document is tried at once");
    world.pass_time(30);
    assert_eq!(titles(&world.pass(&bad)), update());
}

#[test]
fn a_newer_document_follows_an_update_that_swarm_never_ends() {
    let mut world = PlanScenario::converged(&cluster());
    world.rollout(PROXY, "updating");
    world.pass_time(idle() + 1);
    let plan = world.plan(&with_image("swarmgate-nginx:next"));
    assert_eq!((titles(&plan), codes(&plan)), (update(), Vec::new()));
}

#[test]
fn a_global_service_without_tasks_is_not_complete() {
    let mut global = cluster();
    global.proxy.mode = crate::fleet::Mode::Global;
    let mut world = in_swarms_global_mode(&global);
    let id = world.service(PROXY).id.0;
    world.raw.tasks.retain(|task| task["ServiceID"] != id);
    let plan = world.plan(&global);
    assert!(matches!(&plan.waiting[..], [WaitingOn::Tasks { .. }]), "{plan}");
}

/// Something undoes every update, or the update never had an effect: this must not keep the managers busy.
#[test]
fn an_update_without_lasting_effect_is_noticed_and_a_lasting_one_is_forgotten() {
    let mut world = PlanScenario::converged(&cluster());
    world.raw.services.iter_mut().for_each(|service| service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] = json!("other:1"));
    let plan = world.plan(&cluster());
    let updates = plan.steps.iter().filter(|step| matches!(step, PlanStep::UpdateService { .. })).count();
    assert!(updates == 2 && plan.steps.len() == 2, "{plan}");
    let mut memory = world.memory.clone();
    for times in 1..=4 {
        memory = memory.after(&plan, &[Some(OperationResult::Updated); 2], world.raw.taken_at);
        assert_eq!(memory.repeated_update().is_some(), times > 3, "{times}");
    }
    world.converge(&cluster());
    let still = world.plan(&cluster());
    assert_eq!(memory.after(&still, &[], world.raw.taken_at).repeated_update(), None);
}
