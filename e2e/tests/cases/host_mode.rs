//! No overlay network anywhere: applications on ports of their nodes, proxies in host mode on two load balancers, and a channel
//! between operator, extensions and proxies that runs from node to node.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarmgate_e2e::wait::{eventually, throughout};
use swarmgate_e2e::world::{App, Case, STAYS, Setting, Steady, World, http_get};

use super::{SLOW, channel_trust};

/// Five nodes: three managers, and two workers that are load balancers.
const HOSTS: Setting = Setting { name: "hosts", nodes: 5, managers: 3, prepare, before: settle };

const SPEC: &str = include_str!("host_mode.yaml");
/// Where the clusters of the declaration listen.
const DEFAULT: u16 = 8181;
const PINNED: u16 = 8182;
/// The nodes that are load balancers.
const BALANCERS: [usize; 2] = [4, 5];
const ON_BALANCERS: &str = "node.labels.nodetype==loadbalancer";
const ELSEWHERE: &str = "node.labels.nodetype!=loadbalancer";

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, HOSTS, check);
    vec![
        case("host_mode::two_load_balancers_reach_applications_at_node_addresses_and_high_ports", load_balancers),
        case("host_mode::several_tasks_of_a_node_and_fixed_ports_are_endpoints_of_their_own", ports).with_traffic(),
        case("host_mode::the_label_bridge_leads_past_the_overlay", hybrid),
        case("host_mode::the_operator_moves_to_another_manager_and_everybody_finds_it", operator_moves).with_traffic(),
        case("host_mode::the_extension_moves_to_another_node_and_the_proxies_find_it", extension_moves).with_traffic(),
        case("host_mode::a_service_on_our_port_of_another_manager_is_told_nothing_and_stops_nothing", impostor),
        case("host_mode::with_operator_and_extension_down_traffic_goes_on_and_new_proxies_serve", alone).with_traffic(),
        case("host_mode::the_operators_manager_lost_another_one_is_found", manager_lost),
    ]
}

/// An application on ports of its nodes only.
fn app(name: &str) -> App {
    App::new(name).without_network().on_node_ports(None)
}

fn prepare(world: &World) -> Result<()> {
    world.lab.await_ready()?;
    BALANCERS.iter().try_for_each(|k| world.label_node(*k, "nodetype", Some("loadbalancer")))?;
    let stays = format!("{STAYS}=yes");
    // They run before there are proxies, so that boot snapshots contain their ports.
    for (name, port, cluster) in [("anchor", 8600, None), ("anchor-pinned", 8601, Some("pinned"))] {
        let app = App::new(name).without_network().on_node_ports(Some(port)).on_node(1).words(&["--label", &stays]);
        cluster.into_iter().fold(app, App::cluster).create(world)?;
        world.await_running(name, 1)?;
    }
    world.deploy_swarmgate_without_overlay(SPEC, &[])
}

fn settle(world: &World) -> Result<()> {
    for k in BALANCERS {
        world.await_answer(&world.at(k, DEFAULT), "anchor.test", "/", "anchor")?;
        world.await_answer(&world.at(k, PINNED), "anchor-pinned.test", "/", "anchor-pinned")?;
    }
    ["default", "pinned"].iter().try_for_each(|name| world.await_converged(name).map(drop))?;
    no_network_lingers(world)
}

/// Waits until the proxies have left networks that only the previous case needed: leaving one replaces the proxies, which on node
/// ports costs connections that are open at that time.
fn no_network_lingers(world: &World) -> Result<()> {
    eventually(SLOW, "the proxies have left the networks that no route needs", || {
        let status = world.status()?;
        let mut findings = status["clusters"]["default"]["findings"].as_array().into_iter().flatten();
        ensure!(findings.all(|finding| finding["code"] != "NetworkLingers"), "a network lingers");
        Ok(())
    })
}

/// Node address and actual port of every running task of an application.
fn places(world: &World, service: &str, count: usize) -> Result<BTreeSet<String>> {
    let tasks = world.await_running(service, count)?;
    let place = |task: &Value| {
        let ports = task["Status"]["PortStatus"]["Ports"].as_array().context("the task has no ports")?;
        let port = ports.iter().find(|port| port["TargetPort"] == 8080).context("not this port")?;
        Ok(format!("{}:{}", world.lab.node_ip(world.node_of(task)?), port["PublishedPort"]))
    };
    tasks.iter().map(place).collect()
}

