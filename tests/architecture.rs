//! Enforces the architecture: which rooms may import which, that the imports between files of a room form no cycle, which rooms
//! stay pure, where a dependency may be named, and how long files may be. Reads `src` as text. Every rule is a function that
//! must report a bad sample, so that no rule silently stops working.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its subject has failed")]

#[path = "architecture/function_length.rs"]
mod function_length;
#[path = "architecture/import_cycles.rs"]
mod import_cycles;
#[path = "architecture/rules.rs"]
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use function_length::{Function, MEDIAN_MAX, P95_MAX, functions, too_long};
use import_cycles::circles;
use rules::{LINES_MAX, ROOMS, RustSource, engine_names, fences, imports, metrics_described, opens_with_purpose, purity, size};

/// Every file of the crate.
fn sources() -> Vec<RustSource> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(files.len() > 40, "the sources are not where they were: {} files below {}", files.len(), root.display());
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
        RustSource::new(&name, &fs::read_to_string(path).unwrap())
    };
    files.iter().map(read).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Applies one rule to all files and shows every violation.
fn check(rule: impl Fn(&RustSource) -> Vec<String>) {
    let complaints: Vec<String> = sources().iter().flat_map(&rule).collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// Applies one rule to a sample that breaks it.
fn check_can_fail(rule: impl Fn(&RustSource) -> Vec<String>, name: &str, text: &str) {
    assert!(!rule(&RustSource::new(name, text)).is_empty(), "the rule does not reject {name}:\n{text}");
}

/// Applies one rule to a sample that follows it.
fn check_allows(rule: impl Fn(&RustSource) -> Vec<String>, name: &str, text: &str) {
    let complaints = rule(&RustSource::new(name, text));
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[test]
fn rooms_import_in_one_direction() {
    check(imports);
    check_can_fail(imports, "report/status.rs", "use crate::swarm::Snapshot;");
    check_can_fail(imports, "plan/diff.rs", "fn f() { crate::docker::connect() }");
    check_can_fail(imports, "api/page.rs", "use crate::{report, controller};");
    check_can_fail(imports, "newroom/mod.rs", "//! A room that the table does not know.");
    check_allows(imports, "plan/diff.rs", "use crate::fleet::Fleet;\n// crate::docker is named in a comment only\n");
    check_allows(imports, "plan/diff.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::simulator::SimSwarm;\n}\n");
}

#[test]
fn files_of_a_room_have_no_import_cycles() {
    let complaints = circles(&sources());
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    let found = |files: &[(&str, &str)]| {
        let sources: Vec<RustSource> = files.iter().map(|(name, text)| RustSource::new(name, text)).collect();
        circles(&sources).len()
    };
    let below = ("plan/order.rs", "pub fn sort() {}");
    assert_eq!(found(&[("plan/diff.rs", "use super::order::sort;"), below]), 0);
    assert_eq!(found(&[("plan/diff.rs", "use super::order::sort;"), ("plan/order.rs", "fn f() { super::diff::g() }")]), 2);
    assert_eq!(
        found(&[("plan/diff.rs", "use super::{order, x::{y, z}};\nfn f() { order::sort() }"), ("plan/order.rs", "use super::diff::Diff;")]),
        2
    );
    let three = [("plan/a.rs", "use super::b::f;"), ("plan/b.rs", "use super::c::f;"), ("plan/c.rs", "use super::{a::f, d};")];
    assert_eq!(found(&three), 3);
    let exported = ("plan/mod.rs", "mod diff;\nmod order;\npub use diff::Diff;");
    assert_eq!(found(&[exported, ("plan/diff.rs", "use super::order::sort;"), ("plan/order.rs", "use super::Diff;")]), 2);
    let parent = "mod order;\npub struct Input;\npub fn helper() {}\nfn f() { order::sort() }";
    assert_eq!(found(&[("plan/mod.rs", parent), ("plan/order.rs", "use super::Input;")]), 0, "vocabulary of the parent");
    assert_eq!(found(&[("plan/mod.rs", parent), ("plan/order.rs", "use super::helper;")]), 2);
}

#[test]
fn pure_rooms_use_no_io() {
    check(purity);
    for bad in ["use tokio::sync::Mutex;", "let t = jiff::Timestamp::now();", "std::fs::read(p)", "std::env::var(n)", "async fn f() {}"] {
        check_can_fail(purity, "plan/order.rs", bad);
    }
    check_can_fail(purity, "fleet/mod.rs", "let n: u8 = rand::random();");
    check_allows(purity, "execute/mod.rs", "async fn f() {}");
    check_allows(purity, "translate/mod.rs", "/// Unlike tokio::time this takes the time as an argument.\nfn f() {}");
}

#[test]
fn dependencies_stay_in_their_rooms() {
    check(fences);
    check_can_fail(fences, "controller/run.rs", "use bollard::Docker;");
    check_can_fail(fences, "proxy/fetch.rs", "use backoff::ExponentialBackoff;");
    check_allows(fences, "docker/client.rs", "use bollard::Docker;");
    check_allows(fences, "proxy/fetch.rs", "let backoff = retry.next();");
}

#[test]
fn only_engine_files_name_the_engine() {
    check(engine_names);
    check_can_fail(engine_names, "translate/mod.rs", "const WORDS: &str = \"nginx keeps hosts in tables\";");
    check_can_fail(engine_names, "explain/listener.rs", "match engine { EngineKind::Nginx => 400 }");
    check_can_fail(engine_names, "route/settings.rs", "match engine { EngineKind::Nginx => 400 }");
    check_allows(engine_names, "route/settings.rs", "pub nginx: NginxSettings,");
    check_allows(engine_names, "render/nginx/servers.rs", "use crate::render::nginx::writer::Writer;");
    check_allows(engine_names, "explain/listener.rs", "// nginx answers 400 here.\nlet status = codes.bad_path;");
}

#[test]
fn every_file_opens_with_its_purpose() {
    check(opens_with_purpose);
    check_can_fail(opens_with_purpose, "plan/order.rs", "use std::fmt;\n//! Late.");
    check_can_fail(opens_with_purpose, "plan/order.rs", "//!\n");
}

#[test]
fn files_stay_within_the_size_limit() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "e2e", "benches", "fuzz"] {
        let before = files.len();
        collect(&root.join(folder), &mut files);
        assert!(files.len() > before, "no files below {folder}");
    }
    let complaint = |path: &PathBuf| size(&path.strip_prefix(root).unwrap().to_string_lossy(), &fs::read_to_string(path).unwrap());
    let complaints: Vec<String> = files.iter().filter_map(complaint).collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    assert!(size("tests/a.rs", &"fn f() {}\n".repeat(LINES_MAX + 1)).is_some());
    assert_eq!(size("tests/a.rs", &"fn f() {}\n".repeat(LINES_MAX)), None);
}

