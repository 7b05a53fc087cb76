//! Three managers: the operator's node is lost.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use swarmgate_e2e::testbed::{App, Case, STAYS, Setting, Steady, Testbed};
use swarmgate_e2e::wait::eventually;

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

const FAILOVER_TESTBED: Setting = Setting { name: "failover", nodes: 3, managers: 3, prepare, before: settle };

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, FAILOVER_TESTBED, check);
    vec![case("operator_failover::after_losing_its_manager_another_operator_takes_over", manager_lost).with_traffic()]
}

fn prepare(testbed: &Testbed) -> Result<()> {
    testbed.lab.await_ready()?;
    App::new("anchor").args(&["--label", &format!("{STAYS}=yes")]).create(testbed)?;
    testbed.deploy_swarmgate_with(SPEC, &[])
}

fn settle(testbed: &Testbed) -> Result<()> {
    (1..=3).try_for_each(|k| testbed.await_answer(&testbed.at(k, 8081), "anchor.test", "/", "anchor").map(drop))?;
    testbed.await_converged("default").map(drop)
}

fn manager_lost(testbed: &Testbed) -> Result<()> {
    let operator = testbed.await_running("swarmgate_operator", 1)?.remove(0);
    let lost = testbed.node_of(&operator)?;
    let left: Vec<_> = (1..=3).filter(|k| *k != lost).collect();
    let [near, far] = left[..] else { anyhow::bail!("{left:?} are left") };
    App::new("lasts").on_node(near).create(testbed)?;
    let (kept, fresh) = (testbed.at(near, 8081), testbed.at(far, 8081));
    testbed.await_answer(&kept, "lasts.test", "/", "lasts")?;
    testbed.await_answer(&fresh, "lasts.test", "/", "lasts")?;
    testbed.await_converged("default")?;
    let traffic = Steady::start([&kept, &fresh], "lasts.test")?;
    testbed.lab.power_off(lost)?;
    eventually(FAILOVER, "an operator runs on another manager", || {
        let now = testbed.running_tasks("swarmgate_operator")?;
        let elsewhere = now.iter().find(|task| task["ID"] != operator["ID"]).context("no other operator runs yet")?;
        ensure!(testbed.node_of(elsewhere)? != lost, "the operator is still listed on the lost node");
        testbed.query_operator("/readyz").map(drop)
    })?;
    App::new("newer").on_node(far).create(testbed)?;
    testbed.await_answer(&kept, "newer.test", "/", "newer")?;
    testbed.await_answer(&fresh, "newer.test", "/", "newer")?;
    traffic.stop_without_loss()?;
    testbed.lab.start(lost)?;
    testbed.await_answer(&testbed.at(lost, 8081), "newer.test", "/", "newer")?;
    testbed.await_converged("default").map(drop)
}
