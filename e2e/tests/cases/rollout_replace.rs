//! `rollout: replace`: the configuration as a Swarm config, tasks replaced, any stock image.

use anyhow::{Result, ensure};
use swarmgate_e2e::testbed::{App, Case, Testbed};

use super::shared_swarm::{GATE, STOCK};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![case("rollout_replace::a_stock_nginx_serves_and_follows", follows)]
}

fn follows(testbed: &Testbed) -> Result<()> {
    let (first, third) = (testbed.at(1, STOCK), testbed.at(3, STOCK));
    testbed.await_code(&first, "classic.test", "/", 503)?;
    App::new("classic").cluster("stock").create(testbed)?;
    testbed.await_answer(&first, "classic.test", "/", "classic")?;
    testbed.await_answer(&third, "classic.test", "/", "classic")?;
    let image = testbed.service("swarmgate-proxy-stock")?["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"].clone();
    ensure!(image == "stock-nginx:dev", "it is {image}");
    testbed.await_converged("stock")?;
    testbed.update("classic", &["--replicas", "2"])?;
    testbed.await_answering(&first, "classic.test", 2)?;
    testbed.await_converged("stock")?;
    testbed.update("classic", &["--label-add", "com.docker.lb.hosts=renamed.test"])?;
    testbed.await_answer(&first, "renamed.test", "/", "classic")?;
    testbed.await_code(&first, "classic.test", "/", 503)?;
    testbed.await_converged("stock").map(drop)
}
