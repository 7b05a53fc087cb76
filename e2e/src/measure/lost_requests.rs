//! How many requests of a steady stream fail while the Swarm changes.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::Ingress;
use crate::testbed::{Load, Testbed, http_get};
use crate::wait::eventually;

/// Requests per second, of each of the two streams.
const RATE: u32 = 200;
/// How long the streams go on after a change has settled, so that late effects are included.
const AFTER: Duration = Duration::from_secs(5);
const NAME: &str = "steady";
const HOST: &str = "steady.test";

/// Makes every change under two steady streams, one with kept connections and one with a new connection for each request, and
/// prints the failures.
pub fn changes(testbed: &Testbed, ingress: &Ingress) -> Result<()> {
    prepare(testbed, ingress)?;
    println!("{ingress:?}: requests failed of a steady {RATE}/s, kept connections | a new connection each");
    phase(testbed, ingress, "nothing changes", &mut || Ok(()))?;
    phase(testbed, ingress, "scale 2 to 6", &mut || scale(testbed, 6))?;
    phase(testbed, ingress, "scale 6 to 2", &mut || scale(testbed, 2))?;
    phase(testbed, ingress, "update, stop-first", &mut || update(testbed, "stop-first", "demo-app:v2"))?;
    phase(testbed, ingress, "update, start-first", &mut || update(testbed, "start-first", "demo-app:v1"))?;
    phase(testbed, ingress, "20 route changes", &mut || route_changes(testbed, ingress))
}

fn prepare(testbed: &Testbed, ingress: &Ingress) -> Result<()> {
    let mut args: Vec<String> = ["--network", "measured", "--replicas", "2", "--update-parallelism", "1"].map(str::to_owned).to_vec();
    args.extend(ingress.labels(NAME, HOST));
    args.push("demo-app:v1".to_owned());
    testbed.create(NAME, &args.iter().map(String::as_str).collect::<Vec<_>>())?;
    testbed.await_running(NAME, 2)?;
    eventually(Duration::from_secs(60), "the service is routed", || {
        let answer = http_get(&ingress.address(testbed), HOST, "/")?;
        ensure!(answer.status == 200, "status {}", answer.status);
        Ok(())
    })?;
    // The slowest poller must know both tasks before measuring begins.
    thread::sleep(Duration::from_secs(17));
    Ok(())
}

fn phase(testbed: &Testbed, ingress: &Ingress, name: &str, change: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    let start = |keep| Load::start(&ingress.address(testbed), HOST, "/", RATE, keep);
    let (kept, fresh) = (start(true)?, start(false)?);
    thread::sleep(Duration::from_secs(1));
    change()?;
    thread::sleep(AFTER);
    // Traefik polls every 15 s by default; its late effects belong to this phase.
    if matches!(ingress, Ingress::Traefik { .. }) {
        thread::sleep(Duration::from_secs(15));
    }
    println!("  {name}: {} | {}", kept.stop()?, fresh.stop()?);
    Ok(())
}

fn scale(testbed: &Testbed, replicas: usize) -> Result<()> {
    testbed.update(NAME, &["--replicas", &replicas.to_string()])?;
    testbed.await_running(NAME, replicas).map(drop)
}

fn update(testbed: &Testbed, order: &str, image: &str) -> Result<()> {
    testbed.update(NAME, &["--update-order", order, "--image", image])?;
    eventually(Duration::from_secs(90), "the update is complete", || {
        let service = testbed.api()?.get(&format!("/services/{NAME}"))?;
        let state = &service["UpdateStatus"]["State"];
        ensure!(state == "completed", "it is {state}");
        Ok(())
    })
}

/// Half a second apart, so that each one results in its own configuration.
fn route_changes(testbed: &Testbed, ingress: &Ingress) -> Result<()> {
    for n in 0..20 {
        testbed.update(NAME, &["--label-add", &ingress.route_change(NAME, HOST, n)])?;
        thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}
