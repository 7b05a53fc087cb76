//! A start by names. An engine resolves names only once it runs. Until it has the answers it has nowhere to send requests, but
//! accepts them all the same. So it first runs without anything that accepts requests. When all names have been answered, it loads
//! the whole configuration and keeps what it has resolved; from then on this proxy serves.

use std::time::Duration;

use super::candidate::Candidate;
use super::config_directory::ConfigDirectory;
use super::dns_server::ResolutionWatch;
use super::{Agent, ProxyError, dns_handover};
use crate::runtime::{ChangeScope, ConfigChange, EngineError, EngineProcess};

/// How long the engine may take to resolve all names if it has nothing else: it repeats a lost query after 5 s.
pub(super) const RESOLVE_MAX: Duration = Duration::from_secs(12);
/// How long an answer takes from the agent into the engine's tables on a busy machine.
const RESOLVED: Duration = Duration::from_millis(200);
/// Retries, because a port that is still taken becomes free.
const TRIES: usize = 3;
const AGAIN: Duration = Duration::from_secs(1);

/// The configuration that follows once the names are resolved.
pub(super) struct DeferredConfig {
    whole: ConfigDirectory,
    resolution: ResolutionWatch,
    names: usize,
}

/// Waits until the engine has had answers for this many names, but not forever.
pub(super) async fn wait_for_names(resolution: ResolutionWatch, names: usize) {
    if tokio::time::timeout(RESOLVE_MAX, resolution.until(names)).await.is_err() {
        tracing::warn!(names, "not all names were resolved in time; requests to the others fail until they are resolved");
    }
    // The last answers are still on their way within this machine.
    tokio::time::sleep(RESOLVED).await;
}

impl Agent {
    /// Replaces the first configuration by one that only resolves names, if it has any. If that fails, the engine resolves them
    /// while it serves, which costs some requests and is no reason not to start.
    pub(super) async fn resolve_first(&self, first: &Candidate) -> Option<DeferredConfig> {
        self.options.names.as_ref().filter(|_| !first.addressed)?;
        let (bundle, names) = dns_handover::initial_names(self.engine.as_ref(), &first.bundle)?;
        let whole = self.configs.current_generation()?;
        let contents = first.config.as_ref().map(|config| config.contents.clone()).unwrap_or_default();
        let tested = self.tested(&bundle, &contents).await;
        let resolution = self.learnt.resolution();
        let promoted = tested.and_then(|tested| self.configs.promote(&tested.generation));
        promoted.inspect_err(|error| tracing::warn!(%error, "cannot resolve names before this proxy serves")).ok()?;
        Some(DeferredConfig { whole, resolution, names })
    }

    /// Has the engine load the whole configuration once it has resolved the names.
    pub(super) async fn serve_after_resolving(&self, process: &dyn EngineProcess, later: DeferredConfig) -> Result<(), ProxyError> {
        wait_for_names(later.resolution, later.names).await;
        let before = self.configs.current_generation();
        self.configs.promote(&later.whole)?;
        let before = before.as_ref().map(ConfigDirectory::path);
        let change = ConfigChange { scope: ChangeScope::Everything, before, after: later.whole.path() };
        let mut tries = 1;
        while let Err(error) = process.apply(change).await {
            if tries == TRIES {
                return Err(EngineError::Refused(error.to_string()).into());
            }
            tries += 1;
            tokio::time::sleep(AGAIN).await;
        }
        self.configs.keep_only(&later.whole);
        Ok(())
    }
}
