//! A reload loses no request, whether clients keep their connections or not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use swarmgate::render::ConfigPurpose;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::engine::{EngineSandbox, NginxProcess, nginx};
use super::route_tables::{Path, empty, route};
use super::test_application;

/// A client that sends requests one after another on one connection, and opens another only after being told that this one
/// ends. Returns the number of requests without a complete answer.
async fn send_requests(to: SocketAddr, stop: Arc<AtomicBool>, sent: Arc<AtomicUsize>) -> usize {
    let (mut failed, mut connection) = (0, None);
    while !stop.load(Ordering::Relaxed) {
        let stream = match connection.take() {
            Some(stream) => stream,
            None => TcpStream::connect(to).await.unwrap(),
        };
        sent.fetch_add(1, Ordering::Relaxed);
        match ask(stream).await {
            Some((stream, keep)) => connection = keep.then_some(stream),
            None => failed += 1,
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    failed
}

/// The connection after a complete answer with status 200, and whether it stays open.
async fn ask(mut stream: TcpStream) -> Option<(TcpStream, bool)> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.ok()?;
    let (mut answer, mut buffer) = (String::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        answer.push_str(&String::from_utf8_lossy(&buffer[..count]));
        let Some((head, body)) = answer.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).and_then(|length| length.parse::<usize>().ok())?;
        if body.len() >= length {
            return head.starts_with("http/1.1 200").then_some((stream, !head.contains("connection: close")));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_reloads_lose_no_request_on_keepalive_connections() {
    let Some(nginx) = nginx() else { return };
    let sandbox = EngineSandbox::new();
    let (one, two) = (test_application::start("one").await, test_application::start("two").await);
    let mut tables = [empty(sandbox.http), empty(sandbox.http)];
    route(&mut tables[0], "h", "/", Path::Kept, &[one]);
    route(&mut tables[1], "h", "/", Path::Kept, &[one, two]);
    let engine = NginxProcess::start(&nginx, sandbox, &tables[0], ConfigPurpose::Live).await;
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..10).map(|_| tokio::spawn(send_requests(engine.http(), stop.clone(), sent.clone()))).collect();
    for round in 0..20 {
        engine.reload(&tables[(round + 1) % 2], ConfigPurpose::Live);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut failed = 0;
    for client in clients {
        failed += client.await.unwrap();
    }
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent > 500, "only {sent} requests were sent, which proves nothing");
    assert_eq!(failed, 0, "of {sent}: {}", engine.error_log());
}
