//! Removes from an output what every case has: text that is also in the case `no-services` is replaced by the number of its
//! lines. Nothing is lost: lines that only that case has are shown with the prefix `#-`.

use similar::{ChangeTag, TextDiff};

/// Runs of equal lines up to this length are shorter than their replacement.
const KEPT_MAX: usize = 2;

/// Shows how `text` differs from `common`. Does not cut between the first and the last lines that belong to routes, so that the
/// rest of a configuration is readable as one piece.
pub fn elided(text: &str, common: &str, comment: &str) -> String {
    let cut = |(part, common): (&str, &str)| elide(part, common, comment);
    let whole = |(part, common): (&str, &str)| if part == common { elide(part, common, comment) } else { part.to_owned() };
    let [main, stream, http, routes, tail] = std::array::from_fn(|at| (parts(text)[at], parts(common)[at]));
    cut(main) + &whole(stream) + &cut(http) + &whole(routes) + &cut(tail)
}

/// The beginnings of a configuration's parts: passthrough, HTTP, pools and servers, TLS. A plan is a single part.
const BEGINNINGS: [&[&str]; 4] = [
    &["\nstream {", "\nhttp {"],
    &["\nhttp {"],
    &["\n    map $http_cookie", "\n    upstream ", "\n    server {"],
    &["\n    ssl_protocols"],
];

fn parts(text: &str) -> [&str; 5] {
    let mut rest = text;
    let mut parts = [""; 5];
    for (at, beginnings) in BEGINNINGS.iter().enumerate() {
        let found = beginnings.iter().filter_map(|beginning| rest.find(beginning)).min();
        let nothing_else = if at == 0 { rest.len() } else { 0 };
        (parts[at], rest) = rest.split_at(found.map_or(nothing_else, |found| found + 1));
    }
    parts[4] = rest;
    parts
}

fn elide(text: &str, common: &str, comment: &str) -> String {
    let mut shown = String::new();
    let mut equal = Vec::new();
    for change in TextDiff::from_lines(common, text).iter_all_changes() {
        match change.tag() {
            ChangeTag::Equal => equal.push(change.value().to_owned()),
            ChangeTag::Insert => {
                show_equal(&mut shown, &mut equal, comment);
                shown.push_str(change.value());
            }
            ChangeTag::Delete => {
                show_equal(&mut shown, &mut equal, comment);
                shown.extend([comment, "-", change.value()]);
            }
        }
    }
    show_equal(&mut shown, &mut equal, comment);
    shown
}

fn show_equal(shown: &mut String, equal: &mut Vec<String>, comment: &str) {
    if equal.len() > KEPT_MAX {
        shown.extend([comment, " … ", &equal.len().to_string(), " lines as in the case no-services\n"]);
        equal.clear();
    }
    shown.extend(equal.drain(..));
}
