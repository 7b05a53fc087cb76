//! A name server that stands in for Docker's own, with names that a test knows.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;

/// What it knows.
pub type Names = Arc<Mutex<BTreeMap<String, Ipv4Addr>>>;

/// A name server that knows what is in the map, and says of everything else that it does not exist.
pub async fn name_server() -> (SocketAddr, Names) {
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
