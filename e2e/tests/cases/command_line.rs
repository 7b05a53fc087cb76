//! What users see: the command line and the endpoints of a running operator.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarmgate_e2e::command::finish;
use swarmgate_e2e::testbed::{App, Case, HttpCall, Testbed, http_get};

use super::shared_swarm::{CLUSTERS, DEFAULT, GATE, SPEC};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("command_line::status_shows_clusters_routes_and_findings", status),
        case("command_line::plan_on_an_unchanged_swarm_is_empty_and_writes_nothing", plan),
        case("command_line::the_endpoints_answer", endpoints),
        case("command_line::without_the_token_only_monitoring_answers", clients_without_a_token),
        case("command_line::the_page_runs_no_script_written_by_others", page),
        case("command_line::explain_predicts_the_proxies", explain),
    ]
}

/// Where the command line reaches the operator.
fn server(testbed: &Testbed) -> Result<String> {
    let task = testbed.await_running("swarmgate_operator", 1)?.remove(0);
    Ok(format!("http://{}", testbed.at(testbed.node_of(&task)?, 8080)))
}

fn status(testbed: &Testbed) -> Result<()> {
    App::new("seen").create(testbed)?;
    App::new("misspelt").label("hots", "seen.test").create(testbed)?;
    testbed.await_answer(&testbed.at(1, DEFAULT), "seen.test", "/", "seen")?;
    testbed.await_answer(&testbed.at(1, DEFAULT), "misspelt.test", "/", "misspelt")?;
    testbed.await_finding("default", "UnknownLabel", "misspelt")?;
    testbed.await_converged("default")?;
    let server = server(testbed)?;
    let table = testbed.swarmgate(&["status", "--server", &server])?;
    let expected = CLUSTERS.into_iter().chain(["seen.test/", "Served", "node2", "com.docker.lb.hots", "UnknownLabel"]);
    for word in expected {
        ensure!(table.contains(word), "the table lacks {word}:\n{table}");
    }
    let json: Value = serde_json::from_str(&testbed.swarmgate(&["status", "--server", &server, "--output", "json"])?)?;
    ensure!(json["apiVersion"] == "swarmgate/v1" && json["clusters"]["default"]["phase"] == "Ready", "{json}");
    Ok(())
}

fn plan(testbed: &Testbed) -> Result<()> {
    let before = testbed.owned()?;
    let writes = testbed.counter("swarmgate_writes_total")?;
    let text = testbed.swarmgate(&["plan", "--server", &server(testbed)?])?;
    for name in CLUSTERS {
        let line = format!("cluster {name}: converged, nothing to do");
        ensure!(text.contains(&line), "there is no line {line:?}:\n{text}");
    }
    ensure!(testbed.counter("swarmgate_writes_total")? == writes && testbed.owned()? == before, "planning wrote something");
    Ok(())
}

fn endpoints(testbed: &Testbed) -> Result<()> {
    ensure!(testbed.query_operator("/healthz")?.starts_with("ok"), "healthz");
    ensure!(testbed.query_operator("/readyz")?.starts_with("ready"), "readyz");
    let page = testbed.query_operator("/")?;
    ensure!(page.contains("<html") && page.contains("anchor.test"), "the page shows routes: {page:.500}");
    let metrics = testbed.query_operator("/metrics")?;
    for name in ["swarmgate_pass_total", "swarmgate_routes", "swarmgate_proxies", "swarmgate_docker_requests_total", "swarmgate_build_info"]
    {
        ensure!(metrics.contains(&format!("# TYPE {name} ")), "no {name} in\n{metrics}");
    }
    Ok(())
}

fn clients_without_a_token(testbed: &Testbed) -> Result<()> {
    let address = server(testbed)?.trim_start_matches("http://").to_owned();
    let token = format!("Bearer {}", testbed.status_token()?);
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
    let operator = testbed.await_running("swarmgate_operator", 1)?.remove(0);
    let table = testbed.exec(&operator, &["swarmgate", "plan"])?;
    ensure!(table.contains("cluster default"), "{table}");
    Ok(())
}

