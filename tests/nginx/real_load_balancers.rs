//! Real load balancers in front of the engine, configured as docs/behind-a-load-balancer.md describes: HAProxy that terminates
//! TLS or passes connections through, and nginx that terminates TLS. A balancer connects from its own address, which the engine
//! trusts.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path as FilePath, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use swarmgate::render::ConfigPurpose;
use swarmgate::route::{ClientAddress, ClientAddressSource, RouteTable};
use swarmgate::types::{AddressRange, HostPattern, Port};
use tempfile::TempDir;

use super::curl::{Seen, ask};
use super::engine::{EngineSandbox, NginxProcess, nginx};
use super::ports::free_port;
use super::route_tables::{Path, backend, empty, route};
use super::tls::binding;
use super::{certificates, test_application, tls_application};

/// The address from which balancers connect, and below it that of clients.
const FRONT: &str = "127.0.0.7";
const CLIENT: &str = "127.0.0.9";
/// The maximum time that a balancer takes to start.
const START_MAX: Duration = Duration::from_secs(10);

/// The page's n-th block in this language.
fn documented(language: &str, number: usize) -> String {
    let page = fs::read_to_string(FilePath::new(env!("CARGO_MANIFEST_DIR")).join("docs/behind-a-load-balancer.md")).unwrap();
    let block = page.split(&format!("```{language}\n")).nth(number + 1).expect("the page has the block");
    block.split("```").next().unwrap().to_owned()
}

/// A balancer, which ends when the value is dropped.
struct Balancer {
    process: Child,
    plain: u16,
    tls: u16,
    directory: TempDir,
}

impl Balancer {
    /// Starts a program with a configuration from the page, with the test's ports and files.
    async fn start(program: &FilePath, text: &str, around: impl FnOnce(String, &FilePath) -> String, args: &[&str]) -> Self {
        let (directory, plain, tls) = (tempfile::tempdir().unwrap(), free_port(), free_port());
        let (certificate, key) = certificates::leaf(&["a.test".to_owned()]);
        let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        fs::write(file("site.pem"), format!("{certificate}{key}")).unwrap();
        fs::write(file("site.key"), &key).unwrap();
        let mut text = text.to_owned();
        for (documented, here) in [
            ("bind :80\n", format!("bind 127.0.0.1:{plain}\n")),
            ("bind :443", format!("bind 127.0.0.1:{tls}")),
            ("listen 80;", format!("listen 127.0.0.1:{plain};")),
            ("listen 443 ssl;", format!("listen 127.0.0.1:{tls} ssl;")),
            ("/etc/haproxy/site.pem", file("site.pem")),
            ("/etc/nginx/site.pem", file("site.pem")),
            ("/etc/nginx/site.key", file("site.key")),
        ] {
            text = text.replace(documented, &here);
        }
        fs::write(file("balancer.conf"), around(text, directory.path())).unwrap();
        let errors = fs::File::create(file("errors")).unwrap();
        let config = file("balancer.conf");
        let process =
            Command::new(program).args(args).arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn().unwrap();
        let mut balancer = Self { process, plain, tls, directory };
        balancer.wait().await;
        balancer
    }

    async fn wait(&mut self) {
        let deadline = tokio::time::Instant::now() + START_MAX;
        for port in [self.plain, self.tls] {
            while tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
                let error_log = fs::read_to_string(self.directory.path().join("errors")).unwrap();
                assert!(self.process.try_wait().unwrap().is_none() && tokio::time::Instant::now() < deadline, "{error_log}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// The response to a client of the balancer.
    async fn ask(&self, url: &str, ca: &FilePath) -> Seen {
        let port = if url.starts_with("https") { self.tls } else { self.plain };
        let more = [
            "--interface",
            CLIENT,
            "--header",
            "X-Forwarded-For: 6.6.6.6",
            "--header",
            "X-Forwarded-Proto: https",
            "--header",
            "Forwarded: for=6.6.6.6",
        ];
        ask(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), &url.replace(".test", &format!(".test:{port}")), ca, &more).await
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(self.process.id()).unwrap()),
            nix::sys::signal::Signal::SIGTERM,
        );
        let _ = self.process.wait();
    }
}

