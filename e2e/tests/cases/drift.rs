//! The fleet and manual changes: declared fields are restored, undeclared ones are kept.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use swarmgate_e2e::testbed::{App, Case, Testbed};
use swarmgate_e2e::wait::{eventually, throughout};

use super::SLOW;
use super::shared_swarm::{DEFAULT, DEV, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("drift::an_edited_declared_field_is_restored", edited),
        case("drift::scaled_declared_replicas_are_restored", scaled),
        case("drift::removed_published_ports_are_restored", unpublished),
        case("drift::a_deleted_proxy_service_is_recreated_and_serves", proxy_deleted),
        case("drift::a_deleted_extension_service_is_recreated", extension_deleted),
        case("drift::undeclared_fields_stay_as_set_by_hand", left_out),
        case("drift::proxies_follow_the_node_label", node_labels),
    ]
}

fn edited(testbed: &Testbed) -> Result<()> {
    App::new("stays").cluster("dev").network("apps-dev").create(testbed)?;
    testbed.await_answer(&testbed.at(3, DEV), "stays.test", "/", "stays")?;
    testbed.update("swarmgate-proxy-dev", &["--constraint-add", "node.hostname==node1", "--stop-grace-period", "77s"])?;
    await_field(testbed, "swarmgate-proxy-dev", "/TaskTemplate/Placement/Constraints", &serde_json::json!(["node.labels.lb==dev"]))?;
    await_field(testbed, "swarmgate-proxy-dev", "/TaskTemplate/ContainerSpec/StopGracePeriod", &serde_json::json!(10_000_000_000_u64))?;
    testbed.await_answer(&testbed.at(3, DEV), "stays.test", "/", "stays")?;
    testbed.await_converged("dev").map(drop)
}

fn scaled(testbed: &Testbed) -> Result<()> {
    testbed.docker(&["service", "scale", "--detach", "swarmgate-proxy-mesh=4"])?;
    await_field(testbed, "swarmgate-proxy-mesh", "/Mode/Replicated/Replicas", &serde_json::json!(2))?;
    testbed.await_running("swarmgate-proxy-mesh", 2).map(drop)
}

fn unpublished(testbed: &Testbed) -> Result<()> {
    testbed.update("swarmgate-proxy-dev", &["--publish-rm", "80"])?;
    eventually(SLOW, "both ports are published", || {
        let ports = testbed.service("swarmgate-proxy-dev")?["Spec"]["EndpointSpec"]["Ports"].take();
        let published: Vec<_> = ports.as_array().into_iter().flatten().filter_map(|port| port["PublishedPort"].as_u64()).collect();
        ensure!(published == [8082, 8445], "published are {published:?}");
        Ok(())
    })?;
    testbed.await_answer(&testbed.at(3, DEV), "anchor-dev.test", "/", "anchor-dev")?;
    testbed.await_converged("dev").map(drop)
}

fn proxy_deleted(testbed: &Testbed) -> Result<()> {
    App::new("survives").create(testbed)?;
    testbed.await_answer(&testbed.at(1, DEFAULT), "survives.test", "/", "survives")?;
    testbed.docker(&["service", "rm", "swarmgate-proxy-default"])?;
    testbed.await_running("swarmgate-proxy-default", 3)?;
    (1..=3).try_for_each(|k| testbed.await_answer(&testbed.at(k, DEFAULT), "survives.test", "/", "survives").map(drop))?;
    testbed.await_converged("default").map(drop)
}

fn extension_deleted(testbed: &Testbed) -> Result<()> {
    testbed.docker(&["service", "rm", "swarmgate-extension-default"])?;
    testbed.await_running("swarmgate-extension-default", 1)?;
    App::new("afterwards").create(testbed)?;
    (1..=3).try_for_each(|k| testbed.await_answer(&testbed.at(k, DEFAULT), "afterwards.test", "/", "afterwards").map(drop))
}

/// `mesh` declares neither of the first two, `stock` declares no replicas.
fn left_out(testbed: &Testbed) -> Result<()> {
    testbed.update("swarmgate-proxy-mesh", &["--update-delay", "2s", "--stop-grace-period", "33s"])?;
    testbed.docker(&["service", "scale", "--detach", "swarmgate-proxy-stock=3"])?;
    let checks = [
        ("swarmgate-proxy-mesh", "/UpdateConfig/Delay", 2_000_000_000_u64),
        ("swarmgate-proxy-mesh", "/TaskTemplate/ContainerSpec/StopGracePeriod", 33_000_000_000),
        ("swarmgate-proxy-stock", "/Mode/Replicated/Replicas", 3),
    ];
    // Long enough for three complete observations; drift would have been corrected after the first.
    throughout(Duration::from_secs(10), "what was set by hand stays", || {
        checks.iter().try_for_each(|(service, path, value)| field_is(testbed, service, path, &serde_json::json!(value)))
    })?;
    testbed.await_running("swarmgate-proxy-stock", 3)?;
    testbed.docker(&["service", "scale", "--detach", "swarmgate-proxy-stock=2"])?;
    testbed.update("swarmgate-proxy-mesh", &["--update-delay", "0s", "--stop-grace-period", "10s"])?;
    testbed.await_rollout("swarmgate-proxy-mesh", "completed")
}

fn node_labels(testbed: &Testbed) -> Result<()> {
    testbed.label_node(2, "lb", Some("dev"))?;
    testbed.await_answer(&testbed.at(2, DEV), "anchor-dev.test", "/", "anchor-dev")?;
    testbed.label_node(2, "lb", None)?;
    testbed.await_running("swarmgate-proxy-dev", 1)?;
    testbed.await_converged("dev").map(drop)
}

/// Waits until a field of a service's spec (a JSON pointer) has that value.
fn await_field(testbed: &Testbed, service: &str, path: &str, value: &Value) -> Result<()> {
    eventually(SLOW, &format!("{path} of {service} is {value}"), || field_is(testbed, service, path, value))
}

fn field_is(testbed: &Testbed, service: &str, path: &str, value: &Value) -> Result<()> {
    let about = testbed.service(service)?;
    let found = about["Spec"].pointer(path);
    ensure!(found == Some(value), "{path} of {service} is {found:?}");
    Ok(())
}
