//! `explain` believes the same parts of a described request as nginx: over everything that the tests of `fronts` send, and over
//! headers composed at random from text that could begin, end or hide something in a header.

use std::net::IpAddr;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use swarmgate::explain::{EffectiveRequest, Request, RequestSource, RoutingDecision, decide};
use swarmgate::render::Materials;
use swarmgate::route::{ClientAddressSource, EngineSettings, NginxSettings, PathAction, RouteTable};
use swarmgate::types::EngineKind;

use super::forwarded_header::FORWARDED;
use super::proxy_protocol;
use super::route_tables::empty;
use super::trusted_peers::{CLIENT, FRONT, UNTRUSTED, ask, ask_with, believed, engine, secured};

const ROUNDS: usize = 400;
const PARAMETERS: &[&str] = &[
    "for=203.0.113.9",
    "for=198.51.100.3",
    "for=127.0.0.8",
    "For=\"[2001:db8::9]:47\"",
    "for=[2001:db8:7::1]",
    "for=unknown",
    "for=\"6.6.6.6\"",
    "for=_x",
    "for=\"203.0.113.9:_p\"",
    "host=\"www.test:65536\"",
    "proto=https",
    "proto=\"HTTP\"",
    "proto=gopher",
    "host=www.test",
    "host=\"a.test:8443\"",
    "x=\"a,for=6.6.6.6\"",
    "by=_x",
];
const INTRUDERS: &[&str] = &["for=", "6.6.6.6", ":80", ";", ",", " ", "\"", "\\", "=", "]", "wss", "\t", "a=b; "];
const CHAIN_PARTS: &[&str] = &[
    "203.0.113.9",
    "198.51.100.3",
    "127.0.0.8",
    "[2001:db8::9]:47",
    "2001:db8:7::1",
    "203.0.113.9:4711",
    "::ffff:198.51.100.3",
    "unknown",
    "<evil>",
    ",",
    ", ",
    " ",
    ",,",
    "[",
    "1.2.3",
];
const VALUES: &[&str] =
    &["https", "HTTP", "wss", "ws", "gopher", "www.test", "a.test:8443", "a b", ",", ", ", "[::1]:9", "[::1]:65536", "", "\"x\""];

fn settings(from: ClientAddressSource) -> EngineSettings {
    EngineSettings { client_address: Some(believed(from)), ..EngineSettings::default() }
}

fn request(peer: IpAddr, headers: &[&str], proxy: Option<&str>) -> Request {
    let lines: Vec<&str> = headers.iter().copied().filter(|line| !line.starts_with("Host:")).collect();
    let sent = RequestSource::parse(Some(&peer.to_string()), Some(&lines.join("\n")), proxy).unwrap();
    Request::parse("http://h/").unwrap().with_source(sent)
}

fn effective(from: ClientAddressSource, peer: IpAddr, headers: &[&str], proxy: Option<&str>) -> EffectiveRequest {
    EffectiveRequest::new(EngineKind::Nginx, &settings(from), &request(peer, headers, proxy))
}

/// Compares what `explain` believes with what nginx told the application.
fn check(about: &str, effective: &EffectiveRequest, answer: &super::raw_client::HttpResponse) {
    let client = effective.client.map(|client| client.to_string());
    let host = answer.echoed("x-forwarded-host");
    let observed = (answer.echoed("x-real-ip").parse::<IpAddr>().ok().map(|client| client.to_string()), answer.echoed("x-forwarded-proto"));
    assert_eq!(observed, (client, effective.scheme.as_str()), "{about}: {answer:?}");
    let port = host.rfind(':').filter(|at| !host[*at..].contains(']'));
    assert_eq!(&host[..port.unwrap_or(host.len())], effective.host, "{about}: {answer:?}");
}

/// Elements as a balancer writes them, some with one thing too many.
fn forwarded(random: &mut StdRng) -> String {
    let element = |random: &mut StdRng| {
        let parameters: Vec<&str> = (0..random.random_range(1..4)).map(|_| *PARAMETERS.choose(random).unwrap()).collect();
        parameters.join(";")
    };
    let elements: Vec<String> = (0..random.random_range(1..5)).map(|_| element(random)).collect();
    let mut header = elements.join([",", ", ", " ,"].choose(random).unwrap());
    for _ in 0..random.random_range(0..3) {
        header.insert_str(random.random_range(0..=header.len()), INTRUDERS.choose(random).unwrap());
    }
    header
}

fn by_chance(random: &mut StdRng, parts: &[&str], most: usize) -> String {
    (0..random.random_range(1..=most)).map(|_| *parts.choose(random).unwrap()).collect()
}

#[tokio::test]
async fn explain_and_nginx_agree_on_forwarded() {
    let from = ClientAddressSource::Forwarded;
    let Some(engine) = engine(Some(from), |_| ()).await else { return };
    for &(about, headers, ..) in FORWARDED {
        check(about, &effective(from, FRONT, headers, None), &ask(&engine, FRONT, "/", headers).await);
    }
    let random = &mut StdRng::seed_from_u64(7);
    let mut believed = 0;
    for _ in 0..ROUNDS {
        let line = format!("Forwarded: {}", forwarded(random));
        let effective = effective(from, FRONT, &[&line], None);
        believed += usize::from(effective.client != Some(FRONT));
        check(&line, &effective, &ask(&engine, FRONT, "/", &[&line]).await);
    }
    assert!(believed > ROUNDS / 4, "the generator produces too few trusted headers: {believed}");
    let line = "Forwarded: for=203.0.113.9;proto=https";
    check("a stranger", &effective(from, UNTRUSTED, &[line], None), &ask(&engine, UNTRUSTED, "/", &[line]).await);
}

