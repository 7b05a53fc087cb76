//! Brings offers into force: test, swap, reload, verify, tell. An offer that fails anywhere leaves the engine as it was.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::generations::Generation;
use super::master::{Master, ReloadError};
use super::reason::reason;
use super::{Agent, Source, secrets};
use crate::channel::bounds::AgentBounds;
use crate::channel::contract::ENGINE_MAIN_FILE;
use crate::channel::wire::{Bundle, Contents, ProxyConfig, Refusal};
use crate::engine::{EngineError, last_words};
use crate::retry::{Retry, RetryLimits};
use crate::types::Digest;

/// For what may get better by itself, such as memory or a port that is still taken.
const RETRY: RetryLimits = RetryLimits { initial: Duration::from_secs(1), max: Duration::from_secs(60) };
/// Every so many workers that still finish requests, reloads get rarer by once the least distance: each holds memory.
const WORKERS_PER_DISTANCE: usize = 8;
/// A reload waits no longer than this for others to join: tasks that are told to stop have two seconds.
const DISTANCE_MAX: Duration = Duration::from_millis(1500);

/// Where offers come from.
pub(super) type Offered = watch::Receiver<Option<Arc<ProxyConfig>>>;

/// A configuration that might be run.
pub(super) struct Candidate {
    pub(super) bundle: Bundle,
    pub(super) source: Source,
    /// The offer that it came with, when it came from the extension.
    pub(super) offer: Option<Arc<ProxyConfig>>,
    /// Nothing of it is left out for want of a secret file.
    pub(super) whole: bool,
}

/// A configuration on disk that the engine accepts.
pub(super) struct Tested {
    pub(super) generation: Generation,
    /// Nothing of it is left out.
    pub(super) whole: bool,
}

/// Why an offer is not in force.
#[derive(Debug, thiserror::Error)]
enum ApplyError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the reload did not take effect: {0}")]
    Reload(#[from] ReloadError),
}

/// Applies offers to one running engine.
pub(super) struct Applier<'a> {
    agent: &'a Agent,
    master: &'a Master,
    offers: Offered,
    running: Candidate,
    last_reload: Option<Instant>,
    retry: Retry,
}

/// What makes the applier look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wake {
    Offer,
    Told,
}

impl<'a> Applier<'a> {
    pub(super) fn new(agent: &'a Agent, master: &'a Master, running: Candidate) -> Self {
        let mut offers = agent.offers.subscribe();
        // What was offered while the engine started is looked at as well.
        offers.mark_changed();
        Self { agent, master, offers, running, last_reload: None, retry: Retry::new(RETRY) }
    }

    /// Applies for ever. `told` asks for a reload whether anything changed or not.
    pub(super) async fn run(mut self, told: &Notify) -> Infallible {
        let mut pause = None;
        loop {
            let wake = self.wait(told, pause).await;
            pause = match self.step(wake).await {
                Ok(()) => {
                    self.retry.reset();
                    None
                }
                Err(ApplyError::Engine(EngineError::Refused(_))) => None,
                Err(_) => Some(self.retry.next()),
            };
        }
    }

    async fn wait(&mut self, told: &Notify, pause: Option<Duration>) -> Wake {
        let again = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        let wake = tokio::select! {
            // The agent holds the sender: an error cannot occur while this runs.
            _ = self.offers.changed() => Wake::Offer,
            () = told.notified() => Wake::Told,
            () = again => Wake::Offer,
        };
        if let Some(last) = self.last_reload {
            tokio::time::sleep_until(last + self.distance()).await;
        }
        wake
    }

    /// The more workers still finish requests, the longer reloads wait for one another.
    fn distance(&self) -> Duration {
        let crowd = u32::try_from(self.master.retiring_workers() / WORKERS_PER_DISTANCE).unwrap_or(u32::MAX);
        let least = self.agent.options.reload_distance;
        least.saturating_mul(crowd.saturating_add(1)).min(DISTANCE_MAX.max(least))
    }

