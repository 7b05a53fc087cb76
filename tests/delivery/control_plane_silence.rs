//! The control plane falls silent, in every possible way: proxies switch to names before an unconfirmed address can lead to
//! another service's application, lose no request, and switch back when the control plane returns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use swarmgate::types::ConfigSource;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::silence_fixture::{FIRST, HOST, LIMIT, SECOND, SLACK, SilenceFixture, TASKS, THIRD, check_answers};
use crate::stage::on_stage;
use crate::test_application::TestApplication;
use crate::traffic::{SteadyLoad, get};

#[test]
fn without_an_operator_proxies_use_names_until_it_returns() {
    on_stage(async |stage| {
        let scene = SilenceFixture::new(stage).await;
        scene.serve(LIMIT).await;
        scene.stage.stop_operator().await;
        scene.check_silence().await;

        scene.stage.start_operator().await;
        let mut table = scene.table(LIMIT);
        table.backends_mut().flat_map(|backend| &mut backend.services).for_each(|service| service.endpoints[0].address = SECOND.into());
        let load = SteadyLoad::start(scene.stage.http(), HOST, 4);
        let desired = scene.stage.publish(table);
        let waited = scene.until_source("live", LIMIT * 2 + SLACK).await;
        assert!(waited >= LIMIT / 2, "the proxy returned to addresses too early: {waited:?}");
        check_answers(&load.finish().await);
        scene.stage.until_running(&desired).await;
        let report = scene.stage.report().unwrap().proxies.remove(0);
        assert_eq!((report.source.as_ref().map(ConfigSource::as_str), report.fallbacks), (Some("live"), 1));
    });
}

#[test]
fn an_operator_without_snapshots_confirms_no_address() {
    on_stage(async |stage| {
        let scene = SilenceFixture::new(stage).await;
        scene.serve(LIMIT).await;
        scene.stage.blind_operator();
        scene.check_silence().await;
        let report = scene.stage.report().unwrap().proxies.remove(0);
        assert_eq!(
            (report.source.as_ref().map(ConfigSource::as_str), report.fallbacks),
            (Some("names"), 1),
            "the fallback was not reported"
        );
    });
}

#[test]
fn without_an_extension_proxies_use_names() {
    on_stage(async |stage| {
        let scene = SilenceFixture::new(stage).await;
        let (extension, _) = scene.serve(LIMIT).await;
        extension.stop().await;
        scene.check_silence().await;
    });
}

/// Forwards connections until `cut` is set, and then silently drops everything, like a network that fails without notice.
async fn cable(to: SocketAddr, cut: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(to).await else { continue };
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            tokio::spawn(pass_on(from_client, to_server, cut.clone()));
            tokio::spawn(pass_on(from_server, to_client, cut.clone()));
        }
    });
    address
}

async fn pass_on(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf, cut: Arc<AtomicBool>) {
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        if !cut.load(Ordering::Relaxed) && to.write_all(&chunk[..length]).await.is_err() {
            return;
        }
    }
}

#[test]
fn proxies_use_names_when_the_network_drops_all_packets() {
    on_stage(async |stage| {
        let scene = SilenceFixture::new(stage).await;
        scene.stage.start_extension();
        let cut = Arc::new(AtomicBool::new(false));
        let url = scene.stage.extension_url();
        let through = cable(url.trim_start_matches("https://").parse().unwrap(), cut.clone()).await;
        scene.stage.start_proxy_that_knows(&format!("https://{through}"), &scene.stage.operator_url());
        scene.stage.publish(scene.table(LIMIT));
        scene.stage.until_answer(HOST, "own").await;
        cut.store(true, Ordering::Relaxed);
        scene.check_silence().await;
    });
}

#[test]
fn neither_a_short_pause_nor_unlimited_silence_causes_reloads() {
    on_stage(async |stage| {
        let scene = SilenceFixture::new(stage).await;
        scene.stage.start_extension();
        scene.stage.start_proxy();
        // As long as an operator takes to restart, with the usual limit.
        scene.stage.publish(scene.table(Duration::from_secs(30)));
        scene.stage.until_answer(HOST, "own").await;
        let reloads = scene.stage.reloads();
        scene.stage.stop_operator().await;
        tokio::time::sleep(Duration::from_secs(18)).await;
        scene.stage.start_operator().await;
        let desired = scene.stage.publish(scene.table(Duration::from_secs(30)));
        scene.stage.until_running(&desired).await;
        assert_eq!((scene.source().await.as_str(), scene.stage.reloads()), ("live", reloads));

        scene.stage.publish(scene.table(Duration::ZERO));
        scene.stage.until_running(&scene.stage.publish(scene.table(Duration::ZERO))).await;
        scene.stage.stop_operator().await;
        tokio::time::sleep(LIMIT + Duration::from_secs(3)).await;
        assert_eq!(scene.source().await, "live");
    });
}

#[test]
fn another_service_with_the_name_as_alias_never_answers_for_the_service() {
    on_stage(async |stage| {
        let scene = SilenceFixture::new(stage).await;
        scene.serve(LIMIT).await;
        let _other_service = TestApplication::start_at("a stranger", SocketAddr::from((THIRD, scene.port))).await;
        scene.set_holder("evil", THIRD);
        scene.set_name(TASKS, &[FIRST, THIRD]);
        scene.set_name("tasks.app", &[THIRD]);
        scene.stage.blind_operator();
        scene.check_silence_with_other_service().await;
        // The stranger hides the name on its own network: the known task is still found.
        scene.set_name(TASKS, &[THIRD]);
        scene.check_answers_for(Duration::from_secs(4)).await;
        // The tasks are gone: no application answers, least of all the stranger.
        scene.set_name("somebody", &[FIRST]);
        scene.names.lock().unwrap().retain(|name, _| !name.starts_with("app."));
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Ok(answer) = get(scene.stage.http(), HOST, "/").await {
            assert_eq!(answer, "own");
            assert!(Instant::now() < deadline, "the proxy keeps using the old address");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let load = SteadyLoad::start(scene.stage.http(), HOST, 2);
        tokio::time::sleep(Duration::from_secs(3)).await;
        let outcome = load.finish().await;
        assert_eq!((outcome.answered, outcome.failed.is_empty()), (0, false), "{outcome:?}");
        // The task has its address and name again.
        scene.set_holder("app", FIRST);
        scene.set_name(TASKS, &[FIRST]);
        scene.stage.until_answer(HOST, "own").await;
    });
}
