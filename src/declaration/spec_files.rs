//! Spec files as a source of documents: reads files and folders, and watches them. Does not interpret their content.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use super::document_source::{DocumentSource, WatchGuard};
use crate::intent::documents::{SourceFile, UnreadableFile};

const NOTHING_THERE: &str = "the folder contains no *.yaml or *.yml file; clusters are not removed because of this (to remove \
                             everything, first remove the operator)";

/// Reads every file, and every `*.yaml` and `*.yml` directly in every folder, in the order of the arguments, folders by
/// name. What cannot be read is also in the list, as unreadable, so that its documents are not mistaken for removed.
pub fn read(paths: &[PathBuf]) -> Vec<SourceFile> {
    paths.iter().flat_map(|path| read_path(path)).collect()
}

fn read_path(path: &Path) -> Vec<SourceFile> {
    match documents_of(path) {
        // A folder that became empty is far more often a failed mount than a wish to remove all proxies.
        Ok(files) if files.is_empty() => {
            vec![SourceFile::unreadable(path.display().to_string(), UnreadableFile::EmptyFolder(NOTHING_THERE.to_owned()))]
        }
        Ok(files) => files.iter().map(|file| read_file(file)).collect(),
        Err(error) => vec![SourceFile::unreadable(path.display().to_string(), unreadable(&error))],
    }
}

fn read_file(path: &Path) -> SourceFile {
    SourceFile { name: path.display().to_string(), content: std::fs::read_to_string(path).map_err(|error| unreadable(&error)) }
}

/// Why a file or folder could not be read.
pub fn unreadable(error: &io::Error) -> UnreadableFile {
    let why = error.to_string();
    match error.kind() {
        io::ErrorKind::NotFound => UnreadableFile::Missing(why),
        io::ErrorKind::InvalidData => UnreadableFile::NotText(why),
        _ => UnreadableFile::Other(why),
    }
}

fn documents_of(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    found.retain(|file| is_document(file));
    found.sort();
    Ok(found)
}

/// Hidden files belong to other programs: editors' swap files, `..data` of mounted folders. A broken link stays in the
/// list, so that it is found unreadable instead of missing.
fn is_document(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    let yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    yaml && !hidden && !path.is_dir()
}

/// Files and folders with documents.
#[derive(Debug, Clone)]
pub struct SpecFiles {
    paths: Vec<PathBuf>,
}

impl SpecFiles {
    /// These files, and the documents directly in these folders.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self { paths }
    }
}

#[async_trait]
impl DocumentSource for SpecFiles {
    /// Reads on a separate thread: a file on a network may hang.
    async fn read(&self) -> Vec<SourceFile> {
        let paths = self.paths.clone();
        let unread = |error: tokio::task::JoinError| vec![SourceFile::unreadable("spec files", UnreadableFile::Other(error.to_string()))];
        tokio::task::spawn_blocking(move || read(&paths)).await.unwrap_or_else(unread)
    }

    fn watch(&self, changed: Arc<Notify>) -> Option<WatchGuard> {
        watcher(&self.paths, changed).map(|watcher| Box::new(watcher) as WatchGuard)
    }
}

/// Watches the folders that contain the files: replacing a file by renaming creates a different file.
fn watcher(paths: &[PathBuf], changed: Arc<Notify>) -> Option<RecommendedWatcher> {
    // Our own reads also appear, as access events.
    let on_event = move |event: notify::Result<notify::Event>| {
        if !event.is_ok_and(|event| event.kind.is_access()) {
            changed.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(on_event).map_err(|error| log_unwatched(&error)).ok()?;
    for path in paths {
        if let Err(error) = watcher.watch(folder_of(path), RecursiveMode::NonRecursive) {
            log_unwatched(&error);
        }
    }
    Some(watcher)
}

fn log_unwatched(error: &notify::Error) {
    tracing::warn!(%error, "cannot watch the spec files; they are reread periodically");
}

fn folder_of(path: &Path) -> &Path {
    if path.is_dir() {
        return path;
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{UnreadableFile, read};

    #[test]
    fn the_yaml_files_of_a_folder_are_read_by_name_without_hidden_files() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yml", "a.yaml", ".a.yaml.swp", ".hidden.yaml", "notes.txt"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let texts: Vec<String> = read(&[folder.path().to_owned()]).into_iter().map(|file| file.content.unwrap()).collect();
        assert_eq!(texts, ["a.yaml", "b.yml"]);
    }

    #[test]
    fn a_file_in_another_encoding_is_not_text() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.yaml"), [0xff, 0xfe, b'k', 0]).unwrap();
        assert!(matches!(read(&[folder.path().to_owned()])[0].content, Err(UnreadableFile::NotText(_))));
    }

    #[test]
    fn an_empty_folder_is_unreadable_so_that_no_cluster_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read(&[folder.path().to_owned()])[0].content, Err(UnreadableFile::EmptyFolder(_))));
    }

    #[test]
    fn a_missing_file_is_listed_as_unreadable_and_does_not_hide_others() {
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("good.yaml");
        fs::write(&good, "x").unwrap();
        let found = read(&[folder.path().join("missing.yaml"), good]);
        assert!(matches!(found[0].content, Err(UnreadableFile::Missing(_))) && found[1].content.is_ok());
    }
}
