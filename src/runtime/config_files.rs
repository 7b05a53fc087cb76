//! Secret files of a configuration on disk: written for this process and its engine only, and read again only to keep them out of
//! messages.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tokio::io::AsyncWriteExt as _;

use super::EngineError;

/// Permissions of group and others.
const OTHERS: u32 = 0o077;

/// Writes files that no other user may read into an existing directory. Names are plain file names.
pub async fn write_secret_files(directory: &Path, files: &BTreeMap<String, String>) -> Result<(), EngineError> {
    for (name, content) in files {
        let path = directory.join(name);
        let mut options = tokio::fs::OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(&path).await;
        let mut file = opened.map_err(|source| EngineError::write(&path, source))?;
        let written = async {
            file.write_all(content.as_bytes()).await?;
            file.flush().await
        };
        written.await.map_err(|source| EngineError::write(&path, source))?;
    }
    Ok(())
}

/// The contents of the files in a directory that no other user may read.
pub(super) fn secret_files(directory: &Path) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let is_secret =
        |file: &std::fs::DirEntry| file.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & OTHERS == 0);
    files.filter(is_secret).filter_map(|file| std::fs::read(file.path()).ok()).collect()
}
