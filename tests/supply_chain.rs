//! Everything from other parties that the build uses is pinned by digest, everywhere.
#![expect(clippy::expect_used, reason = "a test that cannot read its file has failed")]

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("the file can be read")
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Base images of a Dockerfile without a digest. A stage of the same file needs none.
fn unpinned(dockerfile: &str) -> Vec<&str> {
    let mut stages = Vec::new();
    let mut found = Vec::new();
    for line in dockerfile.lines().map(str::trim) {
        let mut fields = line.split_whitespace();
        match fields.next().map(str::to_ascii_uppercase).as_deref() {
            Some("FROM") => {
                let fields: Vec<&str> = fields.filter(|field| !field.starts_with("--")).collect();
                let image = fields.first().copied().unwrap_or_default();
                let pinned = image.rsplit_once("@sha256:").is_some_and(|(_, digest)| is_digest(digest));
                if !pinned && !stages.contains(&image) {
                    found.push(image);
                }
                stages.extend(fields.get(2));
            }
            // `COPY` can also refer to an image.
            Some("COPY") => {
                let source = fields.find_map(|field| field.strip_prefix("--from="));
                found.extend(source.filter(|source| !stages.contains(source) && !source.contains("@sha256:")));
            }
            _ => {}
        }
    }
    found
}

#[test]
fn every_base_image_is_pinned_by_digest() {
    let dockerfile = read("Dockerfile");
    assert_eq!(unpinned(&dockerfile), [""; 0]);
    assert!(dockerfile.matches("@sha256:").count() >= 3, "three images are built from");
}

#[test]
fn an_unpinned_image_is_detected() {
    let digest = "0".repeat(64);
    let good = format!("FROM a:1@sha256:{digest} AS one\nFROM one AS two\nCOPY --from=one /a /b\n");
    assert_eq!(unpinned(&good), [""; 0]);
    for (bad, image) in [
        ("FROM a:1\n", "a:1"),
        ("from a:1 as x\n", "a:1"),
        ("FROM --platform=linux/amd64 a:1 AS x\n", "a:1"),
        ("FROM a@sha256:12 AS x\n", "a@sha256:12"),
        ("FROM ${IMAGE}\n", "${IMAGE}"),
        ("COPY --from=b:2 /a /b\n", "b:2"),
    ] {
        assert_eq!(unpinned(bad), [image], "{bad:?}");
    }
}

#[test]
fn every_pypi_file_is_pinned_by_digest() {
    for name in ["nginx", "crossplane", "gixy"] {
        let text = read(&format!("scripts/requirements/{name}.txt")).replace("\\\n", " ");
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).collect();
        assert!(!lines.is_empty(), "{name} requires nothing");
        for line in lines {
            let mut fields = line.split_whitespace();
            assert!(fields.next().is_some_and(|requirement| requirement.contains("==")), "{name}: {line}");
            let digests: Vec<&str> = fields.collect();
            let hashed = |field: &&str| field.strip_prefix("--hash=sha256:").is_some_and(is_digest);
            assert!(!digests.is_empty() && digests.iter().all(hashed), "{name}: {line}");
        }
    }
    let setup = read("scripts/setup");
    let installs: Vec<&str> = setup.lines().filter(|line| line.contains("pip install") && !line.contains("loud")).collect();
    assert_eq!(installs.len(), 1, "pip must be used in exactly one line: {installs:?}");
    assert!(installs[0].contains("--require-hashes"), "{installs:?}");
}

#[test]
fn tools_from_crates_io_are_pinned_by_version() {
    let setup = read("scripts/setup");
    let calls: Vec<&str> = setup.lines().filter(|line| line.contains("install_cargo_tool cargo-")).collect();
    assert!(calls.len() >= 2);
    for call in calls {
        let version = call.split("install_cargo_tool ").nth(1).and_then(|rest| rest.split_whitespace().nth(1)).unwrap_or_default();
        assert_eq!(version.trim_end_matches(';').split('.').count(), 3, "{call}");
    }
}
