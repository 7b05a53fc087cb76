//! `backend_mode=vip`: Swarm's own load balancing behind one address.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarmgate_e2e::wait::{eventually, throughout};
use swarmgate_e2e::world::{App, Case, World, http_get};

use super::SLOW;
use super::shared_swarm::{DEFAULT, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("backend_mode_vip::the_virtual_address_is_the_only_endpoint", only_endpoint),
        case("backend_mode_vip::nothing_changes_at_the_proxies_when_tasks_do", tasks_change),
        case("backend_mode_vip::a_service_without_a_virtual_address_is_routed_by_its_tasks", without_vip),
    ]
}

fn only_endpoint(world: &World) -> Result<()> {
    App::new("virtual").label("backend_mode", "vip").replicas(2).create(world)?;
    let address = world.at(2, DEFAULT);
    world.await_answer(&address, "virtual.test", "/", "virtual")?;
    let vip = vip_of(world, "virtual")?;
    let upstream = http_get(&address, "virtual.test", "/")?;
    ensure!(upstream.header("x-upstream-addr") == Some(&format!("{vip}:8080")), "{upstream:?} instead of {vip}");
    Ok(())
}

fn tasks_change(world: &World) -> Result<()> {
    let update = ["--update-order", "start-first", "--update-monitor", "1s"];
    App::new("virtual").image("demo-app:v1").label("backend_mode", "vip").replicas(2).words(&update).create(world)?;
    let address = world.at(2, DEFAULT);
    world.await_answer(&address, "virtual.test", "/", "v1")?;
    world.await_running("virtual", 2)?;
    let before = proxies(&world.await_converged("default")?);
    world.update("virtual", &["--replicas", "4"])?;
    world.await_running("virtual", 4)?;
    world.update("virtual", &["--replicas", "2", "--image", "demo-app:v2", "--env-add", "COLOUR=red"])?;
    world.await_rollout("virtual", "completed")?;
    world.await_answer(&address, "virtual.test", "/", "v2")?;
    // The operator's last observation may be up to one poll interval old.
    throughout(std::time::Duration::from_secs(4), "the proxies have the same configuration", || {
        let now = proxies(&world.cluster("default")?);
        ensure!(now == before, "{before} became {now}");
        Ok(())
    })?;
    world.update("virtual", &["--replicas", "0"])?;
    world.await_code(&address, "virtual.test", "/", 503).map(drop)
}

/// The current configuration, and how often each proxy was told to load one.
fn proxies(cluster: &Value) -> Value {
    let all = cluster["proxies"].as_array().into_iter().flatten();
    let reloads: Vec<_> = all.map(|proxy| [proxy["task"].clone(), proxy["runningDigest"].clone(), proxy["reloads"].clone()]).collect();
    serde_json::json!({ "config": cluster["configDigest"], "proxies": reloads })
}

fn without_vip(world: &World) -> Result<()> {
    App::new("plain").label("backend_mode", "vip").words(&["--endpoint-mode", "dnsrr"]).create(world)?;
    world.await_finding("default", "NoVirtualIp", "plain")?;
    world.await_answer(&world.at(2, DEFAULT), "plain.test", "/", "plain").map(drop)
}

fn vip_of(world: &World, service: &str) -> Result<String> {
    let network = world.docker(&["network", "inspect", "--format", "{{.Id}}", "apps"])?;
    eventually(SLOW, "the service has a virtual address", || {
        let about = world.service(service)?;
        let vips = about["Endpoint"]["VirtualIPs"].as_array().cloned().unwrap_or_default();
        let on_apps = vips.iter().find(|vip| vip["NetworkID"] == network.trim()).context("none on apps")?;
        let address = on_apps["Addr"].as_str().and_then(|address| address.split('/').next()).context("no address")?;
        Ok(address.to_owned())
    })
}
