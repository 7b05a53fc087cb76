//! Reads the mounted file with which a task gets its first certificate. No error quotes the file.

use std::io;
use std::path::Path;

use crate::pki::ChannelRole;
use crate::protocol::{Bootstrap, bootstrap};
use crate::types::ClusterName;

/// The maximum size of the file in bytes; no genuine file is larger.
const BYTES_MAX: u64 = 64 << 10;

/// Why a task cannot start. Contains nothing of the file.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The file cannot be read.
    #[error("cannot read the channel's token from {path}")]
    Read {
        /// The file.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// The operator of this version does not write such a file.
    #[error("{path} is not a token file of this version's operator, which creates the file and mounts it into this service")]
    Unusable {
        /// The file.
        path: String,
    },
    /// The file is for another service.
    #[error("the token in {path} is for the {found_role} of cluster {found_cluster}, but this is the {role} of cluster {cluster}")]
    Foreign {
        /// The file.
        path: String,
        /// The role it is for.
        found_role: ChannelRole,
        /// The cluster it is for.
        found_cluster: ClusterName,
        /// The role of the reader.
        role: ChannelRole,
        /// The cluster of the reader.
        cluster: ClusterName,
    },
}

/// Reads the file that the operator wrote for this role of this cluster.
pub fn read_bootstrap(path: &Path, role: ChannelRole, cluster: &ClusterName) -> Result<Bootstrap, BootstrapError> {
    let shown = path.display().to_string();
    let read = || {
        let about = std::fs::metadata(path)?;
        if about.len() > BYTES_MAX { Err(io::Error::from(io::ErrorKind::FileTooLarge)) } else { std::fs::read(path) }
    };
    let text = read().map_err(|source| BootstrapError::Read { path: shown.clone(), source })?;
    let found = bootstrap::decode(&text).ok_or_else(|| BootstrapError::Unusable { path: shown.clone() })?;
    if found.role == role && &found.cluster == cluster {
        return Ok(found);
    }
    Err(BootstrapError::Foreign { path: shown, found_role: found.role, found_cluster: found.cluster, role, cluster: cluster.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Authority;
    use crate::protocol::bootstrap::encode;

    fn cluster(name: &str) -> ClusterName {
        ClusterName::parse(name).unwrap()
    }

    fn written(text: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn a_task_accepts_only_its_own_token_and_errors_do_not_quote_it() {
        let authority = Authority::create(jiff::Timestamp::now()).unwrap();
        let file = written(&encode(ChannelRole::Proxy, &cluster("dev"), "s3cret", &authority.root_pem()));
        let good = read_bootstrap(file.path(), ChannelRole::Proxy, &cluster("dev")).unwrap();
        assert_eq!(&good.root, authority.root());
        assert!(!format!("{good:?}").contains("s3cret"));
        for (role, name) in [(ChannelRole::Extension, "dev"), (ChannelRole::Proxy, "prod")] {
            let error = read_bootstrap(file.path(), role, &cluster(name)).unwrap_err();
            assert!(matches!(error, BootstrapError::Foreign { .. }) && !error.to_string().contains("s3cret"), "{error}");
        }
        for text in [&b"s3cret"[..], b"", b"{\"version\":1,\"token\":\"s3cret\"}"] {
            let error = read_bootstrap(written(text).path(), ChannelRole::Proxy, &cluster("dev")).unwrap_err();
            assert!(matches!(error, BootstrapError::Unusable { .. }) && !error.to_string().contains("s3cret"), "{error}");
        }
    }
}
