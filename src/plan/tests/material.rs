//! Which services mount which certificates, and that no proxy is replaced for one.

use serde_json::{Value, json};

use super::world::PlanScenario;
use super::{EXTENSION, PROXY, at, titles};
use crate::fleet::BOOT_SNAPSHOT_AGE_MAX;
use crate::fleet::fixtures::{bundle, cluster};
use crate::intent::cluster::Cluster;
use crate::intent::cluster_spec::RolloutStrategy;
use crate::plan::{Plan, PlanStep, TaskEffect};
use crate::protocol::messages::{Bundle, Material};
use crate::route::{MaterialKind, MaterialRef};
use crate::types::ObjectName;

/// A world in which users have stored some secrets and a config.
fn world() -> PlanScenario {
    let mut world = PlanScenario::new();
    for name in ["cert", "key", "renewed"] {
        world.raw.secrets.push(json!({"ID": format!("id{name}"), "Spec": {"Name": name}}));
    }
    world.raw.configs.push(json!({"ID": "idca", "Spec": {"Name": "ca", "Data": ""}}));
    world
}

fn object(kind: MaterialKind, name: &str) -> MaterialRef {
    MaterialRef { kind, name: ObjectName::parse(name).unwrap(), id: Some(format!("id{name}")) }
}

fn secrets(names: &[&str]) -> Vec<MaterialRef> {
    names.iter().map(|name| object(MaterialKind::Secret, name)).collect()
}

/// A configuration that needs these secrets.
fn needing(text: &str, names: &[&str]) -> Bundle {
    let material =
        |name: &&str| (format!("{name}.pem"), Material { secret: format!("id{name}"), needed_by: vec!["host-a.conf".to_owned()] });
    bundle(text).with_material(names.iter().map(material).collect())
}

/// The names of the objects that a service mounts as material. Checks that each is mounted under its id and readable by our
/// user.
fn mounted(world: &PlanScenario, service: &str, reader: &str) -> Vec<String> {
    let spec = world.service(service).spec;
    let list = |kind: &str| at(&spec, &format!("TaskTemplate.ContainerSpec.{kind}s")).as_array().cloned().unwrap_or_default();
    let check = |kind: &str, entry: &Value| {
        let file = &entry["File"];
        let id = file["Name"].as_str()?.strip_prefix("/run/secrets/swarmgate/")?.to_owned();
        assert_eq!(entry[format!("{kind}ID")], json!(id));
        assert_eq!((&file["UID"], &file["GID"], &file["Mode"]), (&json!(reader), &json!(reader), &json!(0o400)));
        entry[format!("{kind}Name")].as_str().map(str::to_owned)
    };
    ["Secret", "Config"].iter().flat_map(|kind| list(kind).iter().filter_map(|entry| check(kind, entry)).collect::<Vec<_>>()).collect()
}

fn replaced(plan: &Plan) -> Vec<&str> {
    let replaces = |step: &&PlanStep| matches!(step, PlanStep::UpdateService { tasks: TaskEffect::Replaces, .. });
    plan.steps.iter().filter(replaces).map(PlanStep::name).collect()
}

#[test]
fn a_certificate_that_a_label_names_replaces_the_extension_and_no_proxy() {
    let mut world = world();
    world.converge(&cluster());
    world.material = secrets(&["cert", "key"]);
    world.material.push(object(MaterialKind::Config, "ca"));
    assert_eq!(replaced(&world.pass(&cluster())), [EXTENSION]);
    world.boot = Some(needing("second", &["cert", "key"]));
    assert!(world.plan(&cluster()).is_converged());
    assert_eq!(mounted(&world, EXTENSION, "65532"), ["cert", "key", "ca"]);
    assert_eq!(mounted(&world, PROXY, "65532"), [""; 0]);
    world.material = secrets(&["renewed", "key"]);
    assert_eq!(replaced(&world.pass(&cluster())), [EXTENSION]);
    assert_eq!(mounted(&world, EXTENSION, "65532"), ["key", "renewed"]);
    world.material.clear();
    world.converge(&cluster());
    assert_eq!(mounted(&world, EXTENSION, "65532"), [""; 0]);
    assert_eq!(at(&world.service(EXTENSION).spec, "TaskTemplate.ContainerSpec.Secrets").as_array().unwrap().len(), 1, "the token");
}

#[test]
fn an_extension_is_replaced_start_first() {
    let mut world = world();
    world.converge(&cluster());
    assert_eq!(at(&world.service(EXTENSION).spec, "UpdateConfig.Order"), json!("start-first"));
}

#[test]
fn proxies_mount_what_their_boot_snapshot_names_and_keep_it_with_the_snapshot() {
    let mut world = world();
    world.material = secrets(&["cert", "key", "renewed"]);
    world.boot = Some(needing("first", &["cert", "key"]));
    world.converge(&cluster());
    assert_eq!(mounted(&world, PROXY, "65532"), ["cert", "key"]);

    world.boot = Some(needing("second", &["renewed", "key"]));
    assert!(world.plan(&cluster()).is_converged(), "no proxy is replaced for a certificate");
    world.boot = None;
    assert!(world.plan(&cluster()).is_converged(), "nor for a silent extension");

    world.boot = Some(needing("second", &["renewed", "key"]));
    let mut changed = cluster();
    changed.proxy.workload.image = "swarmgate-nginx:next".to_owned();
    world.pass(&changed);
    assert_eq!(mounted(&world, PROXY, "65532"), ["key", "renewed"], "included when tasks are replaced anyway");
    assert!(world.plan(&changed).is_converged());

    world.boot = Some(needing("third", &["cert"]));
    world.pass_time(BOOT_SNAPSHOT_AGE_MAX.as_secs() + 1);
    world.converge(&changed);
    assert_eq!(mounted(&world, PROXY, "65532"), ["cert"], "and when the snapshot is too old");
}

