//! Finds what pages name as proof of a promise: a file, a test (`name`, or `start_of_its_name_…`), a test of a module or an
//! end-to-end case (`module::name`), or all of a module's (`module::`).
//!
//! It must never accept a name that no source file has: a promise without a test is not made.

use std::path::{Path, PathBuf};

/// All source files, as paths from the root of the repository, with their text.
pub struct Sources(pub Vec<(PathBuf, String)>);

impl Sources {
    /// The names in backticks that do not exist. Names in parentheses after a file must be in that file or its modules.
    pub fn missing<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let (mut file, mut scope, mut missing) = (None, None, Vec::new());
        for (at, part) in text.split('`').enumerate() {
            if at % 2 == 0 {
                scope = if part.contains('(') { file } else { scope.filter(|_| !part.contains(')')) };
            } else if Path::new(part).extension().is_some_and(|extension| extension == "rs") {
                file = Some(part);
                missing.extend((!self.0.iter().any(|(path, _)| path == Path::new(part))).then_some(part));
            } else if !self.has_test(part, scope) {
                missing.push(part);
            }
        }
        missing
    }

    fn has_test(&self, name: &str, scope: Option<&str>) -> bool {
        let (module, function) = name.rsplit_once("::").unwrap_or(("", name));
        let mut files = self.0.iter().filter(|(path, _)| is_in_module(path, module) && scope.is_none_or(|file| is_in_file(path, file)));
        files.any(|(_, code)| match (function, function.strip_suffix('…')) {
            ("", _) => code.contains("#[test]") || code.contains(&format!("\"{name}")),
            (_, Some(start)) => code.contains(&format!("fn {start}")) || code.contains(&format!("\"{module}::{start}")),
            (exact, None) => code.contains(&format!("fn {exact}(")) || (!module.is_empty() && code.contains(&format!("\"{name}\""))),
        })
    }
}

/// Whether a file is a module of this name, or in its folder; every file is in the module without a name.
fn is_in_module(path: &Path, module: &str) -> bool {
    module.is_empty() || path.with_extension("").iter().any(|part| part == module)
}

fn is_in_file(path: &Path, file: &str) -> bool {
    path == Path::new(file) || path.starts_with(Path::new(file).with_extension(""))
}