/// Waits until requests through a proxy reach exactly these addresses.
fn await_upstreams(address: &str, host: &str, expected: &BTreeSet<String>) -> Result<()> {
    eventually(SLOW, &format!("{host} at {address} is answered from {expected:?}"), || {
        let one = || {
            let answer = http_get(address, host, "/")?;
            ensure!(answer.status == 200, "status {}", answer.status);
            Ok(answer.header("x-upstream-addr").unwrap_or_default().to_owned())
        };
        let found: BTreeSet<String> = (0..24).map(|_| one()).collect::<Result<_>>()?;
        ensure!(found == *expected, "it is answered from {found:?}");
        Ok(())
    })
}

fn load_balancers(world: &World) -> Result<()> {
    world.update("swarmgate-proxy-default", &["--constraint-add", ON_BALANCERS])?;
    for (name, port, cluster) in [("demo", DEFAULT, None), ("demo-pinned", PINNED, Some("pinned"))] {
        let app = app(name).replicas(3).words(&["--constraint", ELSEWHERE]);
        cluster.into_iter().fold(app, App::cluster).create(world)?;
        let places = places(world, name, 3)?;
        let high = |place: &String| place.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).is_some_and(|port: u16| port >= 30_000);
        ensure!(places.len() == 3 && places.iter().all(high), "{places:?}");
        BALANCERS.iter().try_for_each(|k| await_upstreams(&world.at(*k, port), &format!("{name}.test"), &places))?;
        for k in 1..=3 {
            eventually(SLOW, &format!("no proxy on node{k} at {port}"), || {
                ensure!(http_get(&world.at(k, port), "anchor.test", "/").is_err(), "one answers");
                Ok(())
            })?;
        }
    }
    // One by hand, in addition to the arguments at creation; the other as the document describes it.
    for (cluster, constraints) in [("default", &[ON_BALANCERS, "node.platform.os==linux"][..]), ("pinned", &[ON_BALANCERS])] {
        world.await_converged(cluster)?;
        let spec = world.service(&format!("swarmgate-proxy-{cluster}"))?["Spec"]["TaskTemplate"].take();
        ensure!(spec["Placement"]["Constraints"] == serde_json::json!(constraints), "{}", spec["Placement"]);
        ensure!(spec["Networks"].as_array().is_none_or(Vec::is_empty), "{}", spec["Networks"]);
    }
    let networks = world.docker(&["network", "ls", "--filter", "driver=overlay", "--format", "{{.Name}}"])?;
    ensure!(!networks.contains("control") && !networks.contains("swarmgate"), "there are {networks}");
    Ok(())
}

fn ports(world: &World) -> Result<()> {
    // On a load balancer itself, so that one proxy reaches its own node and the other reaches another node.
    app("packed").replicas(3).on_node(4).create(world)?;
    let packed = places(world, "packed", 3)?;
    ensure!(packed.len() == 3 && packed.iter().all(|place| place.starts_with(&world.lab.node_ip(4))), "{packed:?}");
    BALANCERS.iter().try_for_each(|k| await_upstreams(&world.at(*k, DEFAULT), "packed.test", &packed))?;
    let fixed = App::new("fixed").without_network().on_node_ports(Some(8700));
    fixed.words(&["--mode", "global", "--constraint", "node.role==manager"]).create(world)?;
    let expected: BTreeSet<_> = (1..=3).map(|k| format!("{}:8700", world.lab.node_ip(k))).collect();
    ensure!(places(world, "fixed", 3)? == expected, "{:?}", places(world, "fixed", 3));
    await_upstreams(&world.at(5, DEFAULT), "fixed.test", &expected)?;
    let (kept, fresh) = (world.at(4, DEFAULT), world.at(5, DEFAULT));
    let traffic = Steady::start([&kept, &fresh], "packed.test")?;
    world.update("packed", &["--replicas", "1"])?;
    let left = places(world, "packed", 1)?;
    await_upstreams(&world.at(4, DEFAULT), "packed.test", &left)?;
    world.update("packed", &["--replicas", "3"])?;
    await_upstreams(&world.at(4, DEFAULT), "packed.test", &places(world, "packed", 3)?)?;
    traffic.stop_without_loss()
}

