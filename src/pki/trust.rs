//! The operator's certificate authority as other processes know it: its certificate, and what chains to it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::types::Digest;

/// The certificate of an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustRoot {
    certificate: CertificateDer<'static>,
}

/// Why a certificate or a signature is not trusted. Contains nothing of what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTrusted {
    /// It is not a certificate.
    #[error("it is not a certificate")]
    Unreadable,
    /// It is signed by another authority, or not valid at that time.
    #[error("the certificate does not chain to the operator's certificate authority, or is not valid at that time")]
    Chain,
    /// It is for another role, cluster or task.
    #[error("the certificate is not for {wanted}")]
    Name {
        /// The expected name.
        wanted: String,
    },
    /// The signature belongs to other content.
    #[error("the signature does not match the content")]
    Signature,
    /// There is no signature.
    #[error("there is no signature")]
    Unsigned,
}

impl TrustRoot {
    /// The root with this certificate. `None` if the certificate cannot be a root.
    pub fn new(certificate: CertificateDer<'static>) -> Option<Self> {
        anchor_from_trusted_cert(&certificate).ok()?;
        Some(Self { certificate })
    }

    /// Reads the first certificate of a PEM text.
    pub fn from_pem(text: &str) -> Option<Self> {
        Self::new(CertificateDer::from_pem_slice(text.as_bytes()).ok()?)
    }

    /// The certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The SHA-256 of the certificate, which identifies the authority.
    pub fn fingerprint(&self) -> Digest {
        Digest::of_bytes(&self.certificate)
    }

    /// The roots for TLS: only this one.
    pub fn store(&self) -> Arc<RootCertStore> {
        let mut store = RootCertStore::empty();
        store.extend(self.anchor());
        Arc::new(store)
    }

    /// Checks that a certificate chains to this root, is valid at that time, and is for this name.
    pub fn verify(&self, certificate: &CertificateDer<'_>, name: &str, at: Timestamp) -> Result<(), NotTrusted> {
        self.verified(certificate, name, at).map(|_| ())
    }

    pub(super) fn verified<'a>(
        &self,
        certificate: &'a CertificateDer<'_>,
        name: &str,
        at: Timestamp,
    ) -> Result<EndEntityCert<'a>, NotTrusted> {
        let parsed = EndEntityCert::try_from(certificate).map_err(|_| NotTrusted::Unreadable)?;
        let anchors: Vec<TrustAnchor<'_>> = self.anchor().into_iter().collect();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0)));
        let schemes = webpki::ALL_VERIFICATION_ALGS;
        parsed.verify_for_usage(schemes, &anchors, &[], time, KeyUsage::client_auth(), None, None).map_err(|_| NotTrusted::Chain)?;
        let other_name = || NotTrusted::Name { wanted: name.to_owned() };
        let wanted = ServerName::try_from(name).map_err(|_| other_name())?;
        parsed.verify_is_valid_for_subject_name(&wanted).map_err(|_| other_name())?;
        Ok(parsed)
    }

    fn anchor(&self) -> Option<TrustAnchor<'static>> {
        // `new` has checked this.
        anchor_from_trusted_cert(&self.certificate).ok().map(|anchor| anchor.to_owned())
    }
}
