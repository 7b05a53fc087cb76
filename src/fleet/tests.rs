//! The shapes of both services, independent of existing objects.

use serde_json::Value;

use super::fixtures::{INSTANCE, URL, bundle, cluster, cluster_named, overlay, seals};
use super::*;
use crate::intent::cluster_spec::RolloutStrategy;
use crate::pki::ChannelRole;
use crate::swarm::RawSnapshot;
use crate::types::Digest;

fn nothing() -> Snapshot {
    let taken_at = "2026-01-02T03:04:05Z".parse().unwrap();
    let raw = RawSnapshot { taken_at, services: vec![], tasks: vec![], nodes: vec![], networks: vec![], configs: vec![], secrets: vec![] };
    Snapshot::from_raw(&raw).unwrap()
}

fn fleet(cluster: &Cluster, boot: Option<&Bundle>) -> Fleet {
    let snapshot = nothing();
    shape(&ShapeInput {
        instance: INSTANCE,
        cluster,
        snapshot: &snapshot,
        networks: &[],
        network_update: &crate::fleet::NetworkUpdate::default(),
        remembered_hosts: None,
        material: &[],
        boot,
        live: boot,
        channel: &overlay(),
        seals: &seals(),
        now: snapshot.taken_at,
    })
}

fn field<'a>(shape: &'a ServiceShape, name: &str) -> &'a FieldValue {
    &shape.fields.iter().find(|field| field.name == name).unwrap().value
}

fn entries(shape: &ServiceShape, name: &str) -> Vec<(String, Value)> {
    match field(shape, name) {
        FieldValue::Keyed(entries) => entries.entries.clone(),
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn object_names_fit_swarms_limits_for_every_cluster_name() {
    let long = cluster_named(&"c".repeat(40));
    for role in [Role::Boot, Role::Live] {
        let name = object_names::config_object(role, &long.name, &Digest::of_bytes(b"x"));
        assert!(name.len() <= 64, "{name}");
    }
    for role in [ChannelRole::Extension, ChannelRole::Proxy] {
        assert!(object_names::token_secret(role, &long.name, &Digest::of_bytes(b"x")).len() <= 64);
    }
    assert!(object_names::state_volume(&long.name).len() <= 64);
}

#[test]
fn clusters_with_a_common_name_prefix_have_different_configs() {
    let name = |end: &str| {
        object_names::config_object(Role::Live, &cluster_named(&format!("{}{end}", "c".repeat(39))).name, &Digest::of_bytes(b"x"))
    };
    assert_ne!(name("a"), name("b"));
}

#[test]
fn extension_and_proxy_find_the_token_the_operator_and_each_other() {
    let fleet = fleet(&cluster(), Some(&bundle("x")));
    let env =
        |shape: &ServiceShape| entries(shape, "env").into_iter().map(|(_, entry)| entry.as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert!(env(&fleet.proxy).contains(&"SWARMGATE_EXTENSION_URL=https://tasks.swarmgate-extension-dev:8082".to_owned()));
    for (shape, role) in [(&fleet.extension, ChannelRole::Extension), (&fleet.proxy, ChannelRole::Proxy)] {
        assert!(env(shape).contains(&"SWARMGATE_TASK={{.Task.ID}}".to_owned()));
        assert!(env(shape).contains(&format!("SWARMGATE_OPERATOR_URL={URL}")));
        let (target, secret) = entries(shape, "secrets").remove(0);
        assert_eq!((target.as_str(), secret["File"]["Mode"].as_u64()), ("/run/secrets/swarmgate-token", Some(0o400)));
        assert_eq!(
            pending_name(secret["SecretID"].as_str().unwrap()),
            Some(object_names::token_secret(role, &cluster().name, seals().authority()).as_str())
        );
    }
}

#[test]
fn a_users_environment_never_overrides_our_own() {
    let mut cluster = cluster();
    cluster.proxy.workload.env = Some(fixtures::map(&[("SWARMGATE_CLUSTER", "evil"), ("SWARMGATE_LOG", "debug")]));
    let env = entries(&fleet(&cluster, Some(&bundle("x"))).proxy, "env");
    let value = |key: &str| env.iter().find(|(name, _)| name == key).map(|(_, entry)| entry.as_str().unwrap().to_owned());
    assert_eq!(value("SWARMGATE_CLUSTER").unwrap(), "SWARMGATE_CLUSTER=dev");
    assert_eq!(value("SWARMGATE_LOG").unwrap(), "SWARMGATE_LOG=debug");
}

#[test]
fn a_stock_image_gets_nothing_of_the_agent_and_no_control_network() {
    let mut stock = cluster();
    stock.proxy.rollout = RolloutStrategy::Replace;
    let fleet = fleet(&stock, Some(&bundle("x")));
    for name in ["env", "mounts", "secrets"] {
        assert_eq!(entries(&fleet.proxy, name), [], "{name}");
    }
    assert_eq!(entries(&fleet.proxy, "configs")[0].0, "/etc/nginx/nginx.conf");
    assert_eq!(fleet.proxy.fields.iter().find(|field| field.name == "networks").unwrap().declared_value(), Some(&serde_json::json!([])));
}

#[test]
fn a_declared_network_that_does_not_exist_is_waited_for() {
    let mut closed = cluster();
    closed.networks.only = Some(vec![NetworkName::parse("shop_front").unwrap()]);
    assert_eq!(fleet(&closed, None).waiting, [WaitingOn::MissingNetwork { network: "shop_front".to_owned() }]);
}

#[test]
fn the_boot_snapshot_is_not_part_of_the_identity() {
    let identity = |text: &str| fleet(&cluster(), Some(&bundle(text))).proxy.identity();
    assert_eq!(identity("a"), identity("b"));
    let mut stock = cluster();
    stock.proxy.rollout = RolloutStrategy::Replace;
    let identity = |text: &str| fleet(&stock, Some(&bundle(text))).proxy.identity();
    assert_ne!(identity("a"), identity("b"), "a mounted configuration is");
}

#[test]
fn equal_input_gives_equal_shapes() {
    assert_eq!(fleet(&cluster(), Some(&bundle("x"))), fleet(&cluster(), Some(&bundle("x"))));
}
