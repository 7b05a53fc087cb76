//! Applications that refuse or drop connections: which endpoint is tried next, and which one is skipped for a while.

use anyhow::{Result, ensure};
use swarmgate_e2e::testbed::{App, Case, HttpCall, Response, Testbed};
use swarmgate_e2e::wait::eventually;

use super::SLOW;
use super::shared_swarm::{DEFAULT, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("retries::a_task_that_does_not_listen_yet_fails_no_request_of_any_method", refusing),
        case("retries::after_a_broken_connection_only_repeatable_requests_are_retried", breaking_off),
        case("retries::failure_labels_reach_every_proxy_and_apply", limits),
    ]
}

/// How many requests of a kind are examined.
const REQUESTS: usize = 40;

/// One task of the host `pool.test` that works, and one that does not; neither is ever skipped.
fn pool(testbed: &Testbed, broken: &str) -> Result<()> {
    let member = |name| App::new(name).label("hosts", "pool.test").label("max_fails", "0");
    member("works").create(testbed)?;
    member("broken").args(&["--env", broken]).create(testbed)
}

fn get(address: &str) -> HttpCall {
    HttpCall::get(address, "pool.test", "/")
}

fn post(address: &str) -> HttpCall {
    HttpCall::post(address, "pool.test", "/", "once")
}

/// How many endpoints a request was sent to.
fn tries(answer: &Response) -> usize {
    answer.header("x-upstream-addr").unwrap_or_default().split(',').count()
}

/// Waits until both tasks receive requests, so that requests reach the broken one.
fn await_tried(address: &str) -> Result<()> {
    eventually(SLOW, "a request is tried at both tasks", || {
        let answers = get(address).repeat(4)?;
        ensure!(answers.iter().any(|answer| tries(answer) == 2), "{:?}", answers.first());
        Ok(())
    })
}

fn refusing(testbed: &Testbed) -> Result<()> {
    pool(testbed, "START_ON_USR1=yes")?;
    let address = testbed.at(1, DEFAULT);
    await_tried(&address)?;
    testbed.await_converged("default")?;
    for call in [get(&address), post(&address)] {
        let answers = call.repeat(REQUESTS)?;
        for answer in &answers {
            ensure!(answer.status == 200, "{answer:?}");
            let about = answer.json()?;
            ensure!(about["version"] == "works" && (about["method"] == "GET" || about["body_bytes"] == 4), "{about}");
        }
        let retried = answers.iter().filter(|answer| tries(answer) == 2).count();
        ensure!(retried >= REQUESTS / 4, "{retried} of {REQUESTS} requests met the task that refuses");
    }
    let task = testbed.await_running("broken", 1)?.remove(0);
    testbed.exec(&task, &["kill", "-USR1", "1"])?;
    testbed.await_answering(&address, "pool.test", 2).map(drop)
}

fn breaking_off(testbed: &Testbed) -> Result<()> {
    pool(testbed, "HANG_UP=yes")?;
    let address = testbed.at(1, DEFAULT);
    await_tried(&address)?;
    testbed.await_converged("default")?;
    let answers = get(&address).repeat(REQUESTS)?;
    let retried = answers.iter().filter(|answer| tries(answer) == 2).count();
    ensure!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    ensure!(retried >= REQUESTS / 4, "{retried} of {REQUESTS} requests met the task that breaks off");
    let answers = post(&address).repeat(REQUESTS)?;
    ensure!(answers.iter().all(|answer| tries(answer) == 1), "a POST that an application has read was repeated: {answers:?}");
    let with = |status| answers.iter().filter(|answer| answer.status == status).count();
    ensure!(with(200) + with(502) == REQUESTS && with(200) >= REQUESTS / 4 && with(502) >= REQUESTS / 4, "{answers:?}");
    Ok(())
}

fn limits(testbed: &Testbed) -> Result<()> {
    let member = |name| App::new(name).label("hosts", "pool.test").label("max_fails", "1").label("fail_timeout", "11m");
    member("works").create(testbed)?;
    member("broken").args(&["--env", "HANG_UP=yes"]).create(testbed)?;
    let address = testbed.at(1, DEFAULT);
    await_tried(&address)?;
    testbed.await_converged("default")?;
    await_limits(testbed, "max_fails=1 fail_timeout=660s;")?;
    // A configuration starts with all endpoints in use; after the one failure, the broken task is out.
    let answers = get(&address).repeat(REQUESTS)?;
    ensure!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    ensure!(answers[4..].iter().all(|answer| tries(answer) == 1), "the failing task still receives requests: {answers:?}");
    let labels = ["--label-add", "com.docker.lb.max_fails=7", "--label-add", "com.docker.lb.fail_timeout=1500ms"];
    ["works", "broken"].iter().try_for_each(|name| testbed.update(name, &labels))?;
    // nginx has a resolution of whole seconds.
    await_limits(testbed, "max_fails=7 fail_timeout=2s;")
}

/// Waits until both endpoints have these parameters in the configuration that the engine of every proxy reads.
fn await_limits(testbed: &Testbed, limits: &str) -> Result<()> {
    for task in testbed.await_running("swarmgate-proxy-default", 3)? {
        eventually(SLOW, &format!("two endpoints with {limits} in a proxy's configuration"), || {
            let text = testbed
                .exec(&task, &["nginx", "-p", "/run/swarmgate", "-c", "/run/swarmgate/config/current/nginx.conf", "-T", "-e", "stderr"])?;
            let lines: Vec<_> = text.lines().map(str::trim).filter(|line| line.starts_with("server ") && line.ends_with(limits)).collect();
            ensure!(lines.len() == 2, "there are {lines:?}");
            Ok(())
        })?;
    }
    Ok(())
}
