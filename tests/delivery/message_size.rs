//! Messages that are too large and proxies that do not follow: routes that no message can hold are published without their
//! largest part, a proxy that cannot fetch what is offered reports so, and a silent proxy is reported as missing, all within
//! ten seconds.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use jiff::Timestamp;
use swarmgate::channel::serve;
use swarmgate::pki::{ChannelIdentity, ChannelRole, ClientAuthentication, Credentials, server_config};
use swarmgate::protocol::messages::{ActivityKind, ProxyReport};
use swarmgate::protocol::size_limits::MESSAGE_BYTES_MAX;
use swarmgate::route::QuarantineUnit;
use swarmgate::types::{ContextPath, HostPattern};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::route_tables::{routes, serve_app};
use crate::stage::{Stage, cluster, eventually, on_stage};
use crate::test_application::TestApplication;

/// The time within which the status must show it.
const SOON: Duration = Duration::from_secs(10);
/// A debug build writes tens of megabytes a few times.
const RENDERING: Duration = Duration::from_secs(180);

#[test]
fn routes_beyond_the_message_limit_are_published_without_their_largest_part() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        serve_app(stage, "app.example.org", &app).await;
        let heavy = HostPattern::parse("heavy.example.org").unwrap();
        let mut table = routes(stage, &[("app.example.org", &[&app]), (heavy.as_str(), &[&app]), ("new.example.org", &[&app])]);
        let socket = |number: usize| ContextPath::parse(&format!("/{}-{number:05}", "w".repeat(1000))).unwrap();
        table.hosts.get_mut(&heavy).unwrap().paths.get_mut(&ContextPath::root()).unwrap().websockets = (0..16_000).map(socket).collect();
        let desired = stage.publish(table);
        // Changes of other services are served, and the heavy service keeps its name.
        let deadline = Instant::now() + RENDERING;
        while stage.answer("new.example.org").await.as_deref() != Ok("one") {
            assert!(Instant::now() < deadline, "the new host was never served");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        stage.until_running(&desired).await;
        assert!(stage.answer("heavy.example.org").await.unwrap_err().contains("503"));
        let report = stage.report().unwrap();
        let held: Vec<_> = report.quarantined.iter().map(|held| (&held.part, held.too_large)).collect();
        assert_eq!(held, [(&QuarantineUnit::Route { host: heavy, path: ContextPath::root() }, true)]);
        let message = &report.quarantined[0].message;
        assert!(message.contains("for proxies") && message.contains(&format!("more than the maximum of {MESSAGE_BYTES_MAX}")), "{message}");
    });
}

#[test]
fn a_silent_proxy_is_reported_within_ten_seconds() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        stage.start_extension();
        let proxy = stage.start_proxy();
        let desired = stage.publish(routes(stage, &[("app.example.org", &[&app])]));
        stage.until_running(&desired).await;
        let reported = |silent: bool| stage.report().filter(|report| report.proxies.first().is_some_and(|proxy| proxy.silent == silent));
        assert!(reported(false).is_some());
        proxy.abort();
        let since = Instant::now();
        let report = eventually("the proxy is reported as silent", || reported(true)).await;
        assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
        assert!(report.proxies[0].running.is_some(), "the last report was lost");
        assert_eq!(stage.answer("app.example.org").await.unwrap(), "one", "the engine stopped serving");
    });
}

/// An impostor with the extension's certificate that offers more than any proxy reads, and records the proxies' reports.
async fn oversized_extension(stage: &Stage, received: Arc<Mutex<Vec<ProxyReport>>>, stop: CancellationToken) -> String {
    let credentials = Credentials::new(stage.authority().root().clone());
    let key = ChannelIdentity::issued_by(stage.authority(), ChannelRole::Extension, &cluster(), "extension", Timestamp::now()).unwrap();
    credentials.replace(key);
    let tls = server_config(&credentials, ClientAuthentication::Required).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let large = || async { "x".repeat(MESSAGE_BYTES_MAX + 1) };
    let receive = move |body: Body| async move {
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        received.lock().unwrap().push(serde_json::from_slice(&bytes).unwrap());
    };
    let router = Router::new().route("/v1/bundle", get(large)).route("/v1/proxies/{task}", post(receive));
    tokio::spawn(async move { serve(listener, tls, router, stop).await.unwrap() });
    url
}

#[test]
fn a_proxy_reports_an_oversized_bundle_and_continues() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        let (extension, proxy) = (stage.start_extension(), stage.start_proxy());
        let desired = stage.publish(routes(stage, &[("app.example.org", &[&app])]));
        stage.until_running(&desired).await;
        eventually("the state is saved", || stage.saved_state()).await;
        proxy.drain().await;
        extension.stop().await;

        let (received, stop) = (Arc::new(Mutex::new(Vec::new())), CancellationToken::new());
        let url = oversized_extension(stage, Arc::clone(&received), stop.clone()).await;
        let since = Instant::now();
        stage.start_proxy_that_knows(&url, &stage.operator_url());
        let cut = || {
            let received = received.lock().unwrap();
            let is_cut = |report: &&ProxyReport| report.activity.as_ref().is_some_and(|activity| activity.kind == ActivityKind::Cut);
            received.iter().find(is_cut).cloned()
        };
        let report = eventually("the proxy reports the reason", cut).await;
        assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
        let message = report.activity.unwrap().message;
        assert!(message.contains(&format!("is larger than the maximum of {MESSAGE_BYTES_MAX} bytes")), "{message}");
        stage.until_answer("app.example.org", "one").await;
        stop.cancel();
    });
}
