//! Follows the spec files: notices when they change, reads them, and says what is in force. Watching is a hint; the
//! files are read again by a timer anyway, because bind mounts and network file systems do not always notify.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::declared::Declared;
use super::files;
use super::finding_log;
use super::notifications::Signals;
use super::trigger::Wake;
use crate::intent::documents::{SourceFile, read_documents};

/// An editor that writes a file in place leaves it empty or half for a moment: only what reads the same twice, this far
/// apart, is taken.
const SETTLE: Duration = Duration::from_millis(200);
/// After this many different readings in a row the newest is taken anyway.
const SETTLE_READINGS_MAX: u32 = 10;

/// Reads the files once and says what is in force.
pub fn read_now(paths: &[PathBuf], before: &Declared) -> Declared {
    before.after(read_documents(&files::read(paths)))
}

/// Follows the files for ever. `declared` gets every new state; the loop is woken for each.
pub async fn follow(paths: Vec<PathBuf>, period: Duration, declared: watch::Sender<Arc<Declared>>, signals: Arc<Signals>) {
    let changed = Arc::new(Notify::new());
    let _watcher = watcher(&paths, &changed);
    let mut known: Option<Vec<SourceFile>> = None;
    loop {
        let files = settled(&paths, known.as_ref()).await;
        if known.as_ref() != Some(&files) {
            let before = declared.borrow().clone();
            let after = before.after(read_documents(&files));
            tell(&before, &after);
            declared.send_replace(Arc::new(after));
            signals.wake(Wake::SpecChanged).await;
            known = Some(files);
        }
        let _ = timeout(period, changed.notified()).await;
    }
}

/// The files as they are, read twice if they are others than known.
async fn settled(paths: &[PathBuf], known: Option<&Vec<SourceFile>>) -> Vec<SourceFile> {
    let mut newest = read_aside(paths).await;
    for _ in 0..SETTLE_READINGS_MAX {
        if known.is_none_or(|known| *known == newest) {
            break;
        }
        sleep(SETTLE).await;
        let again = read_aside(paths).await;
        if again == newest {
            break;
        }
        newest = again;
    }
    newest
}

/// Reads off the loop's threads: a file on a network may hang.
async fn read_aside(paths: &[PathBuf]) -> Vec<SourceFile> {
    let paths = paths.to_vec();
    let unread = |error: tokio::task::JoinError| vec![SourceFile::unreadable("spec files", error.to_string())];
    tokio::task::spawn_blocking(move || files::read(&paths)).await.unwrap_or_else(unread)
}

fn tell(before: &Declared, after: &Declared) {
    finding_log::appeared("documents", &before.findings, &after.findings);
    for (name, cluster) in &after.clusters {
        if before.clusters.get(name) != Some(cluster) {
            tracing::info!(cluster = %name, generation = cluster.generation, accepted = cluster.accepted, "declared");
        }
    }
    for name in before.clusters.keys().filter(|name| !after.clusters.contains_key(*name)) {
        tracing::info!(cluster = %name, "no longer declared");
    }
}

/// Watches the folders that hold the files: a file that is replaced by renaming is another file. Without a watcher the
/// timer remains.
fn watcher(paths: &[PathBuf], changed: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let notify = changed.clone();
    // Our own reading shows as access, too.
    let told = move |event: notify::Result<notify::Event>| {
        if !event.is_ok_and(|event| event.kind.is_access()) {
            notify.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(told).map_err(|error| untold(&error)).ok()?;
    for path in paths {
        if let Err(error) = watcher.watch(folder_of(path), RecursiveMode::NonRecursive) {
            untold(&error);
        }
    }
    Some(watcher)
}

fn untold(error: &notify::Error) {
    tracing::warn!(%error, "spec files cannot be watched; they are read again by the timer");
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
