//! The configuration with names, prepared while everything works: written and tested by the engine, so that the change to it needs
//! a reload and no decision. It changes only when routes do, and testing it may take several times as long as testing addresses. So
//! it is tested in the background, once routes have settled, and takes a small part of the time.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::candidate::TestedConfig;
use super::config_directory::ConfigDirectories;
use super::{Agent, ProxyError};
use crate::protocol::messages::ProxyConfig;
use crate::runtime::EngineError;
use crate::types::Digest;

/// Route changes within this time are tested together.
const SETTLE: Duration = Duration::from_secs(2);
/// Tests take at most one part in this many of the time, however often routes change.
const SHARE: u32 = 10;

/// The prepared configuration, and the one to prepare.
pub(super) struct FallbackConfig {
    configs: ConfigDirectories,
    prepared: Mutex<Option<Prepared>>,
    wanted: watch::Sender<Option<Arc<ProxyConfig>>>,
}

struct Prepared {
    boot: Digest,
    tested: TestedConfig,
}

impl FallbackConfig {
    /// Nothing is prepared yet.
    pub(super) fn new(directory: PathBuf) -> Result<Self, ProxyError> {
        let configs = ConfigDirectories::create_empty(directory)?;
        Ok(Self { configs, prepared: Mutex::new(None), wanted: watch::Sender::new(None) })
    }

    /// Prepares the names of this configuration, which runs with addresses. `None`: no addresses are in use, or they never expire.
    pub(super) fn request(&self, config: Option<Arc<ProxyConfig>>) {
        self.wanted.send_replace(config);
    }

    /// Prepares the wanted configurations, forever. One that the engine refused is not tried again until it changes: the extension
    /// tests it too and reports it.
    pub(super) async fn run(&self, agent: &Agent) -> Infallible {
        let mut wanted = self.wanted.subscribe();
        wanted.mark_changed();
        let mut refused: Option<Digest> = None;
        let mut rest = Duration::ZERO;
        loop {
            // The agent holds the sender: an error cannot occur.
            let _ = wanted.changed().await;
            tokio::time::sleep(SETTLE.max(rest)).await;
            let Some(config) = wanted.borrow_and_update().clone().filter(|config| refused.as_ref() != Some(&config.boot.digest)) else {
                continue;
            };
            let began = Instant::now();
            if let Err(error) = self.prepare(agent, &config).await {
                tracing::error!(config = config.boot.digest.short(), %error, "cannot prepare the configuration with names");
                refused = error.is_refusal().then(|| config.boot.digest.clone());
            }
            rest = began.elapsed() * SHARE;
        }
    }

    async fn prepare(&self, agent: &Agent, config: &ProxyConfig) -> Result<(), EngineError> {
        let mut prepared = self.prepared.lock().await;
        if prepared.as_ref().is_some_and(|prepared| prepared.boot == config.boot.digest) {
            return Ok(());
        }
        let tested = agent.tested_in(&self.configs, &config.boot, &config.contents).await?;
        self.configs.keep_only(&tested.generation);
        *prepared = Some(Prepared { boot: config.boot.digest.clone(), tested });
        Ok(())
    }

    /// The tested configuration with names: the prepared one, or else one that is tested now. Waits for a test that is in progress.
    pub(super) async fn take(&self, agent: &Agent, config: &ProxyConfig) -> Result<TestedConfig, EngineError> {
        let prepared = self.prepared.lock().await.take_if(|prepared| prepared.boot == config.boot.digest);
        match prepared {
            Some(Prepared { tested, .. }) => Ok(TestedConfig { generation: agent.configs.adopt(&tested.generation)?, ..tested }),
            None => agent.tested(&config.boot, &config.contents).await,
        }
    }
}
