//! Three managers: the operator's node is lost.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use swarmgate_e2e::wait::eventually;
use swarmgate_e2e::world::{App, Case, STAYS, Setting, Steady, World};

/// Swarm takes 10 s to elect another leader, 15 s to declare a node down, and 5 s more to start its tasks elsewhere.
const FAILOVER: Duration = Duration::from_secs(120);

const SPEC: &str = "apiVersion: swarmgate/v1
kind: ServiceCluster
metadata:
  name: default
spec:
  engine: nginx
  extension:
    image: swarmgate-nginx:dev
  proxy:
    image: swarmgate-nginx:dev
    mode: global
    publish:
      mode: host
      http: {published: 8081, target: 80}
    update: {monitor: 1s}
";

const FAILOVER_WORLD: Setting = Setting { name: "failover", nodes: 3, managers: 3, prepare, before: settle };

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, FAILOVER_WORLD, check);
    vec![case("operator_failover::the_operators_manager_lost_another_takes_over", manager_lost).with_traffic()]
}

fn prepare(world: &World) -> Result<()> {
    world.lab.await_ready()?;
    App::new("anchor").words(&["--label", &format!("{STAYS}=yes")]).create(world)?;
    world.deploy_swarmgate_with(SPEC, &[])
}

fn settle(world: &World) -> Result<()> {
    (1..=3).try_for_each(|k| world.await_answer(&world.at(k, 8081), "anchor.test", "/", "anchor").map(drop))?;
    world.await_converged("default").map(drop)
}

fn manager_lost(world: &World) -> Result<()> {
    let operator = world.await_running("swarmgate_operator", 1)?.remove(0);
    let lost = world.node_of(&operator)?;
    let left: Vec<_> = (1..=3).filter(|k| *k != lost).collect();
    let [near, far] = left[..] else { anyhow::bail!("{left:?} are left") };
    App::new("lasts").on_node(near).create(world)?;
    let (kept, fresh) = (world.at(near, 8081), world.at(far, 8081));
    world.await_answer(&kept, "lasts.test", "/", "lasts")?;
    world.await_answer(&fresh, "lasts.test", "/", "lasts")?;
    world.await_converged("default")?;
    let traffic = Steady::start([&kept, &fresh], "lasts.test")?;
    world.lab.power_off(lost)?;
    eventually(FAILOVER, "an operator runs on another manager", || {
        let now = world.running_tasks("swarmgate_operator")?;
        let elsewhere = now.iter().find(|task| task["ID"] != operator["ID"]).context("there is no other yet")?;
        ensure!(world.node_of(elsewhere)? != lost, "it is said to run on the lost node");
        world.ask_operator("/readyz").map(drop)
    })?;
    App::new("newer").on_node(far).create(world)?;
    world.await_answer(&kept, "newer.test", "/", "newer")?;
    world.await_answer(&fresh, "newer.test", "/", "newer")?;
    traffic.stop_without_loss()?;
    world.lab.start(lost)?;
    world.await_answer(&world.at(lost, 8081), "newer.test", "/", "newer")?;
    world.await_converged("default").map(drop)
}
