//! The last good state on the volume, for the next start on this node. The file's time says when the extension last
//! confirmed it: that is how old the knowledge is, not the file. A volume that is missing or read-only costs nothing but
//! this: it is said once and never tried in vain again. Keys are never written here: the volume is a disk.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::channel::wire::{Contents, ProxyConfig, WIRE_VERSION};
use crate::types::{ClusterName, Digest};

const FILE: &str = "last-good.json";
/// A confirmation is written at most this often.
const CONFIRM_DISTANCE: SignedDuration = SignedDuration::from_secs(15);

/// The volume.
pub(super) struct Store {
    directory: PathBuf,
    progress: Arc<Mutex<Progress>>,
}

#[derive(Debug, Default)]
struct Progress {
    /// What the volume holds, since this agent wrote it.
    saved: Option<Digest>,
    confirmed: Option<Timestamp>,
    /// Writing failed, and that was said.
    broken: bool,
}

/// What an earlier agent left.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) config: ProxyConfig,
    /// How long ago the extension last confirmed it.
    pub(super) age: SignedDuration,
}

#[derive(Serialize, Deserialize)]
struct Content {
    version: u32,
    config: ProxyConfig,
}

impl Store {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), progress: Arc::default() }
    }

    /// Keeps a configuration that is running. Several proxies may share a volume: the file is replaced as a whole.
    pub(super) async fn save(&self, config: Arc<ProxyConfig>, now: Timestamp) {
        let (directory, digest) = (self.directory.clone(), config.live.digest.clone());
        if self.progress().broken || self.progress().saved.as_ref() == Some(&digest) {
            return;
        }
        let config = ProxyConfig { contents: Contents::default(), ..config.as_ref().clone() };
        let content = Content { version: WIRE_VERSION, config };
        let outcome = tokio::task::spawn_blocking(move || write(&directory, &content)).await.unwrap_or_else(|error| Err(error.into()));
        let mut progress = self.progress();
        match outcome {
            Ok(()) => {
                progress.saved = Some(digest);
                progress.confirmed = Some(now);
            }
            Err(error) => give_up(&mut progress, &error),
        }
    }

    /// Notes that what was saved is still right.
    pub(super) fn confirm(&self, now: Timestamp) {
        let mut progress = self.progress();
        let is_due = progress.confirmed.is_none_or(|last| now.duration_since(last) >= CONFIRM_DISTANCE);
        if progress.broken || progress.saved.is_none() || !is_due {
            return;
        }
        let touched = File::options().write(true).open(self.directory.join(FILE)).and_then(|file| file.set_modified(now.into()));
        match touched {
            Ok(()) => progress.confirmed = Some(now),
            Err(error) => give_up(&mut progress, &error),
        }
    }

    /// What an earlier agent left for this cluster, if it is whole.
    pub(super) fn load(&self, cluster: &ClusterName, now: Timestamp) -> Option<Saved> {
        match read(&self.directory.join(FILE), cluster, now) {
            Ok(saved) => Some(saved),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(%error, "what an earlier proxy left on the volume cannot be used");
                None
            }
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn give_up(progress: &mut Progress, error: &io::Error) {
    progress.broken = true;
    tracing::warn!(%error, "the volume cannot be written; the next start on this node will not find the last good state");
}

fn write(directory: &Path, content: &Content) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".last-good-").tempfile_in(directory)?;
    file.write_all(&serde_json::to_vec(content)?)?;
    file.as_file().sync_all()?;
    file.persist(directory.join(FILE))?;
    File::open(directory)?.sync_all()
}

fn read(path: &Path, cluster: &ClusterName, now: Timestamp) -> io::Result<Saved> {
    let content: Content = serde_json::from_slice(&fs::read(path)?)?;
    let invalid = |words: String| io::Error::new(io::ErrorKind::InvalidData, words);
    if content.version != WIRE_VERSION {
        return Err(invalid(format!("version {} is not {WIRE_VERSION}", content.version)));
    }
    let bundles = [&content.config.live, &content.config.boot];
    bundles.iter().try_for_each(|bundle| bundle.check(cluster)).map_err(|fault| invalid(fault.to_string()))?;
    let confirmed = Timestamp::try_from(fs::metadata(path)?.modified()?).map_err(|error| invalid(error.to_string()))?;
    Ok(Saved { config: content.config, age: now.duration_since(confirmed) })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::channel::wire::{Bundle, Contents};

    fn cluster(name: &str) -> ClusterName {
        ClusterName::parse(name).unwrap()
    }

    fn config(text: &str) -> Arc<ProxyConfig> {
        let files = BTreeMap::from([("nginx.conf".to_owned(), text.to_owned())]);
        let bundle = Bundle::new(cluster("dev"), Digest::of_bytes(b""), files);
        Arc::new(ProxyConfig {
            version: WIRE_VERSION,
            live: bundle.clone(),
            boot: bundle,
            contents: Contents::default(),
            parts: BTreeMap::new(),
        })
    }

    fn in_seconds(now: Timestamp, seconds: u64) -> Timestamp {
        now + Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn age_counts_from_the_last_confirmation() {
        let directory = tempfile::tempdir().unwrap();
        let now = Timestamp::now();
        let store = Store::new(directory.path());
        store.save(config("a"), now).await;
        store.confirm(in_seconds(now, 100));
        let saved = Store::new(directory.path()).load(&cluster("dev"), in_seconds(now, 130)).unwrap();
        assert_eq!(saved.config, *config("a"));
        assert_eq!(saved.age.as_secs(), 30);
    }

    #[tokio::test]
    async fn keys_never_reach_the_volume() {
        let directory = tempfile::tempdir().unwrap();
        let contents = Contents([("tls.pem".to_owned(), "the key itself".to_owned())].into());
        let secret = Arc::new(ProxyConfig { contents, ..config("a").as_ref().clone() });
        Store::new(directory.path()).save(secret, Timestamp::now()).await;
        let written = fs::read_to_string(directory.path().join(FILE)).unwrap();
        assert!(written.contains("nginx.conf") && !written.contains("the key itself"), "{written}");
    }

    #[tokio::test]
    async fn a_confirmation_never_renews_what_another_agent_left() {
        let directory = tempfile::tempdir().unwrap();
        let now = Timestamp::now();
        Store::new(directory.path()).save(config("a"), now).await;
        let second = Store::new(directory.path());
        second.confirm(in_seconds(now, 100));
        assert!(second.load(&cluster("dev"), in_seconds(now, 100)).unwrap().age.as_secs() >= 99);
    }

    #[tokio::test]
    async fn what_is_foreign_or_damaged_is_not_used() {
        let directory = tempfile::tempdir().unwrap();
        let now = Timestamp::now();
        let store = Store::new(directory.path());
        assert!(store.load(&cluster("dev"), now).is_none());
        store.save(config("a"), now).await;
        assert!(store.load(&cluster("other"), now).is_none());
        let path = directory.path().join(FILE);
        let damaged = fs::read_to_string(&path).unwrap().replace("\"a\"", "\"b\"");
        fs::write(&path, damaged).unwrap();
        assert!(store.load(&cluster("dev"), now).is_none());
    }

    #[tokio::test]
    async fn a_missing_volume_is_no_error() {
        let store = Store::new(Path::new("/nonexistent/volume"));
        store.save(config("a"), Timestamp::now()).await;
        assert!(store.progress().broken);
    }
}
