//! What the reader finds in material, without mounts, time or engine: for tests that compare it with the engine, and for fuzzing.
//! The extension itself does not use it.

use super::certificates;
use crate::protocol::messages::MaterialState;
use crate::render::AuthorityFile;

/// A certificate and a key, each written anew. No `Debug`: it holds a key.
pub struct InspectedPair {
    /// The certificate with its chain.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// Why material is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedMaterial {
    /// The state of the material.
    pub state: MaterialState,
    /// The message for the person who stored it.
    pub message: String,
}

impl From<certificates::MaterialFault> for RejectedMaterial {
    fn from(fault: certificates::MaterialFault) -> Self {
        Self { state: fault.state, message: fault.message }
    }
}

/// Reads the contents of a certificate object and a key object.
pub fn pair(certificate: &[u8], key: &[u8]) -> Result<InspectedPair, RejectedMaterial> {
    let read = certificates::read_pair(certificate, key)?;
    Ok(InspectedPair { certificate: read.certificate, key: read.key })
}

/// Reads the content of a CA object: returns what would be part of configurations.
pub fn authority(content: &[u8]) -> Result<String, RejectedMaterial> {
    let (_, certificates) = certificates::read_authority(content)?;
    let file = AuthorityFile::new(certificates.iter().map(Vec::as_slice));
    Ok(file.map(|file| file.content().to_owned()).unwrap_or_default())
}
