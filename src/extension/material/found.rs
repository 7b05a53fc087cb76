//! What was found where an object should be. Reads files; decides nothing about tables.

use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use crate::channel::wire::{Contents, MaterialState};
use crate::engine::last_words;
use crate::extension::certificates::{self, Facts, Fault};
use crate::render::{AuthorityFile, PairFiles, SecretFile};
use crate::route::{MaterialRef, TlsBinding};

/// A good certificate with its key.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::extension) struct Pair {
    pub(in crate::extension) files: PairFiles,
    pub(in crate::extension) contents: Contents,
    pub(in crate::extension) facts: Facts,
}

/// Good certificates of a CA.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::extension) struct Authority {
    pub(in crate::extension) file: AuthorityFile,
    pub(in crate::extension) facts: Facts,
}

/// What became of material.
#[derive(Debug)]
pub(in crate::extension) enum Found<T> {
    Good(Arc<T>),
    /// It exists and is not mounted in this task.
    Awaited,
    Bad(Fault),
}

impl<T> Found<T> {
    pub(super) fn missing(object: &MaterialRef) -> Self {
        Self::Bad(Fault::new(MaterialState::Missing, format!("the Swarm has no {}", object.name)))
    }

    pub(super) fn unless_expired(judged: Result<Arc<T>, Fault>, now: Timestamp, facts: impl Fn(&T) -> &Facts) -> Self {
        match judged {
            Ok(good) if facts(&good).not_after <= now => {
                let words = format!("it expired on {}", facts(&good).not_after.strftime("%Y-%m-%d at %H:%M UTC"));
                Self::Bad(Fault { not_after: Some(facts(&good).not_after), ..Fault::new(MaterialState::Expired, words) })
            }
            Ok(good) => Self::Good(good),
            Err(fault) => Self::Bad(fault),
        }
    }
}

/// A certificate with its key; none: an object is not mounted.
pub(super) fn read_pair(directory: &Path, binding: &TlsBinding) -> Option<Result<Pair, Fault>> {
    let certificate = read(directory, &binding.certificate, MaterialState::NotACertificate)?;
    let key = read(directory, binding.key_object(), MaterialState::NotAKey)?;
    Some(certificate.and_then(|certificate| pair(binding, &certificate, &key?)))
}

fn pair(binding: &TlsBinding, certificate: &[u8], key: &[u8]) -> Result<Pair, Fault> {
    let facts = certificates::read_pair(certificate, key)?;
    let file = |content: &[u8], object: &MaterialRef| {
        let text = String::from_utf8_lossy(content).into_owned();
        (SecretFile::new(&text, object.id.as_deref().unwrap_or_default()), text)
    };
    let (certificate, certificate_text) = file(certificate, &binding.certificate);
    let (key, key_text) = file(key, binding.key_object());
    let contents = [(certificate.name().to_owned(), certificate_text), (key.name().to_owned(), key_text)];
    Ok(Pair { files: PairFiles { certificate, key }, contents: Contents(contents.into()), facts })
}

/// The certificates of a CA; none: the object is not mounted.
pub(super) fn read_authority(directory: &Path, id: &str) -> Option<Result<Authority, Fault>> {
    let content = read_file(&directory.join(id), MaterialState::NotACertificate)?;
    Some(content.and_then(|content| {
        let facts = certificates::read_authority(&content)?;
        Ok(Authority { file: AuthorityFile::new(&String::from_utf8_lossy(&content)), facts })
    }))
}

fn read(directory: &Path, object: &MaterialRef, state: MaterialState) -> Option<Result<Vec<u8>, Fault>> {
    read_file(&directory.join(object.id.as_ref()?), state)
}

fn read_file(path: &Path, state: MaterialState) -> Option<Result<Vec<u8>, Fault>> {
    match std::fs::read(path) {
        Ok(content) => Some(Ok(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(Err(Fault::new(state, format!("it cannot be read: {error}")))),
    }
}

/// The engine's view of material that looks good: a kind of key that is not known here, or one that it finds too weak.
pub(super) fn refused_by_engine(words: &str) -> Fault {
    let state = if words.contains("key values mismatch") {
        MaterialState::Mismatch
    } else if words.contains("certificate key") {
        MaterialState::NotAKey
    } else {
        MaterialState::NotACertificate
    };
    let line = words.lines().find(|line| line.contains("[emerg]")).unwrap_or(words);
    Fault::new(state, format!("the engine refuses it: {}", last_words(line)))
}
