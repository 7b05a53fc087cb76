//! "Did you mean": the nearest of the existing names. Suggests nothing rather than something far-fetched.

/// The candidate that `found` most probably misspells: the same letters in another case or with other separators, otherwise
/// the nearest one within a third of its length. Ties go to the first in the given order.
pub fn nearest<'a>(found: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A value of megabytes is no misspelt name, and comparing it would take long.
    if found.len() > 64 {
        return None;
    }
    let plain = letters(found);
    let limit = (plain.chars().count() / 3).clamp(1, 3);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = strsim::damerau_levenshtein(&plain, &letters(candidate));
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Case and separators are the most common slips (`stop_signal` for `stopSignal`), so they are ignored.
fn letters(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn misspelt_names_are_recognised_and_unrelated_names_are_not() {
        let names = ["replicas", "stopSignal", "stopGracePeriod", "publish"];
        for (found, expected) in [
            ("replica", Some("replicas")),
            ("stop_signal", Some("stopSignal")),
            ("StopGracePeriod", Some("stopGracePeriod")),
            ("publsih", Some("publish")),
            ("volumes", None),
            ("", None),
        ] {
            assert_eq!(nearest(found, names.into_iter()), expected, "{found}");
        }
    }
}
