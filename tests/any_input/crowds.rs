//! Many names of lengths that matter: what crowds the engine's tables.

use proptest::prelude::*;

use crate::grammar::{HOST_LENGTHS, host_of_length};
use crate::worlds::Service;

/// Many services, most of them plain, with hosts of one length: what crowds a table.
pub fn crowds() -> impl Strategy<Value = Vec<Service>> {
    let service = |(hosts, passed): (Vec<String>, bool)| {
        let labels = [("hosts", hosts.join(",")), ("port", "80".to_owned()), ("network", "net".to_owned())];
        let passed = passed.then(|| ("ssl_passthrough", "true".to_owned()));
        let labels = labels.into_iter().chain(passed).map(|(name, value)| (format!("com.docker.lb.{name}"), value));
        (labels.collect(), 1, false)
    };
    let hosts = (prop::sample::select(HOST_LENGTHS), 1_usize..120)
        .prop_map(|(length, count)| (0..count).map(|number| format!("n{number}.{}", host_of_length(length.clamp(12, 240), 0))).collect());
    prop::collection::vec((hosts, prop::bool::weighted(0.3)).prop_map(service), 1..8)
}
