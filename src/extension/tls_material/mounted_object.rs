//! The result of reading a mounted object. Reads files; decides nothing about tables.

use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::engine_refusal;
use crate::extension::certificates::{self, CertificateFacts, MaterialFault, PairText, Validity, shown};
use crate::protocol::messages::{MaterialState, SecretFiles};
use crate::render::{AuthorityFile, PairFiles, SecretFile};
use crate::route::{MaterialRef, TlsBinding};

/// A good certificate with its key.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::extension) struct MountedPair {
    pub(in crate::extension) files: PairFiles,
    pub(in crate::extension) contents: SecretFiles,
    pub(in crate::extension) facts: CertificateFacts,
}

/// Good certificates of a CA.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::extension) struct MountedAuthority {
    pub(in crate::extension) file: AuthorityFile,
    pub(in crate::extension) facts: CertificateFacts,
}

/// The state of material.
#[derive(Debug)]
pub(in crate::extension) enum MaterialStatus<T> {
    Good(Arc<T>),
    /// It exists but is not mounted in this task.
    Awaited,
    /// It will be valid later.
    Early(MaterialFault),
    Bad(MaterialFault),
}

impl<T> MaterialStatus<T> {
    pub(super) fn missing(object: &MaterialRef) -> Self {
        Self::Bad(MaterialFault::new(MaterialState::Missing, format!("there is no {} in the Swarm", object.name)))
    }

    /// The state at this time.
    pub(super) fn at(now: Timestamp, judged: Result<Arc<T>, MaterialFault>, facts: impl Fn(&T) -> &CertificateFacts) -> Self {
        let good = match judged {
            Ok(good) => good,
            Err(fault) => return Self::Bad(fault),
        };
        let fault = |state, message: String| MaterialFault { not_after: facts(&good).not_after(), ..MaterialFault::new(state, message) };
        match facts(&good).validity(now) {
            Validity::Valid => Self::Good(good),
            Validity::Expired(on) => Self::Bad(fault(MaterialState::Expired, format!("it expired on {}", shown(on)))),
            Validity::Early(from) => {
                let message = format!("it is not valid before {}", shown(from));
                Self::Early(MaterialFault { not_before: Some(from), ..fault(MaterialState::NotYetValid, message) })
            }
        }
    }
}

/// A certificate with its key; `None` if one of the objects is not mounted.
pub(super) fn read_pair(directory: &Path, binding: &TlsBinding) -> Option<Result<MountedPair, MaterialFault>> {
    let certificate = read(directory, &binding.certificate, MaterialState::NotACertificate)?;
    let key = read(directory, binding.key_object(), MaterialState::NotAKey)?;
    Some(certificate.and_then(|certificate| pair(binding, &certificate, &key?)))
}

fn pair(binding: &TlsBinding, certificate: &[u8], key: &[u8]) -> Result<MountedPair, MaterialFault> {
    let PairText { facts, certificate, key } = certificates::read_pair(certificate, key)?;
    let file = |text: &str, object: &MaterialRef| SecretFile::new(text, object.id.as_deref().unwrap_or_default());
    let files = PairFiles { certificate: file(&certificate, &binding.certificate), key: file(&key, binding.key_object()) };
    let contents = [(files.certificate.name().to_owned(), certificate), (files.key.name().to_owned(), key)];
    Ok(MountedPair { files, contents: SecretFiles(contents.into()), facts })
}

/// The certificates of a CA; `None` if the object is not mounted.
pub(super) fn read_authority(directory: &Path, id: &str) -> Option<Result<MountedAuthority, MaterialFault>> {
    let content = read_file(&directory.join(id), MaterialState::NotACertificate)?;
    Some(content.and_then(|content| {
        let (facts, certificates) = certificates::read_authority(&content)?;
        let file = AuthorityFile::new(certificates.iter().map(Vec::as_slice)).ok_or_else(engine_refusal::unwritable)?;
        Ok(MountedAuthority { file, facts })
    }))
}

fn read(directory: &Path, object: &MaterialRef, state: MaterialState) -> Option<Result<Vec<u8>, MaterialFault>> {
    read_file(&directory.join(object.id.as_ref()?), state)
}

fn read_file(path: &Path, state: MaterialState) -> Option<Result<Vec<u8>, MaterialFault>> {
    match std::fs::read(path) {
        Ok(content) => Some(Ok(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(Err(MaterialFault::new(state, format!("its mounted file cannot be read: {}", error.kind())))),
    }
}
