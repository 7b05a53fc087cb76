//! Components fail: traffic continues with the last good state, and afterwards everything is as declared again.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarmgate_e2e::testbed::{App, Case, HttpCall, Steady, Testbed};
use swarmgate_e2e::wait::{eventually, throughout};

use super::SLOW;
use super::shared_swarm::{CLUSTERS, DEFAULT, DEV, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("component_failures::a_restarted_operator_writes_nothing_to_an_unchanged_swarm", restarted),
        case("component_failures::an_operator_killed_during_a_rollout_converges", killed_in_rollout),
        case("component_failures::traffic_continues_after_the_extension_is_killed", extension_killed).with_traffic(),
        case("component_failures::a_killed_proxy_is_replaced_and_serves", proxy_killed),
        case("component_failures::a_new_proxy_serves_while_operator_and_extension_are_down", alone),
        case("component_failures::proxies_that_do_not_follow_are_reported_within_ten_seconds", not_following),
        case("component_failures::while_the_docker_api_hangs_traffic_continues_and_nothing_is_removed", api_hangs).with_traffic(),
        case("component_failures::after_the_managers_engine_is_killed_traffic_continues_and_nothing_is_removed", daemon_killed)
            .with_traffic(),
    ]
}

/// Kills the operator's container; returns when the next one has made its first complete observation.
fn crash_operator(testbed: &Testbed) -> Result<()> {
    let task = testbed.await_running("swarmgate_operator", 1)?.remove(0);
    testbed.kill(&task)?;
    eventually(SLOW, "another operator has looked at everything", || {
        let now = testbed.running_tasks("swarmgate_operator")?;
        ensure!(now.first().is_some_and(|now| now["ID"] != task["ID"]), "no task runs yet");
        testbed.query_operator("/readyz").map(drop)
    })
}

fn restarted(testbed: &Testbed) -> Result<()> {
    App::new("calm").create(testbed)?;
    App::new("calm-stock").cluster("stock").create(testbed)?;
    testbed.await_answer(&testbed.at(1, DEFAULT), "calm.test", "/", "calm")?;
    CLUSTERS.iter().try_for_each(|name| testbed.await_converged(name).map(drop))?;
    await_served(testbed, "stock", "calm-stock.test")?;
    CLUSTERS.iter().try_for_each(|name| testbed.await_converged(name).map(drop))?;
    let before = testbed.owned()?;
    crash_operator(testbed)?;
    CLUSTERS.iter().try_for_each(|name| testbed.await_converged(name).map(drop))?;
    throughout(Duration::from_secs(8), "the operator writes nothing", || {
        let (now, writes) = (testbed.owned()?, testbed.counter("swarmgate_writes_total")?);
        ensure!(now == before, "{before:?} became {now:?}");
        ensure!(writes == 0, "{writes} writes");
        Ok(())
    })
}

fn await_served(testbed: &Testbed, cluster: &str, host: &str) -> Result<()> {
    let check = |cluster: &serde_json::Value| {
        let route = cluster["routes"].as_array().into_iter().flatten().find(|route| route["host"] == host);
        ensure!(route.is_some_and(|route| route["state"] == "Served"), "it is {route:?}");
        Ok(())
    };
    testbed.await_cluster(cluster, &format!("{host} is served"), check).map(drop)
}

/// A new network makes Swarm replace the proxies of `default` one node after another.
fn killed_in_rollout(testbed: &Testbed) -> Result<()> {
    App::new("midway").network("midway-net").create(testbed)?;
    testbed.await_rollout("swarmgate-proxy-default", "updating")?;
    crash_operator(testbed)?;
    (1..=3).try_for_each(|k| testbed.await_answer(&testbed.at(k, DEFAULT), "midway.test", "/", "midway").map(drop))?;
    testbed.await_converged("default")?;
    (1..=3).try_for_each(|k| testbed.await_answer(&testbed.at(k, DEFAULT), "anchor.test", "/", "anchor").map(drop))?;
    // The operator's writes afterwards, which replace nothing, leave no update state at all.
    let state = testbed.service("swarmgate-proxy-default")?["UpdateStatus"]["State"].clone();
    ensure!(state.is_null() || state == "completed", "the rollout is {state}");
    Ok(())
}

fn extension_killed(testbed: &Testbed) -> Result<()> {
    App::new("goes-on").create(testbed)?;
    let (kept, fresh) = (testbed.at(1, DEFAULT), testbed.at(2, DEFAULT));
    testbed.await_answer(&kept, "goes-on.test", "/", "goes-on")?;
    testbed.await_answer(&fresh, "goes-on.test", "/", "goes-on")?;
    let proxies = testbed.task_ids("swarmgate-proxy-default")?;
    let traffic = Steady::start([&kept, &fresh], "goes-on.test")?;
    let extension = testbed.await_running("swarmgate-extension-default", 1)?.remove(0);
    testbed.kill(&extension)?;
    eventually(SLOW, "another extension runs", || {
        let now = testbed.running_tasks("swarmgate-extension-default")?;
        ensure!(now.first().is_some_and(|now| now["ID"] != extension["ID"]), "no task runs yet");
        Ok(())
    })?;
    App::new("newer").create(testbed)?;
    testbed.await_answer(&kept, "newer.test", "/", "newer")?;
    traffic.stop_without_loss()?;
    ensure!(testbed.task_ids("swarmgate-proxy-default")? == proxies, "no proxy was replaced");
    Ok(())
}

