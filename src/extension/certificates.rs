//! Reads certificates and keys in the forms in which people store them, and describes their faults. Pure: no files, no clock.
//! Messages are this project's own and never contain any input, because errors of libraries quote their input.
//!
//! Good material is written anew from what was parsed: only the certificates, and only the key. So the engine reads exactly what
//! was checked, and a key stored next to a certificate is not passed on. Material that is good here and still refused by the engine
//! is found by testing it with the engine.

mod client_compatibility;
mod common_mistakes;
mod pem_blocks;
mod private_keys;
mod summary;

use jiff::Timestamp;
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

use crate::protocol::messages::{CertificateWarning, MaterialState};
use crate::types::{CERTIFICATE_LABEL, HostPattern, pem};
use common_mistakes::{check_text, missing_block_reason};
use pem_blocks::{PemBlock, PemLabel};
use private_keys::{Algorithm, PrivateKey};
pub(super) use summary::{CertificateFacts, Validity, ValidityPeriod, shown};

/// No valid chain is longer: clients would have to read all of it in every handshake.
const CHAIN_MAX: usize = 100;
/// A CA's certificates are part of every configuration, and stay in the memory of every manager.
const AUTHORITIES_MAX: usize = 200;
const AUTHORITY_BYTES_MAX: usize = 256 << 10;
/// How many names are reported. Public CAs permit at most 100.
const NAMES_MAX: usize = 1000;

/// A fault of material, described for the person who stored it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MaterialFault {
    pub(super) state: MaterialState,
    pub(super) message: String,
    /// When it becomes valid, if it is not valid yet.
    pub(super) not_before: Option<Timestamp>,
    /// When it expires or expired, if that is the fault.
    pub(super) not_after: Option<Timestamp>,
}

impl MaterialFault {
    pub(super) fn new(state: MaterialState, message: impl Into<String>) -> Self {
        Self { state, message: message.into(), not_before: None, not_after: None }
    }
}

/// A certificate that fits its key. No `Debug`: it holds the key.
pub(super) struct PairText {
    pub(super) facts: CertificateFacts,
    /// The certificate and its chain, and nothing else.
    pub(super) certificate: String,
    /// The key, and nothing else.
    pub(super) key: String,
}

/// A certificate with its chain and its key, each as the content of its object; both may be the same object.
pub(super) fn read_pair(certificate: &[u8], key: &[u8]) -> Result<PairText, MaterialFault> {
    // If both are in one object, a damaged key is reported as such, although the certificate cannot be read either.
    let in_one = certificate == key;
    let chain = certificates(certificate, CertificateUse::Server).map_err(|fault| match private_keys::private_key(key) {
        Err(of_key) if in_one && holds_certificate(certificate) => of_key,
        _ => fault,
    })?;
    check_count(chain.len(), CHAIN_MAX)?;
    let parsed = chain.iter().map(|der| parse(der).map(|(certificate, _)| certificate)).collect::<Result<Vec<_>, _>>()?;
    check_text(key, MaterialState::NotAKey, "openssl pkey -inform der")?;
    let key = private_keys::private_key(key)?;
    check_match(&parsed, &key)?;
    let certificate = chain.iter().map(|der| pem(CERTIFICATE_LABEL, der)).collect();
    Ok(PairText { facts: facts(&parsed)?, certificate, key: key.text })
}

/// The certificates of one or several CAs as DER, without duplicates.
pub(super) fn read_authority(content: &[u8]) -> Result<(CertificateFacts, Vec<Vec<u8>>), MaterialFault> {
    if private_keys::looks_like_a_key(content) {
        return Err(MaterialFault::new(MaterialState::HoldsKey, "it contains a private key"));
    }
    let mut all = Vec::new();
    for der in certificates(content, CertificateUse::Authority)? {
        if !all.contains(&der) {
            all.push(der);
        }
        check_count(all.len(), AUTHORITIES_MAX)?;
    }
    if all.iter().map(Vec::len).sum::<usize>() > AUTHORITY_BYTES_MAX {
        let message = format!("its certificates are larger than {} KiB, the maximum for one CA", AUTHORITY_BYTES_MAX >> 10);
        return Err(MaterialFault::new(MaterialState::NotACertificate, message));
    }
    let windows = all.iter().map(|der| parse(der).map(|(certificate, _)| window(&certificate))).collect::<Result<_, _>>()?;
    Ok((CertificateFacts { windows, ..CertificateFacts::default() }, all))
}

fn check_count(found: usize, max: usize) -> Result<(), MaterialFault> {
    let message = || format!("it contains more than {max} certificates");
    if found > max { Err(MaterialFault::new(MaterialState::NotACertificate, message())) } else { Ok(()) }
}

/// The use of certificates: the engine reads server certificates and CA certificates in different ways.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CertificateUse {
    Server,
    Authority,
}

fn no_certificate(message: impl Into<String>) -> MaterialFault {
    MaterialFault::new(MaterialState::NotACertificate, message)
}

