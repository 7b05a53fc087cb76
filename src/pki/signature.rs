//! Signatures on configurations, which prove the origin of a configuration long after it was sent, from a boot snapshot or
//! a volume. The signer's certificate is included; it must have been valid at the time of signing, not at the time of
//! verification.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustls::SignatureScheme;
use rustls::sign::SigningKey;
use rustls_pki_types::CertificateDer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::trust::{NotTrusted, TrustRoot};

/// The maximum size of a channel certificate, in bytes of base64.
const CERTIFICATE_MAX: usize = 8 << 10;

/// A signature with everything that is needed to verify it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Signature {
    /// The signer's certificate (DER, base64). It chains to the operator's authority.
    pub certificate: String,
    /// When it was signed, within the validity of the certificate. Part of the signed content.
    pub signed_at: Timestamp,
    /// The signature: ECDSA on P-256 with SHA-256 (ASN.1, base64).
    pub value: String,
}

/// Signs with a key that never leaves memory.
#[derive(Clone)]
pub struct Signer {
    key: Arc<dyn SigningKey>,
    certificate: CertificateDer<'static>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

impl Signer {
    pub(super) fn new(key: Arc<dyn SigningKey>, certificate: CertificateDer<'static>) -> Self {
        Self { key, certificate }
    }

    /// Signs content. `None` if the key does not support this scheme.
    pub fn sign(&self, content: &[u8], now: Timestamp) -> Option<Signature> {
        // Whole seconds survive every time format.
        let signed_at = Timestamp::from_second(now.as_second()).ok()?;
        let signer = self.key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256])?;
        let value = signer.sign(&dated(content, signed_at)).ok()?;
        Some(Signature { certificate: STANDARD.encode(&self.certificate), signed_at, value: STANDARD.encode(value) })
    }
}

impl TrustRoot {
    /// Checks that the holder of a certificate for `name` signed this content.
    pub fn verify_signature(&self, content: &[u8], signature: &Signature, name: &str) -> Result<(), NotTrusted> {
        if signature.certificate.len() > CERTIFICATE_MAX {
            return Err(NotTrusted::Unreadable);
        }
        let certificate = STANDARD.decode(&signature.certificate).map_err(|_| NotTrusted::Unreadable)?;
        let value = STANDARD.decode(&signature.value).map_err(|_| NotTrusted::Signature)?;
        let certificate = CertificateDer::from(certificate);
        let signer = self.verified(&certificate, name, signature.signed_at)?;
        signer
            .verify_signature(webpki::ring::ECDSA_P256_SHA256, &dated(content, signature.signed_at), &value)
            .map_err(|_| NotTrusted::Signature)
    }
}

fn dated(content: &[u8], at: Timestamp) -> Vec<u8> {
    let mut message = format!("swarmgate/v1 configuration {}\n", at.as_second()).into_bytes();
    message.extend_from_slice(content);
    message
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::pki::{Authority, ChannelIdentity, ChannelRole, role_name};
    use crate::types::ClusterName;

    fn signer(authority: &Authority, role: ChannelRole, cluster: &ClusterName) -> Signer {
        ChannelIdentity::issued_by(authority, role, cluster, "t1", Timestamp::now()).unwrap().signer()
    }

    #[test]
    fn only_content_signed_by_the_extension_of_the_cluster_is_accepted() {
        let now = Timestamp::now();
        let (authority, other) = (Authority::create(now).unwrap(), Authority::create(now).unwrap());
        let (dev, prod) = (ClusterName::parse("dev").unwrap(), ClusterName::parse("prod").unwrap());
        let name = role_name(ChannelRole::Extension, &dev);
        let check = |signature: &Signature, content: &[u8]| authority.root().verify_signature(content, signature, &name);

        let good = signer(&authority, ChannelRole::Extension, &dev).sign(b"content", now).unwrap();
        assert_eq!(check(&good, b"content"), Ok(()));
        assert_eq!(check(&good, b"another"), Err(NotTrusted::Signature));
        let redated = Signature { signed_at: good.signed_at.checked_sub(SignedDuration::from_secs(60)).unwrap(), ..good.clone() };
        assert_eq!(check(&redated, b"content"), Err(NotTrusted::Signature));
        let before = Signature { signed_at: good.signed_at.checked_sub(SignedDuration::from_hours(2)).unwrap(), ..good };
        assert_eq!(check(&before, b"content"), Err(NotTrusted::Chain));

        let by = |authority, role, cluster| signer(authority, role, cluster).sign(b"content", now).unwrap();
        assert_eq!(check(&by(&other, ChannelRole::Extension, &dev), b"content"), Err(NotTrusted::Chain));
        let wrong_name = Err(NotTrusted::Name { wanted: name.clone() });
        assert_eq!(check(&by(&authority, ChannelRole::Proxy, &dev), b"content"), wrong_name);
        assert_eq!(check(&by(&authority, ChannelRole::Extension, &prod), b"content"), wrong_name);
    }
}
