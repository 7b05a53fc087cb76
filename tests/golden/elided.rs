//! Cuts from an output what every case has: what stands in the case `no-services` as well is replaced by how much it is.
//! Nothing is lost: what that case has and another does not is shown with `#-` in front.

use similar::{ChangeTag, TextDiff};

/// Runs of equal lines up to this long are shorter than what would stand for them.
const KEPT_MAX: usize = 2;

/// `text` as it differs from `common`. Between the first and the last lines that belong to routes nothing is cut, so that
/// what is left of a configuration reads as one.
pub fn elided(text: &str, common: &str, comment: &str) -> String {
    let (head, routes, tail) = in_parts(text);
    let (common_head, common_routes, common_tail) = in_parts(common);
    let routes = if routes == common_routes { elide(&routes, &common_routes, comment) } else { routes };
    elide(&head, &common_head, comment) + &routes + &elide(&tail, &common_tail, comment)
}

/// What comes before the first pool or server, these, and what comes behind those of plain HTTP.
fn in_parts(text: &str) -> (String, String, String) {
    let at = |found: Option<usize>| found.map_or(text.len(), |at| at + 1);
    let first =
        ["\nstream {", "\n    map $http_cookie", "\n    upstream ", "\n    server {"].iter().filter_map(|start| text.find(start)).min();
    let (first, last) = (at(first), at(text.find("\n    ssl_protocols")));
    let last = last.max(first);
    (text[..first].to_owned(), text[first..last].to_owned(), text[last..].to_owned())
}

fn elide(text: &str, common: &str, comment: &str) -> String {
    let mut shown = String::new();
    let mut equal = Vec::new();
    for change in TextDiff::from_lines(common, text).iter_all_changes() {
        match change.tag() {
            ChangeTag::Equal => {
                equal.push(change.value().to_owned());
                continue;
            }
            ChangeTag::Insert => {
                show_equal(&mut shown, &mut equal, comment);
                shown.push_str(change.value());
            }
            ChangeTag::Delete => {
                show_equal(&mut shown, &mut equal, comment);
                shown.push_str(&format!("{comment}-{}", change.value()));
            }
        }
    }
    show_equal(&mut shown, &mut equal, comment);
    shown
}

fn show_equal(shown: &mut String, equal: &mut Vec<String>, comment: &str) {
    if equal.len() > KEPT_MAX {
        shown.push_str(&format!("{comment} … {} lines as in the case no-services\n", equal.len()));
        equal.clear();
    }
    shown.extend(equal.drain(..));
}
