//! Reads certificates and keys as people store them, and says in words what is wrong with them. Pure: no files, no clock.
//! Says nothing about an engine: what is good here and the engine refuses all the same is found out by asking it.

use jiff::Timestamp;
use rustls::crypto::ring;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, SubjectPublicKeyInfo, X509Certificate};

use crate::channel::wire::MaterialState;
use crate::types::HostPattern;

/// The most that an object holds: Swarm's own limit for a secret is 500 KB, for a config 1 MB.
pub(super) const BYTES_MAX: usize = 1 << 20;

/// What is known of good material.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// When the server's certificate expires; of several CAs the last.
    pub(super) not_after: Timestamp,
    /// The host names that it is for, in lower case.
    pub(super) names: Vec<String>,
}

/// What is wrong with material, for the one who stored it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) state: MaterialState,
    pub(super) words: String,
    /// When it expired, if that is what is wrong.
    pub(super) not_after: Option<Timestamp>,
}

impl Fault {
    pub(super) fn new(state: MaterialState, words: impl Into<String>) -> Self {
        Self { state, words: words.into(), not_after: None }
    }
}

/// A certificate with its chain and its key, each as the content of its object; both may be the same object.
pub(super) fn read_pair(certificate: &[u8], key: &[u8]) -> Result<Facts, Fault> {
    let chain = certificates(certificate)?;
    let parsed = chain.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let key = private_key(key)?;
    if let Some(public) = public_key(key) {
        check_match(&parsed, &public)?;
    }
    // A chain is never empty.
    parsed.first().ok_or_else(no_certificate).and_then(|leaf| Ok(Facts { not_after: not_after(leaf)?, names: names(leaf) }))
}

/// The certificates of one or several CAs.
pub(super) fn read_authority(content: &[u8]) -> Result<Facts, Fault> {
    let chain = certificates(content)?;
    let times = chain.iter().map(|der| not_after(&parse(der)?)).collect::<Result<Vec<_>, _>>()?;
    times.into_iter().max().map(|not_after| Facts { not_after, names: Vec::new() }).ok_or_else(no_certificate)
}

fn no_certificate() -> Fault {
    Fault::new(MaterialState::NotACertificate, "it holds no certificate")
}

fn certificates(content: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    check_text(content, MaterialState::NotACertificate, "openssl x509 -inform der")?;
    let found = CertificateDer::pem_slice_iter(content).collect::<Result<Vec<_>, _>>();
    let damaged = |error| Fault::new(MaterialState::NotACertificate, format!("its PEM text is damaged: {error}"));
    let found = found.map_err(damaged)?;
    if found.is_empty() {
        let holds_key = PrivateKeyDer::from_pem_slice(content).is_ok();
        return Err(if holds_key {
            Fault::new(MaterialState::NotACertificate, "it holds a key and no certificate")
        } else {
            no_certificate()
        });
    }
    Ok(found)
}

fn private_key(content: &[u8]) -> Result<PrivateKeyDer<'static>, Fault> {
    let fault = |words: &str| Fault::new(MaterialState::NotAKey, words);
    check_text(content, MaterialState::NotAKey, "openssl pkey -inform der")?;
    let text = String::from_utf8_lossy(content);
    // Two forms: a kind of PEM section of its own, and a header in an old one.
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(fault("the key is encrypted, and nobody is there to type its passphrase: store it without (openssl pkey -in KEY)"));
    }
    PrivateKeyDer::from_pem_slice(content).map_err(|error| match error {
        rustls_pki_types::pem::Error::NoItemsFound => fault("it holds no private key"),
        error => fault(&format!("its PEM text is damaged: {error}")),
    })
}

/// PEM is text. Files in the binary form (DER) and empty ones are common mistakes that deserve their own words.
fn check_text(content: &[u8], state: MaterialState, remedy: &str) -> Result<(), Fault> {
    if content.iter().all(u8::is_ascii_whitespace) {
        return Err(Fault::new(state, "it is empty"));
    }
    if content.len() > BYTES_MAX {
        return Err(Fault::new(state, "it is larger than any certificate"));
    }
    // A DER file is a SEQUENCE with a long length.
    if matches!(content, [0x30, 0x81..=0x84, ..]) {
        return Err(Fault::new(state, format!("it is in the binary form DER, and PEM text is needed ({remedy})")));
    }
    if std::str::from_utf8(content).is_err() || content.contains(&0) {
        return Err(Fault::new(state, "it is not PEM text"));
    }
    Ok(())
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Fault> {
    let damaged = |error| Fault::new(MaterialState::NotACertificate, format!("a certificate in it cannot be read: {error}"));
    X509Certificate::from_der(der).map(|(_, certificate)| certificate).map_err(damaged)
}

/// The public half of a key. None for a kind of key that is not known here: the engine may know it.
fn public_key(key: PrivateKeyDer<'static>) -> Option<Vec<u8>> {
    let signing = ring::default_provider().key_provider.load_private_key(key).ok()?;
    let info = signing.public_key()?;
    let (_, info) = SubjectPublicKeyInfo::from_der(&info).ok()?;
    Some(info.subject_public_key.data.to_vec())
}

fn check_match(chain: &[X509Certificate<'_>], public: &[u8]) -> Result<(), Fault> {
    let place = chain.iter().position(|certificate| certificate.public_key().subject_public_key.data.as_ref() == public);
    match place {
        Some(0) => Ok(()),
        Some(place) => {
            let words = format!("the key belongs to certificate {} of {}: the server's own must stand first", place + 1, chain.len());
            Err(Fault::new(MaterialState::Mismatch, words))
        }
        None => Err(Fault::new(MaterialState::Mismatch, "the key is another certificate's")),
    }
}

fn not_after(certificate: &X509Certificate<'_>) -> Result<Timestamp, Fault> {
    let seconds = certificate.validity().not_after.timestamp();
    let fault = |_| Fault::new(MaterialState::NotACertificate, "the time at which it expires cannot be read");
    Timestamp::from_second(seconds).map_err(fault)
}

/// Browsers look at the alternative names only, and so does everything here. What is no host name serves no host.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let extensions = certificate.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(names),
        _ => None,
    });
    let names = extensions.flat_map(|names| &names.general_names).filter_map(|name| match name {
        GeneralName::DNSName(name) => HostPattern::parse(name).ok().map(|host| host.to_string()),
        _ => None,
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests;
