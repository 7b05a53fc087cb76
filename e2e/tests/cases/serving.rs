//! Serving: a labelled service is reachable, completely, through every proxy.

use anyhow::{Result, ensure};
use swarmgate_e2e::world::{App, Case, HttpCall, World, http_get};

use super::shared_swarm::{DEFAULT, GATE, MESH};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("serving::a_labelled_service_on_every_proxy", on_every_proxy),
        case("serving::through_the_routing_mesh_on_every_node", through_the_mesh),
        case("serving::applications_learn_about_the_client_and_clients_about_the_way", headers),
        case("serving::large_bodies_in_both_directions", large_bodies),
    ]
}

fn on_every_proxy(world: &World) -> Result<()> {
    App::new("shop").replicas(2).create(world)?;
    for k in 1..=3 {
        world.await_answer(&world.at(k, DEFAULT), "shop.test", "/a/path?q=1", "shop")?;
    }
    let cluster = world.await_cluster("default", "the route is served", |cluster| {
        let route = cluster["routes"].as_array().into_iter().flatten().find(|route| route["host"] == "shop.test");
        ensure!(route.is_some_and(|route| route["state"] == "Served"), "the route is {route:?}");
        Ok(())
    })?;
    let proxies = cluster["proxies"].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure!(proxies.len() == 3, "three proxies are reported: {proxies:?}");
    ensure!(proxies.iter().all(|proxy| proxy["runningDigest"] == cluster["configDigest"]), "all run the newest: {proxies:?}");
    world.await_answering(&world.at(1, DEFAULT), "shop.test", 2).map(drop)
}

fn through_the_mesh(world: &World) -> Result<()> {
    App::new("behind").cluster("mesh").create(world)?;
    (1..=3).try_for_each(|k| world.await_answer(&world.at(k, MESH), "behind.test", "/", "behind").map(drop))
}

fn headers(world: &World) -> Result<()> {
    App::new("echo").create(world)?;
    let address = world.at(2, DEFAULT);
    world.await_answer(&address, "echo.test", "/", "echo")?;
    let answer = HttpCall::get(&address, "echo.test", "/where/ever?a=b%20c").header("x-request-id", "chosen-by-client").send()?;
    let about = answer.json()?;
    let got = |name: &str| about["headers"][name].as_str().unwrap_or("-").to_owned();
    ensure!(about["path"] == "/where/ever" && about["query"] == "a=b%20c", "{about}");
    let client = world.lab.gateway();
    let expected = [
        ("host", "echo.test"),
        ("x-real-ip", client.as_str()),
        ("x-forwarded-for", client.as_str()),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "echo.test"),
        ("x-request-id", "chosen-by-client"),
    ];
    for (name, value) in expected {
        ensure!(got(name) == value, "{name} is {} instead of {value}", got(name));
    }
    ensure!(answer.header("x-request-id") == Some("chosen-by-client"), "{answer:?}");
    ensure!(answer.header("x-upstream-addr").is_some_and(|at| at.ends_with(":8080")), "{answer:?}");
    let other = http_get(&address, "echo.test", "/")?;
    ensure!(other.header("x-request-id").is_some_and(|id| id.len() >= 16), "a request without an id gets one: {other:?}");
    Ok(())
}

fn large_bodies(world: &World) -> Result<()> {
    App::new("heavy").create(world)?;
    let address = world.at(2, DEFAULT);
    world.await_answer(&address, "heavy.test", "/", "heavy")?;
    let down = http_get(&address, "heavy.test", "/big?bytes=8000000")?;
    ensure!(down.status == 200 && down.body.len() == 8_000_000, "status {} with {} bytes", down.status, down.body.len());
    let up = HttpCall::post(&address, "heavy.test", "/", &"x".repeat(900_000)).send()?;
    ensure!(up.json()?["body_bytes"] == 900_000, "{up:?}");
    let too_much = HttpCall::post(&address, "heavy.test", "/", &"x".repeat(1_100_000)).send()?;
    ensure!(too_much.status == 413, "more than the limit of 1 MiB: {}", too_much.status);
    Ok(())
}
