//! Every finding has a stable code that is the same everywhere, and a section in `docs/findings.md` that says what it means and
//! what to do. The table on that page is the catalogue itself: `BLESS=1 cargo test --test findings` rewrites it.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its subject has failed")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use swarmgate::report::{Finding, FindingCode, Remedy, Severity, Subject};

const PAGE: &str = include_str!("../docs/findings.md");
const PAGE_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/findings.md");
const BEGIN: &str = "<!-- generated from the catalogue: begin -->\n";
const END: &str = "<!-- generated from the catalogue: end -->\n";

/// The page's sections by title.
fn sections() -> BTreeMap<&'static str, &'static str> {
    let sections: Vec<_> = PAGE.split("\n### ").skip(1).map(|section| section.split_once('\n').unwrap()).collect();
    let by_title: BTreeMap<_, _> = sections.iter().copied().collect();
    assert_eq!(by_title.len(), sections.len(), "two sections have the same title");
    by_title
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

/// The catalogue as a table.
fn table() -> String {
    let mut table = "| Code | Severity | Meaning | Remedy |\n|---|---|---|---|\n".to_owned();
    for code in FindingCode::ALL {
        let entry = code.entry();
        let severities: Vec<_> = entry.severities.iter().copied().map(word).collect();
        let remedy = match entry.remedy {
            Remedy::Always(text) => text.to_owned(),
            Remedy::Usually(text) => format!("Usually: {text}"),
            Remedy::Template(text) => with_placeholders(text),
            Remedy::PerCase => "The finding gives it.".to_owned(),
        };
        let (name, meaning) = (code.as_str(), entry.meaning);
        let anchor = name.to_lowercase();
        writeln!(table, "| [`{name}`](#{anchor}) | {} | {meaning} | {remedy} |", severities.join(" or ")).unwrap();
    }
    table
}

/// A template with the names of its data in capitals.
fn with_placeholders(template: &str) -> String {
    let mut parts = template.split('{');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap();
        text += &name.to_uppercase();
        text += rest;
    }
    text
}

#[test]
fn a_remedy_has_the_data_of_its_finding() {
    assert_eq!(
        FindingCode::SingleEqualsConstraint.remedy_with(&[("constraint", "node.role=={role}")]),
        "Use node.role=={role}.",
        "data is never read as a template"
    );
    let templates = FindingCode::ALL.iter().filter_map(|code| match code.entry().remedy {
        Remedy::Template(text) => Some((code, text)),
        _ => None,
    });
    for (code, text) in templates {
        let names: Vec<_> = text.split('{').skip(1).map(|part| part.split_once('}').unwrap().0).collect();
        assert!(!names.is_empty(), "{code:?} has no data in its remedy");
        let data: Vec<_> = names.iter().map(|name| (*name, "VALUE")).collect();
        let remedy = code.remedy_with(&data);
        assert_eq!((remedy.matches("VALUE").count(), remedy.contains(['{', '}'])), (names.len(), false), "{remedy}");
    }
}

/// The remedies in the outputs of the golden cases.
fn golden_remedies() -> Vec<String> {
    let cases = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden")).unwrap().map(|entry| entry.unwrap().path());
    let outputs = cases.filter(|path| path.is_dir()).flat_map(|case| std::fs::read_dir(case).unwrap()).map(|entry| entry.unwrap().path());
    let texts =
        outputs.filter(|path| path.extension().is_some_and(|kind| kind == "txt")).map(|path| std::fs::read_to_string(path).unwrap());
    texts
        .flat_map(|text| text.lines().filter_map(|line| Some(line.trim_start().strip_prefix("-> ")?.to_owned())).collect::<Vec<_>>())
        .collect()
}

#[test]
fn every_remedy_in_a_golden_case_is_complete() {
    let remedies = golden_remedies();
    assert!(remedies.len() >= 20, "only {} remedies were found", remedies.len());
    for remedy in &remedies {
        assert!(!(remedy.starts_with("See ") && remedy.contains("docs/findings.md")), "a finding has no remedy: {remedy}");
        for code in FindingCode::ALL {
            let Remedy::Template(template) = code.entry().remedy else { continue };
            let mut names = template.split('{').skip(1).map(|part| part.split_once('}').unwrap().0);
            assert!(names.all(|name| !remedy.contains(&format!("{{{name}}}"))), "{code:?} without its data: {remedy}");
            assert_ne!(*remedy, template.replace(['{', '}'], ""), "{code:?} without its data");
        }
    }
}

#[test]
fn the_table_on_the_page_matches_the_catalogue() {
    let (before, rest) = PAGE.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(PAGE_PATH, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
        return;
    }
    assert_eq!(written, table(), "docs/findings.md differs from the catalogue (BLESS=1 rewrites its table)");
}

#[test]
fn codes_and_sections_match_one_to_one() {
    let mut codes: Vec<_> = FindingCode::ALL.iter().map(|code| code.as_str()).collect();
    codes.sort();
    assert_eq!(sections().into_keys().collect::<Vec<_>>(), codes);
}

#[test]
fn every_section_states_its_severity_and_remedy() {
    let sections = sections();
    for code in FindingCode::ALL {
        let text = sections[code.as_str().as_str()];
        let first = text.trim_start().split(['.', ' ']).next().unwrap_or_default();
        assert_eq!(first.to_lowercase(), word(code.severity()), "{code:?} begins with its usual severity");
        for severity in code.entry().severities {
            assert!(text.to_lowercase().contains(word(*severity)), "{code:?} can be {severity:?}");
        }
        assert!(text.contains("\nDo: "), "{code:?} says what to do");
    }
}

#[test]
fn codes_are_identical_in_json_and_text() {
    for code in FindingCode::ALL {
        let finding = Finding::new(*code, Subject::Cluster("dev".to_owned()), "message");
        let json = serde_json::to_value(&finding).unwrap();
        assert_eq!(json["code"], code.as_str(), "status and `-o json`");
        let beginning = format!("{} {} cluster dev", word(code.severity()), code.as_str());
        assert!(finding.to_string().starts_with(&beginning), "log and terminal: {finding}");
        assert!(!finding.remedy.is_empty() && finding.remedy.ends_with('.'), "{finding}");
    }
}
