//! Components fail: traffic continues with the last good state, and afterwards everything is as declared again.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarmgate_e2e::wait::{eventually, throughout};
use swarmgate_e2e::world::{App, Case, HttpCall, Steady, World};

use super::SLOW;
use super::shared_swarm::{CLUSTERS, DEFAULT, DEV, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("component_failures::a_restarted_operator_writes_nothing_on_a_still_world", restarted),
        case("component_failures::an_operator_killed_in_the_middle_of_a_rollout_converges", killed_in_rollout),
        case("component_failures::the_extension_killed_traffic_goes_on", extension_killed).with_traffic(),
        case("component_failures::a_killed_proxy_is_replaced_and_serves", proxy_killed),
        case("component_failures::a_new_proxy_serves_while_operator_and_extension_are_down", alone),
        case("component_failures::who_does_not_follow_any_more_is_told_as_an_error_within_ten_seconds", not_following),
        case("component_failures::the_docker_api_hangs_traffic_goes_on_and_nothing_is_removed", api_hangs).with_traffic(),
        case("component_failures::the_managers_engine_killed_traffic_goes_on_and_nothing_is_removed", daemon_killed).with_traffic(),
    ]
}

/// Kills the operator's container; returns when the next one has made its first complete observation.
fn crash_operator(world: &World) -> Result<()> {
    let task = world.await_running("swarmgate_operator", 1)?.remove(0);
    world.kill(&task)?;
    eventually(SLOW, "another operator has looked at everything", || {
        let now = world.running_tasks("swarmgate_operator")?;
        ensure!(now.first().is_some_and(|now| now["ID"] != task["ID"]), "there is none yet");
        world.ask_operator("/readyz").map(drop)
    })
}

fn restarted(world: &World) -> Result<()> {
    App::new("calm").create(world)?;
    App::new("calm-stock").cluster("stock").create(world)?;
    world.await_answer(&world.at(1, DEFAULT), "calm.test", "/", "calm")?;
    CLUSTERS.iter().try_for_each(|name| world.await_converged(name).map(drop))?;
    await_served(world, "stock", "calm-stock.test")?;
    CLUSTERS.iter().try_for_each(|name| world.await_converged(name).map(drop))?;
    let before = world.owned()?;
    crash_operator(world)?;
    CLUSTERS.iter().try_for_each(|name| world.await_converged(name).map(drop))?;
    throughout(Duration::from_secs(8), "nothing is written", || {
        let (now, writes) = (world.owned()?, world.counter("swarmgate_writes_total")?);
        ensure!(now == before, "{before:?} became {now:?}");
        ensure!(writes == 0, "{writes} writes");
        Ok(())
    })
}

fn await_served(world: &World, cluster: &str, host: &str) -> Result<()> {
    let check = |cluster: &serde_json::Value| {
        let route = cluster["routes"].as_array().into_iter().flatten().find(|route| route["host"] == host);
        ensure!(route.is_some_and(|route| route["state"] == "Served"), "it is {route:?}");
        Ok(())
    };
    world.await_cluster(cluster, &format!("{host} is served"), check).map(drop)
}

/// A new network makes Swarm replace the proxies of `default` one node after another.
fn killed_in_rollout(world: &World) -> Result<()> {
    App::new("midway").network("midway-net").create(world)?;
    world.await_rollout("swarmgate-proxy-default", "updating")?;
    crash_operator(world)?;
    (1..=3).try_for_each(|k| world.await_answer(&world.at(k, DEFAULT), "midway.test", "/", "midway").map(drop))?;
    world.await_converged("default")?;
    (1..=3).try_for_each(|k| world.await_answer(&world.at(k, DEFAULT), "anchor.test", "/", "anchor").map(drop))?;
    // The operator's writes afterwards, which replace nothing, leave no update state at all.
    let state = world.service("swarmgate-proxy-default")?["UpdateStatus"]["State"].clone();
    ensure!(state.is_null() || state == "completed", "the rollout is {state}");
    Ok(())
}

fn extension_killed(world: &World) -> Result<()> {
    App::new("goes-on").create(world)?;
    let (kept, fresh) = (world.at(1, DEFAULT), world.at(2, DEFAULT));
    world.await_answer(&kept, "goes-on.test", "/", "goes-on")?;
    world.await_answer(&fresh, "goes-on.test", "/", "goes-on")?;
    let proxies = world.task_ids("swarmgate-proxy-default")?;
    let traffic = Steady::start([&kept, &fresh], "goes-on.test")?;
    let extension = world.await_running("swarmgate-extension-default", 1)?.remove(0);
    world.kill(&extension)?;
    eventually(SLOW, "another extension runs", || {
        let now = world.running_tasks("swarmgate-extension-default")?;
        ensure!(now.first().is_some_and(|now| now["ID"] != extension["ID"]), "there is none yet");
        Ok(())
    })?;
    App::new("newer").create(world)?;
    world.await_answer(&kept, "newer.test", "/", "newer")?;
    traffic.stop_without_loss()?;
    ensure!(world.task_ids("swarmgate-proxy-default")? == proxies, "no proxy was replaced");
    Ok(())
}

