//! Shares in messages, in the correct number: `1 of 1 proxy runs`, `2 of 3 proxies run`. For readers only: no program may depend on
//! this text.

/// A noun, in singular and plural.
pub struct Noun(&'static str, &'static str);

/// Proxies of a cluster.
pub const PROXIES: Noun = Noun("proxy", "proxies");

/// Routes of a cluster.
pub const ROUTES: Noun = Noun("route", "routes");

/// `1 of 1 proxy`, `1 of 3 proxies`.
pub fn share(part: usize, all: usize, noun: &Noun) -> String {
    format!("{part} of {all} {}", number(all, noun.0, noun.1))
}

/// The form that agrees with a number.
pub fn number<'f>(count: usize, one: &'f str, several: &'f str) -> &'f str {
    if count == 1 { one } else { several }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noun_and_verb_agree_with_their_numbers() {
        let sentence = |part, all| format!("{} {}", share(part, all, &PROXIES), number(part, "runs", "run"));
        assert_eq!(sentence(1, 1), "1 of 1 proxy runs");
        assert_eq!(sentence(1, 3), "1 of 3 proxies runs");
        assert_eq!(sentence(2, 3), "2 of 3 proxies run");
    }
}
