//! Peers in front of the proxy: the engine believes what a load balancer says about clients, but only from the balancer's own
//! addresses, and never passes on such claims from anyone else.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use swarmgate::render::ConfigPurpose;
use swarmgate::route::{Affinity, ClientAddress, ClientAddressSource, Redirect, RouteTable};
use swarmgate::types::{AddressRange, ContextPath, EngineLine, HostPattern, LogFormat, Port, Scheme, SiteUrl};

use super::engine::NginxProcess;
use super::ports::free_port;
use super::raw_client::{HttpResponse, raw_bytes_from, request};
use super::route_tables::{Path, empty, route};
use super::serving::serving;
use super::skip::skip;
use super::{proxy_protocol, test_application};

/// A peer that the tables of these tests trust, and below it one that they do not.
pub const FRONT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 7));
pub const UNTRUSTED: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));
pub const CLIENT: &str = "203.0.113.9";

fn ranges(texts: &[&str]) -> Vec<AddressRange> {
    texts.iter().map(|text| AddressRange::parse(text).unwrap()).collect()
}

pub fn believed(from: ClientAddressSource) -> ClientAddress {
    ClientAddress { trusted: ranges(&["127.0.0.7", "127.0.0.8", "198.51.100.0/24", "2001:db8:7::/48"]), from }
}

/// An engine with one application for the host `h`, and balancers in front.
pub async fn engine(from: Option<ClientAddressSource>, change: impl FnOnce(&mut RouteTable)) -> Option<NginxProcess> {
    serving(async |table| {
        route(table, "h", "/", Path::Kept, &[test_application::start("app").await]);
        table.settings.client_address = from.map(believed);
        table.settings.upstream_address_header = true;
        change(table);
    })
    .await
}

/// A request from a peer, with further header lines.
pub async fn ask(engine: &NginxProcess, peer: IpAddr, target: &str, headers: &[&str]) -> HttpResponse {
    ask_with(engine, peer, b"", target, headers).await
}

pub async fn ask_with(engine: &NginxProcess, peer: IpAddr, before: &[u8], target: &str, headers: &[&str]) -> HttpResponse {
    let lines: String = headers.iter().flat_map(|line| [*line, "\r\n"]).collect();
    let host = if headers.iter().any(|line| line.starts_with("Host:")) { "" } else { "Host: h\r\n" };
    let request = format!("GET {target} HTTP/1.1\r\n{host}Connection: close\r\n{lines}\r\n");
    raw_bytes_from(peer, engine.http(), &[before, request.as_bytes()].concat()).await
}

pub fn check(about: &str, answer: &HttpResponse, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(answer.echoed(name), *value, "{about}: {name}: {answer:?}");
    }
}

/// All headers from which frameworks read something about a client, as a stranger would send them.
const FORGED: &[&str] = &[
    "Forwarded: for=6.6.6.6;proto=https;host=evil.test",
    "X-Forwarded-For: 6.6.6.6",
    "X-Forwarded-For: 6.6.6.7",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: evil.test",
    "X-Forwarded-Port: 6666",
    "X-Forwarded-Server: evil.test",
    "X-Forwarded-Prefix: /evil",
    "X-Forwarded-Ssl: on",
    "X-Forwarded-Scheme: https",
    "X-Forwarded-User: root",
    "X-Forwarded-Client-Cert: evil",
    "X-Real-IP: 6.6.6.6",
    "X-Original-URL: /evil",
    "X-Rewrite-URL: /evil",
    "Proxy: evil.test:1",
    "X_Forwarded_For: 6.6.6.6",
    "X_Real-IP: 6.6.6.6",
];

fn check_nothing_forged(about: &str, answer: &HttpResponse) {
    assert_eq!(answer.status, 200, "{about}: {answer:?}");
    for word in ["6.6.6", "evil", "6666", "root"] {
        assert!(!answer.body.contains(word), "{about}: {word} in {}", answer.body);
    }
    for name in ["x-forwarded-ssl", "x-forwarded-scheme", "forwarded-for", "proxy", "x-forwarded-user", "x_forwarded_for", "x_real-ip"] {
        assert_eq!(answer.echoed(name), "", "{about}: {name}: {answer:?}");
    }
    check(about, answer, &[("x-real-ip", "127.0.0.9"), ("x-forwarded-for", "127.0.0.9"), ("x-forwarded-proto", "http")]);
    check(about, answer, &[("x-forwarded-host", "h"), ("x-forwarded-port", "80"), ("x-forwarded-prefix", "")]);
}

