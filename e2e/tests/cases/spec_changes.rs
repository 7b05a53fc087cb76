//! The declaration changes: the fleet follows, with no more task replacements than the change needs.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use swarmgate_e2e::testbed::{App, Case, Steady, Testbed, http_get};
use swarmgate_e2e::wait::eventually;

use super::SLOW;
use super::shared_swarm::{CLUSTERS, DEFAULT, DEV, GATE, MESH, SPEC, await_operator_with, declare};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("spec_changes::constraints_replicas_and_ports_are_followed", followed),
        case("spec_changes::constraints_removed_from_the_document_no_longer_restrict_tasks", unconstrained),
        case("spec_changes::a_change_that_needs_no_new_tasks_creates_none", no_new_tasks).with_traffic(),
        case("spec_changes::a_removed_cluster_loses_only_its_own_objects", cluster_leaves),
        case("spec_changes::a_cluster_with_an_impossible_image_delays_no_other", impossible_image),
        case("spec_changes::a_broken_spec_fails_the_chart_update_and_the_last_one_stays_applied", broken).with_traffic(),
    ]
}

/// The shared declaration with one passage replaced, which must exist.
fn spec_with(old: &str, new: &str, spec: &str) -> Result<String> {
    ensure!(spec.contains(old), "the shared declaration has no {old:?}");
    Ok(spec.replace(old, new))
}

fn followed(testbed: &Testbed) -> Result<()> {
    let spec = spec_with("http: {published: 8082, target: 80}", "http: {published: 8092, target: 80}", SPEC)?;
    let spec = spec_with("[\"node.labels.lb==dev\"]", "[\"node.hostname==node2\"]", &spec)?;
    let spec = spec_with("    replicas: 2\n", "    replicas: 3\n", &spec)?;
    App::new("moved").cluster("dev").network("apps-dev").create(testbed)?;
    testbed.await_answer(&testbed.at(3, DEV), "moved.test", "/", "moved")?;
    declare(testbed, &spec)?;
    testbed.await_answer(&testbed.at(2, 8092), "moved.test", "/", "moved")?;
    for (k, port) in [(2, DEV), (3, DEV), (3, 8092)] {
        eventually(SLOW, &format!("port {port} of node{k} is closed"), || {
            ensure!(http_get(&testbed.at(k, port), "moved.test", "/").is_err(), "it answers");
            Ok(())
        })?;
    }
    testbed.await_running("swarmgate-proxy-mesh", 3)?;
    testbed.await_converged("dev")?;
    testbed.await_converged("mesh").map(drop)
}

/// Without any placement, the service would kill the managers' engines.
fn unconstrained(testbed: &Testbed) -> Result<()> {
    let spec = spec_with("    constraints: [\"node.labels.lb==dev\"]\n", "", SPEC)?;
    let spec = spec_with("    constraints: [\"node.role==worker\"]\n", "    constraints: []\n", &spec)?;
    declare(testbed, &spec)?;
    (1..=3).try_for_each(|k| testbed.await_answer(&testbed.at(k, DEV), "anchor-dev.test", "/", "anchor-dev").map(drop))?;
    testbed.await_converged("dev")?;
    for service in ["swarmgate-proxy-dev", "swarmgate-extension-dev"] {
        let placement = testbed.service(service)?["Spec"]["TaskTemplate"]["Placement"].take();
        ensure!(placement.is_object(), "{service} has the placement {placement}");
    }
    Ok(())
}

fn no_new_tasks(testbed: &Testbed) -> Result<()> {
    const NETWORKS: &str = "networkInterval: 5s, networkTimeout: 45s";
    let new = format!("    update: {{monitor: 2s, delay: 1s, {NETWORKS}}}\n    labels: {{team: edge}}\n");
    let spec = spec_with(&format!("    update: {{monitor: 1s, {NETWORKS}}}\n"), &new, SPEC)?;
    let spec = spec_with("{upstreamAddressHeader: true}", "{upstreamAddressHeader: true, clientMaxBodySize: 7m}", &spec)?;
    let services = ["swarmgate-proxy-default", "swarmgate-proxy-mesh", "swarmgate-extension-default"];
    let tasks = || services.iter().map(|service| testbed.task_ids(service)).collect::<Result<Vec<_>>>();
    App::new("through").create(testbed)?;
    let (kept, fresh) = (testbed.at(1, DEFAULT), testbed.at(2, DEFAULT));
    testbed.await_answer(&kept, "through.test", "/", "through")?;
    testbed.await_answer(&fresh, "through.test", "/", "through")?;
    let before = tasks()?;
    let traffic = Steady::start([&kept, &fresh], "through.test")?;
    declare(testbed, &spec)?;
    for service in &services[..2] {
        eventually(SLOW, &format!("{service} is as declared"), || {
            let about = testbed.service(service)?["Spec"].take();
            ensure!(about["Labels"]["team"] == "edge" && about["UpdateConfig"]["Delay"] == 1_000_000_000_u64, "{about}");
            Ok(())
        })?;
    }
    eventually(SLOW, "the larger body is allowed", || {
        let answer = swarmgate_e2e::testbed::HttpCall::post(&kept, "through.test", "/", &"x".repeat(2_000_000)).send()?;
        ensure!(answer.status == 200, "status {}", answer.status);
        Ok(())
    })?;
    testbed.await_converged("default")?;
    traffic.stop_without_loss()?;
    ensure!(tasks()? == before, "{before:?} became {:?}", tasks()?);
    Ok(())
}

