//! A key with its certificate, and a process's store for the newest one: TLS takes it from there at each handshake, so a
//! renewal replaces no task and cuts no connection.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair};
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::sync::watch;

use super::signature::Signer;
use super::trust::TrustRoot;

/// A key with its certificate.
#[derive(Clone)]
pub struct ChannelIdentity {
    certified: Arc<CertifiedKey>,
    certificate: CertificateDer<'static>,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// The key could not be generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot generate a key for the channel")]
pub struct CredentialsError;

impl fmt::Debug for ChannelIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyInHand").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

impl ChannelIdentity {
    /// Combines a key with the certificate issued for it. `None` if they do not belong together.
    pub fn new(key: &KeyPair, certificate: CertificateDer<'static>) -> Option<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).ok()?;
        let time = |at: x509_parser::time::ASN1Time| Timestamp::from_second(at.timestamp()).ok();
        let (not_before, not_after) = (time(parsed.validity().not_before)?, time(parsed.validity().not_after)?);
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing = ring::default_provider().key_provider.load_private_key(private).ok()?;
        let certified = CertifiedKey::new(vec![certificate.clone()], signing);
        certified.keys_match().ok()?;
        Some(Self { certified: Arc::new(certified), certificate, not_before, not_after })
    }

    /// When half of the certificate's validity is over: then a new one is requested.
    pub fn renew_at(&self) -> Timestamp {
        let half = self.not_after.duration_since(self.not_before) / 2;
        self.not_before.checked_add(half).unwrap_or(self.not_after)
    }

    /// The certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// When the certificate expires.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// A signer that signs with this certificate's key.
    pub fn signer(&self) -> Signer {
        Signer::new(Arc::clone(&self.certified.key), self.certificate().clone())
    }
}

/// Generates a key, and the request for its certificate as PEM.
pub fn request() -> Result<(KeyPair, String), CredentialsError> {
    let key = KeyPair::generate().map_err(|_| CredentialsError)?;
    // The authority chooses the names.
    let request = CertificateParams::new(Vec::new()).and_then(|params| params.serialize_request(&key)).and_then(|request| request.pem());
    request.map(|request| (key, request)).map_err(|_| CredentialsError)
}

/// The newest key of a process, and the root that it trusts. Clones share their content.
#[derive(Clone)]
pub struct Credentials {
    root: TrustRoot,
    current: watch::Sender<Option<ChannelIdentity>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("authority", &self.root.fingerprint()).field("current", &*self.current.borrow()).finish()
    }
}

impl Credentials {
    /// Credentials without a key yet.
    pub fn new(root: TrustRoot) -> Self {
        Self { root, current: watch::Sender::new(None) }
    }

    /// The root that the process trusts.
    pub fn root(&self) -> &TrustRoot {
        &self.root
    }

    /// The newest key, if there is one.
    pub fn current(&self) -> Option<ChannelIdentity> {
        self.current.borrow().clone()
    }

    /// The newest key, if its certificate is still valid.
    pub fn valid(&self, now: Timestamp) -> Option<ChannelIdentity> {
        self.current().filter(|key| now < key.not_after)
    }

    /// Takes a newer key into use.
    pub fn replace(&self, key: ChannelIdentity) {
        self.current.send_replace(Some(key));
    }

    /// Waits for the first key. Safe to cancel.
    pub async fn ready(&self) -> ChannelIdentity {
        let mut current = self.current.subscribe();
        loop {
            if let Some(key) = current.borrow_and_update().clone() {
                return key;
            }
            if current.changed().await.is_err() {
                // Unreachable: `self` holds the sender.
                std::future::pending::<()>().await;
            }
        }
    }

    pub(super) fn resolver(&self) -> Arc<Resolver> {
        Arc::new(Resolver(self.current.clone()))
    }
}

/// Gives TLS the newest key at each handshake.
pub(super) struct Resolver(watch::Sender<Option<ChannelIdentity>>);

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver(…)")
    }
}

impl Resolver {
    fn newest(&self) -> Option<Arc<CertifiedKey>> {
        self.0.borrow().as_ref().map(|key| Arc::clone(&key.certified))
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.newest()
    }
}

impl ResolvesClientCert for Resolver {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.newest()
    }

    fn has_certs(&self) -> bool {
        self.newest().is_some()
    }
}
