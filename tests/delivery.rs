//! The operator's hub, the extension and the proxy agent together, on loopback and with the real nginx: what reaches traffic
//! and when, and what never may. Each test has its own stage: free ports, a directory, and tasks that [`on_stage`] always ends.
//!
//! The engine is `SWARMGATE_NGINX`, or the one that `make setup` installs; without one the tests are skipped.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot set up its stage has failed")]

#[path = "support/accept_any_certificate.rs"]
mod accept_any_certificate;
#[path = "delivery/attackers.rs"]
mod attackers;
#[path = "delivery/control_plane_silence.rs"]
mod control_plane_silence;
#[path = "delivery/flapping_labels.rs"]
mod flapping_labels;
#[path = "delivery/listening.rs"]
mod listening;
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
#[path = "delivery/silence_fixture.rs"]
mod silence_fixture;
#[path = "support/skip.rs"]
mod skip;
#[path = "delivery/slow_configuration_tests.rs"]
mod slow_configuration_tests;
#[path = "delivery/stage.rs"]
mod stage;
#[path = "delivery/startup_in_silence.rs"]
mod startup_in_silence;
#[path = "delivery/tasks.rs"]
mod tasks;
#[path = "delivery/test_application.rs"]
mod test_application;
#[path = "delivery/tls.rs"]
mod tls;
#[path = "delivery/traffic.rs"]
mod traffic;
#[path = "delivery/worker_retirement.rs"]
mod worker_retirement;

use std::time::Duration;

use route_tables::{routes, serve_app};
use stage::{NO_OPERATOR, Stage, eventually, on_stage};
use swarmgate::protocol::messages::{Delivery, Desired};
use swarmgate::proxy::{ProxyError, ProxySignal, check};
use test_application::TestApplication;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use traffic::SteadyLoad;

#[test]
fn published_routes_serve_traffic_and_are_reported() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        stage.start_extension();
        stage.start_proxy();
        let desired = stage.publish(routes(stage, &[("app.example.org", &[&app])]));
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
    });
}

#[test]
fn endpoint_changes_under_steady_load_fail_no_request() {
    on_stage(async |stage| {
        let apps = [TestApplication::start("one").await, TestApplication::start("two").await];
        serve_app(stage, "app.example.org", &apps[0]).await;

        let load = SteadyLoad::start(stage.http(), "app.example.org", 8);
        for round in 0..10 {
            let chosen: &[&TestApplication] = if round % 2 == 0 { &[&apps[1]] } else { &[&apps[0]] };
            let desired = stage.publish(routes(stage, &[("app.example.org", chosen)]));
            stage.until_running(&desired).await;
        }
        let outcome = load.finish().await;
        assert!(outcome.answered > 1000, "the load sent too few requests: {outcome:?}");
        assert_eq!(outcome.failed, Vec::<String>::new(), "{} requests were answered", outcome.answered);
        assert!(stage.reloads() >= 10 && outcome.bodies.len() == 2, "the changes were not all applied: {outcome:?}");
    });
}

#[test]
fn moving_an_application_fails_no_request() {
    on_stage(async |stage| {
        let mut app = TestApplication::start("0").await;
        serve_app(stage, "app.example.org", &app).await;
        let load = SteadyLoad::start(stage.http(), "app.example.org", 8);
        for name in ["1", "2", "3", "4", "5", "6"] {
            let next = TestApplication::start(name).await;
            let desired = stage.publish(routes(stage, &[("app.example.org", &[&next])]));
            stage.until_running(&desired).await;
            // Swarm gives an application two seconds between its desired state and its stop signal; this test gives it half a
            // second.
            tokio::time::sleep(Duration::from_millis(500)).await;
            app.stop();
            app = next;
        }
        let outcome = load.finish().await;
        assert_eq!(outcome.failed, Vec::<String>::new(), "{} requests were answered", outcome.answered);
        assert_eq!(outcome.bodies.len(), 7, "an application received no request: {outcome:?}");
    });
}

#[test]
fn rapid_changes_are_combined_into_few_reloads() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        serve_app(stage, "app.example.org", &app).await;
        let before = stage.reloads();
        let mut last = None;
        for number in 0..40 {
            last = Some(stage.publish(routes(stage, &[("app.example.org", &[&app]), (&format!("h{number}.example.org"), &[&app])])));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stage.until_running(&last.unwrap()).await;
        let reloads = stage.reloads() - before;
        assert!((1..=10).contains(&reloads), "40 changes within 0.8 s caused {reloads} reloads");
        stage.until_answer("h39.example.org", "one").await;
    });
}

