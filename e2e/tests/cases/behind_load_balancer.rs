//! A load balancer in front of running proxies: whose headers are trusted, that redirects terminate behind it, and that proxies
//! switch to the PROXY protocol without being replaced.

use anyhow::{Context as _, Result, ensure};
use swarmgate_e2e::testbed::{App, Case, HttpCall, Response, Testbed, http_get, http_get_by_proxy_protocol};
use swarmgate_e2e::wait::eventually;

use super::SLOW;
use super::settings::with;
use super::shared_swarm::{DEFAULT, GATE, declare};

/// The address of a client behind the balancer.
const CLIENT: &str = "203.0.113.9";

pub(super) fn cases() -> Vec<Case> {
    vec![Case::new("behind_load_balancer::only_the_load_balancer_in_front_is_trusted", GATE, balancer)]
}

fn balancer(testbed: &Testbed) -> Result<()> {
    App::new("front").label("ssl_only", "true").create(testbed)?;
    let (address, front) = (testbed.at(2, DEFAULT), testbed.lab.gateway());
    let stranger = *testbed.lab.clients(1)?.first().context("the lab has another client")?;
    testbed.await_code(&address, "front.test", "/", 301)?;
    let before = testbed.task_ids("swarmgate-proxy-default")?;
    declare(testbed, &with(&format!("  settings: {{clientAddress: {{trusted: [{front}], from: x-forwarded-for}}}}\n"))?)?;
    let ended = |call: HttpCall| call.header("x-forwarded-for", CLIENT).header("x-forwarded-proto", "https").send();
    let seen = eventually(SLOW, "the balancer is believed", || served(&ended(HttpCall::get(&address, "front.test", "/"))?))?;
    for (name, value) in [("x-real-ip", CLIENT), ("x-forwarded-proto", "https"), ("x-forwarded-port", "443")] {
        ensure!(seen["headers"][name] == value, "{name}: {seen}");
    }
    ensure!(seen["headers"]["x-forwarded-for"] == format!("{CLIENT}, {front}"), "{seen}");
    ensure!(http_get(&address, "front.test", "/")?.status == 301, "requests that reach the balancer over plain HTTP must be redirected");
    ensure!(ended(HttpCall::get(&address, "front.test", "/").from(stranger))?.status == 301, "a stranger is not believed");
    declare(testbed, &with(&format!("  settings: {{clientAddress: {{trusted: [{front}], from: proxy-protocol}}}}\n"))?)?;
    eventually(SLOW, "connections begin with the PROXY protocol", || {
        let answer = http_get_by_proxy_protocol(&address, "front.test", "/")?;
        ensure!(answer.status == 301, "{answer:?}");
        ensure!(http_get(&address, "front.test", "/").is_err(), "one without it is served");
        Ok(())
    })?;
    testbed.await_converged("default")?;
    ensure!(testbed.task_ids("swarmgate-proxy-default")? == before, "a proxy was replaced or is unhealthy");
    Ok(())
}

fn served(answer: &Response) -> Result<serde_json::Value> {
    ensure!(answer.status == 200, "{answer:?}");
    answer.json()
}
