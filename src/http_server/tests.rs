//! Misbehaving clients on loopback: each must soon lose its own connection, and affect no other client. Limits are tiny, so
//! that the tests wait for events, not for the clock.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use axum::Extension;
use axum::routing::{get, post};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::*;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
/// Nothing here takes this long, unless it never ends.
const SOON: Duration = Duration::from_secs(20);

/// A running server.
struct RunningServer {
    address: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<io::Result<()>>,
}

impl RunningServer {
    async fn new(limits: ServerLimits, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(serve(listener.into(), tls, router(), limits, stop.clone()));
        Self { address, stop, running }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Whether a well-behaved client is served.
    async fn serves(&self) -> bool {
        let mut client = self.connect().await;
        client.write_all(GET).await.is_ok() && answer(&mut client).await.starts_with("HTTP/1.1 200")
    }
}

fn router() -> Router {
    let who = |Extension(peer): Extension<Peer>| async move {
        format!("{:?} {} {}", peer.transport, peer.address.is_some(), peer.certificates.len())
    };
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        "late"
    };
    let whole = |body: axum::body::Bytes| async move { body.len().to_string() };
    let much = || async { vec![b'x'; 64 * 1024 * 1024] };
    Router::new().route("/", get(who)).route("/slow", get(slow)).route("/body", post(whole)).route("/much", get(much))
}

/// Reads one answer with a short body.
async fn answer(client: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = String::new();
    let mut part = [0; 4096];
    loop {
        let count = soon(client.read(&mut part)).await.unwrap_or_default();
        text.push_str(&String::from_utf8_lossy(&part[..count]));
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            length.is_some_and(|length| body.len() >= length)
        });
        if count == 0 || whole {
            return text;
        }
    }
}

/// Reads until the server closes the connection.
async fn rest(client: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut all = Vec::new();
    // A reset is an end, too.
    let _ = soon(client.read_to_end(&mut all)).await;
    all
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(SOON, what).await.expect("the server must not wait forever")
}

fn short(set: impl FnOnce(&mut ServerLimits)) -> ServerLimits {
    let mut limits = ServerLimits::default();
    set(&mut limits);
    limits
}