#[tokio::test]
async fn forged_client_headers_never_reach_an_application() {
    use ClientAddressSource::{Forwarded, ProxyProtocol, XForwardedFor};
    for from in [None, Some(XForwardedFor), Some(Forwarded), Some(ProxyProtocol)] {
        for underscores in [false, true] {
            let engine = engine(from, |table| table.settings.nginx.underscores_in_headers = underscores).await;
            let Some(engine) = engine else { return };
            let before = proxy_protocol::v1(CLIENT, 5555, "192.0.2.1", 443);
            let before = if from == Some(ProxyProtocol) { before } else { Vec::new() };
            let answer = ask_with(&engine, UNTRUSTED, &before, "/", FORGED).await;
            check_nothing_forged(&format!("{from:?}, underscores {underscores}"), &answer);
        }
    }
}

#[tokio::test]
async fn forged_headers_with_underscores_enabled_by_a_raw_line_are_dropped() {
    let line = EngineLine::parse("underscores_in_headers on;").unwrap();
    let Some(engine) = engine(None, |table| table.settings.nginx.http_options = vec![line]).await else { return };
    let answer = ask(&engine, UNTRUSTED, "/", FORGED).await;
    check_nothing_forged("raw line", &answer);
    assert_eq!(ask(&engine, UNTRUSTED, "/", &["Other_Name: kept"]).await.echoed("other_name"), "kept");
}

/// The engine cannot tell the two spellings apart, and a peer in front may know only one of them.
#[tokio::test]
async fn with_underscores_allowed_ambiguous_forwarding_headers_are_not_trusted() {
    for (from, echoed, real) in [
        (ClientAddressSource::XForwardedFor, "X-Forwarded-For: 203.0.113.9", CLIENT),
        (ClientAddressSource::Forwarded, "Forwarded: for=203.0.113.9;proto=https", CLIENT),
    ] {
        let Some(engine) = engine(Some(from), |table| table.settings.nginx.underscores_in_headers = true).await else { return };
        let sent = [echoed, "X-Forwarded-Proto: https", "X_Forwarded_Host: evil.test", "X_Forwarded-Port: 6666", "X_Forwarded_User: root"];
        let answer = ask(&engine, FRONT, "/", &sent).await;
        check("one scheme", &answer, &[("x-real-ip", real), ("x-forwarded-proto", "https"), ("x-forwarded-host", "h")]);
        check("unattributable headers", &answer, &[("x-forwarded-port", "443"), ("x-forwarded-user", ""), ("x_forwarded_user", "")]);
        if from == ClientAddressSource::XForwardedFor {
            let both = ["X-Forwarded-Proto: http", "X_Forwarded_Proto: https", "X-Forwarded-User: anna"];
            check("two schemes", &ask(&engine, FRONT, "/", &both).await, &[("x-forwarded-proto", "http"), ("x-forwarded-user", "")]);
        }
    }
}

