//! The operator's hub, the extension and the proxy agent together, on loopback and with the real nginx: what reaches traffic
//! and when, and what never may. Each test has its own stage: free ports, a directory and processes.
//!
//! The engine is `SWARMGATE_NGINX`, or the one that `make setup` installs; without one the tests are skipped.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot set its stage has failed")]

/// A stage with the engine. Returns from the test after skipping it if there is no engine.
macro_rules! stage_or_skip {
    () => {
        match $crate::stage::nginx() {
            Some(nginx) => $crate::stage::Stage::new(nginx).await,
            None => return,
        }
    };
}
pub(crate) use stage_or_skip;

#[path = "delivery/attackers.rs"]
mod attackers;
#[path = "delivery/control_plane_silence.rs"]
mod control_plane_silence;
#[path = "delivery/flapping_labels.rs"]
mod flapping_labels;
#[path = "delivery/message_size.rs"]
mod message_size;
#[path = "support/name_server.rs"]
mod name_server;
#[path = "support/nginx_binary.rs"]
mod nginx_binary;
#[path = "delivery/operator_hub.rs"]
mod operator_hub;
#[path = "support/ports.rs"]
mod ports;
#[path = "delivery/real_processes.rs"]
mod real_processes;
#[path = "delivery/rejected_configs.rs"]
mod rejected_configs;
#[path = "delivery/route_tables.rs"]
mod route_tables;
#[path = "support/skip.rs"]
mod skip;
#[path = "delivery/stage.rs"]
mod stage;
#[path = "delivery/test_application.rs"]
mod test_application;
#[path = "delivery/tls.rs"]
mod tls;
#[path = "delivery/traffic.rs"]
mod traffic;
#[path = "delivery/worker_retirement.rs"]
mod worker_retirement;

use std::time::Duration;

