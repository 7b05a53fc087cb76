//! Tests whether the checks of `tests/any_input` and of the fuzz targets find the faults that they are meant to find. Each test
//! damages the renderer's configurations as a fault in the renderer would, and some of the first inputs that the grammar draws
//! must reveal it. When a fault gets past the checks, it is planted here first; then the grammar or the checks are extended
//! until they find it. Needs no engine.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot do its work has failed")]

#[path = "any_input/config_semantics.rs"]
mod config_semantics;
#[path = "any_input/directive_contexts.rs"]
mod directive_contexts;
#[path = "any_input/expected_response.rs"]
mod expected_response;
#[path = "golden/compact_swarm.rs"]
#[expect(dead_code, reason = "shared with the tests that read cases from files")]
mod golden_compact;
#[path = "any_input/hash_collisions.rs"]
mod hash_collisions;
#[path = "any_input/hash_table_stress.rs"]
mod hash_table_stress;
#[path = "any_input/label_generator.rs"]
mod label_generator;
#[path = "any_input/nginx_hash_tables.rs"]
mod nginx_hash_tables;
#[path = "../fuzz/targets/nginx_parser.rs"]
mod parser;
#[path = "any_input/swarm_generator.rs"]
mod swarm_generator;

use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use swarmgate::intent::labels::LABELS;
use swarmgate::render::{ConfigPurpose, render};
use swarmgate::route::RouteTable;
use swarmgate::translate::translate;
use swarmgate::types::HostPattern;

use parser::Directive;

/// The number of inputs within which each fault must be found: as many as `tests/any_input` tries with the engine.
const INPUTS: usize = 100;

/// A way in which the renderer could be wrong: its name, and the change that turns `config` into the wrong output.
type PlantedFault = (&'static str, fn(&mut Vec<Directive>, &RouteTable));

const FAULTS: &[PlantedFault] = &[
    ("http only considers the lengths of terminated hosts", |config, table| {
        set_bucket(block(config, "http"), longest(table.hosts.keys()));
    }),
    ("http only considers the lengths of passthrough hosts", |config, table| {
        set_bucket(block(config, "http"), longest(table.passthrough.keys()));
    }),
    ("stream only considers the lengths of terminated hosts", |config, table| {
        set_bucket(block(config, "stream"), longest(table.hosts.keys()));
    }),
    ("a host that is passed through has no server for plain HTTP", |config, table| {
        let passed = |server: &Directive| names(server).iter().any(|name| table.passthrough.keys().any(|host| host.as_str() == name));
        inner(block(config, "http")).retain(|directive| directive.name != "server" || !passed(directive));
    }),
    ("the last location of each server is lost", |config, _| {
        for server in servers(block(config, "http")) {
            let last = inner(server).iter().rposition(|directive| directive.name == "location");
            last.map(|at| inner(server).remove(at));
        }
    }),
    ("pools swap their endpoints", |config, _| {
        let mut pools: Vec<&mut Directive> = inner(block(config, "http")).iter_mut().filter(|d| d.name == "upstream").collect();
        if let [first, .., last] = pools.as_mut_slice() {
            std::mem::swap(&mut first.block, &mut last.block);
        }
    }),
    ("a wildcard is one for any number of labels", |config, _| {
        for server in servers(block(config, "http")) {
            for name in inner(server).iter_mut().filter(|d| d.name == "server_name").flat_map(|d| &mut d.args) {
                *name = name.replace("^[^.]+[.]", "^.+[.]");
            }
        }
    }),
    ("a redirect goes to its own source", |config, _| {
        for server in servers(block(config, "http")) {
            for location in inner(server).iter_mut().filter(|d| d.name == "location") {
                for answer in inner(location).iter_mut().filter(|d| d.name == "return" && d.args.len() == 2 && d.args[0] == "302") {
                    "$request_uri".clone_into(&mut answer.args[1]);
                }
            }
        }
    }),
    ("a host name appears in a log format", |config, table| {
        if let Some(host) = table.hosts.keys().next() {
            for format in inner(block(config, "http")).iter_mut().filter(|d| d.name == "log_format") {
                format.args.push(host.to_string());
            }
        }
    }),
];

#[test]
fn every_planted_fault_is_detected() {
    let inputs = inputs();
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let missed: Vec<&str> =
        FAULTS.iter().filter(|(_, plant)| !inputs.iter().any(|table| is_found(table, *plant))).map(|(name, _)| *name).collect();
    let good = inputs.iter().all(|table| !is_found(table, |_, _| {}));
    std::panic::set_hook(quiet);
    assert!(good, "a fault is found where none was planted: see tests/any_input.rs");
    assert_eq!(missed, Vec::<&str>::new(), "the fault was not found in {INPUTS} inputs");
}

/// The first inputs that the grammar draws, which are always the same.
fn inputs() -> Vec<RouteTable> {
    let names: Vec<&'static str> = LABELS.iter().map(|label| label.name).collect();
    drawn(&label_generator::services(&names), INPUTS)
}

fn drawn(services: &impl Strategy<Value = Vec<swarm_generator::GeneratedService>>, count: usize) -> Vec<RouteTable> {
    let cluster = swarm_generator::cluster(80, Some(443));
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let mut draw = || services.new_tree(&mut runner).expect("the grammar gives something").current();
    (0..count).map(|_| translate(&cluster, &swarm_generator::swarm(&draw())).table).collect()
}

fn is_found(table: &RouteTable, plant: fn(&mut Vec<Directive>, &RouteTable)) -> bool {
    [ConfigPurpose::Live, ConfigPurpose::Boot, ConfigPurpose::Stock].into_iter().any(|purpose| {
        let mut config = parser::parse(&render(table, purpose).files);
        plant(&mut config, table);
        let check = || {
            directive_contexts::check(&config);
            nginx_hash_tables::check(&config);
            config_semantics::check(&config, table, purpose);
        };
        catch_unwind(AssertUnwindSafe(check)).is_err()
    })
}

/// The block with this name, or a comment that no check reads if there is none.
fn block<'a>(config: &'a mut Vec<Directive>, name: &str) -> &'a mut Directive {
    if !config.iter().any(|directive| directive.name == name) {
        let (name, args) = ("#".to_owned(), Vec::new());
        config.push(Directive { name, args, block: None, comment: Some(String::new()) });
    }
    let at = config.iter().position(|directive| directive.name == name).unwrap_or(config.len() - 1);
    &mut config[at]
}

