//! `swarmgate validate` and `swarmgate schema` as a user or a pipeline runs them: their output and exit code.

#![expect(clippy::expect_used, reason = "a test whose tools fail has failed")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn specs(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crd-like-specs").join(path)
}

fn swarmgate(args: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swarmgate"));
    let piped = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the program starts");
    // A program that refuses its arguments does not read its input.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("the program ends")
}

/// Runs `validate` and compares the exit code and part of the output.
fn check(args: &[&str], input: &str, code: i32, printed: &str) {
    let output = swarmgate(&[&["validate"], args].concat(), input);
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
    assert!(text.contains(printed), "{args:?}: {text}");
}

#[test]
fn exit_codes_distinguish_valid_invalid_and_misuse() {
    let (good, bad) = (specs("examples/dev.yaml"), specs("illegal/wrong-types.yaml"));
    let (good, bad) = (good.to_str().expect("UTF-8"), bad.to_str().expect("UTF-8"));
    check(&[good], "", 0, "1 of 1 document valid, 0 errors, 0 warnings");
    check(&[good, bad], "", 1, "wrong-types.yaml:12: error[InvalidValue] spec.proxy.replicas: found \"two\"");
    check(&[], "", 2, "Usage");
    check(&["/nowhere/x.yaml"], "", 1, "the file cannot be read");
}

#[test]
fn standard_input_is_read_as_a_file() {
    check(&["-"], &std::fs::read_to_string(specs("examples/default.yaml")).expect("a document"), 0, "1 of 1 document valid");
    check(&["-"], "kind: [", 1, "(standard input):1: error[UnreadableDocument]");
}

#[test]
fn a_folder_includes_its_documents_and_each_file_once() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, example) in [("b.yml", "dev.yaml"), ("a.yaml", "default.yaml")] {
        std::fs::copy(specs("examples").join(example), folder.path().join(name)).expect("a copy");
    }
    std::fs::write(folder.path().join("notes.txt"), "not: [a document").expect("a file");
    let (path, twice) = (folder.path().to_str().expect("UTF-8"), folder.path().join("a.yaml"));
    check(&[path, twice.to_str().expect("UTF-8")], "", 0, "2 of 2 documents valid");
}

#[test]
fn invisible_characters_are_printed_escaped() {
    let document = std::fs::read_to_string(specs("examples/default.yaml")).expect("a document");
    let document = document.replacen("spec:\n", "spec:\n  \"net\u{202e}\\e[31mworks\": 1\n", 1);
    check(&["-"], &document, 1, "net\\u{202e}\\u001b[31mworks");
}

#[test]
fn json_output_matches_the_findings_of_the_status_report() {
    for option in ["--output", "-o"] {
        let output = swarmgate(&["validate", option, "json", specs("illegal/single-equals.yaml").to_str().expect("UTF-8")], "");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!((report["sound"].as_bool(), report["valid"][0].as_str()), (Some(true), Some("a")), "{option}");
        assert_eq!(report["findings"][0]["code"], "SingleEqualsConstraint", "{option}");
    }
}

#[test]
fn every_schema_is_printed_as_json() {
    for subject in ["cluster", "status", "wire"] {
        let output = swarmgate(&["schema", subject], "");
        let schema: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert!(schema["properties"].is_object(), "{subject}");
    }
}
