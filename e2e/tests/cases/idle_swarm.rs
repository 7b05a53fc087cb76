//! A Swarm in which nothing happens.

use std::time::Duration;

use anyhow::{Result, ensure};
use swarmgate_e2e::testbed::{App, Case, Testbed};
use swarmgate_e2e::wait::throughout;

use super::shared_swarm::{DEFAULT, DEV, GATE, MESH, STOCK};

pub(super) fn cases() -> Vec<Case> {
    vec![Case::new("idle_swarm::an_unchanged_swarm_is_observed_but_never_written", GATE, still)]
}

/// Several times the interval of complete observations, with routes in every cluster.
const WATCHED: Duration = Duration::from_secs(21);

fn still(testbed: &Testbed) -> Result<()> {
    App::new("calm").replicas(2).create(testbed)?;
    App::new("calm-vip").label("backend_mode", "vip").create(testbed)?;
    App::new("calm-dev").network("apps-dev").cluster("dev").create(testbed)?;
    App::new("calm-mesh").cluster("mesh").create(testbed)?;
    App::new("calm-stock").cluster("stock").create(testbed)?;
    testbed.await_answering(&testbed.at(1, DEFAULT), "calm.test", 2)?;
    for (name, port) in [("calm-vip", DEFAULT), ("calm-dev", DEV), ("calm-mesh", MESH), ("calm-stock", STOCK)] {
        testbed.await_answer(&testbed.at(3, port), &format!("{name}.test"), "/", name)?;
    }
    super::shared_swarm::CLUSTERS.iter().try_for_each(|name| testbed.await_converged(name).map(drop))?;
    let (objects, writes) = (testbed.owned()?, testbed.counter("swarmgate_writes_total")?);
    let passes = testbed.counter("swarmgate_pass_total")?;
    throughout(WATCHED, "the operator writes nothing", || {
        let (now, written) = (testbed.owned()?, testbed.counter("swarmgate_writes_total")? - writes);
        ensure!(written == 0, "{written} writes");
        ensure!(now == objects, "{objects:?} became {now:?}");
        Ok(())
    })?;
    let passes = testbed.counter("swarmgate_pass_total")? - passes;
    ensure!(passes >= 8, "the clusters were looked at {passes} times only");
    Ok(())
}
