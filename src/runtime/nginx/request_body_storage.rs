//! Where nginx keeps request bodies larger than its buffer: on the volume, because its own directory is in memory and a few uploads
//! would fill it. Must never keep nginx from starting: without a volume they stay in memory.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::protocol::container_contract::ENGINE_BODY_DIR;

/// The directory on the volume. Several proxies may share it: nginx chooses unused file names, and removes a file's name as soon as
/// the file is open.
const DIRECTORY: &str = "request-bodies";

/// Replaces the directory for request bodies below `prefix` by a link to one on the volume, if that is writable.
pub(super) fn link_to_volume(volume: &Path, prefix: &Path) {
    if let Err(error) = link(prefix, volume) {
        tracing::info!(%error, "cannot use the volume; large request bodies stay in memory");
    }
}

fn link(prefix: &Path, volume: &Path) -> io::Result<()> {
    let (seen, real) = (prefix.join(ENGINE_BODY_DIR), volume.join(DIRECTORY));
    match fs::symlink_metadata(&seen) {
        Ok(about) if about.is_symlink() => fs::remove_file(&seen)?,
        Ok(_) => fs::remove_dir_all(&seen)?,
        Err(_) => {}
    }
    fs::create_dir_all(&real)?;
    tempfile::tempfile_in(&real)?;
    symlink(&real, &seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_stored_on_the_volume_after_a_restart_too() {
        let (prefix, volume) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for _ in 0..2 {
            link(prefix.path(), volume.path()).unwrap();
            fs::write(prefix.path().join(ENGINE_BODY_DIR).join("body"), "x").unwrap();
            assert_eq!(fs::read_to_string(volume.path().join(DIRECTORY).join("body")).unwrap(), "x");
        }
    }

    #[test]
    fn without_a_volume_nginx_creates_its_own_directory() {
        let prefix = tempfile::tempdir().unwrap();
        link_to_volume(Path::new("/proc/nonexistent"), prefix.path());
        fs::create_dir(prefix.path().join(ENGINE_BODY_DIR)).unwrap();
    }
}
