//! What a task of ours starts with: who the operator is, and a token for its first certificate. The operator writes it into
//! a Swarm secret for each role of a cluster; the task's service mounts it. Everything after the first certificate goes by
//! certificates. Its text must never reach a log, a message or `Debug`.

use std::fmt;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Token;
use crate::pki::{ChannelRole, TrustRoot};
use crate::types::ClusterName;

/// The version of the file.
const VERSION: u32 = 1;
/// No honest file is larger, in bytes.
const BYTES_MAX: u64 = 64 << 10;

/// What a task starts with.
#[derive(Clone)]
pub struct Bootstrap {
    /// For which role.
    pub role: ChannelRole,
    /// In which cluster.
    pub cluster: ClusterName,
    /// Good for certificates of this role in this cluster.
    pub token: Token,
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
struct Content {
    version: u32,
    role: ChannelRole,
    cluster: ClusterName,
    token: String,
    certificate_authority: String,
}

/// Why a task cannot start. Holds nothing of the file.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The file cannot be read.
    #[error("reading the channel's token from {path}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// It is not what an operator of this version writes.
    #[error("{path} is not the token of an operator of this version; the operator creates it and mounts it into this service")]
    Unusable {
        /// The file.
        path: String,
    },
    /// It is another service's.
    #[error("the token in {path} is for the {found_role} of cluster {found_cluster}, and this is the {role} of cluster {cluster}")]
    Foreign {
        /// The file.
        path: String,
        /// Whose it is.
        found_role: ChannelRole,
        /// And of which cluster.
        found_cluster: ClusterName,
        /// Who reads it.
        role: ChannelRole,
        /// And of which cluster.
        cluster: ClusterName,
    },
}

/// The text of the file.
pub fn encode(role: ChannelRole, cluster: &ClusterName, token: &str, authority_pem: &str) -> Vec<u8> {
    let (token, certificate_authority) = (token.to_owned(), authority_pem.to_owned());
    let content = Content { version: VERSION, role, cluster: cluster.clone(), token, certificate_authority };
    // Strings and a number: nothing in it fails to serialise.
    serde_json::to_vec(&content).unwrap_or_default()
}

impl Bootstrap {
    /// Reads what the operator wrote for this role of this cluster.
    pub fn read(path: &Path, role: ChannelRole, cluster: &ClusterName) -> Result<Self, BootstrapError> {
        let shown = path.display().to_string();
        let read = || {
            let about = std::fs::metadata(path)?;
            if about.len() > BYTES_MAX { Err(io::Error::from(io::ErrorKind::FileTooLarge)) } else { std::fs::read(path) }
        };
        let text = read().map_err(|source| BootstrapError::Read { path: shown.clone(), source })?;
        let found = Self::parse(&text).ok_or_else(|| BootstrapError::Unusable { path: shown.clone() })?;
        if found.role == role && &found.cluster == cluster {
            return Ok(found);
        }
        Err(BootstrapError::Foreign { path: shown, found_role: found.role, found_cluster: found.cluster, role, cluster: cluster.clone() })
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let content: Content = serde_json::from_slice(text).ok()?;
        if content.version != VERSION {
            return None;
        }
        let (token, root) = (Token::new(&content.token)?, TrustRoot::from_pem(&content.certificate_authority)?);
        Some(Self { role: content.role, cluster: content.cluster, token, root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Authority;

    fn cluster(name: &str) -> ClusterName {
        ClusterName::parse(name).unwrap()
    }

    fn written(text: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn a_task_starts_with_its_own_token_only_and_errors_quote_nothing() {
        let authority = Authority::create(jiff::Timestamp::now()).unwrap();
        let file = written(&encode(ChannelRole::Proxy, &cluster("dev"), "s3cret", &authority.root_pem()));
        let good = Bootstrap::read(file.path(), ChannelRole::Proxy, &cluster("dev")).unwrap();
        assert_eq!(&good.root, authority.root());
        assert!(!format!("{good:?}").contains("s3cret"));
        for (role, name) in [(ChannelRole::Extension, "dev"), (ChannelRole::Proxy, "prod")] {
            let error = Bootstrap::read(file.path(), role, &cluster(name)).unwrap_err();
            assert!(matches!(error, BootstrapError::Foreign { .. }) && !error.to_string().contains("s3cret"), "{error}");
        }
        for text in [&b"s3cret"[..], b"", b"{\"version\":1,\"token\":\"s3cret\"}"] {
            let error = Bootstrap::read(written(text).path(), ChannelRole::Proxy, &cluster("dev")).unwrap_err();
            assert!(matches!(error, BootstrapError::Unusable { .. }) && !error.to_string().contains("s3cret"), "{error}");
        }
    }
}
