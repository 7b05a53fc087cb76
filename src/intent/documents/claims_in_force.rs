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

    /// What the version of this object in force claims.
    fn of(&self, key: &ObjectKey) -> impl Iterator<Item = &ExclusiveClaim> {
        self.0.get(key).into_iter().flatten()
    }

    /// Records what a valid document claims.
    pub(super) fn record(&mut self, key: ObjectKey, claims: &[(ExclusiveClaim, String)]) {
        let enforced = claims.iter().map(|(claim, _)| claim).filter(|claim| claim.is_enforced());
        self.0.insert(key, enforced.cloned().collect());
    }
}

/// Refuses every document that claims what a version in force claims. A refused document leaves its own last good version in
/// force, which can cause further refusals: each round judges the documents that the one before can have affected.
pub(super) fn refuse_claimants(in_force: &ClaimsInForce, documents: &mut [Document]) {
    let mut kept = kept_claims(in_force, documents);
    let claimants = claimants(documents);
    let mut affected: BTreeSet<usize> = (0..documents.len()).collect();
    while !affected.is_empty() {
        affected.retain(|at| documents[*at].is_valid() && refuse(&mut documents[*at], &kept));
        let refused: Vec<ObjectKey> = affected.iter().filter_map(|at| documents[*at].key()).collect();
        affected.clear();
        for (key, claim) in refused.iter().flat_map(|key| in_force.of(key).map(move |claim| (key, claim))) {
            affected.extend(claimants.get(claim).into_iter().flatten());
            kept.insert(claim.clone(), Holder { key: key.clone(), is_declared: true });
        }
    }
}

/// The documents that make each claim, by their indices.
fn claimants(documents: &[Document]) -> BTreeMap<ExclusiveClaim, Vec<usize>> {
    let mut claimants = BTreeMap::<_, Vec<_>>::new();
    for (at, document) in documents.iter().enumerate() {
        for (claim, _) in &document.claims {
            claimants.entry(claim.clone()).or_default().push(at);
        }
    }
    claimants
}

/// An object whose version in force makes a claim.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Holder {
    key: ObjectKey,
    /// Whether a document that could be read declares it. If not, it stays in force only because of documents that could not.
    is_declared: bool,
}

/// The claims of versions in force that no valid document replaces.
fn kept_claims(in_force: &ClaimsInForce, documents: &[Document]) -> BTreeMap<ExclusiveClaim, Holder> {
    let incomplete = documents.iter().any(Document::hides_names);
    let replaced: BTreeSet<ObjectKey> = documents.iter().filter(|document| document.is_valid()).filter_map(Document::key).collect();
    let named: BTreeSet<_> = documents.iter().filter_map(|document| Some((document.known_kind(), document.name()?))).collect();
    // A document without a known kind may be of any kind.
    let is_declared = |(kind, name): &ObjectKey| [Some(*kind), None].into_iter().any(|kind| named.contains(&(kind, name.clone())));
    let without_document = in_force.0.iter().filter(|(key, _)| !replaced.contains(*key));
    let holders = without_document.map(|(key, claims)| (Holder { key: key.clone(), is_declared: is_declared(key) }, claims));
    let kept = holders.filter(|(holder, _)| incomplete || holder.is_declared);
    kept.flat_map(|(holder, claims)| claims.iter().map(move |claim| (claim.clone(), holder.clone()))).collect()
}

/// What is wrong with one field: the claim without its port, and the object whose version in force makes the same claim.
type Conflict = (String, ExclusiveClaim, Holder);

/// Reports the claims of a document that versions in force make. Whether there are any.
fn refuse(document: &mut Document, kept: &BTreeMap<ExclusiveClaim, Holder>) -> bool {
    let Some(own) = document.key() else { return false };
    let mut conflicts = BTreeMap::<Conflict, Vec<u64>>::new();
    for (claim, pointer) in &document.claims {
        if let Some(holder) = kept.get(claim).filter(|holder| holder.key != own) {
            let (claim, port) = claim.split();
            conflicts.entry((pointer.clone(), claim, holder.clone())).or_default().extend(port);
        }
    }
    for ((pointer, claim, Holder { key: (kind, name), is_declared }), ports) in &conflicts {
        let (also, case) = (claim.also(ports), claim.case());
        let remedy = case.remedy();
        if *is_declared {
            let message = format!("the version of {kind} {name} that is in force also {also}, so this document is not used");
            document.mistakes.add(DuplicateDeclaration::InForce { remedy }, pointer, message);
        } else {
            let message = format!(
                "the version of {kind} {name} that is in force also {also}, and a document that cannot be read may still declare it, so \
                 this document is not used"
            );
            document.mistakes.add(DuplicateDeclaration::InForceUnread { kind, name: name.as_str(), remedy }, pointer, message);
        }
    }
    !conflicts.is_empty()
}
