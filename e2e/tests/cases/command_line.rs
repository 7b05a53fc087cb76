//! What people see: the command line and the endpoints of a running operator.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarmgate_e2e::command::finish;
use swarmgate_e2e::world::{App, Case, HttpCall, World, http_get};

use super::shared_swarm::{CLUSTERS, DEFAULT, GATE, SPEC};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("command_line::status_shows_clusters_routes_and_findings", status),
        case("command_line::plan_on_a_still_world_is_empty_and_writes_nothing", plan),
        case("command_line::the_endpoints_answer", endpoints),
        case("command_line::without_the_token_only_monitoring_answers", strangers),
        case("command_line::the_page_shows_in_a_browser_that_runs_nothing_of_what_others_wrote", page),
        case("command_line::explain_says_what_the_proxies_do", explain),
    ]
}

/// Where the command line reaches the operator.
fn server(world: &World) -> Result<String> {
    let task = world.await_running("swarmgate_operator", 1)?.remove(0);
    Ok(format!("http://{}", world.at(world.node_of(&task)?, 8080)))
}

fn status(world: &World) -> Result<()> {
    App::new("seen").create(world)?;
    App::new("misspelt").label("hots", "seen.test").create(world)?;
    world.await_answer(&world.at(1, DEFAULT), "seen.test", "/", "seen")?;
    world.await_answer(&world.at(1, DEFAULT), "misspelt.test", "/", "misspelt")?;
    world.await_finding("default", "UnknownLabel", "misspelt")?;
    world.await_converged("default")?;
    let server = server(world)?;
    let table = world.swarmgate(&["status", "--server", &server])?;
    let expected = CLUSTERS.into_iter().chain(["seen.test/", "Served", "node2", "com.docker.lb.hots", "UnknownLabel"]);
    for word in expected {
        ensure!(table.contains(word), "the table does not show {word}:\n{table}");
    }
    let json: Value = serde_json::from_str(&world.swarmgate(&["status", "--server", &server, "--output", "json"])?)?;
    ensure!(json["apiVersion"] == "swarmgate/v1" && json["clusters"]["default"]["phase"] == "Ready", "{json}");
    Ok(())
}

fn plan(world: &World) -> Result<()> {
    let before = world.owned()?;
    let writes = world.counter("swarmgate_writes_total")?;
    let text = world.swarmgate(&["plan", "--server", &server(world)?])?;
    for name in CLUSTERS {
        let line = format!("cluster {name}: converged, nothing to do");
        ensure!(text.contains(&line), "there is no line {line:?}:\n{text}");
    }
    ensure!(world.counter("swarmgate_writes_total")? == writes && world.owned()? == before, "planning wrote something");
    Ok(())
}

fn endpoints(world: &World) -> Result<()> {
    ensure!(world.ask_operator("/healthz")?.starts_with("ok"), "healthz");
    ensure!(world.ask_operator("/readyz")?.starts_with("ready"), "readyz");
    let page = world.ask_operator("/")?;
    ensure!(page.contains("<html") && page.contains("anchor.test"), "the page shows routes: {page:.500}");
    let metrics = world.ask_operator("/metrics")?;
    for name in ["swarmgate_pass_total", "swarmgate_routes", "swarmgate_proxies", "swarmgate_docker_requests_total", "swarmgate_build_info"]
    {
        ensure!(metrics.contains(&format!("# TYPE {name} ")), "no {name} in\n{metrics}");
    }
    Ok(())
}

fn strangers(world: &World) -> Result<()> {
    let address = server(world)?.trim_start_matches("http://").to_owned();
    let token = format!("Bearer {}", world.status_token()?);
    for (path, expected) in [("/healthz", 200), ("/metrics", 200), ("/", 401), ("/status", 401), ("/snapshot", 401), ("/explain", 401)] {
        let answer = http_get(&address, &address, path)?;
        ensure!(answer.status == expected, "{path} is answered {} to everybody: {:.200}", answer.status, answer.body);
    }
    let guessed = HttpCall::get(&address, &address, "/status").header("authorization", &format!("{token}0")).send()?;
    ensure!(guessed.status == 401, "a wrong token is answered {}", guessed.status);
    let rebound = HttpCall::get(&address, "rebound.test", "/status").header("authorization", &token).send()?;
    ensure!(rebound.status == 421, "by a foreign host name it is answered {}", rebound.status);
    let by_name = HttpCall::get(&address, "node1", "/status").header("authorization", &token).send()?;
    ensure!(by_name.status == 200, "by the node's name it is answered {}: {:.200}", by_name.status, by_name.body);
    // A process inside the container is allowed in.
    let operator = world.await_running("swarmgate_operator", 1)?.remove(0);
    let table = world.exec(&operator, &["swarmgate", "plan"])?;
    ensure!(table.contains("cluster default"), "{table}");
    Ok(())
}

