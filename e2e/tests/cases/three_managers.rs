//! What a Swarm of three managers promises to the cases that need one. Nothing here depends on Swarmgate.

use std::time::Duration;

use anyhow::{Result, ensure};
use swarmgate_e2e::testbed::{Case, Testbed};
use swarmgate_e2e::wait::eventually;

use super::BARE_MANAGERS;

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, BARE_MANAGERS, check);
    vec![case("three_managers::the_swarm_accepts_writes_after_its_leader_died", leader_dies)]
}

fn leader_dies(testbed: &Testbed) -> Result<()> {
    testbed.lab.power_off(1)?;
    eventually(Duration::from_secs(60), "another manager accepts a service", || {
        // A request whose response was lost may have been carried out.
        testbed.docker(&["service", "inspect", "after"]).map(drop).or_else(|_| testbed.create("after", &["demo-app:v1"]))
    })?;
    testbed.await_running("after", 1)?;
    testbed.lab.start(1)?;
    eventually(Duration::from_secs(60), "the former leader sees the service", || {
        let seen = testbed.lab.docker(1, &["service", "ls", "--format", "{{.Name}}"])?;
        ensure!(seen.contains("after"), "it sees {seen}");
        Ok(())
    })
}
