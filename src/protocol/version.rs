//! The version of the protocol. It increases when an older receiver would misread a message, never for an optional field.

/// The version of every message; a receiver rejects others with 400.
pub const WIRE_VERSION: u32 = 2;
