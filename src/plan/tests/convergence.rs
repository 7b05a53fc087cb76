//! Convergence from an empty Swarm, and after every manual change.

use serde_json::json;

use super::world::PlanScenario;
use super::{EXTENSION, PROXY, at, codes, lines, titles};
use crate::fleet::fixtures::{bundle, cluster, list, map, publish};
use crate::intent::cluster::{Amounts, Cluster, Logging, Resources, UpdatePolicy};
use crate::intent::cluster_spec::{Mode, PublishMode, RolloutStrategy};
use crate::protocol::container_contract::{LABEL_CLUSTER, LABEL_MANAGED, LABEL_OWNER, LABEL_ROLE};
use crate::report::WaitingOn;
use crate::types::{NetworkId, UpdateOrder};

/// A cluster that states every field.
fn full() -> Cluster {
    let mut full = cluster();
    for workload in [&mut full.extension, &mut full.proxy.workload] {
        workload.args = Some(list(&["--log", "debug"]));
        workload.env = Some(map(&[("A", "1"), ("B", "2")]));
        workload.constraints = Some(list(&["node.role==worker"]));
        workload.placement_preferences = Some(list(&["node.labels.rack"]));
        workload.labels = Some(map(&[("team", "edge")]));
        workload.container_labels = Some(map(&[("log", "json")]));
        let limits = Amounts { nano_cpus: Some(500_000_000), memory_bytes: Some(64 << 20) };
        workload.resources = Some(Resources { limits, pids_limit: Some(512), ..Resources::default() });
        let options = map(&[("max-size", "1m")]);
        workload.logging = Some(Logging::Driver { name: "local".to_owned(), options });
    }
    full.proxy.replicas = Some(3);
    full.proxy.stop_signal = Some("SIGTERM".to_owned());
    full.proxy.stop_grace_period = Some(std::time::Duration::from_secs(5));
    full.proxy.update = UpdatePolicy { parallelism: Some(2), order: Some(UpdateOrder::StartFirst), ..UpdatePolicy::default() };
    full
}

fn variants() -> Vec<(&'static str, Cluster)> {
    let with = |name, change: fn(&mut Cluster)| {
        let mut cluster = cluster();
        change(&mut cluster);
        (name, cluster)
    };
    vec![
        ("minimal", cluster()),
        ("full", full()),
        with("host", |c| c.proxy.publish = publish(PublishMode::Host)),
        with("global", |c| c.proxy.mode = Mode::Global),
        with("engine's logging", |c| c.proxy.workload.logging = Some(Logging::EngineDefault)),
        with("replace", |c| c.proxy.rollout = RolloutStrategy::Replace),
        with("empty lists", |c| {
            c.proxy.workload.constraints = Some(vec![]);
            c.proxy.workload.args = Some(vec![]);
            c.proxy.workload.resources = Some(Resources::default());
        }),
    ]
}

#[test]
fn one_pass_creates_everything_in_order_from_nothing() {
    let world = PlanScenario::new();
    let plan = world.plan(&cluster());
    let kinds: Vec<&str> = plan.steps.iter().map(crate::plan::PlanStep::kind).collect();
    assert_eq!(kinds, ["create_network", "create_secret", "create_secret", "create_service", "create_config", "create_service"], "{plan}");
    assert_eq!(plan.steps[3].name(), EXTENSION);
    assert_eq!(plan.steps[5].name(), PROXY);
}

#[test]
fn created_objects_are_converged_even_with_fields_that_swarm_fills_in() {
    for (name, cluster) in variants() {
        let mut world = PlanScenario::new();
        world.live = Some(bundle("live"));
        world.networks = vec![NetworkId("net-app".to_owned())];
        assert_eq!(world.converge(&cluster), 1, "{name}");
        let plan = world.plan(&cluster);
        assert!(plan.is_converged(), "{name}: {plan}");
    }
}

