//! A name server in place of Docker's own, with names and addresses that a test sets.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::PTR;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

/// The addresses of each name. A name without `tasks.` is a container's; reverse lookups of its address return that name.
pub type NameTable = Arc<Mutex<BTreeMap<String, Vec<Ipv4Addr>>>>;

/// The id of a task in Swarm's format, made from a number.
pub fn task_id(number: usize) -> String {
    format!("{number:025}")
}

/// A name server that knows the names in the map and answers that all others do not exist. Delays each answer by `time`. While
/// the map is empty, it does not answer.
pub async fn name_server(time: Duration) -> (SocketAddr, NameTable) {
    let (socket, names) = (Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()), NameTable::default());
    let (address, known) = (socket.local_addr().unwrap(), names.clone());
    tokio::spawn(async move {
        let mut query = [0; 512];
        loop {
            let (length, from) = socket.recv_from(&mut query).await.unwrap();
            if known.lock().unwrap().is_empty() {
                continue;
            }
            let answer = answer(&query[..length], &known.lock().unwrap());
            let socket = Arc::clone(&socket);
            tokio::spawn(async move {
                tokio::time::sleep(time).await;
                // The client may have gone.
                let _ = socket.send_to(&answer, from).await;
            });
        }
    });
    (address, names)
}

/// Docker's answer, with a time to live of ten minutes.
fn answer(query: &[u8], known: &BTreeMap<String, Vec<Ipv4Addr>>) -> Vec<u8> {
    let question = Message::from_vec(query).unwrap();
    let query = question.queries[0].clone();
    let records = records(&query, known);
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.add_query(query.clone());
    match records {
        Some(records) => {
            answer.add_answers(records.into_iter().map(|data| Record::from_rdata(query.name().clone(), 600, data)));
        }
        None => answer.metadata.response_code = ResponseCode::NXDomain,
    }
    answer.to_vec().unwrap()
}

fn records(query: &Query, known: &BTreeMap<String, Vec<Ipv4Addr>>) -> Option<Vec<RData>> {
    let name = query.name().to_ascii();
    match query.query_type() {
        RecordType::A => Some(known.get(name.trim_end_matches('.'))?.iter().map(|address| RData::from(IpAddr::V4(*address))).collect()),
        RecordType::AAAA => known.get(name.trim_end_matches('.')).map(|_| Vec::new()),
        _ => {
            let has = |addresses: &Vec<Ipv4Addr>| addresses.iter().any(|address| Name::from(IpAddr::V4(*address)) == *query.name());
            let (container, _) = known.iter().find(|(name, addresses)| !name.starts_with("tasks.") && has(addresses))?;
            Some(vec![RData::PTR(PTR(Name::from_ascii(format!("{container}.")).unwrap()))])
        }
    }
}
