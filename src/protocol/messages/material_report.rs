//! What an extension found in the certificates, keys, and CA certificates that a table names. A report describes a problem and
//! never quotes an object.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of a pair of objects (certificate and key), or of an object with a CA, as found by the extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MaterialReport {
    /// The name of the object with the certificates.
    pub certificate: String,
    /// Its id, which distinguishes objects with the same name. Absent if the service that names it may not use such an object, or
    /// none exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_id: Option<String>,
    /// The name of the object with the key; absent for a CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The key's id, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Whether it can be used.
    pub state: MaterialState,
    /// A description of the problem; empty if there is none.
    #[serde(rename = "words", default)]
    pub message: String,
    /// When it becomes valid, if it is not valid yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<jiff::Timestamp>,
    /// When the server's certificate (or the last of several CA certificates) expires, if it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<jiff::Timestamp>,
    /// The host names of the certificate, at most 1,000.
    #[serde(default)]
    pub names: Vec<String>,
    /// The number of further host names.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_names: usize,
    /// Reasons why clients may reject it, although it is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<CertificateWarning>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A reason why clients may reject a certificate that the engine accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Doubt")]
pub struct CertificateWarning {
    /// The subject of the doubt.
    pub kind: CertificateWarningKind,
    /// A description, which never quotes the content.
    #[serde(rename = "words")]
    pub message: String,
}

/// The subject of a doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "DoubtKind")]
pub enum CertificateWarningKind {
    /// The type of its key.
    Key,
    /// The algorithm of its signature, or of a signature in its chain.
    Signature,
    /// The validity of a certificate in its chain.
    Chain,
}

/// Whether TLS material can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MaterialState {
    /// It is in use.
    Good,
    /// The object exists but is not mounted yet; the previous material stays in use.
    Awaited,
    /// There is no such object in the Swarm.
    Missing,
    /// The certificate's object contains no certificate.
    NotACertificate,
    /// The key's object contains no private key.
    NotAKey,
    /// The key belongs to another certificate.
    Mismatch,
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The object of a CA also contains a private key. It is not used, so that the key is not distributed with the certificates.
    HoldsKey,
}
