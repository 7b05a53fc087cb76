//! gixy, a linter for mistakes in nginx configurations that open doors, finds nothing in the golden configurations. What it
//! finds wrongly is excluded by name, with the reason. Needs gixy (`make setup`); without it this says so loudly.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its subject has failed")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What is found and is no mistake: the case's folder (none: any), the check, words of its reason, and why.
const EXCLUDED: &[(&str, &str, &str, &str)] = &[
    (
        "",
        "proxy_pass_normalized",
        "",
        "a path that is cut off (context_root_rewrite) is cut off the path by which the route was chosen, with dots resolved and escapes \
         read; taking the path as the client wrote it would pass /app/../admin on as it is",
    ),
    ("", "weak_ssl_tls", "unresolved selectors: ECDHE+CHACHA20", "gixy does not know this selector; it stands for two good suites"),
    ("engine-settings", "weak_ssl_tls", "ssl_prefer_server_ciphers is on", "the case's administrator has a list of ciphers with an order"),
    ("engine-settings", "version_disclosure", "server_tokens", "the case's administrator wants it"),
];

fn is_excluded(finding: &Value) -> bool {
    let holds = |field: &str, part: &str| finding[field].as_str().is_some_and(|text| text.contains(part));
    EXCLUDED.iter().any(|(case, check, reason, _)| holds("path", case) && holds("plugin", check) && holds("reason", reason))
}

/// Fewer configurations than this were not found where they should be.
const CONFIGS_MIN: usize = 40;

fn gixy() -> Option<PathBuf> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/gixy");
    if place.join("gixy").is_dir() {
        return Some(place);
    }
    let _ = writeln!(std::io::stderr(), "\n!!! SKIPPED: no gixy to look at configurations with: run `make setup`\n");
    None
}

/// What it says about some files.
fn findings(place: &Path, files: &[PathBuf]) -> Vec<Value> {
    let mut command = Command::new("python3");
    command.args(["-m", "gixy", "--format", "json"]).args(files).env("PYTHONPATH", place);
    let output = command.output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(!words.contains("Traceback") && output.status.code() != Some(2), "{words}");
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str::<Vec<Value>>(&text).unwrap_or_else(|error| vec![Value::String(format!("{error}: {text}{words}"))])
}

fn golden_configs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let cases = fs::read_dir(folder).unwrap().map(|case| case.unwrap().path()).filter(|path| path.is_dir());
    let files = cases.flat_map(|case| fs::read_dir(case).unwrap().map(|file| file.unwrap().path()));
    let mut configs: Vec<_> = files.filter(|path| path.to_string_lossy().ends_with("nginx.conf")).collect();
    configs.sort();
    configs
}

#[test]
fn nothing_is_found_in_the_golden_configurations() {
    let Some(gixy) = gixy() else { return };
    let configs = golden_configs();
    assert!(configs.len() >= CONFIGS_MIN, "{configs:?}");
    let found = findings(&gixy, &configs);
    for (case, check, reason, why) in EXCLUDED {
        let alone = |finding: &&Value| finding["plugin"] == *check && finding["reason"].as_str().is_some_and(|text| text.contains(reason));
        assert!(found.iter().any(|finding| alone(&finding)), "nothing to exclude any more: {case} {check} ({why})");
    }
    let told: Vec<_> = found
        .iter()
        .filter(|finding| !is_excluded(finding))
        .map(|finding| format!("{} {} {}", finding["path"], finding["plugin"], finding["reason"]))
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[test]
fn a_mistake_would_be_found() {
    let Some(gixy) = gixy() else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("nginx.conf");
    fs::write(&file, "http { server { location / { return 302 https://$host$uri; } } }").unwrap();
    assert!(!findings(&gixy, &[file]).is_empty(), "a header that a client can split");
}
