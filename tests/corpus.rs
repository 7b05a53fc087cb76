//! Stack files, scripts and Interlock files that other people wrote, if they are available. Each of them gives the routes that
//! its author wanted, or a finding that says why not. Contains none of their text: separate rules derive what an author wanted
//! from the labels. The corpus is next to the checkout, or where `SWARMGATE_CORPUS` points. Without it these tests are skipped
//! even where every test must run, because it cannot be installed.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot do its work has failed")]

#[path = "golden/compact_swarm.rs"]
mod compact_swarm;
#[path = "corpus/expected_routes.rs"]
mod expected_routes;
#[path = "corpus/interlock.rs"]
mod interlock;
#[path = "corpus/shell_script.rs"]
mod shell_script;
#[path = "support/skip.rs"]
#[expect(dead_code, reason = "the corpus is never required, because others hold its rights")]
mod skip;
#[path = "corpus/stack_file.rs"]
mod stack_file;

use std::fs;
use std::path::{Path, PathBuf};

use expected_routes::CorpusResult;

/// Stacks whose labels are at the wrong place, so that nothing may be published. Their comments, or Docker itself, say so.
const PUBLISH_NOTHING: [&str; 4] =
    ["clemenko-flask-22f7.yml", "conoa-misplaced-labels.yml", "kadena-devnet-ip-hash.yml", "kadena-evm-multi-ip-hash.yml"];
/// All stacks together ask for more routes than this; otherwise the tests read the wrong files.
const STACK_ROUTES_MIN: usize = 50;
/// The same minimum for scripts.
const SCRIPT_ROUTES_MIN: usize = 10;

#[test]
fn every_stack_yields_the_intended_routes_or_a_finding() {
    check("stacks", STACK_ROUTES_MIN, |name, text| vec![stack_file::read(&stack_file::name_of(name, text), text)]);
}

#[test]
fn every_script_yields_the_intended_routes_or_a_finding() {
    check("cli", SCRIPT_ROUTES_MIN, |_, text| shell_script::read(text));
}

#[test]
fn every_key_of_every_interlock_file_is_accounted_for() {
    let files = files("interlock-toml");
    let unknown_keys: Vec<_> = files.iter().flat_map(|(name, text)| interlock::unknown_keys(name, text)).collect();
    assert!(unknown_keys.is_empty(), "{}", unknown_keys.join("\n"));
}

/// Reads each file as one or more Swarms and compares the wanted routes with the actual ones.
fn check(folder: &str, routes_min: usize, read: impl Fn(&str, &str) -> Vec<serde_json::Value>) {
    let files = files(folder);
    let mut served = 0;
    let mut wrong = Vec::new();
    for (name, text) in &files {
        let outcomes: Vec<CorpusResult> = read(name, text).iter().map(expected_routes::compare).collect();
        let here: usize = outcomes.iter().map(|outcome| outcome.served).sum();
        let reported = outcomes.iter().any(|outcome| outcome.reported > 0);
        let complaints = outcomes.into_iter().flat_map(|outcome| outcome.complaints);
        wrong.extend(complaints.map(|complaint| format!("{name}: {complaint}")));
        match PUBLISH_NOTHING.contains(&name.as_str()) {
            true if here > 0 => wrong.push(format!("{name}: publishes {here} routes, but none of its labels is where labels belong")),
            false if here == 0 && !reported => wrong.push(format!("{name}: publishes no route and reports no finding")),
            _ => served += here,
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files.is_empty() || served >= routes_min, "only {served} routes of {folder} are served");
}

/// The files of one folder, sorted by name; empty if there is no corpus.
fn files(folder: &str) -> Vec<(String, String)> {
    let Some(corpus) = corpus() else { return Vec::new() };
    let entries = fs::read_dir(corpus.join(folder)).expect("the corpus has this folder");
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "the corpus has no files in {folder}");
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

#[expect(clippy::disallowed_methods, reason = "set by a person at a shell")]
fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let corpus = std::env::var("SWARMGATE_CORPUS").map_or(beside, PathBuf::from);
    if corpus.is_dir() {
        return Some(corpus);
    }
    skip::record("no corpus of other people's stacks; SWARMGATE_CORPUS may name one");
    None
}
