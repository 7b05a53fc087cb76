//! Why a reload happens, for people: which parts of the configuration differ. Pure.

use std::collections::BTreeMap;

/// Parts that are named; the others are counted.
const NAMED_MAX: usize = 5;

/// What changed between two configurations, such as `endpoints of app.example.org, settings`.
pub(super) fn reason(before: Option<&BTreeMap<String, String>>, after: &BTreeMap<String, String>) -> String {
    let Some(before) = before else { return "first configuration from the extension".to_owned() };
    let differs = |name: &&String| before.get(*name) != after.get(*name);
    let changed: Vec<&String> = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name))).filter(differs).collect();
    // New routes bring their endpoints with them: saying both says nothing more.
    let is_implied = |name: &String| name.strip_prefix("endpoints of ").is_some_and(|host| changed.contains(&&format!("routes of {host}")));
    let mut told: Vec<&str> = changed.iter().filter(|name| !is_implied(name)).map(|name| name.as_str()).collect();
    told.sort_unstable();
    match told.len() {
        0 => "how configurations are written".to_owned(),
        count if count <= NAMED_MAX => told.join(", "),
        count => format!("{} and {} more", told[..NAMED_MAX].join(", "), count - NAMED_MAX),
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
        check(&[("settings", "1")], &[("settings", "1")], "how configurations are written");
        assert_eq!(reason(None, &parts(&[])), "first configuration from the extension");
    }

    #[test]
    fn many_parts_are_counted() {
        let many: Vec<(String, String)> = (0..9).map(|n| (format!("endpoints of h{n}"), "1".to_owned())).collect();
        let told = reason(Some(&BTreeMap::new()), &many.into_iter().collect());
        assert!(told.starts_with("endpoints of h0, ") && told.ends_with(" and 4 more"), "{told}");
    }
}
