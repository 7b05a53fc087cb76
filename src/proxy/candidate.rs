//! Configurations that might be run: their origin, and how they are written to disk and tested by the engine. Decides nothing.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use super::config_directory::{ConfigDirectories, ConfigDirectory};
use super::{Agent, secret_files};
use crate::protocol::messages::{Bundle, ProxyConfig, SecretFiles};
use crate::runtime::EngineError;
use crate::types::ConfigSource;

/// Where offers come from.
pub(super) type OfferReceiver = watch::Receiver<Option<Arc<ProxyConfig>>>;

/// The form in which an offer is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfferForm {
    /// With addresses.
    Live,
    /// With names, because the addresses were not confirmed for too long.
    Names,
}

impl OfferForm {
    pub(super) fn bundle(self, config: &ProxyConfig) -> &Bundle {
        match self {
            Self::Live => &config.live,
            Self::Names => &config.boot,
        }
    }

    pub(super) fn source(self) -> ConfigSource {
        match self {
            Self::Live => ConfigSource::Live,
            Self::Names => ConfigSource::Names,
        }
    }
}

/// A configuration that might be run.
pub(super) struct Candidate {
    pub(super) bundle: Bundle,
    pub(super) source: ConfigSource,
    /// The offer to which it belongs; `None` for a mounted snapshot.
    pub(super) config: Option<Arc<ProxyConfig>>,
    /// Whether it has addresses, which may belong to other containers after some time.
    pub(super) addressed: bool,
    /// Nothing is left out for lack of a secret file.
    pub(super) whole: bool,
    /// Its addresses that get no requests, because their tasks have left them.
    pub(super) disabled: BTreeSet<SocketAddr>,
}

impl Candidate {
    /// An offer of the extension.
    pub(super) fn offered(config: Arc<ProxyConfig>, form: OfferForm, whole: bool) -> Self {
        let bundle = form.bundle(&config).clone();
        Self { bundle, source: form.source(), config: Some(config), addressed: form == OfferForm::Live, whole, disabled: BTreeSet::new() }
    }

    /// Its offer, if it came from the extension.
    pub(super) fn offer(&self) -> Option<&Arc<ProxyConfig>> {
        self.config.as_ref().filter(|_| matches!(self.source, ConfigSource::Live | ConfigSource::Names))
    }
}

/// A configuration on disk that the engine accepts.
pub(super) struct TestedConfig {
    pub(super) generation: ConfigDirectory,
    /// Nothing is left out.
    pub(super) whole: bool,
}

impl Agent {
    /// Writes a configuration with its secret files next to the running one and has the engine test it. Files that need a missing
    /// secret are left out.
    pub(super) async fn tested(&self, bundle: &Bundle, offered: &SecretFiles) -> Result<TestedConfig, EngineError> {
        self.tested_in(&self.configs, bundle, offered).await
    }

    /// The same in another directory.
    pub(super) async fn tested_in(
        &self,
        configs: &ConfigDirectories,
        bundle: &Bundle,
        offered: &SecretFiles,
    ) -> Result<TestedConfig, EngineError> {
        let (generation, whole) = self.staged_in(configs, bundle, offered).await?;
        self.engine.test(generation.path()).await?;
        Ok(TestedConfig { generation, whole })
    }

    /// Writes it to that directory, and returns whether it is complete.
    pub(super) async fn staged_in(
        &self,
        configs: &ConfigDirectories,
        bundle: &Bundle,
        offered: &SecretFiles,
    ) -> Result<(ConfigDirectory, bool), EngineError> {
        let fitted = secret_files::find_secret_files(bundle, offered, &self.options.material_dir);
        if !fitted.left_out.is_empty() {
            let left_out = fitted.left_out.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            tracing::warn!(config = bundle.digest.short(), left_out, "certificates are not available; their hosts have no TLS");
        }
        if fitted.left_out.contains(self.engine.main_file()) {
            return Err(EngineError::Refused("the certificate of the default backend is not available".to_owned()));
        }
        let generation = configs.stage(self.engine.as_ref(), &bundle.digest, &fitted).await?;
        Ok((generation, fitted.left_out.is_empty()))
    }
}
