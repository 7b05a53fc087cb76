//! What the seal of an object says: what it is, whose, and how it is called. Labels alone can be written by everybody who
//! may create objects; a seal by the operator only. Pure.

use std::collections::BTreeMap;

use crate::pki::{SealOrigin, Seals};
use crate::protocol::container_contract::{LABEL_SEAL, LABEL_TOKEN_DIGEST};

/// What kind of object it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// A service.
    Service,
    /// A config.
    Config,
    /// A secret.
    Secret,
}

/// An object as its seal describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedObject<'a> {
    /// Its kind.
    pub kind: ObjectKind,
    /// The operator's instance name.
    pub instance: &'a str,
    /// The cluster.
    pub cluster: &'a str,
    /// The value of its role label.
    pub role: &'a str,
    /// Its name.
    pub name: &'a str,
}

impl SealedObject<'_> {
    /// The labels with the object's seal. Of a secret the token's digest is part of it: nobody else's token can stand in its place.
    pub fn seal(&self, seals: &Seals, mut labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let seal = seals.seal(&self.parts(&labels));
        labels.extend(seal.map(|seal| (LABEL_SEAL.to_owned(), seal)));
        labels
    }

    /// Whether the operator with these seals created the object with these labels.
    pub fn is_sealed(&self, seals: &Seals, labels: &BTreeMap<String, String>) -> bool {
        seals.check(&self.parts(labels), labels.get(LABEL_SEAL).map(String::as_str)) == SealOrigin::Ours
    }

    fn parts<'b>(&'b self, labels: &'b BTreeMap<String, String>) -> [&'b str; 6] {
        let kind = match self.kind {
            ObjectKind::Service => "service",
            ObjectKind::Config => "config",
            ObjectKind::Secret => "secret",
        };
        // On other objects the label says nothing: whoever may write it must not break their seal.
        let token = labels.get(LABEL_TOKEN_DIGEST).filter(|_| self.kind == ObjectKind::Secret).map_or("", String::as_str);
        [kind, self.instance, self.cluster, self.role, self.name, token]
    }
}
