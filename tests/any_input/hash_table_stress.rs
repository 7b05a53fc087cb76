//! Many names of critical lengths, which fill the engine's hash tables.

use proptest::prelude::*;

use crate::hash_collisions::lookalike;
use crate::label_generator::{HOST_LENGTHS, host_of_length};
use crate::swarm_generator::GeneratedService;

/// Many services, most of them plain, with hosts of one length, to crowd a table.
pub fn crowds() -> impl Strategy<Value = Vec<GeneratedService>> {
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

/// Services of several teams that ask for hosts with the same nginx hash, up to and beyond the number they may have.
#[allow(dead_code, reason = "any_input.rs draws none")]
pub fn lookalikes() -> impl Strategy<Value = Vec<GeneratedService>> {
    (prop::sample::select(vec![40_usize, 120, 240]), 1_usize..20).prop_map(|(length, teams)| {
        let service = |team: usize| {
            let hosts: Vec<String> = (0..300).map(|number| lookalike(team * 300 + number, length)).collect();
            let labels = [("com.docker.lb.hosts", hosts.join(",")), ("com.docker.lb.port", "80".to_owned())];
            let labels = labels.into_iter().chain([("com.docker.lb.network", "net".to_owned())]);
            let stack = ("com.docker.stack.namespace", format!("team-{team}"));
            (labels.chain([stack]).map(|(name, value)| (name.to_owned(), value)).collect(), 1, false)
        };
        (0..teams).map(service).collect()
    })
}