/// The engine behind a balancer, with the hosts `a.test` (TLS, `ssl_only`) and `pass.test` (passed through).
struct BalancedEngine {
    engine: NginxProcess,
    https: u16,
    ca: PathBuf,
    _directory: TempDir,
}

async fn behind(from: ClientAddressSource, https: bool) -> Option<BalancedEngine> {
    let (nginx, sandbox, port) = (nginx()?, EngineSandbox::new(), free_port());
    let mut table = empty(sandbox.http);
    route(&mut table, "a.test", "/", Path::Kept, &[test_application::start("a").await]);
    let host = |name: &str| HostPattern::parse(name).unwrap();
    table.hosts.get_mut(&host("a.test")).unwrap().paths.values_mut().for_each(|route| route.https_only = true);
    if https {
        with_tls(&mut table, port, &host("a.test"), &host("pass.test")).await;
    }
    table.settings.client_address = Some(ClientAddress { trusted: vec![AddressRange::parse(FRONT).unwrap()], from });
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    fs::write(&ca, certificates::ca()).unwrap();
    Some(BalancedEngine {
        engine: NginxProcess::start(&nginx, sandbox, &table, ConfigPurpose::Live).await,
        https: port,
        ca,
        _directory: directory,
    })
}

async fn with_tls(table: &mut RouteTable, port: u16, shown: &HostPattern, passed: &HostPattern) {
    (table.https_port, table.https_published) = (Port::new(port).ok(), Port::new(443).ok());
    table.hosts.get_mut(shown).unwrap().tls = Some(binding("atest"));
    table.passthrough.insert(passed.clone(), backend(&[tls_application::start("pass.test").await]));
}

fn echoed(seen: &Seen, name: &str) -> String {
    seen.body.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_default().to_owned()
}

/// Adapts the page's configuration: HAProxy requires timeouts, and reaches servers at our ports from the balancer's address.
fn for_haproxy(behind: &BalancedEngine, sent: &str) -> impl FnOnce(String, &FilePath) -> String {
    let (http, https, sent) = (behind.engine.http().port(), behind.https, sent.to_owned());
    move |text, _| {
        let text = text.replace("10.0.0.11:80 check", &format!("127.0.0.1:{http} source {FRONT}"));
        let text = text.replace("10.0.0.11:443 check", &format!("127.0.0.1:{https} source {FRONT}")).replace("send-proxy-v2", &sent);
        let one = text.lines().filter(|line| !line.contains("10.0.0.12")).collect::<Vec<_>>().join("\n");
        format!("defaults\n    timeout connect 5s\n    timeout client 20s\n    timeout server 20s\n\n{one}\n")
    }
}

/// HAProxy, or `None` after skipping the test.
fn haproxy() -> Option<PathBuf> {
    let paths = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy"];
    let found = paths.iter().map(PathBuf::from).find(|path| path.is_file());
    if found.is_none() {
        super::skip::skip("no haproxy: run `make setup`");
    }
    found
}

/// Checks what holds behind every balancer that terminates TLS.
async fn check_that_ends_tls(balancer: &Balancer, behind: &BalancedEngine) -> Seen {
    let secure = balancer.ask("https://a.test/x", &behind.ca).await;
    assert_eq!((secure.exit, secure.status), (0, 200), "no redirect by HTTPS: {secure:?} {}", behind.engine.error_log());
    for (name, value) in [("x-real-ip", CLIENT), ("x-forwarded-proto", "https")] {
        assert_eq!(echoed(&secure, name), value, "{name}: {secure:?}");
    }
    assert_eq!(echoed(&secure, "x-forwarded-for"), format!("{CLIENT}, {FRONT}"), "{secure:?}");
    assert_eq!(echoed(&secure, "x-forwarded-port"), balancer.tls.to_string(), "{secure:?}");
    assert_eq!(echoed(&secure, "host"), format!("a.test:{}", balancer.tls), "{secure:?}");
    assert_eq!(balancer.ask("http://a.test/x", &behind.ca).await.status, 301, "plain HTTP must be redirected, whatever the client claims");
    secure
}

#[tokio::test]
async fn haproxy_with_tls_termination_is_trusted() {
    let (Some(behind), Some(haproxy)) = (behind(ClientAddressSource::XForwardedFor, false).await, haproxy()) else { return };
    let balancer = Balancer::start(&haproxy, &documented("haproxy", 0), for_haproxy(&behind, ""), &["-db", "-f"]).await;
    assert_eq!(echoed(&check_that_ends_tls(&balancer, &behind).await, "forwarded"), "");
}

