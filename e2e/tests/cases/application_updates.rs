//! Following applications while they change, under steady traffic: not one request may fail.

use std::time::Duration;

use anyhow::{Result, ensure};
use swarmgate_e2e::testbed::{App, Browsers, Case, Steady, Testbed};
use swarmgate_e2e::wait::throughout;

use super::shared_swarm::{DEFAULT, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("application_updates::scaling_up_without_a_lost_request", scale_up).with_traffic(),
        case("application_updates::scaling_down_without_a_lost_request", scale_down).with_traffic(),
        case("application_updates::an_image_update_stop_first_without_a_lost_request", update_stop_first).with_traffic(),
        case("application_updates::an_image_update_start_first_without_a_lost_request", update_start_first).with_traffic(),
        case("application_updates::idle_kept_connections_never_reach_a_task_that_is_gone", resting_connections).with_traffic(),
        case("application_updates::changing_labels_without_a_lost_request", labels).with_traffic(),
        case("application_updates::removing_a_service_without_a_lost_request_for_others", removal).with_traffic(),
    ]
}

/// Traffic through the proxies of two nodes, once the application answers through both.
fn steady(testbed: &Testbed, name: &str) -> Result<Steady> {
    let host = format!("{name}.test");
    let (kept, fresh) = (testbed.at(1, DEFAULT), testbed.at(2, DEFAULT));
    testbed.await_answer(&kept, &host, "/", name)?;
    testbed.await_answer(&fresh, &host, "/", name)?;
    Steady::start([&kept, &fresh], &host)
}

fn scale_up(testbed: &Testbed) -> Result<()> {
    App::new("grows").create(testbed)?;
    let traffic = steady(testbed, "grows")?;
    testbed.update("grows", &["--replicas", "4"])?;
    testbed.await_answering(&testbed.at(1, DEFAULT), "grows.test", 4)?;
    traffic.stop_without_loss()
}

fn scale_down(testbed: &Testbed) -> Result<()> {
    App::new("shrinks").replicas(4).create(testbed)?;
    testbed.await_answering(&testbed.at(1, DEFAULT), "shrinks.test", 4)?;
    let traffic = steady(testbed, "shrinks")?;
    testbed.update("shrinks", &["--replicas", "1"])?;
    testbed.await_answering(&testbed.at(1, DEFAULT), "shrinks.test", 1)?;
    testbed.await_alive("shrinks", 1)?;
    traffic.stop_without_loss()
}

fn update_stop_first(testbed: &Testbed) -> Result<()> {
    update(testbed, "rolls", 2, "stop-first")
}

fn update_start_first(testbed: &Testbed) -> Result<()> {
    update(testbed, "swaps", 1, "start-first")
}

fn update(testbed: &Testbed, name: &str, replicas: usize, order: &str) -> Result<()> {
    App::new(name).image("demo-app:v1").replicas(replicas).args(&["--update-order", order, "--update-monitor", "1s"]).create(testbed)?;
    let (kept, fresh, host) = (testbed.at(1, DEFAULT), testbed.at(2, DEFAULT), format!("{name}.test"));
    testbed.await_answer(&fresh, &host, "/", "v1")?;
    testbed.await_answering(&kept, &host, replicas)?;
    testbed.await_answering(&fresh, &host, replicas)?;
    let traffic = Steady::start([&kept, &fresh], &host)?;
    testbed.update(name, &["--image", "demo-app:v2"])?;
    testbed.await_rollout(name, "completed")?;
    for address in [&kept, &fresh] {
        testbed.await_answer(address, &host, "/", "v2")?;
        testbed.await_answering(address, &host, replicas)?;
    }
    testbed.await_alive(name, replicas)?;
    traffic.stop_without_loss()
}

/// How long a browser's connection is idle between two requests here; it is closed long before a minute has passed.
const REST: Duration = Duration::from_secs(3);

/// Browsers keep connections and use them rarely. After a reload, such a connection still belongs to an old worker of the
/// proxy, whose endpoints may be gone by the time of the next request.
fn resting_connections(testbed: &Testbed) -> Result<()> {
    let update = ["--update-order", "start-first", "--update-monitor", "1s"];
    App::new("rests").image("demo-app:v1").args(&update).create(testbed)?;
    let (address, host) = (testbed.at(1, DEFAULT), "rests.test");
    testbed.await_answer(&address, host, "/", "v1")?;
    testbed.await_converged("default")?;
    let browsers = Browsers::start(&address, host, 60, REST)?;
    testbed.update("rests", &["--image", "demo-app:v2"])?;
    testbed.await_rollout("rests", "completed")?;
    testbed.await_alive("rests", 1)?;
    testbed.await_answer(&address, host, "/", "v2")?;
    // Until every connection was used again.
    throughout(REST * 2, "v2 answers", || testbed.await_answer(&address, host, "/", "v2").map(drop))?;
    browsers.stop_without_loss()
}

fn labels(testbed: &Testbed) -> Result<()> {
    App::new("moves").label("hosts", "moves.test,old.test").replicas(2).create(testbed)?;
    let traffic = steady(testbed, "moves")?;
    let address = testbed.at(1, DEFAULT);
    testbed.await_answer(&address, "old.test", "/", "moves")?;
    testbed.update("moves", &["--label-add", "com.docker.lb.hosts=moves.test,new.test"])?;
    testbed.await_answer(&address, "new.test", "/", "moves")?;
    testbed.await_code(&address, "old.test", "/", 503)?;
    traffic.stop_without_loss()?;
    testbed.update("moves", &["--label-rm", "com.docker.lb.hosts", "--label-rm", "com.docker.lb.port"])?;
    testbed.await_code(&address, "moves.test", "/", 503)?;
    testbed.update("moves", &["--label-add", "com.docker.lb.hosts=back.test", "--label-add", "com.docker.lb.port=8080"])?;
    testbed.await_answer(&address, "back.test", "/", "moves").map(drop)
}

fn removal(testbed: &Testbed) -> Result<()> {
    App::new("leaves").create(testbed)?;
    App::new("remains").create(testbed)?;
    let address = testbed.at(1, DEFAULT);
    testbed.await_answer(&address, "leaves.test", "/", "leaves")?;
    let traffic = steady(testbed, "remains")?;
    testbed.docker(&["service", "rm", "leaves"])?;
    (1..=3).try_for_each(|k| testbed.await_code(&testbed.at(k, DEFAULT), "leaves.test", "/", 503).map(drop))?;
    testbed.await_cluster("default", "the route has left the status", |cluster| {
        let routes = cluster["routes"].as_array().into_iter().flatten();
        ensure!(!routes.into_iter().any(|route| route["host"] == "leaves.test"), "the route is still listed");
        Ok(())
    })?;
    traffic.stop_without_loss()
}
