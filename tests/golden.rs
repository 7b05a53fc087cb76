//! Golden cases: the input is a spec and a Swarm, the output is everything that follows from them. `BLESS=1 cargo test --test
//! golden` rewrites the outputs; a reviewer then reads the changes. Knows no individual output: see
//! [`golden_outputs::outputs`].

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot read its case has failed")]

#[path = "golden/cases.rs"]
mod golden_cases;
#[path = "golden/compact_swarm.rs"]
mod golden_compact;
#[path = "golden/common_text.rs"]
mod golden_elided;
#[path = "golden/fleet.rs"]
mod golden_fleet;
#[path = "golden/json.rs"]
mod golden_json;
#[path = "golden/outputs.rs"]
mod golden_outputs;

use std::fs;

use golden_cases::{GoldenCase, all_cases};
use golden_outputs::{files, outputs};

/// With fewer cases, the tests are looking in the wrong place.
const CASES_MIN: usize = 80;

#[test]
fn every_case_produces_exactly_its_outputs() {
    let cases = all_cases();
    assert!(cases.len() >= CASES_MIN, "only {} golden cases were found", cases.len());
    let bless = std::env::var_os("BLESS").is_some();
    let wrong: Vec<_> = cases.iter().flat_map(|case| if bless { write(case) } else { compare(case) }).collect();
    assert!(wrong.is_empty(), "{}\nBLESS=1 cargo test --test golden writes what is given now", wrong.join("\n"));
}

fn write(case: &GoldenCase) -> Vec<String> {
    let given = outputs(case);
    for stale in files(case).into_iter().filter(|name| !given.contains_key(name)) {
        fs::remove_file(case.folder.join(stale)).expect("a stale output can be removed");
    }
    for (name, content) in &given {
        fs::write(case.folder.join(name), content).expect("an output can be written");
    }
    Vec::new()
}

fn compare(case: &GoldenCase) -> Vec<String> {
    let given = outputs(case);
    let missing = files(case).into_iter().filter(|name| !given.contains_key(name)).map(|name| format!("{name} is not given any more"));
    let differing = given.iter().filter_map(|(name, given)| {
        let expected = fs::read_to_string(case.folder.join(name)).unwrap_or_default();
        let diff = similar::TextDiff::from_lines(expected.as_str(), given.as_str());
        (expected != *given).then(|| format!("{name} differs:\n{}", diff.unified_diff().context_radius(2)))
    });
    missing.chain(differing).map(|complaint| format!("case {}: {complaint}", case.name)).collect()
}

#[test]
fn every_case_is_deterministic() {
    for case in all_cases() {
        assert_eq!(outputs(&case), outputs(&case), "{}", case.name);
    }
}

#[test]
fn every_case_opens_with_the_promise_it_verifies() {
    for case in all_cases() {
        let text = fs::read_to_string(case.folder.join("swarm.yaml")).expect("a case has a swarm.yaml");
        let promise = text.lines().next().unwrap_or_default();
        assert!(promise.starts_with("# ") && promise.ends_with('.'), "{}: {promise}", case.name);
    }
}
