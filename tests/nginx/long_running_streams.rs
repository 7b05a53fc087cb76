//! Long-running streams: gRPC, upgraded connections, event streams, and uploads to paths of long-lived connections. The limits
//! for forms are a few hundred milliseconds and bytes here; they apply to forms, but not to streams.

use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use swarmgate::route::{BackendProtocol, DefaultBackend, RouteTable, SizeBytes};
use swarmgate::types::ContextPath;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::engine::NginxProcess;
use super::raw_client::raw;
use super::route_tables::{Path, backend, route};
use super::serving::serving;
use super::test_application;

/// The time limit for forms.
const FORM_MS: u64 = 400;
/// Much longer than that limit, even on a busy machine.
const SILENCE: Duration = Duration::from_millis(1600);
/// The time within which something must arrive that is sent at once.
const AT_ONCE: Duration = Duration::from_secs(5);
const LARGE: usize = 2 << 20;

/// Allows only small, quick forms; streams may be silent for the given time.
fn limit_forms(table: &mut RouteTable, idle: Duration) {
    let settings = &mut table.settings;
    (settings.client_body_timeout_ms, settings.limits.client_send_timeout_ms) = (FORM_MS, FORM_MS);
    (settings.read_timeout_ms, settings.send_timeout_ms) = (FORM_MS, FORM_MS);
    settings.client_max_body_size = SizeBytes(1024);
    settings.limits.stream_idle_timeout_ms = u64::try_from(idle.as_millis()).unwrap();
}

/// An application that echoes what it receives over HTTP/2 as it arrives, for any length of time.
async fn start_echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let Ok(mut connection) = h2::server::handshake(socket).await else { return };
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let head = http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
                    let answer = respond.send_response(head, false).unwrap();
                    tokio::spawn(echo(request.into_body(), answer));
                }
            });
        }
    });
    address
}

async fn echo(mut from: RecvStream, mut to: SendStream<Bytes>) {
    while let Some(Ok(bytes)) = from.data().await {
        from.flow_control().release_capacity(bytes.len()).unwrap();
        if send(&mut to, bytes).await.is_none() {
            return;
        }
    }
    let _ = to.send_data(Bytes::new(), true);
}

/// Sends as fast as the peer accepts data. `None`: the peer has ended the stream.
async fn send(to: &mut SendStream<Bytes>, mut bytes: Bytes) -> Option<()> {
    while !bytes.is_empty() {
        to.reserve_capacity(bytes.len());
        let room = poll_fn(|context| to.poll_capacity(context)).await?.ok()?;
        to.send_data(bytes.split_to(room.min(bytes.len())), false).ok()?;
    }
    Some(())
}

/// Reads this many bytes. `None`: the stream ended before that.
async fn receive(from: &mut RecvStream, mut count: usize) -> Option<()> {
    while count > 0 {
        let bytes = timeout(AT_ONCE, from.data()).await.ok()??.ok()?;
        from.flow_control().release_capacity(bytes.len()).ok()?;
        count = count.checked_sub(bytes.len())?;
    }
    Some(())
}

/// A client's bidirectional stream over HTTP/2 from end to end.
struct Http2Stream {
    to: SendStream<Bytes>,
    from: RecvStream,
}

impl Http2Stream {
    async fn open(at: SocketAddr, host: &str, path: &str) -> Self {
        let socket = TcpStream::connect(at).await.unwrap();
        let (client, connection) = h2::client::handshake(socket).await.unwrap();
        tokio::spawn(connection);
        let mut client = client.ready().await.unwrap();
        let uri = format!("http://{host}{path}");
        let request = http::Request::post(uri).header("content-type", "application/grpc").header("te", "trailers").body(()).unwrap();
        let (answer, to) = client.send_request(request, false).unwrap();
        let answer = timeout(AT_ONCE, answer).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        Self { to, from: answer.into_body() }
    }

    async fn send_and_receive(&mut self, bytes: usize) -> Option<()> {
        let (to, from) = (&mut self.to, &mut self.from);
        // Both at the same time: a client that sends much without reading blocks the peer.
        let (sent, received) = tokio::join!(send(to, Bytes::from(vec![b'x'; bytes])), receive(from, bytes));
        sent.and(received)
    }
}

/// An engine whose applications all speak HTTP/2.
async fn engine_in_http2(idle: Duration) -> Option<NginxProcess> {
    serving(async |table| {
        limit_forms(table, idle);
        let application = start_echo().await;
        route(table, "h", "/", Path::Kept, &[application]);
        route(table, "h", "/cut", Path::Cut, &[application]);
        table.default_backend = Some(DefaultBackend::plain(backend(&[application])));
        table.backends_mut().for_each(|backend| backend.protocol = BackendProtocol { http2: true, tls: None });
    })
    .await
}

#[tokio::test]
async fn a_bidirectional_call_outlives_the_request_limits() {
    let Some(engine) = engine_in_http2(Duration::from_secs(60)).await else { return };
    for (host, path) in [("h", "/chat.Chat/Talk"), ("h", "/cut/chat.Chat/Talk"), ("elsewhere", "/chat.Chat/Talk")] {
        let mut call = Http2Stream::open(engine.http(), host, path).await;
        assert!(call.send_and_receive(10).await.is_some(), "{host}{path}");
        tokio::time::sleep(SILENCE).await;
        assert!(call.send_and_receive(10).await.is_some(), "{host}{path} after a silence: {}", engine.error_log());
        assert!(call.send_and_receive(LARGE).await.is_some(), "{host}{path} with many bytes: {}", engine.error_log());
        tokio::time::sleep(SILENCE).await;
        assert!(call.send_and_receive(10).await.is_some(), "{host}{path} at last: {}", engine.error_log());
    }
}

