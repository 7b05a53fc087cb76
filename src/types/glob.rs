//! Patterns of names, with which an administrator defines who may publish what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HostPattern, InvalidValue, checked_string};

/// A pattern of hosts. `*` in front matches one label or more (`*.example.org` admits `a.example.org` and `a.b.example.org`,
/// not `example.org`), alone every host, elsewhere any characters within one label (`app-*.example.org`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct HostGlob(String);
checked_string!(HostGlob);

impl HostGlob {
    /// Parses a pattern in any case.
    pub fn parse(value: &str) -> Result<Self, InvalidValue> {
        let pattern = value.strip_suffix('.').unwrap_or(value).to_ascii_lowercase();
        if pattern.contains("**") {
            return Err(InvalidValue("a pattern must not contain two * in a row; *. in front matches any number of labels".to_owned()));
        }
        let rule = || {
            InvalidValue("a host pattern must be a host name in which * matches any characters, without scheme, port and path".to_owned())
        };
        // A name may omit the root's dot, but this is more likely half of a pattern.
        if value == "*." {
            return Err(rule());
        }
        // With a letter in place of each star it must be a host.
        HostPattern::parse(&pattern.replace('*', "x")).map(|_| Self(pattern)).map_err(|_| rule())
    }

    /// Whether this pattern admits every host.
    pub fn is_every_host(&self) -> bool {
        self.0 == "*"
    }

    /// Whether the pattern admits everything that the host stands for: a wildcard is admitted if all its names are.
    pub fn matches(&self, host: &HostPattern) -> bool {
        let labels: Vec<&str> = host.as_str().split('.').collect();
        let pattern: Vec<&str> = self.0.split('.').collect();
        let fit = |pattern: &[&str], labels: &[&str]| {
            pattern.len() == labels.len() && pattern.iter().zip(labels).all(|(part, label)| fits(part.as_bytes(), label.as_bytes()))
        };
        match pattern.split_first() {
            Some((&"*", rest)) => labels.len() > rest.len() && fit(rest, &labels[labels.len() - rest.len()..]),
            _ => fit(&pattern, &labels),
        }
    }
}

/// A pattern of service names: `*` matches any characters (`shop_*`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct ServiceGlob(String);
checked_string!(ServiceGlob);

impl ServiceGlob {
    /// Accepts the characters of service names, and `*`.
    pub fn parse(value: &str) -> Result<Self, InvalidValue> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-*".contains(&b);
        if (1..=128).contains(&value.len()) && value.bytes().all(allowed) {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidValue("a service pattern may contain only letters, digits, '-', '_' and '*'".to_owned()))
        }
    }

    /// Whether the pattern matches the whole name.
    pub fn matches(&self, name: &str) -> bool {
        fits(self.0.as_bytes(), name.as_bytes())
    }
}

/// A pattern of names of secrets and configs: `*` matches any characters (`wildcard-*`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct ObjectGlob(String);
checked_string!(ObjectGlob);

impl ObjectGlob {
    /// Accepts the characters of such names, and `*`.
    pub fn parse(value: &str) -> Result<Self, InvalidValue> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.*".contains(&b);
        if (1..=128).contains(&value.len()) && value.bytes().all(allowed) {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidValue("a pattern of secrets and configs may contain only letters, digits, '-', '_', '.' and '*'".to_owned()))
        }
    }

    /// Whether the pattern matches the whole name.
    pub fn matches(&self, name: &str) -> bool {
        fits(self.0.as_bytes(), name.as_bytes())
    }
}

/// `*` matches as little as possible, and more if the rest does not match. Only the last `*` is retried, so the time is
/// bounded by the product of the lengths.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from, mut star) = (0, 0, None);
    while from < text.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at + 1, from));
            at += 1;
        } else if pattern.get(at) == Some(&text[from]) {
            (at, from) = (at + 1, from + 1);
        } else if let Some((behind, taken)) = star {
            star = Some((behind, taken + 1));
            (at, from) = (behind, taken + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, admitted: &[&str], refused: &[&str]) {
        let pattern = HostGlob::parse(pattern).unwrap();
        let admits = |host: &&&str| pattern.matches(&HostPattern::parse(host).unwrap());
        assert_eq!(admitted.iter().filter(admits).count(), admitted.len(), "{pattern} admits {admitted:?}");
        assert_eq!(refused.iter().filter(admits).count(), 0, "{pattern} refuses {refused:?}");
    }

    #[test]
    fn an_exact_pattern_admits_one_host() {
        check("App.example.org.", &["app.example.org", "APP.EXAMPLE.ORG"], &["a.app.example.org", "*.example.org", "example.org"]);
    }

    #[test]
    fn a_star_in_front_admits_everything_below() {
        let below = ["a.dev.example.org", "a.b.dev.example.org", "*.dev.example.org", "*.b.dev.example.org"];
        check("*.dev.example.org", &below, &["dev.example.org", "a.prod.example.org", "xdev.example.org", "*.example.org"]);
        check("*", &["localhost", "a.b.c", "*.org"], &[]);
        check("*.*.example.org", &["a.b.example.org", "*.b.example.org"], &["a.example.org", "*.example.org"]);
    }

    #[test]
    fn a_star_elsewhere_stays_within_its_label() {
        check("app-*.example.org", &["app-1.example.org"], &["app.example.org"]);
        check("app-*.example.org", &["app-a-b.example.org"], &["app-1.x.example.org", "*.example.org", "x.app-1.example.org"]);
        check("shop.*.org", &["shop.example.org"], &["shop.a.b.org", "shop.org"]);
        check("*-dev.example.org", &["a-dev.example.org"], &["*.example.org", "a.b-dev.example.org", "dev.example.org"]);
    }

    #[test]
    fn invalid_patterns_are_refused() {
        for bad in ["", ".", "**.example.org", "http://a", "a:80", "a/b", "*.", ".a", "a..b", "a b"] {
            assert!(HostGlob::parse(bad).is_err(), "{bad}");
        }
        assert!(ServiceGlob::parse("").is_err() && ServiceGlob::parse("a.b").is_err());
        assert!(ObjectGlob::parse("").is_err() && ObjectGlob::parse("a/b").is_err() && ObjectGlob::parse("a b").is_err());
    }

    #[test]
    fn object_patterns_match_whole_names() {
        for (pattern, name, fit) in [
            ("star.example.org", "star.example.org", true),
            ("star.example.org", "star-example.org", false),
            ("star.*", "star.example.org", true),
            ("*", "db-password", true),
            ("wild*", "a-wild", false),
        ] {
            assert_eq!(ObjectGlob::parse(pattern).unwrap().matches(name), fit, "{pattern} {name}");
        }
    }

    #[test]
    fn service_patterns_match_whole_names() {
        for (pattern, name, fit) in [
            ("shop_web", "shop_web", true),
            ("shop_*", "shop_", true),
            ("shop_*", "ashop_web", false),
            ("*_web", "shop_web_web", true),
            ("*a*b", "xaybzb", true),
            ("*a*b", "xaybz", false),
            ("Shop_*", "shop_web", false),
        ] {
            assert_eq!(ServiceGlob::parse(pattern).unwrap().matches(name), fit, "{pattern} {name}");
        }
    }
}