fn proxy_killed(testbed: &Testbed) -> Result<()> {
    let task = testbed.await_running("swarmgate-proxy-dev", 1)?.remove(0);
    testbed.kill(&task)?;
    eventually(SLOW, "another proxy runs", || {
        let now = testbed.running_tasks("swarmgate-proxy-dev")?;
        ensure!(now.first().is_some_and(|now| now["ID"] != task["ID"]), "no task runs yet");
        Ok(())
    })?;
    testbed.await_answer(&testbed.at(3, DEV), "anchor-dev.test", "/", "anchor-dev").map(drop)
}

/// On node3 the proxy ran until just now, so its volume contains the routes; on node2 one ran before they were published, so
/// its volume is older than the boot snapshot.
fn alone(testbed: &Testbed) -> Result<()> {
    leave_old_knowledge(testbed, 2)?;
    App::new("needed").cluster("dev").network("needed-net").replicas(2).create(testbed)?;
    testbed.await_answer(&testbed.at(3, DEV), "needed.test", "/", "needed")?;
    testbed.await_converged("dev")?;
    stop(testbed, "swarmgate_operator")?;
    stop(testbed, "swarmgate-extension-dev")?;
    let old = testbed.await_running("swarmgate-proxy-dev", 1)?.remove(0);
    testbed.kill(&old)?;
    // The operator would do the second of these.
    testbed.label_node(2, "lb", Some("dev"))?;
    testbed.docker(&["service", "scale", "--detach", "swarmgate-proxy-dev=2"])?;
    eventually(SLOW, "two new proxies run", || {
        let now = testbed.task_ids("swarmgate-proxy-dev")?;
        ensure!(now.len() == 2 && !now.iter().any(|id| old["ID"] == id.as_str()), "{now:?} run");
        Ok(())
    })?;
    for node in [2, 3] {
        testbed.await_answer(&testbed.at(node, DEV), "needed.test", "/", "needed").with_context(|| format!("alone on node{node}"))?;
    }
    ensure!(testbed.query_operator("/status").is_err(), "the operator must stay down");
    ensure!(testbed.task_ids("swarmgate-extension-dev")?.is_empty(), "the extension must stay down");
    testbed.docker(&["service", "scale", "--detach", "swarmgate_operator=1"])?;
    testbed.await_converged("dev").map(drop)
}

/// Lets a proxy of `dev` run on a node for a moment.
fn leave_old_knowledge(testbed: &Testbed, node: usize) -> Result<()> {
    testbed.label_node(node, "lb", Some("dev"))?;
    testbed.await_answer(&testbed.at(node, DEV), "anchor-dev.test", "/", "anchor-dev")?;
    testbed.await_converged("dev")?;
    testbed.label_node(node, "lb", None)?;
    // Swarm reports its task as rejected while its container still runs and receives what is published.
    eventually(SLOW, "no proxy listens there any more", || {
        let answer = HttpCall::get(&testbed.at(node, DEV), "anchor-dev.test", "/").patience(Duration::from_secs(1)).send();
        ensure!(answer.is_err(), "one does");
        Ok(())
    })?;
    testbed.await_converged("dev").map(drop)
}

fn stop(testbed: &Testbed, service: &str) -> Result<()> {
    testbed.docker(&["service", "scale", "--detach", &format!("{service}=0")])?;
    // A container that was told to stop still works for a moment: an operator would restore the extension.
    testbed.await_alive(service, 0)
}

/// The promised time limit.
const REPORTED_WITHIN: Duration = Duration::from_secs(10);

/// A proxy is frozen while others apply a new configuration, and then an extension is frozen, which no longer hands out
/// anything: Swarm reports both as running.
fn not_following(testbed: &Testbed) -> Result<()> {
    let proxies = testbed.await_running("swarmgate-proxy-default", 3)?;
    let (before, still) = (testbed.task_ids("swarmgate-proxy-default")?, &proxies[0]);
    let (task, others) = (still["ID"].as_str().context("a task has an id")?, &proxies[1..]);
    let kept = testbed.at(testbed.node_of(&others[0])?, DEFAULT);
    reported_while_frozen(testbed, still, "ProxiesNotFollowing", |finding, cluster| {
        let message = finding["message"].as_str().unwrap_or_default();
        ensure!(message.contains("1 of 3 proxies does not apply new configurations") && message.contains(task), "{message}");
        let stuck = cluster["proxies"].as_array().into_iter().flatten().filter(|proxy| proxy["stuck"] == true);
        let stuck: Vec<&str> = stuck.filter_map(|proxy| proxy["task"].as_str()).collect();
        ensure!(stuck == [task], "{}", cluster["proxies"]);
        // The other proxies are not held up.
        App::new("meanwhile").create(testbed)?;
        testbed.await_answer(&kept, "meanwhile.test", "/", "meanwhile").map(drop)
    })?;
    testbed.await_answer(&testbed.at(testbed.node_of(still)?, DEFAULT), "meanwhile.test", "/", "meanwhile")?;
    let extension = testbed.await_running("swarmgate-extension-default", 1)?.remove(0);
    reported_while_frozen(testbed, &extension, "ExtensionSilent", |finding, _| {
        ensure!(finding["message"].as_str().is_some_and(|message| message.contains("the extension has not reported since")), "{finding}");
        testbed.await_answer(&kept, "meanwhile.test", "/", "meanwhile").map(drop)
    })?;
    ensure!(testbed.task_ids("swarmgate-proxy-default")? == before, "no proxy was replaced");
    Ok(())
}

