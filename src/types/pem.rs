//! Writes PEM text (RFC 7468): a single block. Never parses any: stored material is parsed where it is validated.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The label of an X.509 certificate.
pub const CERTIFICATE_LABEL: &str = "CERTIFICATE";

const LINE_CHARS: usize = 64;

/// A block with this label and these bytes.
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut body = String::with_capacity(text.len() + text.len() / LINE_CHARS + 1);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, others) = rest.split_at(rest.len().min(LINE_CHARS));
        body.push_str(line);
        body.push('\n');
        rest = others;
    }
    format!("-----BEGIN {label}-----\n{body}-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;

    use super::*;

    #[test]
    fn written_pem_reads_back_unchanged() {
        for length in [0, 1, 47, 48, 49, 1000] {
            let der: Vec<u8> = (0..length).map(|n: u32| n.to_le_bytes()[0]).collect();
            let text = pem(CERTIFICATE_LABEL, &der);
            assert!(text.lines().all(|line| line.len() <= LINE_CHARS) && text.ends_with("-----\n"));
            assert_eq!(CertificateDer::from_pem_slice(text.as_bytes()).unwrap().as_ref(), der);
        }
    }
}
