//! Every finding has a stable code that is the same everywhere, and a section in `docs/findings.md` that says what it means and
//! what to do. The page's table and what follows each `Do:` are the catalogue itself: `BLESS=1 cargo test --test findings`
//! rewrites them. Everything else on the page is written by hand.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its subject has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use swarmgate::report::{CatalogRemedy, Finding, FindingCode, Severity, Subject, cases};

const PAGE: &str = include_str!("../docs/findings.md");
const PAGE_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/findings.md");
const BEGIN: &str = "<!-- generated from the catalogue: begin -->\n";
const END: &str = "<!-- generated from the catalogue: end -->\n";
/// Longer lines are wrapped.
const LINE_CHARS_MAX: usize = 130;

/// The page as the catalogue makes it.
fn regenerated() -> String {
    let (before, rest) = PAGE.split_once(BEGIN).unwrap();
    let (_, sections) = rest.split_once(END).unwrap();
    format!("{before}{BEGIN}{}{END}{}", table(), with_remedies(sections))
}

/// The catalogue as a table.
fn table() -> String {
    let mut table = "| Code | Severity | Meaning |\n|---|---|---|\n".to_owned();
    for code in FindingCode::ALL {
        let (entry, name) = (code.entry().unwrap(), code.as_str());
        let severities: Vec<_> = entry.severities.iter().copied().map(word).collect();
        let anchor = name.to_lowercase();
        writeln!(table, "| [`{name}`](#{anchor}) | {} | {} |", severities.join(" or "), entry.meaning).unwrap();
    }
    table
}

/// The sections with what the catalogue says in place of the paragraphs that begin with `Do`.
fn with_remedies(sections: &str) -> String {
    let mut unwritten: BTreeMap<_, _> = FindingCode::ALL.iter().map(|code| (code.as_str(), code)).collect();
    let (mut title, mut paragraphs) = ("", Vec::new());
    for paragraph in sections.trim_end().split("\n\n") {
        title = paragraph.strip_prefix("### ").unwrap_or(title);
        if !says_what_to_do(paragraph) {
            paragraphs.push(paragraph.to_owned());
        } else if let Some(code) = unwritten.remove(title) {
            paragraphs.push(what_to_do(code));
        }
    }
    paragraphs.join("\n\n") + "\n"
}

fn says_what_to_do(paragraph: &str) -> bool {
    paragraph.starts_with("Do:") || paragraph.starts_with("Do (")
}

/// The remedies of a code: one sentence, or a list for each severity.
fn what_to_do(code: &FindingCode) -> String {
    let remedies = code.entry().unwrap().remedies;
    if let [CatalogRemedy { when: None, text, .. }] = remedies.as_slice() {
        return wrapped(&format!("Do: {text}"), "");
    }
    let severities: BTreeSet<_> = remedies.iter().map(|remedy| remedy.severity).collect();
    let list = |severity: &Severity| {
        let title = if severities.len() == 1 { "Do:".to_owned() } else { format!("Do ({}):", word(*severity)) };
        let items = remedies.iter().filter(|remedy| remedy.severity == *severity).map(item);
        std::iter::once(title).chain(items).collect::<Vec<_>>().join("\n")
    };
    severities.iter().map(list).collect::<Vec<_>>().join("\n\n")
}

fn item(remedy: &CatalogRemedy) -> String {
    let when = remedy.when.unwrap().trim_end_matches('.');
    wrapped(&format!("- *{when}:* {}", remedy.text), "  ")
}

/// Text in lines that are not too long; `indent` is before all lines except the first.
fn wrapped(text: &str, indent: &str) -> String {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for part in text.split(' ') {
        if line.chars().count() + 1 + part.chars().count() > LINE_CHARS_MAX {
            lines.push(std::mem::replace(&mut line, indent.to_owned()));
        } else if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(part);
    }
    lines.push(line);
    lines.join("\n")
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

#[test]
fn the_page_matches_the_catalogue() {
    let page = regenerated();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(PAGE_PATH, page).unwrap();
        return;
    }
    let differs = page.lines().zip(PAGE.lines()).find(|(expected, found)| expected != found);
    assert_eq!(differs, None, "docs/findings.md differs from the catalogue (BLESS=1 rewrites its table and what to do)");
    assert_eq!(page, PAGE);
}