fn hybrid(world: &World) -> Result<()> {
    app("both").network("apps").replicas(2).label("network", "bridge").create(world)?;
    let address = world.at(4, DEFAULT);
    let places = places(world, "both", 2)?;
    await_upstreams(&address, "both.test", &places)?;
    world.await_converged("default")?;
    let before = world.task_ids("swarmgate-proxy-default")?;
    let networks = world.service("swarmgate-proxy-default")?["Spec"]["TaskTemplate"]["Networks"].take();
    ensure!(networks.as_array().is_none_or(Vec::is_empty), "the proxies need none: {networks}");
    world.update("both", &["--label-rm", "com.docker.lb.network"])?;
    let over_network: BTreeSet<_> = overlay_addresses(world, "both")?;
    await_upstreams(&address, "both.test", &over_network)?;
    world.await_converged("default")?;
    ensure!(world.task_ids("swarmgate-proxy-default")? != before, "Swarm attaches a network by replacing tasks");
    world.update("both", &["--label-add", "com.docker.lb.network=bridge"])?;
    await_upstreams(&address, "both.test", &places)
}

fn overlay_addresses(world: &World, service: &str) -> Result<BTreeSet<String>> {
    let address = |task: &Value| {
        let attached = task["NetworksAttachments"].as_array().context("the task has no networks")?;
        let apps = attached.iter().find(|one| one["Network"]["Spec"]["Name"] == "apps").context("it is not on apps")?;
        let address = apps["Addresses"][0].as_str().and_then(|address| address.split('/').next()).context("no address")?;
        Ok(format!("{address}:8080"))
    };
    world.running_tasks(service)?.iter().map(address).collect()
}

/// The proxies' tasks of both clusters: none of them may change because of the operator or the extension.
fn proxies(world: &World) -> Result<Vec<Vec<String>>> {
    ["swarmgate-proxy-default", "swarmgate-proxy-pinned"].iter().map(|service| world.task_ids(service)).collect()
}

/// The proxies on all nodes but one. Whether that one has a proxy depends on the cases before.
fn proxies_beside(world: &World, node: usize) -> Result<BTreeSet<String>> {
    let mut beside = BTreeSet::new();
    for service in ["swarmgate-proxy-default", "swarmgate-proxy-pinned"] {
        for task in world.running_tasks(service)? {
            if world.node_of(&task)? != node {
                beside.insert(task["ID"].as_str().context("a task without an id")?.to_owned());
            }
        }
    }
    Ok(beside)
}

fn operator_on(world: &World) -> Result<usize> {
    world.node_of(&world.await_running("swarmgate_operator", 1)?.remove(0))
}

/// A new application that both load balancers serve: the whole chain works.
fn news_arrive(world: &World, name: &str) -> Result<()> {
    app(name).words(&["--constraint", ELSEWHERE]).create(world)?;
    BALANCERS.iter().try_for_each(|k| world.await_answer(&world.at(*k, DEFAULT), &format!("{name}.test"), "/", name).map(drop))
}

fn operator_moves(world: &World) -> Result<()> {
    let from = operator_on(world)?;
    let to = (1..=3).find(|k| *k != from).context("another manager")?;
    let before = proxies(world)?;
    let traffic = Steady::start([&world.at(4, DEFAULT), &world.at(5, DEFAULT)], "anchor.test")?;
    let there = format!("node.hostname==node{to}");
    world.update("swarmgate_operator", &["--constraint-add", &there])?;
    eventually(SLOW, "the operator runs there", || {
        ensure!(operator_on(world)? == to, "not yet");
        world.ask_operator("/readyz").map(drop)
    })?;
    news_arrive(world, "after-the-move")?;
    world.await_converged("default")?;
    let (lost, after) = (traffic.stop_without_loss(), proxies(world)?);
    // Removed in any case: with the constraint, the operator could not move in later cases.
    world.update("swarmgate_operator", &["--constraint-rm", &there])?;
    world.await_alive("swarmgate_operator", 1)?;
    lost?;
    ensure!(after == before, "{before:?} became {after:?}");
    Ok(())
}