/// Freezes a task, waits until the status reports that as an error, and resumes it whatever `check` returns.
fn reported_while_frozen(testbed: &Testbed, task: &Value, code: &str, check: impl FnOnce(&Value, &Value) -> Result<()>) -> Result<()> {
    testbed.freeze(task)?;
    let since = Instant::now();
    let reported = eventually(REPORTED_WITHIN, &format!("{code} is reported"), || {
        let cluster = testbed.cluster("default")?;
        let finding = cluster["findings"].as_array().into_iter().flatten().find(|finding| finding["code"] == code).cloned();
        let finding = finding.with_context(|| format!("the findings are {}", cluster["findings"]))?;
        Ok((finding, cluster))
    });
    println!("{code} reported after {:.1} s", since.elapsed().as_secs_f64());
    let checked = reported.and_then(|(finding, cluster)| {
        ensure!(finding["severity"] == "error" && cluster["phase"] == "Degraded", "{finding}, phase {}", cluster["phase"]);
        check(&finding, &cluster)
    });
    testbed.thaw(task)?;
    checked?;
    testbed.await_cluster("default", &format!("{code} is no longer reported"), |cluster| {
        let reported = cluster["findings"].as_array().into_iter().flatten().any(|finding| finding["code"] == code);
        ensure!(!reported && cluster["phase"] == "Ready", "phase {}, findings {}", cluster["phase"], cluster["findings"]);
        Ok(())
    })?;
    testbed.await_converged("default").map(drop)
}

/// The application and the loaded proxies are on nodes whose engines keep running; so are all decisions about them.
fn api_hangs(testbed: &Testbed) -> Result<()> {
    App::new("lasts").on_node(2).create(testbed)?;
    let traffic = traffic_beside_the_manager(testbed)?;
    let before: Vec<_> = testbed.owned()?.into_keys().collect();
    testbed.lab.pause_daemon(1)?;
    // Short of the 15 s after which Swarm itself would declare the nodes it cannot hear to be down.
    throughout(Duration::from_secs(9), "the operator keeps its routes", || {
        let routes = testbed.cluster("default")?["routes"].take();
        ensure!(routes.as_array().is_some_and(|routes| routes.iter().any(|route| route["host"] == "lasts.test")), "{routes}");
        Ok(())
    })?;
    testbed.lab.resume_daemon(1)?;
    testbed.lab.await_ready()?;
    CLUSTERS.iter().try_for_each(|name| testbed.await_converged(name).map(drop))?;
    traffic.stop_without_loss()?;
    let after: Vec<_> = testbed.owned()?.into_keys().collect();
    ensure!(before.iter().all(|object| after.contains(object)), "{before:?} became {after:?}");
    Ok(())
}

/// Traffic on kept and new connections through the proxies of node2 and node3, once they serve it.
fn traffic_beside_the_manager(testbed: &Testbed) -> Result<Steady> {
    let (kept, fresh) = (testbed.at(2, DEFAULT), testbed.at(3, DEFAULT));
    testbed.await_answer(&kept, "lasts.test", "/", "lasts")?;
    testbed.await_answer(&fresh, "lasts.test", "/", "lasts")?;
    CLUSTERS.iter().try_for_each(|name| testbed.await_converged(name).map(drop))?;
    Steady::start([&kept, &fresh], "lasts.test")
}

/// An engine that restarts stops the containers it finds, so the operator itself dies and restarts, too.
fn daemon_killed(testbed: &Testbed) -> Result<()> {
    App::new("lasts").on_node(2).create(testbed)?;
    let traffic = traffic_beside_the_manager(testbed)?;
    testbed.lab.kill_daemon(1)?;
    throughout(Duration::from_secs(6), "the operator keeps its routes", || {
        let routes = testbed.cluster("default")?["routes"].take();
        ensure!(routes.as_array().is_some_and(|routes| routes.iter().any(|route| route["host"] == "lasts.test")), "{routes}");
        Ok(())
    })?;
    testbed.lab.start(1)?;
    testbed.lab.await_ready()?;
    testbed.await_running("swarmgate_operator", 1)?;
    CLUSTERS.iter().try_for_each(|name| testbed.await_converged(name).map(drop))?;
    traffic.stop_without_loss()?;
    testbed.await_answer(&testbed.at(1, DEFAULT), "lasts.test", "/", "lasts").map(drop)
}