#[tokio::test]
async fn x_forwarded_headers_of_a_trusted_peer_describe_the_client() {
    let Some(engine) = engine(Some(ClientAddressSource::XForwardedFor), |_| ()).await else { return };
    for (about, headers, real, chain, rest) in [
        ("nothing", &[][..], "127.0.0.7", "127.0.0.7", ("http", "h", "80")),
        ("one", &["X-Forwarded-For: 203.0.113.9"], CLIENT, "203.0.113.9, 127.0.0.7", ("http", "h", "80")),
        (
            "all",
            &["X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: HTTPS", "X-Forwarded-Host: www.test:444", "X-Forwarded-Port: 8443"],
            CLIENT,
            "203.0.113.9, 127.0.0.7",
            ("https", "www.test:444", "8443"),
        ),
        ("port by scheme", &["X-Forwarded-Proto: https"], "127.0.0.7", "127.0.0.7", ("https", "h", "443")),
        ("port by host", &["X-Forwarded-Host: www.test:444"], "127.0.0.7", "127.0.0.7", ("http", "www.test:444", "444")),
        ("strangers before", &["X-Forwarded-For: 6.6.6.6, 203.0.113.9"], CLIENT, "203.0.113.9, 127.0.0.7", ("http", "h", "80")),
        (
            "a second line",
            &["X-Forwarded-For: 6.6.6.6, 203.0.113.9", "X-Forwarded-For: 198.51.100.3,127.0.0.8"],
            CLIENT,
            "203.0.113.9, 198.51.100.3,127.0.0.8, 127.0.0.7",
            ("http", "h", "80"),
        ),
        ("a port", &["X-Forwarded-For: 6.6.6.6, 203.0.113.9:4711"], CLIENT, "203.0.113.9, 127.0.0.7", ("http", "h", "80")),
        ("six", &["X-Forwarded-For: 6::6, 2001:db8::9"], "2001:db8::9", "2001:db8::9, 127.0.0.7", ("http", "h", "80")),
        (
            "six in brackets behind a believed six",
            &["X-Forwarded-For: 6::6, [2001:DB8::9]:47, [2001:db8:7::1]"],
            "2001:db8::9",
            "2001:db8::9, 127.0.0.7",
            ("http", "h", "80"),
        ),
        ("garbage", &["X-Forwarded-For: 6.6.6.6, unknown"], "127.0.0.7", "127.0.0.7", ("http", "h", "80")),
        (
            "garbage behind a hop",
            &["X-Forwarded-For: 6.6.6.6, <evil>, 198.51.100.3"],
            "198.51.100.3",
            "198.51.100.3, 127.0.0.7",
            ("http", "h", "80"),
        ),
        (
            "lists",
            &["X-Forwarded-Proto: https, http", "X-Forwarded-Host: evil.test, www.test", "X-Forwarded-Port: 6, 81"],
            "127.0.0.7",
            "127.0.0.7",
            ("http", "www.test", "81"),
        ),
        (
            "invalid values",
            &["X-Forwarded-Proto: gopher", "X-Forwarded-Host: a b;\"", "X-Forwarded-Port: 0x1"],
            "127.0.0.7",
            "127.0.0.7",
            ("http", "h", "80"),
        ),
        ("no ports", &["X-Forwarded-Host: www.test:65536", "X-Forwarded-Port: 99999"], "127.0.0.7", "127.0.0.7", ("http", "h", "80")),
    ] {
        let answer = ask(&engine, FRONT, "/", headers).await;
        let (scheme, host, port) = rest;
        check(about, &answer, &[("x-real-ip", real), ("x-forwarded-for", chain), ("x-forwarded-proto", scheme)]);
        check(about, &answer, &[("x-forwarded-host", host), ("x-forwarded-port", port), ("host", "h")]);
    }
    let found_out = ["X-Forwarded-User: anna", "X-Forwarded-Groups: a,b", "Forwarded: for=6.6.6.6", "X-Forwarded-Ssl: on"];
    let answer = ask(&engine, FRONT, "/", &found_out).await;
    check("identity from the peer", &answer, &[("x-forwarded-user", "anna"), ("x-forwarded-groups", "a,b")]);
    check("untrusted headers", &answer, &[("forwarded", ""), ("x-forwarded-ssl", "")]);
}

