//! TLS towards clients: which certificate each host shows, and what is passed through.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::curl::{Seen, ask};
use super::engine::{EngineSandbox, NginxProcess, nginx};
use super::ports::free_port;
use super::route_tables::{Path, backend, empty, route};
use super::{certificates, test_application, tls_application};
use swarmgate::render::ConfigPurpose;
use swarmgate::route::{DefaultBackend, MaterialKind, MaterialRef, RouteTable, TlsBinding};
use swarmgate::types::{HostPattern, ObjectName, Port};

/// A certificate and key in secrets with this name.
pub fn binding(name: &str) -> TlsBinding {
    let secret = |suffix: &str| MaterialRef {
        kind: MaterialKind::Secret,
        name: ObjectName::parse(&format!("{name}.{suffix}")).unwrap(),
        id: Some(format!("id{name}{suffix}")),
    };
    TlsBinding { certificate: secret("crt"), key: Some(secret("key")) }
}

fn host(name: &str) -> HostPattern {
    HostPattern::parse(name).unwrap()
}

/// One engine with TLS, and its clients.
struct TlsEngine {
    engine: NginxProcess,
    port: u16,
    ca: PathBuf,
    _directory: tempfile::TempDir,
}

impl TlsEngine {
    /// Starts the site. Returns `None` if there is no engine.
    async fn start(purpose: ConfigPurpose, fill: impl AsyncFnOnce(&mut RouteTable)) -> Option<Self> {
        let (nginx, sandbox, port) = (nginx()?, EngineSandbox::new(), free_port());
        let mut table = empty(sandbox.http);
        (table.https_port, table.https_published) = (Port::new(port).ok(), Port::new(port).ok());
        fill(&mut table).await;
        let directory = tempfile::tempdir().unwrap();
        let ca = directory.path().join("ca.pem");
        std::fs::write(&ca, certificates::ca()).unwrap();
        Some(Self { engine: NginxProcess::start(&nginx, sandbox, &table, purpose).await, port, ca, _directory: directory })
    }

    async fn ask(&self, name: &str, path: &str, more: &[&str]) -> Seen {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        ask(at, &format!("https://{name}:{}{path}", self.port), &self.ca, more).await
    }

    /// The application that answers a request for this name, with a valid certificate for it.
    async fn app(&self, name: &str, more: &[&str]) -> String {
        let seen = self.ask(name, "/", more).await;
        assert_eq!((seen.exit, seen.status), (0, 200), "{name}: {seen:?}, {}", self.engine.error_log());
        echoed(&seen, "app")
    }
}

fn echoed(seen: &Seen, name: &str) -> String {
    seen.body.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_default().to_owned()
}

async fn with_tls(table: &mut RouteTable, name: &'static str) {
    route(table, name, "/", Path::Kept, &[test_application::start(name).await]);
    table.hosts.get_mut(&host(name)).unwrap().tls = Some(binding(&name.replace(['.', '*'], "")));
}

const REFUSED: i32 = 35;

#[tokio::test]
async fn each_host_presents_only_its_own_certificate() {
    let site = TlsEngine::start(ConfigPurpose::Live, async |table| {
        with_tls(table, "a.test").await;
        with_tls(table, "*.wild.test").await;
        route(table, "plain.test", "/", Path::Kept, &[test_application::start("plain.test").await]);
    });
    let Some(site) = site.await else { return };
    assert_eq!(site.app("a.test", &[]).await, "a.test");
    assert_eq!(site.app("b.wild.test", &[]).await, "*.wild.test");
    for other_host in ["other.test", "plain.test", "b.c.wild.test", "127.0.0.1"] {
        assert_eq!(site.ask(other_host, "/", &["--insecure"]).await.exit, REFUSED, "{other_host}");
    }
    for version in ["--http1.1", "--http2"] {
        assert_eq!(site.app("a.test", &[version]).await, "a.test");
    }
    assert_eq!(site.ask("a.test", "/", &[]).await.version, "2");
    assert_eq!(site.ask("a.test", "/", &["--tls-max", "1.1"]).await.exit, REFUSED);
    assert_eq!(site.ask("a.test", "/", &["--tls-max", "1.2"]).await.status, 200);
    assert_eq!(echoed(&site.ask("a.test", "/", &[]).await, "x-forwarded-proto"), "https");
}

#[tokio::test]
async fn a_tls_connection_serves_no_host_without_tls() {
    let site = TlsEngine::start(ConfigPurpose::Live, async |table| {
        with_tls(table, "a.test").await;
        with_tls(table, "b.test").await;
        route(table, "plain.test", "/", Path::Kept, &[test_application::start("plain.test").await]);
    });
    let Some(site) = site.await else { return };
    for version in ["--http1.1", "--http2"] {
        for other in ["plain.test", "other.test"] {
            assert_eq!(site.ask("a.test", "/", &[version, "--header", &format!("Host: {other}")]).await.status, 421, "{other} {version}");
        }
        let seen = site.ask("a.test", "/", &[version, "--header", "Host: b.test"]).await;
        assert_eq!(echoed(&seen, "app"), "b.test", "a host with TLS must answer on any connection");
    }
}

