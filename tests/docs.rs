//! Checks that the pages for users keep their promises: every label has a section, every known problem of Interlock has a test
//! that exists, every promise of SECURITY.md is held by tests that exist, the program knows every command, and every decision has a date, a status and a line in the index.

#![expect(clippy::expect_used, reason = "a test that cannot read its page has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use swarmgate::intent::labels::LABELS;

#[path = "docs/commands.rs"]
mod commands;
#[path = "docs/named_tests.rs"]
mod named_tests;

use commands::commands;
use named_tests::{NamedTests, Sources};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).expect("the page can be read")
}

#[test]
fn labels_and_sections_match_one_to_one() {
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
fn every_known_interlock_problem_names_an_existing_test() {
    let page = page("docs/interlock-cases.md");
    let rows: Vec<Vec<&str>> =
        page.lines().filter(|line| line.starts_with("| ")).map(|line| line.split('|').map(str::trim).collect()).collect();
    let numbered: Vec<_> = rows.into_iter().filter(|cells| cells[1].starts_with(|c: char| c.is_ascii_digit())).collect();
    let numbers: Vec<&str> = numbered.iter().map(|cells| cells[1]).collect();
    let expected: Vec<String> =
        (1..=45).flat_map(|n| if n == 35 { vec!["35".to_owned(), "35a".to_owned()] } else { vec![n.to_string()] }).collect();
    assert_eq!(numbers, expected);
    let sources = sources();
    let wrong: Vec<String> = numbered.iter().flat_map(|cells| dangling(cells, &sources)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The tests and cases in a row that do not exist. A row must name at least one.
fn dangling(cells: &[&str], sources: &Sources) -> Vec<String> {
    let held_by: Vec<&str> = cells[4].split('`').filter(|word| word.contains(':')).collect();
    if held_by.is_empty() {
        return vec![format!("{}: no test is named", cells[1])];
    }
    let missing = held_by.into_iter().filter(|word| match word.split_once(':') {
        Some(("golden", name)) => !root().join("tests/golden").join(name).join("swarm.yaml").is_file(),
        Some(("test" | "e2e", name)) => sources.named(&format!("`{name}`")).found == 0,
        _ => true,
    });
    missing.map(|word| format!("{}: {word} does not exist", cells[1])).collect()
}

#[test]
fn every_promise_is_held_by_tests_that_exist() {
    let page = page("SECURITY.md");
    let sources = sources();
    let mut rows = 0;
    let mut in_table = false;
    for line in page.lines() {
        let last_cell = line.strip_suffix('|').and_then(|row| row.rsplit('|').next()).map(str::trim);
        in_table = last_cell.is_some_and(|cell| in_table || cell == "held by");
        let Some(held_by) = last_cell.filter(|cell| in_table && *cell != "held by" && *cell != "---") else { continue };
        let named = sources.named(held_by);
        assert!(named.missing.is_empty(), "SECURITY.md names tests that do not exist: {:?}", named.missing);
        assert!(named.found > 0, "no test holds this promise by its full name: {line}");
        rows += 1;
    }
    assert!(rows > 30, "only {rows} promises were found");
    let cases = page.split("e2e `").skip(1).filter_map(|rest| rest.split('`').next());
    let missing: Vec<_> = cases.filter(|name| !sources.named(&format!("`{name}`")).missing.is_empty()).collect();
    assert!(missing.is_empty(), "SECURITY.md names cases that do not exist: {missing:?}");
}

#[test]
fn a_test_that_does_not_exist_is_noticed() {
    let file = |path: &str, code: &str| (PathBuf::from(path), code.to_owned());
    let sources = Sources(vec![
        file("src/a.rs", "#[test]\nfn first_one() {}\n"),
        file("src/a/b.rs", "#[test]\n// Why.\nasync fn second_one() {}\n\nfn first() {}\n"),
        file("e2e/tests/cases/c.rs", "case(\"c::third\", third)"),
    ]);
    let found = "`src/a.rs` (`first_one`, `second_one`), e2e `c::third`, `a::first_one`, `second_one`";
    assert_eq!(sources.named(found), NamedTests { found: 5, missing: Vec::new() });
    assert_eq!(sources.named("`src/a.rs`"), NamedTests { found: 0, missing: Vec::new() });
    let wrong = ["src/b.rs", "first", "second_…", "b::first_one", "c::first_one", "third", "c::thir", "c::"];
    assert_eq!(sources.named(&wrong.map(|name| format!("`{name}`")).join(", ")), NamedTests { found: 0, missing: wrong.to_vec() });
    assert_eq!(sources.named("`src/a/b.rs` (`first_one`), `first_one`"), NamedTests { found: 1, missing: vec!["first_one"] });
}

/// The pages for users that contain commands.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "charts/swarmgate/README.md"].iter().map(|name| root().join(name)).collect();
    pages.extend(markdown("docs"));
    pages
}

/// The pages in a folder, sorted by name.
fn markdown(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).expect("the folder can be read").map(|entry| entry.expect("an entry").path());
    let mut pages: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect();
    pages.sort();
    pages
}

/// The arguments of `swarmgate` in a command that runs it, directly or in a container.
fn arguments(command: &str) -> Option<Vec<String>> {
    let args = shell_words::split(command).expect("a command that a shell can read");
    let program = match args.first()?.as_str() {
        "swarmgate" => 0,
        "docker" if args.get(1)? == "exec" => args.iter().position(|word| word == "swarmgate")?,
        _ => return None,
    };
    let ours = args.into_iter().skip(program + 1);
    Some(ours.take_while(|word| !word.starts_with('>') && !word.starts_with('|')).collect())
}

/// Whether the program understands these arguments. It parses them up to `--help` and does nothing else.
fn is_understood(arguments: &[String]) -> bool {
    let mut program = Command::new(env!("CARGO_BIN_EXE_swarmgate"));
    program.args(arguments).arg("--help").env_clear().output().expect("the program runs").status.success()
}

#[test]
fn every_command_on_a_page_exists() {
    let wrong = |args: &str| !is_understood(&args.split(' ').map(str::to_owned).collect::<Vec<_>>());
    assert!(wrong("stat") && wrong("status --severe") && wrong("schema animal"), "this test can fail");
    let mut known = 0;
    for path in pages() {
        let page = fs::read_to_string(&path).expect("the page can be read");
        for command in commands(&page) {
            let Some(arguments) = arguments(&command) else { continue };
            assert!(is_understood(&arguments), "{} shows a command that does not exist: {command}", path.display());
            known += 1;
        }
    }
    assert!(known > 10, "only {known} commands of swarmgate were found");
}

#[test]
fn commands_on_a_page_are_detected() {
    let page = "```sh\na --b \\\n    c   # why\n\n# nothing\nd '#1'\n```\n```yaml\nx: y\n```\n";
    assert_eq!(commands(page), ["a --b      c", "d '#1'"]);
    assert_eq!(commands::blocks(page, "yaml"), ["x: y\n"]);
}

/// A field from the head of a decision, which begins with its title and has one field per line.
fn head<'a>(page: &'a str, field: &str) -> Option<&'a str> {
    page.lines().take(6).find_map(|line| line.strip_prefix(field)).map(str::trim)
}

