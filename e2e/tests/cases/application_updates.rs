//! Following applications while they change, under steady traffic: not one request may fail.

use std::time::Duration;

use anyhow::{Result, ensure};
use swarmgate_e2e::wait::throughout;
use swarmgate_e2e::world::{App, Browsers, Case, Steady, World};

use super::shared_swarm::{DEFAULT, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("application_updates::scaling_up_without_a_lost_request", scale_up).with_traffic(),
        case("application_updates::scaling_down_without_a_lost_request", scale_down).with_traffic(),
        case("application_updates::an_image_update_stop_first_without_a_lost_request", update_stop_first).with_traffic(),
        case("application_updates::an_image_update_start_first_without_a_lost_request", update_start_first).with_traffic(),
        case("application_updates::kept_connections_that_rest_never_end_at_a_task_that_is_gone", resting_connections).with_traffic(),
        case("application_updates::changes_of_labels_without_a_lost_request", labels).with_traffic(),
        case("application_updates::the_removal_of_a_service_without_a_lost_request_for_others", removal).with_traffic(),
    ]
}

/// Traffic through the proxies of two nodes, once the application answers through both.
fn steady(world: &World, name: &str) -> Result<Steady> {
    let host = format!("{name}.test");
    let (kept, fresh) = (world.at(1, DEFAULT), world.at(2, DEFAULT));
    world.await_answer(&kept, &host, "/", name)?;
    world.await_answer(&fresh, &host, "/", name)?;
    Steady::start([&kept, &fresh], &host)
}

fn scale_up(world: &World) -> Result<()> {
    App::new("grows").create(world)?;
    let traffic = steady(world, "grows")?;
    world.update("grows", &["--replicas", "4"])?;
    world.await_answering(&world.at(1, DEFAULT), "grows.test", 4)?;
    traffic.stop_without_loss()
}

fn scale_down(world: &World) -> Result<()> {
    App::new("shrinks").replicas(4).create(world)?;
    world.await_answering(&world.at(1, DEFAULT), "shrinks.test", 4)?;
    let traffic = steady(world, "shrinks")?;
    world.update("shrinks", &["--replicas", "1"])?;
    world.await_answering(&world.at(1, DEFAULT), "shrinks.test", 1)?;
    world.await_alive("shrinks", 1)?;
    traffic.stop_without_loss()
}

fn update_stop_first(world: &World) -> Result<()> {
    update(world, "rolls", 2, "stop-first")
}

fn update_start_first(world: &World) -> Result<()> {
    update(world, "swaps", 1, "start-first")
}

fn update(world: &World, name: &str, replicas: usize, order: &str) -> Result<()> {
    App::new(name).image("demo-app:v1").replicas(replicas).words(&["--update-order", order, "--update-monitor", "1s"]).create(world)?;
    let (kept, fresh, host) = (world.at(1, DEFAULT), world.at(2, DEFAULT), format!("{name}.test"));
    world.await_answer(&fresh, &host, "/", "v1")?;
    world.await_answering(&kept, &host, replicas)?;
    world.await_answering(&fresh, &host, replicas)?;
    let traffic = Steady::start([&kept, &fresh], &host)?;
    world.update(name, &["--image", "demo-app:v2"])?;
    world.await_rollout(name, "completed")?;
    for address in [&kept, &fresh] {
        world.await_answer(address, &host, "/", "v2")?;
        world.await_answering(address, &host, replicas)?;
    }
    world.await_alive(name, replicas)?;
    traffic.stop_without_loss()
}

/// How long a browser's connection is idle between two requests here; it is closed long before a minute has passed.
const REST: Duration = Duration::from_secs(3);

/// Browsers keep connections and use them rarely. After a reload, such a connection still belongs to an old worker of the
/// proxy, whose endpoints may be gone by the time of the next request.
fn resting_connections(world: &World) -> Result<()> {
    let update = ["--update-order", "start-first", "--update-monitor", "1s"];
    App::new("rests").image("demo-app:v1").words(&update).create(world)?;
    let (address, host) = (world.at(1, DEFAULT), "rests.test");
    world.await_answer(&address, host, "/", "v1")?;
    world.await_converged("default")?;
    let browsers = Browsers::start(&address, host, 60, REST)?;
    world.update("rests", &["--image", "demo-app:v2"])?;
    world.await_rollout("rests", "completed")?;
    world.await_alive("rests", 1)?;
    world.await_answer(&address, host, "/", "v2")?;
    // Until every connection was used again.
    throughout(REST * 2, "v2 answers", || world.await_answer(&address, host, "/", "v2").map(drop))?;
    browsers.stop_without_loss()
}

fn labels(world: &World) -> Result<()> {
    App::new("moves").label("hosts", "moves.test,old.test").replicas(2).create(world)?;
    let traffic = steady(world, "moves")?;
    let address = world.at(1, DEFAULT);
    world.await_answer(&address, "old.test", "/", "moves")?;
    world.update("moves", &["--label-add", "com.docker.lb.hosts=moves.test,new.test"])?;
    world.await_answer(&address, "new.test", "/", "moves")?;
    world.await_code(&address, "old.test", "/", 503)?;
    traffic.stop_without_loss()?;
    world.update("moves", &["--label-rm", "com.docker.lb.hosts", "--label-rm", "com.docker.lb.port"])?;
    world.await_code(&address, "moves.test", "/", 503)?;
    world.update("moves", &["--label-add", "com.docker.lb.hosts=back.test", "--label-add", "com.docker.lb.port=8080"])?;
    world.await_answer(&address, "back.test", "/", "moves").map(drop)
}

fn removal(world: &World) -> Result<()> {
    App::new("leaves").create(world)?;
    App::new("remains").create(world)?;
    let address = world.at(1, DEFAULT);
    world.await_answer(&address, "leaves.test", "/", "leaves")?;
    let traffic = steady(world, "remains")?;
    world.docker(&["service", "rm", "leaves"])?;
    (1..=3).try_for_each(|k| world.await_code(&world.at(k, DEFAULT), "leaves.test", "/", 503).map(drop))?;
    world.await_cluster("default", "the route has left the status", |cluster| {
        let routes = cluster["routes"].as_array().into_iter().flatten();
        ensure!(!routes.into_iter().any(|route| route["host"] == "leaves.test"), "it is there");
        Ok(())
    })?;
    traffic.stop_without_loss()
}
