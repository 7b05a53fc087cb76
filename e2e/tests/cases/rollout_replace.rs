//! `rollout: replace`: the configuration as a Swarm config, tasks replaced, any stock image.

use anyhow::{Result, ensure};
use swarmgate_e2e::world::{App, Case, World};

use super::shared_swarm::{GATE, STOCK};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![case("rollout_replace::a_stock_nginx_serves_and_follows", follows)]
}

fn follows(world: &World) -> Result<()> {
    let (first, third) = (world.at(1, STOCK), world.at(3, STOCK));
    world.await_code(&first, "classic.test", "/", 503)?;
    App::new("classic").cluster("stock").create(world)?;
    world.await_answer(&first, "classic.test", "/", "classic")?;
    world.await_answer(&third, "classic.test", "/", "classic")?;
    let image = world.service("swarmgate-proxy-stock")?["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"].clone();
    ensure!(image == "stock-nginx:dev", "it is {image}");
    world.await_converged("stock")?;
    world.update("classic", &["--replicas", "2"])?;
    world.await_answering(&first, "classic.test", 2)?;
    world.await_converged("stock")?;
    world.update("classic", &["--label-add", "com.docker.lb.hosts=renamed.test"])?;
    world.await_answer(&first, "renamed.test", "/", "classic")?;
    world.await_code(&first, "classic.test", "/", 503)?;
    world.await_converged("stock").map(drop)
}
