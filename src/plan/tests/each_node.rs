//! `mode: global`: how many proxies each node should have, and what is written when the number changes.

use serde_json::{Value, json};

use super::world::PlanScenario;
use super::{PROXY, at, codes, titles};
use crate::fleet::Mode;
use crate::fleet::fixtures::{cluster, publish};
use crate::intent::cluster::Cluster;
use crate::intent::cluster_spec::PublishMode;
use crate::plan::{Plan, PlanStep, ROLLOUT_IDLE_AFTER, TaskEffect};
use crate::report::WaitingOn;
use crate::types::UpdateOrder;

fn on_each_node() -> Cluster {
    let mut cluster = cluster();
    cluster.proxy.mode = Mode::Global;
    cluster.proxy.publish = publish(PublishMode::Host);
    cluster
}

fn node(id: &str, state: &str, availability: &str) -> Value {
    json!({"ID": id, "Status": {"State": state}, "Spec": {"Availability": availability, "Role": "worker"},
        "Description": {"Platform": {"OS": "linux", "Architecture": "x86_64"}}})
}

/// A converged world with these nodes, each with a running proxy.
fn world(nodes: &[&str]) -> PlanScenario {
    let mut world = PlanScenario::new();
    world.raw.nodes = nodes.iter().map(|id| node(id, "ready", "active")).collect();
    world.converge(&on_each_node());
    proxies_on(&mut world, nodes);
    assert!(world.plan(&on_each_node()).is_converged(), "{}", world.plan(&on_each_node()));
    world
}

/// Runs a proxy on each of these nodes.
fn proxies_on(world: &mut PlanScenario, nodes: &[&str]) {
    let mut task = world.first_task(PROXY).clone();
    let service = task["ServiceID"].clone();
    world.raw.tasks.retain(|task| task["ServiceID"] != service);
    for id in nodes {
        task["ID"] = json!(format!("proxy-{id}"));
        task["NodeID"] = json!(id);
        world.raw.tasks.push(task.clone());
    }
}

/// Lets one proxy wait for a place.
fn one_waits(world: &mut PlanScenario) {
    let mut task = world.first_task(PROXY).clone();
    task["ID"] = json!("proxy-waits");
    task.as_object_mut().unwrap().remove("NodeID");
    task["Status"] = json!({"State": "pending", "Err": "no suitable node (max replicas per node limit exceed)"});
    world.raw.tasks.push(task);
}

fn set_node(world: &mut PlanScenario, id: &str, state: &str, availability: &str) {
    let found = world.raw.nodes.iter_mut().find(|node| node["ID"] == id).unwrap();
    found["Status"]["State"] = json!(state);
    found["Spec"]["Availability"] = json!(availability);
}

fn number(spec: &Value) -> Value {
    at(spec, "Mode.Replicated.Replicas")
}

/// The number that a plan writes; `None` if it writes nothing.
fn written(plan: &Plan) -> Option<u64> {
    plan.steps.iter().find_map(|step| match step {
        PlanStep::UpdateService { name, spec, tasks, .. } if name == PROXY => {
            assert_eq!(*tasks, TaskEffect::Keeps, "{plan}");
            number(spec).as_u64()
        }
        _ => None,
    })
}

#[test]
fn the_service_is_replicated_with_as_many_proxies_as_nodes_and_one_on_each() {
    let world = world(&["a", "b", "c"]);
    let spec = world.service(PROXY).spec;
    assert_eq!((number(&spec), at(&spec, "TaskTemplate.Placement.MaxReplicas")), (json!(3), json!(1)));
    assert_eq!(codes(&world.plan(&on_each_node())), [""; 0]);
}

/// Changes the third of three nodes with proxies and checks what is written.
fn check(state: &str, availability: &str, keeps_its_proxy: bool, expected: Option<u64>) {
    let mut world = world(&["a", "b", "c"]);
    set_node(&mut world, "c", state, availability);
    if !keeps_its_proxy {
        proxies_on(&mut world, &["a", "b"]);
        one_waits(&mut world);
    }
    let plan = world.plan(&on_each_node());
    assert_eq!(written(&plan), expected, "{state} {availability} {keeps_its_proxy}: {plan}");
    assert_eq!(codes(&plan), [""; 0], "{plan}");
}

