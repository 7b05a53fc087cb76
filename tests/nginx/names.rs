//! Boot snapshots with a name server: names that are known, unknown, and known later.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use swarmgate::render::Purpose;
use tokio::net::UdpSocket;

use super::application;
use super::client::get;
use super::engine::{Engine, Place, nginx};
use super::tables::{empty, route_by_name};

/// For how long the engine may take to learn a name.
const LEARN_MAX: Duration = Duration::from_secs(15);

type Names = Arc<Mutex<BTreeMap<String, Ipv4Addr>>>;

/// A name server that knows what is in the map, and says of everything else that it does not exist.
async fn name_server() -> (SocketAddr, Names) {
    let (socket, names) = (UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(), Names::default());
    let (address, known) = (socket.local_addr().unwrap(), names.clone());
    tokio::spawn(async move {
        let mut query = [0; 512];
        loop {
            let (length, from) = socket.recv_from(&mut query).await.unwrap();
            let answer = answer(&query[..length], &known.lock().unwrap());
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    (address, names)
}

/// One question, at most one address (RFC 1035, section 4): as Docker answers, with a time to live of ten minutes.
fn answer(query: &[u8], known: &BTreeMap<String, Ipv4Addr>) -> Vec<u8> {
    let (mut name, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let length = usize::from(query[at]);
        name.push(String::from_utf8_lossy(&query[at + 1..=at + length]).into_owned());
        at += length + 1;
    }
    let (question, wants_ipv4) = (&query[12..at + 5], query[at + 2] == 1);
    let found = known.get(&name.join("."));
    let address = found.filter(|_| wants_ipv4);
    let flags: [u8; 2] = if found.is_some() { [0x81, 0x80] } else { [0x81, 0x83] };
    let counts = [0, 1, 0, u8::from(address.is_some()), 0, 0, 0, 0];
    let mut answer = [&query[..2], &flags, &counts, question].concat();
    if let Some(address) = address {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 0x58, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}

async fn wait_for(engine: &Engine, host: &str, expected: &str) {
    let deadline = tokio::time::Instant::now() + LEARN_MAX;
    loop {
        let answer = get(engine.http(), host, "/").await;
        if answer.said("app") == expected {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{host} is not served by {expected}: {answer:?}\n{}", engine.words());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_boot_snapshot_serves_names_as_they_become_known() {
    let Some(nginx) = nginx() else { return };
    let (resolver, names) = name_server().await;
    let (place, port) = (Place::with_resolver(resolver), application::start("app").await.port());
    let mut table = empty(place.http);
    route_by_name(&mut table, "known", "/", &[("shop_known", port)]);
    route_by_name(&mut table, "pool", "/", &[("shop_never", port), ("shop_known", port)]);
    route_by_name(&mut table, "later", "/", &[("shop_later", port)]);
    names.lock().unwrap().insert("tasks.shop_known".to_owned(), Ipv4Addr::LOCALHOST);
    let engine = Engine::start(&nginx, place, &table, Purpose::Boot).await;
    wait_for(&engine, "known", "app").await;
    for round in 0..10 {
        assert_eq!(get(engine.http(), "pool", "/").await.said("app"), "app", "{round}: {}", engine.words());
    }
    assert_eq!(get(engine.http(), "later", "/").await.status, 502);
    names.lock().unwrap().insert("tasks.shop_later".to_owned(), Ipv4Addr::LOCALHOST);
    wait_for(&engine, "later", "app").await;
}
