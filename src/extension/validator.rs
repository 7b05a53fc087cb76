//! Renders tables and validates them with the engine's program, with their secret files beside them in a memory-backed directory that
//! is removed as soon as the engine has answered.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use super::bisect;
use super::tls_material::ResolvedTable;
use super::tls_test_tables::{self, Suspect};
use crate::protocol::messages::{Bundle, Delivery, Desired, SecretFiles};
use crate::protocol::size_limits::{self, TooLarge};
use crate::render::{ConfigPurpose, Layout, parts, render_in, template_fault};
use crate::route::RouteTable;
use crate::runtime::{CertificateFault, Engine, EngineError, write_secret_files};
use crate::types::{Digest, EngineKind};

/// Why a configuration is not offered.
#[derive(Debug, thiserror::Error)]
pub(super) enum ValidationError {
    /// The engine, or the administrator's template, refuses it. The message of the engine or template.
    #[error("the configuration is rejected: {0}")]
    Refused(String),
    /// The engine was not run, because the receivers could not read the configuration. The message says how large it is.
    #[error("the configuration is too large: {0}")]
    TooLarge(String),
    /// The engine could not be run: this says nothing about the configuration.
    #[error(transparent)]
    Unavailable(EngineError),
}

impl From<EngineError> for ValidationError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Refused(message) => Self::Refused(message),
            other => Self::Unavailable(other),
        }
    }
}

/// A table's configurations, not validated yet.
pub(super) struct RenderedTable {
    pub(super) live: Bundle,
    pub(super) boot: Bundle,
    pub(super) stock: Option<Bundle>,
    /// The parts of `live`, so that a reload can name its reason.
    pub(super) parts: BTreeMap<String, String>,
}

impl RenderedTable {
    /// Whether all receivers can read these. If not, there is no need to run the engine.
    fn check_size(&self, contents: &SecretFiles) -> Result<(), ValidationError> {
        let to_proxies = size_limits::check_offer(&self.live, &self.boot, contents, &self.parts);
        let to_operator = size_limits::check_report(&self.boot, self.stock.as_ref());
        let too_large = |receiver: &'static str| move |fault: TooLarge| ValidationError::TooLarge(format!("for {receiver}, {fault}"));
        to_proxies.map_err(too_large("proxies")).and(to_operator.map_err(too_large("the operator")))
    }

    /// Why an administrator's own template gave no configuration.
    fn template_fault(&self) -> Option<String> {
        [Some(&self.live), Some(&self.boot), self.stock.as_ref()].into_iter().flatten().find_map(template_fault).map(str::to_owned)
    }
}

/// The form of the secret files that a configuration is tested with: both are in use.
#[derive(Clone, Copy)]
enum SecretForm<'a> {
    /// Written anew from what was parsed, as running proxies receive them.
    Offered(&'a SecretFiles),
    /// As they were stored, for proxies that start alone and for stock images.
    Mounted,
}

/// Renders and validates configurations.
pub(super) struct Validator {
    kind: EngineKind,
    engine: Arc<dyn Engine>,
    run_dir: PathBuf,
    layout: Layout,
    /// Where secrets are mounted, each under its id.
    mounts: PathBuf,
    /// What the engine accepted last: a boot snapshot rarely changes, and is not tested again for each change of endpoints.
    known_good: Vec<Digest>,
}

impl Validator {
    pub(super) fn new(kind: EngineKind, engine: Arc<dyn Engine>, run_dir: PathBuf, layout: Layout, mounts: PathBuf) -> Self {
        Self { kind, engine, run_dir, layout, mounts, known_good: Vec::new() }
    }

    /// Why a table cannot be rendered here at all: it is for another engine.
    pub(super) fn check_engine(&self, table: &RouteTable) -> Option<ValidationError> {
        let message = || format!("the routes are for the engine {}, but this extension runs {}", table.engine, self.kind);
        (table.engine != self.kind).then(|| ValidationError::Refused(message()))
    }

    /// Renders a table in every form that is needed, with the resolved material.
    pub(super) fn render_table(&self, desired: &Desired, resolved: &ResolvedTable, table: &RouteTable) -> RenderedTable {
        let write = |purpose| render_in(table, purpose, &self.layout, &resolved.materials);
        RenderedTable {
            live: write(ConfigPurpose::Live),
            boot: write(ConfigPurpose::Boot),
            // A stock image has its own user and paths, which cannot be tested here; all else in it is as in `live`.
            stock: (desired.delivery == Delivery::Replace).then(|| write(ConfigPurpose::Stock)),
            parts: parts(table, &resolved.materials),
        }
    }