#[test]
fn functions_are_short() {
    let all: Vec<Function> = sources().iter().flat_map(functions).collect();
    assert!(all.len() > 1_000, "only {} functions were found", all.len());
    let complaints = too_long(all);
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    let of = |lines: usize| Function { lines, place: String::new() };
    let hundred = |long: usize, short: usize, length: usize| [vec![of(length); long], vec![of(short); 100 - long]].concat();
    assert_eq!(too_long(hundred(5, MEDIAN_MAX, P95_MAX + 1)), [""; 0]);
    assert!(too_long(hundred(6, MEDIAN_MAX, P95_MAX + 1))[0].contains("95th percentile"));
    assert!(too_long(hundred(0, MEDIAN_MAX + 1, 0))[0].contains("median"));
}

#[test]
fn the_length_of_a_function_is_its_lines_with_code() {
    let text = "pub fn one() {}\n\n/// Doc.\npub(super) async fn several(\n    a: u8,\n) -> u8 {\n    // Why.\n\n    if a > 0 {\n        \
                1\n    } else {\n        a\n    }\n}\n\ntrait T {\n    fn declared(&self);\n    fn declared_on_lines(\n        &self,\n    );\n    \
                fn given(&self) -> u8 {\n        1\n    }\n}\n\n#[cfg(test)]\nmod tests {\n    fn test() {}\n}\n";
    let found = functions(&RustSource::new("plan/a.rs", text));
    let lengths: Vec<(&str, usize)> = found.iter().map(|function| (function.place.as_str(), function.lines)).collect();
    assert_eq!(lengths, [("src/plan/a.rs:1 one", 1), ("src/plan/a.rs:4 several", 9), ("src/plan/a.rs:21 given", 3)]);
}

