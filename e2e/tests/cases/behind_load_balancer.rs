//! A load balancer in front of running proxies: whose headers are trusted, that redirects terminate behind it, and that proxies
//! switch to the PROXY protocol without being replaced.

use anyhow::{Context as _, Result, ensure};
use swarmgate_e2e::wait::eventually;
use swarmgate_e2e::world::{App, Case, HttpCall, Response, World, http_get, http_get_by_proxy_protocol};

use super::SLOW;
use super::settings::with;
use super::shared_swarm::{DEFAULT, GATE, declare};

/// The address of a client behind the balancer.
const CLIENT: &str = "203.0.113.9";

pub(super) fn cases() -> Vec<Case> {
    vec![Case::new("behind_load_balancer::a_load_balancer_in_front_is_believed_and_nobody_else_is", GATE, balancer)]
}

fn balancer(world: &World) -> Result<()> {
    App::new("front").label("ssl_only", "true").create(world)?;
    let (address, front) = (world.at(2, DEFAULT), world.lab.gateway());
    let stranger = *world.lab.clients(1)?.first().context("the lab has another client")?;
    world.await_code(&address, "front.test", "/", 301)?;
    let before = world.task_ids("swarmgate-proxy-default")?;
    declare(world, &with(&format!("  settings: {{clientAddress: {{trusted: [{front}], from: x-forwarded-for}}}}\n"))?)?;
    let ended = |call: HttpCall| call.header("x-forwarded-for", CLIENT).header("x-forwarded-proto", "https").send();
    let told = eventually(SLOW, "the balancer is believed", || served(&ended(HttpCall::get(&address, "front.test", "/"))?))?;
    for (name, value) in [("x-real-ip", CLIENT), ("x-forwarded-proto", "https"), ("x-forwarded-port", "443")] {
        ensure!(told["headers"][name] == value, "{name}: {told}");
    }
    ensure!(told["headers"]["x-forwarded-for"] == format!("{CLIENT}, {front}"), "{told}");
    ensure!(http_get(&address, "front.test", "/")?.status == 301, "what the balancer got by plain HTTP is redirected");
    ensure!(ended(HttpCall::get(&address, "front.test", "/").from(stranger))?.status == 301, "a stranger is not believed");
    declare(world, &with(&format!("  settings: {{clientAddress: {{trusted: [{front}], from: proxy-protocol}}}}\n"))?)?;
    eventually(SLOW, "connections begin with the PROXY protocol", || {
        let answer = http_get_by_proxy_protocol(&address, "front.test", "/")?;
        ensure!(answer.status == 301, "{answer:?}");
        ensure!(http_get(&address, "front.test", "/").is_err(), "one without it is served");
        Ok(())
    })?;
    world.await_converged("default")?;
    ensure!(world.task_ids("swarmgate-proxy-default")? == before, "no proxy was replaced, and none is unhealthy");
    Ok(())
}

fn served(answer: &Response) -> Result<serde_json::Value> {
    ensure!(answer.status == 200, "{answer:?}");
    answer.json()
}
