//! Label keys that look like ours but are not: misspellings, and requests that Swarmgate cannot fulfil. Decides what is reported
//! about them, and whether a service must stay closed because of one. Such a label never has an effect of its own.

use std::collections::BTreeMap;

use super::super::suggest::nearest;
use super::access_control_names::sounds_like_access_control;
use super::catalog::LABELS;
use super::{PREFIX, value_grammar};
use crate::report::{FindingCase, cases};
use crate::types::{excerpt, first_invisible, without_invisible};

/// The prefix of our labels on other objects; on a service its author may confuse it with the prefix for services.
const OTHER_PREFIX: &str = "swarmgate.";

/// What to report about one label that is not ours.
pub struct UnknownLabel<'a> {
    /// Its key, short and printable.
    pub key: String,
    /// Its value; not shown where it may be a password.
    pub value: Option<&'a str>,
    /// The case of its finding.
    pub case: FindingCase,
    /// What is wrong.
    pub message: String,
}

/// Everything to report about the keys of a service's labels. `is_published`: whether its other labels ask for publication.
pub fn unknown_labels(labels: &BTreeMap<String, String>, is_published: bool) -> Vec<UnknownLabel<'_>> {
    labels.iter().filter_map(|(key, value)| unknown_label_of(key, value, is_published)).collect()
}

/// The labels that ask for an access control that does not exist here, so that no client may be admitted.
pub fn access_control_labels(labels: &BTreeMap<String, String>) -> impl Iterator<Item = (&String, &String)> {
    labels.iter().filter(|(key, value)| access_key(key, value).is_some())
}

fn unknown_label_of<'a>(key: &str, value: &'a str, is_published: bool) -> Option<UnknownLabel<'a>> {
    let requested = access_key(key, value);
    let secret = requested.is_some();
    let unknown_label = |case: FindingCase, message: &str| {
        let value = (!secret).then_some(value);
        Some(UnknownLabel { key: excerpt(requested.unwrap_or(key), 120), value, case, message: message.to_owned() })
    };
    if is_published && secret {
        let message = "there is no such label, but it looks like access control; to prevent unintended access, the service's routes \
                       are closed and answer 503";
        return unknown_label(cases::UnknownAccessLabel.into(), message);
    }
    if key == "com.docker.network" {
        let message = "Swarmgate does not read this label: com.docker.lb.network chooses the network of the proxies";
        return unknown_label(cases::UnknownLabel::DockerNetwork.into(), message);
    }
    let name = unknown_name(key)?;
    let hidden = first_invisible(key).map_or_else(String::new, |unseen| format!(": its name contains {unseen}"));
    unknown_label(case_of_name(&name), &format!("there is no such label; it has no effect{hidden}"))
}

/// The key of a label that asks for an access control, without parts that must not be shown: its value may be a password, even where it
/// became part of the name. `None`: the label asks for no access control.
pub fn access_key<'v, 'k: 'v>(key: &'k str, value: &'v str) -> Option<&'k str> {
    let (key, value) = parted(key, value.trim());
    let requested = !value.is_empty() && !matches!(value_grammar::boolean(value), Ok(false));
    let other = || begins(&plain(key), OTHER_PREFIX);
    (requested && unknown_name(key).or_else(other).is_some_and(|name| sounds_like_access_control(&name))).then_some(key)
}

/// A key and its value, separated where they were written as one: `basic_auth=user:password` as an item of a mapping, or with a
/// colon as an item of a list.
fn parted<'v, 'k: 'v>(key: &'k str, value: &'v str) -> (&'k str, &'v str) {
    let begins = key.len() - key.trim_start().len();
    let is_end = |c: char| matches!(c, ':' | '=') || (value.is_empty() && c.is_whitespace());
    let Some((at, c)) = key.char_indices().find(|(at, c)| *at > begins && is_end(*c)) else { return (key, value) };
    let joined = key[at + c.len_utf8()..].trim_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '='));
    (&key[..at], if value.is_empty() { joined } else { value })
}

/// A key without invisible characters.
fn plain(key: &str) -> String {
    without_invisible(key).trim().to_owned()
}

/// What follows our prefix (in any case, with blanks and hidden characters) in a key that is not a known label.
fn unknown_name(key: &str) -> Option<String> {
    let known = key.strip_prefix(PREFIX).is_some_and(|name| LABELS.iter().any(|info| info.name == name));
    if known { None } else { begins(&plain(key), PREFIX) }
}

/// What follows a prefix, in any case.
fn begins(key: &str, prefix: &str) -> Option<String> {
    let (before, name) = (key.get(..prefix.len())?, key.get(prefix.len()..)?);
    before.eq_ignore_ascii_case(prefix).then(|| name.to_owned())
}

/// The case of an unknown name.
fn case_of_name(name: &str) -> FindingCase {
    let names = || LABELS.iter().map(|info| info.name);
    let before = name.split([':', '=', ' ']).next().filter(|before| before.len() < name.len());
    if let Some(known) = before.and_then(|before| names().find(|known| before.eq_ignore_ascii_case(known))) {
        return cases::UnknownLabel::Joined { label: &format!("{PREFIX}{known}") }.into();
    }
    match nearest(name, names()) {
        Some(known) => cases::UnknownLabel::Similar { label: &format!("{PREFIX}{known}") }.into(),
        None => cases::UnknownLabel::Other.into(),
    }
}