#[test]
fn the_same_configuration_from_other_secrets_is_another_snapshot() {
    let mut world = world();
    world.material = secrets(&["cert", "renewed"]);
    world.boot = Some(needing("same", &["cert"]));
    world.converge(&cluster());
    world.boot = Some(needing("same", &["renewed"]));
    world.pass_time(BOOT_SNAPSHOT_AGE_MAX.as_secs() + 1);
    world.converge(&cluster());
    assert_eq!(mounted(&world, PROXY, "65532"), ["renewed"]);
}

#[test]
fn objects_that_no_route_names_are_not_mounted() {
    let mut world = world();
    world.material = secrets(&["cert"]);
    world.boot = Some(needing("first", &["cert", "key"]));
    world.live = Some(needing("first", &["cert", "key"]));
    for cluster in [cluster(), stock()] {
        world.converge(&cluster);
        let reader = if cluster.proxy.rollout == RolloutStrategy::Replace { "0" } else { "65532" };
        assert_eq!(mounted(&world, PROXY, reader), ["cert"], "an extension's report grants nothing");
    }
}

#[test]
fn a_secret_that_is_gone_is_not_mounted() {
    let mut world = world();
    world.boot = Some(needing("first", &["cert", "gone"]));
    world.material = secrets(&["cert", "gone"]);
    world.converge(&cluster());
    assert_eq!(mounted(&world, PROXY, "65532"), ["cert"]);
    assert_eq!(mounted(&world, EXTENSION, "65532"), ["cert"]);
}

#[test]
fn a_mounted_object_stays_even_if_a_snapshot_does_not_show_it() {
    let mut world = world();
    world.material = vec![object(MaterialKind::Config, "ca")];
    world.converge(&cluster());
    world.raw.configs.retain(|config| config["ID"] != "idca");
    assert!(world.plan(&cluster()).is_converged(), "a config that no label names any more is not visible");
}

#[test]
fn foreign_mounts_stay() {
    let mut world = world();
    world.boot = Some(needing("first", &["cert"]));
    world.converge(&cluster());
    let other = json!({"File": {"Name": "theirs", "UID": "0", "GID": "0", "Mode": 292}, "SecretID": "idkey", "SecretName": "key"});
    for service in [PROXY, EXTENSION] {
        world.by_hand(service, |spec| spec["TaskTemplate"]["ContainerSpec"]["Secrets"].as_array_mut().unwrap().push(other.clone()));
    }
    assert!(world.plan(&cluster()).is_converged());
    world.material = secrets(&["renewed"]);
    world.converge(&cluster());
    let mounts = at(&world.service(EXTENSION).spec, "TaskTemplate.ContainerSpec.Secrets");
    assert!(mounts.as_array().unwrap().contains(&other), "{mounts}");
}

#[test]
fn a_failed_rollout_is_retried_for_a_label_but_not_for_another_snapshots_secrets() {
    let mut world = world();
    world.boot = Some(needing("first", &["cert"]));
    let identity = |world: &PlanScenario| world.fleet(&cluster()).proxy.identity();
    let first = identity(&world);
    world.boot = Some(needing("second", &["renewed"]));
    assert_eq!(identity(&world), first);
    let extension = world.fleet(&cluster()).extension.identity();
    world.material = secrets(&["cert"]);
    assert_ne!(world.fleet(&cluster()).extension.identity(), extension);
}

fn stock() -> Cluster {
    let mut stock = cluster();
    stock.proxy.rollout = RolloutStrategy::Replace;
    stock
}

#[test]
fn a_stock_image_mounts_the_material_of_its_configuration_readable_by_root() {
    let mut world = world();
    world.material = secrets(&["cert", "renewed"]);
    world.material.push(object(MaterialKind::Config, "ca"));
    world.live = Some(needing("0", &["cert", "ca"]));
    world.converge(&stock());
    assert_eq!(mounted(&world, PROXY, "0"), ["cert", "ca"]);
    world.live = Some(needing("1", &["renewed"]));
    world.converge(&stock());
    assert_eq!(mounted(&world, PROXY, "0"), ["renewed"]);
    world.live = None;
    assert!(world.plan(&stock()).is_converged(), "they stay with the configuration that is mounted");
    world.live = Some(bundle("2"));
    world.converge(&stock());
    assert_eq!(mounted(&world, PROXY, "0"), [""; 0]);
}

#[test]
fn foreign_objects_are_never_removed() {
    let mut world = world();
    world.boot = Some(needing("first", &["cert"]));
    world.material = secrets(&["cert"]);
    world.converge(&cluster());
    let removal = crate::plan::plan_removal("swarmgate", &cluster().name, &world.snapshot());
    world.carry_out(&removal);
    let removal = crate::plan::plan_removal("swarmgate", &cluster().name, &world.snapshot());
    let ours = titles(&removal);
    assert!(!ours.is_empty() && ours.iter().all(|title| title.contains("swarmgate-")), "{ours:?}");
}
