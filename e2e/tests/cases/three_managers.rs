//! What a Swarm of three managers promises to the cases that need one. Nothing here depends on Swarmgate.

use std::time::Duration;

use anyhow::{Result, ensure};
use swarmgate_e2e::wait::eventually;
use swarmgate_e2e::world::{Case, World};

use super::BARE_MANAGERS;

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, BARE_MANAGERS, check);
    vec![case("three_managers::the_swarm_can_be_written_to_after_its_leader_died", leader_dies)]
}

fn leader_dies(world: &World) -> Result<()> {
    world.lab.power_off(1)?;
    eventually(Duration::from_secs(60), "another manager takes a service", || {
        // A request whose response was lost may have been carried out.
        world.docker(&["service", "inspect", "after"]).map(drop).or_else(|_| world.create("after", &["demo-app:v1"]))
    })?;
    world.await_running("after", 1)?;
    world.lab.start(1)?;
    eventually(Duration::from_secs(60), "the former leader sees the service", || {
        let seen = world.lab.docker(1, &["service", "ls", "--format", "{{.Name}}"])?;
        ensure!(seen.contains("after"), "it sees {seen}");
        Ok(())
    })
}
