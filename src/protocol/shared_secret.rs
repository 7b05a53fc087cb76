//! A shared secret, sent to get a first certificate or to request the status. Its text never reaches a log, a message body or `Debug`.

use std::fmt;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq as _;

use crate::types::Digest;

/// A token: a task sends it for its first certificate, and a user for the status.
#[derive(Clone)]
pub struct SharedSecret(String);

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(…)")
    }
}

impl SharedSecret {
    /// A token from its text; `None` if it is empty or cannot be sent in a header.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let usable = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        usable.then(|| Self(text.to_owned()))
    }

    /// What may be disclosed about it: its SHA-256.
    pub fn digest(&self) -> Digest {
        Digest::of_bytes(self.0.as_bytes())
    }

    /// The text, for the `Authorization` header only.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

/// Whether a request carries a token with one of these digests. Takes the same time for every wrong token.
pub fn bearer_matches(headers: &HeaderMap, accepted: &[Digest]) -> bool {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(token) = value.and_then(|value| value.strip_prefix("Bearer ")) else { return false };
    let sent = Digest::of_bytes(token.as_bytes());
    let hit = |digest: &Digest| digest.as_str().as_bytes().ct_eq(sent.as_str().as_bytes());
    accepted.iter().fold(subtle::Choice::from(0), |found, digest| found | hit(digest)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(header: &str, tokens: &[&str]) -> bool {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, header.parse().unwrap())]);
        let digests: Vec<Digest> = tokens.iter().map(|token| SharedSecret::new(token).unwrap().digest()).collect();
        bearer_matches(&headers, &digests)
    }

    #[test]
    fn only_a_bearer_with_an_accepted_token_matches() {
        assert!(matches("Bearer abc", &["abc"]));
        assert!(matches("Bearer abc", &["xyz", "abc"]));
        assert!(!matches("Bearer abd", &["abc"]));
        assert!(!matches("Bearer ", &["abc"]));
        assert!(!matches("abc", &["abc"]));
        assert!(!matches("Bearer abc", &[]));
        assert!(!bearer_matches(&HeaderMap::new(), &[SharedSecret::new("abc").unwrap().digest()]));
    }

    #[test]
    fn a_token_is_trimmed_and_never_shown() {
        let token = SharedSecret::new("  s3cret\n").unwrap();
        assert_eq!(token.digest(), Digest::of_bytes(b"s3cret"));
        assert_eq!(format!("{token:?}"), "SharedSecret(…)");
        assert!(SharedSecret::new(" \n").is_none());
        assert!(SharedSecret::new("two words").is_none());
    }
}
