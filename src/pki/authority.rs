//! The operator's certificate authority. It signs certificates for the roles of the channel and for nothing else, whatever
//! a request asks for: names and times are set by the authority. It must never print its key.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use ring::hmac;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;

use super::certificate_names::{ChannelRole, OPERATOR_NAME, is_task_name, role_name, task_name};
use super::credentials::{ChannelIdentity, request};
use super::seal::Seals;
use super::trust::TrustRoot;
use crate::types::ClusterName;

/// The validity of a channel certificate. A proxy that cannot renew its certificate keeps its current configuration:
/// without an operator there is nothing newer to get.
pub const CERTIFICATE_LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// How far another node's clock may be behind the operator's.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(1);
/// The validity of the authority itself.
const AUTHORITY_LIFETIME: SignedDuration = SignedDuration::from_hours(20 * 365 * 24);

/// The authority, with its key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: TrustRoot,
}

/// Why there is no authority. Contains nothing of what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The key could not be generated.
    #[error("cannot generate a key")]
    Generate,
    /// The certificate could not be created.
    #[error("cannot sign the certificate")]
    Sign,
    /// The text contains no certificate, or one that cannot be an authority's.
    #[error("it contains no certificate of a CA in PEM format")]
    NoCertificate,
    /// The text contains no key.
    #[error("it contains no private key in PEM format (PKCS#8)")]
    NoKey,
    /// The key belongs to another certificate.
    #[error("the private key does not match the certificate")]
    Mismatch,
}

/// Why a certificate is not issued. Contains nothing of what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The request is not a PKCS#10 request in PEM form, or another key signed it.
    #[error("invalid certificate request")]
    Unreadable,
    /// The task id cannot be part of a certificate name.
    #[error("invalid task id")]
    Task,
    /// Signing failed.
    #[error("cannot sign the certificate")]
    Sign,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("fingerprint", &self.root.fingerprint()).finish_non_exhaustive()
    }
}

impl Authority {
    /// Creates an authority with a new key.
    pub fn create(now: Timestamp) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate().map_err(|_| AuthorityError::Generate)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(|_| AuthorityError::Sign)?;
        params.distinguished_name.push(DnType::CommonName, "Swarmgate operator");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = moment(now.saturating_sub(CLOCK_SKEW).unwrap_or(Timestamp::MIN));
        params.not_after = moment(now.saturating_add(AUTHORITY_LIFETIME).unwrap_or(Timestamp::MAX));
        let certificate = params.self_signed(&key).map_err(|_| AuthorityError::Sign)?;
        let root = TrustRoot::new(certificate.der().clone()).ok_or(AuthorityError::NoCertificate)?;
        Ok(Self { issuer: Issuer::new(params, key), root })
    }

    /// Reads an authority from the text that [`Authority::to_pem`] wrote.
    pub fn from_pem(text: &str) -> Result<Self, AuthorityError> {
        let certificate = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| AuthorityError::NoCertificate)?;
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| AuthorityError::NoKey)?;
        let key = KeyPair::try_from(&key).map_err(|_| AuthorityError::NoKey)?;
        let root = TrustRoot::new(certificate.clone()).ok_or(AuthorityError::NoCertificate)?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|_| AuthorityError::NoCertificate)?;
        let authority = Self { issuer, root };
        authority.proven()
    }

    /// Checks that a certificate signed by the key chains to the certificate that came with it.
    fn proven(self) -> Result<Self, AuthorityError> {
        let now = self.valid_from().ok_or(AuthorityError::NoCertificate)?;
        let probe = KeyPair::generate().map_err(|_| AuthorityError::Generate)?;
        let signed = self.sign(vec![OPERATOR_NAME.to_owned()], &probe, now).ok_or(AuthorityError::Sign)?;
        self.root.verify(&signed, OPERATOR_NAME, now).map_err(|_| AuthorityError::Mismatch)?;
        Ok(self)
    }

    fn valid_from(&self) -> Option<Timestamp> {
        let (_, parsed) = x509_parser::parse_x509_certificate(self.root.certificate()).ok()?;
        let from = Timestamp::from_second(parsed.validity().not_before.timestamp()).ok()?;
        from.checked_add(CLOCK_SKEW).ok()
    }

    /// Certificate and key as PEM: only for the operator's own secret.
    pub fn to_pem(&self) -> String {
        let certificate = pem_of(self.root.certificate());
        format!("{certificate}{}", self.issuer.key().serialize_pem())
    }

    /// The public part of the authority.
    pub fn root(&self) -> &TrustRoot {
        &self.root
    }

    /// Its certificate as PEM.
    pub fn root_pem(&self) -> String {
        pem_of(self.root.certificate())
    }

    /// The seals on objects by which this operator recognises its own.
    pub fn seals(&self) -> Seals {
        Seals::new(self.root.fingerprint(), self.derived("seal"))
    }

    /// A secret of 256 bits that only the holder of this key can compute, as hexadecimal digits; the same for the same
    /// purpose.
    pub fn derive(&self, purpose: &str) -> String {
        hex::encode(hmac::sign(&self.derived("derive"), purpose.as_bytes()))
    }

    fn derived(&self, use_: &str) -> hmac::Key {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.issuer.key().serialized_der());
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, format!("swarmgate/v1 {use_}").as_bytes()).as_ref())
    }

    /// Issues the certificate for a request. Of the request, only its public key is used, after checking that it was signed
    /// with the private one.
    pub fn sign_request(
        &self,
        role: ChannelRole,
        cluster: &ClusterName,
        task: &str,
        request_pem: &str,
        now: Timestamp,
    ) -> Result<CertificateDer<'static>, RequestError> {
        if !is_task_name(task) {
            return Err(RequestError::Task);
        }
        let request = CertificateSigningRequestParams::from_pem(request_pem).map_err(|_| RequestError::Unreadable)?;
        let names = vec![role_name(role, cluster), task_name(role, cluster, task)];
        self.sign(names, &request.public_key, now).ok_or(RequestError::Sign)
    }

    /// Issues a key and certificate for the operator itself.
    pub fn own(&self, now: Timestamp) -> Result<ChannelIdentity, AuthorityError> {
        let key = KeyPair::generate().map_err(|_| AuthorityError::Generate)?;
        let certificate = self.sign(vec![OPERATOR_NAME.to_owned()], &key, now).ok_or(AuthorityError::Sign)?;
        ChannelIdentity::new(&key, certificate).ok_or(AuthorityError::Sign)
    }

    fn sign(&self, names: Vec<String>, key: &impl PublicKeyData, now: Timestamp) -> Option<CertificateDer<'static>> {
        let mut params = CertificateParams::new(names).ok()?;
        params.distinguished_name.push(DnType::CommonName, "Swarmgate channel");
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = moment(now.checked_sub(CLOCK_SKEW).ok()?);
        params.not_after = moment(now.checked_add(CERTIFICATE_LIFETIME).ok()?);
        Some(params.signed_by(key, &self.issuer).ok()?.der().clone())
    }
}

