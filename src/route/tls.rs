//! Certificates, keys and CAs, identified by the Swarm objects that hold them. Contents are never part of a table: the
//! renderer finds them where the objects are mounted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::ObjectName;

/// The certificate and key of one host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsBinding {
    /// The certificate, with its chain.
    pub certificate: MaterialRef,
    /// The private key; absent: it is in the same object as the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<MaterialRef>,
}

impl TlsBinding {
    /// The objects that it needs, without duplicates.
    pub fn objects(&self) -> impl Iterator<Item = &MaterialRef> {
        std::iter::once(&self.certificate).chain(self.key.as_ref().filter(|key| **key != self.certificate))
    }

    /// The names of the objects that do not exist in the Swarm, or that may not be used.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        self.objects().filter(|object| object.id.is_none()).map(|object| object.name.as_str())
    }

    /// The object that holds the key.
    pub fn key_object(&self) -> &MaterialRef {
        self.key.as_ref().unwrap_or(&self.certificate)
    }
}

/// A Swarm secret or config that holds TLS material.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MaterialRef {
    /// Secret or config.
    pub kind: MaterialKind,
    /// Its name in the Swarm, or in the label if there is no such object.
    pub name: ObjectName,
    /// Its id; absent: there is no such object in the Swarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// The kind of object that holds TLS material.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MaterialKind {
    /// A Swarm secret.
    Secret,
    /// A Swarm config, for certificates that are not secret.
    Config,
}

/// How an application's certificate is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Verification {
    /// Not at all.
    #[default]
    Off,
    /// Against the roots of the proxy's system.
    System,
    /// Against the certificates in this object.
    Authority(MaterialRef),
}