/// The certificates as DER. The engine refuses all of them if one block is damaged, even that of a key.
fn certificates(content: &[u8], purpose: CertificateUse) -> Result<Vec<Vec<u8>>, MaterialFault> {
    check_text(content, MaterialState::NotACertificate, "openssl x509 -inform der")?;
    let (mut found, mut keys, mut others) = (Vec::new(), 0, 0);
    for PemBlock { label, content } in pem_blocks::blocks(content) {
        // A chain may begin with a TRUSTED CERTIFICATE; the engine skips any after the first certificate.
        let is_relevant = match label {
            PemLabel::Certificate => true,
            PemLabel::Trusted => found.is_empty() || purpose == CertificateUse::Authority,
            _ => false,
        };
        keys += usize::from(label.is_key());
        others += 1;
        match content {
            Ok(der) if is_relevant => {
                let may_be_trusted = found.is_empty() || purpose == CertificateUse::Authority;
                found.push(without_trust(der, may_be_trusted)?);
            }
            Err(damage) if is_relevant || !damage.is_harmless_elsewhere() => return Err(no_certificate(damage.message(label))),
            Ok(_) | Err(_) => {}
        }
    }
    match (found.is_empty(), keys, others) {
        (false, ..) => Ok(found),
        (true, 0, 0) => Err(no_certificate(missing_block_reason(content).unwrap_or("it contains no certificate"))),
        (true, 0, _) => Err(no_certificate("it contains no certificate")),
        (true, ..) => Err(no_certificate("it contains a key but no certificate")),
    }
}

fn holds_certificate(content: &[u8]) -> bool {
    pem_blocks::blocks(content).any(|block| matches!(block.label, PemLabel::Certificate | PemLabel::Trusted) && block.content.is_ok())
}

/// The certificate alone, without what OpenSSL appends about its use.
fn without_trust(der: Vec<u8>, may_be_trusted: bool) -> Result<Vec<u8>, MaterialFault> {
    let (_, rest) = parse(&der)?;
    // The appended data is a separate SEQUENCE.
    if may_be_trusted && rest.first().is_some_and(|tag| *tag != 0x30) {
        return Err(no_certificate("a certificate block contains extra data after the certificate"));
    }
    let length = der.len() - rest.len();
    let mut der = der;
    der.truncate(length);
    Ok(der)
}

fn parse(der: &[u8]) -> Result<(X509Certificate<'_>, &[u8]), MaterialFault> {
    let unreadable = |_| no_certificate("a certificate in it cannot be read: the content of its block is not an X.509 certificate");
    X509Certificate::from_der(der).map(|(rest, certificate)| (certificate, rest)).map_err(unreadable)
}

/// The engine detects that a key belongs to another certificate only if both are of the same kind.
fn check_match(chain: &[X509Certificate<'_>], key: &PrivateKey) -> Result<(), MaterialFault> {
    let fits = |certificate: &X509Certificate<'_>| match &key.public {
        Some(public) => certificate.public_key().subject_public_key.data.as_ref() == public,
        None => Algorithm::from_oid(certificate.public_key().algorithm.algorithm.as_bytes()) == key.algorithm,
    };
    let mismatch = |message: &str| Err(MaterialFault::new(MaterialState::Mismatch, message));
    match chain.iter().position(fits) {
        Some(0) => Ok(()),
        Some(position) => {
            mismatch(&format!("the key belongs to certificate {} of {}; the server's own must be first", position + 1, chain.len()))
        }
        None if key.has_others => mismatch("the first one of its keys is used, which belongs to another certificate"),
        None => mismatch("the key belongs to another certificate"),
    }
}

fn facts(chain: &[X509Certificate<'_>]) -> Result<CertificateFacts, MaterialFault> {
    // A chain is never empty.
    let leaf = chain.first().ok_or_else(|| no_certificate("it contains no certificate"))?;
    let path = path(chain);
    let mut names = names(leaf);
    let more_names = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    let doubts = client_compatibility::key_warning(leaf).into_iter().chain(signatures(leaf, &path)).collect();
    let chain = path.iter().map(|(position, certificate)| (*position, window(certificate))).collect();
    Ok(CertificateFacts { windows: vec![window(leaf)], chain, names, more_names, doubts })
}

/// The certificates between the server's and its CA's, with their positions from 1: those that clients need and check. This
/// excludes a CA's own certificate, and any that do not belong to the chain.
fn path<'a, 'b>(chain: &'a [X509Certificate<'b>]) -> Vec<(usize, &'a X509Certificate<'b>)> {
    let mut path: Vec<(usize, &X509Certificate<'_>)> = Vec::new();
    let Some(mut below) = chain.first() else { return path };
    while !is_self_issued(below) {
        let is_new = |position: usize| path.iter().all(|(known, _)| *known != position);
        let mut others = chain.iter().enumerate().skip(1).map(|(at, certificate)| (at + 1, certificate));
        let issuer = others.find(|(position, certificate)| is_new(*position) && certificate.subject() == below.issuer());
        match issuer {
            Some((position, certificate)) if !is_self_issued(certificate) => {
                path.push((position, certificate));
                below = certificate;
            }
            _ => break,
        }
    }
    path
}

fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject() == certificate.issuer()
}

fn signatures(leaf: &X509Certificate<'_>, path: &[(usize, &X509Certificate<'_>)]) -> Vec<CertificateWarning> {
    // A client that trusts a self-signed certificate does not check its signature.
    let own = (!is_self_issued(leaf)).then(|| client_compatibility::signature_warning(leaf, "it")).flatten();
    let chain = path.iter().filter_map(|(position, certificate)| {
        client_compatibility::signature_warning(certificate, &format!("chain certificate {position}"))
    });
    own.into_iter().chain(chain).collect()
}

fn window(certificate: &X509Certificate<'_>) -> ValidityPeriod {
    // A certificate that never expires has the last second of the year 9999 as its end.
    let time = |seconds: i64| {
        let last = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::from_second(seconds).unwrap_or(last)
    };
    let validity = certificate.validity();
    ValidityPeriod { not_before: time(validity.not_before.timestamp()), not_after: time(validity.not_after.timestamp()) }
}

/// Browsers use only the alternative names, and so does this project. A name that is not a host name serves no host.
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
