//! A Unix socket that only its owner can open, from the moment it exists. Never removes a file that is not a socket, nor a
//! socket on which a process listens.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use tokio::net::UnixListener;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process listens there.
    #[error("another process listens on it")]
    Busy,
    /// There is a file that is not a socket.
    #[error("a file with this name exists and is not a socket; remove it, or choose another path")]
    Occupied,
    /// The directory is missing or not writable, or the path is longer than the 100 bytes that a socket path may have.
    #[error("{0}")]
    Failed(#[from] io::Error),
}

/// Listens at a path. Replaces the socket of a process that is gone.
pub fn bind_private(path: &Path) -> Result<UnixListener, SocketError> {
    make_way(path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    // Between bind and chmod the socket has the permissions of the umask: no other user can enter this directory.
    let private = tempfile::Builder::new().prefix(".s").rand_bytes(4).permissions(Permissions::from_mode(0o700)).tempdir_in(parent)?;
    let hidden = private.path().join("s");
    let listener = UnixListener::bind(&hidden)?;
    std::fs::set_permissions(&hidden, Permissions::from_mode(0o600))?;
    std::fs::rename(&hidden, path)?;
    Ok(listener)
}

/// Refuses what must not be replaced.
fn make_way(path: &Path) -> Result<(), SocketError> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(found) if !found.file_type().is_socket() => Err(SocketError::Occupied),
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Err(SocketError::Busy),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_owner_can_open_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.sock");
        let _listener = bind_private(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no other files remain");
        UnixStream::connect(&path).unwrap();
    }

    #[tokio::test]
    async fn only_an_abandoned_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.sock");
        drop(bind_private(&path).unwrap());
        let alive = bind_private(&path).unwrap();
        assert!(matches!(bind_private(&path), Err(SocketError::Busy)));
        drop(alive);
        let file = folder.path().join("file");
        std::fs::write(&file, "precious").unwrap();
        assert!(matches!(bind_private(&file), Err(SocketError::Occupied)));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(matches!(bind_private(&link), Err(SocketError::Occupied)));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
        assert!(matches!(bind_private(&folder.path().join("missing/s")), Err(SocketError::Failed(_))));
    }
}