    async fn step(&mut self, wake: Wake) -> Result<(), ApplyError> {
        let offer = self.offers.borrow_and_update().clone();
        let Some(offer) = offer else {
            return if wake == Wake::Told { self.reload_again().await } else { Ok(()) };
        };
        if offer.live.digest == self.running.bundle.digest && self.running.whole && wake == Wake::Offer {
            self.running = Candidate { bundle: offer.live.clone(), source: Source::Live, offer: Some(offer), whole: true };
            self.agent.now_running(&self.running).await;
            return Ok(());
        }
        let outcome = self.bring_into_force(&offer).await;
        if let Err(error) = &outcome {
            self.agent.reject(&offer.live.digest, error, !matches!(error, ApplyError::Engine(EngineError::Refused(_))));
        }
        outcome
    }

    async fn bring_into_force(&mut self, offer: &Arc<ProxyConfig>) -> Result<(), ApplyError> {
        let why = reason(self.running.offer.as_ref().map(|running| &running.parts), &offer.parts);
        let previous = self.agent.generations.current_generation();
        let Tested { generation, whole } = self.agent.tested(&offer.live, &offer.contents).await?;
        self.agent.generations.promote(&generation)?;
        let began = Instant::now();
        let outcome = self.reload().await;
        if let Err(error) = outcome {
            // Should the engine be reloaded by anything else, it must find what it runs.
            previous.map_or(Ok(()), |previous| self.agent.generations.promote(&previous))?;
            return Err(error);
        }
        self.agent.generations.keep_only(&generation);
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let retiring = self.master.retiring_workers();
        tracing::info!(config = offer.live.digest.short(), reason = why, took_ms, retiring, "reloaded");
        self.running = Candidate { bundle: offer.live.clone(), source: Source::Live, offer: Some(Arc::clone(offer)), whole };
        self.agent.now_running(&self.running).await;
        Ok(())
    }

    async fn reload_again(&mut self) -> Result<(), ApplyError> {
        self.reload().await?;
        tracing::info!(config = self.running.bundle.digest.short(), reason = "told to", "reloaded");
        Ok(())
    }

    async fn reload(&mut self) -> Result<(), ApplyError> {
        self.last_reload = Some(Instant::now());
        self.agent.state.send_modify(|state| state.reloads += 1);
        self.master.reload().await?;
        Ok(())
    }
}

impl Agent {
    /// Writes a configuration with its secret files beside the running one and has the engine test it. What needs a secret
    /// file that is not to be had is left out.
    pub(super) async fn tested(&self, bundle: &Bundle, offered: &Contents) -> Result<Tested, EngineError> {
        let fitted = secrets::fit(bundle, offered, &self.options.material_dir);
        if !fitted.left_out.is_empty() {
            let left_out = fitted.left_out.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            tracing::warn!(config = bundle.digest.short(), left_out, "certificates are not to be had; their hosts are left out of TLS");
        }
        if fitted.left_out.contains(ENGINE_MAIN_FILE) {
            return Err(EngineError::Refused("the certificate of the default backend is not to be had".to_owned()));
        }
        let generation = self.generations.stage(&bundle.digest, &fitted).await?;
        self.engine.test(&generation.main_file()).await?;
        Ok(Tested { generation, whole: fitted.left_out.is_empty() })
    }

    /// Tells that this configuration is in force, and keeps it for the next start.
    pub(super) async fn now_running(&self, candidate: &Candidate) {
        self.state.send_modify(|state| {
            state.running = Some(candidate.bundle.digest.clone());
            state.source = Some(candidate.source);
            state.generation = state.generation.max(candidate.bundle.generation);
            state.rejected = None;
            state.bounds = AgentBounds::of(&candidate.bundle);
        });
        if let Some(offer) = &candidate.offer {
            self.store.save(Arc::clone(offer), jiff::Timestamp::now()).await;
        }
    }

    /// Tells that this configuration is not used, and why.
    pub(super) fn reject(&self, digest: &Digest, error: &impl std::error::Error, undecided: bool) {
        let words = last_words(&error.to_string());
        tracing::error!(config = digest.short(), error = words, "a configuration is not used");
        let refusal = Refusal { digest: digest.clone(), words, undecided };
        self.state.send_modify(|state| state.rejected = Some(refusal));
    }
}
