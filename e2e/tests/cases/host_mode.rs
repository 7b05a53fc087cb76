//! No overlay network anywhere: applications on ports of their nodes, proxies in host mode on two load balancers, and a channel
//! between operator, extensions and proxies that runs from node to node.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarmgate_e2e::testbed::{App, Case, STAYS, Setting, Steady, Testbed, http_get};
use swarmgate_e2e::wait::{eventually, throughout};

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
        // The numbers differ from then on, also for the cases after it.
        case("host_mode::a_port_with_another_number_for_ipv6_is_reached_by_ipv4", families),
        case("host_mode::two_load_balancers_reach_applications_at_node_addresses_and_high_ports", load_balancers),
        case("host_mode::tasks_on_one_node_and_fixed_ports_are_separate_endpoints", ports).with_traffic(),
        case("host_mode::the_label_bridge_bypasses_the_overlay", hybrid),
        case("host_mode::an_operator_that_moves_to_another_manager_is_found", operator_moves).with_traffic(),
        case("host_mode::an_extension_that_moves_to_another_node_is_found", extension_moves).with_traffic(),
        case("host_mode::a_service_on_our_port_of_another_manager_receives_nothing_and_stops_nothing", impostor),
        case("host_mode::without_operator_and_extension_traffic_continues_and_new_proxies_serve", alone).with_traffic(),
        case("host_mode::after_losing_its_manager_the_operator_is_found_elsewhere", manager_lost),
    ]
}

/// An application on ports of its nodes only.
fn app(name: &str) -> App {
    App::new(name).without_network().on_node_ports(None)
}

fn prepare(testbed: &Testbed) -> Result<()> {
    testbed.lab.await_ready()?;
    BALANCERS.iter().try_for_each(|k| testbed.label_node(*k, "nodetype", Some("loadbalancer")))?;
    let stays = format!("{STAYS}=yes");
    // They run before there are proxies, so that boot snapshots contain their ports.
    for (name, port, cluster) in [("anchor", 8600, None), ("anchor-pinned", 8601, Some("pinned"))] {
        let app = App::new(name).without_network().on_node_ports(Some(port)).on_node(1).args(&["--label", &stays]);
        cluster.into_iter().fold(app, App::cluster).create(testbed)?;
        testbed.await_running(name, 1)?;
    }
    testbed.deploy_swarmgate_without_overlay(SPEC, &[])
}

fn settle(testbed: &Testbed) -> Result<()> {
    for k in BALANCERS {
        testbed.await_answer(&testbed.at(k, DEFAULT), "anchor.test", "/", "anchor")?;
        testbed.await_answer(&testbed.at(k, PINNED), "anchor-pinned.test", "/", "anchor-pinned")?;
    }
    // In this order: once a network no longer lingers, the proxies are being replaced to leave it.
    no_network_lingers(testbed)?;
    ["default", "pinned"].iter().try_for_each(|name| testbed.await_converged(name).map(drop))
}

/// Waits until the proxies have left networks that only the previous case needed: leaving one replaces the proxies, which on node
/// ports costs connections that are open at that time.
fn no_network_lingers(testbed: &Testbed) -> Result<()> {
    eventually(SLOW, "the proxies have left the networks that no route needs", || {
        let status = testbed.status()?;
        let mut findings = status["clusters"]["default"]["findings"].as_array().into_iter().flatten();
        ensure!(findings.all(|finding| finding["code"] != "NetworkLingers"), "a network lingers");
        Ok(())
    })
}

