//! Clients that stay on one task, by cookie or by client address, while the application grows and shrinks.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use serde_json::Value;
use swarmgate_e2e::testbed::{App, Case, HttpCall, Testbed};
use swarmgate_e2e::wait::eventually;

use super::SLOW;
use super::shared_swarm::{DEFAULT, GATE};

/// Enough that a task without any client is no accident: with five tasks, that happens once in 14,000 times.
const CLIENTS: u8 = 50;

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("sticky_sessions::with_a_cookie_only_clients_of_ended_tasks_move", by_cookie),
        case("sticky_sessions::with_ip_hash_only_clients_of_ended_tasks_move", by_address),
    ]
}

fn by_cookie(testbed: &Testbed) -> Result<()> {
    App::new("basket").label("sticky_session_cookie", "SID").replicas(3).create(testbed)?;
    let calls = |address: &str| -> Vec<HttpCall> {
        (0..CLIENTS).map(|n| HttpCall::get(address, "basket.test", "/").header("cookie", &format!("a=b; SID=client{n}; c=d"))).collect()
    };
    check_scaling(testbed, "basket", &calls)
}

fn by_address(testbed: &Testbed) -> Result<()> {
    App::new("account").label("ip_hash", "true").replicas(3).create(testbed)?;
    let addresses = testbed.lab.clients(CLIENTS)?;
    ensure!(addresses.len() == usize::from(CLIENTS), "{addresses:?}");
    let calls = |address: &str| -> Vec<HttpCall> {
        addresses.iter().map(|client| HttpCall::get(address, "account.test", "/").from(*client)).collect()
    };
    let about = testbed.await_answer(&testbed.at(1, DEFAULT), "account.test", "/", "account")?;
    ensure!(about["headers"]["x-real-ip"] == testbed.lab.gateway(), "the proxy must see the client's address: {about}");
    check_scaling(testbed, "account", &calls)
}

/// The task that each client reaches, by the client's number.
type Homes = BTreeMap<usize, String>;

/// Three tasks, then five, then two.
fn check_scaling(testbed: &Testbed, name: &str, calls: &dyn Fn(&str) -> Vec<HttpCall>) -> Result<()> {
    let three = settled(testbed, name, 3, calls)?;
    testbed.update(name, &["--replicas", "5"])?;
    let five = settled(testbed, name, 5, calls)?;
    let old = tasks(&three);
    let astray = moved(&three, &five).filter(|client| old.contains(&five[client])).count();
    ensure!(astray == 0, "{astray} clients moved from one old task to another:\n{three:?}\n{five:?}");
    testbed.update(name, &["--replicas", "2"])?;
    let two = settled(testbed, name, 2, calls)?;
    let alive = tasks(&two);
    let astray = moved(&five, &two).filter(|client| alive.contains(&five[client])).count();
    ensure!(astray == 0, "{astray} clients moved although their task stayed:\n{five:?}\n{two:?}");
    Ok(())
}

fn tasks(homes: &Homes) -> BTreeSet<String> {
    homes.values().cloned().collect()
}

/// The clients that reached a different task before.
fn moved<'a>(before: &'a Homes, after: &'a Homes) -> impl Iterator<Item = usize> + 'a {
    before.iter().filter(|(client, home)| after[client] != **home).map(|(client, _)| *client)
}

/// Which task each client reaches, once exactly the running tasks are reached, everywhere. All proxies must agree.
fn settled(testbed: &Testbed, name: &str, count: usize, calls: &dyn Fn(&str) -> Vec<HttpCall>) -> Result<Homes> {
    let running: BTreeSet<String> = testbed.await_running(name, count)?.iter().map(hostname).collect();
    let probe = || {
        let [first, second] = [1, 2].map(|k| homes(&calls(&testbed.at(k, DEFAULT))));
        let (first, second) = (first?, second?);
        ensure!(tasks(&first) == running, "{:?} are met, {running:?} run", tasks(&first));
        ensure!(first == second, "two proxies send clients to different tasks:\n{first:?}\n{second:?}");
        Ok(first)
    };
    eventually(SLOW, &format!("the clients of {name} reach all {count} tasks"), probe)?;
    // Until now, old workers may have answered some of them.
    testbed.await_converged("default")?;
    probe()
}

fn homes(calls: &[HttpCall]) -> Result<Homes> {
    let home = |call: &HttpCall| {
        let answer = call.send()?;
        ensure!(answer.status == 200, "status {} {:.200}", answer.status, answer.body);
        Ok(answer.json()?["hostname"].as_str().unwrap_or_default().to_owned())
    };
    calls.iter().enumerate().map(|(client, call)| Ok((client, home(call)?))).collect()
}

/// A container's host name is the beginning of its id.
fn hostname(task: &Value) -> String {
    task["Status"]["ContainerStatus"]["ContainerID"].as_str().unwrap_or_default().chars().take(12).collect()
}
