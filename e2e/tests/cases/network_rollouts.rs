//! Networks that come and go, or on which no proxy starts: other services notice nothing, and everything recovers.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarmgate_e2e::wait::{eventually, throughout};
use swarmgate_e2e::world::{App, Case, Load, LoadReport, Steady, World};

use super::SLOW;
use super::shared_swarm::{DEFAULT, GATE, MESH};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("network_rollouts::labels_that_flap_replace_no_proxy_in_host_mode", flapping_in_host_mode).with_traffic(),
        case("network_rollouts::labels_and_services_that_flap_lose_no_request_behind_the_routing_mesh", flapping_behind_the_mesh)
            .with_traffic(),
        case("network_rollouts::a_network_on_which_no_proxy_comes_up_costs_only_its_own_routes", one_bad_of_two).with_traffic(),
        case("network_rollouts::a_stranger_that_asks_for_the_proxies_port_gets_none_and_is_named", stranger_at_the_port).with_traffic(),
        case("network_rollouts::a_neighbours_networks_never_take_two_proxies_down_at_once", neighbours_in_host_mode).with_traffic(),
        case("network_rollouts::in_host_mode_it_costs_one_proxy_for_a_moment_and_everything_returns", bad_in_host_mode),
    ]
}

fn app(cluster: &str, name: &str) -> App {
    if cluster == "default" { App::new(name) } else { App::new(name).cluster(cluster) }
}

fn has_route(status: &Value, host: &str) -> bool {
    status["routes"].as_array().into_iter().flatten().any(|route| route["host"] == host)
}

fn await_route(world: &World, cluster: &str, host: &str, there: bool) -> Result<()> {
    let what = if there { "has the route" } else { "has lost the route" };
    world.await_cluster(cluster, what, |status| {
        ensure!(has_route(status, host) == there, "{host}: {}", status["routes"]);
        Ok(())
    })?;
    Ok(())
}

fn proxy(cluster: &str) -> String {
    format!("swarmgate-proxy-{cluster}")
}

fn flapping_in_host_mode(world: &World) -> Result<()> {
    flapping_labels(world, "default", DEFAULT)?.stop_without_loss()
}

fn flapping_behind_the_mesh(world: &World) -> Result<()> {
    let traffic = flapping_labels(world, "mesh", MESH)?;
    let mut versions = vec![world.task_ids(&proxy("mesh"))?];
    for _ in 0..5 {
        app("mesh", "visitor").network("visited").create(world)?;
        await_route(world, "mesh", "visitor.test", true)?;
        world.await_running("visitor", 1)?;
        versions.push(world.task_ids(&proxy("mesh"))?);
        world.docker(&["service", "rm", "visitor"])?;
        await_route(world, "mesh", "visitor.test", false)?;
        versions.push(world.task_ids(&proxy("mesh"))?);
    }
    eventually(SLOW, "the network can be removed", || world.docker(&["network", "rm", "visited"]).map(drop))?;
    traffic.stop_without_loss()?;
    versions.dedup();
    // Attached and detached once or twice: the third visit has to last longer than any of these.
    ensure!(versions.len() <= 8, "the proxies were replaced again and again: {versions:?}");
    Ok(())
}

/// A service on its own network that is published and unpublished repeatedly, next to one under load.
fn flapping_labels(world: &World, cluster: &str, port: u16) -> Result<Steady> {
    app(cluster, "calm").create(world)?;
    app(cluster, "flaps").network("flapping").create(world)?;
    let (kept, fresh) = (world.at(1, port), world.at(2, port));
    for (at, name) in [(&kept, "calm"), (&fresh, "calm"), (&kept, "flaps"), (&fresh, "flaps")] {
        world.await_answer(at, &format!("{name}.test"), "/", name)?;
    }
    world.await_converged(cluster)?;
    let before = world.task_ids(&proxy(cluster))?;
    let traffic = Steady::start([&kept, &fresh], "calm.test")?;
    for _ in 0..6 {
        world.update("flaps", &["--label-rm", "com.docker.lb.hosts"])?;
        await_route(world, cluster, "flaps.test", false)?;
        world.update("flaps", &["--label-add", "com.docker.lb.hosts=flaps.test"])?;
        await_route(world, cluster, "flaps.test", true)?;
    }
    world.await_answer(&kept, "flaps.test", "/", "flaps")?;
    let after = world.task_ids(&proxy(cluster))?;
    ensure!(after == before, "labels replaced proxies: {before:?} became {after:?}");
    Ok(traffic)
}

