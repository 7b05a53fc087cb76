//! Networks that come and go, or on which no proxy starts: other services notice nothing, and everything recovers.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarmgate_e2e::testbed::{App, Case, Load, LoadReport, Steady, Testbed};
use swarmgate_e2e::wait::{eventually, throughout};

use super::SLOW;
use super::shared_swarm::{DEFAULT, GATE, MESH};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("network_rollouts::flapping_labels_replace_no_proxy_in_host_mode", flapping_in_host_mode).with_traffic(),
        case("network_rollouts::flapping_labels_and_services_lose_no_request_behind_the_routing_mesh", flapping_behind_the_mesh)
            .with_traffic(),
        case("network_rollouts::a_network_on_which_no_proxy_starts_affects_only_its_own_routes", one_bad_of_two).with_traffic(),
        case(
            "network_rollouts::another_service_that_requests_the_proxy_port_does_not_get_it_and_is_named",
            port_requested_by_another_service,
        )
        .with_traffic(),
        case("network_rollouts::networks_of_a_neighbour_never_stop_two_proxies_at_a_time", neighbours_in_host_mode).with_traffic(),
        case("network_rollouts::in_host_mode_a_bad_network_stops_one_proxy_briefly", bad_in_host_mode),
    ]
}

fn app(cluster: &str, name: &str) -> App {
    if cluster == "default" { App::new(name) } else { App::new(name).cluster(cluster) }
}

fn has_route(status: &Value, host: &str) -> bool {
    status["routes"].as_array().into_iter().flatten().any(|route| route["host"] == host)
}

fn await_route(testbed: &Testbed, cluster: &str, host: &str, there: bool) -> Result<()> {
    let what = if there { "has the route" } else { "has lost the route" };
    testbed.await_cluster(cluster, what, |status| {
        ensure!(has_route(status, host) == there, "{host}: {}", status["routes"]);
        Ok(())
    })?;
    Ok(())
}

fn proxy(cluster: &str) -> String {
    format!("swarmgate-proxy-{cluster}")
}

fn flapping_in_host_mode(testbed: &Testbed) -> Result<()> {
    flapping_labels(testbed, "default", DEFAULT)?.stop_without_loss()
}

fn flapping_behind_the_mesh(testbed: &Testbed) -> Result<()> {
    let traffic = flapping_labels(testbed, "mesh", MESH)?;
    let mut versions = vec![testbed.task_ids(&proxy("mesh"))?];
    for _ in 0..5 {
        app("mesh", "visitor").network("visited").create(testbed)?;
        await_route(testbed, "mesh", "visitor.test", true)?;
        testbed.await_running("visitor", 1)?;
        versions.push(testbed.task_ids(&proxy("mesh"))?);
        testbed.docker(&["service", "rm", "visitor"])?;
        await_route(testbed, "mesh", "visitor.test", false)?;
        versions.push(testbed.task_ids(&proxy("mesh"))?);
    }
    eventually(SLOW, "the network can be removed", || testbed.docker(&["network", "rm", "visited"]).map(drop))?;
    traffic.stop_without_loss()?;
    versions.dedup();
    // Attached and detached once or twice: the third visit has to last longer than any of these.
    ensure!(versions.len() <= 8, "the proxies were replaced repeatedly: {versions:?}");
    Ok(())
}

/// A service on its own network that is published and unpublished repeatedly, next to one under load.
fn flapping_labels(testbed: &Testbed, cluster: &str, port: u16) -> Result<Steady> {
    app(cluster, "calm").create(testbed)?;
    app(cluster, "flaps").network("flapping").create(testbed)?;
    let (kept, fresh) = (testbed.at(1, port), testbed.at(2, port));
    for (at, name) in [(&kept, "calm"), (&fresh, "calm"), (&kept, "flaps"), (&fresh, "flaps")] {
        testbed.await_answer(at, &format!("{name}.test"), "/", name)?;
    }
    testbed.await_converged(cluster)?;
    let before = testbed.task_ids(&proxy(cluster))?;
    let traffic = Steady::start([&kept, &fresh], "calm.test")?;
    for _ in 0..6 {
        testbed.update("flaps", &["--label-rm", "com.docker.lb.hosts"])?;
        await_route(testbed, cluster, "flaps.test", false)?;
        testbed.update("flaps", &["--label-add", "com.docker.lb.hosts=flaps.test"])?;
        await_route(testbed, cluster, "flaps.test", true)?;
    }
    testbed.await_answer(&kept, "flaps.test", "/", "flaps")?;
    let after = testbed.task_ids(&proxy(cluster))?;
    ensure!(after == before, "labels replaced proxies: {before:?} became {after:?}");
    Ok(traffic)
}