fn proxy_killed(world: &World) -> Result<()> {
    let task = world.await_running("swarmgate-proxy-dev", 1)?.remove(0);
    world.kill(&task)?;
    eventually(SLOW, "another proxy runs", || {
        let now = world.running_tasks("swarmgate-proxy-dev")?;
        ensure!(now.first().is_some_and(|now| now["ID"] != task["ID"]), "there is none yet");
        Ok(())
    })?;
    world.await_answer(&world.at(3, DEV), "anchor-dev.test", "/", "anchor-dev").map(drop)
}

/// On node3 the proxy ran until just now, so its volume contains the routes; on node2 one ran before they were published, so
/// its volume is older than the boot snapshot.
fn alone(world: &World) -> Result<()> {
    leave_old_knowledge(world, 2)?;
    App::new("needed").cluster("dev").network("needed-net").replicas(2).create(world)?;
    world.await_answer(&world.at(3, DEV), "needed.test", "/", "needed")?;
    world.await_converged("dev")?;
    stop(world, "swarmgate_operator")?;
    stop(world, "swarmgate-extension-dev")?;
    let old = world.await_running("swarmgate-proxy-dev", 1)?.remove(0);
    world.kill(&old)?;
    // The operator would do the second of these.
    world.label_node(2, "lb", Some("dev"))?;
    world.docker(&["service", "scale", "--detach", "swarmgate-proxy-dev=2"])?;
    eventually(SLOW, "two new proxies run", || {
        let now = world.task_ids("swarmgate-proxy-dev")?;
        ensure!(now.len() == 2 && !now.iter().any(|id| old["ID"] == id.as_str()), "{now:?} run");
        Ok(())
    })?;
    for node in [2, 3] {
        world.await_answer(&world.at(node, DEV), "needed.test", "/", "needed").with_context(|| format!("alone on node{node}"))?;
    }
    ensure!(world.ask_operator("/status").is_err(), "the operator was down all the time");
    ensure!(world.task_ids("swarmgate-extension-dev")?.is_empty(), "the extension was down all the time");
    world.docker(&["service", "scale", "--detach", "swarmgate_operator=1"])?;
    world.await_converged("dev").map(drop)
}

/// Lets a proxy of `dev` run on a node for a moment.
fn leave_old_knowledge(world: &World, node: usize) -> Result<()> {
    world.label_node(node, "lb", Some("dev"))?;
    world.await_answer(&world.at(node, DEV), "anchor-dev.test", "/", "anchor-dev")?;
    world.await_converged("dev")?;
    world.label_node(node, "lb", None)?;
    // Swarm reports its task as rejected while its container still runs and receives what is published.
    eventually(SLOW, "no proxy listens there any more", || {
        let answer = HttpCall::get(&world.at(node, DEV), "anchor-dev.test", "/").patience(Duration::from_secs(1)).send();
        ensure!(answer.is_err(), "one does");
        Ok(())
    })?;
    world.await_converged("dev").map(drop)
}

fn stop(world: &World, service: &str) -> Result<()> {
    world.docker(&["service", "scale", "--detach", &format!("{service}=0")])?;
    // A container that was told to stop still works for a moment: an operator would restore the extension.
    world.await_alive(service, 0)
}

/// The promised time limit.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// A proxy is frozen while others apply a new configuration, and then an extension is frozen, which no longer hands out
/// anything: Swarm reports both as running.
fn not_following(world: &World) -> Result<()> {
    let proxies = world.await_running("swarmgate-proxy-default", 3)?;
    let (before, still) = (world.task_ids("swarmgate-proxy-default")?, &proxies[0]);
    let (task, others) = (still["ID"].as_str().context("a task has an id")?, &proxies[1..]);
    let kept = world.at(world.node_of(&others[0])?, DEFAULT);
    told_while_frozen(world, still, "ProxiesNotFollowing", |finding, cluster| {
        let message = finding["message"].as_str().unwrap_or_default();
        ensure!(message.contains("1 of 3 proxies do not apply new configurations") && message.contains(task), "{message}");
        let stuck = cluster["proxies"].as_array().into_iter().flatten().filter(|proxy| proxy["stuck"] == true);
        let stuck: Vec<&str> = stuck.filter_map(|proxy| proxy["task"].as_str()).collect();
        ensure!(stuck == [task], "{}", cluster["proxies"]);
        // The other proxies are not held up.
        App::new("meanwhile").create(world)?;
        world.await_answer(&kept, "meanwhile.test", "/", "meanwhile").map(drop)
    })?;
    world.await_answer(&world.at(world.node_of(still)?, DEFAULT), "meanwhile.test", "/", "meanwhile")?;
    let extension = world.await_running("swarmgate-extension-default", 1)?.remove(0);
    told_while_frozen(world, &extension, "ExtensionSilent", |finding, _| {
        ensure!(finding["message"].as_str().is_some_and(|words| words.contains("the extension has not reported since")), "{finding}");
        world.await_answer(&kept, "meanwhile.test", "/", "meanwhile").map(drop)
    })?;
    ensure!(world.task_ids("swarmgate-proxy-default")? == before, "no proxy was replaced");
    Ok(())
}

