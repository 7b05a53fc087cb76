//! Seals on objects: a label that only the holder of the authority's key can write, so that a user who may create objects
//! with our labels cannot pass one off as the operator's own. A seal covers the identity and name of an object, not its
//! content: contents have digests or signatures of their own.

use std::fmt;

use ring::hmac;

use crate::types::Digest;

/// Writes seals and recognises them.
#[derive(Clone)]
pub struct Seals {
    authority: Digest,
    key: Option<hmac::Key>,
}

/// What a seal proves about an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealOrigin {
    /// This operator created it.
    Ours,
    /// It has no seal, or one of another operator.
    Foreign,
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seals").field("authority", &self.authority).finish_non_exhaustive()
    }
}

impl PartialEq for Seals {
    fn eq(&self, other: &Self) -> bool {
        self.authority == other.authority && self.key.is_some() == other.key.is_some()
    }
}

impl Seals {
    pub(super) fn new(authority: Digest, key: hmac::Key) -> Self {
        Self { authority, key: Some(key) }
    }

    /// For read-only use without the authority's key: trusts existing seals, and writes none.
    pub fn believing(authority: Digest) -> Self {
        Self { authority, key: None }
    }

    /// The fingerprint of the authority.
    pub fn authority(&self) -> &Digest {
        &self.authority
    }

    /// The seal for these parts; `None` without a key.
    pub fn seal(&self, parts: &[&str]) -> Option<String> {
        self.key.as_ref().map(|key| hex::encode(hmac::sign(key, &message(parts))))
    }

    /// The origin of the object with these parts, according to this label.
    pub fn check(&self, parts: &[&str], label: Option<&str>) -> SealOrigin {
        let holds = match (&self.key, label) {
            (None, label) => label.is_some(),
            (Some(key), Some(label)) => {
                hex::decode(label).is_ok_and(|tag| tag.len() == 32 && hmac::verify(key, &message(parts), &tag).is_ok())
            }
            (Some(_), None) => false,
        };
        if holds { SealOrigin::Ours } else { SealOrigin::Foreign }
    }
}

/// Prefixes each part with its length, so that no two lists of parts produce the same bytes.
fn message(parts: &[&str]) -> Vec<u8> {
    parts.iter().flat_map(|part| (part.len() as u64).to_be_bytes().into_iter().chain(part.bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Authority;

    #[test]
    fn a_seal_is_valid_only_for_its_own_parts_and_authority() {
        let now = jiff::Timestamp::now();
        let (seals, others) = (Authority::create(now).unwrap().seals(), Authority::create(now).unwrap().seals());
        let seal = seals.seal(&["secret", "dev"]).unwrap();
        assert_eq!(seals.check(&["secret", "dev"], Some(&seal)), SealOrigin::Ours);
        for (parts, label) in [
            (&["secret", "prod"][..], Some(seal.as_str())),
            (&["secretdev"], Some(seal.as_str())),
            (&["secret", "dev"], Some(&seal[..32])),
            (&["secret", "dev"], Some("")),
            (&["secret", "dev"], None),
        ] {
            assert_eq!(seals.check(parts, label), SealOrigin::Foreign, "{parts:?} {label:?}");
        }
        assert_eq!(others.check(&["secret", "dev"], Some(&seal)), SealOrigin::Foreign);
    }
}