/// Starts the page's n-th nginx configuration in front of the engine.
async fn nginx_in_front(behind: &BalancedEngine, number: usize) -> Balancer {
    let http = behind.engine.http().port();
    let around = |text: String, directory: &FilePath| {
        let text = text.replace("10.0.0.11:80", &format!("127.0.0.1:{http}")).replace("    server 10.0.0.12:80;\n", "");
        let text = text.replace("proxy_http_version", &format!("proxy_bind {FRONT};\n        proxy_http_version"));
        let path = directory.display();
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temp = kinds.map(|kind| format!("{kind}_temp_path {path}/{kind};\n")).concat();
        format!("daemon off;\nerror_log stderr;\npid {path}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{temp}{text}}}\n")
    };
    Balancer::start(&nginx().unwrap(), &documented("nginx", number), around, &["-e", "stderr", "-c"]).await
}

#[tokio::test]
async fn nginx_with_tls_termination_is_trusted() {
    let Some(behind) = behind(ClientAddressSource::XForwardedFor, false).await else { return };
    let balancer = nginx_in_front(&behind, 0).await;
    assert_eq!(echoed(&check_that_ends_tls(&balancer, &behind).await, "forwarded"), "");
}

#[tokio::test]
async fn nginx_with_the_forwarded_header_is_trusted() {
    let Some(behind) = behind(ClientAddressSource::Forwarded, false).await else { return };
    let balancer = nginx_in_front(&behind, 1).await;
    let forwarded = echoed(&check_that_ends_tls(&balancer, &behind).await, "forwarded");
    let client = format!("for={CLIENT};proto=https;host=\"a.test:{}\", for={FRONT};proto=http;", balancer.tls);
    assert!(forwarded.starts_with(&client), "{forwarded}");
}

#[tokio::test]
async fn haproxy_with_the_proxy_protocol_is_trusted_for_termination_and_passthrough() {
    for sent in ["send-proxy", "send-proxy-v2"] {
        let (Some(behind), Some(haproxy)) = (behind(ClientAddressSource::ProxyProtocol, true).await, haproxy()) else { return };
        let balancer = Balancer::start(&haproxy, &documented("haproxy", 1), for_haproxy(&behind, sent), &["-db", "-f"]).await;
        let secure = balancer.ask("https://a.test/x", &behind.ca).await;
        assert_eq!((secure.exit, secure.status), (0, 200), "{sent}: {secure:?} {}", behind.engine.error_log());
        for (name, value) in [("x-real-ip", CLIENT), ("x-forwarded-for", CLIENT), ("x-forwarded-proto", "https"), ("forwarded", "")] {
            assert_eq!(echoed(&secure, name), value, "{sent}: {name}: {secure:?}");
        }
        // This also holds where another host is passed through.
        assert_eq!(echoed(&secure, "x-forwarded-port"), balancer.tls.to_string(), "{sent}: {secure:?}");
        assert_eq!(balancer.ask("http://a.test/x", &behind.ca).await.status, 301, "{sent}");
        let passed = balancer.ask("https://pass.test/", &behind.ca).await;
        assert_eq!((passed.exit, echoed(&passed, "app")), (0, "peer".to_owned()), "{sent}: {passed:?}");
        let is_of_client = |line: &String| line.starts_with(CLIENT) && line.contains("pass.test");
        while !behind.engine.log(1).await.iter().any(is_of_client) {
            tokio::task::yield_now().await;
        }
        let direct = SocketAddr::from((Ipv4Addr::LOCALHOST, behind.https));
        assert_ne!(
            ask(direct, &format!("https://a.test:{}/", behind.https), &behind.ca, &[]).await.exit,
            0,
            "{sent}: a request without the protocol was served"
        );
        // curl sends its own address in the header. It is a stranger here, whatever address it sends.
        let untrusted =
            ask(direct, &format!("https://a.test:{}/", behind.https), &behind.ca, &["--haproxy-protocol", "--interface", "127.0.0.10"])
                .await;
        assert_eq!(echoed(&untrusted, "x-real-ip"), "127.0.0.10", "{sent}: {untrusted:?}");
    }
}
