//! Messages of nginx and OpenSSL about certificates and keys, by kind and in this project's wording: the originals may quote the
//! input.

use crate::runtime::{CertificateFault, CertificateFaultKind};

/// Part of a message, the kind of fault that it indicates, and the fault in this project's wording.
const KINDS: &[(&str, CertificateFaultKind, &str)] = &[
    ("key values mismatch", CertificateFaultKind::Mismatch, "the key belongs to another certificate"),
    ("key type mismatch", CertificateFaultKind::Mismatch, "the key belongs to another certificate with another key type"),
    ("ee key too small", CertificateFaultKind::Certificate, "its key is too short or too weak for the engine (RSA: at least 2048 bits)"),
    ("ca key too small", CertificateFaultKind::Certificate, "the key of a CA in it is too short for the engine (RSA: at least 2048 bits)"),
    ("md too weak", CertificateFaultKind::Certificate, "its signature algorithm is too weak for the engine"),
    ("unknown certificate type", CertificateFaultKind::Certificate, "the engine does not support its key type"),
    ("getting password", CertificateFaultKind::Key, "the key is encrypted, and proxies cannot enter its passphrase"),
    ("certificate key", CertificateFaultKind::Key, "the engine cannot read the key"),
    ("no start line", CertificateFaultKind::Certificate, "the engine finds no certificate in it"),
    ("bad base64 decode", CertificateFaultKind::Certificate, "a block in it is damaged (not valid base64)"),
    ("bad end line", CertificateFaultKind::Certificate, "a block in it has an invalid last line"),
    ("not proc type", CertificateFaultKind::Certificate, "a block in it begins with header lines that the engine cannot read"),
];

/// The fault of a certificate or key that a refusal indicates.
pub(super) fn parse_refusal(refusal: &str) -> CertificateFault {
    let line = refusal.lines().find(|line| line.contains("[emerg]")).unwrap_or(refusal);
    let known = KINDS.iter().find(|(part, ..)| line.contains(part));
    let (kind, message) =
        known.map_or((CertificateFaultKind::Certificate, "the engine cannot use it"), |(_, kind, message)| (*kind, *message));
    let number = number(line).map(|number| format!(" (OpenSSL error {number})")).unwrap_or_default();
    CertificateFault { kind, message: format!("{message}{number}") }
}

/// The number of an OpenSSL error, under which its manual says more: eight hexadecimal digits.
fn number(line: &str) -> Option<&str> {
    let number = line.split("error:").nth(1)?.get(..8)?;
    number.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, kind: CertificateFaultKind, expected: &str) {
        assert_eq!(parse_refusal(message), CertificateFault { kind, message: expected.to_owned() });
    }

    #[test]
    fn messages_are_classified_and_never_quoted() {
        let mismatch =
            "nginx: [emerg] SSL_CTX_use_PrivateKey(\"k.pem\") failed (SSL: error:05800074:x509 certificate routines::key values mismatch)";
        check(mismatch, CertificateFaultKind::Mismatch, "the key belongs to another certificate (OpenSSL error 05800074)");
        let unread =
            "nginx: [emerg] cannot load certificate key \"k.pem\": failed (SSL: error:1E08010C:DECODER routines::unsupported:MIIEvQIBADAN)";
        check(unread, CertificateFaultKind::Key, "the engine cannot read the key (OpenSSL error 1E08010C)");
        check("[emerg] MIIEvQIBADAN (SSL: error:MIIEvQIBADAN)", CertificateFaultKind::Certificate, "the engine cannot use it");
        check("MIIEvQIBADAN\n[warn] x\n", CertificateFaultKind::Certificate, "the engine cannot use it");
    }
}
