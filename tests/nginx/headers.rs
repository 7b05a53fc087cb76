//! What applications and clients learn about the way between them.

use super::engine::NginxProcess;
use super::raw_client::{get, raw, request};
use super::route_tables::{Path, route};
use super::serving::serving;
use super::{raw_client, test_application};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// An engine with one application for the host `h`, and a table that the test may change before the start.
async fn engine(change: impl FnOnce(&mut swarmgate::route::RouteTable)) -> Option<NginxProcess> {
    serving(async |table| {
        route(table, "h", "/", Path::Kept, &[test_application::start("app").await]);
        change(table);
    })
    .await
}

fn check_echoed(answer: &raw_client::HttpResponse, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(answer.echoed(name), *value, "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn applications_receive_the_forwarding_headers() {
    let Some(engine) = engine(|_| ()).await else { return };
    let answer = request(engine.http(), "GET", "H:8082", "/", &["X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"]).await;
    check_echoed(
        &answer,
        &[
            ("host", "H:8082"),
            ("x-real-ip", "127.0.0.1"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "H:8082"),
            ("x-forwarded-port", "8082"),
            ("connection", ""),
            ("upgrade", ""),
        ],
    );
    check_echoed(&get(engine.http(), "h", "/").await, &[("host", "h"), ("x-forwarded-port", "80")]);
}

#[tokio::test]
async fn a_host_header_that_contradicts_the_request_line_is_not_forwarded() {
    let Some(engine) = engine(|_| ()).await else { return };
    let answer = raw(engine.http(), "GET http://h/x HTTP/1.1\r\nHost: internal.example.org\r\nConnection: close\r\n\r\n").await;
    check_echoed(&answer, &[("app", "app"), ("host", "h"), ("x-forwarded-host", "h")]);
}

#[tokio::test]
async fn a_valid_request_id_is_kept_and_any_other_is_replaced() {
    let Some(engine) = engine(|_| ()).await else { return };
    let kept = request(engine.http(), "GET", "h", "/", &["X-Request-ID: abc-123.DEF_456"]).await;
    assert_eq!((kept.echoed("x-request-id"), kept.header("x-request-id")), ("abc-123.DEF_456", "abc-123.DEF_456"));
    for odd in ["short", "with blanks and \"quotes\"", &"x".repeat(200)] {
        let answer = request(engine.http(), "GET", "h", "/", &[&format!("X-Request-ID: {odd}")]).await;
        let id = answer.header("x-request-id");
        assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{answer:?}");
        assert_eq!(answer.echoed("x-request-id"), id);
    }
    assert_eq!(get(engine.http(), "h", "/_echo").await.header("x-request-id").len(), 32);
}

#[tokio::test]
async fn error_responses_also_carry_the_information_headers() {
    let Some(engine) = engine(|table| table.settings.upstream_address_header = true).await else { return };
    for (host, target, status) in [("h", "/", 200), ("h", "/_status/404", 404), ("h", "/_status/500", 500), ("unknown", "/", 503)] {
        let answer = get(engine.http(), host, target).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("x-request-id").len(), 32, "{answer:?}");
        assert!(!answer.header("x-proxy-id").is_empty(), "{answer:?}");
        assert!(answer.header("x-server-info").starts_with("swarmgate/"), "{answer:?}");
        assert_eq!(answer.header("x-upstream-addr").starts_with("127.0.0.1:"), host == "h", "{answer:?}");
        assert_eq!(answer.header("x-upstream-response-time").parse::<f64>().is_ok(), host == "h", "{answer:?}");
        assert_eq!(answer.header("server"), "nginx");
    }
}

#[tokio::test]
async fn information_headers_can_be_hidden() {
    let Some(engine) = engine(|table| table.settings.hide_info_headers = true).await else { return };
    let answer = get(engine.http(), "h", "/_echo").await;
    let shown: Vec<_> = answer.headers.keys().map(String::as_str).filter(|name| name.starts_with("x-")).collect();
    assert_eq!((shown, answer.header("x-request-id")), (vec!["x-request-id"], "of-the-application"));
}

#[tokio::test]
async fn large_headers_pass_and_bodies_beyond_the_limit_are_rejected() {
    let Some(engine) = engine(|table| table.settings.client_max_body_size = swarmgate::route::SizeBytes(1000)).await else { return };
    assert_eq!(get(engine.http(), "h", "/_large").await.header("x-large").len(), 12_000);
    let post = |size: usize| raw_post(size);
    assert_eq!(raw(engine.http(), &post(1000)).await.status, 200);
    assert_eq!(raw(engine.http(), &post(1001)).await.status, 413);
}

fn raw_post(size: usize) -> String {
    format!("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n{}", "x".repeat(size))
}

#[tokio::test]
async fn websocket_upgrades_pass_but_h2c_upgrades_do_not() {
    let engine = serving(async |table| {
        route(table, "h", "/", Path::Kept, &[test_application::start_upgrading().await]);
    });
    let Some(engine) = engine.await else { return };
    let mut stream = tokio::net::TcpStream::connect(engine.http()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").await.unwrap();
    let mut buffer = vec![0; 4096];
    let count = stream.read(&mut buffer).await.unwrap();
    assert!(buffer[..count].starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&buffer[..count]));
    stream.write_all(b"hello").await.unwrap();
    let count = stream.read(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..count], b"hello");
    let tunnel = request(engine.http(), "GET", "h", "/", &["Upgrade: h2c, websocket", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"]).await;
    assert_eq!((tunnel.status, tunnel.body.as_str()), (200, "no upgrade"));
}