#[test]
fn traffic_continues_without_an_operator_and_follows_its_replacement() {
    on_stage(async |stage| {
        let apps = [TestApplication::start("one").await, TestApplication::start("two").await];
        serve_app(stage, "app.example.org", &apps[0]).await;
        stage.stop_operator().await;
        assert_eq!(stage.answer("app.example.org").await.unwrap(), "one");
        stage.start_operator().await;
        let desired = stage.publish(routes(stage, &[("app.example.org", &[&apps[1]])]));
        stage.until_answer("app.example.org", "two").await;
        stage.until_running(&desired).await;
        assert!(stage.report().unwrap().boot.is_some(), "the new operator did not receive the bundles");
    });
}

#[test]
fn a_restarted_operator_receives_unchanged_bundles_again() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        stage.start_extension();
        let table = routes(stage, &[("app.example.org", &[&app])]);
        stage.publish(table.clone());
        eventually("the first report arrives", || stage.report()?.boot).await;
        stage.stop_operator().await;
        stage.start_operator().await;
        stage.publish(table);
        eventually("a report with its bundles arrives", || stage.report()?.boot).await;
    });
}

#[test]
fn restarting_the_extension_fails_no_request() {
    on_stage(async |stage| {
        let apps = [TestApplication::start("one").await, TestApplication::start("two").await];
        let (extension, _) = serve_app(stage, "app.example.org", &apps[0]).await;
        let load = SteadyLoad::start(stage.http(), "app.example.org", 4);
        extension.stop().await;
        stage.start_extension();
        let desired = stage.publish(routes(stage, &[("app.example.org", &[&apps[1]])]));
        stage.until_running(&desired).await;
        let outcome = load.finish().await;
        assert_eq!((outcome.failed.clone(), outcome.bodies.len()), (Vec::new(), 2), "{outcome:?}");
    });
}

#[test]
fn a_proxy_starts_from_its_boot_snapshot_and_later_follows_the_extension() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        let extension = stage.start_extension();
        stage.publish(routes(stage, &[("app.example.org", &[&app])]));
        let boot = eventually("the boot snapshot arrives", || stage.report()?.boot).await;
        extension.stop().await;

        stage.write_boot_file(&boot);
        stage.start_proxy();
        eventually_healthy(stage, "boot").await;
        // Names do not resolve here, but the host is known: the answer is not the 503 for an unknown host, and the proxy did start.
        assert!(stage.answer("app.example.org").await.is_err());
        stage.start_extension();
        stage.until_answer("app.example.org", "one").await;
        eventually_healthy(stage, "live").await;
    });
}

#[test]
fn a_proxy_starts_from_its_volume_and_ignores_old_addresses() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        let (extension, proxy) = serve_app(stage, "app.example.org", &app).await;
        eventually("the volume is written", || stage.saved_state()).await;
        extension.stop().await;
        proxy.drain().await;

        let proxy = stage.start_proxy();
        stage.until_answer("app.example.org", "one").await;
        eventually_healthy(stage, "volume").await;
        proxy.drain().await;

        // After ten minutes the address may belong to another service, so the variant with names runs, which resolves nothing here.
        stage.age_saved_state(Duration::from_secs(600));
        stage.start_proxy();
        eventually_healthy(stage, "volume").await;
        assert!(stage.answer("app.example.org").await.is_err(), "the proxy used an old address");
    });
}

/// Simulates a node that had no proxy while routes were published, and gets one when neither operator nor extension answers.
#[test]
fn a_proxy_starts_from_the_newer_of_volume_and_boot_snapshot() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        let (extension, proxy) = serve_app(stage, "app.example.org", &app).await;
        eventually("the volume is written", || stage.saved_state()).await;
        let boot = eventually("the boot snapshot arrives", || stage.report()?.boot).await;
        extension.stop().await;
        proxy.drain().await;

        stage.write_boot_file(&boot);
        let proxy = stage.start_proxy();
        eventually_healthy(stage, "volume").await;
        proxy.drain().await;
        let later = boot.generation + 1_000_000_000;
        stage.write_boot_file(&stage.signed(boot, later));
        stage.start_proxy();
        eventually_healthy(stage, "boot").await;
    });
}

#[test]
fn a_large_request_body_is_buffered_on_the_volume() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        serve_app(stage, "app.example.org", &app).await;

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
    });
}

