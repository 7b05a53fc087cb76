//! The control plane is silent for longer than allowed: proxies resolve endpoints by name, and a stranger that got an old
//! address does not answer for a published host.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarmgate_e2e::testbed::{App, Case, HttpCall, Steady, Testbed};
use swarmgate_e2e::wait::{eventually, throughout};

use super::SLOW;
use super::shared_swarm::{DEV, GATE};

const PROXY: &str = "swarmgate-proxy-dev";
/// So small that a released address is reused at once.
const NARROW: (&str, &str) = ("narrow", "10.231.7.0/28");
/// Another service's network.
const ELSEWHERE: &str = "elsewhere";
/// Enough tasks that none of the network's addresses stays free.
const SQUATTERS: usize = 12;

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("control_plane_silence::another_service_at_an_old_address_never_answers_for_a_host", address_taken_over).with_traffic(),
        case("control_plane_silence::restarting_operator_or_extension_switches_no_proxy_to_names", restarts).with_traffic(),
    ]
}

fn address_taken_over(testbed: &Testbed) -> Result<()> {
    testbed.docker(&["network", "create", "--driver", "overlay", "--attachable", "--subnet", NARROW.1, NARROW.0])?;
    App::new("owned").cluster("dev").network(NARROW.0).create(testbed)?;
    App::new("beside").cluster("dev").network("apps-dev").create(testbed)?;
    testbed.network(ELSEWHERE)?;
    // A neighbour whose network the proxies are attached to as well, and which has another service's name as an alias there.
    let alias = format!("name={ELSEWHERE},alias=beside,alias=beside.apps-dev");
    App::new("neighbour").cluster("dev").without_network().args(&["--network", &alias]).create(testbed)?;
    // This service stays on the network when the neighbour is removed, so the proxies are not replaced to leave it.
    App::new("stays").cluster("dev").network(ELSEWHERE).create(testbed)?;
    let at = testbed.at(3, DEV);
    testbed.await_answer(&at, "owned.test", "/", "owned")?;
    testbed.await_answer(&at, "stays.test", "/", "stays")?;
    testbed.await_answer(&at, "beside.test", "/", "beside")?;
    testbed.await_answer(&at, "neighbour.test", "/", "neighbour")?;
    testbed.await_converged("dev")?;
    let traffic = Steady::start([&at, &at], "beside.test")?;
    testbed.docker(&["service", "scale", "--detach", "swarmgate_operator=0"])?;
    testbed.await_alive("swarmgate_operator", 0)?;
    let silent = Instant::now();
    await_source(testbed, "names")?;
    let took = silent.elapsed();
    ensure!(took > Duration::from_secs(15), "the switch took {took:?}");
    testbed.await_answer(&at, "owned.test", "/", "owned")?;
    check_aliases(testbed, &at)?;

    take_the_address(testbed, &at)?;
    scale(testbed, "squatter", 2)?;
    scale(testbed, "owned", 1)?;
    eventually(SLOW, "the new task answers", || {
        only_its_own(&at)?;
        ensure!(HttpCall::get(&at, "owned.test", "/").send()?.status == 200, "no application answers");
        Ok(())
    })?;
    for _ in 0..200 {
        only_its_own(&at)?;
    }
    // The services that took the name are removed just as the control plane returns.
    testbed.docker(&["service", "scale", "--detach", "swarmgate_operator=1"])?;
    testbed.docker(&["service", "rm", "aliased", "neighbour"])?;
    await_source(testbed, "live")?;
    testbed.await_converged("dev")?;
    testbed.await_answer(&at, "owned.test", "/", "owned")?;
    traffic.stop_without_loss()?;
    let cluster = testbed.cluster("dev")?;
    ensure!(cluster["proxies"][0]["fallbacks"] == 1, "{}", cluster["proxies"]);
    Ok(())
}