fn cluster_leaves(testbed: &Testbed) -> Result<()> {
    let spec = without_cluster("mesh", &without_cluster("stock", SPEC)?)?;
    // Another operator may run in the same Swarm, and users choose any names they like.
    testbed.create("swarmgate-proxy-other", &["--label", "swarmgate.owner=other", "--label", "swarmgate.cluster=mesh", "demo-app:v1"])?;
    let before = of_others(testbed)?;
    let result = leave(testbed, &spec).and_then(|()| {
        let after = of_others(testbed)?;
        ensure!(after.is_superset(&before), "{before:?} became {after:?}");
        Ok(())
    });
    testbed.docker(&["service", "rm", "swarmgate-proxy-other"])?;
    result
}

fn leave(testbed: &Testbed, spec: &str) -> Result<()> {
    declare(testbed, spec)?;
    eventually(SLOW, "the objects of the clusters that left are gone", || {
        let of_gone: Vec<_> = testbed.owned()?.into_keys().filter(|name| name.contains("mesh") || name.contains("stock")).collect();
        ensure!(of_gone.is_empty(), "there are {of_gone:?}");
        Ok(())
    })?;
    for cluster in ["default", "dev"] {
        testbed.await_converged(cluster)?;
    }
    eventually(SLOW, "the status has forgotten them", || {
        let clusters = testbed.status()?["clusters"].take();
        let names: Vec<_> = clusters.as_object().into_iter().flat_map(|clusters| clusters.keys()).collect();
        ensure!(names == ["default", "dev"], "the status lists {names:?}");
        Ok(())
    })?;
    testbed.await_answer(&testbed.at(1, DEFAULT), "anchor.test", "/", "anchor").map(drop)
}

/// Everything in the Swarm that does not belong to the clusters being removed.
fn of_others(testbed: &Testbed) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for kind in ["service", "config", "secret", "network"] {
        let names = testbed.docker(&[kind, "ls", "--format", "{{.Name}}"])?;
        let of_others = names.lines().filter(|name| !["-mesh", "-stock"].iter().any(|cluster| name.contains(cluster)));
        // The operator's own spec belongs to the stack, and new configurations replace old ones.
        found.extend(of_others.filter(|_| kind != "config").map(|name| format!("{kind} {name}")));
    }
    Ok(found)
}

fn without_cluster(name: &str, spec: &str) -> Result<String> {
    let documents: Vec<_> = spec.split("---\n").collect();
    let rest: Vec<_> = documents.iter().filter(|document| !document.contains(&format!("  name: {name}\n"))).copied().collect();
    ensure!(rest.len() + 1 == documents.len(), "no cluster {name}");
    Ok(rest.join("---\n"))
}

fn impossible_image(testbed: &Testbed) -> Result<()> {
    let dev =
        spec_with("    constraints: [\"node.labels.lb==dev\"]", "    constraints: [\"node.labels.lb==dev\"]\n    env: {NEW: tasks}", SPEC)?;
    let spec = spec_with(
        "    image: swarmgate-nginx:dev\n    mode: global            # or",
        "    image: no-such-image:dev\n    mode: global            # or",
        &dev,
    )?;
    declare(testbed, &spec)?;
    testbed.await_cluster("dev", "the cluster is reported as not converged", |cluster| {
        let condition = cluster["conditions"].as_array().into_iter().flatten().find(|condition| condition["type"] == "FleetConverged");
        ensure!(condition.is_some_and(|condition| condition["status"] == "False"), "{condition:?}");
        ensure!(cluster["waiting"].as_array().is_some_and(|waiting| !waiting.is_empty()), "the cluster waits for nothing");
        Ok(())
    })?;
    App::new("unbothered").create(testbed)?;
    (1..=3).try_for_each(|k| testbed.await_answer(&testbed.at(k, DEFAULT), "unbothered.test", "/", "unbothered").map(drop))?;
    testbed.await_converged("default")?;
    // Swarm rolls back to the image that ran, or the operator does once the declaration is right again.
    declare(testbed, SPEC)?;
    testbed.await_converged_after_rollback("dev")?;
    testbed.await_answer(&testbed.at(3, DEV), "anchor-dev.test", "/", "anchor-dev").map(drop)
}

/// The chart's operator exits at startup when a document has an error, so Swarm rolls back to the previous spec.
fn broken(testbed: &Testbed) -> Result<()> {
    App::new("steady").create(testbed)?;
    let (kept, fresh) = (testbed.at(1, DEFAULT), testbed.at(2, DEFAULT));
    testbed.await_answer(&kept, "steady.test", "/", "steady")?;
    testbed.await_answer(&fresh, "steady.test", "/", "steady")?;
    CLUSTERS.iter().try_for_each(|name| testbed.await_converged(name).map(drop))?;
    let before: Vec<_> = testbed.owned()?.into_keys().collect();
    let traffic = Steady::start([&kept, &fresh], "steady.test")?;
    testbed.deploy_swarmgate_with(&spec_with("  name: mesh\nspec:\n  serviceCluster: mesh\n  engine: nginx", MISTAKE, SPEC)?, &[])?;
    testbed.await_rollout("swarmgate_operator", "rollback_completed")?;
    await_operator_with(testbed, SPEC)?;
    CLUSTERS.iter().try_for_each(|name| testbed.await_converged(name).map(drop))?;
    let log = testbed.log("swarmgate_operator", 500)?;
    ensure!(log.contains("spec.engine") && log.contains("apache"), "the log does not say what is wrong: {log}");
    traffic.stop_without_loss()?;
    let after: Vec<_> = testbed.owned()?.into_keys().collect();
    ensure!(before == after, "{before:?} became {after:?}");
    // An operator that went back to the last good spec continues its work.
    App::new("after").cluster("mesh").network("apps").create(testbed)?;
    testbed.await_answer(&testbed.at(2, MESH), "after.test", "/", "after").map(drop)
}

const MISTAKE: &str = "  name: mesh\nspec:\n  serviceCluster: mesh\n  engine: apache";