#[test]
fn the_proxy_waits_for_the_extensions_first_configuration() {
    let mut world = PlanScenario::new();
    world.boot = None;
    world.pass(&cluster());
    let plan = world.plan(&cluster());
    assert_eq!(titles(&plan), [""; 0]);
    assert_eq!(plan.waiting, [WaitingOn::Extension { step: format!("create service {PROXY}") }]);
    world.boot = Some(bundle("first"));
    assert_eq!(world.pass(&cluster()).steps.len(), 2);
    assert!(world.plan(&cluster()).is_converged());
}

#[test]
fn every_manual_change_or_deletion_is_reverted() {
    let cluster = full();
    let mut start = PlanScenario::new();
    start.networks = vec![NetworkId("net-app".to_owned())];
    start.converge(&cluster);
    for (field, spec_path, broken) in [
        ("image", "TaskTemplate.ContainerSpec.Image", json!("other:1")),
        ("args", "TaskTemplate.ContainerSpec.Args", json!(["proxy"])),
        ("env.A", "TaskTemplate.ContainerSpec.Env", json!(["A=9"])),
        ("user", "TaskTemplate.ContainerSpec.User", json!("root")),
        ("readOnly", "TaskTemplate.ContainerSpec.ReadOnly", json!(false)),
        ("mounts./tmp", "TaskTemplate.ContainerSpec.Mounts", json!([])),
        ("secrets./run/secrets/swarmgate-token", "TaskTemplate.ContainerSpec.Secrets", json!([])),
        ("healthcheck", "TaskTemplate.ContainerSpec.Healthcheck", json!({"Test": ["NONE"]})),
        ("stopSignal", "TaskTemplate.ContainerSpec.StopSignal", json!("SIGKILL")),
        ("stopGracePeriod", "TaskTemplate.ContainerSpec.StopGracePeriod", json!(1)),
        ("containerLabels.log", "TaskTemplate.ContainerSpec.Labels", json!({})),
        ("constraints", "TaskTemplate.Placement.Constraints", json!(["node.role==manager"])),
        ("placementPreferences", "TaskTemplate.Placement.Preferences", json!([])),
        ("capabilityDrop", "TaskTemplate.ContainerSpec.CapabilityDrop", json!([])),
        ("capabilityAdd", "TaskTemplate.ContainerSpec.CapabilityAdd", json!(["CAP_NET_ADMIN"])),
        ("logging", "TaskTemplate.LogDriver", json!({"Name": "local", "Options": {"max-size": "1m", "mode": "non-blocking"}})),
        ("limits.pids", "TaskTemplate.Resources.Limits.Pids", json!(1)),
        ("limits.memory", "TaskTemplate.Resources.Limits.MemoryBytes", json!(1)),
        ("networks", "TaskTemplate.Networks", json!([{"Target": "net-other"}])),
        ("replicas", "Mode.Replicated.Replicas", json!(7)),
        ("update.order", "UpdateConfig.Order", json!("stop-first")),
        ("update.parallelism", "UpdateConfig.Parallelism", json!(0)),
        ("ports", "EndpointSpec.Ports", json!([])),
        ("endpointMode", "EndpointSpec.Mode", json!("dnsrr")),
    ] {
        let mut world = start.clone();
        let good = world.service(PROXY).spec;
        world.by_hand(PROXY, |spec| crate::plan::json_path::set(spec, &spec_path.split('.').collect::<Vec<_>>(), broken));
        let plan = world.pass(&cluster);
        assert!(codes(&plan).contains(&"Drift".to_owned()), "{field}: {plan}");
        let fields: Vec<&str> = plan.findings.iter().filter_map(|finding| finding.field.as_deref()).collect();
        assert!(fields.contains(&field), "{field}: reported {fields:?}");
        let part = |spec: &serde_json::Value| at(spec, spec_path);
        let same = |value: serde_json::Value| value.as_array().map_or(value.clone(), |items| sorted(items));
        assert_eq!(same(part(&world.service(PROXY).spec)), same(part(&good)), "{field}");
        assert_eq!(world.converge(&cluster), 0, "{field}");
    }
}

