//! Which configuration the proxy service mounts, and when a newer one is worth a rollout.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::world::PlanScenario;
use super::{PROXY, at, titles};
use crate::fleet::BOOT_SNAPSHOT_AGE_MAX;
use crate::fleet::fixtures::{bundle, cluster};
use crate::intent::cluster_spec::RolloutStrategy;
use crate::plan::plan;
use crate::report::WaitingOn;
use crate::types::NetworkId;

/// The name of the first config that the proxy service mounts.
fn mounted(world: &PlanScenario) -> String {
    let configs = at(&world.service(PROXY).spec, "TaskTemplate.ContainerSpec.Configs");
    assert_eq!(configs.as_array().unwrap().len(), 1, "{configs}");
    configs[0]["ConfigName"].as_str().unwrap().to_owned()
}

/// The content of a config.
fn content(config: &serde_json::Value) -> Vec<u8> {
    STANDARD.decode(config["Spec"]["Data"].as_str().unwrap()).unwrap()
}

#[test]
fn a_newer_boot_snapshot_alone_changes_nothing() {
    let mut world = PlanScenario::converged(&cluster());
    world.boot = Some(bundle("second"));
    assert!(world.plan(&cluster()).is_converged());
}

#[test]
fn a_newer_boot_snapshot_is_included_when_tasks_are_replaced_anyway() {
    let mut world = PlanScenario::converged(&cluster());
    let first = mounted(&world);
    world.boot = Some(bundle("second"));
    let mut changed = cluster();
    changed.proxy.workload.image = "swarmgate-nginx:next".to_owned();
    assert_eq!(world.pass(&changed).steps.len(), 2);
    assert_ne!(mounted(&world), first);
    assert!(world.plan(&changed).is_converged());
}

#[test]
fn a_change_that_replaces_no_task_does_not_include_a_newer_boot_snapshot() {
    let mut world = PlanScenario::converged(&cluster());
    let first = mounted(&world);
    world.boot = Some(bundle("second"));
    let mut changed = cluster();
    changed.proxy.replicas = Some(5);
    assert_eq!(titles(&world.pass(&changed)), [format!("update service {PROXY}")]);
    assert_eq!(mounted(&world), first);
}

#[test]
fn an_outdated_boot_snapshot_is_replaced_if_another_one_exists() {
    let mut world = PlanScenario::converged(&cluster());
    world.pass_time(BOOT_SNAPSHOT_AGE_MAX.as_secs() + 1);
    assert!(world.plan(&cluster()).is_converged(), "the same content needs no rollout");
    world.boot = Some(bundle("second"));
    assert_eq!(world.pass(&cluster()).steps.len(), 2);
    assert!(world.plan(&cluster()).is_converged());
}

#[test]
fn without_a_new_boot_snapshot_the_mounted_one_stays_while_other_fields_change() {
    let mut world = PlanScenario::converged(&cluster());
    let first = mounted(&world);
    world.boot = None;
    let mut changed = cluster();
    changed.proxy.workload.image = "swarmgate-nginx:next".to_owned();
    assert_eq!(titles(&world.pass(&changed)), [format!("update service {PROXY}")]);
    assert_eq!(mounted(&world), first);
}

#[test]
fn a_boot_mount_removed_by_hand_is_restored() {
    let mut world = PlanScenario::converged(&cluster());
    let first = mounted(&world);
    world.by_hand(PROXY, |spec| spec["TaskTemplate"]["ContainerSpec"]["Configs"] = json!([]));
    world.boot = None;
    world.pass(&cluster());
    assert_eq!(mounted(&world), first);
}

#[test]
fn another_clusters_bundle_is_never_mounted() {
    let mut world = PlanScenario::new();
    let other = crate::fleet::fixtures::cluster_named("other");
    world.pass(&other);
    assert!(!world.raw.services.iter().any(|service| service["Spec"]["Name"] == "swarmgate-proxy-other"));
}

#[test]
fn rollout_replace_mounts_every_new_configuration_and_removes_old_ones() {
    let mut stock = cluster();
    stock.proxy.rollout = RolloutStrategy::Replace;
    let mut world = PlanScenario::new();
    world.live = Some(bundle("0"));
    world.converge(&stock);
    for text in ["1", "2", "3", "4", "5"] {
        let before = mounted(&world);
        world.live = Some(bundle(text));
        world.converge(&stock);
        assert_ne!(mounted(&world), before);
    }
    // The mounted one, the previous one (Swarm may roll back to it), and two spare ones.
    assert_eq!(world.raw.configs.len(), 4);
    let data = world.raw.configs.iter().map(content).max().unwrap();
    assert_eq!(data, b"5", "the engine's main file, not the bundle");
}

#[test]
fn configs_of_former_generations_are_kept_while_a_rollout_is_under_way() {
    let mut stock = cluster();
    stock.proxy.rollout = RolloutStrategy::Replace;
    let mut world = PlanScenario::new();
    world.live = Some(bundle("0"));
    world.converge(&stock);
    for text in ["1", "2", "3", "4"] {
        world.live = Some(bundle(text));
        let plan = world.plan(&stock);
        world.carry_out(&plan);
        world.rollout(PROXY, "completed");
    }
    let plan = world.plan(&stock);
    assert_eq!(titles(&plan).iter().filter(|title| title.starts_with("remove config")).count(), 1, "{plan}");
    world.rollout(PROXY, "updating");
    assert_eq!(titles(&world.plan(&stock)), [""; 0]);
}