fn inner(directive: &mut Directive) -> &mut Vec<Directive> {
    directive.block.get_or_insert_default()
}

fn servers(block: &mut Directive) -> impl Iterator<Item = &mut Directive> {
    inner(block).iter_mut().filter(|directive| directive.name == "server")
}

fn names(server: &Directive) -> Vec<String> {
    server.all("server_name").flat_map(|names| names.args.clone()).collect()
}

fn longest<'a>(hosts: impl Iterator<Item = &'a HostPattern>) -> usize {
    hosts.map(|host| host.as_str().len()).max().unwrap_or(0)
}

/// Sets the bucket size for names of this length as the renderer computed it when the first of these faults occurred.
fn set_bucket(block: &mut Directive, longest: usize) {
    let size = (longest + 32).next_multiple_of(64).max(128);
    for directive in inner(block).iter_mut().filter(|directive| directive.name == "server_names_hash_bucket_size") {
        directive.args[0] = size.to_string();
    }
}

#[test]
fn undersized_hash_tables_are_detected() {
    let config = |bucket: usize, hosts: Vec<String>| {
        let directive = |name: &str, args: Vec<String>, block| Directive { name: name.to_owned(), args, block, comment: None };
        let listen = directive("listen", vec!["80".to_owned()], None);
        let server = directive("server", Vec::new(), Some(vec![listen, directive("server_name", hosts, None)]));
        let size = directive("server_names_hash_bucket_size", vec![bucket.to_string()], None);
        vec![directive("http", Vec::new(), Some(vec![size, server]))]
    };
    let refused = |bucket, hosts| catch_unwind(|| nginx_hash_tables::check(&config(bucket, hosts))).is_err();
    let name = |length: usize| vec!["n".repeat(length)];
    assert!(!refused(128, name(110)) && refused(128, name(111)), "an element of 120 bytes is the largest");
    let many = |count: usize| (0..count).map(|number| format!("{number:0>90}")).collect::<Vec<_>>();
    assert!(!refused(128, many(10)) && refused(128, many(600)), "there are 512 buckets");
}

#[test]
fn the_maximum_number_of_names_fits_the_hash_tables() {
    for table in drawn(&hash_table_stress::crowds(), 40) {
        nginx_hash_tables::check(&parser::parse(&render(&table, ConfigPurpose::Live).files));
    }
}

#[test]
fn names_with_equal_hashes_fit_only_into_the_enlarged_buckets() {
    let tables = drawn(&hash_table_stress::lookalikes(), 20);
    let parsed = |table| parser::parse(&render(table, ConfigPurpose::Live).files);
    for table in &tables {
        assert!(table.hosts.len() >= 16, "each team has some");
        nginx_hash_tables::check(&parsed(table));
    }
    let usual = |table| {
        let mut config = parsed(table);
        set_bucket(block(&mut config, "http"), 100);
        catch_unwind(|| nginx_hash_tables::check(&config)).is_err()
    };
    assert!(tables.iter().all(usual), "they would be refused");
}
