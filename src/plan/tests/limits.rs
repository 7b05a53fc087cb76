//! Limits and privileges of our containers: set from the start, added to older services once, and never written twice.

use serde_json::{Value, json};

use super::world::PlanScenario;
use super::{EXTENSION, PROXY, at, lines};
use crate::fleet::fixtures::{bundle, cluster};
use crate::intent::cluster::{Cluster, Logging};
use crate::intent::cluster_spec::RolloutStrategy;
use crate::plan::{PlanStep, TaskEffect};

const CONTAINER: &str = "TaskTemplate.ContainerSpec";
const NO_NEW: &str = "TaskTemplate.ContainerSpec.Privileges.NoNewPrivileges";

/// A manager with this engine version.
fn manager(version: &str) -> Value {
    json!({
        "ID": format!("manager-{version}"), "Status": {"State": "ready"}, "Spec": {"Role": "manager", "Availability": "active"},
        "Description": {"Platform": {"OS": "linux"}, "Engine": {"EngineVersion": version}},
    })
}

fn world_with(versions: &[&str]) -> PlanScenario {
    let mut world = PlanScenario::new();
    world.raw.nodes.extend(versions.iter().map(|version| manager(version)));
    world
}

fn stock() -> Cluster {
    let mut stock = cluster();
    stock.proxy.rollout = RolloutStrategy::Replace;
    stock
}

#[test]
fn our_programs_have_limits_and_no_privileges_from_the_start() {
    let world = PlanScenario::converged(&cluster());
    for (name, memory, pids) in [(EXTENSION, 2_i64 << 30, 1024), (PROXY, 4_i64 << 30, 4096)] {
        let spec = world.service(name).spec;
        assert_eq!(at(&spec, &format!("{CONTAINER}.CapabilityDrop")), json!(["ALL"]), "{name}");
        assert_eq!(at(&spec, &format!("{CONTAINER}.CapabilityAdd")), Value::Null, "{name}");
        assert_eq!(at(&spec, "TaskTemplate.Resources.Limits"), json!({"MemoryBytes": memory, "Pids": pids}), "{name}");
        let logging = json!({"Name": "json-file", "Options": {"max-size": "10m", "max-file": "5"}});
        assert_eq!(at(&spec, "TaskTemplate.LogDriver"), logging, "{name}");
    }
}

#[test]
fn a_stock_image_keeps_its_privilege_settings() {
    let mut world = world_with(&["28.0.1"]);
    world.live = Some(bundle("live"));
    world.converge(&stock());
    let spec = world.service(PROXY).spec;
    assert_eq!(at(&spec, &format!("{CONTAINER}.CapabilityDrop")), Value::Null);
    assert_eq!(at(&spec, NO_NEW), Value::Null);
    world.by_hand(PROXY, |spec| spec["TaskTemplate"]["ContainerSpec"]["CapabilityDrop"] = json!(["NET_RAW"]));
    assert!(world.plan(&stock()).is_converged(), "{}", world.plan(&stock()));
}

#[test]
fn an_older_service_is_hardened_by_one_replacement_and_keeps_its_limits() {
    let mut world = PlanScenario::converged(&cluster());
    world.by_hand(PROXY, |spec| {
        spec["TaskTemplate"]["ContainerSpec"].as_object_mut().unwrap().remove("CapabilityDrop");
        spec["TaskTemplate"].as_object_mut().unwrap().remove("Resources");
        spec["TaskTemplate"].as_object_mut().unwrap().remove("LogDriver");
        // The declaration of that time did not include it.
        let managed: Value = serde_json::from_str(spec["Labels"]["swarmgate.managed"].as_str().unwrap()).unwrap();
        let older = managed.as_object().unwrap().iter().filter(|(field, _)| !field.starts_with("capability"));
        spec["Labels"]["swarmgate.managed"] = json!(Value::Object(older.map(|(k, v)| (k.clone(), v.clone())).collect()).to_string());
    });
    let plan = world.pass(&cluster());
    assert!(lines(&plan).contains(&"+ TaskTemplate.ContainerSpec.CapabilityDrop: [\"ALL\"]".to_owned()), "{plan}");
    assert!(matches!(plan.steps[0], PlanStep::UpdateService { tasks: TaskEffect::Replaces, .. }), "{plan}");
    assert_eq!(plan.findings, [], "there is no manual change");
    assert_eq!(world.converge(&cluster()), 0);
    let spec = world.service(PROXY).spec;
    assert_eq!(at(&spec, "TaskTemplate.Resources"), Value::Null, "limits are set only at creation");
    assert_eq!(at(&spec, "TaskTemplate.LogDriver"), Value::Null, "and so is logging");
}

#[test]
fn no_new_privileges_is_set_only_if_every_manager_keeps_it() {
    for (versions, expected) in [
        (&["28.5.2"][..], json!(true)),
        (&["25.0.0", "28.5.2"], json!(true)),
        (&["25.0.0-rc.1+azure"], json!(true)),
        (&["20.10.24+dfsg1"], Value::Null),
        (&["28.5.2", "24.0.9"], Value::Null),
        (&["28.5.2", "built by hand"], Value::Null),
        (&[], Value::Null),
    ] {
        let mut world = world_with(versions);
        world.converge(&cluster());
        for name in [EXTENSION, PROXY] {
            assert_eq!(at(&world.service(name).spec, NO_NEW), expected, "{name} with managers {versions:?}");
        }
        assert!(world.plan(&cluster()).is_converged(), "{versions:?}");
    }
}

#[test]
fn an_older_manager_that_joins_replaces_nothing() {
    let mut world = world_with(&["28.5.2"]);
    world.converge(&cluster());
    world.raw.nodes.push(manager("20.10.24"));
    let plan = world.plan(&cluster());
    assert!(plan.is_converged(), "{plan}");
}

#[test]
fn a_field_that_older_managers_drop_is_not_written_repeatedly() {
    let mut world = world_with(&["28.5.2"]);
    world.converge(&cluster());
    world.raw.nodes.push(manager("20.10.24"));
    // Another update went through the older manager, which keeps only the fields that it knows.
    world.by_hand(PROXY, |spec| {
        spec["TaskTemplate"]["ContainerSpec"]["Privileges"] = json!({"CredentialSpec": null, "SELinuxContext": null});
    });
    assert!(world.converge(&cluster()) <= 1, "only the managed label is corrected");
    assert_eq!(at(&world.service(PROXY).spec, NO_NEW), Value::Null);
}

#[test]
fn an_option_removed_from_the_document_is_removed_from_the_service() {
    let logging = |options: &[(&str, &str)]| {
        let mut cluster = cluster();
        let options = crate::fleet::fixtures::map(options);
        cluster.proxy.workload.logging = Some(Logging::Driver { name: "journald".to_owned(), options });
        cluster
    };
    let mut world = PlanScenario::converged(&logging(&[("tag", "a"), ("labels", "b")]));
    world.converge(&logging(&[("tag", "a")]));
    assert_eq!(at(&world.service(PROXY).spec, "TaskTemplate.LogDriver"), json!({"Name": "journald", "Options": {"tag": "a"}}));
    world.by_hand(PROXY, |spec| spec["TaskTemplate"]["LogDriver"] = json!({"Name": "journald"}));
    assert_eq!(world.converge(&logging(&[])), 1, "absent and empty options are equal");
}