#[test]
fn the_number_drops_only_after_swarm_has_removed_tasks() {
    check("ready", "active", true, None);
    check("ready", "active", false, None);
    for (state, availability) in [("down", "active"), ("ready", "drain"), ("disconnected", "active"), ("unknown", "drain")] {
        check(state, availability, true, None);
        check(state, availability, false, Some(2));
    }
    // A paused node keeps its tasks and gets no new ones.
    check("ready", "pause", true, None);
    check("ready", "pause", false, Some(2));
    check("unknown", "active", false, None);
}

#[test]
fn a_change_of_the_leading_manager_removes_no_proxy() {
    let mut world = world(&["a", "b", "c"]);
    for id in ["a", "b", "c"] {
        set_node(&mut world, id, "unknown", "active");
    }
    assert!(world.plan(&on_each_node()).is_converged());
    for id in ["a", "b", "c"] {
        set_node(&mut world, id, "disconnected", "active");
    }
    assert!(world.plan(&on_each_node()).is_converged());
    // The same applies if no proxies are visible at all.
    let service = world.service(PROXY).id.0;
    world.raw.tasks.retain(|task| task["ServiceID"] != service);
    assert_eq!(written(&world.plan(&on_each_node())), None);
}

#[test]
fn a_node_that_joins_or_returns_gets_a_proxy_and_a_removed_node_is_not_waited_for() {
    let mut world = world(&["a", "b"]);
    world.raw.nodes.push(node("c", "ready", "active"));
    assert_eq!(written(&world.pass(&on_each_node())), Some(3));
    proxies_on(&mut world, &["a", "b", "c"]);
    assert!(world.plan(&on_each_node()).is_converged());
    world.raw.nodes.retain(|node| node["ID"] != "c");
    proxies_on(&mut world, &["a", "b"]);
    one_waits(&mut world);
    assert_eq!(written(&world.pass(&on_each_node())), Some(2));
}

#[test]
fn constraints_and_roles_decide_which_nodes_get_a_proxy() {
    let mut workers = on_each_node();
    workers.proxy.workload.constraints = Some(vec!["node.role==worker".to_owned()]);
    let mut world = PlanScenario::new();
    world.raw.nodes = ["a", "b", "c"].map(|id| node(id, "ready", "active")).to_vec();
    world.raw.nodes[0]["Spec"]["Role"] = json!("manager");
    world.converge(&workers);
    assert_eq!(number(&world.service(PROXY).spec), json!(2));
    proxies_on(&mut world, &["b", "c"]);
    // A manager is demoted: one more proxy. Another node is promoted, and Swarm has removed its proxy: one less.
    world.raw.nodes[0]["Spec"]["Role"] = json!("worker");
    assert_eq!(written(&world.pass(&workers)), Some(3));
    world.raw.nodes[1]["Spec"]["Role"] = json!("manager");
    proxies_on(&mut world, &["a", "c"]);
    assert_eq!(written(&world.pass(&workers)), Some(2));
    // The document states other constraints: running proxies are included until Swarm has moved them.
    proxies_on(&mut world, &["a", "c"]);
    let mut managers = workers.clone();
    managers.proxy.workload.constraints = Some(vec!["node.role==manager".to_owned()]);
    let plan = world.pass(&managers);
    assert_eq!(number(&world.service(PROXY).spec), json!(3), "{plan}");
}

#[test]
fn only_nodes_whose_platform_the_image_supports_get_a_proxy() {
    let mut world = world(&["a", "b"]);
    world.raw.nodes[1]["Description"]["Platform"]["Architecture"] = json!("aarch64");
    proxies_on(&mut world, &["a"]);
    world.by_hand(PROXY, |spec| spec["TaskTemplate"]["Placement"]["Platforms"] = json!([{"OS": "linux", "Architecture": "amd64"}]));
    assert_eq!(written(&world.plan(&on_each_node())), Some(1));
}

