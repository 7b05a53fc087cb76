//! Slow clients: thousands of connections from one address that never finish what they begin. Other clients are answered at
//! once. `cargo test --test nginx slow -- --nocapture --test-threads 1` prints the cost of each kind.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{setsockopt, sockopt};
use swarmgate::route::{ClientAddress, ClientAddressSource, RouteTable};
use swarmgate::types::{AddressRange, EngineLine, HostPattern, Port};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::engine::NginxProcess;
use super::ports::free_port;
use super::raw_client::{get, raw, request};
use super::route_tables::{Path, backend, route};
use super::serving::serving;
use super::tls::binding;

const SLOW: usize = 4000;
/// The number of connections that are opened at a time: the engine's queue has room for 511.
const TOGETHER: usize = 200;
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
/// The size of answers that clients do not read: more than the buffers on the way can hold.
const LARGE: usize = 256 << 10;
/// The maximum time for an answer to another client, on a busy machine.
const QUICK: Duration = Duration::from_secs(5);

/// The number of slow clients that this process can hold: each needs a file descriptor here, and some need another one at the
/// application.
fn slow_clients() -> usize {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    }
    let most = usize::try_from(hard / 4).unwrap_or(SLOW);
    if most < SLOW {
        let _ = writeln!(std::io::stderr(), "\n!!! only {most} slow clients instead of {SLOW}: `ulimit -n` is {hard}\n");
    }
    most.min(SLOW)
}

/// An application that returns its name, or a very large answer.
async fn start_application() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    // All answers share one text, because thousands of copies would strain this machine rather than the engine.
    let text = Bytes::from(vec![b'x'; LARGE]);
    let large = move || std::future::ready(text.clone());
    let app = Router::new().route("/large", axum::routing::get(large)).fallback(|| std::future::ready("app: good\n"));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

/// A host over plain HTTP and TLS, with the default limits of a document in host mode.
async fn site(https: u16, change: impl FnOnce(&mut RouteTable, SocketAddr)) -> Option<NginxProcess> {
    serving(async |table| {
        table.https_port = Port::new(https).ok();
        let application = start_application().await;
        route(table, "h", "/", Path::Kept, &[application]);
        table.hosts.get_mut(&HostPattern::parse("h").unwrap()).unwrap().tls = Some(binding("h"));
        table.settings.limits.client_connections_max = table.settings.max_connections / 4;
        change(table, application);
    })
    .await
}

/// A connection from the attacker's address that has sent these bytes.
async fn slow(to: SocketAddr, first: &[u8]) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // A receive window that fills quickly, and segments as in a real network; otherwise the kernel would buffer the answer.
    socket.set_recv_buffer_size(4096)?;
    setsockopt(&socket, sockopt::TcpMaxSeg, &1400)?;
    socket.bind(SocketAddr::from((ATTACKER, 0)))?;
    let mut stream = socket.connect(to).await?;
    stream.write_all(first).await?;
    Ok(stream)
}

async fn many_slow(count: usize, to: SocketAddr, first: &[u8]) -> Vec<TcpStream> {
    let mut held = Vec::new();
    while held.len() < count {
        let together = (0..TOGETHER.min(count - held.len())).map(|_| timeout(QUICK * 5, slow(to, first)));
        held.extend(
            futures::future::join_all(together)
                .await
                .into_iter()
                .map(|slow| slow.expect("the connection was not accepted in time").unwrap()),
        );
    }
    held
}

/// The longest wait of several requests by a client from elsewhere.
async fn others_wait(engine: &NginxProcess) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        let began = Instant::now();
        let answer = get(engine.http(), "h", "/").await;
        assert_eq!((answer.status, answer.echoed("app")), (200, "good"), "{answer:?} {}", engine.error_log());
        longest = longest.max(began.elapsed());
    }
    longest
}