#[tokio::test]
async fn the_proxy_protocol_is_trusted_only_from_trusted_peers() {
    let Some(engine) = engine(Some(ClientAddressSource::ProxyProtocol), |_| ()).await else { return };
    let v1 = |port| proxy_protocol::v1(CLIENT, 5555, "192.0.2.1", port);
    let v2 = |port, tls| proxy_protocol::v2(CLIENT, 5555, "192.0.2.1", port, tls);
    let six = |port| proxy_protocol::v2("2001:db8::9", 5555, "2001:db8::1", port, false);
    for (about, before, real, scheme, port) in [
        ("version 1", v1(80), CLIENT, "http", "80"),
        ("version 1, 443", v1(443), CLIENT, "https", "443"),
        ("version 1, six", proxy_protocol::v1("2001:db8::9", 1, "2001:db8::1", 8080), "2001:db8::9", "http", "8080"),
        ("version 2", v2(8080, false), CLIENT, "http", "8080"),
        ("version 2, TLS", v2(8443, true), CLIENT, "https", "8443"),
        ("version 2, six", six(80), "2001:db8::9", "http", "80"),
        ("version 2 of the balancer itself", proxy_protocol::v2_local(), "127.0.0.7", "http", "80"),
        ("version 1 of the balancer itself", b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.7", "http", "80"),
    ] {
        let answer = ask_with(&engine, FRONT, &before, "/", &["X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https"]).await;
        check(about, &answer, &[("x-real-ip", real), ("x-forwarded-for", real), ("x-forwarded-proto", scheme), ("x-forwarded-port", port)]);
        let answer = ask_with(&engine, UNTRUSTED, &before, "/", &[]).await;
        check(about, &answer, &[("x-real-ip", "127.0.0.9"), ("x-forwarded-proto", "http"), ("x-forwarded-port", "80")]);
    }
    assert_eq!(ask(&engine, FRONT, "/", &[]).await.status, 0, "a request without the protocol was served");
    assert_eq!(request(engine.status(), "GET", "h", "/ready", &[]).await.status, 200, "the agent's health check must need no protocol");
}

/// A host with TLS only, one with redirects, and a default backend with TLS only.
pub fn secured(table: &mut RouteTable) {
    table.settings.client_address = Some(believed(ClientAddressSource::XForwardedFor));
    (table.https_port, table.https_published) = (Port::new(free_port()).ok(), Port::new(8443).ok());
    let app = table.hosts[&HostPattern::parse("h").unwrap()].paths[&ContextPath::root()].clone();
    let host = |table: &mut RouteTable, name: &str, path: &str, https_only: bool| {
        let route = swarmgate::route::PathRoute { https_only, ..app.clone() };
        table.hosts.entry(HostPattern::parse(name).unwrap()).or_default().paths.insert(ContextPath::parse(path).unwrap(), route);
    };
    host(table, "secure.test", "/", true);
    host(table, "mixed.test", "/closed", true);
    host(table, "mixed.test", "/open", false);
    host(table, "moved.test", "/", false);
    let redirect = |scheme, path: &str, target: &str| Redirect {
        scheme,
        path: ContextPath::parse(path).unwrap(),
        target: SiteUrl::parse(target).unwrap(),
    };
    let moved = table.hosts.get_mut(&HostPattern::parse("moved.test").unwrap()).unwrap();
    moved.redirects = vec![redirect(Scheme::Http, "/", "https://moved.test"), redirect(Scheme::Https, "/old", "https://new.test")];
    let backend = app.backend.clone();
    table.default_backend = Some(swarmgate::route::DefaultBackend { backend, tls: None, https_only: true });
}

#[tokio::test]
async fn redirects_respect_tls_termination_at_a_trusted_peer() {
    let Some(engine) = engine(None, secured).await else { return };
    let redirect_of = async |peer, method: &str, host: &str, target: &str, scheme: &str| {
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\nX-Forwarded-Proto: {scheme}\r\n\r\n"
        );
        let answer = raw_bytes_from(peer, engine.http(), request.as_bytes()).await;
        (answer.status, answer.header("location").to_owned())
    };
    for (host, target, plain, secure) in [
        ("secure.test", "/x?y", (301, "https://secure.test/x?y"), (200, "")),
        ("secure.test:80", "/", (301, "https://secure.test/"), (200, "")),
        ("mixed.test", "/closed", (301, "https://mixed.test/closed"), (200, "")),
        ("mixed.test", "/closed/x", (301, "https://mixed.test/closed/x"), (200, "")),
        ("mixed.test", "/open", (200, ""), (200, "")),
        ("mixed.test", "/", (404, ""), (404, "")),
        ("moved.test", "/x", (302, "https://moved.test/x"), (200, "")),
        ("moved.test", "/old/x", (302, "https://moved.test/old/x"), (302, "https://new.test/old/x")),
        ("unknown.test", "/", (301, "https://unknown.test/"), (200, "")),
    ] {
        for (peer, scheme, expected) in [(FRONT, "http", plain), (FRONT, "https", secure), (UNTRUSTED, "https", plain)] {
            let redirect_of = redirect_of(peer, "GET", host, target, scheme).await;
            assert_eq!((redirect_of.0, redirect_of.1.as_str()), expected, "{host}{target}, {scheme} from {peer}");
        }
    }
    assert_eq!(redirect_of(FRONT, "POST", "secure.test", "/", "http").await, (308, "https://secure.test/".to_owned()));
    assert_eq!(redirect_of(FRONT, "POST", "secure.test", "/", "https").await.0, 200);
    // Only peers that connect to our own port are redirected to our own port.
    assert_eq!(redirect_of(UNTRUSTED, "GET", "secure.test:8080", "/", "http").await, (301, "https://secure.test:8443/".to_owned()));
    assert_eq!(redirect_of(FRONT, "GET", "secure.test:8080", "/", "http").await, (301, "https://secure.test/".to_owned()));
    let renamed = ["Host: secure.test", "X-Forwarded-Host: www.test:8080"];
    assert_eq!(ask(&engine, FRONT, "/", &renamed).await.header("location"), "https://www.test/");
    assert_eq!(ask(&engine, UNTRUSTED, "/", &renamed).await.header("location"), "https://secure.test/");
}