#[test]
fn draining_finishes_requests_in_flight() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        let (_, proxy) = serve_app(stage, "app.example.org", &app).await;

        let slow = tokio::spawn(traffic::get(stage.http(), "app.example.org", "/slow"));
        app.until_slow_request().await;
        proxy.signal(ProxySignal::Drain).await;
        assert_eq!(slow.await.unwrap().unwrap(), "slow one");
        proxy.ended().await.unwrap();
        assert!(stage.answer("app.example.org").await.is_err(), "the proxy still listens");
    });
}

#[test]
fn a_second_drain_signal_ends_a_proxy_immediately() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        let (_, proxy) = serve_app(stage, "app.example.org", &app).await;
        let slow = tokio::spawn(traffic::get(stage.http(), "app.example.org", "/slow"));
        app.until_slow_request().await;
        proxy.signal(ProxySignal::Drain).await;
        proxy.signal(ProxySignal::Drain).await;
        proxy.ended().await.unwrap();
        assert!(slow.await.unwrap().is_err(), "the request was not interrupted");
    });
}

#[test]
fn the_agent_fails_when_its_engine_is_killed() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        let (_, proxy) = serve_app(stage, "app.example.org", &app).await;
        stage.kill_engine();
        let error = proxy.ended().await.unwrap_err();
        assert!(matches!(error, ProxyError::EngineEnded { .. }), "{error}");
        eventually("the engine's workers end", || stage.port_is_free().then_some(())).await;
    });
}

#[test]
fn a_failed_reload_keeps_the_old_configuration_and_is_reported() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        serve_app(stage, "app.example.org", &app).await;

        // Another program holds the new port, which `nginx -t` accepts but a reload does not.
        let taken = std::net::TcpListener::bind(("0.0.0.0", 0)).unwrap();
        let mut table = routes(stage, &[("app.example.org", &[&app])]);
        table.http_port = swarmgate::types::Port::new(taken.local_addr().unwrap().port()).unwrap();
        let desired = stage.publish(table);
        let rejected = eventually("the rejection is reported", || {
            let report = stage.report()?;
            let is_newest = report.accepted?.desired_digest == desired;
            report.proxies.first().filter(|_| is_newest)?.rejected.clone()
        })
        .await;
        assert!(rejected.message.contains("bind()"), "{rejected:?}");
        assert_eq!(stage.answer("app.example.org").await.unwrap(), "one");
        drop(taken);
        stage.until_running(&desired).await;
    });
}

#[test]
fn with_replace_delivery_the_operator_receives_the_bundle_to_mount() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        stage.start_extension();
        let desired = Desired::new(Delivery::Replace, routes(stage, &[("app.example.org", &[&app])]));
        stage.publish_desired(desired);
        let (accepted, live) = eventually("the report arrives", || {
            let report = stage.report()?;
            Some((report.accepted?, report.live?))
        })
        .await;
        assert_eq!(accepted.config_digest, live.digest);
        assert!(!live.files["nginx.conf"].contains(stage.run_dir().to_str().unwrap()), "the configuration contains the extension's paths");
    });
}

async fn eventually_healthy(stage: &Stage, source: &str) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(15);
    loop {
        match check(stage.health()).await {
            Ok(message) if message.contains(source) => return,
            other => assert!(tokio::time::Instant::now() < deadline, "not healthy from {source}: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn without_a_shared_network_proxies_learn_the_extension_address_from_the_operator() {
    on_stage(async |stage| {
        let apps = [TestApplication::start("one").await, TestApplication::start("two").await, TestApplication::start("three").await];
        let proxy = stage.start_proxy_that_knows_operators(&format!("{NO_OPERATOR},{}", stage.operator_url()));
        let extension = stage.start_extension();
        stage.publish(routes(stage, &[("app.example.org", &[&apps[0]])]));
        stage.publish_peers(true);
        stage.until_answer("app.example.org", "one").await;

        extension.stop().await;
        stage.start_extension_elsewhere();
        stage.publish_peers(false);
        stage.publish(routes(stage, &[("app.example.org", &[&apps[1]])]));
        stage.until_answer("app.example.org", "two").await;

        stage.stop_operator().await;
        assert_eq!(stage.answer("app.example.org").await.as_deref(), Ok("two"));
        stage.start_operator().await;
        let desired = stage.publish(routes(stage, &[("app.example.org", &[&apps[2]])]));
        stage.publish_peers(false);
        stage.until_running(&desired).await;
        proxy.drain().await;

        // The managers that the proxy was given at its start are gone, but those that an earlier agent knew are not.
        stage.age_saved_state(Duration::from_secs(100 * 60 * 60));
        stage.start_proxy_that_knows_operators(NO_OPERATOR);
        stage.until_answer("app.example.org", "three").await;
    });
}
