//! What an engine keeps besides its current workers: the workers of earlier configurations, and request bodies on the volume.
//! The agent bounds both; connections within the bounds are not disturbed.

use std::time::Duration;

use swarmgate::protocol::messages::EngineLoad;
use swarmgate::proxy::check;
use swarmgate::route::{ClientLimits, RouteTable, SizeBytes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::route_tables::routes;
use crate::stage::{Stage, eventually, on_stage};
use crate::test_application::TestApplication;

/// Sends a request whose body does not end, so that its worker has something to finish.
async fn open_upload(stage: &Stage, bytes: usize) -> TcpStream {
    let mut upload = TcpStream::connect(stage.http()).await.unwrap();
    let head = "POST / HTTP/1.1\r\nHost: app.example.org\r\nContent-Length: 900000000\r\n\r\n";
    upload.write_all(head.as_bytes()).await.unwrap();
    upload.write_all(&vec![b'x'; bytes]).await.unwrap();
    upload
}

/// Whether the other side has closed or reset the connection, or does so within `patience`.
async fn is_cut(connection: &mut TcpStream, patience: Duration) -> bool {
    timeout(patience, connection.read(&mut [0; 64])).await.is_ok_and(|read| read.unwrap_or(0) == 0)
}

/// Adds one more host each round, so that the configuration changes.
fn table(stage: &Stage, app: &TestApplication, round: usize, limits: &ClientLimits) -> RouteTable {
    let more = format!("h{round}.example.org");
    let mut table = routes(stage, &[("app.example.org", &[app]), (&more, &[app])]);
    table.settings.limits = limits.clone();
    table.settings.client_max_body_size = SizeBytes(0);
    table
}

fn load(stage: &Stage) -> Option<EngineLoad> {
    Some(stage.report()?.proxies.first()?.load)
}

/// Holds a connection open over each of `rounds` reloads; returns whether each was cut, oldest first.
async fn cut_over_reloads(stage: &Stage, rounds: usize, left: u32, limits: ClientLimits) -> Vec<bool> {
    let app = TestApplication::start("one").await;
    stage.serve(table(stage, &app, 0, &limits), "app.example.org", "one").await;
    let mut held = Vec::new();
    for round in 1..=rounds {
        held.push(open_upload(stage, 10).await);
        // The worker must have received the request before it retires.
        stage.until_answer("app.example.org", "one").await;
        let desired = stage.publish(table(stage, &app, round, &limits));
        stage.until_running(&desired).await;
    }
    let ended = u64::try_from(rounds).unwrap() - u64::from(left);
    eventually("the oldest workers end", || load(stage).filter(|load| load.retiring_workers == left && load.ended_workers == ended)).await;
    let newest = open_upload(stage, 10).await;
    held.push(newest);
    let mut cut = Vec::new();
    for connection in &mut held {
        cut.push(is_cut(connection, Duration::from_millis(300)).await);
    }
    stage.until_answer("app.example.org", "one").await;
    cut
}

#[test]
fn beyond_the_worker_limit_the_oldest_retiring_workers_end_first() {
    on_stage(async |stage| {
        // Workers that are ended release their connections, so the only address of this test is never refused.
        let limits = ClientLimits { retiring_workers_max: Some(2), client_connections_max: 3, ..ClientLimits::default() };
        let cut = cut_over_reloads(stage, 5, 2, limits).await;
        assert_eq!(cut, [true, true, true, false, false, false]);
    });
}

#[test]
fn beyond_the_memory_limit_all_but_the_newest_retiring_worker_end() {
    on_stage(async |stage| {
        let limits = ClientLimits { retiring_memory_max: Some(SizeBytes(1)), ..ClientLimits::default() };
        let cut = cut_over_reloads(stage, 3, 1, limits).await;
        assert_eq!(cut, [true, true, false, false]);
    });
}

#[test]
fn without_limits_every_connection_is_finished() {
    on_stage(async |stage| {
        let none = Some(SizeBytes(0));
        let limits = ClientLimits { retiring_workers_max: Some(0), retiring_memory_max: none, ..ClientLimits::default() };
        let cut = cut_over_reloads(stage, 3, 3, limits).await;
        assert_eq!(cut, [false; 4]);
    });
}

#[test]
fn request_bodies_beyond_the_spool_limit_fail_the_health_check_until_they_are_removed() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        stage.start_extension();
        stage.start_proxy();
        let limits = ClientLimits { body_spool_max: Some(SizeBytes(4 << 20)), ..ClientLimits::default() };
        stage.publish(table(stage, &app, 0, &limits));
        stage.until_answer("app.example.org", "one").await;

        let small = open_upload(stage, 1 << 20).await;
        eventually("the body appears on the volume", || load(stage).filter(|load| load.body_spool >= 1 << 19)).await;
        assert!(check(stage.health()).await.is_ok(), "a body within the limit failed the health check");
        drop(small);
        let mut large = open_upload(stage, 8 << 20).await;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        let message = loop {
            match check(stage.health()).await {
                Err(error) => break error.to_string(),
                Ok(_) => assert!(tokio::time::Instant::now() < deadline, "the proxy stays healthy with {:?}", load(stage)),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert!(message.contains("request bodies take") && message.contains("requestBodySpoolMax"), "{message}");
        assert!(is_cut(&mut large, Duration::from_secs(20)).await, "the upload was not cut off");
        assert!(stage.becomes_healthy(Duration::from_secs(20)).await);
        stage.until_answer("app.example.org", "one").await;
        eventually("the ended workers are reported", || load(stage).filter(|load| load.body_spool == 0 && load.ended_workers >= 1)).await;
    });
}