/// Another service's tasks get the address of a removed task of `owned`, and answer for none of its hosts.
fn take_the_address(testbed: &Testbed, at: &str) -> Result<()> {
    // The network is full, so that the next task gets the address that becomes free.
    let replicas = SQUATTERS.to_string();
    let squatter = ["--network", NARROW.0, "--endpoint-mode", "dnsrr", "--replicas", &replicas, "--env", "VERSION=stranger", "demo-app:v1"];
    testbed.create("squatter", &squatter)?;
    let count = eventually(SLOW, "as many strangers run as there are addresses for", || {
        let before = addresses_of(testbed, "squatter")?;
        ensure!(!before.is_empty(), "no proxy runs yet");
        throughout(Duration::from_secs(6), "no other proxy starts", || {
            let now = addresses_of(testbed, "squatter")?;
            ensure!(now == before, "{before:?} became {now:?}");
            Ok(())
        })?;
        Ok(before.len())
    })?;
    scale(testbed, "squatter", count)?;
    testbed.await_alive("squatter", count)?;
    let old = testbed.await_running("owned", 1)?.remove(0);
    let address = address_of(&old).context("the task has an address")?;
    // A task replaced at once would pass its address on to its own successor, because no other is free.
    scale(testbed, "owned", 0)?;
    testbed.await_alive("owned", 0)?;
    // The time that Docker's name server and the engine take to drop an address.
    throughout(Duration::from_secs(4), "no stranger answers", || only_its_own(at))?;
    // More tasks than addresses: they take all that are free, including the old one.
    scale(testbed, "squatter", SQUATTERS)?;
    eventually(SLOW, "a stranger has the old address", || {
        let addresses = addresses_of(testbed, "squatter")?;
        only_its_own(at)?;
        ensure!(addresses.contains(&address), "{address} is not among {addresses:?}");
        Ok(())
    })?;
    for _ in 0..200 {
        only_its_own(at)?;
    }
    Ok(())
}

/// Docker resolves the name of a service to any service that uses it as an alias; proxies do not.
fn check_aliases(testbed: &Testbed, at: &str) -> Result<()> {
    let check = || {
        for _ in 0..200 {
            let answer = HttpCall::get(at, "beside.test", "/").send()?;
            ensure!(answer.status == 200 && answer.json()?["version"] == "beside", "{} {:.300}", answer.status, answer.body);
        }
        Ok(())
    };
    check().context("a neighbour has the name on his own network")?;
    let args = ["--network", "name=apps-dev,alias=beside", "--hostname", "tasks.beside", "--env", "VERSION=alias", "demo-app:v1"];
    testbed.create("aliased", &args)?;
    testbed.await_running("aliased", 1)?;
    throughout(Duration::from_secs(5), "only the service itself answers", check)
}

fn scale(testbed: &Testbed, service: &str, count: usize) -> Result<()> {
    testbed.docker(&["service", "scale", "--detach", &format!("{service}={count}")]).map(drop)
}

/// Panics, and so fails without a retry, if another service answers; no response at all is acceptable here.
fn only_its_own(at: &str) -> Result<()> {
    let Ok(answer) = HttpCall::get(at, "owned.test", "/").patience(Duration::from_secs(20)).send() else { return Ok(()) };
    assert!(answer.status != 200 || answer.json()?["version"] == "owned", "a stranger answers for the host: {:.300}", answer.body);
    Ok(())
}

fn addresses_of(testbed: &Testbed, service: &str) -> Result<BTreeSet<String>> {
    Ok(testbed.running_tasks(service)?.iter().filter_map(address_of).collect())
}

fn address_of(task: &Value) -> Option<String> {
    let attachments = task["NetworksAttachments"].as_array()?;
    let narrow = attachments.iter().find(|attachment| attachment["Network"]["Spec"]["Name"] == NARROW.0)?;
    Some(narrow["Addresses"][0].as_str()?.split('/').next()?.to_owned())
}

/// Waits until the proxy itself reports this source of its configuration.
fn await_source(testbed: &Testbed, source: &str) -> Result<()> {
    eventually(SLOW, &format!("the proxy's configuration is from {source:?}"), || {
        let task = testbed.running_tasks(PROXY)?.pop().context("no proxy runs")?;
        let output = testbed.exec(&task, &["swarmgate", "proxy", "--check"])?;
        ensure!(output.contains(&format!("({source})")), "the source is {output}");
        Ok(())
    })
}

fn restarts(testbed: &Testbed) -> Result<()> {
    App::new("calm").cluster("dev").network("apps-dev").create(testbed)?;
    let at = testbed.at(3, DEV);
    testbed.await_answer(&at, "calm.test", "/", "calm")?;
    testbed.await_converged("dev")?;
    let before = testbed.cluster("dev")?["proxies"].take();
    let traffic = Steady::start([&at, &at], "calm.test")?;
    for service in ["swarmgate_operator", "swarmgate-extension-dev"] {
        let task = testbed.await_running(service, 1)?.remove(0);
        testbed.kill(&task)?;
        eventually(SLOW, &format!("another task of {service} runs"), || {
            let now = testbed.running_tasks(service)?;
            ensure!(now.first().is_some_and(|now| now["ID"] != task["ID"]), "no task runs yet");
            Ok(())
        })?;
        testbed.await_converged("dev")?;
    }
    traffic.stop_without_loss()?;
    let after = testbed.cluster("dev")?["proxies"].take();
    let summary = |proxies: &Value| [proxies[0]["task"].clone(), proxies[0]["fallbacks"].clone(), proxies[0]["reloads"].clone()];
    // An earlier case may have switched this proxy to names.
    ensure!(summary(&before) == summary(&after), "{before} became {after}");
    Ok(())
}
