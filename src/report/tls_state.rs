//! What is known about the TLS of a host.

use crate::types::word_enum;

word_enum! {
    /// Whether the certificate of a host can be shown to its clients.
    TlsState {
        /// The extension, which alone can read it, has not said.
        Unknown = "unknown",
        /// It is in use.
        Good = "good",
        /// It exists and is not mounted yet; what was used before stays in use.
        Awaited = "awaited",
        /// There is no such object.
        Missing = "missing",
        /// Its object holds no certificate.
        NotACertificate = "not a certificate",
        /// The key's object holds no private key.
        NotAKey = "not a private key",
        /// The key is another certificate's.
        Mismatch = "the key does not match",
        /// It has expired.
        Expired = "expired",
        /// It is not valid yet.
        NotYetValid = "not valid yet",
        /// The object of a CA holds a private key.
        HoldsKey = "holds a private key",
    }
}

impl TlsState {
    /// Whether the certificate may be shown to clients, as far as is known.
    pub fn is_usable(&self) -> bool {
        matches!(self, Self::Unknown | Self::Good | Self::Awaited)
    }
}
