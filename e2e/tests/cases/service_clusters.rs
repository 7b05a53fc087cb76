//! Service clusters: each one is isolated from the others.

use anyhow::{Result, ensure};
use serde_json::Value;
use swarmgate_e2e::testbed::{App, Case, Steady, Testbed, http_get};

use super::shared_swarm::{DEFAULT, DEV, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("service_clusters::the_same_host_is_answered_differently_by_two_clusters", same_host),
        case("service_clusters::breaking_one_cluster_leaves_the_other_untouched", broken_apart).with_traffic(),
        case("service_clusters::an_unknown_cluster_is_a_finding_and_publishes_nothing", unknown_cluster),
    ]
}

fn same_host(testbed: &Testbed) -> Result<()> {
    App::new("blue").label("hosts", "both.test").create(testbed)?;
    App::new("green").label("hosts", "both.test").cluster("dev").network("apps-dev").create(testbed)?;
    testbed.await_answer(&testbed.at(3, DEFAULT), "both.test", "/", "blue")?;
    testbed.await_answer(&testbed.at(3, DEV), "both.test", "/", "green")?;
    for _ in 0..10 {
        for (port, version) in [(DEFAULT, "blue"), (DEV, "green")] {
            let about = http_get(&testbed.at(3, port), "both.test", "/")?.json()?;
            ensure!(about["version"] == version, "port {port} is answered by {about}");
        }
    }
    ensure!(http_get(&testbed.at(1, DEV), "both.test", "/").is_err(), "the proxies of dev run where its label is, and nowhere else");
    Ok(())
}

/// `dev` loses its proxies, its extension and a service with a valid label, all at once; `default` notices nothing, and keeps
/// following its own services.
fn broken_apart(testbed: &Testbed) -> Result<()> {
    App::new("blue").label("hosts", "both.test").create(testbed)?;
    App::new("green").label("hosts", "both.test").cluster("dev").network("apps-dev").create(testbed)?;
    let (kept, fresh) = (testbed.at(1, DEFAULT), testbed.at(3, DEFAULT));
    testbed.await_answer(&kept, "both.test", "/", "blue")?;
    testbed.await_answer(&fresh, "both.test", "/", "blue")?;
    testbed.await_answer(&testbed.at(3, DEV), "both.test", "/", "green")?;
    let before = identity(testbed)?;
    let traffic = Steady::start([&kept, &fresh], "both.test")?;
    testbed.label_node(3, "lb", None)?;
    testbed.docker(&["service", "rm", "swarmgate-extension-dev"])?;
    testbed.update("green", &["--label-add", "com.docker.lb.port=none"])?;
    testbed.await_finding("dev", "InvalidLabelValue", "green")?;
    ensure!(identity(testbed)? == before, "{before} became {}", identity(testbed)?);
    App::new("later").create(testbed)?;
    (1..=3).try_for_each(|k| testbed.await_answer(&testbed.at(k, DEFAULT), "later.test", "/", "later").map(drop))?;
    traffic.stop_without_loss()?;
    testbed.label_node(3, "lb", Some("dev"))?;
    testbed.update("green", &["--label-add", "com.docker.lb.port=8080"])?;
    testbed.await_answer(&testbed.at(3, DEV), "both.test", "/", "green").map(drop)
}

/// What must not change in `default` while another cluster is in trouble.
fn identity(testbed: &Testbed) -> Result<Value> {
    let tasks = testbed.task_ids("swarmgate-proxy-default")?;
    Ok(serde_json::json!({ "config": testbed.cluster("default")?["configDigest"], "proxies": tasks }))
}

fn unknown_cluster(testbed: &Testbed) -> Result<()> {
    App::new("lost").cluster("nowhere").create(testbed)?;
    testbed.await_global_finding("UnknownServiceCluster", "lost")?;
    for port in [DEFAULT, DEV] {
        let answer = http_get(&testbed.at(3, port), "lost.test", "/")?;
        ensure!(answer.status == 503, "port {port}: {answer:?}");
    }
    Ok(())
}
