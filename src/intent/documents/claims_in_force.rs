//! Versions in force keep what they claim: while a document is broken or cannot be read, its last good version remains in use, so
//! a document that claims the same name, label value, or port is refused, and its own last good version remains in use.
//!
//! It must never refuse a document because of a version that is no longer declared, or that a valid document replaces.

use std::collections::{BTreeMap, BTreeSet};

use super::exclusive_claim::ExclusiveClaim;
use super::{Declaration, Document, ObjectKey};
use crate::report::cases::DuplicateDeclaration;

/// What each version in force claims.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimsInForce(BTreeMap<ObjectKey, BTreeSet<ExclusiveClaim>>);

impl ClaimsInForce {
    /// What is claimed after a reading. A version without a valid document remains in force while it is, or may be, declared.
    #[must_use]
    pub fn after(&self, reading: &Declaration) -> Self {
        let mut all = self.0.clone();
        all.retain(|key, _| reading.incomplete || reading.objects.contains_key(key));
        all.extend(reading.claims.0.clone());
        Self(all)
    }

    /// Whether the version of this object in force makes the claim.
    pub(super) fn holds(&self, key: &ObjectKey, claim: &ExclusiveClaim) -> bool {
        self.0.get(key).is_some_and(|claims| claims.contains(claim))
    }

    /// Records what a valid document claims.
    pub(super) fn record(&mut self, key: ObjectKey, claims: &[(ExclusiveClaim, String)]) {
        let enforced = claims.iter().map(|(claim, _)| claim).filter(|claim| claim.is_enforced());
        self.0.insert(key, enforced.cloned().collect());
    }
}

/// Refuses every document that claims what a version in force claims. A refused document leaves its own last good version in
/// force, which can cause further refusals.
pub(super) fn refuse_claimants(in_force: &ClaimsInForce, documents: &mut [Document]) {
    loop {
        let kept = kept_claims(in_force, documents);
        let refused = documents.iter_mut().filter(|document| document.is_valid()).filter_map(|document| refuse(document, &kept)).count();
        if refused == 0 {
            break;
        }
    }
}

/// The claims of versions in force that no valid document replaces, each with the object that makes it.
fn kept_claims(in_force: &ClaimsInForce, documents: &[Document]) -> BTreeMap<ExclusiveClaim, ObjectKey> {
    let incomplete = documents.iter().any(Document::hides_names);
    let replaced: BTreeSet<ObjectKey> = documents.iter().filter(|document| document.is_valid()).filter_map(Document::key).collect();
    let named: BTreeSet<_> = documents.iter().filter_map(|document| Some((document.known_kind(), document.name()?))).collect();
    // A document without a known kind may be of any kind.
    let is_declared = |(kind, name): &ObjectKey| [Some(*kind), None].into_iter().any(|kind| named.contains(&(kind, name.clone())));
    let kept = in_force.0.iter().filter(|(key, _)| !replaced.contains(*key) && (incomplete || is_declared(key)));
    kept.flat_map(|(key, claims)| claims.iter().map(|claim| (claim.clone(), key.clone()))).collect()
}

/// What is wrong with one field: the claim without its port, and the object whose version in force makes the same claim.
type Conflict = (String, ExclusiveClaim, ObjectKey);

/// Reports the claims of a document that versions in force make. `None`: there is no such claim.
fn refuse(document: &mut Document, kept: &BTreeMap<ExclusiveClaim, ObjectKey>) -> Option<()> {
    let own = document.key()?;
    let mut conflicts = BTreeMap::<Conflict, Vec<u64>>::new();
    for (claim, pointer) in &document.claims {
        if let Some(holder) = kept.get(claim).filter(|holder| **holder != own) {
            let (claim, port) = claim.split();
            conflicts.entry((pointer.clone(), claim, holder.clone())).or_default().extend(port);
        }
    }
    for ((pointer, claim, (kind, name)), ports) in &conflicts {
        let message = format!("the version of {kind} {name} that is in force also {}, so this document is not used", claim.also(ports));
        document.mistakes.add(DuplicateDeclaration::InForce { remedy: claim.case().remedy() }, pointer, message);
    }
    (!conflicts.is_empty()).then_some(())
}
