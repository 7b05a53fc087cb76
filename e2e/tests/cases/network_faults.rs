//! Faults of networks that proxies are attached to, or that are attached on some nodes only: no more than one node at a time is
//! without a proxy because of them, and the proxies leave the network at fault.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use swarmgate_e2e::testbed::{App, Case, HttpCall, Steady, Testbed};
use swarmgate_e2e::wait::{eventually, throughout};

use super::SLOW;
use super::shared_swarm::{DEFAULT, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("network_faults::a_full_network_affects_only_its_own_routes", filled),
        case("network_faults::filling_a_network_disconnects_no_service_on_it", filled_by_another_service).with_traffic(),
        case("network_faults::a_network_that_fails_on_one_node_never_stops_a_second_proxy", fails_on_one_node),
    ]
}

const PROXY: &str = "swarmgate-proxy-default";

fn answers(testbed: &Testbed, k: usize, app: &str) -> Result<()> {
    eventually(SLOW, &format!("{app} answers at node {k}"), || {
        let answer = HttpCall::get(&testbed.at(k, DEFAULT), &format!("{app}.test"), "/").send()?;
        ensure!(answer.status == 200, "status {}", answer.status);
        Ok(())
    })
}

/// Tasks of a neighbouring service wait for addresses on its network when a proxy ends, so the proxy's address goes to one of
/// them. Then an unrelated service arrives with its own network.
fn filled(testbed: &Testbed) -> Result<()> {
    (1..=3).try_for_each(|k| answers(testbed, k, "anchor"))?;
    testbed.docker(&["network", "create", "-d", "overlay", "--subnet", "10.253.8.0/28", "small"])?;
    App::new("small").network("small").create(testbed)?;
    (1..=3).try_for_each(|k| answers(testbed, k, "small"))?;
    testbed.await_converged("default")?;
    testbed.docker(&["service", "scale", "--detach", "small=14"])?;
    let proxies = testbed.running_tasks(PROXY)?;
    let second = proxies.iter().find(|task| testbed.node_of(task).is_ok_and(|k| k == 2)).context("there is no proxy on node 2")?;
    testbed.kill(second)?;
    let finding = testbed.await_finding("default", "NetworkFull", "small")?;
    ensure!(finding["message"].as_str().is_some_and(|message| message.contains("network small")), "the finding is {finding}");
    answers(testbed, 2, "anchor")?;
    App::new("victim").network("victims").create(testbed)?;
    (1..=3).try_for_each(|k| answers(testbed, k, "victim").and_then(|()| answers(testbed, k, "anchor")))?;
    let findings = testbed.cluster("default")?["findings"].to_string();
    ensure!(!findings.contains("NetworkQuarantined") && !findings.contains("victims"), "somebody else is blamed: {findings}");
    let attached = testbed.service(PROXY)?["Spec"]["TaskTemplate"]["Networks"].to_string();
    let small = testbed.docker(&["network", "inspect", "--format", "{{.Id}}", "small"])?;
    ensure!(!attached.contains(small.trim()), "the proxies are still on {small}: {attached}");
    testbed.docker(&["service", "scale", "--detach", "small=1"])?;
    (1..=3).try_for_each(|k| answers(testbed, k, "small"))?;
    testbed.await_cluster("default", "no longer reports a full network", |status| {
        ensure!(!status["findings"].to_string().contains("NetworkFull"), "{}", status["findings"]);
        Ok(())
    })?;
    Ok(())
}

/// A service with no labels and 40 tasks that fit no node takes every address of another stack's network.
fn filled_by_another_service(testbed: &Testbed) -> Result<()> {
    testbed.docker(&["network", "create", "-d", "overlay", "--subnet", "10.253.9.0/28", "lobby"])?;
    App::new("guest").network("lobby").args(&["--label", "com.docker.stack.namespace=guest"]).create(testbed)?;
    (1..=3).try_for_each(|k| answers(testbed, k, "guest"))?;
    testbed.await_converged("default")?;
    let (one, other) = (testbed.at(1, DEFAULT), testbed.at(2, DEFAULT));
    let traffic = Steady::start([&one, &other], "guest.test")?;
    let filler = ["--name", "filler", "--network", "lobby", "--replicas", "40", "--constraint", "node.labels.none==x"];
    testbed.docker(&[&["service", "create", "--detach"], &filler[..], &["demo-app:v1"]].concat())?;
    let finding = testbed.await_finding("default", "NetworkFull", "guest")?;
    ensure!(
        finding["message"].as_str().is_some_and(|message| message.contains("most of them the service filler")),
        "the finding is {finding}"
    );
    let lobby = testbed.docker(&["network", "inspect", "--format", "{{.Id}}", "lobby"])?;
    // Proxies leave a network that its own services fill after half a minute.
    throughout(Duration::from_secs(35), "the proxies are on it", || {
        let attached = testbed.service(PROXY)?["Spec"]["TaskTemplate"]["Networks"].to_string();
        ensure!(attached.contains(lobby.trim()), "{attached}");
        Ok(())
    })?;
    testbed.docker(&["service", "rm", "filler"])?;
    testbed.await_cluster("default", "no longer reports a full network", |status| {
        ensure!(!status["findings"].to_string().contains("NetworkFull"), "{}", status["findings"]);
        Ok(())
    })?;
    traffic.stop_without_loss()
}

