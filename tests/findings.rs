//! Every finding has a stable code that is the same everywhere, and a section in `docs/findings.md` that says what it means
//! and what to do.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its subject has failed")]

use std::collections::BTreeMap;

use swarmgate::report::{Finding, FindingCode, Severity, Subject};

const PAGE: &str = include_str!("../docs/findings.md");

/// All codes there are, from the schema of the type: a list by hand would be forgotten.
fn codes() -> Vec<FindingCode> {
    let schema = swarmgate::intent::schema::message_schema::<FindingCode>();
    let variants = schema["oneOf"].as_array().cloned().unwrap_or_default();
    variants.iter().map(|variant| serde_json::from_value(variant["const"].clone()).unwrap()).collect()
}

/// The sections of the page by title.
fn sections() -> BTreeMap<&'static str, &'static str> {
    let sections: Vec<_> = PAGE.split("\n### ").skip(1).map(|section| section.split_once('\n').unwrap()).collect();
    let by_title: BTreeMap<_, _> = sections.iter().copied().collect();
    assert_eq!(by_title.len(), sections.len(), "no title stands twice");
    by_title
}

#[test]
fn every_code_has_its_section_and_every_section_its_code() {
    let mut codes: Vec<_> = codes().into_iter().map(FindingCode::as_str).collect();
    assert!(codes.len() > 25, "{codes:?}");
    codes.sort();
    assert_eq!(sections().into_keys().collect::<Vec<_>>(), codes);
}

#[test]
fn every_section_says_how_bad_it_is_and_what_to_do() {
    for (title, text) in sections() {
        let severity = text.trim_start().split(['.', ' ']).next().unwrap_or_default();
        assert!(["Error", "Warning", "Info"].contains(&severity), "{title} begins with {severity:?}");
        assert!(text.contains("\nDo: "), "{title} says what to do");
    }
}

#[test]
fn a_code_is_the_same_in_json_and_text() {
    for code in codes() {
        let finding = Finding::new(Severity::Info, code, Subject::Cluster("dev".to_owned()), "message", "remedy");
        let json = serde_json::to_value(&finding).unwrap();
        assert_eq!(json["code"], code.as_str(), "status and `-o json`");
        assert!(finding.to_string().starts_with(&format!("info {} cluster dev", code.as_str())), "log and terminal: {finding}");
    }
}