#[test]
fn every_decision_has_a_date_a_status_and_an_index_entry() {
    let index = page("docs/decisions/README.md");
    for path in markdown("docs/decisions").into_iter().filter(|path| !path.ends_with("README.md")) {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let page = fs::read_to_string(&path).expect("the page can be read");
        let date = head(&page, "Date: ").expect("a line with the date");
        let digits = date.split('-').map(str::len).collect::<Vec<_>>();
        assert!(digits == [4, 2, 2] && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'), "{name}: the date is {date}");
        let status = head(&page, "Status: ").expect("a line with the status");
        assert!(status == "Accepted" || status.starts_with("Superseded by "), "{name}: the status is {status}");
        let parts = ["## Context", "## Decision", "## Consequences"].map(|part| page.find(&format!("\n{part}\n")));
        assert!(parts.iter().all(Option::is_some) && parts.is_sorted(), "{name} has Context, Decision and Consequences in this order");
        assert_eq!(index.matches(&format!("]({name})")).count(), 1, "{name} is once in the index");
    }
}

#[test]
fn every_link_to_a_page_resolves() {
    let decisions = markdown("docs/decisions");
    for path in
        pages().into_iter().chain(decisions).chain(["ARCHITECTURE.md", "CHANGELOG.md", "fuzz/README.md"].map(|name| root().join(name)))
    {
        let page = fs::read_to_string(&path).expect("the page can be read");
        let folder = path.parent().expect("a folder");
        let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let files =
            targets.filter(|target| !target.contains("://")).filter_map(|target| target.split('#').next()).filter(|file| !file.is_empty());
        for file in files {
            assert!(folder.join(file).exists(), "{} links to {file}", path.display());
        }
    }
}

#[test]
fn every_decision_named_in_the_code_exists() {
    let code = code();
    let named = code.split("docs/decisions/").skip(1).filter_map(|rest| rest.split_once(".md")).map(|(name, _)| name);
    let plain = |name: &&str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let mut found = 0;
    for name in named.filter(plain) {
        assert!(root().join(format!("docs/decisions/{name}.md")).is_file(), "the code names docs/decisions/{name}.md");
        found += 1;
    }
    assert!(found > 5, "only {found} decisions are named");
}

/// All of the project's code.
fn code() -> String {
    sources().0.into_iter().map(|(_, code)| code).collect()
}

fn sources() -> Sources {
    let mut folders: Vec<PathBuf> = ["src", "tests", "e2e/tests", "e2e/src"].iter().map(|folder| root().join(folder)).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder can be read").map(|entry| entry.expect("an entry can be read").path()) {
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "rs" => {
                    let code = fs::read_to_string(&path).expect("code can be read");
                    files.push((path.strip_prefix(root()).expect("a file of the repository").to_path_buf(), code));
                }
                _ => {}
            }
        }
    }
    Sources(files)
}
