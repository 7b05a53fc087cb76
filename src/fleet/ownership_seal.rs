//! The content of an object's seal: what the object is, who owns it, and what its name is. Anyone who may create objects can
//! write labels, but only the operator can create a seal. Pure.

use std::collections::BTreeMap;

use crate::pki::{SealOrigin, Seals};
use crate::protocol::container_contract::{LABEL_SEAL, LABEL_TOKEN_DIGEST};

/// The kind of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// A service.
    Service,
    /// A config.
    Config,
    /// A secret.
    Secret,
}

/// The properties of an object that its seal covers.
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
    /// The labels with the object's seal. The seal of a secret covers the token's digest: no foreign token can replace it.
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
        // On other objects the label has no meaning: a user who may write it must not be able to break their seal.
        let token = labels.get(LABEL_TOKEN_DIGEST).filter(|_| self.kind == ObjectKind::Secret).map_or("", String::as_str);
        [kind, self.instance, self.cluster, self.role, self.name, token]
    }
}
