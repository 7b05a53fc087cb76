//! What is known about the TLS of a host.

use crate::types::word_enum;

word_enum! {
    /// Whether the certificate of a host can be presented to its clients.
    TlsState {
        /// The extension, the only part that can read it, has not reported it yet.
        Unknown = "unknown",
        /// It is in use.
        Good = "good",
        /// It exists but is not mounted yet; the previous certificate stays in use.
        Awaited = "awaited",
        /// There is no such object.
        Missing = "missing",
        /// Its object does not contain a certificate.
        NotACertificate = "not a certificate",
        /// The key's object does not contain a private key.
        NotAKey = "not a private key",
        /// The key does not match the certificate.
        Mismatch = "the key does not match",
        /// It has expired.
        Expired = "expired",
        /// It is not valid yet.
        NotYetValid = "not valid yet",
        /// The object of a CA contains a private key.
        HoldsKey = "holds a private key",
    }
}

impl TlsState {
    /// Whether the certificate may be presented to clients, as far as is known.
    pub fn is_usable(&self) -> bool {
        matches!(self, Self::Unknown | Self::Good | Self::Awaited)
    }
}