/// Other clients are answered while the slow ones are connected, and the slow ones stay connected after that.
async fn check(what: &str, first: &[u8], by_tls: bool) {
    /// Four of these tests at a time would open more files than a process may.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
    let _alone = ONE_AT_A_TIME.lock().await;
    let https = free_port();
    let Some(engine) = site(https, |_, _| {}).await else { return };
    let to = if by_tls { SocketAddr::from((Ipv4Addr::LOCALHOST, https)) } else { engine.http() };
    let (count, before) = (slow_clients(), engine.memory_kib());
    let began = Instant::now();
    let mut held = many_slow(count, to, first).await;
    let arrived = began.elapsed();
    // By then the engine has accepted all of them, including the last.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let longest = others_wait(&engine).await;
    let line = format!(
        "{count} {what} in {} ms: engine {} MiB -> {} MiB, others wait {} ms at most",
        arrived.as_millis(),
        before >> 10,
        engine.memory_kib() >> 10,
        longest.as_millis()
    );
    let _ = writeln!(std::io::stdout(), "    {line}");
    assert!(longest < QUICK, "{line}");
    let mut open = 0;
    for slow in &mut held {
        open += usize::from(slow.try_read(&mut [0; 1]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    }
    // If the connections had been closed, the test would prove something else. Clients of `/large` have data to read.
    assert!(first.starts_with(b"GET /large") || open * 10 > count * 9, "only {open} of {count} {what} stay open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_request_heads_do_not_block_other_clients() {
    check("heads", b"GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_handshakes_do_not_block_other_clients() {
    // The beginning of a record with a ClientHello.
    check("handshakes", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_bodies_do_not_block_other_clients() {
    let body = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n{}", "x".repeat(10_000));
    check("bodies", body.as_bytes(), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_responses_do_not_block_other_clients() {
    check("readers", b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_too_slow_are_closed() {
    let https = free_port();
    let quick = |table: &mut RouteTable, _| {
        let settings = &mut table.settings;
        (settings.limits.client_header_timeout_ms, settings.limits.client_send_timeout_ms) = (400, 400);
        settings.client_body_timeout_ms = 400;
    };
    let Some(engine) = site(https, quick).await else { return };
    let by_tls = SocketAddr::from((Ipv4Addr::LOCALHOST, https));
    for (to, first) in [
        (engine.http(), "GET / HTTP/1.1\r\nHost: h\r\nX-Slow: "),
        (engine.http(), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\nx"),
        (by_tls, "\u{16}\u{3}\u{1}"),
    ] {
        let mut connection = slow(to, first.as_bytes()).await.unwrap();
        // Sending a byte now and then does not extend the time for a head, which is limited as a whole.
        let drips = first.starts_with("GET");
        let end = async {
            let (mut read, mut write) = connection.split();
            let mut seen = Vec::new();
            let dripping = async {
                while drips && write.write_all(b"y").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! { _ = read.read_to_end(&mut seen) => {}, () = dripping => {} }
        };
        timeout(Duration::from_secs(10), end).await.unwrap_or_else(|_| panic!("{first:?} was not closed"));
    }
    let mut reader = slow(engine.http(), b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut seen = Vec::new();
    let _ = timeout(Duration::from_secs(10), reader.read_to_end(&mut seen)).await.expect("a client that does not read was not cut off");
    assert!(seen.len() < LARGE, "the whole response arrived");
}

/// The limit of one address does not affect other addresses. Status 429 tells which address exceeded it.
#[tokio::test]
async fn one_address_gets_no_more_than_its_connection_limit() {
    let Some(engine) = site(free_port(), |table, _| table.settings.limits.client_connections_max = 5).await else { return };
    let body = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\nx";
    let _held = many_slow(5, engine.http(), body).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut sixth = slow(engine.http(), b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        sixth.read_to_string(&mut answer).await.unwrap();
        if answer.starts_with("HTTP/1.1 429 ") {
            break;
        }
        assert!(Instant::now() < deadline, "{answer}");
    }
    assert_eq!(get(engine.http(), "h", "/").await.status, 200, "another address must not be limited");
}

/// The same where TLS is passed through: a connection above the limit closes before the engine reads a server name.
#[tokio::test]
async fn one_address_gets_no_more_passthrough_connections_than_its_limit() {
    let https = free_port();
    let fill = |table: &mut RouteTable, application: SocketAddr| {
        table.settings.limits.client_connections_max = 5;
        table.passthrough.insert(HostPattern::parse("passed.test").unwrap(), backend(&[application]));
    };
    let Some(engine) = site(https, fill).await else { return };
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, https));
    let _held = many_slow(5, to, b"\x16\x03\x01").await;
    let is_held = async |mut connection: TcpStream| timeout(Duration::from_millis(500), connection.read(&mut [0])).await.is_err();
    let deadline = Instant::now() + Duration::from_secs(10);
    while is_held(slow(to, b"\x16\x03\x01").await.unwrap()).await {
        assert!(Instant::now() < deadline, "the sixth connection stays open: {}", engine.error_log());
    }
    let mut elsewhere = TcpStream::connect(to).await.unwrap();
    elsewhere.write_all(b"\x16\x03\x01").await.unwrap();
    assert!(is_held(elsewhere).await, "another address must not be limited");
}

/// A load balancer in front carries the connections of many clients; only their content shows which belongs to which client.
#[tokio::test]
async fn a_trusted_peer_is_not_limited_as_a_client() {
    let https = free_port();
    let fill = |table: &mut RouteTable, application: SocketAddr| {
        let trusted = vec![AddressRange::parse(&ATTACKER.to_string()).unwrap()];
        table.settings.client_address = Some(ClientAddress { trusted, from: ClientAddressSource::XForwardedFor });
        table.settings.limits.client_connections_max = 5;
        table.passthrough.insert(HostPattern::parse("passed.test").unwrap(), backend(&[application]));
    };
    let Some(engine) = site(https, fill).await else { return };
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, https));
    for mut connection in many_slow(20, to, b"\x16\x03\x01").await {
        let closed = timeout(Duration::from_millis(50), connection.read(&mut [0])).await;
        assert!(closed.is_err(), "the trusted peer was limited: {}", engine.error_log());
    }
}

/// An IPv6 client is a whole network. An IPv4 address may be written as an IPv6 address and is still a single client. A line of
/// the administrator's takes the addresses from a header.
#[tokio::test]
async fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
    let change = |table: &mut RouteTable, _| {
        table.settings.limits.client_connections_max = 1;
        let lines = ["set_real_ip_from 127.0.0.0/8;", "real_ip_header X-Real-IP;"];
        table.settings.nginx.http_options = lines.iter().map(|line| EngineLine::parse(line).unwrap()).collect();
    };
    let Some(engine) = site(free_port(), change).await else { return };
    for (holder, same, other) in [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2"),
        ("192.0.2.33", "192.0.2.33", "192.0.2.34"),
    ] {
        let held = format!("POST / HTTP/1.1\r\nHost: h\r\nX-Real-IP: {holder}\r\nContent-Length: 500000\r\n\r\nx");
        let _held = slow(engine.http(), held.as_bytes()).await.unwrap();
        let status = async |client: &str| request(engine.http(), "GET", "h", "/", &[&format!("X-Real-IP: {client}")]).await.status;
        let deadline = Instant::now() + Duration::from_secs(10);
        while status(same).await != 429 {
            assert!(Instant::now() < deadline, "{same} is not limited together with {holder}");
        }
        assert_eq!(status(other).await, 200, "{other} is limited together with {holder}");
    }
}

#[tokio::test]
async fn without_a_limit_connections_are_unlimited() {
    let Some(engine) = site(free_port(), |table, _| table.settings.limits.client_connections_max = 0).await else { return };
    let body = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\nx";
    let _held = many_slow(50, engine.http(), body).await;
    assert_eq!(request(engine.http(), "GET", "h", "/", &[]).await.status, 200);
    assert_eq!(raw(engine.http(), "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.status, 200);
}
