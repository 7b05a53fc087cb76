//! A file with the status port's token, as a mounted Swarm secret. Errors never include its content.

use std::path::{Path, PathBuf};

use crate::protocol::SharedSecret;

/// The environment variable with the file's path, for the operator and its clients.
pub const ENV_TOKEN_FILE: &str = "SWARMGATE_STATUS_TOKEN_FILE";
/// The default path.
pub const DEFAULT_TOKEN_FILE: &str = "/run/secrets/swarmgate-status-token";

/// Why a file contains no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It cannot be read.
    #[error("cannot read the status token from {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file does not contain a token.
    #[error("the status token in {path} is invalid; it must be one word of printable ASCII characters")]
    NoToken {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a token file. `None`: there is no such file.
pub fn read(path: &Path) -> Result<Option<SharedSecret>, TokenFileError> {
    match std::fs::read(path) {
        Ok(bytes) => {
            let token = std::str::from_utf8(&bytes).ok().and_then(SharedSecret::new);
            token.map(Some).ok_or_else(|| TokenFileError::NoToken { path: path.to_owned() })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TokenFileError::Unreadable { path: path.to_owned(), source }),
    }
}

/// Reads a token file that was named explicitly, and so must exist.
pub fn read_named(path: &Path) -> Result<SharedSecret, TokenFileError> {
    let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
    read(path)?.ok_or_else(|| TokenFileError::Unreadable { path: path.to_owned(), source: missing() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_is_trimmed_and_never_shown_in_errors() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read_as = |content: &[u8]| {
            std::fs::write(file.path(), content).unwrap();
            read(file.path())
        };
        assert_eq!(read_as(b"s3cret-s3cret\n").unwrap().unwrap().digest(), SharedSecret::new("s3cret-s3cret").unwrap().digest());
        for bad in [&b""[..], b"s3cret s3cret", b"\xffs3cret"] {
            let error = read_as(bad).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
        assert!(read(Path::new("/nowhere/at/all")).unwrap().is_none());
        assert!(read_named(Path::new("/nowhere/at/all")).is_err());
    }
}