#[test]
fn every_metric_is_described_in_one_place() {
    let all = sources();
    let described = all.iter().find(|source| source.name == "telemetry/metrics.rs").expect("the file of all metrics").clone();
    check(|source| metrics_described(source, &described));
    let known = RustSource::new(
        "telemetry/metrics.rs",
        "pub const A: &str = \"swarmgate_a_total\";\npub const B: &str = \"swarmgate_b\";\ndescribe_counter!(A, \"x\");",
    );
    let rule = |source: &RustSource| metrics_described(source, &known);
    check_can_fail(rule, "docker/http_call.rs", "metrics::counter!(\"swarmgate_c_total\").increment(1);");
    check_can_fail(rule, "docker/http_call.rs", "metrics::gauge!(\n    metrics::B,\n    \"x\" => 1\n).set(1.0);");
    check_allows(rule, "docker/http_call.rs", "metrics::counter!(\"swarmgate_a_total\", \"x\" => y).increment(1);");
    check_allows(rule, "controller/run.rs", "metrics::counter!(metrics::A).increment(1); metrics::gauge!(*name, labels).set(0.0);");
}

/// The rooms in the order of ARCHITECTURE.md's map. Rooms that share a row follow one another.
fn rooms_of_the_map() -> Vec<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    let map = page.split("\n## The map\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let names = map.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1));
    let rooms = names.flat_map(|cell| cell.split(',')).map(|name| name.trim().trim_matches('`').trim_end_matches('/').to_owned());
    rooms.collect()
}

#[test]
fn the_map_lists_every_room_in_import_order() {
    let rooms: Vec<&str> = ROOMS.iter().map(|(room, _)| *room).chain(["cli"]).collect();
    assert_eq!(rooms_of_the_map(), rooms, "the map of ARCHITECTURE.md and the import table of tests/architecture/rules.rs differ");
    for (at, (room, allowed)) in ROOMS.iter().enumerate() {
        let below: Vec<_> = allowed.iter().filter(|named| !rooms[..at].contains(named)).collect();
        assert!(below.is_empty(), "{room} may import {below:?}, which the map lists below it");
    }
}

/// Proptest looks for the seeds of earlier failures beside the file of a test, or in the same place of `proptest-regressions`.
/// A file that was renamed without them would silently lose them.
#[test]
fn seeds_of_earlier_failures_belong_to_a_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds = Vec::new();
    find_seeds(&root.join("tests"), "proptest-regressions", &mut seeds);
    find_seeds(&root.join("proptest-regressions"), "txt", &mut seeds);
    assert!(seeds.len() >= 3, "the seeds are not where they were: {seeds:?}");
    let source = |seeds: &Path| match seeds.strip_prefix(root.join("proptest-regressions")) {
        Ok(path) => root.join("src").join(path).with_extension("rs"),
        Err(_) => seeds.with_extension("rs"),
    };
    let orphans: Vec<_> = seeds.iter().filter(|seeds| !source(seeds).is_file()).collect();
    assert!(orphans.is_empty(), "seeds without a test: {orphans:?}");
}

fn find_seeds(folder: &Path, extension: &str, seeds: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_seeds(&path, extension, seeds);
        } else if path.extension().is_some_and(|found| found == extension) && !path.iter().any(|part| part == "golden") {
            seeds.push(path);
        }
    }
}