fn pem_of(certificate: &CertificateDer<'_>) -> String {
    pem::encode_config(&pem::Pem::new("CERTIFICATE", certificate.to_vec()), pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
}

fn moment(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

impl ChannelIdentity {
    /// Issues a key and certificate directly, for tests and for callers that have the authority.
    pub fn issued_by(authority: &Authority, role: ChannelRole, cluster: &ClusterName, task: &str, now: Timestamp) -> Option<Self> {
        let (key, request) = request().ok()?;
        Self::new(&key, authority.sign_request(role, cluster, task, &request, now).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::NotTrusted;

    fn now() -> Timestamp {
        Timestamp::now()
    }

    fn cluster(name: &str) -> ClusterName {
        ClusterName::parse(name).unwrap()
    }

    fn request(names: &[&str]) -> String {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        CertificateParams::new(names).unwrap().serialize_request(&key).unwrap().pem().unwrap()
    }

    #[test]
    fn a_certificate_is_valid_only_for_its_role_cluster_and_task_regardless_of_the_request() {
        let authority = Authority::create(now()).unwrap();
        let two_names = request(&[OPERATOR_NAME, "extension.dev.swarmgate.internal"]);
        let certificate = authority.sign_request(ChannelRole::Proxy, &cluster("dev"), "t1", &two_names, now()).unwrap();
        let check = |name: &str| authority.root().verify(&certificate, name, now());
        assert_eq!(check("proxy.dev.swarmgate.internal"), Ok(()));
        assert_eq!(check("t1.proxy.dev.swarmgate.internal"), Ok(()));
        for other in [OPERATOR_NAME, "extension.dev.swarmgate.internal", "proxy.prod.swarmgate.internal", "t2.proxy.dev.swarmgate.internal"]
        {
            assert_eq!(check(other), Err(NotTrusted::Name { wanted: other.to_owned() }));
        }
    }

    #[test]
    fn a_certificate_is_short_lived_and_chains_only_to_its_own_authority() {
        let (authority, other) = (Authority::create(now()).unwrap(), Authority::create(now()).unwrap());
        let certificate = authority.sign_request(ChannelRole::Proxy, &cluster("dev"), "t1", &request(&[]), now()).unwrap();
        let name = "proxy.dev.swarmgate.internal";
        assert_eq!(other.root().verify(&certificate, name, now()), Err(NotTrusted::Chain));
        let later = now().checked_add(CERTIFICATE_LIFETIME).unwrap().checked_add(SignedDuration::from_secs(5)).unwrap();
        assert_eq!(authority.root().verify(&certificate, name, later), Err(NotTrusted::Chain));
        let earlier = now().checked_sub(SignedDuration::from_hours(2)).unwrap();
        assert_eq!(authority.root().verify(&certificate, name, earlier), Err(NotTrusted::Chain));
    }

    #[test]
    fn an_authority_is_restored_from_its_text_with_the_same_secrets_and_invalid_text_is_rejected() {
        let authority = Authority::create(now()).unwrap();
        let text = authority.to_pem();
        let again = Authority::from_pem(&text).unwrap();
        assert_eq!(again.root(), authority.root());
        assert_eq!(again.derive("status"), authority.derive("status"));
        assert_ne!(again.derive("status"), authority.derive("other"));
        let other = Authority::create(now()).unwrap().to_pem();
        let key_of = |text: &str| text[text.find("-----BEGIN PRIVATE").unwrap()..].to_owned();
        let mixed = format!("{}{}", authority.root_pem(), key_of(&other));
        assert_eq!(Authority::from_pem(&mixed).unwrap_err(), AuthorityError::Mismatch);
        assert_eq!(Authority::from_pem(&authority.root_pem()).unwrap_err(), AuthorityError::NoKey);
        assert_eq!(Authority::from_pem("").unwrap_err(), AuthorityError::NoCertificate);
        assert!(!format!("{authority:?}").contains("PRIVATE"));
    }

    #[test]
    fn an_invalid_request_or_task_gets_no_certificate() {
        let authority = Authority::create(now()).unwrap();
        let sign = |task: &str, request: &str| authority.sign_request(ChannelRole::Extension, &cluster("dev"), task, request, now());
        assert_eq!(sign("t1", "nothing").unwrap_err(), RequestError::Unreadable);
        assert_eq!(sign("a.b", &request(&[])).unwrap_err(), RequestError::Task);
    }
}
