//! All cases, grouped so that cases with the same setting are adjacent. It must never omit a topic from [`all`].

mod authorities;
mod canary;
mod clusters;
mod failover;
mod failures;
mod findings;
mod fleet;
mod follows;
mod fronts;
mod grants;
mod ground;
mod hardening;
mod hosts;
mod lab;
mod managers;
mod network_faults;
mod network_rollouts;
mod networks;
mod people;
mod protocols;
mod readme;
mod redirects;
mod replace;
mod retries;
mod routes;
mod serves;
mod settings;
mod silence;
mod spec;
mod stays;
mod still;
mod tls;
mod trust;
mod vip;
mod websockets;

use std::time::Duration;

use anyhow::Result;
use swarmgate_e2e::world::{Case, Setting, World};

/// A Swarm with only images on it: three nodes, one manager.
const BARE: Setting = Setting { name: "bare", nodes: 3, managers: 1, prepare: ready, before: ready };

/// The same with three managers.
const BARE_MANAGERS: Setting = Setting { name: "managers", nodes: 3, managers: 3, prepare: ready, before: ready };

/// Long enough for everything that Swarm itself does slowly: replacing tasks one by one, on a busy machine.
const SLOW: Duration = Duration::from_secs(120);

fn ready(world: &World) -> Result<()> {
    world.lab.await_ready()
}

/// Every case, in the order in which they run: cases that leave the most to restore come last in their world.
pub fn all() -> Vec<Case> {
    let bare = [lab::cases(), managers::cases(), readme::cases()];
    let labels = [
        stays::cases(),
        websockets::cases(),
        protocols::cases(),
        redirects::cases(),
        canary::cases(),
        retries::cases(),
        authorities::cases(),
    ];
    let gentle = [
        serves::cases(),
        routes::cases(),
        follows::cases(),
        vip::cases(),
        findings::cases(),
        people::cases(),
        still::cases(),
        hardening::cases(),
    ];
    let rough = [
        clusters::cases(),
        networks::cases(),
        network_rollouts::cases(),
        network_faults::cases(),
        replace::cases(),
        tls::cases(),
        grants::cases(),
        trust::cases(),
        fleet::cases(),
        failures::cases(),
        silence::cases(),
        spec::cases(),
        settings::cases(),
        fronts::cases(),
        failover::cases(),
        hosts::cases(),
    ];
    bare.into_iter().chain(gentle).chain(labels).chain(rough).flatten().collect()
}
