//! What our tasks start with: the operator's authority, and a token for the first certificate. The operator writes it into a
//! Swarm secret for each role of a cluster; the task's service mounts it. After the first certificate, only certificates are
//! used. Its text must never reach a log, a message or `Debug`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::shared_secret::SharedSecret;
use crate::pki::{ChannelRole, TrustRoot};
use crate::types::ClusterName;

/// The version of the file.
const VERSION: u32 = 1;

/// What a task starts with.
#[derive(Clone)]
pub struct Bootstrap {
    /// The role of the task.
    pub role: ChannelRole,
    /// The cluster of the task.
    pub cluster: ClusterName,
    /// Valid for certificates of this role in this cluster.
    pub token: SharedSecret,
    /// The operator's authority.
    pub root: TrustRoot,
}

impl fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bootstrap").field("role", &self.role).field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

/// The file's text, as JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BootstrapFile {
    version: u32,
    role: ChannelRole,
    cluster: ClusterName,
    token: String,
    certificate_authority: String,
}

/// The text of the file.
pub fn encode(role: ChannelRole, cluster: &ClusterName, token: &str, authority_pem: &str) -> Vec<u8> {
    let (token, certificate_authority) = (token.to_owned(), authority_pem.to_owned());
    let content = BootstrapFile { version: VERSION, role, cluster: cluster.clone(), token, certificate_authority };
    // Strings and a number: serialisation cannot fail.
    serde_json::to_vec(&content).unwrap_or_default()
}

/// Decodes the file's text; `None` if it is not what an operator of this version writes.
pub fn decode(text: &[u8]) -> Option<Bootstrap> {
    let content: BootstrapFile = serde_json::from_slice(text).ok()?;
    if content.version != VERSION {
        return None;
    }
    let (token, root) = (SharedSecret::new(&content.token)?, TrustRoot::from_pem(&content.certificate_authority)?);
    Some(Bootstrap { role: content.role, cluster: content.cluster, token, root })
}