use route_tables::routes;
use stage::{NOBODY, Stage, eventually};
use swarmgate::protocol::messages::{Delivery, Desired};
use swarmgate::proxy::{ProxyError, ProxySignal, check};
use test_application::TestApplication;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use traffic::SteadyLoad;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_published_table_becomes_traffic_and_is_reported() {
    let stage = stage_or_skip!();
    let app = TestApplication::start("one").await;
    let extension = stage.extension();
    let proxy = stage.proxy();
    let desired = stage.publish(routes(&stage, &[("app.example.org", &[&app])]));
    stage.until_answer("app.example.org", "one").await;

    eventually("the proxy's report reaches the operator", || {
        let report = stage.report()?;
        let accepted = report.accepted.as_ref()?;
        let proxy = report.proxies.first()?;
        let is_right = accepted.desired_digest == desired && proxy.running.as_ref() == Some(&accepted.config_digest);
        (is_right && report.engine_version.starts_with("nginx/") && report.boot.is_some() && report.live.is_none()).then_some(())
    })
    .await;
    assert!(check(stage.health()).await.unwrap().contains("live"));
    proxy.drained().await.unwrap();
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoint_changes_under_steady_load_fail_no_request() {
    let stage = stage_or_skip!();
    let apps = [TestApplication::start("one").await, TestApplication::start("two").await];
    let extension = stage.extension();
    let proxy = stage.proxy();
    stage.publish(routes(&stage, &[("app.example.org", &[&apps[0]])]));
    stage.until_answer("app.example.org", "one").await;

    let load = SteadyLoad::start(stage.http(), "app.example.org", 8);
    for round in 0..10 {
        let chosen: &[&TestApplication] = if round % 2 == 0 { &[&apps[1]] } else { &[&apps[0]] };
        let desired = stage.publish(routes(&stage, &[("app.example.org", chosen)]));
        stage.until_running(&desired).await;
    }
    let told = load.finish().await;
    assert!(told.answered > 1000, "the load was no load: {told:?}");
    assert_eq!(told.failed, Vec::<String>::new(), "{} requests were answered", told.answered);
    assert!(stage.reloads() >= 10 && told.bodies.len() == 2, "the changes were not applied: {told:?}");
    proxy.drained().await.unwrap();
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_moves_fails_no_request() {
    let stage = stage_or_skip!();
    let mut app = TestApplication::start("0").await;
    let extension = stage.extension();
    let proxy = stage.proxy();
    stage.publish(routes(&stage, &[("app.example.org", &[&app])]));
    stage.until_answer("app.example.org", "0").await;
    let load = SteadyLoad::start(stage.http(), "app.example.org", 8);
    for name in ["1", "2", "3", "4", "5", "6"] {
        let next = TestApplication::start(name).await;
        let desired = stage.publish(routes(&stage, &[("app.example.org", &[&next])]));
        stage.until_running(&desired).await;
        // Swarm gives an application two seconds between its desired state and its stop signal; this test gives it half a
        // second.
        tokio::time::sleep(Duration::from_millis(500)).await;
        app.stop();
        app = next;
    }
    let told = load.finish().await;
    assert_eq!(told.failed, Vec::<String>::new(), "{} requests were answered", told.answered);
    assert_eq!(told.bodies.len(), 7, "every application was asked: {told:?}");
    proxy.drained().await.unwrap();
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_changes_at_once_make_few_reloads() {
    let stage = stage_or_skip!();
    let app = TestApplication::start("one").await;
    let extension = stage.extension();
    let proxy = stage.proxy();
    stage.publish(routes(&stage, &[("app.example.org", &[&app])]));
    stage.until_answer("app.example.org", "one").await;
    let before = stage.reloads();
    let mut last = None;
    for number in 0..40 {
        last = Some(stage.publish(routes(&stage, &[("app.example.org", &[&app]), (&format!("h{number}.example.org"), &[&app])])));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stage.until_running(&last.unwrap()).await;
    let reloads = stage.reloads() - before;
    assert!((1..=10).contains(&reloads), "40 changes in 0.8 s made {reloads} reloads");
    stage.until_answer("h39.example.org", "one").await;
    proxy.drained().await.unwrap();
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_goes_on_without_the_operator_and_follows_the_next_one() {
    let mut stage = stage_or_skip!();
    let apps = [TestApplication::start("one").await, TestApplication::start("two").await];
    let extension = stage.extension();
    let proxy = stage.proxy();
    stage.publish(routes(&stage, &[("app.example.org", &[&apps[0]])]));
    stage.until_answer("app.example.org", "one").await;
    stage.stop_operator().await;
    assert_eq!(stage.answer("app.example.org").await.unwrap(), "one");
    stage.start_operator().await;
    let desired = stage.publish(routes(&stage, &[("app.example.org", &[&apps[1]])]));
    stage.until_answer("app.example.org", "two").await;
    stage.until_running(&desired).await;
    assert!(stage.report().unwrap().boot.is_some(), "a new operator gets the bundles again");
    proxy.drained().await.unwrap();
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_operator_without_news_gets_the_bundles_again() {
    let mut stage = stage_or_skip!();
    let app = TestApplication::start("one").await;
    let extension = stage.extension();
    let table = routes(&stage, &[("app.example.org", &[&app])]);
    stage.publish(table.clone());
    eventually("the first report", || stage.report()?.boot).await;
    stage.stop_operator().await;
    stage.start_operator().await;
    stage.publish(table);
    eventually("the report with its bundles", || stage.report()?.boot).await;
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_extension_disturbs_nobody() {
    let stage = stage_or_skip!();
    let apps = [TestApplication::start("one").await, TestApplication::start("two").await];
    let extension = stage.extension();
    let proxy = stage.proxy();
    stage.publish(routes(&stage, &[("app.example.org", &[&apps[0]])]));
    stage.until_answer("app.example.org", "one").await;
    let load = SteadyLoad::start(stage.http(), "app.example.org", 4);
    extension.stopped().await;
    let extension = stage.extension();
    let desired = stage.publish(routes(&stage, &[("app.example.org", &[&apps[1]])]));
    stage.until_running(&desired).await;
    let told = load.finish().await;
    assert_eq!((told.failed.clone(), told.bodies.len()), (Vec::new(), 2), "{told:?}");
    proxy.drained().await.unwrap();
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_starts_alone_from_its_boot_snapshot_and_follows_later() {
    let stage = stage_or_skip!();
    let app = TestApplication::start("one").await;
    let extension = stage.extension();
    stage.publish(routes(&stage, &[("app.example.org", &[&app])]));
    let boot = eventually("the boot snapshot", || stage.report()?.boot).await;
    extension.stopped().await;

    stage.write_boot_file(&boot);
    let proxy = stage.proxy();
    eventually_healthy(&stage, "boot").await;
    // Names do not resolve here, but the host is known: the answer is not the 503 for an unknown host, and the proxy did start.
    assert!(stage.answer("app.example.org").await.is_err());
    let extension = stage.extension();
    stage.until_answer("app.example.org", "one").await;
    eventually_healthy(&stage, "live").await;
    proxy.drained().await.unwrap();
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_starts_alone_from_its_volume_while_that_is_young() {
    let stage = stage_or_skip!();
    let app = TestApplication::start("one").await;
    let extension = stage.extension();
    let proxy = stage.proxy();
    stage.publish(routes(&stage, &[("app.example.org", &[&app])]));
    stage.until_answer("app.example.org", "one").await;
    eventually("the volume is written", || stage.saved_state()).await;
    extension.stopped().await;
    proxy.drained().await.unwrap();

    let proxy = stage.proxy();
    stage.until_answer("app.example.org", "one").await;
    eventually_healthy(&stage, "volume").await;
    proxy.drained().await.unwrap();

    // After ten minutes the address may belong to another service, so the variant with names runs, which resolves nothing here.
    stage.age_saved_state(Duration::from_secs(600));
    let proxy = stage.proxy();
    eventually_healthy(&stage, "volume").await;
    assert!(stage.answer("app.example.org").await.is_err(), "an old address must not be used");
    proxy.drained().await.unwrap();
}

/// Simulates a node that had no proxy while routes were published, and gets one when neither operator nor extension answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_starts_alone_prefers_whichever_of_volume_and_snapshot_is_newer() {
    let stage = stage_or_skip!();
    let app = TestApplication::start("one").await;
    let extension = stage.extension();
    let proxy = stage.proxy();
    stage.publish(routes(&stage, &[("app.example.org", &[&app])]));
    stage.until_answer("app.example.org", "one").await;
    eventually("the volume is written", || stage.saved_state()).await;
    let boot = eventually("the boot snapshot", || stage.report()?.boot).await;
    extension.stopped().await;
    proxy.drained().await.unwrap();

    stage.write_boot_file(&boot);
    let proxy = stage.proxy();
    eventually_healthy(&stage, "volume").await;
    proxy.drained().await.unwrap();
    let later = boot.generation + 1_000_000_000;
    stage.write_boot_file(&stage.signed(boot, later));
    let proxy = stage.proxy();
    eventually_healthy(&stage, "boot").await;
    proxy.drained().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_request_body_waits_on_the_volume_and_not_in_memory() {
    let stage = stage_or_skip!();
    let app = TestApplication::start("one").await;
    let extension = stage.extension();
    let proxy = stage.proxy();
    stage.publish(routes(&stage, &[("app.example.org", &[&app])]));
    stage.until_answer("app.example.org", "one").await;

    let half = vec![b'x'; 200 << 10];
    let mut upload = tokio::net::TcpStream::connect(stage.http()).await.unwrap();
    let head = format!("POST / HTTP/1.1\r\nHost: app.example.org\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", half.len() * 2);
    upload.write_all(head.as_bytes()).await.unwrap();
    upload.write_all(&half).await.unwrap();
    eventually("the first half is in a file on the volume", || stage.engine_writes_to("volume/request-bodies").then_some(())).await;
    upload.write_all(&half).await.unwrap();
    let mut answer = String::new();
    upload.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("409600 bytes"), "{answer}");
    proxy.drained().await.unwrap();
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_finishes_the_request_that_is_under_way() {
    let stage = stage_or_skip!();
    let app = TestApplication::start("one").await;
    let extension = stage.extension();
    let proxy = stage.proxy();
    stage.publish(routes(&stage, &[("app.example.org", &[&app])]));
    stage.until_answer("app.example.org", "one").await;

    let slow = tokio::spawn(traffic::get(stage.http(), "app.example.org", "/slow"));
    app.until_slow_request().await;
    proxy.signal(ProxySignal::Drain).await;
    assert_eq!(slow.await.unwrap().unwrap(), "slow one");
    proxy.ended().await.unwrap();
    assert!(stage.answer("app.example.org").await.is_err(), "nobody listens any more");
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_twice_a_proxy_ends_at_once() {
    let stage = stage_or_skip!();
    let app = TestApplication::start("one").await;
    let extension = stage.extension();
    let proxy = stage.proxy();
    stage.publish(routes(&stage, &[("app.example.org", &[&app])]));
    stage.until_answer("app.example.org", "one").await;
    let slow = tokio::spawn(traffic::get(stage.http(), "app.example.org", "/slow"));
    app.until_slow_request().await;
    proxy.signal(ProxySignal::Drain).await;
    proxy.signal(ProxySignal::Drain).await;
    proxy.ended().await.unwrap();
    assert!(slow.await.unwrap().is_err(), "the request was cut off");
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_engine_ends_the_agent_with_a_failure() {
    let stage = stage_or_skip!();
    let app = TestApplication::start("one").await;
    let extension = stage.extension();
    let proxy = stage.proxy();
    stage.publish(routes(&stage, &[("app.example.org", &[&app])]));
    stage.until_answer("app.example.org", "one").await;
    stage.kill_engine();
    let error = proxy.ended().await.unwrap_err();
    assert!(matches!(error, ProxyError::EngineEnded { .. }), "{error}");
    eventually("its workers are gone too", || stage.port_is_free().then_some(())).await;
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_does_not_take_leaves_the_old_configuration_and_is_reported() {
    let stage = stage_or_skip!();
    let app = TestApplication::start("one").await;
    let extension = stage.extension();
    let proxy = stage.proxy();
    stage.publish(routes(&stage, &[("app.example.org", &[&app])]));
    stage.until_answer("app.example.org", "one").await;

    // Another program holds the new port, which `nginx -t` accepts but a reload does not.
    let taken = std::net::TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let mut table = routes(&stage, &[("app.example.org", &[&app])]);
    table.http_port = swarmgate::types::Port::new(taken.local_addr().unwrap().port()).unwrap();
    let desired = stage.publish(table);
    let rejected = eventually("the rejection is reported", || {
        let report = stage.report()?;
        let is_newest = report.accepted?.desired_digest == desired;
        report.proxies.first().filter(|_| is_newest)?.rejected.clone()
    })
    .await;
    assert!(rejected.words.contains("bind()"), "{rejected:?}");
    assert_eq!(stage.answer("app.example.org").await.unwrap(), "one");
    drop(taken);
    stage.until_running(&desired).await;
    proxy.drained().await.unwrap();
    extension.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_replace_the_operator_gets_the_bundle_to_mount() {
    let stage = stage_or_skip!();
    let app = TestApplication::start("one").await;
    let extension = stage.extension();
    let desired = Desired::new(Delivery::Replace, routes(&stage, &[("app.example.org", &[&app])]));
    stage.publish_desired(desired);
    let (accepted, live) = eventually("the report", || {
        let report = stage.report()?;
        Some((report.accepted?, report.live?))
    })
    .await;
    assert_eq!(accepted.config_digest, live.digest);
    assert!(!live.files["nginx.conf"].contains(stage.run_dir().to_str().unwrap()), "a stock image has its own paths");
    extension.stopped().await;
}

async fn eventually_healthy(stage: &Stage, source: &str) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(15);
    loop {
        match check(stage.health()).await {
            Ok(words) if words.contains(source) => return,
            other => assert!(tokio::time::Instant::now() < deadline, "not healthy from {source}: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_common_network_the_operator_tells_where_the_extension_is() {
    let mut stage = stage_or_skip!();
    let apps = [TestApplication::start("one").await, TestApplication::start("two").await, TestApplication::start("three").await];
    let proxy = stage.proxy_that_asks(&format!("{NOBODY},{}", stage.operator_url()));
    let extension = stage.extension();
    stage.publish(routes(&stage, &[("app.example.org", &[&apps[0]])]));
    stage.introduce(true);
    stage.until_answer("app.example.org", "one").await;

    extension.stopped().await;
    let moved = stage.extension_elsewhere();
    stage.introduce(false);
    stage.publish(routes(&stage, &[("app.example.org", &[&apps[1]])]));
    stage.until_answer("app.example.org", "two").await;

    stage.stop_operator().await;
    assert_eq!(stage.answer("app.example.org").await.as_deref(), Ok("two"));
    stage.start_operator().await;
    let desired = stage.publish(routes(&stage, &[("app.example.org", &[&apps[2]])]));
    stage.introduce(false);
    stage.until_running(&desired).await;
    proxy.drained().await.unwrap();

    // The managers that the proxy was given at its start are gone, but those that an earlier agent knew are not.
    stage.age_saved_state(Duration::from_secs(100 * 60 * 60));
    let later = stage.proxy_that_asks(NOBODY);
    stage.until_answer("app.example.org", "three").await;
    later.drained().await.unwrap();
    moved.stopped().await;
}