/// Freezes a task, waits until the status reports that as an error, and resumes it whatever `check` returns.
fn told_while_frozen(world: &World, task: &Value, code: &str, check: impl FnOnce(&Value, &Value) -> Result<()>) -> Result<()> {
    world.freeze(task)?;
    let since = Instant::now();
    let told = eventually(TOLD_WITHIN, &format!("{code} is told"), || {
        let cluster = world.cluster("default")?;
        let finding = cluster["findings"].as_array().into_iter().flatten().find(|finding| finding["code"] == code).cloned();
        let finding = finding.with_context(|| format!("the findings are {}", cluster["findings"]))?;
        Ok((finding, cluster))
    });
    println!("{code} told after {:.1} s", since.elapsed().as_secs_f64());
    let checked = told.and_then(|(finding, cluster)| {
        ensure!(finding["severity"] == "error" && cluster["phase"] == "Degraded", "{finding}, phase {}", cluster["phase"]);
        check(&finding, &cluster)
    });
    world.thaw(task)?;
    checked?;
    world.await_cluster("default", &format!("{code} is told no more"), |cluster| {
        let told = cluster["findings"].as_array().into_iter().flatten().any(|finding| finding["code"] == code);
        ensure!(!told && cluster["phase"] == "Ready", "phase {}, findings {}", cluster["phase"], cluster["findings"]);
        Ok(())
    })?;
    world.await_converged("default").map(drop)
}

/// The application and the loaded proxies are on nodes whose engines keep running; so are all decisions about them.
fn api_hangs(world: &World) -> Result<()> {
    App::new("lasts").on_node(2).create(world)?;
    let traffic = traffic_beside_the_manager(world)?;
    let before: Vec<_> = world.owned()?.into_keys().collect();
    world.lab.pause_daemon(1)?;
    // Short of the 15 s after which Swarm itself would declare the nodes it cannot hear to be down.
    throughout(Duration::from_secs(9), "the operator keeps its routes", || {
        let routes = world.cluster("default")?["routes"].take();
        ensure!(routes.as_array().is_some_and(|routes| routes.iter().any(|route| route["host"] == "lasts.test")), "{routes}");
        Ok(())
    })?;
    world.lab.resume_daemon(1)?;
    world.lab.await_ready()?;
    CLUSTERS.iter().try_for_each(|name| world.await_converged(name).map(drop))?;
    traffic.stop_without_loss()?;
    let after: Vec<_> = world.owned()?.into_keys().collect();
    ensure!(before.iter().all(|object| after.contains(object)), "{before:?} became {after:?}");
    Ok(())
}

/// Traffic on kept and new connections through the proxies of node2 and node3, once they serve it.
fn traffic_beside_the_manager(world: &World) -> Result<Steady> {
    let (kept, fresh) = (world.at(2, DEFAULT), world.at(3, DEFAULT));
    world.await_answer(&kept, "lasts.test", "/", "lasts")?;
    world.await_answer(&fresh, "lasts.test", "/", "lasts")?;
    CLUSTERS.iter().try_for_each(|name| world.await_converged(name).map(drop))?;
    Steady::start([&kept, &fresh], "lasts.test")
}

/// An engine that restarts stops the containers it finds, so the operator itself dies and restarts, too.
fn daemon_killed(world: &World) -> Result<()> {
    App::new("lasts").on_node(2).create(world)?;
    let traffic = traffic_beside_the_manager(world)?;
    world.lab.kill_daemon(1)?;
    throughout(Duration::from_secs(6), "the operator keeps its routes", || {
        let routes = world.cluster("default")?["routes"].take();
        ensure!(routes.as_array().is_some_and(|routes| routes.iter().any(|route| route["host"] == "lasts.test")), "{routes}");
        Ok(())
    })?;
    world.lab.start(1)?;
    world.lab.await_ready()?;
    world.await_running("swarmgate_operator", 1)?;
    CLUSTERS.iter().try_for_each(|name| world.await_converged(name).map(drop))?;
    traffic.stop_without_loss()?;
    world.await_answer(&world.at(1, DEFAULT), "lasts.test", "/", "lasts").map(drop)
}