fn page(testbed: &Testbed) -> Result<()> {
    let script = "<script>document.title='theirs'</script><img src=x onerror=\"document.title='theirs'\">";
    App::new("paged").label("hots", script).create(testbed)?;
    testbed.await_finding("default", "UnknownLabel", "paged")?;
    // A new profile each time: a killed browser leaves a lock in its profile.
    let home = tempfile::tempdir()?;
    let profile = format!("--user-data-dir={}", home.path().display());
    let mut browser = Command::new("timeout");
    // No sandbox: it refuses to run as root. And nothing that connects to any server but the page's.
    browser.args(["--kill-after=5", "60", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]);
    browser.args(["--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-breakpad"]);
    let page = server(testbed)?.replace("http://", &format!("http://anybody:{}@", testbed.status_token()?));
    browser.args([&profile, "--dump-dom", &page]);
    let shown = finish(&mut browser).context("show the page in Chromium, which `make setup` installs")?;
    ensure!(shown.contains("<title>Swarmgate</title>"), "the title differs:\n{shown}");
    ensure!(!shown.contains("<script") && !shown.contains("<img"), "the value became a part of the page:\n{shown}");
    for word in CLUSTERS.into_iter().chain(["paged.test/", "document.title", "UnknownLabel"]) {
        ensure!(shown.contains(word), "the page lacks {word}:\n{shown}");
    }
    Ok(())
}

/// The result of `explain` for a request, both from the operator and computed locally, is what the proxies then do.
fn explain(testbed: &Testbed) -> Result<()> {
    App::new("told").label("context_root", "/shop").create(testbed)?;
    testbed.await_answer(&testbed.at(1, DEFAULT), "told.test", "/shop", "told")?;
    testbed.await_converged("default")?;
    let server = server(testbed)?;
    let explain = |path: &str, more: &[&str]| {
        let url = format!("http://told.test:{DEFAULT}{path}");
        testbed.swarmgate(&[&["explain", &url], more].concat())
    };
    let reached = explain("/shop/cart", &["--server", &server])?;
    for text in ["=> told answers and receives /shop/cart", "run the newest configuration", "endpoint", "on node"] {
        ensure!(reached.contains(text), "explain does not print {text:?}:\n{reached}");
    }
    testbed.await_code(&testbed.at(1, DEFAULT), "told.test", "/elsewhere", 404)?;
    let refused = explain("/elsewhere", &["--server", &server]);
    ensure!(refused.as_ref().is_err_and(|error| error.to_string().contains("=> 404")), "explain says {refused:?}");
    let labels = testbed.swarmgate(&["explain", "--service", "told", "--server", &server])?;
    ensure!(labels.contains("com.docker.lb.context_root = /shop"), "{labels}");

    let folder = tempfile::tempdir()?;
    let file = |name: &str, content: &str| -> Result<String> {
        let path = folder.path().join(name);
        std::fs::write(&path, content)?;
        Ok(path.display().to_string())
    };
    let snapshot = file("snapshot.json", &testbed.swarmgate(&["status", "--snapshot", "--server", &server])?)?;
    let elsewhere = ["--spec", &file("spec.yaml", SPEC)?, "--snapshot", &snapshot];
    let offline = explain("/shop/cart", &elsewhere)?;
    ensure!(offline.contains("=> told answers and receives /shop/cart"), "{offline}");
    let config = testbed.swarmgate(&["render", "--cluster", "default", "--server", &server])?;
    let same = testbed.swarmgate(&[&["render", "--cluster", "default"][..], &elsewhere].concat())?;
    ensure!(config == same && config.contains("server_name told.test;"), "the configurations differ:\n{config}\n{same}");
    Ok(())
}
