//! Serving: a labelled service is reachable, completely, through every proxy.

use anyhow::{Result, ensure};
use swarmgate_e2e::testbed::{App, Case, HttpCall, Testbed, http_get};

use super::shared_swarm::{DEFAULT, GATE, MESH};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("serving::a_labelled_service_on_every_proxy", on_every_proxy),
        case("serving::through_the_routing_mesh_on_every_node", through_the_mesh),
        case("serving::forwarding_and_information_headers_are_set", headers),
        case("serving::large_bodies_in_both_directions", large_bodies),
    ]
}

fn on_every_proxy(testbed: &Testbed) -> Result<()> {
    App::new("shop").replicas(2).create(testbed)?;
    for k in 1..=3 {
        testbed.await_answer(&testbed.at(k, DEFAULT), "shop.test", "/a/path?q=1", "shop")?;
    }
    let cluster = testbed.await_cluster("default", "the route is served", |cluster| {
        let route = cluster["routes"].as_array().into_iter().flatten().find(|route| route["host"] == "shop.test");
        ensure!(route.is_some_and(|route| route["state"] == "Served"), "the route is {route:?}");
        Ok(())
    })?;
    let proxies = cluster["proxies"].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure!(proxies.len() == 3, "three proxies are reported: {proxies:?}");
    ensure!(
        proxies.iter().all(|proxy| proxy["runningDigest"] == cluster["configDigest"]),
        "a proxy does not run the newest configuration: {proxies:?}"
    );
    testbed.await_answering(&testbed.at(1, DEFAULT), "shop.test", 2).map(drop)
}

fn through_the_mesh(testbed: &Testbed) -> Result<()> {
    App::new("behind").cluster("mesh").create(testbed)?;
    (1..=3).try_for_each(|k| testbed.await_answer(&testbed.at(k, MESH), "behind.test", "/", "behind").map(drop))
}

fn headers(testbed: &Testbed) -> Result<()> {
    App::new("echo").create(testbed)?;
    let address = testbed.at(2, DEFAULT);
    testbed.await_answer(&address, "echo.test", "/", "echo")?;
    let answer = HttpCall::get(&address, "echo.test", "/where/ever?a=b%20c").header("x-request-id", "chosen-by-client").send()?;
    let about = answer.json()?;
    let got = |name: &str| about["headers"][name].as_str().unwrap_or("-").to_owned();
    ensure!(about["path"] == "/where/ever" && about["query"] == "a=b%20c", "{about}");
    let client = testbed.lab.gateway();
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
    ensure!(other.header("x-request-id").is_some_and(|id| id.len() >= 16), "a request without an ID must receive one: {other:?}");
    Ok(())
}

fn large_bodies(testbed: &Testbed) -> Result<()> {
    App::new("heavy").create(testbed)?;
    let address = testbed.at(2, DEFAULT);
    testbed.await_answer(&address, "heavy.test", "/", "heavy")?;
    let down = http_get(&address, "heavy.test", "/big?bytes=8000000")?;
    ensure!(down.status == 200 && down.body.len() == 8_000_000, "status {} with {} bytes", down.status, down.body.len());
    let up = HttpCall::post(&address, "heavy.test", "/", &"x".repeat(900_000)).send()?;
    ensure!(up.json()?["body_bytes"] == 900_000, "{up:?}");
    let too_much = HttpCall::post(&address, "heavy.test", "/", &"x".repeat(1_100_000)).send()?;
    ensure!(too_much.status == 413, "more than the limit of 1 MiB: {}", too_much.status);
    Ok(())
}
