//! Networks: proxies join the networks of their routes, and leave them again.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarmgate_e2e::testbed::{App, Case, Steady, Testbed, http_get};
use swarmgate_e2e::wait::eventually;

use super::SLOW;
use super::shared_swarm::{DEFAULT, DEV, GATE, MESH};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("network_attachment::a_service_on_a_new_network_is_served_and_the_network_is_released", attach_and_release),
        case("network_attachment::behind_the_routing_mesh_attaching_loses_no_request", attach_without_loss).with_traffic(),
        case("network_attachment::the_network_label_chooses_among_several", label_chooses),
        case("network_attachment::proxies_never_join_networks_outside_a_closed_list", closed_list),
        case("network_attachment::a_bad_network_loses_no_request_of_other_routes_in_host_mode", bad_in_host_mode).with_traffic(),
        case("network_attachment::a_bad_network_loses_no_request_of_other_routes_behind_the_routing_mesh", bad_behind_the_mesh)
            .with_traffic(),
    ]
}

/// A network that would cost other services or clients their proxies.
struct Bad {
    /// Its name; the service on it has the same name with the prefix `on-`.
    name: &'static str,
    /// The arguments of `docker network create`; `LAB` stands for the first three numbers of the nodes' and clients' addresses,
    /// `GWBRIDGE` for the subnet of the manager's gateway bridge, `APPS` for that of a network that the proxies are attached to.
    args: &'static [&'static str],
    /// The finding about the service.
    code: &'static str,
    /// The text in the finding's message.
    why: &'static str,
}