/// Node address and actual port of every running task of an application.
fn node_addresses(testbed: &Testbed, service: &str, count: usize) -> Result<BTreeSet<String>> {
    let tasks = testbed.await_running(service, count)?;
    let node_address = |task: &Value| {
        let ports = task["Status"]["PortStatus"]["Ports"].as_array().context("the task has no ports")?;
        let port = ports.iter().find(|port| port["TargetPort"] == 8080).context("not this port")?;
        Ok(format!("{}:{}", testbed.lab.node_ip(testbed.node_of(task)?), port["PublishedPort"]))
    };
    tasks.iter().map(node_address).collect()
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

fn families(testbed: &Testbed) -> Result<()> {
    // The engine counts the port numbers of each family; this takes one of IPv4.
    testbed.lab.docker(2, &["run", "--detach", "--name", "only-ipv4", "--publish", "0.0.0.0::8080", "demo-app:v1"])?;
    testbed.lab.docker(2, &["rm", "--force", "only-ipv4"])?;
    app("families").on_node(2).create(testbed)?;
    let tasks = testbed.await_running("families", 1)?;
    let ports = tasks[0]["Status"]["PortStatus"]["Ports"].as_array().context("the task has no ports")?;
    let numbers: BTreeSet<_> = ports.iter().filter_map(|port| port["PublishedPort"].as_u64()).collect();
    ensure!(numbers.len() == 2, "the engine has chosen {numbers:?}");
    BALANCERS.iter().try_for_each(|k| testbed.await_answer(&testbed.at(*k, DEFAULT), "families.test", "/", "families").map(drop))
}

fn load_balancers(testbed: &Testbed) -> Result<()> {
    testbed.update("swarmgate-proxy-default", &["--constraint-add", ON_BALANCERS])?;
    for (name, port, cluster) in [("demo", DEFAULT, None), ("demo-pinned", PINNED, Some("pinned"))] {
        let app = app(name).replicas(3).args(&["--constraint", ELSEWHERE]);
        cluster.into_iter().fold(app, App::cluster).create(testbed)?;
        let node_addresses = node_addresses(testbed, name, 3)?;
        let high = |node_address: &String| {
            node_address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).is_some_and(|port: u16| port >= 30_000)
        };
        ensure!(node_addresses.len() == 3 && node_addresses.iter().all(high), "{node_addresses:?}");
        BALANCERS.iter().try_for_each(|k| await_upstreams(&testbed.at(*k, port), &format!("{name}.test"), &node_addresses))?;
        for k in 1..=3 {
            eventually(SLOW, &format!("no proxy on node{k} at {port}"), || {
                ensure!(http_get(&testbed.at(k, port), "anchor.test", "/").is_err(), "one answers");
                Ok(())
            })?;
        }
    }
    // One by hand, in addition to the arguments at creation; the other as the document describes it.
    for (cluster, constraints) in [("default", &[ON_BALANCERS, "node.platform.os==linux"][..]), ("pinned", &[ON_BALANCERS])] {
        testbed.await_converged(cluster)?;
        let spec = testbed.service(&format!("swarmgate-proxy-{cluster}"))?["Spec"]["TaskTemplate"].take();
        ensure!(spec["Placement"]["Constraints"] == serde_json::json!(constraints), "{}", spec["Placement"]);
        ensure!(spec["Networks"].as_array().is_none_or(Vec::is_empty), "{}", spec["Networks"]);
    }
    let networks = testbed.docker(&["network", "ls", "--filter", "driver=overlay", "--format", "{{.Name}}"])?;
    ensure!(!networks.contains("control") && !networks.contains("swarmgate"), "there are {networks}");
    Ok(())
}

fn ports(testbed: &Testbed) -> Result<()> {
    // On a load balancer itself, so that one proxy reaches its own node and the other reaches another node.
    app("packed").replicas(3).on_node(4).create(testbed)?;
    let packed = node_addresses(testbed, "packed", 3)?;
    ensure!(packed.len() == 3 && packed.iter().all(|node_address| node_address.starts_with(&testbed.lab.node_ip(4))), "{packed:?}");
    BALANCERS.iter().try_for_each(|k| await_upstreams(&testbed.at(*k, DEFAULT), "packed.test", &packed))?;
    let fixed = App::new("fixed").without_network().on_node_ports(Some(8700));
    fixed.args(&["--mode", "global", "--constraint", "node.role==manager"]).create(testbed)?;
    let expected: BTreeSet<_> = (1..=3).map(|k| format!("{}:8700", testbed.lab.node_ip(k))).collect();
    ensure!(node_addresses(testbed, "fixed", 3)? == expected, "{:?}", node_addresses(testbed, "fixed", 3));
    await_upstreams(&testbed.at(5, DEFAULT), "fixed.test", &expected)?;
    let (kept, fresh) = (testbed.at(4, DEFAULT), testbed.at(5, DEFAULT));
    let traffic = Steady::start([&kept, &fresh], "packed.test")?;
    testbed.update("packed", &["--replicas", "1"])?;
    let left = node_addresses(testbed, "packed", 1)?;
    await_upstreams(&testbed.at(4, DEFAULT), "packed.test", &left)?;
    testbed.update("packed", &["--replicas", "3"])?;
    await_upstreams(&testbed.at(4, DEFAULT), "packed.test", &node_addresses(testbed, "packed", 3)?)?;
    traffic.stop_without_loss()
}