#[test]
fn a_number_set_by_hand_is_reverted_with_a_finding_but_following_the_nodes_produces_none() {
    let mut world = world(&["a", "b"]);
    world.by_hand(PROXY, |spec| spec["Mode"]["Replicated"]["Replicas"] = json!(5));
    let plan = world.pass(&on_each_node());
    assert_eq!((written(&plan), codes(&plan)), (Some(2), vec!["Drift".to_owned()]));
    assert!(plan.findings[0].remedy.contains("mode: global"), "{plan}");
    world.by_hand(PROXY, |spec| spec["TaskTemplate"]["Placement"]["MaxReplicas"] = json!(0));
    assert_eq!(codes(&world.plan(&on_each_node())), ["Drift"]);
}

#[test]
fn the_number_waits_for_a_rollout_and_is_written_before_the_next_one() {
    let mut world = world(&["a", "b"]);
    world.raw.nodes.push(node("c", "ready", "active"));
    world.rollout(PROXY, "updating");
    let plan = world.plan(&on_each_node());
    assert_eq!((titles(&plan), plan.waiting.len()), (Vec::new(), 1), "{plan}");
    world.rollout(PROXY, "completed");
    let mut next = on_each_node();
    next.proxy.workload.image = "swarmgate-nginx:next".to_owned();
    assert_eq!(written(&world.pass(&next)), Some(3));
    let plan = world.pass(&next);
    assert_eq!(titles(&plan), [format!("update service {PROXY}")]);
    assert_eq!(at(&world.service(PROXY).previous_spec.unwrap(), "Mode.Replicated.Replicas"), json!(3), "a rollback keeps the number");
}

#[test]
fn a_node_that_joins_after_a_failed_rollout_gets_a_proxy_of_the_working_spec() {
    let mut world = world(&["a", "b"]);
    let mut bad = on_each_node();
    bad.proxy.workload.image = "swarmgate-nginx:bad".to_owned();
    world.pass(&bad);
    world.roll_back(PROXY);
    world.pass(&bad);
    world.raw.nodes.push(node("c", "ready", "active"));
    let plan = world.pass(&bad);
    assert_eq!(written(&plan), Some(3), "{plan}");
    assert_ne!(at(&world.service(PROXY).spec, "TaskTemplate.ContainerSpec.Image"), json!("swarmgate-nginx:bad"));
}

#[test]
fn a_proxy_without_an_eligible_node_does_not_keep_a_rollout_open() {
    let mut world = world(&["a", "b", "c"]);
    set_node(&mut world, "c", "down", "active");
    proxies_on(&mut world, &["a", "b"]);
    one_waits(&mut world);
    world.rollout(PROXY, "updating");
    world.pass_time(ROLLOUT_IDLE_AFTER.as_secs());
    let plan = world.plan(&on_each_node());
    assert!(
        plan.steps.is_empty() && matches!(&plan.waiting[..], [WaitingOn::Rollout { detail, .. }] if detail.contains("2 of 2")),
        "{plan}"
    );
    // Swarm waits forever for a place for it; nothing else is left to do.
    world.pass_time(60);
    assert_eq!(written(&world.plan(&on_each_node())), Some(2));
}

#[test]
fn proxies_leave_nodes_that_no_longer_fit_one_after_the_other() {
    let mut world = world(&["a", "b", "c"]);
    world.by_hand(PROXY, |spec| spec["TaskTemplate"]["Placement"]["Constraints"] = json!(["node.id==c"]));
    world.rollout(PROXY, "updating");
    proxies_on(&mut world, &["a", "c"]);
    assert_eq!(written(&world.plan(&on_each_node())), None, "Swarm has not created the other one yet");
    one_waits(&mut world);
    assert_eq!(written(&world.plan(&on_each_node())), Some(2));
    // While a new template is rolled out, a write would make Swarm forget the previous one.
    let before = world.raw_service(PROXY)["Spec"].clone();
    let service = world.raw_service(PROXY);
    service["PreviousSpec"] = before;
    service["PreviousSpec"]["TaskTemplate"]["ForceUpdate"] = json!(7);
    assert_eq!(written(&world.plan(&on_each_node())), None);
}

