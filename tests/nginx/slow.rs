//! Slow clients: thousands of connections from one address that never finish what they begin. Others are answered, at once.
//! `cargo test --test nginx slow -- --nocapture --test-threads 1` prints what each kind takes.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{setsockopt, sockopt};
use swarmgate::render::Purpose;
use swarmgate::route::{ClientAddress, ClientAddressSource, RouteTable};
use swarmgate::types::{AddressRange, EngineLine, HostPattern, Port};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::client::{get, raw, request};
use super::engine::{Engine, Place, nginx};
use super::ports::free_port;
use super::tables::{Path, backend, empty, route};
use super::tls::binding;

const SLOW: usize = 4000;
/// Connections that are begun together: the engine's queue has room for 511.
const TOGETHER: usize = 200;
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
/// Answers that nobody takes: more than fits the buffers on the way.
const LARGE: usize = 256 << 10;
/// How long an answer to others may take, on a machine that does much else.
const QUICK: Duration = Duration::from_secs(5);

/// How many slow clients this process may hold: each takes a file here, and some another one at the application.
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

/// An application that says its name, or very much.
async fn start_application() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    // One text for all of them: thousands of copies would be this machine's trouble and not the engine's.
    let text = Bytes::from(vec![b'x'; LARGE]);
    let large = move || std::future::ready(text.clone());
    let app = Router::new().route("/large", axum::routing::get(large)).fallback(|| std::future::ready("app: good\n"));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

/// A host in plain HTTP and by TLS, with the limits that a document in host mode has by default.
async fn site(https: u16, change: impl FnOnce(&mut RouteTable, SocketAddr)) -> Option<Engine> {
    let (nginx, place) = (nginx()?, Place::new());
    let mut table = empty(place.http);
    table.https_port = Port::new(https).ok();
    let application = start_application().await;
    route(&mut table, "h", "/", Path::Kept, &[application]);
    table.hosts.get_mut(&HostPattern::parse("h").unwrap()).unwrap().tls = Some(binding("h"));
    table.settings.limits.client_connections_max = table.settings.max_connections / 4;
    change(&mut table, application);
    Some(Engine::start(&nginx, place, &table, Purpose::Live).await)
}

/// A connection from the attacker's address, after it has sent this.
async fn slow(to: SocketAddr, first: &[u8]) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // A window that is soon full, and the segments of a real network: the kernel would take the answer otherwise.
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
        held.extend(futures::future::join_all(together).await.into_iter().map(|slow| slow.expect("it is taken in time").unwrap()));
    }
    held
}

/// The longest of some answers to a client from elsewhere.
async fn others_wait(engine: &Engine) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        let began = Instant::now();
        let answer = get(engine.http(), "h", "/").await;
        assert_eq!((answer.status, answer.said("app")), (200, "good"), "{answer:?} {}", engine.words());
        longest = longest.max(began.elapsed());
    }
    longest
}

/// Others are answered while the slow ones are there, and the slow ones are still there after that.
async fn check(what: &str, first: &[u8], by_tls: bool) {
    /// Four times as many would be more than a process may open.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
    let _alone = ONE_AT_A_TIME.lock().await;
    let https = free_port();
    let Some(engine) = site(https, |_, _| {}).await else { return };
    let to = if by_tls { SocketAddr::from((Ipv4Addr::LOCALHOST, https)) } else { engine.http() };
    let (count, before) = (slow_clients(), engine.memory_kib());
    let began = Instant::now();
    let mut held = many_slow(count, to, first).await;
    let arrived = began.elapsed();
    // The engine has met them all: the last ones as well.
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
    // Else they would have been turned away, and the test would prove something else. Readers have something to read.
    assert!(first.starts_with(b"GET /large") || open * 10 > count * 9, "{open} of {count} {what} are held");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_never_end_stop_nobody_else() {
    check("heads", b"GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_never_end_stop_nobody_else() {
    // The beginning of a record with a ClientHello.
    check("handshakes", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_never_end_stop_nobody_else() {
    let body = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n{}", "x".repeat(10_000));
    check("bodies", body.as_bytes(), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_takes_stop_nobody_else() {
    check("readers", b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_slow_ends() {
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
        // A byte now and then does not help a head: its time counts as a whole.
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
        timeout(Duration::from_secs(10), end).await.unwrap_or_else(|_| panic!("{first:?} is waited for"));
    }
    let mut reader = slow(engine.http(), b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut seen = Vec::new();
    let _ = timeout(Duration::from_secs(10), reader.read_to_end(&mut seen)).await.expect("who does not read is cut off");
    assert!(seen.len() < LARGE, "all of it came");
}

/// One address has its limit, and no other one is concerned. 429 says who is meant.
#[tokio::test]
async fn one_address_gets_no_more_than_its_part() {
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
    assert_eq!(get(engine.http(), "h", "/").await.status, 200, "another address");
}

/// The same where TLS is passed through: whoever has too many is not even asked for a name.
#[tokio::test]
async fn one_address_gets_no_more_than_its_part_of_what_is_passed_through() {
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
        assert!(Instant::now() < deadline, "the sixth is held: {}", engine.words());
    }
    let mut elsewhere = TcpStream::connect(to).await.unwrap();
    elsewhere.write_all(b"\x16\x03\x01").await.unwrap();
    assert!(is_held(elsewhere).await, "another address");
}

/// A load balancer in front brings many clients' connections; which of them are whose is seen only inside.
#[tokio::test]
async fn who_is_believed_about_clients_is_not_counted_as_one() {
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
        assert!(closed.is_err(), "the front has more than five: {}", engine.words());
    }
}

/// Of IPv6 a client has a whole network; an IPv4 address may come as one of IPv6 and is one client all the same. The
/// addresses are what a line of the administrator makes of a header.
#[tokio::test]
async fn a_client_is_an_address_or_a_network_of_ipv6() {
    let change = |table: &mut RouteTable, _| {
        table.settings.limits.client_connections_max = 1;
        let lines = ["set_real_ip_from 127.0.0.0/8;", "real_ip_header X-Real-IP;"];
        table.settings.http_options = lines.iter().map(|line| EngineLine::parse(line).unwrap()).collect();
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
            assert!(Instant::now() < deadline, "{same} is not {holder}");
        }
        assert_eq!(status(other).await, 200, "{other} is not {holder}");
    }
}

#[tokio::test]
async fn no_limit_means_no_limit() {
    let Some(engine) = site(free_port(), |table, _| table.settings.limits.client_connections_max = 0).await else { return };
    let body = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\nx";
    let _held = many_slow(50, engine.http(), body).await;
    assert_eq!(request(engine.http(), "GET", "h", "/", &[]).await.status, 200);
    assert_eq!(raw(engine.http(), "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.status, 200);
}
