//! Service clusters: each one is isolated from the others.

use anyhow::{Result, ensure};
use serde_json::Value;
use swarmgate_e2e::world::{App, Case, Steady, World, http_get};

use super::shared_swarm::{DEFAULT, DEV, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("service_clusters::the_same_host_has_different_answers_in_two_clusters", same_host),
        case("service_clusters::breaking_one_leaves_the_other_untouched", broken_apart).with_traffic(),
        case("service_clusters::an_unknown_cluster_is_a_finding_and_publishes_nothing", unknown_cluster),
    ]
}

fn same_host(world: &World) -> Result<()> {
    App::new("blue").label("hosts", "both.test").create(world)?;
    App::new("green").label("hosts", "both.test").cluster("dev").network("apps-dev").create(world)?;
    world.await_answer(&world.at(3, DEFAULT), "both.test", "/", "blue")?;
    world.await_answer(&world.at(3, DEV), "both.test", "/", "green")?;
    for _ in 0..10 {
        for (port, version) in [(DEFAULT, "blue"), (DEV, "green")] {
            let about = http_get(&world.at(3, port), "both.test", "/")?.json()?;
            ensure!(about["version"] == version, "port {port} is answered by {about}");
        }
    }
    ensure!(http_get(&world.at(1, DEV), "both.test", "/").is_err(), "the proxies of dev run where its label is, and nowhere else");
    Ok(())
}

/// `dev` loses its proxies, its extension and a service with a valid label, all at once; `default` notices nothing, and keeps
/// following its own services.
fn broken_apart(world: &World) -> Result<()> {
    App::new("blue").label("hosts", "both.test").create(world)?;
    App::new("green").label("hosts", "both.test").cluster("dev").network("apps-dev").create(world)?;
    let (kept, fresh) = (world.at(1, DEFAULT), world.at(3, DEFAULT));
    world.await_answer(&kept, "both.test", "/", "blue")?;
    world.await_answer(&fresh, "both.test", "/", "blue")?;
    world.await_answer(&world.at(3, DEV), "both.test", "/", "green")?;
    let before = identity(world)?;
    let traffic = Steady::start([&kept, &fresh], "both.test")?;
    world.label_node(3, "lb", None)?;
    world.docker(&["service", "rm", "swarmgate-extension-dev"])?;
    world.update("green", &["--label-add", "com.docker.lb.port=none"])?;
    world.await_finding("dev", "InvalidLabelValue", "green")?;
    ensure!(identity(world)? == before, "{before} became {}", identity(world)?);
    App::new("later").create(world)?;
    (1..=3).try_for_each(|k| world.await_answer(&world.at(k, DEFAULT), "later.test", "/", "later").map(drop))?;
    traffic.stop_without_loss()?;
    world.label_node(3, "lb", Some("dev"))?;
    world.update("green", &["--label-add", "com.docker.lb.port=8080"])?;
    world.await_answer(&world.at(3, DEV), "both.test", "/", "green").map(drop)
}

/// What must not change in `default` while another cluster is in trouble.
fn identity(world: &World) -> Result<Value> {
    let tasks = world.task_ids("swarmgate-proxy-default")?;
    Ok(serde_json::json!({ "config": world.cluster("default")?["configDigest"], "proxies": tasks }))
}

fn unknown_cluster(world: &World) -> Result<()> {
    App::new("lost").cluster("nowhere").create(world)?;
    world.await_global_finding("UnknownServiceCluster", "lost")?;
    for port in [DEFAULT, DEV] {
        let answer = http_get(&world.at(3, port), "lost.test", "/")?;
        ensure!(answer.status == 503, "port {port}: {answer:?}");
    }
    Ok(())
}
