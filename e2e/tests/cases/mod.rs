//! All cases, grouped so that those with the same setting stand together. It must never leave a topic out of [`all`].

mod lab;
mod managers;

use anyhow::Result;
use swarmgate_e2e::world::{Case, Setting, World};

/// A Swarm with nothing on it but images: three nodes, one manager.
const BARE: Setting = Setting { name: "bare", nodes: 3, managers: 1, prepare: ready };

/// The same with three managers.
const BARE_MANAGERS: Setting = Setting { name: "managers", nodes: 3, managers: 3, prepare: ready };

fn ready(world: &World) -> Result<()> {
    world.lab.await_ready()
}

/// Every case, in the order in which they run.
pub fn all() -> Vec<Case> {
    [lab::cases(), managers::cases()].into_iter().flatten().collect()
}
