//! Reasons for clients to refuse a certificate that the engine accepts: kinds of keys and signatures that browsers refuse. Only the
//! engine decides what is used; this only reports.

use x509_parser::prelude::{SubjectPublicKeyInfo, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::protocol::messages::{CertificateWarning, CertificateWarningKind};

/// Every browser requires at least this.
const RSA_BITS_MIN: usize = 2048;

/// Checks the key of the server's own certificate.
pub(super) fn key_warning(certificate: &X509Certificate<'_>) -> Option<CertificateWarning> {
    let info = certificate.public_key();
    let message = match info.algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.1" => return short_rsa(info.parsed()),
        "1.2.840.10045.2.1" => curve(info),
        "1.3.101.112" => Some("its key type is Ed25519, which no browser accepts"),
        "1.3.101.113" => Some("its key type is Ed448, which no browser accepts"),
        "1.2.840.10040.4.1" => Some("its key type is DSA, which clients no longer accept"),
        "1.2.840.113549.1.1.10" => Some("its key is for RSASSA-PSS only, which most browsers reject"),
        _ => Some("its key type is unknown to browsers"),
    };
    message.map(|message| doubt(CertificateWarningKind::Key, message))
}

fn short_rsa(key: Result<PublicKey<'_>, impl Sized>) -> Option<CertificateWarning> {
    let Ok(PublicKey::RSA(key)) = key else { return None };
    let bits = 8 * key.modulus.iter().skip_while(|byte| **byte == 0).count();
    (bits < RSA_BITS_MIN)
        .then(|| doubt(CertificateWarningKind::Key, format!("its RSA key has {bits} bits; clients require at least {RSA_BITS_MIN}")))
}

fn curve(key: &SubjectPublicKeyInfo<'_>) -> Option<&'static str> {
    let curve = key.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
    match curve.map(|oid| oid.to_id_string()).as_deref() {
        // P-256 and P-384.
        Some("1.2.840.10045.3.1.7" | "1.3.132.0.34") => None,
        Some("1.3.132.0.35") => Some("its key uses the curve P-521, which some browsers (such as Chrome) reject"),
        _ => Some("its key uses a curve that browsers reject; they accept P-256 and P-384"),
    }
}

/// Checks the signature of a certificate that clients verify. `which` names it: `it`, or a position in the chain.
pub(super) fn signature_warning(certificate: &X509Certificate<'_>, which: &str) -> Option<CertificateWarning> {
    let kind = match certificate.signature_algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.2" | "1.2.840.113549.1.1.3" | "1.2.840.113549.1.1.4" | "1.3.14.3.2.3" => {
            "with MD5 or an older algorithm, which every client rejects"
        }
        "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" | "1.2.840.10040.4.3" | "1.3.14.3.2.29" | "1.3.14.3.2.27" => {
            "with SHA-1, which browsers reject"
        }
        "1.2.840.113549.1.1.14" | "1.2.840.10045.4.3.1" => "with SHA-224, which browsers reject",
        "1.3.101.112" => "with Ed25519, which no browser accepts",
        "1.3.101.113" => "with Ed448, which no browser accepts",
        "2.16.840.1.101.3.4.3.1" | "2.16.840.1.101.3.4.3.2" => "with DSA, which clients no longer accept",
        _ => return None,
    };
    Some(doubt(CertificateWarningKind::Signature, format!("{which} is signed {kind}")))
}

