//! The fleet and manual changes: declared fields are restored, undeclared ones are kept.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use swarmgate_e2e::wait::{eventually, throughout};
use swarmgate_e2e::world::{App, Case, World};

use super::SLOW;
use super::shared_swarm::{DEFAULT, DEV, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("drift::a_declared_field_that_somebody_edits_goes_back", edited),
        case("drift::declared_replicas_that_somebody_scales_go_back", scaled),
        case("drift::published_ports_that_somebody_removes_come_back", unpublished),
        case("drift::a_deleted_proxy_service_comes_back_and_serves", proxy_deleted),
        case("drift::a_deleted_extension_service_comes_back", extension_deleted),
        case("drift::fields_that_are_left_out_stay_as_set_by_hand", left_out),
        case("drift::proxies_run_wherever_the_node_label_says", node_labels),
    ]
}

fn edited(world: &World) -> Result<()> {
    App::new("stays").cluster("dev").network("apps-dev").create(world)?;
    world.await_answer(&world.at(3, DEV), "stays.test", "/", "stays")?;
    world.update("swarmgate-proxy-dev", &["--constraint-add", "node.hostname==node1", "--stop-grace-period", "77s"])?;
    await_field(world, "swarmgate-proxy-dev", "/TaskTemplate/Placement/Constraints", &serde_json::json!(["node.labels.lb==dev"]))?;
    await_field(world, "swarmgate-proxy-dev", "/TaskTemplate/ContainerSpec/StopGracePeriod", &serde_json::json!(10_000_000_000_u64))?;
    world.await_answer(&world.at(3, DEV), "stays.test", "/", "stays")?;
    world.await_converged("dev").map(drop)
}

fn scaled(world: &World) -> Result<()> {
    world.docker(&["service", "scale", "--detach", "swarmgate-proxy-mesh=4"])?;
    await_field(world, "swarmgate-proxy-mesh", "/Mode/Replicated/Replicas", &serde_json::json!(2))?;
    world.await_running("swarmgate-proxy-mesh", 2).map(drop)
}

fn unpublished(world: &World) -> Result<()> {
    world.update("swarmgate-proxy-dev", &["--publish-rm", "80"])?;
    eventually(SLOW, "both ports are published again", || {
        let ports = world.service("swarmgate-proxy-dev")?["Spec"]["EndpointSpec"]["Ports"].take();
        let published: Vec<_> = ports.as_array().into_iter().flatten().filter_map(|port| port["PublishedPort"].as_u64()).collect();
        ensure!(published == [8082, 8445], "published are {published:?}");
        Ok(())
    })?;
    world.await_answer(&world.at(3, DEV), "anchor-dev.test", "/", "anchor-dev")?;
    world.await_converged("dev").map(drop)
}

fn proxy_deleted(world: &World) -> Result<()> {
    App::new("survives").create(world)?;
    world.await_answer(&world.at(1, DEFAULT), "survives.test", "/", "survives")?;
    world.docker(&["service", "rm", "swarmgate-proxy-default"])?;
    world.await_running("swarmgate-proxy-default", 3)?;
    (1..=3).try_for_each(|k| world.await_answer(&world.at(k, DEFAULT), "survives.test", "/", "survives").map(drop))?;
    world.await_converged("default").map(drop)
}

fn extension_deleted(world: &World) -> Result<()> {
    world.docker(&["service", "rm", "swarmgate-extension-default"])?;
    world.await_running("swarmgate-extension-default", 1)?;
    App::new("afterwards").create(world)?;
    (1..=3).try_for_each(|k| world.await_answer(&world.at(k, DEFAULT), "afterwards.test", "/", "afterwards").map(drop))
}

/// `mesh` declares neither of the first two, `stock` declares no replicas.
fn left_out(world: &World) -> Result<()> {
    world.update("swarmgate-proxy-mesh", &["--update-delay", "2s", "--stop-grace-period", "33s"])?;
    world.docker(&["service", "scale", "--detach", "swarmgate-proxy-stock=3"])?;
    let checks = [
        ("swarmgate-proxy-mesh", "/UpdateConfig/Delay", 2_000_000_000_u64),
        ("swarmgate-proxy-mesh", "/TaskTemplate/ContainerSpec/StopGracePeriod", 33_000_000_000),
        ("swarmgate-proxy-stock", "/Mode/Replicated/Replicas", 3),
    ];
    // Long enough for three complete observations; drift would have been corrected after the first.
    throughout(Duration::from_secs(10), "what was set by hand stays", || {
        checks.iter().try_for_each(|(service, path, value)| field_is(world, service, path, &serde_json::json!(value)))
    })?;
    world.await_running("swarmgate-proxy-stock", 3)?;
    world.docker(&["service", "scale", "--detach", "swarmgate-proxy-stock=2"])?;
    world.update("swarmgate-proxy-mesh", &["--update-delay", "0s", "--stop-grace-period", "10s"])?;
    world.await_rollout("swarmgate-proxy-mesh", "completed")
}

fn node_labels(world: &World) -> Result<()> {
    world.label_node(2, "lb", Some("dev"))?;
    world.await_answer(&world.at(2, DEV), "anchor-dev.test", "/", "anchor-dev")?;
    world.label_node(2, "lb", None)?;
    world.await_running("swarmgate-proxy-dev", 1)?;
    world.await_converged("dev").map(drop)
}

/// Waits until a field of a service's spec (a JSON pointer) has that value.
fn await_field(world: &World, service: &str, path: &str, value: &Value) -> Result<()> {
    eventually(SLOW, &format!("{path} of {service} is {value}"), || field_is(world, service, path, value))
}

fn field_is(world: &World, service: &str, path: &str, value: &Value) -> Result<()> {
    let about = world.service(service)?;
    let found = about["Spec"].pointer(path);
    ensure!(found == Some(value), "{path} of {service} is {found:?}");
    Ok(())
}
