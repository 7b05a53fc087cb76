//! Describes which parts of a configuration differ, as the reason for a reload. Pure.

use std::collections::BTreeMap;

use crate::runtime::ChangeScope;

/// How many parts are named; the others are counted.
const NAMED_MAX: usize = 5;

/// The prefix of parts that hold only addresses.
const ENDPOINTS: &str = "endpoints of ";

/// What changed between two configurations of the extension.
pub(super) fn scope(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> ChangeScope {
    let changed = changed(before, after);
    // If no part differs, the change is outside of all parts.
    let only_endpoints = !changed.is_empty() && changed.iter().all(|name| name.starts_with(ENDPOINTS));
    if only_endpoints { ChangeScope::Endpoints } else { ChangeScope::Everything }
}

fn changed<'a>(before: &'a BTreeMap<String, String>, after: &'a BTreeMap<String, String>) -> Vec<&'a String> {
    let new = after.keys().filter(|name| !before.contains_key(*name));
    before.keys().chain(new).filter(|name| before.get(*name) != after.get(*name)).collect()
}

/// What changed between two configurations, such as `endpoints of app.example.org, settings`.
pub(super) fn reason(before: Option<&BTreeMap<String, String>>, after: &BTreeMap<String, String>) -> String {
    let Some(before) = before else { return "first configuration from the extension".to_owned() };
    let changed = changed(before, after);
    // New routes always have endpoints.
    let is_implied = |name: &String| name.strip_prefix(ENDPOINTS).is_some_and(|host| changed.contains(&&format!("routes of {host}")));
    let mut named: Vec<&str> = changed.iter().filter(|name| !is_implied(name)).map(|name| name.as_str()).collect();
    named.sort_unstable();
    match named.len() {
        0 => "the format of configurations".to_owned(),
        count if count <= NAMED_MAX => named.join(", "),
        count => format!("{} and {} more", named[..NAMED_MAX].join(", "), count - NAMED_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(name, digest)| ((*name).to_owned(), (*digest).to_owned())).collect()
    }

    fn check(before: &[(&str, &str)], after: &[(&str, &str)], expected: &str) {
        assert_eq!(reason(Some(&parts(before)), &parts(after)), expected);
    }

    #[test]
    fn the_parts_that_differ_are_named() {
        check(&[("settings", "1"), ("endpoints of a", "1")], &[("settings", "1"), ("endpoints of a", "2")], "endpoints of a");
        check(&[("settings", "1")], &[("settings", "2"), ("routes of b", "1"), ("endpoints of b", "1")], "routes of b, settings");
        check(&[("routes of b", "1"), ("endpoints of b", "1")], &[], "routes of b");
        check(&[("settings", "1")], &[("settings", "1")], "the format of configurations");
        assert_eq!(reason(None, &parts(&[])), "first configuration from the extension");
    }

    #[test]
    fn only_endpoints_have_changed_when_no_other_part_differs() {
        let check = |before: &[(&str, &str)], after: &[(&str, &str)], expected| assert_eq!(scope(&parts(before), &parts(after)), expected);
        let before = [("settings", "1"), ("endpoints of a", "1")];
        check(&before, &[("settings", "1"), ("endpoints of a", "2")], ChangeScope::Endpoints);
        check(&before, &[("settings", "2"), ("endpoints of a", "2")], ChangeScope::Everything);
        check(&before, &[("settings", "1"), ("endpoints of a", "1"), ("routes of b", "1")], ChangeScope::Everything);
        check(&before, &before, ChangeScope::Everything);
    }

    #[test]
    fn many_parts_are_counted() {
        let many: Vec<(String, String)> = (0..9).map(|n| (format!("endpoints of h{n}"), "1".to_owned())).collect();
        let named = reason(Some(&BTreeMap::new()), &many.into_iter().collect());
        assert!(named.starts_with("endpoints of h0, ") && named.ends_with(" and 4 more"), "{named}");
    }
}