#[test]
fn a_configuration_larger_than_an_object_produces_a_finding_and_the_mounted_one_stays() {
    let mut stock = cluster();
    stock.proxy.rollout = RolloutStrategy::Replace;
    let mut world = PlanScenario::new();
    world.live = Some(bundle("0"));
    world.converge(&stock);
    world.live = Some(bundle(&"x".repeat(crate::fleet::OBJECT_BYTES_MAX + 1)));
    let plan = world.plan(&stock);
    assert!(plan.is_converged(), "{plan}");
    assert_eq!(super::codes(&plan), ["ConfigTooLarge"]);
}

/// Content that compresses badly: digests of numbers, about 64 bytes each, half of which remain after compression.
fn dense(numbers: u32) -> crate::protocol::messages::Bundle {
    let digest = |number: u32| crate::types::Digest::of_bytes(&number.to_be_bytes()).to_string();
    bundle(&(0..numbers).map(digest).collect::<String>())
}

#[test]
fn a_boot_snapshot_larger_than_an_object_is_mounted_in_parts_and_removed_as_a_whole() {
    let mut world = PlanScenario::converged(&cluster());
    let mut changed = cluster();
    for (image, numbers) in [("a", 35_000), ("b", 35_001), ("c", 35_002), ("d", 35_003)] {
        world.boot = Some(dense(numbers));
        changed.proxy.workload.image = format!("swarmgate-nginx:{image}");
        world.converge(&changed);
    }
    let configs = at(&world.service(PROXY).spec, "TaskTemplate.ContainerSpec.Configs");
    let targets: Vec<_> = configs.as_array().unwrap().iter().map(|config| config["File"]["Name"].as_str().unwrap()).collect();
    assert_eq!(targets, ["/etc/swarmgate/boot.json", "/etc/swarmgate/boot.json.2"]);
    let of_mount = |mount: &serde_json::Value| world.raw.configs.iter().find(|config| config["ID"] == mount["ConfigID"]).map(content);
    let content: Vec<u8> = configs.as_array().unwrap().iter().filter_map(of_mount).flatten().collect();
    assert_eq!(crate::protocol::boot_snapshot::decode(&content).unwrap(), dense(35_003));
    // The mounted one, the previous one (Swarm may roll back to it), and two spare ones, in two parts each.
    assert_eq!(world.raw.configs.len(), 8);
    // What is mounted is what the extension sends now.
    assert!(world.plan(&changed).is_converged());
    // A small one removes the additional mounts again.
    world.boot = Some(bundle("small"));
    changed.proxy.workload.image = "swarmgate-nginx:e".to_owned();
    world.converge(&changed);
    mounted(&world);
}

#[test]
fn an_incomplete_set_of_parts_is_never_mounted() {
    let mut world = PlanScenario::converged(&cluster());
    world.boot = Some(dense(35_000));
    let mut changed = cluster();
    changed.proxy.workload.image = "swarmgate-nginx:a".to_owned();
    world.converge(&changed);
    world.raw.configs.retain(|config| !config["Spec"]["Labels"]["swarmgate.part-of"].is_string());
    world.boot = None;
    world.by_hand(PROXY, |spec| spec["TaskTemplate"]["ContainerSpec"]["Configs"] = json!([]));
    world.pass(&changed);
    mounted(&world);
}

#[test]
fn a_boot_snapshot_larger_than_four_objects_produces_a_finding_and_the_mounted_one_stays() {
    let mut world = PlanScenario::converged(&cluster());
    world.boot = Some(dense(140_000));
    let plan = world.plan(&cluster());
    assert!(plan.is_converged(), "{plan}");
    assert_eq!(super::codes(&plan), ["ConfigTooLarge"]);
    // Content that is large but compresses well causes no finding.
    world.boot = Some(bundle(&"x".repeat(crate::fleet::OBJECT_BYTES_MAX + 1)));
    assert_eq!(super::codes(&world.plan(&cluster())), [""; 0]);
}

#[test]
fn only_replacements_wait_for_the_newest_snapshot() {
    let mut world = PlanScenario::converged(&cluster());
    world.networks = vec![NetworkId("net-app".to_owned())];
    let waits = |world: &PlanScenario, cluster: &crate::intent::cluster::Cluster| {
        let snapshot = world.snapshot();
        plan(&world.fleet(cluster).awaiting_newest_snapshot(), &snapshot, &world.memory)
    };
    let held = waits(&world, &cluster());
    assert_eq!(titles(&held), [""; 0]);
    assert_eq!(held.waiting, [WaitingOn::NewestConfiguration { service: PROXY.to_owned() }]);
    assert_eq!(titles(&world.plan(&cluster())), [format!("update service {PROXY}")]);
    world.networks.clear();
    let mut scaled = cluster();
    scaled.proxy.replicas = Some(7);
    assert_eq!(titles(&waits(&world, &scaled)), [format!("update service {PROXY}")], "more replicas replace nothing");
}
