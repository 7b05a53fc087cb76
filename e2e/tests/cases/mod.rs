//! All cases, grouped so that cases with the same setting are adjacent. It must never omit a topic from [`all`].

mod application_updates;
mod backend_ca;
mod backend_mode_vip;
mod backend_protocols;
mod behind_load_balancer;
mod channel_trust;
mod command_line;
mod component_failures;
mod control_plane_silence;
mod drift;
mod findings;
mod hardening;
mod host_mode;
mod idle_swarm;
mod lab;
mod network_attachment;
mod network_faults;
mod network_rollouts;
mod operator_failover;
mod readme;
mod redirects;
mod reference_grants;
mod retries;
mod rollout_replace;
mod routes;
mod service_clusters;
mod serving;
mod settings;
mod shared_swarm;
mod spec_changes;
mod sticky_sessions;
mod three_managers;
mod tls;
mod traffic_split;
mod websockets;

use std::time::Duration;

use anyhow::Result;
use swarmgate_e2e::testbed::{Case, Setting, Testbed};

/// A Swarm with only images on it: three nodes, one manager.
const BARE: Setting = Setting { name: "bare", nodes: 3, managers: 1, prepare: ready, before: ready };

/// The same with three managers.
const BARE_MANAGERS: Setting = Setting { name: "managers", nodes: 3, managers: 3, prepare: ready, before: ready };

/// Long enough for everything that Swarm itself does slowly: replacing tasks one by one, on a busy machine.
const SLOW: Duration = Duration::from_secs(120);

fn ready(testbed: &Testbed) -> Result<()> {
    testbed.lab.await_ready()
}

/// Every case, in the order in which they run: cases that leave the most to restore come last in their testbed.
pub fn all() -> Vec<Case> {
    let bare = [lab::cases(), three_managers::cases(), readme::cases()];
    let labels = [
        sticky_sessions::cases(),
        websockets::cases(),
        backend_protocols::cases(),
        redirects::cases(),
        traffic_split::cases(),
        retries::cases(),
        backend_ca::cases(),
    ];
    let gentle = [
        serving::cases(),
        routes::cases(),
        application_updates::cases(),
        backend_mode_vip::cases(),
        findings::cases(),
        command_line::cases(),
        idle_swarm::cases(),
        hardening::cases(),
    ];
    let rough = [
        service_clusters::cases(),
        network_attachment::cases(),
        network_rollouts::cases(),
        network_faults::cases(),
        rollout_replace::cases(),
        tls::cases(),
        reference_grants::cases(),
        channel_trust::cases(),
        drift::cases(),
        component_failures::cases(),
        control_plane_silence::cases(),
        spec_changes::cases(),
        settings::cases(),
        behind_load_balancer::cases(),
        operator_failover::cases(),
        host_mode::cases(),
    ];
    bare.into_iter().chain(gentle).chain(labels).chain(rough).flatten().collect()
}