#[tokio::test]
async fn explain_and_nginx_agree_on_x_forwarded_headers() {
    let from = ClientAddressSource::XForwardedFor;
    let Some(engine) = engine(Some(from), |_| ()).await else { return };
    let random = &mut StdRng::seed_from_u64(8);
    for _ in 0..ROUNDS {
        let chain = format!("X-Forwarded-For: {}", by_chance(random, CHAIN_PARTS, 7));
        let scheme = format!("X-Forwarded-Proto: {}", by_chance(random, VALUES, 3));
        let host = format!("X-Forwarded-Host: {}", by_chance(random, VALUES, 3));
        let lines = [chain.as_str(), &scheme, &host];
        check(&lines.join(" | "), &effective(from, FRONT, &lines, None), &ask(&engine, FRONT, "/", &lines).await);
    }
    let in_any_spelling = |table: &mut RouteTable| table.settings.nginx.underscores_in_headers = true;
    let Some(underscores) = super::trusted_peers::engine(Some(from), in_any_spelling).await else { return };
    let settings = EngineSettings { nginx: NginxSettings { underscores_in_headers: true, ..NginxSettings::default() }, ..settings(from) };
    for _ in 0..ROUNDS / 4 {
        let scheme = format!("X-Forwarded-Proto: {}", by_chance(random, VALUES, 2));
        let other = format!("X_Forwarded-Proto: {}", by_chance(random, VALUES, 1));
        let lines = ["X-Forwarded-For: 203.0.113.9", &scheme, &other, "X-Forwarded-Host: www.test"];
        let lines = &lines[..if random.random_bool(0.5) { 4 } else { 2 }];
        let effective = EffectiveRequest::new(EngineKind::Nginx, &settings, &request(FRONT, lines, None));
        check(&lines.join(" | "), &effective, &ask(&underscores, FRONT, "/", lines).await);
    }
    let lines = ["X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https"];
    check("a stranger", &effective(from, UNTRUSTED, &lines, None), &ask(&engine, UNTRUSTED, "/", &lines).await);
}

#[tokio::test]
async fn explain_and_nginx_agree_on_the_proxy_protocol() {
    let from = ClientAddressSource::ProxyProtocol;
    let Some(engine) = engine(Some(from), |_| ()).await else { return };
    for port in [80, 443, 8080] {
        let line = format!("PROXY TCP4 {CLIENT} 192.0.2.1 5555 {port}");
        for peer in [FRONT, UNTRUSTED] {
            let before = proxy_protocol::v1(CLIENT, 5555, "192.0.2.1", port);
            check(&line, &effective(from, peer, &[], Some(&line)), &ask_with(&engine, peer, &before, "/", &[]).await);
        }
    }
    let unknown = ask_with(&engine, FRONT, b"PROXY UNKNOWN\r\n", "/", &[]).await;
    check("unknown", &effective(from, FRONT, &[], Some("PROXY UNKNOWN")), &unknown);
}

/// A missing PROXY header closes the connection; an unexpected one is a bad request.
#[tokio::test]
async fn explain_and_nginx_agree_on_connections() {
    for (from, proxy, status) in [
        (Some(ClientAddressSource::ProxyProtocol), None, None),
        (Some(ClientAddressSource::XForwardedFor), Some("PROXY TCP4 203.0.113.9 192.0.2.1 5555 80"), Some(400)),
        (None, Some("PROXY TCP4 203.0.113.9 192.0.2.1 5555 80"), Some(400)),
    ] {
        let Some(engine) = engine(from, |_| ()).await else { return };
        let before = proxy.map_or_else(Vec::new, |line| format!("{line}\r\n").into_bytes());
        assert_eq!(ask_with(&engine, FRONT, &before, "/", &[]).await.status, status.unwrap_or(0), "{from:?}");
        let settings = EngineSettings { client_address: from.map(believed), ..EngineSettings::default() };
        assert_eq!(swarmgate::explain::admitted(EngineKind::Nginx, &settings, &request(FRONT, &[], proxy)), Err(status), "{from:?}");
    }
}

/// The status of the decision about a request that an application answers with 200.
fn status(table: &RouteTable, request: &Request) -> u16 {
    let scheme = EffectiveRequest::new(table.engine, &table.settings, request).scheme;
    let secure = scheme == swarmgate::types::Scheme::Https;
    match decide(table, &Materials::assumed(table), request, scheme) {
        RoutingDecision::Default(default) if default.https_only && !secure => 301,
        RoutingDecision::Default(_) => 200,
        RoutingDecision::Match(_, _, sandbox) => match sandbox.answer {
            PathAction::Application(_) => 200,
            PathAction::Https => 301,
            PathAction::Redirect(_) => 302,
            PathAction::NoPath => 404,
            PathAction::NoRoute => 503,
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn explain_and_nginx_agree_on_redirects() {
    let table = std::cell::RefCell::new(empty(1));
    let change = |of_engine: &mut RouteTable| {
        secured(of_engine);
        table.replace(of_engine.clone());
    };
    let Some(engine) = engine(None, change).await else { return };
    for host in ["secure.test", "mixed.test", "moved.test", "unknown.test"] {
        for target in ["/", "/x", "/closed", "/open", "/old/x"] {
            for (peer, word) in [(FRONT, "http"), (FRONT, "https"), (UNTRUSTED, "https")] {
                let line = format!("X-Forwarded-Proto: {word}");
                let sent = RequestSource::parse(Some(&peer.to_string()), Some(&line), None).unwrap();
                let request = Request::parse(&format!("http://{host}{target}")).unwrap().with_source(sent);
                let seen = ask(&engine, peer, target, &[&format!("Host: {host}"), &line]).await.status;
                assert_eq!(status(&table.borrow(), &request), seen, "{host}{target}, {word} from {peer}");
            }
        }
    }
}
