//! Pages for users hold what they promise: every label has a section, and every known problem of Interlock a test that exists.

#![expect(clippy::expect_used, reason = "a test that cannot read its page has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use swarmgate::intent::labels::LABELS;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).expect("the page can be read")
}

#[test]
fn every_label_has_a_section_and_every_section_a_label() {
    let page = page("docs/labels.md");
    let sections: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let labels: BTreeSet<&str> = LABELS.iter().map(|label| label.name).collect();
    assert_eq!(sections, labels);
}

#[test]
fn the_readme_names_every_label() {
    let page = page("README.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1)).collect();
    let missing: Vec<_> = LABELS.iter().filter(|label| !rows.iter().any(|row| row.contains(&format!("`{}`", label.name)))).collect();
    assert!(missing.is_empty(), "the table of labels lacks {missing:?}");
}

#[test]
fn every_known_problem_of_interlock_is_held_by_something_that_exists() {
    let page = page("docs/interlock-cases.md");
    let rows: Vec<Vec<&str>> =
        page.lines().filter(|line| line.starts_with("| ")).map(|line| line.split('|').map(str::trim).collect()).collect();
    let numbered: Vec<_> = rows.into_iter().filter(|cells| cells[1].starts_with(|c: char| c.is_ascii_digit())).collect();
    let numbers: Vec<&str> = numbered.iter().map(|cells| cells[1]).collect();
    let expected: Vec<String> =
        (1..=45).flat_map(|n| if n == 35 { vec!["35".to_owned(), "35a".to_owned()] } else { vec![n.to_string()] }).collect();
    assert_eq!(numbers, expected);
    let code = code();
    let wrong: Vec<String> = numbered.iter().flat_map(|cells| dangling(cells, &code)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a row names and nobody has; a row must name something.
fn dangling(cells: &[&str], code: &str) -> Vec<String> {
    let held_by: Vec<&str> = cells[4].split('`').filter(|word| word.contains(':')).collect();
    if held_by.is_empty() {
        return vec![format!("{}: held by nothing", cells[1])];
    }
    let missing = held_by.into_iter().filter(|word| match word.split_once(':') {
        Some(("golden", name)) => !root().join("tests/golden").join(name).join("swarm.yaml").is_file(),
        Some(("test", name)) => !code.contains(&format!("fn {name}(")),
        Some(("e2e", name)) => !code.contains(&format!("case(\"{name}\"")),
        _ => true,
    });
    missing.map(|word| format!("{}: there is no {word}", cells[1])).collect()
}

/// All the code of the project.
fn code() -> String {
    let mut folders: Vec<PathBuf> = ["src", "tests", "e2e/tests", "e2e/src"].iter().map(|folder| root().join(folder)).collect();
    let mut code = String::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder can be read").map(|entry| entry.expect("an entry can be read").path()) {
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "rs" => code.push_str(&fs::read_to_string(path).expect("code can be read")),
                _ => {}
            }
        }
    }
    code
}