#[tokio::test]
async fn a_connection_with_a_slow_request_head_is_closed() {
    let stage = RunningServer::new(short(|limits| limits.header = Duration::from_millis(300)), None).await;
    let mut client = stage.connect().await;
    let drip = async {
        client.write_all(b"GET / HTTP/1.1\r\n").await?;
        loop {
            client.write_all(b"X-Drip: 1\r\n").await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let error: io::Result<()> = soon(drip).await;
    assert!(matches!(error.unwrap_err().kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset));
    assert!(stage.serves().await);
}

#[tokio::test]
async fn connections_without_a_request_are_closed() {
    let stage = RunningServer::new(short(|limits| limits.header = Duration::from_millis(200)), None).await;
    let (mut silent, mut kept) = (stage.connect().await, stage.connect().await);
    kept.write_all(GET).await.unwrap();
    assert_eq!(answer(&mut kept).await.lines().last(), Some("Tcp true 0"));
    assert_eq!(rest(&mut silent).await, b"");
    assert_eq!(rest(&mut kept).await, b"");
}

#[tokio::test]
async fn a_long_poll_outlives_every_limit_for_clients() {
    let tight = Duration::from_millis(200);
    let limits = short(|limits| (limits.header, limits.body, limits.stall, limits.lifetime) = (tight, tight, tight, tight));
    let stage = RunningServer::new(limits, None).await;
    let mut client = stage.connect().await;
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(answer(&mut client).await.ends_with("late"));
    assert_eq!(rest(&mut client).await, b"", "the connection is closed after the answer");
}

#[tokio::test]
async fn a_slow_body_is_refused() {
    let stage = RunningServer::new(short(|limits| limits.body = Duration::from_millis(300)), None).await;
    let mut client = stage.connect().await;
    client.write_all(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab").await.unwrap();
    assert!(answer(&mut client).await.starts_with("HTTP/1.1 400"));
    let mut client = stage.connect().await;
    client.write_all(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde").await.unwrap();
    assert!(answer(&mut client).await.ends_with("\r\n5"));
}

#[tokio::test]
async fn a_connection_whose_client_does_not_read_the_answer_is_closed() {
    let stage = RunningServer::new(short(|limits| limits.stall = Duration::from_millis(200)), None).await;
    let mut client = stage.connect().await;
    client.write_all(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    // The kernel's buffers are full long before, and the server gives up. The client then reads what they held.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(rest(&mut client).await.len() < 64 * 1024 * 1024);
    // A client that reads gets everything.
    let mut client = stage.connect().await;
    client.write_all(b"GET /much HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(rest(&mut client).await.len() > 64 * 1024 * 1024);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let stage = RunningServer::new(short(|limits| limits.head_bytes = 8 * 1024), None).await;
    let mut client = stage.connect().await;
    let long = format!("GET /?{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(9 * 1024));
    client.write_all(long.as_bytes()).await.unwrap();
    assert!(answer(&mut client).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn an_excess_connection_is_closed_and_the_others_stay_open() {
    let stage = RunningServer::new(short(|limits| limits.connections = 2), None).await;
    let mut first = stage.connect().await;
    first.write_all(GET).await.unwrap();
    assert!(answer(&mut first).await.starts_with("HTTP/1.1 200"));
    let mut second = stage.connect().await;
    second.write_all(GET).await.unwrap();
    assert!(answer(&mut second).await.starts_with("HTTP/1.1 200"));
    assert_eq!(rest(&mut stage.connect().await).await, b"");
    first.write_all(GET).await.unwrap();
    assert!(answer(&mut first).await.starts_with("HTTP/1.1 200"));
    drop(second);
    // Its permit is free as soon as the server has noticed the closed connection.
    soon(async { while !stage.serves().await {} }).await;
}

#[tokio::test]
async fn a_stopping_server_waits_a_limited_time_for_open_requests() {
    let stage = RunningServer::new(short(|limits| limits.end = SOON), None).await;
    let mut client = stage.connect().await;
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    stage.stop.cancel();
    assert!(answer(&mut client).await.ends_with("late"));
    soon(stage.running).await.unwrap().unwrap();

    let stage = RunningServer::new(short(|limits| limits.end = Duration::from_millis(50)), None).await;
    let mut client = stage.connect().await;
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    stage.stop.cancel();
    soon(stage.running).await.unwrap().unwrap();
    assert_eq!(rest(&mut client).await, b"");
}

#[tokio::test]
async fn a_unix_socket_is_identified_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(serve(listener.into(), Some(tls().server), router(), ServerLimits::default(), CancellationToken::new()));
    assert_eq!(request_unix(&path).await.lines().last(), Some("Unix false 0"), "TLS applies only to ports");
}

async fn request_unix(path: &Path) -> String {
    let mut client = UnixStream::connect(path).await.unwrap();
    client.write_all(GET).await.unwrap();
    answer(&mut client).await
}

/// Both ends of TLS, with certificates of the same authority.
struct Ends {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    client_certificate: CertificateDer<'static>,
}

fn tls() -> Ends {
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let made = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    };
    let mut roots = RootCertStore::empty();
    roots.add(authority_certificate.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots.clone()), provider()).build().unwrap();
    let (server_certificate, server_key) = made("localhost");
    let (client_certificate, client_key) = made("client");
    let server = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let client = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let client = client.with_root_certificates(roots).with_client_auth_cert(vec![client_certificate.clone()], client_key).unwrap();
    let server = server.with_client_cert_verifier(verifier).with_single_cert(vec![server_certificate], server_key).unwrap();
    Ends { server: Arc::new(server), client: Arc::new(client), client_certificate }
}

async fn request_tls(client: &Arc<ClientConfig>, stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = soon(TlsConnector::from(client.clone()).connect(name, stream)).await.unwrap();
    stream.write_all(GET).await.unwrap();
    answer(&mut stream).await
}

#[tokio::test]
async fn handlers_get_the_certificates_of_the_client() {
    let ends = tls();
    let router = Router::new().route("/", get(|Extension(peer): Extension<Peer>| async move { hex::encode(&peer.certificates[0]) }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener.into(), Some(ends.server), router, ServerLimits::default(), CancellationToken::new()));
    let answer = request_tls(&ends.client, TcpStream::connect(address).await.unwrap()).await;
    assert_eq!(answer.lines().last(), Some(hex::encode(&ends.client_certificate).as_str()));
}

#[tokio::test]
async fn an_endless_handshake_does_not_delay_other_clients() {
    let ends = tls();
    let stage = RunningServer::new(short(|limits| limits.handshake = Duration::from_millis(500)), Some(ends.server)).await;
    let mut silent = stage.connect().await;
    let mut begun = stage.connect().await;
    begun.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    let mut plain = stage.connect().await;
    plain.write_all(GET).await.unwrap();
    let answer = request_tls(&ends.client, stage.connect().await).await;
    assert_eq!(answer.lines().last(), Some("Tcp true 1"));
    for client in [&mut silent, &mut begun, &mut plain] {
        assert!(!rest(client).await.starts_with(b"HTTP"), "a TLS port does not serve plain HTTP");
    }
}
