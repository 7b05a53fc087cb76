//! Reports to the operator about material: names and states, never contents.

use std::path::Path;

use jiff::Timestamp;

use super::{MaterialStatus, MountedAuthority, MountedPair};
use crate::extension::certificates::{CertificateFacts, MaterialFault};
use crate::protocol::messages::{MaterialReport, MaterialState};
use crate::route::{MaterialRef, RouteTable, TlsBinding, Verification};

/// The report on a certificate and its key.
pub(super) fn pair_report(binding: &TlsBinding, found: &MaterialStatus<MountedPair>, now: Timestamp) -> MaterialReport {
    let report = material_report(&binding.certificate, found, now, |pair| &pair.facts);
    let key = binding.key_object();
    MaterialReport { key: Some(key.name.to_string()), key_id: key.id.clone(), ..report }
}

/// The report on a CA.
pub(super) fn authority_report(authority: &MaterialRef, found: &MaterialStatus<MountedAuthority>, now: Timestamp) -> MaterialReport {
    material_report(authority, found, now, |authority| &authority.facts)
}

/// The report on the system's root certificates: only if a route needs them and they do not exist.
pub(super) fn system_roots_report(table: &RouteTable, file: &Path) -> Option<MaterialReport> {
    let is_wanted = table.backends().any(|backend| backend.protocol.tls == Some(Verification::System));
    (is_wanted && !file.exists()).then(|| MaterialReport {
        certificate: file.display().to_string(),
        certificate_id: None,
        key: None,
        key_id: None,
        state: MaterialState::Missing,
        message: "the image of the extension and the proxies has no root CA certificates".to_owned(),
        not_before: None,
        not_after: None,
        names: Vec::new(),
        more_names: 0,
        doubts: Vec::new(),
    })
}

fn material_report<T>(
    object: &MaterialRef,
    found: &MaterialStatus<T>,
    now: Timestamp,
    facts: impl Fn(&T) -> &CertificateFacts,
) -> MaterialReport {
    let blank = MaterialReport {
        certificate: object.name.to_string(),
        certificate_id: object.id.clone(),
        key: None,
        key_id: None,
        state: MaterialState::Good,
        message: String::new(),
        not_before: None,
        not_after: None,
        names: Vec::new(),
        more_names: 0,
        doubts: Vec::new(),
    };
    match found {
        MaterialStatus::Good(good) => {
            let (facts, names) = (facts(good), facts(good).names.clone());
            MaterialReport { not_after: facts.not_after(), names, more_names: facts.more_names, doubts: facts.warnings(now), ..blank }
        }
        MaterialStatus::Awaited => {
            let message = "it is not mounted yet; the previous material stays in use".to_owned();
            MaterialReport { state: MaterialState::Awaited, message, ..blank }
        }
        MaterialStatus::Early(fault) | MaterialStatus::Bad(fault) => {
            let MaterialFault { state, message, not_before, not_after } = fault.clone();
            MaterialReport { state, message, not_before, not_after, ..blank }
        }
    }
}
