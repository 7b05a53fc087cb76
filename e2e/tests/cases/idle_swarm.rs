//! A Swarm in which nothing happens.

use std::time::Duration;

use anyhow::{Result, ensure};
use swarmgate_e2e::wait::throughout;
use swarmgate_e2e::world::{App, Case, World};

use super::shared_swarm::{DEFAULT, DEV, GATE, MESH, STOCK};

pub(super) fn cases() -> Vec<Case> {
    vec![Case::new("idle_swarm::a_still_world_is_looked_at_and_not_written_to", GATE, still)]
}

/// Several times the interval of complete observations, with routes in every cluster.
const WATCHED: Duration = Duration::from_secs(21);

fn still(world: &World) -> Result<()> {
    App::new("calm").replicas(2).create(world)?;
    App::new("calm-vip").label("backend_mode", "vip").create(world)?;
    App::new("calm-dev").network("apps-dev").cluster("dev").create(world)?;
    App::new("calm-mesh").cluster("mesh").create(world)?;
    App::new("calm-stock").cluster("stock").create(world)?;
    world.await_answering(&world.at(1, DEFAULT), "calm.test", 2)?;
    for (name, port) in [("calm-vip", DEFAULT), ("calm-dev", DEV), ("calm-mesh", MESH), ("calm-stock", STOCK)] {
        world.await_answer(&world.at(3, port), &format!("{name}.test"), "/", name)?;
    }
    super::shared_swarm::CLUSTERS.iter().try_for_each(|name| world.await_converged(name).map(drop))?;
    let (objects, writes) = (world.owned()?, world.counter("swarmgate_writes_total")?);
    let looked = world.counter("swarmgate_pass_total")?;
    throughout(WATCHED, "nothing is written", || {
        let (now, written) = (world.owned()?, world.counter("swarmgate_writes_total")? - writes);
        ensure!(written == 0, "{written} writes");
        ensure!(now == objects, "{objects:?} became {now:?}");
        Ok(())
    })?;
    let looked = world.counter("swarmgate_pass_total")? - looked;
    ensure!(looked >= 8, "the clusters were looked at {looked} times only");
    Ok(())
}
