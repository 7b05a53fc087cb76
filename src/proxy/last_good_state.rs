//! The last good state on the volume, for the next start on this node. The modification time of the file is when an observation of
//! the Swarm last confirmed it, because the age of the knowledge matters, not that of the file. A missing or read-only volume costs
//! nothing else: it is logged once, and no further writes are attempted. Keys are never written here, because the volume is a disk.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::pki::TrustRoot;
use crate::protocol::messages::{Bundle, ProxyConfig, SecretFiles, WIRE_VERSION};
use crate::protocol::size_limits::SAVED_BYTES_MAX;
use crate::types::{ClusterName, Digest, EngineKind};

const FILE: &str = "last-good.json";
/// The least time between two writes of a confirmation.
const CONFIRM_DISTANCE: SignedDuration = SignedDuration::from_secs(5);

/// The volume.
pub(super) struct StateVolume {
    directory: PathBuf,
    engine: EngineKind,
    /// The authority that must have signed the content: others may write to a volume.
    root: TrustRoot,
    progress: Arc<Mutex<Progress>>,
}

#[derive(Debug, Default)]
struct Progress {
    /// The offer that the volume holds, as far as this agent wrote it.
    saved: Option<Digest>,
    confirmed: Option<Timestamp>,
    /// A write failed, and this was logged.
    broken: bool,
}

/// The state that an earlier agent left.
#[derive(Debug)]
pub(super) struct SavedState {
    pub(super) config: ProxyConfig,
    /// How long ago an observation of the Swarm last confirmed it.
    pub(super) age: SignedDuration,
}

#[derive(Serialize, Deserialize)]
struct StateFile {
    version: u32,
    config: ProxyConfig,
}

impl StateVolume {
    pub(super) fn new(directory: &Path, engine: EngineKind, root: TrustRoot) -> Self {
        Self { directory: directory.to_owned(), engine, root, progress: Arc::default() }
    }

    /// Saves a running configuration and the time of its last confirmation. Several proxies may share a volume: the file is
    /// replaced as a whole.
    pub(super) async fn save(&self, config: Arc<ProxyConfig>, confirmed: Timestamp) {
        let (directory, digest) = (self.directory.clone(), config.digest.clone());
        if self.progress().broken || self.progress().saved.as_ref() == Some(&digest) {
            return;
        }
        let config = ProxyConfig { contents: SecretFiles::default(), ..config.as_ref().clone() };
        let content = StateFile { version: WIRE_VERSION, config };
        let outcome =
            tokio::task::spawn_blocking(move || write(&directory, &content, confirmed)).await.unwrap_or_else(|error| Err(error.into()));
        let mut progress = self.progress();
        match outcome {
            Ok(()) => {
                progress.saved = Some(digest);
                progress.confirmed = Some(confirmed);
            }
            Err(error) => give_up(&mut progress, &error),
        }
    }

    /// Records that this offer was confirmed again, if it is the saved one.
    pub(super) fn confirm(&self, offer: &Digest, confirmed: Timestamp) {
        let mut progress = self.progress();
        let is_due = progress.confirmed.is_none_or(|last| confirmed.duration_since(last).abs() >= CONFIRM_DISTANCE);
        if progress.broken || progress.saved.as_ref() != Some(offer) || !is_due {
            return;
        }
        let touched = File::options().write(true).open(self.directory.join(FILE)).and_then(|file| file.set_modified(confirmed.into()));
        match touched {
            Ok(()) => progress.confirmed = Some(confirmed),
            Err(error) => give_up(&mut progress, &error),
        }
    }

    /// The state that an earlier agent left for this cluster, if it is complete.
    pub(super) fn load(&self, cluster: &ClusterName, now: Timestamp) -> Option<SavedState> {
        match self.read(cluster, now) {
            Ok(saved) => Some(saved),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(%error, "ignoring the invalid state of an earlier proxy on the volume");
                None
            }
        }
    }

    fn read(&self, cluster: &ClusterName, now: Timestamp) -> io::Result<SavedState> {
        let path = self.directory.join(FILE);
        let invalid = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
        let text = small_file(&path, SAVED_BYTES_MAX)?;
        // An error of the parser would quote its input.
        let content: StateFile =
            serde_json::from_slice(&text).map_err(|_| invalid("not the state of a proxy of this version".to_owned()))?;
        if content.version != WIRE_VERSION {
            return Err(invalid(format!("unsupported version {}, expected {WIRE_VERSION}", content.version)));
        }
        let bundles = [&content.config.live, &content.config.boot];
        let check = |bundle: &&Bundle| bundle.check_usable(cluster, self.engine, &self.root, 0);
        bundles.iter().try_for_each(check).map_err(|fault| invalid(fault.to_string()))?;
        let confirmed = Timestamp::try_from(fs::metadata(&path)?.modified()?).map_err(|error| invalid(error.to_string()))?;
        Ok(SavedState { config: content.config, age: now.duration_since(confirmed) })
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a file of a volume, where others may have put anything: a pipe that never ends, or a file that fills the memory.
pub(super) fn small_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() || about.len() > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file of at most the maximum size"));
    }
    let mut content = Vec::new();
    file.take(limit).read_to_end(&mut content)?;
    Ok(content)
}

