//! Which endpoint answers a client: spread, kept by a cookie or an address, shared by weights.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::engine::NginxProcess;
use super::raw_client::{get, request};
use super::route_tables::{Path, empty, route, service};
use super::serving::serving;
use super::test_application;
use swarmgate::render::ConfigPurpose;
use swarmgate::route::{Affinity, Backend, Endpoint, PathRoute, RouteTable};
use swarmgate::types::{ContextPath, CookieName, HostPattern, Port};

const NAMES: [&str; 4] = ["one", "two", "three", "four"];

async fn applications(count: usize) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for name in NAMES.into_iter().take(count) {
        addresses.push(test_application::start(name).await);
    }
    addresses
}

fn sticky(table: &mut RouteTable, affinity: &Affinity, addresses: &[SocketAddr]) {
    route(table, "h", "/", Path::Kept, addresses);
    table.backends_mut().for_each(|backend| backend.affinity = affinity.clone());
}

/// The name of the application that answers this client.
async fn met(engine: &NginxProcess, cookie: Option<&str>) -> String {
    let header = cookie.map(|value| format!("Cookie: other=1; app-session.id={value}; last=2"));
    let answer = request(engine.http(), "GET", "h", "/", header.as_deref().as_slice()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.echoed("app").to_owned()
}

#[tokio::test]
async fn a_cookie_pins_its_client_and_clients_without_one_are_spread() {
    let addresses = applications(4).await;
    // A cookie name that cannot be the name of a variable in the engine.
    let cookie = Affinity::Cookie(CookieName::parse("app-session.id").unwrap());
    let engine = serving(async |table| sticky(table, &cookie, &addresses));
    let Some(engine) = engine.await else { return };
    let mut homes = BTreeMap::new();
    for client in 0..40 {
        let cookie = format!("client-{client}");
        let home = met(&engine, Some(&cookie)).await;
        assert_eq!(met(&engine, Some(&cookie)).await, home, "the client moved to another endpoint");
        homes.insert(cookie, home);
    }
    let used: std::collections::BTreeSet<_> = homes.values().collect();
    assert_eq!(used.len(), 4, "clients with cookies are not spread: {homes:?}");
    let mut without = std::collections::BTreeSet::new();
    for _ in 0..60 {
        without.insert(met(&engine, None).await);
    }
    assert_eq!(without.len(), 4, "clients without a cookie are not spread");
    check_that_scaling_moves_few(&engine, &addresses, &homes).await;
}

/// When the fourth endpoint is removed, only its own clients move.
async fn check_that_scaling_moves_few(engine: &NginxProcess, addresses: &[SocketAddr], homes: &BTreeMap<String, String>) {
    let mut table = empty(engine.sandbox.http);
    sticky(&mut table, &Affinity::Cookie(CookieName::parse("app-session.id").unwrap()), &addresses[..3]);
    engine.reload(&table, ConfigPurpose::Live);
    // Workers from before the reload may still accept connections: wait until a client of the removed endpoint has moved.
    let (mover, _) = homes.iter().find(|(_, home)| *home == "four").expect("a client used the removed endpoint");
    while met(engine, Some(mover)).await == "four" {
        tokio::task::yield_now().await;
    }
    let mut strayed = 0;
    for (cookie, home) in homes.iter().filter(|(_, home)| *home != "four") {
        strayed += usize::from(met(engine, Some(cookie)).await != *home);
    }
    assert!(strayed <= homes.len() / 5, "{strayed} of {} clients moved although their endpoint stayed", homes.len());
}

#[tokio::test]
async fn an_address_pins_its_client() {
    let addresses = applications(4).await;
    let engine = serving(async |table| sticky(table, &Affinity::ClientAddress, &addresses));
    let Some(engine) = engine.await else { return };
    let home = met(&engine, None).await;
    for client in 0..20 {
        assert_eq!(met(&engine, Some(&format!("{client}"))).await, home);
    }
}

/// The number of `requests` that the applications of each weighted service answer.
async fn shares(services: &[(Option<u8>, usize)], requests: usize) -> Vec<usize> {
    let addresses = applications(services.iter().map(|(_, count)| count).sum()).await;
    let mut rest = addresses.iter();
    let parts = services.iter().enumerate().map(|(at, (weight, count))| {
        let endpoint =
            |address: &SocketAddr| Endpoint { address: address.ip(), port: Port::new(address.port()).unwrap(), task: None, lasting: false };
        let endpoints = rest.by_ref().take(*count).map(endpoint).collect();
        swarmgate::route::BackendService { weight: *weight, ..service(&format!("s{at}"), 80, endpoints) }
    });
    let backend = Backend::new(parts.collect());
    let engine = serving(async |table| {
        let host = table.hosts.entry(HostPattern::parse("h").unwrap()).or_default();
        host.paths.insert(ContextPath::root(), PathRoute::to(backend));
    });
    let Some(engine) = engine.await else { return Vec::new() };
    let mut counts = vec![0; addresses.len()];
    for _ in 0..requests {
        let app = get(engine.http(), "h", "/").await.echoed("app").to_owned();
        counts[NAMES.iter().position(|name| *name == app).expect("an application of this test")] += 1;
    }
    counts
}

#[tokio::test]
async fn weights_are_shares_of_requests_regardless_of_endpoint_counts() {
    // The engine distributes requests in turn by weight, so shares are exact over a whole round.
    let expected = |counts: Vec<usize>, expected: &[usize]| assert!(counts.is_empty() || counts == expected, "{counts:?}");
    expected(shares(&[(None, 3), (Some(10), 1)], 100).await, &[30, 30, 30, 10]);
    expected(shares(&[(Some(75), 1), (Some(25), 3)], 120).await, &[90, 10, 10, 10]);
    expected(shares(&[(None, 3), (Some(0), 1)], 30).await, &[10, 10, 10, 0]);
}
