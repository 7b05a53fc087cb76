//! Finds what pages name as proof of a promise: a file, a test (`name`, or `module::name`), or an end-to-end case (`module::name`).
//!
//! It must never accept a part of a name, or a function that is not a test: a promise without a test is not made.

use std::path::{Path, PathBuf};

/// All source files, as paths from the root of the repository, with their text.
pub struct Sources(pub Vec<(PathBuf, String)>);

/// What the names of a row lead to.
#[derive(Debug, PartialEq, Eq)]
pub struct NamedTests<'t> {
    /// How many tests and cases were found.
    pub found: usize,
    /// The names that do not exist.
    pub missing: Vec<&'t str>,
}

impl Sources {
    /// Looks up the names in backticks. Names in parentheses after a file must be in that file or its modules.
    pub fn named<'t>(&self, text: &'t str) -> NamedTests<'t> {
        let (mut file, mut scope, mut named) = (None, None, NamedTests { found: 0, missing: Vec::new() });
        for (at, part) in text.split('`').enumerate() {
            if at % 2 == 0 {
                scope = if part.contains('(') { file } else { scope.filter(|_| !part.contains(')')) };
            } else if Path::new(part).extension().is_some_and(|extension| extension == "rs") {
                file = Some(part);
                named.missing.extend((!self.0.iter().any(|(path, _)| path == Path::new(part))).then_some(part));
            } else if self.has_test(part, scope) {
                named.found += 1;
            } else {
                named.missing.push(part);
            }
        }
        named
    }

    fn has_test(&self, name: &str, scope: Option<&str>) -> bool {
        let (module, function) = name.rsplit_once("::").unwrap_or(("", name));
        let mut files = self.0.iter().filter(|(path, _)| is_in_module(path, module) && scope.is_none_or(|file| is_in_file(path, file)));
        files.any(|(_, code)| is_test(code, function) || (!module.is_empty() && is_case(code, name)))
    }
}

/// Whether the code has a test of this name.
fn is_test(code: &str, name: &str) -> bool {
    let marks = |before: &str| {
        let attributes = before.lines().rev().skip(1).map(str::trim).take_while(|line| line.starts_with('#') || line.starts_with("//"));
        attributes.into_iter().any(|line| line == "#[test]" || line.starts_with("#[tokio::test"))
    };
    code.match_indices(&format!("fn {name}(")).any(|(at, _)| marks(&format!("{}\n", &code[..at])))
}

/// Whether the code lists an end-to-end case of this name.
fn is_case(code: &str, name: &str) -> bool {
    ["case(", "Case::new("].iter().any(|call| code.contains(&format!("{call}\"{name}\"")))
}

/// Whether a file is a module of this name, or in its folder; every file is in the module without a name.
fn is_in_module(path: &Path, module: &str) -> bool {
    module.is_empty() || path.with_extension("").iter().any(|part| part == module)
}

fn is_in_file(path: &Path, file: &str) -> bool {
    path == Path::new(file) || path.starts_with(Path::new(file).with_extension(""))
}