/// The VXLAN number of an overlay, by which nodes know it.
fn vxlan(testbed: &Testbed, network: &str) -> Result<u32> {
    let format = "{{index .Options \"com.docker.network.driver.overlay.vxlanid_list\"}}";
    let number = testbed.docker(&["network", "inspect", "--format", format, network])?;
    number.trim().parse().with_context(|| format!("the number of {network} is {number:?}"))
}

/// A service that runs on node 2, on a network that no other node can set up. Returns the network's number.
fn clashing(testbed: &Testbed, cluster: &str) -> Result<u32> {
    app(cluster, "clash").network("clashing").on_node(2).without("hosts").create(testbed)?;
    testbed.await_running("clash", 1)?;
    let number = vxlan(testbed, "clashing")?;
    for k in [1, 3] {
        // Numbers are reused at once, and a node leaves a removed network only when its containers there have ended.
        eventually(SLOW, "the node has left the network that had this number before", || testbed.lab.occupy_vxlan(k, number))?;
    }
    Ok(number)
}

fn publish(testbed: &Testbed) -> Result<()> {
    testbed.update("clash", &["--label-add", "com.docker.lb.hosts=clash.test"])
}

fn heal(testbed: &Testbed, number: u32) -> Result<()> {
    [1, 3].into_iter().try_for_each(|k| testbed.lab.release_vxlan(k, number))
}

fn await_quarantine(testbed: &Testbed, cluster: &str) -> Result<()> {
    let finding = testbed.await_finding(cluster, "NetworkQuarantined", "clash")?;
    let has = |text: &str| finding["message"].as_str().is_some_and(|message| message.contains(text));
    ensure!(has("clashing") && has("retried at") && finding["severity"] == "error", "the finding is {finding}");
    Ok(())
}

/// Everything recovers: when a service changes, its network is retried sooner.
fn await_return(testbed: &Testbed, cluster: &str, at: &str) -> Result<()> {
    testbed.update("clash", &["--label-add", "note=mended"])?;
    testbed.await_answer(at, "clash.test", "/", "clash")?;
    testbed.await_cluster(cluster, "has no network in quarantine", |status| {
        ensure!(!status["findings"].to_string().contains("NetworkQuarantined"), "{}", status["findings"]);
        Ok(())
    })?;
    Ok(())
}

fn one_bad_of_two(testbed: &Testbed) -> Result<()> {
    app("mesh", "bystander").create(testbed)?;
    let (kept, fresh) = (testbed.at(1, MESH), testbed.at(2, MESH));
    testbed.await_answer(&kept, "bystander.test", "/", "bystander")?;
    testbed.await_answer(&fresh, "bystander.test", "/", "bystander")?;
    testbed.await_converged("mesh")?;
    let number = clashing(testbed, "mesh")?;
    app("mesh", "fine").network("fine-net").without("hosts").create(testbed)?;
    testbed.await_running("fine", 1)?;
    let traffic = Steady::start([&kept, &fresh], "bystander.test")?;
    let result = publish(testbed).and_then(|()| {
        testbed.update("fine", &["--label-add", "com.docker.lb.hosts=fine.test"])?;
        await_quarantine(testbed, "mesh")?;
        testbed.await_answer(&kept, "fine.test", "/", "fine")?;
        testbed.await_answer(&fresh, "fine.test", "/", "fine").map(drop)
    });
    heal(testbed, number)?;
    result?;
    await_return(testbed, "mesh", &kept)?;
    traffic.stop_without_loss()
}

/// When a proxy stops, Swarm gives its port on the node to any waiting task, so no proxy is stopped for a network before the
/// stranger is gone.
fn port_requested_by_another_service(testbed: &Testbed) -> Result<()> {
    testbed.await_converged("default")?;
    let (kept, fresh) = (testbed.at(1, DEFAULT), testbed.at(2, DEFAULT));
    let traffic = Steady::start([&kept, &fresh], "anchor.test")?;
    let service = proxy("default");
    let before = testbed.task_ids(&service)?;
    testbed.create("stranger", &["--publish", &format!("mode=host,target=80,published={DEFAULT}"), "demo-app:v1"])?;
    let finding = testbed.await_finding("default", "HostPortContested", "stranger")?;
    let has = |text: &str| finding["message"].as_str().is_some_and(|message| message.contains(text));
    ensure!(has(&format!("{DEFAULT}/tcp")) && has(&service) && finding["severity"] == "error", "the finding is {finding}");
    app("default", "patient").network("patience").create(testbed)?;
    testbed.await_running("patient", 1)?;
    testbed.await_cluster("default", "the finding names the service for which the network waits", |status| {
        let waiting = status["waiting"].to_string();
        ensure!(waiting.contains("patience") && waiting.contains("stranger"), "it waits for {waiting}");
        Ok(())
    })?;
    // Longer than the interval between network changes plus the time during which changes are batched.
    throughout(std::time::Duration::from_secs(12), "no proxy is replaced", || {
        let now = testbed.task_ids(&service)?;
        ensure!(now == before, "{before:?} became {now:?}");
        Ok(())
    })?;
    ensure!(testbed.running_tasks("stranger")?.is_empty(), "the stranger took the port of a proxy");
    traffic.stop_without_loss()?;
    testbed.docker(&["service", "rm", "stranger"])?;
    testbed.await_answer(&kept, "patient.test", "/", "patient")?;
    testbed.await_converged("default").map(drop)
}

