//! Turns the newest table into configurations, has the engine test them, and only then hands them on. A table that the
//! engine refuses changes nothing but the report: the last good configuration stays.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::channel::wire::{Accepted, Bundle, Contents, Delivery, Desired, ProxyConfig, Refusal, WIRE_VERSION};
use crate::engine::{Engine, EngineError, last_words, write_files};
use crate::render::{Layout, Materials, Purpose, parts, render_in, template_fault};
use crate::retry::{Retry, RetryLimits};
use crate::types::Digest;

const RETRY: RetryLimits = RetryLimits { initial: Duration::from_millis(500), max: Duration::from_secs(30) };

/// What became of the tables so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    /// The newest that was accepted.
    pub(super) accepted: Option<Accepted>,
    /// The newest, if it was refused.
    pub(super) refused: Option<Refusal>,
    /// The boot snapshot of `accepted`.
    pub(super) boot: Option<Bundle>,
    /// What to mount, when proxies are not followed live.
    pub(super) mounted: Option<Bundle>,
}

/// One table's configurations, not tested yet.
struct Rendered {
    live: Bundle,
    boot: Bundle,
    stock: Option<Bundle>,
}

impl Rendered {
    /// Why an administrator's own template gave no configuration.
    fn template_fault(&self) -> Option<String> {
        [Some(&self.live), Some(&self.boot), self.stock.as_ref()].into_iter().flatten().find_map(template_fault).map(str::to_owned)
    }
}

/// Renders and tests, one table at a time, always the newest.
pub(super) struct Workshop {
    engine: Engine,
    run_dir: PathBuf,
    layout: Layout,
    desired: watch::Receiver<Option<Arc<Desired>>>,
    outcome: watch::Sender<Arc<Outcome>>,
    config: watch::Sender<Option<Arc<ProxyConfig>>>,
    /// What the engine accepted last: a boot snapshot rarely changes and is not tested again for every endpoint.
    known_good: Vec<Digest>,
}

impl Workshop {
    pub(super) fn new(
        engine: Engine,
        run_dir: PathBuf,
        layout: Layout,
        desired: watch::Receiver<Option<Arc<Desired>>>,
        outcome: watch::Sender<Arc<Outcome>>,
        config: watch::Sender<Option<Arc<ProxyConfig>>>,
    ) -> Self {
        Self { engine, run_dir, layout, desired, outcome, config, known_good: Vec::new() }
    }

    /// Works for ever. Tables that came and went while another was tested are never looked at.
    pub(super) async fn run(mut self) -> Infallible {
        let mut retry = Retry::new(RETRY);
        loop {
            let newest = self.desired.borrow_and_update().clone();
            let result = match &newest {
                Some(desired) => self.work_on(desired).await,
                None => Ok(()),
            };
            let pause = match result {
                Ok(()) => {
                    retry.reset();
                    None
                }
                Err(error) => {
                    tracing::error!(%error, "testing a configuration was not possible; trying again");
                    Some(retry.next())
                }
            };
            self.wait_for_work(pause).await;
        }
    }

    /// Until there is a newer table, or the pause before the next attempt is over.
    async fn wait_for_work(&mut self, pause: Option<Duration>) {
        let next_attempt = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The sender lives as long as the extension: an error here cannot occur.
            _ = self.desired.changed() => {}
            () = next_attempt => {}
        }
    }

    /// An error is only what says nothing about the table: the engine could not be asked.
    async fn work_on(&mut self, desired: &Desired) -> Result<(), EngineError> {
        let rendered = self.render(desired);
        if let Some(fault) = rendered.template_fault() {
            self.refuse(desired, &EngineError::Refused(fault));
            return Ok(());
        }
        match tokio::try_join!(self.test(&rendered.live), self.test(&rendered.boot)) {
            Ok(_) => {
                self.accept(desired, rendered);
                Ok(())
            }
            Err(error) => {
                self.refuse(desired, &error);
                if matches!(error, EngineError::Refused(_)) { Ok(()) } else { Err(error) }
            }
        }
    }

    fn render(&self, desired: &Desired) -> Rendered {
        let write = |purpose| render_in(&desired.table, purpose, &self.layout, &Materials::default());
        Rendered {
            live: write(Purpose::Live),
            boot: write(Purpose::Boot),
            // A stock image has its own user and paths, which cannot be tested here; all else in it is as in `live`.
            stock: (desired.delivery == Delivery::Replace).then(|| write(Purpose::Stock)),
        }
    }

    async fn test(&self, bundle: &Bundle) -> Result<(), EngineError> {
        if self.known_good.contains(&bundle.digest) {
            return Ok(());
        }
        let in_run_dir = |source| EngineError::Write { path: self.run_dir.display().to_string(), source };
        let directory = tempfile::Builder::new().prefix("check-").tempdir_in(&self.run_dir).map_err(in_run_dir)?;
        write_files(directory.path(), &bundle.files).await?;
        self.engine.test(&directory.path().join(crate::channel::contract::ENGINE_MAIN_FILE)).await
    }

    fn accept(&mut self, desired: &Desired, rendered: Rendered) {
        let Rendered { live, boot, stock } = rendered;
        let boot = Bundle { accepted_at: Some(self.accepted_since(&boot)), ..boot };
        self.known_good = vec![live.digest.clone(), boot.digest.clone()];
        let config_digest = stock.as_ref().unwrap_or(&live).digest.clone();
        tracing::info!(table = desired.digest.short(), config = config_digest.short(), "the engine accepts the configuration");
        let accepted = Accepted { desired_digest: desired.digest.clone(), config_digest };
        let (parts, contents) = (parts(&desired.table, &Materials::default()), Contents::default());
        let config = ProxyConfig { version: WIRE_VERSION, live, boot: boot.clone(), contents, parts };
        self.config.send_replace(Some(Arc::new(config)));
        self.outcome.send_replace(Arc::new(Outcome { accepted: Some(accepted), refused: None, boot: Some(boot), mounted: stock }));
    }

    /// Since when the engine accepts this boot snapshot: it does not change with endpoints.
    fn accepted_since(&self, boot: &Bundle) -> jiff::Timestamp {
        let outcome = self.outcome.borrow();
        let same = outcome.boot.as_ref().filter(|previous| previous.digest == boot.digest);
        same.and_then(|previous| previous.accepted_at).unwrap_or_else(jiff::Timestamp::now)
    }

    fn refuse(&self, desired: &Desired, error: &EngineError) {
        let (words, undecided) = match error {
            EngineError::Refused(words) => (words.clone(), false),
            other => (last_words(&other.to_string()), true),
        };
        tracing::warn!(table = desired.digest.short(), words, undecided, "the configuration is not accepted; the last good one stays");
        let refused = Some(Refusal { digest: desired.digest.clone(), words, undecided });
        let outcome = Outcome { refused, ..self.outcome.borrow().as_ref().clone() };
        self.outcome.send_replace(Arc::new(outcome));
    }
}