fn doubt(kind: CertificateWarningKind, message: impl Into<String>) -> CertificateWarning {
    CertificateWarning { kind, message: message.into() }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;
    use x509_parser::prelude::FromDer as _;

    use super::*;

    /// RSA with 1024 bits, signed with SHA-1, which no library here can make. Its key was not kept.
    const OLD: &str = "\
-----BEGIN CERTIFICATE-----
MIIBijCB9AIBATANBgkqhkiG9w0BAQUFADANMQswCQYDVQQDDAJjYTAeFw0yNjEx
MjgyMjU2NDVaFw0zNTAyMTQyMjU2NDVaMA8xDTALBgNVBAMMBGxlYWYwgZ8wDQYJ
KoZIhvcNAQEBBQADgY0AMIGJAoGBAK6AvkMqdu8TJSQy1ihAIhw6i7UCJ4yoSuJk
jMQY6vyDYkcHzUnqUX/v3li6pdrlHjHI+9dGVhJ/NIcyFEDX0UHCu0g3fskS1d9l
i6pNIz8AaVaMEJv+3DuNj6cw8d3ch7iv6mnpCj5rxud2nuE7RtuI/dVPwwGtGFF1
kEk92O19AgMBAAEwDQYJKoZIhvcNAQEFBQADgYEAWA58Wc4Kpx+mRJWo4mU06yR1
p2/YngZD/6ZlVG86pzF26ZIIjU8yK0yyKp6RdsrbiPoMOIoJe7vyGNxRxqkU+lp+
yMfanB8oKvN/CAjSYJTrOkHtXJ3cYRFEdHDUNlZ7MrwQVwfB5nSlBBlX5nfG0ZQY
EXg2dzao5kLn/y2sbsI=
-----END CERTIFICATE-----";

    /// A certificate with a key of this kind, signed by another.
    fn made(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.distinguished_name.push(DnType::CommonName, "ca");
        let (ca, key) = (Issuer::new(ca, KeyPair::generate().unwrap()), KeyPair::generate_for(algorithm).unwrap());
        CertificateParams::new(vec!["a.example".to_owned()]).unwrap().signed_by(&key, &ca).unwrap().der().to_vec()
    }

    /// The same with these bytes replaced everywhere: nothing here verifies the signature.
    fn patched(der: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
        let mut der = der.to_vec();
        let offsets: Vec<usize> = (0..der.len()).filter(|at| der[*at..].starts_with(from)).collect();
        assert!(!offsets.is_empty() && from.len() == to.len());
        for at in offsets {
            der[at..at + to.len()].copy_from_slice(to);
        }
        der
    }

    fn check(der: &[u8], key: Option<&str>, signature: Option<&str>) {
        let (_, certificate) = X509Certificate::from_der(der).unwrap();
        for (doubt, expected) in [(key_warning(&certificate), key), (signature_warning(&certificate, "it"), signature)] {
            let message = doubt.map(|doubt| doubt.message);
            assert!(message.as_deref().unwrap_or_default().contains(expected.unwrap_or_default()), "{message:?}, not {expected:?}");
            assert_eq!(message.is_some(), expected.is_some(), "{message:?}");
        }
    }

    #[test]
    fn widely_supported_keys_and_signatures_raise_no_doubt() {
        check(&made(&rcgen::PKCS_ECDSA_P256_SHA256), None, None);
        check(&made(&rcgen::PKCS_ECDSA_P384_SHA384), None, None);
    }

    #[test]
    fn keys_and_signatures_that_clients_reject_are_reported() {
        let (plain, edwards) = (made(&rcgen::PKCS_ECDSA_P256_SHA256), made(&rcgen::PKCS_ED25519));
        check(&edwards, Some("Ed25519"), None);
        check(&patched(&edwards, &[0x2b, 0x65, 0x70], &[0x2b, 0x65, 0x71]), Some("Ed448"), None);
        let curve = [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
        check(&patched(&plain, &curve, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1]), Some("curve that browsers reject"), None);
        let sha256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
        check(&patched(&plain, &sha256, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 1]), None, Some("SHA-224"));
        let old = CertificateDer::from_pem_slice(OLD.as_bytes()).unwrap();
        check(&old, Some("1024 bits"), Some("SHA-1"));
        let (rsa_with, rsa) = ([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5], [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]);
        check(&patched(&old, &rsa_with, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4]), Some("1024 bits"), Some("MD5"));
        check(&patched(&old, &rsa, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10]), Some("RSASSA-PSS"), Some("SHA-1"));
    }
}
