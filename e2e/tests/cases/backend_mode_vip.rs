//! `backend_mode=vip`: Swarm's own load balancing behind one address.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarmgate_e2e::testbed::{App, Case, Testbed, http_get};
use swarmgate_e2e::wait::{eventually, throughout};

use super::SLOW;
use super::shared_swarm::{DEFAULT, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("backend_mode_vip::the_virtual_address_is_the_only_endpoint", only_endpoint),
        case("backend_mode_vip::task_changes_change_nothing_at_the_proxies", tasks_change),
        case("backend_mode_vip::a_service_without_a_virtual_address_is_routed_by_its_tasks", without_vip),
    ]
}

fn only_endpoint(testbed: &Testbed) -> Result<()> {
    App::new("virtual").label("backend_mode", "vip").replicas(2).create(testbed)?;
    let address = testbed.at(2, DEFAULT);
    testbed.await_answer(&address, "virtual.test", "/", "virtual")?;
    let vip = vip_of(testbed, "virtual")?;
    let upstream = http_get(&address, "virtual.test", "/")?;
    ensure!(upstream.header("x-upstream-addr") == Some(&format!("{vip}:8080")), "{upstream:?} instead of {vip}");
    Ok(())
}

fn tasks_change(testbed: &Testbed) -> Result<()> {
    let update = ["--update-order", "start-first", "--update-monitor", "1s"];
    App::new("virtual").image("demo-app:v1").label("backend_mode", "vip").replicas(2).args(&update).create(testbed)?;
    let address = testbed.at(2, DEFAULT);
    testbed.await_answer(&address, "virtual.test", "/", "v1")?;
    testbed.await_running("virtual", 2)?;
    let before = proxies(&testbed.await_converged("default")?);
    testbed.update("virtual", &["--replicas", "4"])?;
    testbed.await_running("virtual", 4)?;
    testbed.update("virtual", &["--replicas", "2", "--image", "demo-app:v2", "--env-add", "COLOUR=red"])?;
    testbed.await_rollout("virtual", "completed")?;
    testbed.await_answer(&address, "virtual.test", "/", "v2")?;
    // The operator's last observation may be up to one poll interval old.
    throughout(std::time::Duration::from_secs(4), "the proxies have the same configuration", || {
        let now = proxies(&testbed.cluster("default")?);
        ensure!(now == before, "{before} became {now}");
        Ok(())
    })?;
    testbed.update("virtual", &["--replicas", "0"])?;
    testbed.await_code(&address, "virtual.test", "/", 503).map(drop)
}

/// The current configuration, and how often each proxy was told to load one.
fn proxies(cluster: &Value) -> Value {
    let all = cluster["proxies"].as_array().into_iter().flatten();
    let reloads: Vec<_> = all.map(|proxy| [proxy["task"].clone(), proxy["runningDigest"].clone(), proxy["reloads"].clone()]).collect();
    serde_json::json!({ "config": cluster["configDigest"], "proxies": reloads })
}

fn without_vip(testbed: &Testbed) -> Result<()> {
    App::new("plain").label("backend_mode", "vip").args(&["--endpoint-mode", "dnsrr"]).create(testbed)?;
    testbed.await_finding("default", "NoVirtualIp", "plain")?;
    testbed.await_answer(&testbed.at(2, DEFAULT), "plain.test", "/", "plain").map(drop)
}

fn vip_of(testbed: &Testbed, service: &str) -> Result<String> {
    let network = testbed.docker(&["network", "inspect", "--format", "{{.Id}}", "apps"])?;
    eventually(SLOW, "the service has a virtual address", || {
        let about = testbed.service(service)?;
        let vips = about["Endpoint"]["VirtualIPs"].as_array().cloned().unwrap_or_default();
        let on_apps = vips.iter().find(|vip| vip["NetworkID"] == network.trim()).context("none on apps")?;
        let address = on_apps["Addr"].as_str().and_then(|address| address.split('/').next()).context("no address")?;
        Ok(address.to_owned())
    })
}