fn page(world: &World) -> Result<()> {
    let script = "<script>document.title='theirs'</script><img src=x onerror=\"document.title='theirs'\">";
    App::new("paged").label("hots", script).create(world)?;
    world.await_finding("default", "UnknownLabel", "paged")?;
    // A new profile each time: a killed browser leaves a lock in its profile.
    let home = tempfile::tempdir()?;
    let profile = format!("--user-data-dir={}", home.path().display());
    let mut browser = Command::new("timeout");
    // No sandbox: it refuses to run as root. And nothing that connects to any server but the page's.
    browser.args(["--kill-after=5", "60", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]);
    browser.args(["--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-breakpad"]);
    let page = server(world)?.replace("http://", &format!("http://anybody:{}@", world.status_token()?));
    browser.args([&profile, "--dump-dom", &page]);
    let shown = finish(&mut browser).context("show the page in Chromium, which `make setup` installs")?;
    ensure!(shown.contains("<title>Swarmgate</title>"), "the title is another one:\n{shown}");
    ensure!(!shown.contains("<script") && !shown.contains("<img"), "the value became a part of the page:\n{shown}");
    for word in CLUSTERS.into_iter().chain(["paged.test/", "document.title", "UnknownLabel"]) {
        ensure!(shown.contains(word), "the page does not show {word}:\n{shown}");
    }
    Ok(())
}

/// The result of `explain` for a request, both from the operator and computed locally, is what the proxies then do.
fn explain(world: &World) -> Result<()> {
    App::new("told").label("context_root", "/shop").create(world)?;
    world.await_answer(&world.at(1, DEFAULT), "told.test", "/shop", "told")?;
    world.await_converged("default")?;
    let server = server(world)?;
    let asked = |path: &str, more: &[&str]| {
        let url = format!("http://told.test:{DEFAULT}{path}");
        world.swarmgate(&[&["explain", &url], more].concat())
    };
    let reached = asked("/shop/cart", &["--server", &server])?;
    for words in ["=> told answers and receives /shop/cart", "run the newest configuration", "endpoint", "on node"] {
        ensure!(reached.contains(words), "explain does not say {words:?}:\n{reached}");
    }
    world.await_code(&world.at(1, DEFAULT), "told.test", "/elsewhere", 404)?;
    let refused = asked("/elsewhere", &["--server", &server]);
    ensure!(refused.as_ref().is_err_and(|told| told.to_string().contains("=> 404")), "explain says {refused:?}");
    let labels = world.swarmgate(&["explain", "--service", "told", "--server", &server])?;
    ensure!(labels.contains("com.docker.lb.context_root = /shop"), "{labels}");

    let folder = tempfile::tempdir()?;
    let file = |name: &str, content: &str| -> Result<String> {
        let path = folder.path().join(name);
        std::fs::write(&path, content)?;
        Ok(path.display().to_string())
    };
    let snapshot = file("snapshot.json", &world.swarmgate(&["status", "--snapshot", "--server", &server])?)?;
    let elsewhere = ["--spec", &file("spec.yaml", SPEC)?, "--snapshot", &snapshot];
    let offline = asked("/shop/cart", &elsewhere)?;
    ensure!(offline.contains("=> told answers and receives /shop/cart"), "{offline}");
    let config = world.swarmgate(&["render", "--cluster", "default", "--server", &server])?;
    let same = world.swarmgate(&[&["render", "--cluster", "default"][..], &elsewhere].concat())?;
    ensure!(config == same && config.contains("server_name told.test;"), "the configurations differ:\n{config}\n{same}");
    Ok(())
}
