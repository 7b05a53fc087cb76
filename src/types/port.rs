//! TCP ports.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// A TCP port, 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u16", into = "u16")]
#[schemars(with = "u16", extend("minimum" = 1))]
pub struct Port(u16);

impl Port {
    /// Accepts 1 to 65535.
    pub fn new(value: u16) -> Result<Self, InvalidValue> {
        if value == 0 { Err(InvalidValue("a port must be a number from 1 to 65535".to_owned())) } else { Ok(Self(value)) }
    }

    /// Parses a decimal number, as used in label values.
    pub fn parse(value: &str) -> Result<Self, InvalidValue> {
        let refused = || InvalidValue("a port must be a number from 1 to 65535".to_owned());
        if !value.bytes().all(|b| b.is_ascii_digit()) {
            return Err(refused());
        }
        value.parse::<u16>().map_err(|_| refused()).and_then(Self::new)
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Port {
    type Error = InvalidValue;
    fn try_from(value: u16) -> Result<Self, InvalidValue> {
        Self::new(value)
    }
}

impl From<Port> for u16 {
    fn from(value: Port) -> Self {
        value.0
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