/// The VXLAN number of an overlay, by which nodes know it.
fn vxlan(world: &World, network: &str) -> Result<u32> {
    let format = "{{index .Options \"com.docker.network.driver.overlay.vxlanid_list\"}}";
    let number = world.docker(&["network", "inspect", "--format", format, network])?;
    number.trim().parse().with_context(|| format!("the number of {network} is {number:?}"))
}

/// A service that runs on node 2, on a network that no other node can set up. Returns the network's number.
fn clashing(world: &World, cluster: &str) -> Result<u32> {
    app(cluster, "clash").network("clashing").on_node(2).without("hosts").create(world)?;
    world.await_running("clash", 1)?;
    let number = vxlan(world, "clashing")?;
    for k in [1, 3] {
        // Numbers are reused at once, and a node leaves a removed network only when its containers there have ended.
        eventually(SLOW, "the node has left the network that had this number before", || world.lab.occupy_vxlan(k, number))?;
    }
    Ok(number)
}

fn publish(world: &World) -> Result<()> {
    world.update("clash", &["--label-add", "com.docker.lb.hosts=clash.test"])
}

fn heal(world: &World, number: u32) -> Result<()> {
    [1, 3].into_iter().try_for_each(|k| world.lab.release_vxlan(k, number))
}

fn await_quarantine(world: &World, cluster: &str) -> Result<()> {
    let finding = world.await_finding(cluster, "NetworkQuarantined", "clash")?;
    let says = |words: &str| finding["message"].as_str().is_some_and(|message| message.contains(words));
    ensure!(says("clashing") && says("retried at") && finding["severity"] == "error", "it says {finding}");
    Ok(())
}

/// Everything recovers: when a service changes, its network is retried sooner.
fn await_return(world: &World, cluster: &str, at: &str) -> Result<()> {
    world.update("clash", &["--label-add", "note=mended"])?;
    world.await_answer(at, "clash.test", "/", "clash")?;
    world.await_cluster(cluster, "has no network in quarantine", |status| {
        ensure!(!status["findings"].to_string().contains("NetworkQuarantined"), "{}", status["findings"]);
        Ok(())
    })?;
    Ok(())
}

fn one_bad_of_two(world: &World) -> Result<()> {
    app("mesh", "bystander").create(world)?;
    let (kept, fresh) = (world.at(1, MESH), world.at(2, MESH));
    world.await_answer(&kept, "bystander.test", "/", "bystander")?;
    world.await_answer(&fresh, "bystander.test", "/", "bystander")?;
    world.await_converged("mesh")?;
    let number = clashing(world, "mesh")?;
    app("mesh", "fine").network("fine-net").without("hosts").create(world)?;
    world.await_running("fine", 1)?;
    let traffic = Steady::start([&kept, &fresh], "bystander.test")?;
    let result = publish(world).and_then(|()| {
        world.update("fine", &["--label-add", "com.docker.lb.hosts=fine.test"])?;
        await_quarantine(world, "mesh")?;
        world.await_answer(&kept, "fine.test", "/", "fine")?;
        world.await_answer(&fresh, "fine.test", "/", "fine").map(drop)
    });
    heal(world, number)?;
    result?;
    await_return(world, "mesh", &kept)?;
    traffic.stop_without_loss()
}

/// When a proxy stops, Swarm gives its port on the node to any waiting task, so no proxy is stopped for a network before the
/// stranger is gone.
fn stranger_at_the_port(world: &World) -> Result<()> {
    world.await_converged("default")?;
    let (kept, fresh) = (world.at(1, DEFAULT), world.at(2, DEFAULT));
    let traffic = Steady::start([&kept, &fresh], "anchor.test")?;
    let service = proxy("default");
    let before = world.task_ids(&service)?;
    world.create("stranger", &["--publish", &format!("mode=host,target=80,published={DEFAULT}"), "demo-app:v1"])?;
    let finding = world.await_finding("default", "HostPortContested", "stranger")?;
    let says = |words: &str| finding["message"].as_str().is_some_and(|message| message.contains(words));
    ensure!(says(&format!("{DEFAULT}/tcp")) && says(&service) && finding["severity"] == "error", "it says {finding}");
    app("default", "patient").network("patience").create(world)?;
    world.await_running("patient", 1)?;
    world.await_cluster("default", "says for whom the network waits", |status| {
        let waiting = status["waiting"].to_string();
        ensure!(waiting.contains("patience") && waiting.contains("stranger"), "it waits for {waiting}");
        Ok(())
    })?;
    // Longer than the interval between network changes plus the time during which changes are batched.
    throughout(std::time::Duration::from_secs(12), "no proxy is replaced", || {
        let now = world.task_ids(&service)?;
        ensure!(now == before, "{before:?} became {now:?}");
        Ok(())
    })?;
    ensure!(world.running_tasks("stranger")?.is_empty(), "the stranger got a port of a proxy");
    traffic.stop_without_loss()?;
    world.docker(&["service", "rm", "stranger"])?;
    world.await_answer(&kept, "patient.test", "/", "patient")?;
    world.await_converged("default").map(drop)
}

