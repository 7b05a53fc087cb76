//! Routing: which application answers which request.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use swarmgate_e2e::world::{App, Case, World, http_get};

use super::shared_swarm::{DEFAULT, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("routes::by_host_without_regard_to_case_or_port", by_host),
        case("routes::a_wildcard_is_one_label_and_an_exact_host_beats_it", by_wildcard),
        case("routes::by_context_root_on_segment_borders", by_context_root),
        case("routes::a_context_root_with_rewrite_is_cut_off", by_context_root_with_rewrite),
        case("routes::an_unknown_host_is_503_until_there_is_a_default_backend", default_backend),
        case("routes::two_services_with_the_same_host_share_its_requests", shared_host),
        case("routes::a_service_scaled_to_zero_keeps_its_host", scaled_to_zero),
        case("routes::services_on_their_nodes_own_network_and_jobs_are_reached", other_kinds),
        case("routes::a_label_that_sounds_like_access_control_closes_its_service", closed),
    ]
}

fn by_host(world: &World) -> Result<()> {
    App::new("one").label("hosts", "one.test, ONE-again.test").create(world)?;
    App::new("two").create(world)?;
    let address = world.at(1, DEFAULT);
    for host in ["one.test", "one-again.test", "One.TEST", "one.test:8081"] {
        world.await_answer(&address, host, "/", "one")?;
    }
    world.await_answer(&address, "two.test", "/", "two").map(drop)
}

fn by_wildcard(world: &World) -> Result<()> {
    App::new("wild").label("hosts", "*.wild.test").create(world)?;
    App::new("exact").label("hosts", "exact.wild.test").create(world)?;
    let address = world.at(1, DEFAULT);
    world.await_answer(&address, "any.wild.test", "/", "wild")?;
    world.await_answer(&address, "exact.wild.test", "/", "exact")?;
    for stranger in ["a.b.wild.test", "wild.test"] {
        let answer = http_get(&address, stranger, "/")?;
        ensure!(answer.status == 503, "{stranger} is answered by {answer:?}");
    }
    Ok(())
}

fn by_context_root(world: &World) -> Result<()> {
    App::new("site").create(world)?;
    App::new("api").label("hosts", "site.test").label("context_root", "/api").create(world)?;
    App::new("deep").label("hosts", "site.test").label("context_root", "/api/deep").create(world)?;
    App::new("lone").label("context_root", "/lone").create(world)?;
    let address = world.at(1, DEFAULT);
    let expected = [
        ("/", "site"),
        ("/api", "api"),
        ("/api/", "api"),
        ("/api/list?page=2", "api"),
        ("/apis", "site"),
        ("/api/deep", "deep"),
        ("/api/deep/er", "deep"),
        ("/api/deeper", "api"),
    ];
    for (path, version) in expected {
        let about = world.await_answer(&address, "site.test", path, version)?;
        ensure!(about["path"] == path.split('?').next().unwrap_or_default(), "the path arrives as it was sent: {about}");
    }
    world.await_answer(&address, "lone.test", "/lone/x", "lone")?;
    let outside = http_get(&address, "lone.test", "/elsewhere")?;
    ensure!(outside.status == 404, "outside of the only path of a host: {outside:?}");
    Ok(())
}

fn by_context_root_with_rewrite(world: &World) -> Result<()> {
    App::new("cut").label("context_root", "/app").label("context_root_rewrite", "true").create(world)?;
    let address = world.at(1, DEFAULT);
    for (sent, arrives) in [("/app/", "/"), ("/app/list", "/list"), ("/app/a%20b/c?x=1", "/a%20b/c")] {
        let about = world.await_answer(&address, "cut.test", sent, "cut")?;
        ensure!(about["path"] == arrives, "{sent} arrives as {}", about["path"]);
    }
    let bare = http_get(&address, "cut.test", "/app?x=1")?;
    ensure!(bare.status == 301 && bare.header("location") == Some("/app/?x=1"), "{bare:?}");
    Ok(())
}

fn default_backend(world: &World) -> Result<()> {
    let address = world.at(1, DEFAULT);
    world.await_code(&address, "nobody.test", "/", 503)?;
    App::new("fallback").without("hosts").label("default_backend", "true").create(world)?;
    for k in 1..=3 {
        world.await_answer(&world.at(k, DEFAULT), "nobody.test", "/any/thing", "fallback")?;
    }
    world.await_answer(&address, "anchor.test", "/", "anchor")?;
    world.docker(&["service", "rm", "fallback"])?;
    world.await_code(&address, "nobody.test", "/", 503).map(drop)
}

fn shared_host(world: &World) -> Result<()> {
    App::new("old").label("hosts", "shared.test").create(world)?;
    App::new("canary").label("hosts", "shared.test").create(world)?;
    let address = world.at(1, DEFAULT);
    world.await_answering(&address, "shared.test", 2)?;
    let versions: Result<BTreeSet<_>> =
        (0..12).map(|_| Ok(http_get(&address, "shared.test", "/")?.json()?["version"].as_str().unwrap_or_default().to_owned())).collect();
    let versions = versions?;
    ensure!(versions.iter().eq(["canary", "old"]), "{versions:?} answer");
    Ok(())
}

fn scaled_to_zero(world: &World) -> Result<()> {
    App::new("asleep").create(world)?;
    App::new("fallback").without("hosts").label("default_backend", "true").create(world)?;
    let address = world.at(1, DEFAULT);
    world.await_answer(&address, "asleep.test", "/", "asleep")?;
    world.await_answer(&address, "nobody.test", "/", "fallback")?;
    world.update("asleep", &["--replicas", "0"])?;
    world.await_code(&address, "asleep.test", "/", 503)?;
    world.await_finding("default", "NoEndpoints", "asleep")?;
    world.update("asleep", &["--replicas", "1"])?;
    world.await_answer(&address, "asleep.test", "/", "asleep").map(drop)
}

fn other_kinds(world: &World) -> Result<()> {
    let address = world.at(1, DEFAULT);
    // At an address where only the application listens.
    App::new("edge")
        .without_network()
        .on_node(3)
        .label("port", "8377")
        .words(&["--network", "host", "--env", "PORT=8377"])
        .create(world)?;
    App::new("work").words(&["--mode", "replicated-job"]).create(world)?;
    world.await_answer(&address, "edge.test", "/", "edge")?;
    world.await_answer(&address, "work.test", "/", "work")?;
    let report = world.await_converged("default")?;
    let routes = report["routes"].as_array().cloned().unwrap_or_default();
    let edge = routes.iter().find(|route| route["host"] == "edge.test").map(|route| &route["services"][0]["endpoints"][0]["address"]);
    let expected = world.at(3, 8377);
    ensure!(edge.is_some_and(|at| *at == expected.as_str()), "it is reached at {edge:?} and not at {expected}");
    Ok(())
}

fn closed(world: &World) -> Result<()> {
    let address = world.at(1, DEFAULT);
    App::new("wide").label("hosts", "*.closed.test").create(world)?;
    world.await_answer(&address, "vault.closed.test", "/", "wide")?;
    App::new("vault").label("hosts", "vault.closed.test").label("basic_auth", "admin:secret").create(world)?;
    world.await_finding("default", "UnknownAccessLabel", "vault")?;
    // Neither the application nor the wildcard answers in its place.
    world.await_code(&address, "vault.closed.test", "/", 503)?;
    world.update("vault", &["--label-rm", "com.docker.lb.basic_auth"])?;
    world.await_answer(&address, "vault.closed.test", "/", "vault").map(drop)
}
