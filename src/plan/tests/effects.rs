//! Which changes replace tasks (Swarm's `IsTaskDirty`), row by row, and which steps the planner makes of them.

use serde_json::{Value, json};

use super::world::PlanScenario;
use super::{PROXY, at};
use crate::fleet::fixtures::{cluster, list, map, publish};
use crate::intent::cluster::{Amounts, Cluster, Resources};
use crate::intent::cluster_spec::PublishMode;
use crate::plan::{PlanStep, TaskEffect, lint, task_effect, would_replace_tasks};

fn spec() -> Value {
    PlanScenario::converged(&cluster()).service(PROXY).spec
}

/// Changes one path of the proxy's spec and checks the effect on the tasks.
fn check(path: &str, value: Value, expected: TaskEffect) {
    let old = spec();
    let mut new = old.clone();
    crate::plan::json_path::set(&mut new, &path.split('.').collect::<Vec<_>>(), value);
    assert_ne!(old, new, "{path} did not change");
    assert_eq!(task_effect(&old, &new), expected, "{path}");
}

#[test]
fn labels_policies_and_replicas_keep_tasks() {
    check("Labels.a", json!("b"), TaskEffect::Keeps);
    check("UpdateConfig.Parallelism", json!(5), TaskEffect::Keeps);
    check("RollbackConfig.Order", json!("stop-first"), TaskEffect::Keeps);
    check("Mode.Replicated.Replicas", json!(9), TaskEffect::Keeps);
}

#[test]
fn anything_in_the_container_replaces_tasks() {
    for (field, value) in [
        ("Image", json!("swarmgate-nginx:dev@sha256:0")),
        ("Env", json!(["A=1"])),
        ("Labels", json!({"a": "b"})),
        ("Configs", json!([])),
        ("Secrets", json!([])),
        ("Mounts", json!([])),
        ("Healthcheck", json!({"Test": ["NONE"]})),
        ("StopGracePeriod", json!(1)),
    ] {
        check(&format!("TaskTemplate.ContainerSpec.{field}"), value, TaskEffect::Replaces);
    }
}

#[test]
fn networks_resources_restart_logging_and_force_replace_tasks() {
    check("TaskTemplate.Networks", json!([{"Target": "net-app"}]), TaskEffect::Replaces);
    check("TaskTemplate.Resources", json!({"Limits": {"NanoCPUs": 1}}), TaskEffect::Replaces);
    check("TaskTemplate.RestartPolicy", json!({"Condition": "none"}), TaskEffect::Replaces);
    check("TaskTemplate.LogDriver", json!({"Name": "none"}), TaskEffect::Replaces);
    check("TaskTemplate.ForceUpdate", json!(1), TaskEffect::Replaces);
}

#[test]
fn adding_an_explicit_default_replaces_tasks() {
    check("TaskTemplate.ContainerSpec.Privileges", json!({}), TaskEffect::Replaces);
    check("TaskTemplate.LogDriver", json!({}), TaskEffect::Replaces);
}

#[test]
fn placement_alone_moves_only_misplaced_tasks() {
    check("TaskTemplate.Placement", json!({"Constraints": ["node.role==worker"]}), TaskEffect::MovesMisplaced);
    check("TaskTemplate.Placement", json!({"MaxReplicas": 1}), TaskEffect::MovesMisplaced);
}

#[test]
fn ports_and_endpoint_mode_replace_tasks() {
    check("EndpointSpec.Ports", json!([]), TaskEffect::Replaces);
    check("EndpointSpec.Mode", json!("dnsrr"), TaskEffect::Replaces);
}

#[test]
fn placement_and_ports_changed_together_need_force_update() {
    let old = spec();
    let mut new = old.clone();
    new["TaskTemplate"]["Placement"] = json!({"Constraints": ["node.role==worker"]});
    new["EndpointSpec"]["Ports"] = json!([]);
    assert!(!would_replace_tasks(&old, &new));
}

#[test]
fn changing_published_ports_raises_force_update_once() {
    let mut world = PlanScenario::converged(&cluster());
    let mut changed = cluster();
    changed.proxy.publish = publish(PublishMode::Host);
    changed.proxy.workload.constraints = Some(list(&["node.role==worker"]));
    let plan = world.pass(&changed);
    assert!(matches!(&plan.steps[0], PlanStep::UpdateService { tasks: TaskEffect::Replaces, .. }), "{plan}");
    assert_eq!(at(&world.service(PROXY).spec, "TaskTemplate.ForceUpdate"), json!(1));
    assert!(world.plan(&changed).is_converged());
}

#[test]
fn the_lint_refuses_placement_and_ports_together_without_force_update() {
    let world = PlanScenario::converged(&cluster());
    let mut changed = cluster();
    changed.proxy.publish = publish(PublishMode::Host);
    changed.proxy.workload.constraints = Some(list(&["node.role==worker"]));
    let mut plan = world.plan(&changed);
    if let PlanStep::UpdateService { spec, .. } = &mut plan.steps[0] {
        spec["TaskTemplate"]["ForceUpdate"] = json!(0);
    }
    assert_eq!(lint(&plan, &world.snapshot()).len(), 1);
}

/// Converges on one cluster, then checks what a changed document does to the tasks.
fn check_document(change: impl FnOnce(&mut Cluster), expected: TaskEffect) {
    let mut world = PlanScenario::converged(&cluster());
    let tasks = world.raw.tasks.clone();
    let mut changed = cluster();
    change(&mut changed);
    let plan = world.pass(&changed);
    let effects: Vec<_> =
        plan.steps.iter().map(|step| if let PlanStep::UpdateService { tasks, .. } = step { *tasks } else { panic!("{plan}") }).collect();
    assert_eq!(effects, [expected], "{plan}");
    assert_eq!(world.raw.tasks == tasks, expected != TaskEffect::Replaces, "{plan}");
    assert!(plan.to_string().contains(&expected.to_string()));
}

#[test]
fn a_document_change_that_needs_no_new_tasks_replaces_none() {
    check_document(|c| c.proxy.workload.labels = Some(map(&[("team", "edge")])), TaskEffect::Keeps);
    check_document(|c| c.proxy.update.delay = Some(std::time::Duration::from_secs(3)), TaskEffect::Keeps);
    check_document(|c| c.proxy.workload.constraints = Some(list(&["node.role==worker"])), TaskEffect::MovesMisplaced);
    check_document(|c| c.proxy.workload.image = "swarmgate-nginx:next".to_owned(), TaskEffect::Replaces);
}

#[test]
fn stating_an_existing_value_replaces_no_task() {
    check_document(|c| c.proxy.replicas = Some(2), TaskEffect::Keeps);
    check_document(|c| c.proxy.stop_signal = Some("SIGQUIT".to_owned()), TaskEffect::Keeps);
    check_document(|c| c.proxy.workload.constraints = Some(vec!["node.platform.os==linux".to_owned()]), TaskEffect::Keeps);
    let limits = || Amounts { nano_cpus: None, memory_bytes: Some(4 << 30) };
    check_document(|c| c.proxy.workload.resources = Some(Resources { limits: limits(), ..Resources::default() }), TaskEffect::Keeps);
    check_document(|c| c.proxy.workload.args = Some(vec![]), TaskEffect::Keeps);
}
