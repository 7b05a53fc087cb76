//! Who owns which field: fields that the document leaves out keep their manual values, fields that it states are enforced,
//! and fields that leave the document are reset once.

use serde_json::{Value, json};

use super::world::PlanScenario;
use super::{PROXY, at, codes, lines};
use crate::fleet::fixtures::{bundle, cluster, list, map, publish};
use crate::intent::cluster::{Amounts, Cluster, Resources};
use crate::intent::cluster_spec::{PublishMode, RolloutStrategy};

fn with(change: impl FnOnce(&mut Cluster)) -> Cluster {
    let mut cluster = cluster();
    change(&mut cluster);
    cluster
}

#[test]
fn fields_that_the_document_leaves_out_keep_their_manual_values() {
    let mut world = PlanScenario::converged(&cluster());
    world.by_hand(PROXY, |spec| {
        spec["Mode"]["Replicated"]["Replicas"] = json!(5);
        spec["UpdateConfig"]["Order"] = json!("stop-first");
        spec["UpdateConfig"]["Delay"] = json!(7);
        spec["Labels"]["mine"] = json!("x");
        let container = &mut spec["TaskTemplate"]["ContainerSpec"];
        container["Args"] = json!(["proxy", "--mine"]);
        container["Labels"] = json!({"mine": "x"});
        container["Env"].as_array_mut().unwrap().insert(0, json!("MINE=1"));
        container["StopGracePeriod"] = json!(60_000_000_000_u64);
        container["StopSignal"] = json!("SIGTERM");
        container["Hosts"] = json!(["1.2.3.4 x"]);
        container["Mounts"].as_array_mut().unwrap().push(json!({"Type": "bind", "Source": "/x", "Target": "/x"}));
        spec["TaskTemplate"]["Placement"] = json!({"Constraints": ["node.labels.a==b"], "Platforms": [{"OS": "linux"}]});
        spec["TaskTemplate"]["Resources"] = json!({"Limits": {"MemoryBytes": 9}});
        spec["TaskTemplate"]["LogDriver"] = json!({"Name": "none"});
    });
    let plan = world.plan(&cluster());
    assert!(plan.is_converged(), "{plan}");
}

/// States a field, converges, removes it from the document, and checks that the field returns to its default once.
fn check_given_back(path: &str, state: impl FnOnce(&mut Cluster), default: &Value) {
    let declared = with(state);
    let mut world = PlanScenario::converged(&declared);
    assert_ne!(at(&world.service(PROXY).spec, path), *default, "{path} does not differ when declared");
    assert_eq!(world.converge(&cluster()), 1, "{path}");
    assert_eq!(at(&world.service(PROXY).spec, path), *default, "{path}");
    // The reset happens once: from now on the field may be set by hand.
    let hand = at(&PlanScenario::converged(&declared).service(PROXY).spec, path);
    world.by_hand(PROXY, |spec| crate::plan::json_path::set(spec, &path.split('.').collect::<Vec<_>>(), hand));
    assert!(world.plan(&cluster()).is_converged(), "{path}: {}", world.plan(&cluster()));
}

#[test]
fn a_field_that_leaves_the_document_is_reset_once() {
    let container = "TaskTemplate.ContainerSpec";
    let linux = json!({"Constraints": ["node.platform.os==linux"]});
    check_given_back("TaskTemplate.Placement", |c| c.proxy.workload.constraints = Some(list(&["node.role==worker"])), &linux);
    check_given_back("TaskTemplate.Placement", |c| c.proxy.workload.placement_preferences = Some(list(&["node.labels.a"])), &linux);
    check_given_back("Mode.Replicated.Replicas", |c| c.proxy.replicas = Some(4), &json!(2));
    check_given_back(&format!("{container}.StopSignal"), |c| c.proxy.stop_signal = Some("SIGINT".to_owned()), &json!("SIGQUIT"));
    check_given_back(&format!("{container}.Args"), |c| c.proxy.workload.args = Some(list(&["-x"])), &json!(["proxy"]));
    check_given_back("UpdateConfig.Parallelism", |c| c.proxy.update.parallelism = Some(3), &json!(1));
    check_given_back(
        "TaskTemplate.Resources",
        |c| {
            let limits = Amounts { nano_cpus: Some(1), memory_bytes: Some(2) };
            c.proxy.workload.resources = Some(Resources { limits, ..Resources::default() });
        },
        &json!({"Limits": {"MemoryBytes": 4_i64 << 30, "Pids": 4096}}),
    );
}

#[test]
fn keys_that_leave_the_document_are_removed_and_foreign_keys_stay() {
    let declared = with(|c| {
        c.proxy.workload.env = Some(map(&[("A", "1"), ("B", "2")]));
        c.proxy.workload.labels = Some(map(&[("team", "edge")]));
        c.proxy.workload.container_labels = Some(map(&[("log", "json")]));
    });
    let mut world = PlanScenario::converged(&declared);
    world.by_hand(PROXY, |spec| {
        spec["Labels"]["mine"] = json!("x");
        spec["TaskTemplate"]["ContainerSpec"]["Env"].as_array_mut().unwrap().push(json!("MINE=1"));
    });
    world.converge(&with(|c| c.proxy.workload.env = Some(map(&[("A", "1")]))));
    let spec = world.service(PROXY).spec;
    let env = at(&spec, "TaskTemplate.ContainerSpec.Env");
    let has = |entry: &str| env.as_array().unwrap().contains(&json!(entry));
    assert!(has("A=1") && has("MINE=1") && !has("B=2"), "{env}");
    assert_eq!(at(&spec, "Labels.mine"), json!("x"));
    assert_eq!(at(&spec, "Labels.team"), Value::Null);
    assert_eq!(at(&spec, "TaskTemplate.ContainerSpec.Labels"), Value::Null);
}

