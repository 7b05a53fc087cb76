//! The testbed that most cases share: Swarmgate with four clusters, and what is restored between two cases. It must never hide
//! that a case left something behind that Swarmgate should have corrected itself.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarmgate_e2e::testbed::{App, STAYS, Setting, Testbed};
use swarmgate_e2e::wait::eventually;

/// Three nodes, one manager, four service clusters: see `spec.yaml`.
pub(super) const GATE: Setting = Setting { name: "gate", nodes: 3, managers: 1, prepare, before: settle };

/// The declaration at the start of every case.
pub(super) const SPEC: &str = include_str!("spec.yaml");
/// The clusters in it.
pub(super) const CLUSTERS: [&str; 4] = ["default", "dev", "mesh", "stock"];

/// Where the clusters of [`SPEC`] answer.
pub(super) const DEFAULT: u16 = 8081;
pub(super) const DEV: u16 = 8082;
pub(super) const MESH: u16 = 8083;
pub(super) const STOCK: u16 = 8084;

/// One permanent application each, so that proxies are attached to `apps` and `apps-dev` once and for all.
const ANCHORS: [(&str, &str, Option<&str>); 2] = [("anchor", "apps", None), ("anchor-dev", "apps-dev", Some("dev"))];
const SETTLED: Duration = Duration::from_secs(150);

fn prepare(testbed: &Testbed) -> Result<()> {
    testbed.lab.await_ready()?;
    label_nodes(testbed)?;
    for (name, network, cluster) in ANCHORS {
        let stays = format!("{STAYS}=yes");
        let app = App::new(name).network(network).on_node(2).args(&["--label", &stays]);
        cluster.into_iter().fold(app, App::cluster).create(testbed)?;
    }
    testbed.deploy_swarmgate_with(SPEC, &[])
}

/// Restores the declaration and the node labels if a case changed them, and waits until all of Swarmgate has settled.
fn settle(testbed: &Testbed) -> Result<()> {
    label_nodes(testbed)?;
    if !is_deployed(testbed) {
        declare(testbed, SPEC)?;
    }
    eventually(SETTLED, "Swarmgate has settled", || {
        let status = testbed.status()?;
        let clusters: Vec<_> = status["clusters"].as_object().context("no clusters")?.keys().map(String::as_str).collect();
        ensure!(clusters == CLUSTERS, "the clusters are {clusters:?}");
        CLUSTERS.iter().try_for_each(|name| only_anchors(&status["clusters"][name]).with_context(|| format!("cluster {name}")))
    })?;
    CLUSTERS.iter().try_for_each(|name| testbed.await_converged(name).map(drop))
}

/// Deploys the chart with another declaration, and returns when the only operator left running has read it.
pub(super) fn declare(testbed: &Testbed, spec: &str) -> Result<()> {
    testbed.deploy_swarmgate_with(spec, &[])?;
    await_operator_with(testbed, spec)
}

/// Waits until the only operator left running has read this declaration.
pub(super) fn await_operator_with(testbed: &Testbed, spec: &str) -> Result<()> {
    let version = Testbed::spec_version(spec);
    eventually(SETTLED, "the operator has the new declaration", || {
        let tasks = testbed.running_tasks("swarmgate_operator")?;
        ensure!(tasks.iter().any(|task| mounts(&task["Spec"], &version)), "it has another one");
        testbed.query_operator("/readyz").map(drop)
    })?;
    testbed.await_alive("swarmgate_operator", 1)
}

fn only_anchors(cluster: &Value) -> Result<()> {
    let hosts: Vec<_> = cluster["routes"].as_array().into_iter().flatten().map(|route| route["host"].as_str()).collect();
    let leftovers = hosts.iter().flatten().any(|host| !host.starts_with("anchor"));
    ensure!(!leftovers, "the routes of an earlier case are still there: {hosts:?}");
    Ok(())
}

/// Whether the operator runs with the shared declaration.
fn is_deployed(testbed: &Testbed) -> bool {
    let Ok(operator) = testbed.service("swarmgate_operator") else { return false };
    mounts(&operator["Spec"]["TaskTemplate"], &Testbed::spec_version(SPEC)) && operator["Spec"]["Mode"]["Replicated"]["Replicas"] == 1
}

/// Whether a task template mounts that version of the declaration.
fn mounts(template: &Value, version: &str) -> bool {
    let configs = template["ContainerSpec"]["Configs"].as_array().into_iter().flatten();
    configs.into_iter().filter_map(|config| config["ConfigName"].as_str()).any(|name| name.ends_with(version))
}

/// Sets `lb=dev` on node3 and nowhere else.
fn label_nodes(testbed: &Testbed) -> Result<()> {
    for k in 1..=3 {
        let node = format!("node{k}");
        let label = testbed.docker(&["node", "inspect", "--format", "{{index .Spec.Labels \"lb\"}}", &node])?;
        match (k, label.trim()) {
            (3, "dev") | (1 | 2, "") => {}
            (3, _) => testbed.label_node(3, "lb", Some("dev"))?,
            _ => testbed.label_node(k, "lb", None)?,
        }
    }
    Ok(())
}