/// A node's port is free only after the old proxy has stopped, so the proxy that is tried first refuses connections for a
/// moment. No other proxy is touched.
fn bad_in_host_mode(world: &World) -> Result<()> {
    world.await_converged("default")?;
    let number = clashing(world, "default")?;
    let before = world.task_ids(&proxy("default"))?;
    let result = publish(world).and_then(|()| await_quarantine(world, "default")).and_then(|()| {
        world.await_cluster("default", "has put its proxies back", |status| {
            let waiting = status["waiting"].as_array().map_or(0, Vec::len);
            ensure!(waiting == 0, "it waits for {}", status["waiting"]);
            Ok(())
        })?;
        world.await_running(&proxy("default"), 3)?;
        let after = world.task_ids(&proxy("default"))?;
        let kept = before.iter().filter(|task| after.contains(task)).count();
        // Node 2 can set up the network: if it came first, a second node had to be tried.
        ensure!(kept >= 1, "all proxies were replaced: {before:?} became {after:?}");
        (1..=3).try_for_each(|k| world.await_answer(&world.at(k, DEFAULT), "anchor.test", "/", "anchor").map(drop))
    });
    heal(world, number)?;
    result?;
    await_return(world, "default", &world.at(1, DEFAULT))
}

/// A network that a neighbour's task brings to a node changes that node, and in Swarm's own global mode every change of a node
/// replaces its outdated proxy at once, in addition to the rollout: all three proxies were down together.
fn neighbours_in_host_mode(world: &World) -> Result<()> {
    world.await_converged("default")?;
    let nodes: Vec<String> = (1..=3).map(|k| world.at(k, DEFAULT)).collect();
    let loads = nodes.iter().map(|at| Load::start(at, "anchor.test", "/", 20, false)).collect::<Result<Vec<_>>>()?;
    let rolled = rollout_among_neighbours(world, &nodes);
    let reports = loads.into_iter().map(Load::stop).collect::<Result<Vec<LoadReport>>>()?;
    rolled?;
    let told = || reports.iter().map(|report| format!("{report}; down in the seconds {:?}", report.down)).collect::<Vec<_>>().join("\n");
    let together = |one: &LoadReport, other: &LoadReport| one.down.intersection(&other.down).next().is_some();
    let [a, b, c] = &reports[..] else { anyhow::bail!("{} loads", reports.len()) };
    ensure!(!together(a, b) && !together(b, c) && !together(a, c), "two proxies were down at once\n{}", told());
    ensure!(reports.iter().all(|report| report.requests >= 100), "too few requests to tell\n{}", told());
    Ok(())
}

/// While the proxies are replaced for the network of a new application, a neighbour starts global services one after another,
/// each on a new network.
fn rollout_among_neighbours(world: &World, nodes: &[String]) -> Result<()> {
    let service = proxy("default");
    let before = world.task_ids(&service)?;
    app("default", "newcomer").network("newcomers").create(world)?;
    world.await_rollout(&service, "updating")?;
    let mut neighbours = 0;
    while neighbours < 5 && world.service(&service)?["UpdateStatus"]["State"] == "updating" {
        neighbours += 1;
        let (name, network) = (format!("neighbour{neighbours}"), format!("neighbours{neighbours}"));
        world.network(&network)?;
        world.create(&name, &["--mode", "global", "--network", &network, "demo-app:v1"])?;
        world.await_running(&name, nodes.len())?;
    }
    ensure!(neighbours >= 2, "the rollout was over after {neighbours} neighbours");
    for at in nodes {
        world.await_answer(at, "newcomer.test", "/", "newcomer")?;
    }
    world.await_converged("default")?;
    let after = world.task_ids(&service)?;
    ensure!(after.len() == nodes.len() && !before.iter().any(|task| after.contains(task)), "{before:?} became {after:?}");
    Ok(())
}