fn hybrid(testbed: &Testbed) -> Result<()> {
    app("both").network("apps").replicas(2).label("network", "bridge").create(testbed)?;
    let address = testbed.at(4, DEFAULT);
    let node_addresses = node_addresses(testbed, "both", 2)?;
    await_upstreams(&address, "both.test", &node_addresses)?;
    testbed.await_converged("default")?;
    let before = testbed.task_ids("swarmgate-proxy-default")?;
    let networks = testbed.service("swarmgate-proxy-default")?["Spec"]["TaskTemplate"]["Networks"].take();
    ensure!(networks.as_array().is_none_or(Vec::is_empty), "the proxies must have no networks: {networks}");
    testbed.update("both", &["--label-rm", "com.docker.lb.network"])?;
    let over_network: BTreeSet<_> = overlay_addresses(testbed, "both")?;
    await_upstreams(&address, "both.test", &over_network)?;
    testbed.await_converged("default")?;
    ensure!(testbed.task_ids("swarmgate-proxy-default")? != before, "Swarm attaches a network by replacing tasks");
    testbed.update("both", &["--label-add", "com.docker.lb.network=bridge"])?;
    await_upstreams(&address, "both.test", &node_addresses)
}

fn overlay_addresses(testbed: &Testbed, service: &str) -> Result<BTreeSet<String>> {
    let address = |task: &Value| {
        let attached = task["NetworksAttachments"].as_array().context("the task has no networks")?;
        let apps = attached.iter().find(|one| one["Network"]["Spec"]["Name"] == "apps").context("it is not on apps")?;
        let address = apps["Addresses"][0].as_str().and_then(|address| address.split('/').next()).context("no address")?;
        Ok(format!("{address}:8080"))
    };
    testbed.running_tasks(service)?.iter().map(address).collect()
}

/// The proxies' tasks of both clusters: none of them may change because of the operator or the extension.
fn proxies(testbed: &Testbed) -> Result<Vec<Vec<String>>> {
    ["swarmgate-proxy-default", "swarmgate-proxy-pinned"].iter().map(|service| testbed.task_ids(service)).collect()
}

/// The proxies on all nodes but one. Whether that one has a proxy depends on the cases before.
fn proxies_beside(testbed: &Testbed, node: usize) -> Result<BTreeSet<String>> {
    let mut beside = BTreeSet::new();
    for service in ["swarmgate-proxy-default", "swarmgate-proxy-pinned"] {
        for task in testbed.running_tasks(service)? {
            if testbed.node_of(&task)? != node {
                beside.insert(task["ID"].as_str().context("a task without an id")?.to_owned());
            }
        }
    }
    Ok(beside)
}

fn operator_on(testbed: &Testbed) -> Result<usize> {
    testbed.node_of(&testbed.await_running("swarmgate_operator", 1)?.remove(0))
}

/// A new application that both load balancers serve: the whole chain works.
fn news_arrive(testbed: &Testbed, name: &str) -> Result<()> {
    app(name).args(&["--constraint", ELSEWHERE]).create(testbed)?;
    BALANCERS.iter().try_for_each(|k| testbed.await_answer(&testbed.at(*k, DEFAULT), &format!("{name}.test"), "/", name).map(drop))
}

fn operator_moves(testbed: &Testbed) -> Result<()> {
    let from = operator_on(testbed)?;
    let to = (1..=3).find(|k| *k != from).context("another manager")?;
    let before = proxies(testbed)?;
    let traffic = Steady::start([&testbed.at(4, DEFAULT), &testbed.at(5, DEFAULT)], "anchor.test")?;
    let there = format!("node.hostname==node{to}");
    testbed.update("swarmgate_operator", &["--constraint-add", &there])?;
    eventually(SLOW, "the operator runs there", || {
        ensure!(operator_on(testbed)? == to, "not yet");
        testbed.query_operator("/readyz").map(drop)
    })?;
    news_arrive(testbed, "after-the-move")?;
    testbed.await_converged("default")?;
    let (lost, after) = (traffic.stop_without_loss(), proxies(testbed)?);
    // Removed in any case: with the constraint, the operator could not move in later cases.
    testbed.update("swarmgate_operator", &["--constraint-rm", &there])?;
    testbed.await_alive("swarmgate_operator", 1)?;
    lost?;
    ensure!(after == before, "{before:?} became {after:?}");
    Ok(())
}

