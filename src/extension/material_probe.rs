//! What the reader makes of material, without mounts, time and engine: for the tests that compare it with the engine, and for
//! fuzzing. Decides nothing and is no part of what the extension does.

use super::certificates;
use crate::protocol::messages::MaterialState;
use crate::render::AuthorityFile;

/// A certificate and a key, each written anew. No `Debug`: one of them is a key.
pub struct Pair {
    /// The certificate with its chain.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// Why material is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What it is instead.
    pub state: MaterialState,
    /// The words for the one who stored it.
    pub words: String,
}

impl From<certificates::Fault> for Refused {
    fn from(fault: certificates::Fault) -> Self {
        Self { state: fault.state, words: fault.words }
    }
}

/// Reads the contents of a certificate's and a key's object.
pub fn pair(certificate: &[u8], key: &[u8]) -> Result<Pair, Refused> {
    let read = certificates::read_pair(certificate, key)?;
    Ok(Pair { certificate: read.certificate, key: read.key })
}

/// Reads the content of a CA's object: what would travel with configurations.
pub fn authority(content: &[u8]) -> Result<String, Refused> {
    let (_, certificates) = certificates::read_authority(content)?;
    let file = AuthorityFile::new(certificates.iter().map(Vec::as_slice));
    Ok(file.map(|file| file.content().to_owned()).unwrap_or_default())
}