#[test]
fn if_no_node_fits_the_number_stays_and_the_wait_is_explained() {
    let mut world = PlanScenario::new();
    let mut nowhere = on_each_node();
    nowhere.proxy.workload.constraints = Some(vec!["node.labels.lb==dev".to_owned()]);
    world.pass(&nowhere);
    assert_eq!(number(&world.service(PROXY).spec), json!(1));
    let task = world.first_task(PROXY);
    task["Status"] = json!({"State": "pending", "Err": "no suitable node (scheduling constraints not satisfied on 1 node)"});
    let plan = world.plan(&nowhere);
    let is_reported = |waiting: &WaitingOn| matches!(waiting, WaitingOn::Tasks { detail, .. } if detail.contains("0 of 1"));
    assert!(plan.steps.is_empty() && plan.waiting.iter().any(is_reported), "{plan}");
}

#[test]
fn with_start_first_a_node_may_briefly_have_two_proxies() {
    let mut mesh = on_each_node();
    mesh.proxy.publish = publish(PublishMode::Ingress);
    let mut world = PlanScenario::new();
    world.raw.nodes = ["a", "b"].map(|id| node(id, "ready", "active")).to_vec();
    world.converge(&mesh);
    let most = |world: &PlanScenario| at(&world.service(PROXY).spec, "TaskTemplate.Placement.MaxReplicas");
    assert_eq!((number(&world.service(PROXY).spec), most(&world)), (json!(2), json!(2)));
    mesh.proxy.update.order = Some(UpdateOrder::StopFirst);
    world.converge(&mesh);
    assert_eq!(most(&world), json!(1));
}

/// Swarm's own global mode, as an earlier version created it, or constraints that cannot be decided.
fn swarms_own() -> PlanScenario {
    let mut odd = on_each_node();
    odd.proxy.workload.constraints = Some(vec!["engine.labels.disk==ssd".to_owned()]);
    PlanScenario::converged(&odd)
}

#[test]
fn a_service_in_swarms_own_global_mode_keeps_it_and_produces_a_finding() {
    let mut world = swarms_own();
    assert_eq!(at(&world.service(PROXY).spec, "Mode"), json!({"Global": {}}));
    assert!(world.plan(&on_each_node()).findings[0].remedy.starts_with("First use constraints that"));
    world.converge(&on_each_node());
    let plan = world.plan(&on_each_node());
    assert_eq!((titles(&plan), codes(&plan)), (Vec::new(), vec!["ProxiesReplacedTogether".to_owned()]), "{plan}");
    assert!(plan.findings[0].remedy.starts_with("Remove the service at a quiet time (docker service rm"), "{plan}");
    // The remedy.
    world.raw.services.retain(|service| service["Spec"]["Name"] != PROXY);
    world.converge(&on_each_node());
    assert_eq!(number(&world.service(PROXY).spec), json!(1));
    assert_eq!(codes(&world.plan(&on_each_node())).iter().filter(|code| *code == "ProxiesReplacedTogether").count(), 0);
}

#[test]
fn if_nodes_can_no_longer_be_counted_the_number_stays() {
    let mut world = world(&["a", "b"]);
    let mut odd = on_each_node();
    odd.proxy.workload.constraints = Some(vec!["engine.labels.disk==ssd".to_owned()]);
    world.pass(&odd);
    proxies_on(&mut world, &["a", "b"]);
    world.raw.nodes.push(node("c", "ready", "active"));
    let plan = world.plan(&odd);
    assert_eq!((titles(&plan), codes(&plan)), (Vec::new(), vec!["ProxyNodesUnknown".to_owned()]), "{plan}");
}

#[test]
fn switching_between_replicated_and_global_removes_nothing_and_leaves_nothing_behind() {
    let mut two = on_each_node();
    (two.proxy.mode, two.proxy.replicas) = (Mode::Replicated, Some(2));
    let mut world = PlanScenario::new();
    world.raw.nodes = ["a", "b", "c"].map(|id| node(id, "ready", "active")).to_vec();
    world.converge(&two);
    let before = world.service(PROXY).spec;
    assert_eq!(at(&before, "TaskTemplate.Placement.MaxReplicas"), Value::Null);
    assert_eq!(titles(&world.pass(&on_each_node())), [format!("update service {PROXY}")]);
    proxies_on(&mut world, &["a", "b", "c"]);
    assert!(world.plan(&on_each_node()).is_converged());
    world.converge(&two);
    assert_eq!(world.service(PROXY).spec, before);
}
