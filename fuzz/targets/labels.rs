//! Feeds arbitrary labels of arbitrary services to the translation. The rendered configuration contains only known directives
//! at known places and means exactly what the route table says. This target is fast because it runs no engine;
//! `tests/any_input.rs` checks the same with nginx and a second parser.
//!
//! The input is text: a spec followed by services, separated by `---` lines. A service consists of `label=value` lines, in
//! which `\n`, `\r`, `\0` and `\\` stand for characters that a line cannot contain. If the spec is invalid, a plain one is
//! used.

#![no_main]

#[path = "../../tests/any_input/config_semantics.rs"]
mod config_semantics;
#[path = "../../tests/any_input/directive_contexts.rs"]
mod directive_contexts;
#[path = "../../tests/any_input/expected_response.rs"]
mod expected_response;
#[path = "../../tests/golden/compact_swarm.rs"]
#[allow(dead_code, reason = "shared with tests that read files")]
mod golden_compact;
#[path = "../../tests/any_input/nginx_hash_tables.rs"]
mod nginx_hash_tables;
#[path = "nginx_parser.rs"]
mod parser;
#[path = "../../tests/any_input/swarm_generator.rs"]
mod swarm_generator;

/// The marker in label values; the seeds contain it.
mod label_generator {
    pub const MARK: &str = "qz1zq";
}

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use swarmgate::intent::cluster::Cluster;
use swarmgate::intent::documents::{SourceFile, read_documents};
use swarmgate::render::{ConfigPurpose, render};
use swarmgate::route::EngineSettings;
use swarmgate::translate::translate;

/// More services only make a run slower.
const SERVICES_MAX: usize = 12;

fuzz_target!(|text: &str| {
    let mut parts = text.split("\n---\n");
    let cluster = cluster(parts.next().unwrap_or_default());
    let services: Vec<swarm_generator::GeneratedService> = parts.take(SERVICES_MAX).map(service).collect();
    let table = translate(&cluster, &swarm_generator::swarm(&services)).table;
    for purpose in [ConfigPurpose::Live, ConfigPurpose::Boot, ConfigPurpose::Stock] {
        let bundle = render(&table, purpose);
        let config = parser::parse(&bundle.files);
        directive_contexts::check(&config);
        nginx_hash_tables::check(&config);
        config_semantics::check(&config, &table, purpose);
    }
});

/// The first valid cluster of the spec, with the settings and ports of the plain one, because raw lines may contain anything.
fn cluster(spec: &str) -> Cluster {
    let plain = swarm_generator::cluster(80, Some(443));
    let declaration = read_documents(&[SourceFile::new("spec.yaml", spec)]);
    let mut cluster = declaration.valid().next().cloned().unwrap_or_else(|| plain.clone());
    cluster.settings = EngineSettings::default();
    cluster.proxy.publish = plain.proxy.publish;
    cluster
}

fn service(text: &str) -> swarm_generator::GeneratedService {
    let mut labels = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, value)) = line.split_once('=') {
            labels.insert(format!("com.docker.lb.{}", unescaped(name)), unescaped(value));
        }
    }
    let length = text.len();
    (labels, u8::try_from(length % 4).unwrap_or(0), length.is_multiple_of(3))
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next() } else { None };
        out.push(match escaped {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('0') => '\0',
            Some(other) => other,
            None => c,
        });
    }
    out
}
