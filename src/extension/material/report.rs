//! What the operator is told about material: names and states, never contents.

use std::path::Path;

use super::{Authority, Found, Pair};
use crate::channel::wire::{MaterialReport, MaterialState};
use crate::extension::certificates::{Facts, Fault};
use crate::route::{MaterialRef, RouteTable, TlsBinding, Verification};

/// About a certificate and its key.
pub(super) fn of_pair(binding: &TlsBinding, found: &Found<Pair>) -> MaterialReport {
    let report = of(&binding.certificate, found, |pair| &pair.facts);
    MaterialReport { key: Some(binding.key_object().name.to_string()), ..report }
}

/// About a CA.
pub(super) fn of_authority(authority: &MaterialRef, found: &Found<Authority>) -> MaterialReport {
    of(authority, found, |authority| &authority.facts)
}

/// About the system's root certificates: only when a route asks for them and they are not there.
pub(super) fn of_system_roots(table: &RouteTable, file: &Path) -> Option<MaterialReport> {
    let is_wanted = table.backends().any(|backend| backend.protocol.tls == Some(Verification::System));
    (is_wanted && !file.exists()).then(|| MaterialReport {
        certificate: file.display().to_string(),
        key: None,
        state: MaterialState::Missing,
        words: "the image of extension and proxies has no root certificates".to_owned(),
        not_after: None,
        names: Vec::new(),
    })
}

fn of<T>(object: &MaterialRef, found: &Found<T>, facts: impl Fn(&T) -> &Facts) -> MaterialReport {
    let (state, words) = match found {
        Found::Good(_) => (MaterialState::Good, String::new()),
        Found::Awaited => (MaterialState::Awaited, "it is not mounted yet; what was used before stays in use".to_owned()),
        Found::Bad(Fault { state, words, .. }) => (*state, words.clone()),
    };
    let (not_after, names) = match found {
        Found::Good(good) => (Some(facts(good).not_after), facts(good).names.clone()),
        Found::Bad(fault) => (fault.not_after, Vec::new()),
        Found::Awaited => (None, Vec::new()),
    };
    MaterialReport { certificate: object.name.to_string(), key: None, state, words, not_after, names }
}
