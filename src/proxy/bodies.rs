//! Where the engine keeps request bodies that are larger than its buffer: on the volume, because its own directory is memory
//! and a few uploads would fill it. Must never keep the engine from starting: without a volume they stay in memory.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::protocol::container_contract::ENGINE_BODY_DIR;

/// The directory on the volume. Proxies that share it do not meet: the engine takes names that are free, and removes a
/// file's name as soon as it is open.
const DIRECTORY: &str = "request-bodies";

/// Lets the engine's directory for request bodies be one on the volume, if that can be written.
pub(super) fn place_on_volume(run_dir: &Path, volume: &Path) {
    if let Err(error) = link(run_dir, volume) {
        tracing::info!(%error, "large request bodies are kept in memory, because the volume cannot be used");
    }
}

fn link(run_dir: &Path, volume: &Path) -> io::Result<()> {
    let (seen, real) = (run_dir.join(ENGINE_BODY_DIR), volume.join(DIRECTORY));
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
    fn a_volume_takes_the_bodies_and_a_restart_changes_nothing() {
        let (run_dir, volume) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for _ in 0..2 {
            link(run_dir.path(), volume.path()).unwrap();
            fs::write(run_dir.path().join(ENGINE_BODY_DIR).join("body"), "x").unwrap();
            assert_eq!(fs::read_to_string(volume.path().join(DIRECTORY).join("body")).unwrap(), "x");
        }
    }

    #[test]
    fn without_a_volume_the_engine_makes_its_own_directory() {
        let run_dir = tempfile::tempdir().unwrap();
        place_on_volume(run_dir.path(), Path::new("/proc/nonexistent"));
        fs::create_dir(run_dir.path().join(ENGINE_BODY_DIR)).unwrap();
    }
}