#[test]
fn a_sentence_that_is_changed_or_missing_on_the_page_is_restored() {
    let remedy = what_to_do(&FindingCode::KeyMismatch);
    let section = |what: &str| format!("### KeyMismatch\n\nError.\n\n{what}\n\n### Other\n\nDo: anything.\n");
    for changed in ["Do: something else.", "Do (error):\n- *When:* Something.\n\nDo (warning):\n- *When:* Something."] {
        assert_eq!(with_remedies(&section(changed)), format!("### KeyMismatch\n\nError.\n\n{remedy}\n\n### Other\n"));
    }
    assert!(what_to_do(&FindingCode::NetworkNotFound).contains("\n- *A network of the service has a similar name:* Did you mean NETWORK?"));
    assert!(what_to_do(&FindingCode::UpdateGap).starts_with("Do (warning):\n- *The only proxy:* Run"));
    assert_eq!(wrapped(&"word ".repeat(40), "  ").lines().map(str::len).max(), Some(129));
}

/// The page's sections by title.
fn sections() -> BTreeMap<&'static str, &'static str> {
    let sections: Vec<_> = PAGE.split("\n### ").skip(1).map(|section| section.split_once('\n').unwrap()).collect();
    let by_title: BTreeMap<_, _> = sections.iter().copied().collect();
    assert_eq!(by_title.len(), sections.len(), "two sections have the same title");
    by_title
}

#[test]
fn codes_and_sections_match_one_to_one() {
    let mut codes: Vec<_> = FindingCode::ALL.iter().map(FindingCode::as_str).collect();
    codes.sort_unstable();
    assert_eq!(sections().into_keys().collect::<Vec<_>>(), codes);
}

#[test]
fn every_section_states_its_severity_and_remedy() {
    let sections = sections();
    for code in FindingCode::ALL {
        let text = sections[code.as_str()];
        let first = text.trim_start().split(['.', ' ']).next().unwrap_or_default();
        assert_eq!(first.to_lowercase(), word(code.severity()), "{code:?} begins with its usual severity");
        for severity in code.severities() {
            assert!(text.to_lowercase().contains(word(*severity)), "{code:?} can be {severity:?}");
        }
        assert!(text.split("\n\n").any(says_what_to_do), "{code:?} says what to do (add `Do:`, and write the rest with BLESS=1)");
    }
}

#[test]
fn every_case_has_a_sentence_and_a_possible_severity() {
    for code in FindingCode::ALL {
        let remedies = code.entry().unwrap().remedies;
        let occasions: BTreeSet<_> = remedies.iter().map(|remedy| remedy.when).collect();
        assert_eq!(occasions.len(), remedies.len(), "{code:?} has the same occasion twice");
        for CatalogRemedy { when, severity, text } in &remedies {
            assert!(code.severities().contains(severity), "{code:?} is never {severity:?}");
            assert!(text.starts_with(char::is_uppercase), "{code:?}: {text}");
            assert!(text.ends_with(['.', '?']) || text.ends_with(char::is_uppercase), "{code:?}: {text}");
            assert!(when.is_none_or(|when| when.ends_with('.')), "{code:?}: {when:?}");
        }
    }
}

#[test]
fn data_of_a_remedy_is_never_read_as_a_sentence_of_the_catalogue() {
    let case = cases::SingleEqualsConstraint { constraint: "node.role=={role}" };
    let finding = Finding::new(case, Subject::Cluster("dev".to_owned()), "message");
    assert_eq!(finding.remedy, "Use node.role=={role}.");
}

#[test]
fn codes_are_identical_in_json_and_text() {
    for code in FindingCode::ALL {
        let (severity, subject, remedy) = (code.severity(), Subject::Cluster("dev".to_owned()), "Remedy.".to_owned());
        let finding = Finding { severity, code: code.clone(), subject, field: None, value: None, message: "message".to_owned(), remedy };
        let json = serde_json::to_value(&finding).unwrap();
        assert_eq!(json["code"], code.as_str(), "status and `-o json`");
        let beginning = format!("{} {} cluster dev", word(code.severity()), code.as_str());
        assert!(finding.to_string().starts_with(&beginning), "log and terminal: {finding}");
    }
}

#[test]
fn a_code_of_another_version_is_kept() {
    let json = serde_json::json!({
        "severity": "warning", "code": "FromTheFuture", "subject": {"kind": "cluster", "name": "dev"}, "message": "What.", "remedy": "Do."
    });
    let finding: Finding = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&finding).unwrap(), json);
    assert_eq!(finding.to_string(), "warning FromTheFuture cluster dev: What. -> Do.");
    assert_eq!((finding.code.entry(), finding.code.severities()), (None, &[][..]));
}
