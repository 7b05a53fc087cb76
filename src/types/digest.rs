//! SHA-256 digests of canonical JSON or bytes: they identify everything that is compared across processes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{InvalidValue, checked_string};

/// A SHA-256 digest as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[0-9a-f]{64}$"))]
pub struct Digest(String);
checked_string!(Digest);

impl Digest {
    /// Accepts exactly 64 lower-case hexadecimal digits.
    pub fn parse(value: &str) -> Result<Self, InvalidValue> {
        let hexadecimal = value.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if value.len() == 64 && hexadecimal {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidValue("a digest must be 64 lower-case hexadecimal digits".to_owned()))
        }
    }

    /// The digest of some bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(bytes)))
    }

    /// The digest of a value's JSON. Equal values give equal digests because our types serialise in a fixed order
    /// (ordered maps, sorted vectors).
    pub fn of_json<T: Serialize>(value: &T) -> Self {
        // Our own types contain nothing that JSON cannot express; otherwise the error text is hashed.
        let text = serde_json::to_string(value).unwrap_or_else(|error| format!("unserialisable: {error}"));
        Self::of_bytes(text.as_bytes())
    }

    /// The first 16 digits: enough to identify an object, short enough for Swarm's 64-character names.
    pub fn short(&self) -> &str {
        &self.0[..16]
    }
}