#[tokio::test]
async fn a_call_beyond_the_idle_timeout_ends() {
    let Some(engine) = engine_in_http2(Duration::from_millis(FORM_MS)).await else { return };
    let mut call = Http2Stream::open(engine.http(), "h", "/chat.Chat/Talk").await;
    assert!(call.send_and_receive(10).await.is_some());
    let end = timeout(AT_ONCE, call.from.data()).await.expect("the call did not end");
    assert!(end.is_none_or(|data| data.is_err()), "data arrived on a silent call");
}

/// An engine with an application for the path `/ws` and the rest of its host.
async fn engine_with_long_lived(application: SocketAddr) -> Option<NginxProcess> {
    serving(async |table| {
        limit_forms(table, Duration::from_secs(60));
        route(table, "h", "/", Path::Kept, &[application]);
        let routes = table.hosts.values_mut().flat_map(|host| host.paths.values_mut());
        routes.for_each(|route| route.websockets = vec![ContextPath::parse("/ws").unwrap()]);
    })
    .await
}

async fn upgraded(at: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let head = until(&mut stream, b"\r\n\r\n").await.expect("an answer");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    stream
}

/// Reads up to and including these bytes. `None`: they did not arrive in time, or not at all.
async fn until(stream: &mut TcpStream, end: &[u8]) -> Option<String> {
    let mut seen = Vec::new();
    while !seen.windows(end.len()).any(|window| window == end) {
        let read = timeout(AT_ONCE, stream.read_buf(&mut seen)).await.ok()?.ok()?;
        if read == 0 {
            return None;
        }
    }
    Some(String::from_utf8_lossy(&seen).into_owned())
}

#[tokio::test]
async fn an_upgraded_connection_may_be_idle_on_a_long_lived_path() {
    let Some(engine) = engine_with_long_lived(test_application::start_upgrading().await).await else { return };
    for path in ["/ws", "/ws/room"] {
        let mut stream = upgraded(engine.http(), path).await;
        tokio::time::sleep(SILENCE).await;
        stream.write_all(b"still there?").await.unwrap();
        assert!(until(&mut stream, b"there?").await.is_some(), "{path}: {}", engine.error_log());
    }
    let mut elsewhere = upgraded(engine.http(), "/other").await;
    assert_eq!(timeout(AT_ONCE, elsewhere.read(&mut [0])).await.expect("the response time limit must apply there").unwrap_or(0), 0);
}

/// An application that answers every connection with `answer`; the channel receives all that it was sent.
async fn start_raw(answer: &'static [u8], holds: Duration) -> (SocketAddr, mpsc::UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 << 10];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    let _ = sender.send(buffer[..count].to_vec());
                    if !answer.is_empty() {
                        stream.write_all(answer).await.unwrap();
                        tokio::time::sleep(holds).await;
                        return;
                    }
                }
            });
        }
    });
    (address, receiver)
}

/// Some of these answers end with the connection, which stays open for long: nothing shows that more data will follow.
#[tokio::test]
async fn events_arrive_immediately_whatever_frames_the_response() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: first\n\n",
        "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: first\n\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\ndata: first\n\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nd\r\ndata: first\n\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1000\r\n\r\ndata: first\n\n",
    ] {
        let (application, _) = start_raw(answer.as_bytes(), AT_ONCE * 4).await;
        let engine = serving(async |table| route(table, "h", "/", Path::Kept, &[application]));
        let Some(engine) = engine.await else { return };
        let mut stream = TcpStream::connect(engine.http()).await.unwrap();
        stream.write_all(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        assert!(until(&mut stream, b"data: first").await.is_some(), "{answer:?}");
    }
}

#[tokio::test]
async fn uploads_to_a_long_lived_path_stream_without_size_or_idle_limits() {
    let (application, mut seen) = start_raw(b"", Duration::ZERO).await;
    let Some(engine) = engine_with_long_lived(application).await else { return };
    let mut stream = TcpStream::connect(engine.http()).await.unwrap();
    stream.write_all(b"POST /ws/feed HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n").await.unwrap();
    let mut arrived = async |part: &str| {
        let mut text = String::new();
        while !text.contains(part) {
            text.push_str(&String::from_utf8_lossy(&timeout(AT_ONCE, seen.recv()).await.expect(part).unwrap()));
        }
    };
    arrived("first").await;
    tokio::time::sleep(SILENCE).await;
    stream.write_all(format!("{LARGE:x}\r\n{}\r\n6\r\nsecond\r\n", "x".repeat(LARGE)).as_bytes()).await.unwrap();
    arrived("second").await;
}

#[tokio::test]
async fn ordinary_requests_stay_limited_in_size_and_time() {
    let Some(engine) = engine_with_long_lived(test_application::start("app").await).await else { return };
    let head = "POST /form HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2000\r\n\r\n";
    let large = raw(engine.http(), &format!("{head}{}", "x".repeat(2000))).await;
    assert_eq!(large.status, 413, "{large:?}");
    let mut stalled = TcpStream::connect(engine.http()).await.unwrap();
    stalled.write_all(b"POST /form HTTP/1.1\r\nHost: h\r\nContent-Length: 500\r\n\r\nfield=").await.unwrap();
    // The connection is reset, or closed after the answer 408.
    let mut answer = Vec::new();
    let end = timeout(AT_ONCE, stalled.read_to_end(&mut answer)).await.expect("the engine kept waiting for a stalled body");
    assert!(end.is_err() || !String::from_utf8_lossy(&answer).contains("200"), "{answer:?}");
}