const fn overlay(name: &'static str, args: &'static [&'static str], why: &'static str) -> Bad {
    Bad { name, args, code: "UnsuitableNetwork", why }
}

const BAD: [Bad; 10] = [
    overlay("bad-macvlan", &["-d", "macvlan", "--scope", "swarm", "--config-from", "bad-lan"], "not an overlay network (driver macvlan)"),
    overlay("bad-ipvlan", &["-d", "ipvlan", "--scope", "swarm", "--config-from", "bad-lan"], "not an overlay network (driver ipvlan)"),
    overlay("bad-nodes", &["-d", "overlay", "--subnet", "LAB.0/24"], ", the node node"),
    overlay("bad-clients", &["-d", "overlay", "--subnet", "LAB.0/29"], "not private address space"),
    overlay("bad-bridge", &["-d", "overlay", "--subnet", "GWBRIDGE"], ", docker_gwbridge of a node"),
    overlay("bad-twin", &["-d", "overlay", "--subnet", "APPS"], "Swarm has assigned it no addresses"),
    overlay("bad-half", &["-d", "overlay", "--subnet", "128.0.0.0/1"], "its subnet 128.0.0.0/1 overlaps"),
    overlay("bad-other-half", &["-d", "overlay", "--subnet", "0.0.0.0/1"], ""),
    overlay("bad-reserved", &["-d", "overlay", "--subnet", "10.250.7.0/24"], "spec.networks.reserved"),
    Bad { name: "bad-full", args: &["-d", "overlay", "--subnet", "10.251.7.0/29"], code: "NetworkFull", why: "addresses free" },
];

fn bad_in_host_mode(testbed: &Testbed) -> Result<()> {
    bad_networks(testbed, "default", DEFAULT)
}

fn bad_behind_the_mesh(testbed: &Testbed) -> Result<()> {
    bad_networks(testbed, "mesh", MESH)
}

/// One bad network after another, while another service is under load; none of them costs a request or a proxy.
fn bad_networks(testbed: &Testbed, cluster: &str, port: u16) -> Result<()> {
    for k in 1..=testbed.lab.nodes() {
        let subnet = format!("10.252.{k}.0/24");
        // Left behind by the other of the two cases.
        let _ = testbed.lab.docker(k, &["network", "create", "--config-only", "--subnet", &subnet, "bad-lan"]);
    }
    let app = |name: &str| if cluster == "default" { App::new(name) } else { App::new(name).cluster(cluster) };
    app("good").create(testbed)?;
    let (kept, fresh) = (testbed.at(1, port), testbed.at(2, port));
    testbed.await_answer(&kept, "good.test", "/", "good")?;
    testbed.await_answer(&fresh, "good.test", "/", "good")?;
    testbed.await_converged(cluster)?;
    let proxy = format!("swarmgate-proxy-{cluster}");
    let (tasks, version) = (testbed.task_ids(&proxy)?, testbed.service(&proxy)?["Version"].clone());
    let traffic = Steady::start([&kept, &fresh], "good.test")?;
    let outcome = BAD.iter().try_for_each(|bad| {
        one_bad_network(testbed, cluster, bad, &app).with_context(|| format!("network {}", bad.name))?;
        ensure!(testbed.task_ids(&proxy)? == tasks, "{}: proxies were replaced", bad.name);
        ensure!(testbed.service(&proxy)?["Version"] == version, "{}: the proxy service was written", bad.name);
        for address in [&kept, &fresh] {
            let answer = http_get(address, "good.test", "/").with_context(|| format!("after the network {}", bad.name))?;
            ensure!(answer.status == 200, "after the network {}: status {}", bad.name, answer.status);
        }
        Ok(())
    });
    // Lost requests say more than any other failure.
    traffic.stop_without_loss().and(outcome)
}

fn one_bad_network(testbed: &Testbed, cluster: &str, bad: &Bad, app: &impl Fn(&str) -> App) -> Result<()> {
    let node = testbed.lab.node_ip(1);
    let lab = node.rsplit_once('.').context("an IPv4 address")?.0;
    let subnet = |network: &str| testbed.docker(&["network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", network]);
    let (bridge, apps) = (subnet("docker_gwbridge")?, subnet("apps")?);
    let known = |word: &&str| word.replace("LAB", lab).replace("GWBRIDGE", bridge.trim()).replace("APPS", apps.trim());
    let args: Vec<String> = bad.args.iter().map(known).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    testbed.docker(&[&["network", "create"], args.as_slice(), &[bad.name]].concat())?;
    let service = bad.name.replace("bad-", "on-");
    app(&service).network(bad.name).create(testbed)?;
    let finding = testbed.await_finding(cluster, bad.code, &service)?;
    let has = |text: &str| finding["message"].as_str().is_some_and(|message| message.contains(text));
    ensure!(has(bad.name) && has(bad.why) && has("its hosts answer 503"), "the finding is {finding}");
    ensure!(finding["severity"] == "error", "{finding}");
    let route = |status: &Value| {
        let routes = status["routes"].as_array().into_iter().flatten();
        routes.into_iter().find(|route| route["host"] == format!("{service}.test")).cloned().context("there is no such route")
    };
    let reason = route(&testbed.cluster(cluster)?)?["reason"].clone();
    ensure!(reason.as_str().is_some_and(|reason| reason.contains(bad.name)), "the reason of the route is {reason}");
    testbed.docker(&["service", "rm", &service])?;
    testbed.await_cluster(cluster, "the finding is gone", |status| {
        ensure!(route(status).is_err() && !status["findings"].to_string().contains(bad.name), "{}", status["findings"]);
        Ok(())
    })?;
    eventually(SLOW, "the network can be removed", || testbed.docker(&["network", "rm", bad.name]).map(drop))
}

fn attach_and_release(testbed: &Testbed) -> Result<()> {
    App::new("far").cluster("dev").network("far-away").create(testbed)?;
    testbed.await_answer(&testbed.at(3, DEV), "far.test", "/", "far")?;
    // The other network of the cluster is kept.
    testbed.await_answer(&testbed.at(3, DEV), "anchor-dev.test", "/", "anchor-dev")?;
    testbed.docker(&["service", "rm", "far"])?;
    eventually(SLOW, "the network can be removed", || testbed.docker(&["network", "rm", "far-away"]).map(drop))?;
    testbed.await_answer(&testbed.at(3, DEV), "anchor-dev.test", "/", "anchor-dev").map(drop)
}

/// In ingress mode, new proxy tasks start before old ones end, so existing routes are not interrupted.
fn attach_without_loss(testbed: &Testbed) -> Result<()> {
    App::new("first").cluster("mesh").create(testbed)?;
    let (kept, fresh) = (testbed.at(1, MESH), testbed.at(2, MESH));
    testbed.await_answer(&kept, "first.test", "/", "first")?;
    testbed.await_answer(&fresh, "first.test", "/", "first")?;
    testbed.await_converged("mesh")?;
    let before = testbed.task_ids("swarmgate-proxy-mesh")?;
    let traffic = Steady::start([&kept, &fresh], "first.test")?;
    App::new("second").cluster("mesh").network("other-side").create(testbed)?;
    testbed.await_answer(&kept, "second.test", "/", "second")?;
    testbed.await_converged("mesh")?;
    traffic.stop_without_loss()?;
    let after = testbed.task_ids("swarmgate-proxy-mesh")?;
    ensure!(before.iter().all(|task| !after.contains(task)), "a network that must be attached replaces the tasks: {before:?} {after:?}");
    Ok(())
}

fn label_chooses(testbed: &Testbed) -> Result<()> {
    testbed.network("private")?;
    App::new("two-nets").label("network", "apps-dev").network("private").cluster("dev").args(&["--network", "apps-dev"]).create(testbed)?;
    let before = testbed.task_ids("swarmgate-proxy-dev")?;
    testbed.await_answer(&testbed.at(3, DEV), "two-nets.test", "/", "two-nets")?;
    ensure!(testbed.task_ids("swarmgate-proxy-dev")? == before, "the proxies were attached to a network that no route needs");
    Ok(())
}

/// `stock` declares `networks: [apps]`.
fn closed_list(testbed: &Testbed) -> Result<()> {
    App::new("outside").cluster("stock").network("not-listed").create(testbed)?;
    testbed.await_finding("stock", "UnreachableNetwork", "outside")?;
    testbed.await_running("outside", 1)?;
    let proxy = testbed.service("swarmgate-proxy-stock")?;
    let network = testbed.docker(&["network", "inspect", "--format", "{{.Id}}", "not-listed"])?;
    let attached = proxy["Spec"]["TaskTemplate"]["Networks"].as_array().cloned().unwrap_or_default();
    ensure!(!attached.iter().any(|to| to["Target"] == network.trim()), "it is attached to {attached:?}");
    Ok(())
}