/// When proxies were down, by node: from the first to the last request of each run of failures.
struct Outages(Vec<Vec<(Instant, Instant)>>);

impl Outages {
    /// Sends requests to each node ten times a second while `work` runs.
    fn during(testbed: &Testbed, host: &str, work: impl FnOnce() -> Result<()>) -> Result<Self> {
        let ends = AtomicBool::new(false);
        let watch = |k: usize| {
            let call = HttpCall::get(&testbed.at(k, DEFAULT), host, "/").patience(Duration::from_secs(2));
            let (mut found, mut since) = (Vec::new(), None::<(Instant, Instant)>);
            while !ends.load(Ordering::Relaxed) {
                let requested_at = Instant::now();
                let fine = call.send().is_ok_and(|answer| answer.status == 200);
                match (fine, since) {
                    (false, None) => since = Some((requested_at, Instant::now())),
                    (false, Some((first, _))) => since = Some((first, Instant::now())),
                    (true, _) => found.extend(since.take()),
                }
                thread::sleep(Duration::from_millis(100).saturating_sub(requested_at.elapsed()));
            }
            found.extend(since);
            found
        };
        thread::scope(|scope| {
            let watches: Vec<_> = (1..=testbed.lab.nodes()).map(|k| scope.spawn(move || watch(k))).collect();
            let outcome = work();
            ends.store(true, Ordering::Relaxed);
            let found = watches.into_iter().map(|watch| watch.join().map_err(|_| anyhow::anyhow!("a watch panicked")));
            let found = found.collect::<Result<Vec<_>>>();
            outcome?;
            Ok(Self(found?))
        })
    }

    fn never_two_at_once(&self) -> Result<()> {
        for (k, one) in self.0.iter().enumerate() {
            for (other_k, other) in self.0.iter().enumerate().skip(k + 1) {
                for (a, b) in one.iter().flat_map(|a| other.iter().map(move |b| (a, b))) {
                    let both = a.1.min(b.1).saturating_duration_since(a.0.max(b.0));
                    if !both.is_zero() {
                        bail!("the nodes {} and {} were without a proxy together for {both:?}", k + 1, other_k + 1);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Two nodes can set up the network and one cannot: Swarm chooses whether proxies on the other nodes are replaced before the
/// one that fails, and in which order a rollback would proceed.
fn fails_on_one_node(testbed: &Testbed) -> Result<()> {
    (1..=3).try_for_each(|k| answers(testbed, k, "anchor"))?;
    App::new("clash").network("clashing").on_node(2).without("hosts").create(testbed)?;
    testbed.await_running("clash", 1)?;
    let format = "{{index .Options \"com.docker.network.driver.overlay.vxlanid_list\"}}";
    let number: u32 = testbed.docker(&["network", "inspect", "--format", format, "clashing"])?.trim().parse()?;
    eventually(SLOW, "the node has left the network that had this number before", || testbed.lab.occupy_vxlan(3, number))?;
    let outages = Outages::during(testbed, "anchor.test", || {
        testbed.update("clash", &["--label-add", "com.docker.lb.hosts=clash.test"])?;
        let finding = testbed.await_finding("default", "NetworkQuarantined", "clash")?;
        ensure!(finding["message"].as_str().is_some_and(|message| message.contains("clashing")), "the finding is {finding}");
        testbed.await_cluster("default", "has put its proxies back", |status| {
            ensure!(status["waiting"].as_array().is_some_and(Vec::is_empty), "it waits for {}", status["waiting"]);
            Ok(())
        })?;
        testbed.await_running(PROXY, 3)?;
        throughout(Duration::from_secs(5), "all nodes answer", || (1..=3).try_for_each(|k| answers(testbed, k, "anchor")))
    });
    testbed.lab.release_vxlan(3, number)?;
    outages?.never_two_at_once()?;
    testbed.update("clash", &["--label-add", "note=mended"])?;
    (1..=3).try_for_each(|k| answers(testbed, k, "clash"))
}