#[tokio::test]
async fn ip_hash_and_logs_use_the_client_address() {
    let format = "$remote_addr $scheme $status";
    for (from, header) in
        [(ClientAddressSource::XForwardedFor, "X-Forwarded-For: "), (ClientAddressSource::Forwarded, "Forwarded: proto=https;for=")]
    {
        let engine = serving(async |table| {
            let mut applications = Vec::new();
            for name in ["a", "b", "c", "d", "e", "f"] {
                applications.push(test_application::start(name).await);
            }
            route(table, "h", "/", Path::Kept, &applications);
            table.backends_mut().for_each(|backend| backend.affinity = Affinity::ClientAddress);
            table.settings.client_address = Some(believed(from));
            table.settings.nginx.main_log_format = LogFormat::parse(format).ok();
        });
        let Some(engine) = engine.await else { return };
        let mut by_client = std::collections::BTreeMap::new();
        for round in 0..2 {
            for client in 1..30 {
                let app = ask(&engine, FRONT, "/", &[&format!("{header}203.0.113.{client}")]).await.echoed("app").to_owned();
                let known = by_client.entry(client).or_insert_with(|| app.clone());
                assert_eq!((round, &*known), (round, &app), "client {client} moved");
            }
        }
        let chosen: std::collections::BTreeSet<_> = by_client.values().collect();
        assert!(chosen.len() > 2, "clients behind one balancer are not distinguished: {chosen:?}");
        let scheme = if from == ClientAddressSource::Forwarded { "https" } else { "http" };
        assert_eq!(engine.log(58).await[0], format!("203.0.113.1 {scheme} 200"));
    }
}

#[tokio::test]
async fn raw_lines_replace_generated_headers_of_the_same_name() {
    let lines = ["proxy_set_header x-forwarded-proto https;", "add_header X-Request-ID mine;", "proxy_set_header X-Own 1;"];
    let lines = lines.map(|line| EngineLine::parse(line).unwrap()).to_vec();
    let Some(engine) = engine(None, |table| table.settings.nginx.http_options = lines).await else { return };
    let answer = ask(&engine, UNTRUSTED, "/", &[]).await;
    let sent: Vec<&str> = answer.body.lines().filter(|line| line.starts_with("x-forwarded-proto")).collect();
    assert_eq!(
        (sent, answer.header("x-request-id"), answer.echoed("x-own")),
        (vec!["x-forwarded-proto: https"], "mine", "1"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_whole_address_family_can_be_trusted() {
    let everybody = Some(ClientAddress { trusted: ranges(&["0.0.0.0/0", "::/0"]), from: ClientAddressSource::XForwardedFor });
    let Some(engine) = engine(None, |table| table.settings.client_address = everybody).await else { return };
    let answer = ask(&engine, UNTRUSTED, "/", &["X-Forwarded-For: 203.0.113.9, 203.0.113.10"]).await;
    assert_eq!(answer.echoed("x-real-ip"), CLIENT, "{answer:?}");
}

#[tokio::test]
async fn ipv6_clients_are_served_and_forwarded_by_address() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        skip("no IPv6 on the loopback");
        return;
    }
    let Some(engine) = engine(None, |_| ()).await else { return };
    let at = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, engine.sandbox.http));
    let answer = request(at, "GET", "h", "/", &["X-Forwarded-For: 6::6"]).await;
    check("by IPv6", &answer, &[("x-real-ip", "::1"), ("x-forwarded-for", "::1")]);
}

#[test]
fn stock_images_listen_on_ipv6_only_when_configured() {
    let mut table = empty(80);
    for (ipv6, purpose, listens) in [
        (None, ConfigPurpose::Live, true),
        (None, ConfigPurpose::Boot, true),
        (None, ConfigPurpose::Stock, false),
        (Some(true), ConfigPurpose::Stock, true),
        (Some(false), ConfigPurpose::Live, false),
    ] {
        table.settings.ipv6 = ipv6;
        let text = swarmgate::render::render(&table, purpose).files[table.engine.main_file()].clone();
        assert_eq!(text.contains("listen [::]:80"), listens, "{ipv6:?} {purpose:?}");
    }
}

#[tokio::test]
async fn applications_are_reached_at_ipv6_addresses() {
    let six = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 0));
    if std::net::TcpListener::bind(six).is_err() {
        skip("no IPv6 on the loopback");
        return;
    }
    let engine = serving(async |table| route(table, "h", "/", Path::Kept, &[test_application::start_at(six, "six").await]));
    let Some(engine) = engine.await else { return };
    assert_eq!(ask(&engine, UNTRUSTED, "/", &[]).await.echoed("app"), "six");
}