#[test]
fn a_changed_document_is_not_drift() {
    let mut world = PlanScenario::converged(&with(|c| c.proxy.replicas = Some(3)));
    let changed = with(|c| {
        c.proxy.replicas = Some(4);
        c.proxy.workload.image = "swarmgate-nginx:next".to_owned();
        c.proxy.workload.env = Some(map(&[("A", "1")]));
    });
    let plan = world.pass(&changed);
    assert_eq!(codes(&plan), [""; 0], "{plan}");
}

#[test]
fn a_drift_finding_names_field_and_value_but_hides_environment_values() {
    let declared = with(|c| c.proxy.workload.env = Some(map(&[("PASSWORD", "right")])));
    let mut world = PlanScenario::converged(&declared);
    world.by_hand(PROXY, |spec| {
        spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!("evil:1");
        let env = spec["TaskTemplate"]["ContainerSpec"]["Env"].as_array_mut().unwrap();
        env.iter_mut().filter(|entry| entry.as_str().unwrap().starts_with("PASSWORD")).for_each(|entry| *entry = json!("PASSWORD=wrong"));
    });
    let drift: Vec<_> =
        world.plan(&declared).findings.into_iter().map(|finding| (finding.field.unwrap(), finding.value.unwrap())).collect();
    assert!(drift.contains(&("image".to_owned(), "evil:1".to_owned())), "{drift:?}");
    assert!(drift.contains(&("env.PASSWORD".to_owned(), "(not shown)".to_owned())), "{drift:?}");
}

#[test]
fn a_digest_that_a_client_pinned_to_the_declared_tag_stays() {
    let pinned = format!("swarmgate-nginx:dev@sha256:{}", "a".repeat(64));
    let mut world = PlanScenario::converged(&cluster());
    world.by_hand(PROXY, |spec| spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!(pinned));
    assert!(world.plan(&cluster()).is_converged());
    let plan = world.plan(&with(|c| c.proxy.workload.image = "swarmgate-nginx:next".to_owned()));
    assert!(lines(&plan).iter().any(|line| line.contains("swarmgate-nginx:next")), "{plan}");
}

#[test]
fn the_order_of_updates_follows_the_publish_mode_once_unless_it_is_stated() {
    let mut world = PlanScenario::converged(&cluster());
    let host = with(|c| c.proxy.publish = publish(PublishMode::Host));
    assert_eq!(world.converge(&host), 1);
    let order = |world: &PlanScenario, config: &str| at(&world.service(PROXY).spec, &format!("{config}.Order"));
    assert_eq!((order(&world, "UpdateConfig"), order(&world, "RollbackConfig")), (json!("stop-first"), json!("stop-first")));
    // With fixed host ports, new tasks would wait forever for the old ones to stop, even in a rollout that has begun.
    world.by_hand(PROXY, |spec| spec["UpdateConfig"]["Order"] = json!("start-first"));
    world.rollout(PROXY, "updating");
    let plan = world.plan(&host);
    assert!(lines(&plan).iter().any(|line| line.contains("stop-first")), "{plan}");
    world.rollout(PROXY, "completed");
    world.converge(&host);
    assert_eq!(order(&world, "UpdateConfig"), json!("stop-first"));
    // Behind the routing mesh either order works.
    let mut world = PlanScenario::converged(&cluster());
    world.by_hand(PROXY, |spec| spec["UpdateConfig"]["Order"] = json!("stop-first"));
    assert!(world.plan(&cluster()).is_converged());
}

#[test]
fn switching_from_live_to_a_stock_image_leaves_nothing_of_the_agent() {
    let mut world = PlanScenario::converged(&cluster());
    world.live = Some(bundle("events {}"));
    let stock = with(|c| {
        c.proxy.rollout = RolloutStrategy::Replace;
        c.proxy.workload.image = "nginx:alpine".to_owned();
    });
    assert_eq!(world.converge(&stock), 1);
    let container = at(&world.service(PROXY).spec, "TaskTemplate.ContainerSpec");
    for gone in ["Args", "Env", "User", "ReadOnly", "Mounts", "Secrets", "Healthcheck"] {
        assert_eq!(at(&container, gone), Value::Null, "{gone}");
    }
    assert_eq!(container["Configs"][0]["File"]["Name"], "/etc/nginx/nginx.conf");
    assert_eq!(container["Configs"].as_array().unwrap().len(), 1);
    assert_eq!(world.converge(&cluster()), 1, "and vice versa");
}

#[test]
fn an_unreadable_managed_label_resets_nothing() {
    let declared = with(|c| c.proxy.workload.constraints = Some(list(&["node.role==worker"])));
    let mut world = PlanScenario::converged(&declared);
    world.by_hand(PROXY, |spec| spec["Labels"][crate::protocol::container_contract::LABEL_MANAGED] = json!("}{"));
    world.converge(&cluster());
    assert_eq!(at(&world.service(PROXY).spec, "TaskTemplate.Placement.Constraints"), json!(["node.role==worker"]));
}