fn give_up(progress: &mut Progress, error: &io::Error) {
    progress.broken = true;
    tracing::warn!(%error, "cannot write to the volume; the next proxy on this node will not find the last good state");
}

fn write(directory: &Path, content: &StateFile, confirmed: Timestamp) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".last-good-").tempfile_in(directory)?;
    file.write_all(&serde_json::to_vec(content)?)?;
    file.as_file().set_modified(confirmed.into())?;
    file.as_file().sync_all()?;
    file.persist(directory.join(FILE))?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::pki::{Authority, ChannelIdentity, ChannelRole};

    fn cluster(name: &str) -> ClusterName {
        ClusterName::parse(name).unwrap()
    }

    /// An operator's authority and an offer that its extension of cluster `dev` signed.
    struct Signing {
        root: TrustRoot,
        signer: crate::pki::Signer,
    }

    impl Signing {
        fn new() -> Self {
            let now = Timestamp::now();
            let authority = Authority::create(now).unwrap();
            let key = ChannelIdentity::issued_by(&authority, ChannelRole::Extension, &cluster("dev"), "t1", now).unwrap();
            Self { root: authority.root().clone(), signer: key.signer() }
        }

        fn config(&self, text: &str) -> Arc<ProxyConfig> {
            let files = BTreeMap::from([("nginx.conf".to_owned(), text.to_owned())]);
            let bundle = Bundle::new(cluster("dev"), Digest::of_bytes(b""), files).signed(1, &self.signer, Timestamp::now());
            Arc::new(ProxyConfig::new(bundle.clone(), bundle, SecretFiles::default(), BTreeMap::new()))
        }

        fn store(&self, directory: &Path) -> StateVolume {
            StateVolume::new(directory, EngineKind::Nginx, self.root.clone())
        }
    }

    fn in_seconds(now: Timestamp, seconds: u64) -> Timestamp {
        now + Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn age_counts_from_the_last_confirmation() {
        let (directory, signing) = (tempfile::tempdir().unwrap(), Signing::new());
        let now = Timestamp::now();
        let store = signing.store(directory.path());
        let config = signing.config("a");
        store.save(config.clone(), now).await;
        store.confirm(&config.digest, in_seconds(now, 100));
        store.confirm(&Digest::of_bytes(b"another offer"), in_seconds(now, 120));
        let saved = signing.store(directory.path()).load(&cluster("dev"), in_seconds(now, 130)).unwrap();
        assert_eq!(saved.config, *config);
        assert_eq!(saved.age.as_secs(), 30);
    }

    #[tokio::test]
    async fn keys_never_reach_the_volume() {
        let (directory, signing) = (tempfile::tempdir().unwrap(), Signing::new());
        let contents = SecretFiles([("tls.pem".to_owned(), "the key itself".to_owned())].into());
        let secret = Arc::new(ProxyConfig { contents, ..signing.config("a").as_ref().clone() });
        signing.store(directory.path()).save(secret, Timestamp::now()).await;
        let written = fs::read_to_string(directory.path().join(FILE)).unwrap();
        assert!(written.contains("nginx.conf") && !written.contains("the key itself"), "{written}");
    }

    #[tokio::test]
    async fn a_confirmation_never_renews_the_state_of_another_agent() {
        let (directory, signing) = (tempfile::tempdir().unwrap(), Signing::new());
        let now = Timestamp::now();
        signing.store(directory.path()).save(signing.config("a"), now).await;
        let second = signing.store(directory.path());
        second.confirm(&signing.config("a").digest, in_seconds(now, 100));
        assert!(second.load(&cluster("dev"), in_seconds(now, 100)).unwrap().age.as_secs() >= 99);
    }

    #[tokio::test]
    async fn foreign_or_damaged_state_is_not_used() {
        let (directory, signing) = (tempfile::tempdir().unwrap(), Signing::new());
        let now = Timestamp::now();
        let store = signing.store(directory.path());
        assert!(store.load(&cluster("dev"), now).is_none());
        store.save(signing.config("a"), now).await;
        assert!(store.load(&cluster("other"), now).is_none());
        assert!(Signing::new().store(directory.path()).load(&cluster("dev"), now).is_none(), "the state belongs to another operator");
        assert!(store.load(&cluster("dev"), now).is_some());
        let path = directory.path().join(FILE);
        let damaged = fs::read_to_string(&path).unwrap().replace("\"a\"", "\"b\"");
        fs::write(&path, damaged).unwrap();
        assert!(store.load(&cluster("dev"), now).is_none());
    }

    #[tokio::test]
    async fn a_missing_volume_is_not_an_error() {
        let signing = Signing::new();
        let store = signing.store(Path::new("/nonexistent/volume"));
        store.save(signing.config("a"), Timestamp::now()).await;
        assert!(store.progress().broken);
    }
}