    /// Whether these configurations can be offered.
    pub(super) async fn validate(&self, rendered: &RenderedTable, contents: &SecretFiles) -> Result<(), ValidationError> {
        if let Some(fault) = rendered.template_fault() {
            return Err(ValidationError::Refused(fault));
        }
        rendered.check_size(contents)?;
        let (live, boot) =
            (self.test_one(&rendered.live, SecretForm::Offered(contents)), self.test_one(&rendered.boot, SecretForm::Mounted));
        tokio::try_join!(live, boot)?;
        Ok(())
    }

    /// Why a table cannot be offered; `None` if it can.
    pub(super) async fn refusal(
        &self,
        desired: &Desired,
        resolved: &ResolvedTable,
        table: &RouteTable,
    ) -> Result<Option<String>, EngineError> {
        match self.validate(&self.render_table(desired, resolved, table), &resolved.contents).await {
            Ok(()) => Ok(None),
            Err(ValidationError::Refused(message) | ValidationError::TooLarge(message)) => Ok(Some(message)),
            Err(ValidationError::Unavailable(error)) => Err(error),
        }
    }

    /// Whether a table is small enough for all receivers. Does not run the engine.
    pub(super) fn fits(&self, desired: &Desired, resolved: &ResolvedTable, table: &RouteTable) -> bool {
        self.render_table(desired, resolved, table).check_size(&resolved.contents).is_ok()
    }

    /// The suspects that the engine refuses by themselves, and why. A few among thousands are found with few tests; if they are many,
    /// each one is tested alone.
    pub(super) async fn refused_suspects(&self, resolved: &ResolvedTable, suspects: BTreeSet<Suspect>) -> Vec<(Suspect, CertificateFault)> {
        let refusal = |left_out: BTreeSet<Suspect>| {
            let others: Vec<Suspect> = suspects.difference(&left_out).cloned().collect();
            async move { Ok::<_, Infallible>(self.refusal_of(resolved, &others).await) }
        };
        // Usually none of them is the cause, which one test shows.
        if self.refusal_of(resolved, &suspects.iter().cloned().collect::<Vec<_>>()).await.is_none() {
            return Vec::new();
        }
        let Ok(found) = bisect::find(suspects.clone(), refusal).await;
        let refused = match found {
            Some(found) => found,
            None => self.refused_alone(resolved, suspects).await,
        };
        refused.into_iter().map(|(suspect, message)| (suspect, self.engine.certificate_fault(&message))).collect()
    }

    async fn refused_alone(&self, resolved: &ResolvedTable, suspects: BTreeSet<Suspect>) -> Vec<(Suspect, String)> {
        let mut refused = Vec::new();
        for suspect in suspects {
            refused.extend(self.refusal_of(resolved, std::slice::from_ref(&suspect)).await.map(|message| (suspect, message)));
        }
        refused
    }

    /// Why the engine refuses these suspects alone, either as proxies receive them or as they are mounted.
    async fn refusal_of(&self, resolved: &ResolvedTable, suspects: &[Suspect]) -> Option<String> {
        let table = tls_test_tables::table(&resolved.table, suspects);
        if suspects.is_empty() {
            return None;
        }
        for (purpose, secrets) in
            [(ConfigPurpose::Live, SecretForm::Offered(&resolved.contents)), (ConfigPurpose::Boot, SecretForm::Mounted)]
        {
            let bundle = render_in(&table, purpose, &self.layout, &resolved.materials);
            if let Err(EngineError::Refused(message)) = self.test_one(&bundle, secrets).await {
                return Some(message);
            }
        }
        None
    }

    /// The secret files that a bundle needs.
    fn secret_files(&self, bundle: &Bundle, secrets: SecretForm<'_>) -> BTreeMap<String, String> {
        let content = |name: &str, id: &str| match secrets {
            SecretForm::Offered(contents) => contents.0.get(name).cloned(),
            SecretForm::Mounted => Some(String::from_utf8_lossy(&std::fs::read(self.mounts.join(id)).ok()?).into_owned()),
        };
        bundle.material.iter().filter_map(|(name, material)| Some((name.clone(), content(name, &material.secret)?))).collect()
    }

    /// Remembers what was accepted.
    pub(super) fn remember_good(&mut self, bundles: [&Bundle; 2]) {
        self.known_good = bundles.map(|bundle| bundle.digest.clone()).into();
    }

    async fn test_one(&self, bundle: &Bundle, secrets: SecretForm<'_>) -> Result<(), EngineError> {
        if self.known_good.contains(&bundle.digest) {
            return Ok(());
        }
        let in_run_dir = |source| EngineError::write(&self.run_dir, source);
        let directory = tempfile::Builder::new().prefix("check-").tempdir_in(&self.run_dir).map_err(in_run_dir)?;
        self.engine.write_config(directory.path(), &bundle.files).await?;
        write_secret_files(directory.path(), &self.secret_files(bundle, secrets)).await?;
        self.engine.test(directory.path()).await
    }
}
