//! Networks: proxies go where their routes are, and leave.

use anyhow::{Result, ensure};
use swarmgate_e2e::wait::eventually;
use swarmgate_e2e::world::{App, Case, Steady, World};

use super::SLOW;
use super::ground::{DEV, GATE, MESH};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case { name, setting: GATE, check };
    vec![
        case("networks::a_service_on_a_new_network_is_served_and_its_network_released", attach_and_release),
        case("networks::behind_the_routing_mesh_attaching_loses_no_request", attach_without_loss),
        case("networks::the_network_label_chooses_among_several", label_chooses),
        case("networks::a_closed_list_is_never_left", closed_list),
    ]
}

fn attach_and_release(world: &World) -> Result<()> {
    App::new("far").cluster("dev").network("far-away").create(world)?;
    world.await_answer(&world.at(3, DEV), "far.test", "/", "far")?;
    // The other network of the cluster is kept.
    world.await_answer(&world.at(3, DEV), "anchor-dev.test", "/", "anchor-dev")?;
    world.docker(&["service", "rm", "far"])?;
    eventually(SLOW, "the network can be removed", || world.docker(&["network", "rm", "far-away"]).map(drop))?;
    world.await_answer(&world.at(3, DEV), "anchor-dev.test", "/", "anchor-dev").map(drop)
}

/// In ingress mode new proxy tasks start before old ones end, so a route that was there notices nothing.
fn attach_without_loss(world: &World) -> Result<()> {
    App::new("first").cluster("mesh").create(world)?;
    let (kept, fresh) = (world.at(1, MESH), world.at(2, MESH));
    world.await_answer(&kept, "first.test", "/", "first")?;
    world.await_answer(&fresh, "first.test", "/", "first")?;
    world.await_converged("mesh")?;
    let before = world.task_ids("swarmgate-proxy-mesh")?;
    let traffic = Steady::start([&kept, &fresh], "first.test")?;
    App::new("second").cluster("mesh").network("other-side").create(world)?;
    world.await_answer(&kept, "second.test", "/", "second")?;
    world.await_converged("mesh")?;
    traffic.stop_without_loss()?;
    let after = world.task_ids("swarmgate-proxy-mesh")?;
    ensure!(before.iter().all(|task| !after.contains(task)), "a network that must be attached replaces the tasks: {before:?} {after:?}");
    Ok(())
}

fn label_chooses(world: &World) -> Result<()> {
    world.network("private")?;
    App::new("two-nets").label("network", "apps-dev").network("private").cluster("dev").words(&["--network", "apps-dev"]).create(world)?;
    let before = world.task_ids("swarmgate-proxy-dev")?;
    world.await_answer(&world.at(3, DEV), "two-nets.test", "/", "two-nets")?;
    ensure!(world.task_ids("swarmgate-proxy-dev")? == before, "the proxies were attached to a network that no route needs");
    Ok(())
}

/// `stock` declares `networks: [apps]`.
fn closed_list(world: &World) -> Result<()> {
    App::new("outside").cluster("stock").network("not-listed").create(world)?;
    world.await_finding("stock", "UnreachableNetwork", "outside")?;
    world.await_running("outside", 1)?;
    let proxy = world.service("swarmgate-proxy-stock")?;
    let network = world.docker(&["network", "inspect", "--format", "{{.Id}}", "not-listed"])?;
    let attached = proxy["Spec"]["TaskTemplate"]["Networks"].as_array().cloned().unwrap_or_default();
    ensure!(!attached.iter().any(|to| to["Target"] == network.trim()), "it is attached to {attached:?}");
    Ok(())
}
