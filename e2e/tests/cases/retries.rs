//! Applications that refuse or drop connections: which endpoint is tried next, and which one is skipped for a while.

use anyhow::{Result, ensure};
use swarmgate_e2e::wait::eventually;
use swarmgate_e2e::world::{App, Case, HttpCall, Response, World};

use super::SLOW;
use super::shared_swarm::{DEFAULT, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("retries::a_task_that_does_not_listen_yet_costs_no_request_whatever_the_method", refusing),
        case("retries::after_a_connection_that_broke_off_only_what_may_be_repeated_is", breaking_off),
        case("retries::the_labels_about_failures_are_in_every_proxys_configuration_and_work", limits),
    ]
}

/// How many requests of a kind are examined.
const REQUESTS: usize = 40;

/// One task of the host `pool.test` that works, and one that does not; neither is ever skipped.
fn pool(world: &World, broken: &str) -> Result<()> {
    let member = |name| App::new(name).label("hosts", "pool.test").label("max_fails", "0");
    member("works").create(world)?;
    member("broken").words(&["--env", broken]).create(world)
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

fn refusing(world: &World) -> Result<()> {
    pool(world, "START_ON_USR1=yes")?;
    let address = world.at(1, DEFAULT);
    await_tried(&address)?;
    world.await_converged("default")?;
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
    let task = world.await_running("broken", 1)?.remove(0);
    world.exec(&task, &["kill", "-USR1", "1"])?;
    world.await_answering(&address, "pool.test", 2).map(drop)
}

fn breaking_off(world: &World) -> Result<()> {
    pool(world, "HANG_UP=yes")?;
    let address = world.at(1, DEFAULT);
    await_tried(&address)?;
    world.await_converged("default")?;
    let answers = get(&address).repeat(REQUESTS)?;
    let retried = answers.iter().filter(|answer| tries(answer) == 2).count();
    ensure!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    ensure!(retried >= REQUESTS / 4, "{retried} of {REQUESTS} requests met the task that breaks off");
    let answers = post(&address).repeat(REQUESTS)?;
    ensure!(answers.iter().all(|answer| tries(answer) == 1), "a POST that an application has read is never sent again: {answers:?}");
    let with = |status| answers.iter().filter(|answer| answer.status == status).count();
    ensure!(with(200) + with(502) == REQUESTS && with(200) >= REQUESTS / 4 && with(502) >= REQUESTS / 4, "{answers:?}");
    Ok(())
}

fn limits(world: &World) -> Result<()> {
    let member = |name| App::new(name).label("hosts", "pool.test").label("max_fails", "1").label("fail_timeout", "11m");
    member("works").create(world)?;
    member("broken").words(&["--env", "HANG_UP=yes"]).create(world)?;
    let address = world.at(1, DEFAULT);
    await_tried(&address)?;
    world.await_converged("default")?;
    await_limits(world, "max_fails=1 fail_timeout=660s;")?;
    // A configuration starts with all endpoints in use; after the one failure, the broken task is out.
    let answers = get(&address).repeat(REQUESTS)?;
    ensure!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    ensure!(answers[4..].iter().all(|answer| tries(answer) == 1), "the failing task is still asked: {answers:?}");
    let labels = ["--label-add", "com.docker.lb.max_fails=7", "--label-add", "com.docker.lb.fail_timeout=1500ms"];
    ["works", "broken"].iter().try_for_each(|name| world.update(name, &labels))?;
    // nginx has a resolution of whole seconds.
    await_limits(world, "max_fails=7 fail_timeout=2s;")
}

/// Waits until both endpoints have these parameters in the configuration that the engine of every proxy reads.
fn await_limits(world: &World, words: &str) -> Result<()> {
    for task in world.await_running("swarmgate-proxy-default", 3)? {
        eventually(SLOW, &format!("two endpoints with {words} in a proxy's configuration"), || {
            let text = world
                .exec(&task, &["nginx", "-p", "/run/swarmgate", "-c", "/run/swarmgate/config/current/nginx.conf", "-T", "-e", "stderr"])?;
            let lines: Vec<_> = text.lines().map(str::trim).filter(|line| line.starts_with("server ") && line.ends_with(words)).collect();
            ensure!(lines.len() == 2, "there are {lines:?}");
            Ok(())
        })?;
    }
    Ok(())
}
