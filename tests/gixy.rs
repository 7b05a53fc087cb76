//! gixy, a linter for security mistakes in nginx configurations, finds nothing in the golden configurations. False positives
//! are excluded by name, with the reason. Needs gixy (`make setup`); without it these tests are skipped.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot read its subject has failed")]

#[path = "golden/cases.rs"]
mod golden_cases;
#[path = "golden/compact_swarm.rs"]
mod golden_compact;
#[path = "support/skip.rs"]
mod skip;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use golden_cases::all_cases;
use serde_json::Value;
use swarmgate::render::{ConfigPurpose, render};
use swarmgate::translate::translate;
use swarmgate::types::EngineKind;

/// Findings that are not mistakes: the case's folder (empty: any), the check, words of its reason, and the explanation.
const EXCLUDED: &[(&str, &str, &str, &str)] = &[
    (
        "",
        "proxy_pass_normalized",
        "",
        "a path that is cut off (context_root_rewrite) is cut off the path by which the route was chosen, with dots resolved and escapes \
         read; taking the path as the client wrote it would pass /app/../admin on as it is",
    ),
    ("", "weak_ssl_tls", "unresolved selectors: ECDHE+CHACHA20", "gixy does not know this selector, which selects two strong suites"),
    (
        "",
        "hsts_header",
        "",
        "that a host will never be plain HTTP again is a promise of its owner for months to come, made by the application or by a line of \
         httpOptions; without ssl_only the same host is served by plain HTTP, too",
    ),
    ("engine-settings", "weak_ssl_tls", "ssl_prefer_server_ciphers is on", "the case's administrator has a list of ciphers with an order"),
    ("engine-settings", "version_disclosure", "server_tokens", "the administrator of this case configures it"),
];

fn is_excluded(finding: &Value) -> bool {
    let holds = |field: &str, part: &str| finding[field].as_str().is_some_and(|text| text.contains(part));
    EXCLUDED.iter().any(|(case, check, reason, _)| holds("path", case) && holds("plugin", check) && holds("reason", reason))
}

/// Cases that gixy cannot parse: it misreads escapes in quotes and loses count of brackets in these (`"\\["`).
const UNREADABLE: &[&str] = &["front-forwarded"];

/// With fewer configurations, the tests are looking in the wrong place.
const CONFIGS_MIN: usize = 40;

fn gixy() -> Option<PathBuf> {
    let gixy = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/gixy");
    if gixy.join("gixy").is_dir() {
        return Some(gixy);
    }
    skip::skip("no gixy: run `make setup`");
    None
}

/// gixy's findings about some files.
fn findings(gixy: &Path, files: &[PathBuf]) -> Vec<Value> {
    let mut command = Command::new("python3");
    command.args(["-m", "gixy", "--format", "json"]).args(files).env("PYTHONPATH", gixy);
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("Traceback") && output.status.code() != Some(2), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str::<Vec<Value>>(&text).unwrap_or_else(|error| vec![Value::String(format!("{error}: {text}{errors}"))])
}

/// Writes the complete configuration of every golden case (the files in the cases' folders leave out what all have in common),
/// together with the files that it includes.
fn write_golden_configs(directory: &Path) -> Vec<PathBuf> {
    let mut configs = Vec::new();
    for case in all_cases().into_iter().filter(|case| !UNREADABLE.contains(&case.name.as_str())) {
        let snapshot = case.snapshot();
        for cluster in &case.clusters().0 {
            let table = translate(cluster, &snapshot).table;
            for purpose in [ConfigPurpose::Live, ConfigPurpose::Boot, ConfigPurpose::Stock] {
                let folder = directory.join(&case.name).join(format!("{}-{purpose:?}", cluster.name));
                fs::create_dir_all(&folder).unwrap();
                for (name, content) in render(&table, purpose).files {
                    fs::write(folder.join(name), without_possession(&content)).unwrap();
                }
                configs.push(folder.join(EngineKind::Nginx.main_file()));
            }
        }
    }
    configs
}

/// Removes possessive quantifiers, which keep a stranger's URI or header from costing time: gixy's regex parser fails on them.
/// The patterns match the same text without them.
fn without_possession(text: &str) -> String {
    ["*", "+", "?", "}"].iter().fold(text.to_owned(), |text, kind| text.replace(&format!("{kind}+"), kind))
}

#[test]
fn gixy_finds_nothing_in_the_golden_configurations() {
    let Some(gixy) = gixy() else { return };
    let directory = tempfile::tempdir().unwrap();
    let configs = write_golden_configs(directory.path());
    assert!(configs.len() >= CONFIGS_MIN, "{configs:?}");
    let found = findings(&gixy, &configs);
    for (case, check, reason, why) in EXCLUDED {
        let alone = |finding: &&Value| finding["plugin"] == *check && finding["reason"].as_str().is_some_and(|text| text.contains(reason));
        assert!(found.iter().any(|finding| alone(&finding)), "this exclusion is no longer needed: {case} {check} ({why})");
    }
    let issues: Vec<_> = found
        .iter()
        .filter(|finding| !is_excluded(finding))
        .map(|finding| format!("{} {} {}", finding["path"], finding["plugin"], finding["reason"]))
        .collect();
    assert!(issues.is_empty(), "{}", issues.join("\n"));
}

#[test]
fn gixy_detects_a_planted_mistake() {
    let Some(gixy) = gixy() else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("nginx.conf");
    fs::write(&file, "http { server { location / { return 302 https://$host$uri; } } }").unwrap();
    assert!(!findings(&gixy, &[file]).is_empty(), "a header that a client can split");
}