/// A node's port is free only after the old proxy has stopped, so the proxy that is tried first refuses connections for a
/// moment. No other proxy is touched.
fn bad_in_host_mode(testbed: &Testbed) -> Result<()> {
    testbed.await_converged("default")?;
    let number = clashing(testbed, "default")?;
    let before = testbed.task_ids(&proxy("default"))?;
    let result = publish(testbed).and_then(|()| await_quarantine(testbed, "default")).and_then(|()| {
        testbed.await_cluster("default", "has put its proxies back", |status| {
            let waiting = status["waiting"].as_array().map_or(0, Vec::len);
            ensure!(waiting == 0, "it waits for {}", status["waiting"]);
            Ok(())
        })?;
        testbed.await_running(&proxy("default"), 3)?;
        let after = testbed.task_ids(&proxy("default"))?;
        let kept = before.iter().filter(|task| after.contains(task)).count();
        // Node 2 can set up the network: if it came first, a second node had to be tried.
        ensure!(kept >= 1, "all proxies were replaced: {before:?} became {after:?}");
        (1..=3).try_for_each(|k| testbed.await_answer(&testbed.at(k, DEFAULT), "anchor.test", "/", "anchor").map(drop))
    });
    heal(testbed, number)?;
    result?;
    await_return(testbed, "default", &testbed.at(1, DEFAULT))
}

/// A network that a neighbour's task brings to a node changes that node, and in Swarm's own global mode every change of a node
/// replaces its outdated proxy at once, in addition to the rollout: all three proxies were down together.
fn neighbours_in_host_mode(testbed: &Testbed) -> Result<()> {
    testbed.await_converged("default")?;
    let nodes: Vec<String> = (1..=3).map(|k| testbed.at(k, DEFAULT)).collect();
    let loads = nodes.iter().map(|at| Load::start(at, "anchor.test", "/", 20, false)).collect::<Result<Vec<_>>>()?;
    let rolled = rollout_among_neighbours(testbed, &nodes);
    let reports = loads.into_iter().map(Load::stop).collect::<Result<Vec<LoadReport>>>()?;
    rolled?;
    let summary = || reports.iter().map(|report| format!("{report}; down in the seconds {:?}", report.down)).collect::<Vec<_>>().join("\n");
    let together = |one: &LoadReport, other: &LoadReport| one.down.intersection(&other.down).next().is_some();
    let [a, b, c] = &reports[..] else { anyhow::bail!("{} loads", reports.len()) };
    ensure!(!together(a, b) && !together(b, c) && !together(a, c), "two proxies were down at once\n{}", summary());
    ensure!(reports.iter().all(|report| report.requests >= 100), "too few requests to judge\n{}", summary());
    Ok(())
}

/// While the proxies are replaced for the network of a new application, a neighbour starts global services one after another,
/// each on a new network.
fn rollout_among_neighbours(testbed: &Testbed, nodes: &[String]) -> Result<()> {
    let service = proxy("default");
    let before = testbed.task_ids(&service)?;
    app("default", "newcomer").network("newcomers").create(testbed)?;
    testbed.await_rollout(&service, "updating")?;
    let mut neighbours = 0;
    while neighbours < 5 && testbed.service(&service)?["UpdateStatus"]["State"] == "updating" {
        neighbours += 1;
        let (name, network) = (format!("neighbour{neighbours}"), format!("neighbours{neighbours}"));
        testbed.network(&network)?;
        testbed.create(&name, &["--mode", "global", "--network", &network, "demo-app:v1"])?;
        testbed.await_running(&name, nodes.len())?;
    }
    ensure!(neighbours >= 2, "the rollout was over after {neighbours} neighbours");
    for at in nodes {
        testbed.await_answer(at, "newcomer.test", "/", "newcomer")?;
    }
    testbed.await_converged("default")?;
    let after = testbed.task_ids(&service)?;
    ensure!(after.len() == nodes.len() && !before.iter().any(|task| after.contains(task)), "{before:?} became {after:?}");
    Ok(())
}