#[tokio::test]
async fn a_default_backend_with_a_certificate_answers_only_unknown_names() {
    let site = TlsEngine::start(ConfigPurpose::Live, async |table| {
        with_tls(table, "a.test").await;
        route(table, "plain.test", "/", Path::Kept, &[test_application::start("plain.test").await]);
        let default = DefaultBackend::plain(backend(&[test_application::start("default").await]));
        table.default_backend = Some(DefaultBackend { tls: Some(binding("default")), ..default });
    });
    let Some(site) = site.await else { return };
    assert_eq!(site.app("default.test", &[]).await, "default");
    assert_eq!(site.app("a.test", &[]).await, "a.test");
    assert_eq!(echoed(&site.ask("127.0.0.1", "/", &["--insecure"]).await, "app"), "default", "a client without a server name");
    assert_eq!(site.ask("plain.test", "/", &["--insecure"]).await.exit, REFUSED);
    assert_eq!(site.ask("a.test", "/", &["--header", "Host: plain.test"]).await.status, 421);
}

#[tokio::test]
async fn an_exact_host_takes_precedence_over_a_wildcard_with_or_without_tls() {
    let site = TlsEngine::start(ConfigPurpose::Live, async |table| {
        with_tls(table, "*.wild.test").await;
        route(table, "plain.wild.test", "/", Path::Kept, &[test_application::start("plain").await]);
        with_tls(table, "own.pass.test").await;
        route(table, "plain.pass.test", "/", Path::Kept, &[test_application::start("plain").await]);
        table.passthrough.insert(host("*.pass.test"), backend(&[tls_application::start("b.pass.test").await]));
    });
    let Some(site) = site.await else { return };
    assert_eq!(site.app("b.wild.test", &[]).await, "*.wild.test");
    assert_eq!(site.app("b.pass.test", &[]).await, "peer");
    assert_eq!(site.app("own.pass.test", &[]).await, "own.pass.test");
    for plain in ["plain.wild.test", "plain.pass.test"] {
        assert_eq!(site.ask(plain, "/", &["--insecure"]).await.exit, REFUSED, "{plain}");
    }
    assert_eq!(site.ask("b.wild.test", "/", &["--header", "Host: plain.wild.test"]).await.status, 421);
}

async fn site_with_passthrough(purpose: ConfigPurpose) -> Option<TlsEngine> {
    TlsEngine::start(purpose, async |table| {
        with_tls(table, "a.test").await;
        for name in ["pass.test", "*.deep.test"] {
            let own = tls_application::start(name).await;
            table.passthrough.insert(host(name), backend(&[own]));
        }
        table.passthrough.insert(host("empty.test"), backend(&[]));
    })
    .await
}

#[tokio::test]
async fn passthrough_and_termination_share_a_port_by_server_name() {
    let Some(site) = site_with_passthrough(ConfigPurpose::Live).await else { return };
    assert_eq!(site.app("a.test", &[]).await, "a.test");
    assert_eq!(site.ask("a.test", "/", &[]).await.version, "2");
    for name in ["pass.test", "b.deep.test"] {
        let seen = site.ask(name, "/", &[]).await;
        assert_eq!(
            (seen.exit, echoed(&seen, "app"), echoed(&seen, "sni")),
            (0, "peer".to_owned(), name.to_owned()),
            "its certificate must match: {seen:?}"
        );
    }
    for other_host in ["other.test", "empty.test", "b.c.deep.test", "127.0.0.1"] {
        assert_ne!(site.ask(other_host, "/", &["--insecure"]).await.exit, 0, "{other_host}");
    }
    assert_eq!(site.ask("a.test", "/", &["--header", "Host: pass.test"]).await.status, 421);
}

#[tokio::test]
async fn termination_beside_passthrough_keeps_the_client_address() {
    let Some(site) = site_with_passthrough(ConfigPurpose::Live).await else { return };
    let seen = site.ask("a.test", "/", &["--interface", "127.0.0.9"]).await;
    assert_eq!((echoed(&seen, "x-real-ip"), echoed(&seen, "x-forwarded-for")), ("127.0.0.9".to_owned(), "127.0.0.9".to_owned()));
}

#[tokio::test]
async fn passthrough_is_added_and_removed_without_a_restart() {
    let Some(site) = site_with_passthrough(ConfigPurpose::Live).await else { return };
    // A signal that arrives before nginx waits for signals is lost: an answer shows that nginx is ready.
    assert_eq!(site.app("a.test", &[]).await, "a.test");
    let mut table = empty(site.engine.sandbox.http);
    table.https_port = Port::new(site.port).ok();
    with_tls(&mut table, "a.test").await;
    site.engine.reload(&table, ConfigPurpose::Live);
    // The removed host may still be passed through until only the new workers accept connections.
    while site.ask("pass.test", "/", &[]).await.exit == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(site.app("a.test", &[]).await, "a.test");
    assert_eq!(site.engine.error_log().lines().filter(|line| line.contains("[emerg]")).count(), 0, "{}", site.engine.error_log());
}