fn extension_moves(testbed: &Testbed) -> Result<()> {
    const EXTENSION: &str = "swarmgate-extension-default";
    let task = testbed.await_running(EXTENSION, 1)?.remove(0);
    let from = testbed.node_of(&task)?;
    let to = (1..=3).find(|k| *k != from).context("another node")?;
    let before = proxies(testbed)?;
    let traffic = Steady::start([&testbed.at(4, DEFAULT), &testbed.at(5, DEFAULT)], "anchor.test")?;
    let there = format!("node.hostname==node{to}");
    testbed.update(EXTENSION, &["--constraint-add", &there])?;
    eventually(SLOW, "the extension runs there", || {
        let tasks = testbed.running_tasks(EXTENSION)?;
        let task = tasks.first().context("none runs")?;
        ensure!(testbed.node_of(task)? == to, "not yet");
        Ok(())
    })?;
    news_arrive(testbed, "after-the-move")?;
    testbed.kill(&testbed.await_running(EXTENSION, 1)?.remove(0))?;
    news_arrive(testbed, "after-the-end")?;
    testbed.await_converged("default")?;
    traffic.stop_without_loss()?;
    ensure!(proxies(testbed)? == before, "{before:?} became {:?}", proxies(testbed));
    testbed.update(EXTENSION, &["--constraint-rm", &there])
}

/// New tasks look for the operator on every manager, and on one of them an impostor has the port.
fn impostor(testbed: &Testbed) -> Result<()> {
    const EXTENSION: &str = "swarmgate-extension-default";
    let from = operator_on(testbed)?;
    let elsewhere = (1..=3).find(|k| *k != from).context("another manager")?;
    let constraint = format!("node.hostname==node{elsewhere}");
    channel_trust::impostor(testbed, "impostor", &["--publish", "mode=host,published=8081,target=8080", "--constraint", &constraint])?;
    let before = testbed.task_ids(EXTENSION)?;
    testbed.update(EXTENSION, &["--force"])?;
    eventually(SLOW, "the extension is another task", || {
        ensure!(testbed.task_ids(EXTENSION)? != before, "not yet");
        Ok(())
    })?;
    news_arrive(testbed, "past-the-impostor")?;
    testbed.await_converged("default")?;
    channel_trust::received_nothing(testbed, "impostor")
}

fn alone(testbed: &Testbed) -> Result<()> {
    let outcome = without_operator_and_extension(testbed);
    testbed.label_node(3, "nodetype", None)?;
    testbed.update("swarmgate_operator", &["--replicas", "1"])?;
    outcome?;
    // The operator restores its extension.
    testbed.await_converged("default")?;
    news_arrive(testbed, "afterwards")
}

fn without_operator_and_extension(testbed: &Testbed) -> Result<()> {
    let traffic = Steady::start([&testbed.at(4, PINNED), &testbed.at(5, PINNED)], "anchor-pinned.test")?;
    for (service, replicas) in [("swarmgate_operator", "0"), ("swarmgate-extension-default", "0"), ("swarmgate-extension-pinned", "0")] {
        testbed.update(service, &["--replicas", replicas])?;
        testbed.await_alive(service, 0)?;
    }
    throughout(Duration::from_secs(20), "the proxies serve", || {
        BALANCERS.iter().try_for_each(|k| {
            let answer = http_get(&testbed.at(*k, PINNED), "anchor-pinned.test", "/")?;
            ensure!(answer.status == 200, "status {}", answer.status);
            Ok(())
        })
    })?;
    traffic.stop_without_loss()?;
    // A node where no proxy ran before has only the boot snapshot, which contains the fixed port.
    testbed.label_node(3, "nodetype", Some("loadbalancer"))?;
    // The operator would do this.
    testbed.docker(&["service", "scale", "--detach", &format!("swarmgate-proxy-pinned={}", BALANCERS.len() + 1)])?;
    testbed.await_answer(&testbed.at(3, PINNED), "anchor-pinned.test", "/", "anchor-pinned").map(drop)
}

fn manager_lost(testbed: &Testbed) -> Result<()> {
    let lost = operator_on(testbed)?;
    let before = proxies_beside(testbed, lost)?;
    testbed.lab.power_off(lost)?;
    eventually(SLOW, "an operator runs on another manager", || {
        let tasks = testbed.running_tasks("swarmgate_operator")?;
        let elsewhere = tasks.iter().map(|task| testbed.node_of(task)).collect::<Result<Vec<_>>>()?;
        ensure!(elsewhere.iter().any(|k| *k != lost), "it is listed on {elsewhere:?}");
        testbed.query_operator("/readyz").map(drop)
    })?;
    let near = (1..=3).find(|k| *k != lost).context("another manager")?;
    app("after-the-loss").on_node(near).create(testbed)?;
    BALANCERS
        .iter()
        .try_for_each(|k| testbed.await_answer(&testbed.at(*k, DEFAULT), "after-the-loss.test", "/", "after-the-loss").map(drop))?;
    let after = proxies_beside(testbed, lost)?;
    ensure!(after == before, "{before:?} became {after:?}");
    testbed.lab.start(lost)
}