fn sorted(items: &[serde_json::Value]) -> serde_json::Value {
    let mut items = items.to_vec();
    items.sort_by_key(ToString::to_string);
    items.into()
}

#[test]
fn deleted_objects_are_recreated() {
    let cluster = full();
    let mut world = PlanScenario::converged(&cluster);
    world.raw.services.clear();
    world.raw.tasks.clear();
    assert_eq!(titles(&world.pass(&cluster)), [format!("create service {EXTENSION}"), format!("create service {PROXY}")]);
    world.raw.services.clear();
    world.raw.tasks.clear();
    world.raw.secrets.clear();
    world.raw.configs.clear();
    assert_eq!(world.converge(&cluster), 1);
}

#[test]
fn a_proxy_deleted_while_the_extension_is_silent_is_recreated_with_the_last_boot_snapshot() {
    let mut world = PlanScenario::converged(&cluster());
    world.boot = None;
    world.raw.services.retain(|service| service["Spec"]["Name"] != PROXY);
    assert_eq!(titles(&world.pass(&cluster())), [format!("create service {PROXY}")]);
}

#[test]
fn every_object_carries_its_owner_labels() {
    let world = PlanScenario::converged(&cluster());
    let proxy = world.service(PROXY);
    let label = |key: &str| proxy.labels.get(key).map(String::as_str);
    assert_eq!((label(LABEL_OWNER), label(LABEL_CLUSTER), label(LABEL_ROLE)), (Some("swarmgate"), Some("dev"), Some("proxy")));
    assert!(label(LABEL_MANAGED).is_some_and(|text| text.contains("image")));
    let snapshot = world.snapshot();
    assert!(snapshot.configs.values().all(|config| config.labels.get(LABEL_OWNER).is_some_and(|owner| owner == "swarmgate")));
    assert!(snapshot.secrets.values().all(|secret| secret.labels.get(LABEL_CLUSTER).is_some_and(|name| name == "dev")));
}

#[test]
fn a_needed_network_is_attached_after_the_existing_ones_and_detached_when_unused() {
    let mut world = PlanScenario::new();
    world.networks = vec![NetworkId("net-other".to_owned())];
    world.converge(&cluster());
    world.networks = vec![NetworkId("net-app".to_owned()), NetworkId("net-other".to_owned())];
    let plan = world.pass(&cluster());
    assert_eq!(lines(&plan)[0], format!("~ service {PROXY} (replaces tasks)"));
    let targets = |world: &PlanScenario| world.service(PROXY).networks.iter().map(|id| id.0.clone()).collect::<Vec<_>>();
    assert_eq!(targets(&world)[1..], ["net-other", "net-app"]);
    world.networks = vec![NetworkId("net-app".to_owned())];
    world.pass(&cluster());
    assert_eq!(targets(&world)[1..], ["net-app"]);
    assert!(world.plan(&cluster()).is_converged());
}

#[test]
fn a_network_attached_by_name_or_in_another_order_is_the_same_network() {
    let mut world = PlanScenario::new();
    world.networks = vec![NetworkId("net-app".to_owned()), NetworkId("net-other".to_owned())];
    world.converge(&cluster());
    world.by_hand(PROXY, |spec| {
        let control = spec["TaskTemplate"]["Networks"][0].clone();
        spec["TaskTemplate"]["Networks"] = json!([{"Target": "other", "Aliases": ["x"]}, {"Target": "net-app"}, control]);
    });
    assert!(world.plan(&cluster()).is_converged(), "{}", world.plan(&cluster()));
}

#[test]
fn waiting_for_tasks_includes_swarms_explanation() {
    let mut world = PlanScenario::converged(&cluster());
    let id = world.service(PROXY).id.0;
    let task = world.raw.tasks.iter_mut().find(|task| task["ServiceID"] == id).unwrap();
    task["Status"] = json!({"State": "pending", "Err": "no suitable node"});
    let plan = world.plan(&cluster());
    let detail = "1 of 2 running: no suitable node".to_owned();
    assert_eq!(plan.waiting, [WaitingOn::Tasks { service: PROXY.to_owned(), detail }]);
}