fn extension_moves(world: &World) -> Result<()> {
    const EXTENSION: &str = "swarmgate-extension-default";
    let task = world.await_running(EXTENSION, 1)?.remove(0);
    let from = world.node_of(&task)?;
    let to = (1..=3).find(|k| *k != from).context("another node")?;
    let before = proxies(world)?;
    let traffic = Steady::start([&world.at(4, DEFAULT), &world.at(5, DEFAULT)], "anchor.test")?;
    let there = format!("node.hostname==node{to}");
    world.update(EXTENSION, &["--constraint-add", &there])?;
    eventually(SLOW, "the extension runs there", || {
        let tasks = world.running_tasks(EXTENSION)?;
        let task = tasks.first().context("none runs")?;
        ensure!(world.node_of(task)? == to, "not yet");
        Ok(())
    })?;
    news_arrive(world, "after-the-move")?;
    world.kill(&world.await_running(EXTENSION, 1)?.remove(0))?;
    news_arrive(world, "after-the-end")?;
    world.await_converged("default")?;
    traffic.stop_without_loss()?;
    ensure!(proxies(world)? == before, "{before:?} became {:?}", proxies(world));
    world.update(EXTENSION, &["--constraint-rm", &there])
}

/// New tasks look for the operator on every manager, and on one of them an impostor has the port.
fn impostor(world: &World) -> Result<()> {
    const EXTENSION: &str = "swarmgate-extension-default";
    let from = operator_on(world)?;
    let elsewhere = (1..=3).find(|k| *k != from).context("another manager")?;
    let place = format!("node.hostname==node{elsewhere}");
    channel_trust::impostor(world, "impostor", &["--publish", "mode=host,published=8081,target=8080", "--constraint", &place])?;
    let before = world.task_ids(EXTENSION)?;
    world.update(EXTENSION, &["--force"])?;
    eventually(SLOW, "the extension is another task", || {
        ensure!(world.task_ids(EXTENSION)? != before, "not yet");
        Ok(())
    })?;
    news_arrive(world, "past-the-impostor")?;
    world.await_converged("default")?;
    channel_trust::told_nothing(world, "impostor")
}

fn alone(world: &World) -> Result<()> {
    let outcome = without_operator_and_extension(world);
    world.label_node(3, "nodetype", None)?;
    world.update("swarmgate_operator", &["--replicas", "1"])?;
    outcome?;
    // The operator restores its extension.
    world.await_converged("default")?;
    news_arrive(world, "afterwards")
}

fn without_operator_and_extension(world: &World) -> Result<()> {
    let traffic = Steady::start([&world.at(4, PINNED), &world.at(5, PINNED)], "anchor-pinned.test")?;
    for (service, replicas) in [("swarmgate_operator", "0"), ("swarmgate-extension-default", "0"), ("swarmgate-extension-pinned", "0")] {
        world.update(service, &["--replicas", replicas])?;
        world.await_alive(service, 0)?;
    }
    throughout(Duration::from_secs(20), "the proxies serve", || {
        BALANCERS.iter().try_for_each(|k| {
            let answer = http_get(&world.at(*k, PINNED), "anchor-pinned.test", "/")?;
            ensure!(answer.status == 200, "status {}", answer.status);
            Ok(())
        })
    })?;
    traffic.stop_without_loss()?;
    // A node where no proxy ran before has only the boot snapshot, which contains the fixed port.
    world.label_node(3, "nodetype", Some("loadbalancer"))?;
    // The operator would do this.
    world.docker(&["service", "scale", "--detach", &format!("swarmgate-proxy-pinned={}", BALANCERS.len() + 1)])?;
    world.await_answer(&world.at(3, PINNED), "anchor-pinned.test", "/", "anchor-pinned").map(drop)
}

fn manager_lost(world: &World) -> Result<()> {
    let lost = operator_on(world)?;
    let before = proxies_beside(world, lost)?;
    world.lab.power_off(lost)?;
    eventually(SLOW, "an operator runs on another manager", || {
        let tasks = world.running_tasks("swarmgate_operator")?;
        let elsewhere = tasks.iter().map(|task| world.node_of(task)).collect::<Result<Vec<_>>>()?;
        ensure!(elsewhere.iter().any(|k| *k != lost), "it is said to run on {elsewhere:?}");
        world.ask_operator("/readyz").map(drop)
    })?;
    let near = (1..=3).find(|k| *k != lost).context("another manager")?;
    app("after-the-loss").on_node(near).create(world)?;
    BALANCERS
        .iter()
        .try_for_each(|k| world.await_answer(&world.at(*k, DEFAULT), "after-the-loss.test", "/", "after-the-loss").map(drop))?;
    let after = proxies_beside(world, lost)?;
    ensure!(after == before, "{before:?} became {after:?}");
    world.lab.start(lost)
}
