//! What clients have against a certificate that the engine takes: kinds of keys and signatures that browsers refuse. The
//! engine alone decides what is used; this only tells.

use x509_parser::prelude::X509Certificate;
use x509_parser::public_key::PublicKey;

use crate::channel::wire::{Doubt, DoubtKind};

/// Every browser asks for as much.
const RSA_BITS_MIN: usize = 2048;

/// About the key of the server's own certificate.
pub(super) fn of_key(certificate: &X509Certificate<'_>) -> Option<Doubt> {
    let info = certificate.public_key();
    let words = match info.algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.1" => return short_rsa(info.parsed()),
        "1.2.840.10045.2.1" => {
            curve(info.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok()).map(|oid| oid.to_id_string()))
        }
        "1.3.101.112" => Some("its key is of the kind Ed25519, which no browser takes"),
        "1.3.101.113" => Some("its key is of the kind Ed448, which no browser takes"),
        "1.2.840.10040.4.1" => Some("its key is of the kind DSA, which no client takes any more"),
        "1.2.840.113549.1.1.10" => Some("its key is for RSASSA-PSS only, which most browsers refuse"),
        _ => Some("its key is of a kind that browsers do not know"),
    };
    words.map(|words| doubt(DoubtKind::Key, words))
}

fn short_rsa(key: Result<PublicKey<'_>, impl Sized>) -> Option<Doubt> {
    let Ok(PublicKey::RSA(key)) = key else { return None };
    let bits = 8 * key.modulus.iter().skip_while(|byte| **byte == 0).count();
    (bits < RSA_BITS_MIN).then(|| doubt(DoubtKind::Key, format!("its RSA key has {bits} bits, and clients want {RSA_BITS_MIN} at least")))
}

fn curve(oid: Option<String>) -> Option<&'static str> {
    match oid.as_deref() {
        // P-256 and P-384.
        Some("1.2.840.10045.3.1.7" | "1.3.132.0.34") => None,
        Some("1.3.132.0.35") => Some("its key is on the curve P-521, which some browsers (Chrome among them) refuse"),
        _ => Some("its key is on a curve that browsers refuse: they take P-256 and P-384"),
    }
}

/// About the signature of a certificate that clients check. `which` names it: `it`, or a place in the chain.
pub(super) fn of_signature(certificate: &X509Certificate<'_>, which: &str) -> Option<Doubt> {
    let kind = match certificate.signature_algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.2" | "1.2.840.113549.1.1.3" | "1.2.840.113549.1.1.4" | "1.3.14.3.2.3" => {
            "with MD5 or older, which every client refuses"
        }
        "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" | "1.2.840.10040.4.3" | "1.3.14.3.2.29" | "1.3.14.3.2.27" => {
            "with SHA-1, which browsers refuse"
        }
        "1.2.840.113549.1.1.14" | "1.2.840.10045.4.3.1" => "with SHA-224, which browsers refuse",
        "1.3.101.112" => "with Ed25519, which no browser takes",
        "1.3.101.113" => "with Ed448, which no browser takes",
        "2.16.840.1.101.3.4.3.1" | "2.16.840.1.101.3.4.3.2" => "with DSA, which no client takes any more",
        _ => return None,
    };
    Some(doubt(DoubtKind::Signature, format!("{which} is signed {kind}")))
}

fn doubt(kind: DoubtKind, words: impl Into<String>) -> Doubt {
    Doubt { kind, words: words.into() }
}
