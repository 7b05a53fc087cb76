//! Configurations on disk: each has its own directory, and the link `current` always names a complete one. A reader never sees half
//! a configuration, and going back means replacing the link.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::ProxyError;
use super::secret_files::UsableFiles;
use crate::runtime::{Engine, EngineError, write_secret_files};
use crate::types::Digest;

const CURRENT: &str = "current";

/// All configurations on disk.
pub(super) struct ConfigDirectories {
    root: PathBuf,
    count: AtomicU64,
}

/// One configuration on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConfigDirectory(PathBuf);

impl ConfigDirectory {
    /// Its directory.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes it. If that fails, it stays: it only takes memory.
    pub(super) fn remove(&self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::debug!(path = %self.0.display(), %error, "cannot remove an old configuration");
        }
    }
}

/// How often to empty a directory to which another process still writes.
const REMOVALS_MAX: usize = 10;

/// Removes a directory, if it exists. An agent that was killed in the middle of its work may still complete a write meanwhile.
fn remove_all(directory: &Path) -> io::Result<()> {
    let mut left = REMOVALS_MAX;
    loop {
        left -= 1;
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && left > 0 => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => return Ok(()),
        }
    }
}

impl ConfigDirectories {
    /// An empty directory; files of an earlier agent are removed.
    pub(super) fn create_empty(root: PathBuf) -> Result<Self, ProxyError> {
        let emptied = remove_all(&root).and_then(|()| fs::create_dir_all(&root));
        emptied.map_err(|source| ProxyError::Files { path: root.display().to_string(), source })?;
        Ok(Self { root, count: AtomicU64::new(0) })
    }

    /// Writes a configuration next to the others, without using it yet.
    pub(super) async fn stage(&self, engine: &dyn Engine, digest: &Digest, fitted: &UsableFiles) -> Result<ConfigDirectory, EngineError> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let directory = self.root.join(format!("{number}-{}", digest.short()));
        engine.write_config(&directory, &engine.files_for_load(&fitted.files, number)).await?;
        write_secret_files(&directory, &fitted.secrets.0).await?;
        Ok(ConfigDirectory(directory))
    }

    /// Takes over a configuration that was written elsewhere.
    pub(super) fn adopt(&self, generation: &ConfigDirectory) -> Result<ConfigDirectory, EngineError> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let directory = self.root.join(format!("{number}-adopted"));
        let moved = fs::rename(&generation.0, &directory);
        moved.map_err(|source| EngineError::write(&directory, source))?;
        Ok(ConfigDirectory(directory))
    }

    /// Makes this the configuration that the engine reads next.
    pub(super) fn promote(&self, generation: &ConfigDirectory) -> Result<(), EngineError> {
        let next = self.root.join("next");
        let link = || {
            remove_link(&next)?;
            symlink(&generation.0, &next)?;
            fs::rename(&next, self.current())
        };
        link().map_err(|source| EngineError::write(&next, source))
    }

    /// The link to the current generation, with which the engine is started.
    pub(super) fn current(&self) -> PathBuf {
        self.root.join(CURRENT)
    }

    /// The configuration that the engine reads now.
    pub(super) fn current_generation(&self) -> Option<ConfigDirectory> {
        fs::read_link(self.current()).ok().map(ConfigDirectory)
    }

    /// Removes all others. If that fails, they stay: they only take memory.
    pub(super) fn keep_only(&self, kept: &ConfigDirectory) {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten().map(|entry| entry.path());
        for path in entries.filter(|path| *path != kept.0 && path.file_name() != Some(CURRENT.as_ref())) {
            if let Err(error) = fs::remove_dir_all(&path) {
                tracing::debug!(path = %path.display(), %error, "cannot remove an old configuration");
            }
        }
    }
}

fn remove_link(link: &Path) -> io::Result<()> {
    match fs::remove_file(link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::protocol::messages::SecretFiles;
    use crate::proxy::fake_engine::FakeEngine;

    /// In some of these rounds the file appears after the others are gone and before the directory is.
    #[test]
    fn a_directory_is_removed_even_while_files_are_written_into_it() {
        let parent = tempfile::tempdir().unwrap();
        for round in 0..300 {
            let root = parent.path().join(format!("{round}"));
            fs::create_dir_all(root.join("0-old")).unwrap();
            for number in 0..20 {
                fs::write(root.join("0-old").join(number.to_string()), "old").unwrap();
            }
            let late = root.join("0-old/late");
            let writer = std::thread::spawn(move || drop(fs::write(late, "late")));
            let configs = ConfigDirectories::create_empty(root.clone()).unwrap();
            writer.join().unwrap();
            assert!(configs.root.is_dir() && !root.join("0-old").exists(), "{round}");
        }
    }

    /// A configuration of this text, with a secret file.
    async fn stage(configs: &ConfigDirectories, text: &str) -> ConfigDirectory {
        let files = [("main.conf".to_owned(), text.to_owned())].into();
        let secrets = SecretFiles([("tls.pem".to_owned(), text.to_owned())].into());
        let fitted = UsableFiles { files, secrets, ..UsableFiles::default() };
        configs.stage(&FakeEngine, &Digest::of_bytes(text.as_bytes()), &fitted).await.unwrap()
    }

    #[tokio::test]
    async fn current_always_names_the_promoted_generation() {
        let directory = tempfile::tempdir().unwrap();
        let configs = ConfigDirectories::create_empty(directory.path().join("config")).unwrap();
        let current = || fs::read_to_string(configs.current().join("main.conf")).unwrap();
        let one = stage(&configs, "one").await;
        configs.promote(&one).unwrap();
        let two = stage(&configs, "two").await;
        assert_eq!(current(), "one", "staging changes nothing");
        configs.promote(&two).unwrap();
        assert_eq!(current(), "two");
        configs.promote(&one).unwrap();
        assert_eq!(current(), "one", "going back works");
        configs.keep_only(&one);
        assert!(!two.path().exists() && current() == "one");
    }

    #[tokio::test]
    async fn secret_files_are_readable_only_by_their_owner() {
        let directory = tempfile::tempdir().unwrap();
        let configs = ConfigDirectories::create_empty(directory.path().join("config")).unwrap();
        let file = stage(&configs, "one").await.0.join("tls.pem");
        assert_eq!(fs::read_to_string(&file).unwrap(), "one");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
