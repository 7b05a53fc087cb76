//! The rule about the length of functions. A function's length is its number of lines with code, from `fn` to its closing brace;
//! comments, blank lines, and tests do not count. Relies on the layout that rustfmt writes.
//!
//! It must never set a limit for each function: a match table may be long. Clippy limits the longest (`clippy.toml`).

use super::rules::RustSource;

/// The median of all functions.
pub const MEDIAN_MAX: usize = 7;
/// The length that 95 of 100 functions do not exceed.
pub const P95_MAX: usize = 20;

/// A function with its location.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Function {
    /// Lines with code.
    pub lines: usize,
    /// `src/FILE:LINE NAME`.
    pub place: String,
}

/// The functions of a file that have a body.
pub fn functions(source: &RustSource) -> Vec<Function> {
    let code = source.code_lines();
    let starts = code.iter().enumerate().filter_map(|(at, (number, line))| Some((at, *number, name(line)?)));
    let found = starts.filter_map(|(at, number, name)| {
        let body = &code[at..=at + end(&code[at..])?];
        let lines = body.iter().filter(|(_, line)| !line.trim().is_empty()).count();
        Some(Function { lines, place: format!("src/{}:{number} {name}", source.name) })
    });
    found.collect()
}

/// The name of the function that a line begins.
fn name(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub") || ["const", "async", "unsafe"].contains(word));
    let after = words.next().filter(|word| *word == "fn").and(words.next())?;
    Some(after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect())
}

/// The index of a function's last line; `None` for a declaration without a body.
fn end(code: &[(usize, String)]) -> Option<usize> {
    let first = code.first()?.1.trim_end();
    let indent = &first[..first.len() - first.trim_start().len()];
    if first.ends_with(['}', ';']) {
        return first.ends_with('}').then_some(0);
    }
    let closes = |line: &str, with: char| line.strip_prefix(indent).is_some_and(|rest| rest.starts_with(with));
    let at = code.iter().skip(1).position(|(_, line)| closes(line, '}') || (closes(line, ')') && line.trim_end().ends_with(';')))? + 1;
    closes(&code[at].1, '}').then_some(at)
}

/// The complaints about all functions together, with the longest ones.
pub fn too_long(mut functions: Vec<Function>) -> Vec<String> {
    functions.sort();
    let at = |part: usize| functions.get((functions.len() * part).div_ceil(100).saturating_sub(1)).map_or(0, |function| function.lines);
    let limits = [("median", at(50), MEDIAN_MAX), ("95th percentile", at(95), P95_MAX)];
    let broken = limits.into_iter().filter(|(_, found, limit)| found > limit);
    let mut complaints: Vec<String> =
        broken.map(|(what, found, limit)| format!("the {what} of the length of functions is {found}; the limit is {limit}")).collect();
    if !complaints.is_empty() {
        let long = functions.iter().rev().take(30);
        complaints.extend(long.map(|function| format!("{}: {} lines", function.place, function.lines)));
    }
    complaints
}
