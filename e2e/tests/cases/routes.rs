//! Routing: which application answers which request.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use swarmgate_e2e::testbed::{App, Case, Testbed, http_get};

use super::shared_swarm::{DEFAULT, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("routes::by_host_without_regard_to_case_or_port", by_host),
        case("routes::a_wildcard_matches_one_label_and_an_exact_host_wins", by_wildcard),
        case("routes::by_context_root_at_segment_boundaries", by_context_root),
        case("routes::a_context_root_with_rewrite_is_stripped", by_context_root_with_rewrite),
        case("routes::an_unknown_host_is_503_until_there_is_a_default_backend", default_backend),
        case("routes::two_services_with_the_same_host_share_its_requests", shared_host),
        case("routes::a_service_scaled_to_zero_keeps_its_host", scaled_to_zero),
        case("routes::services_on_their_nodes_own_network_and_jobs_are_reached", other_kinds),
        case("routes::a_label_that_looks_like_access_control_closes_its_service", closed),
    ]
}

fn by_host(testbed: &Testbed) -> Result<()> {
    App::new("one").label("hosts", "one.test, ONE-again.test").create(testbed)?;
    App::new("two").create(testbed)?;
    let address = testbed.at(1, DEFAULT);
    for host in ["one.test", "one-again.test", "One.TEST", "one.test:8081"] {
        testbed.await_answer(&address, host, "/", "one")?;
    }
    testbed.await_answer(&address, "two.test", "/", "two").map(drop)
}

fn by_wildcard(testbed: &Testbed) -> Result<()> {
    App::new("wild").label("hosts", "*.wild.test").create(testbed)?;
    App::new("exact").label("hosts", "exact.wild.test").create(testbed)?;
    let address = testbed.at(1, DEFAULT);
    testbed.await_answer(&address, "any.wild.test", "/", "wild")?;
    testbed.await_answer(&address, "exact.wild.test", "/", "exact")?;
    for unknown in ["a.b.wild.test", "wild.test"] {
        let answer = http_get(&address, unknown, "/")?;
        ensure!(answer.status == 503, "{unknown} is answered by {answer:?}");
    }
    Ok(())
}

fn by_context_root(testbed: &Testbed) -> Result<()> {
    App::new("site").create(testbed)?;
    App::new("api").label("hosts", "site.test").label("context_root", "/api").create(testbed)?;
    App::new("deep").label("hosts", "site.test").label("context_root", "/api/deep").create(testbed)?;
    App::new("lone").label("context_root", "/lone").create(testbed)?;
    let address = testbed.at(1, DEFAULT);
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
        let about = testbed.await_answer(&address, "site.test", path, version)?;
        ensure!(about["path"] == path.split('?').next().unwrap_or_default(), "the path arrives as it was sent: {about}");
    }
    testbed.await_answer(&address, "lone.test", "/lone/x", "lone")?;
    let outside = http_get(&address, "lone.test", "/elsewhere")?;
    ensure!(outside.status == 404, "outside of the only path of a host: {outside:?}");
    Ok(())
}

fn by_context_root_with_rewrite(testbed: &Testbed) -> Result<()> {
    App::new("cut").label("context_root", "/app").label("context_root_rewrite", "true").create(testbed)?;
    let address = testbed.at(1, DEFAULT);
    for (sent, arrives) in [("/app/", "/"), ("/app/list", "/list"), ("/app/a%20b/c?x=1", "/a%20b/c")] {
        let about = testbed.await_answer(&address, "cut.test", sent, "cut")?;
        ensure!(about["path"] == arrives, "{sent} arrives as {}", about["path"]);
    }
    let bare = http_get(&address, "cut.test", "/app?x=1")?;
    ensure!(bare.status == 301 && bare.header("location") == Some("/app/?x=1"), "{bare:?}");
    Ok(())
}

fn default_backend(testbed: &Testbed) -> Result<()> {
    let address = testbed.at(1, DEFAULT);
    testbed.await_code(&address, "nobody.test", "/", 503)?;
    App::new("fallback").without("hosts").label("default_backend", "true").create(testbed)?;
    for k in 1..=3 {
        testbed.await_answer(&testbed.at(k, DEFAULT), "nobody.test", "/any/thing", "fallback")?;
    }
    testbed.await_answer(&address, "anchor.test", "/", "anchor")?;
    testbed.docker(&["service", "rm", "fallback"])?;
    testbed.await_code(&address, "nobody.test", "/", 503).map(drop)
}

fn shared_host(testbed: &Testbed) -> Result<()> {
    App::new("old").label("hosts", "shared.test").create(testbed)?;
    App::new("canary").label("hosts", "shared.test").create(testbed)?;
    let address = testbed.at(1, DEFAULT);
    testbed.await_answering(&address, "shared.test", 2)?;
    let versions: Result<BTreeSet<_>> =
        (0..12).map(|_| Ok(http_get(&address, "shared.test", "/")?.json()?["version"].as_str().unwrap_or_default().to_owned())).collect();
    let versions = versions?;
    ensure!(versions.iter().eq(["canary", "old"]), "{versions:?} answer");
    Ok(())
}

fn scaled_to_zero(testbed: &Testbed) -> Result<()> {
    App::new("asleep").create(testbed)?;
    App::new("fallback").without("hosts").label("default_backend", "true").create(testbed)?;
    let address = testbed.at(1, DEFAULT);
    testbed.await_answer(&address, "asleep.test", "/", "asleep")?;
    testbed.await_answer(&address, "nobody.test", "/", "fallback")?;
    testbed.update("asleep", &["--replicas", "0"])?;
    testbed.await_code(&address, "asleep.test", "/", 503)?;
    testbed.await_finding("default", "NoEndpoints", "asleep")?;
    testbed.update("asleep", &["--replicas", "1"])?;
    testbed.await_answer(&address, "asleep.test", "/", "asleep").map(drop)
}

fn other_kinds(testbed: &Testbed) -> Result<()> {
    let address = testbed.at(1, DEFAULT);
    // At an address where only the application listens.
    App::new("edge")
        .without_network()
        .on_node(3)
        .label("port", "8377")
        .args(&["--network", "host", "--env", "PORT=8377"])
        .create(testbed)?;
    App::new("work").args(&["--mode", "replicated-job"]).create(testbed)?;
    testbed.await_answer(&address, "edge.test", "/", "edge")?;
    testbed.await_answer(&address, "work.test", "/", "work")?;
    let report = testbed.await_converged("default")?;
    let routes = report["routes"].as_array().cloned().unwrap_or_default();
    let edge = routes.iter().find(|route| route["host"] == "edge.test").map(|route| &route["services"][0]["endpoints"][0]["address"]);
    let expected = testbed.at(3, 8377);
    ensure!(edge.is_some_and(|at| *at == expected.as_str()), "it is reached at {edge:?} and not at {expected}");
    Ok(())
}

fn closed(testbed: &Testbed) -> Result<()> {
    let address = testbed.at(1, DEFAULT);
    App::new("wide").label("hosts", "*.closed.test").create(testbed)?;
    testbed.await_answer(&address, "vault.closed.test", "/", "wide")?;
    App::new("vault").label("hosts", "vault.closed.test").label("basic_auth", "admin:secret").create(testbed)?;
    testbed.await_finding("default", "UnknownAccessLabel", "vault")?;
    // Neither the application nor the wildcard answers in its place.
    testbed.await_code(&address, "vault.closed.test", "/", 503)?;
    testbed.update("vault", &["--label-rm", "com.docker.lb.basic_auth"])?;
    testbed.await_answer(&address, "vault.closed.test", "/", "vault").map(drop)
}
