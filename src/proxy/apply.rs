//! Applies offers: test, swap, apply, verify, report. An offer that fails at any step leaves the engine as it was. Paces reloads;
//! the engine decides whether a change needs one.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Agent;
use super::candidate::{Candidate, OfferForm, OfferReceiver, TestedConfig};
use super::config_directory::ConfigDirectory;
use super::departed_endpoints;
use super::dns_bootstrap::wait_for_names;
use super::dns_handover;
use super::endpoint_expiry::{Watcher, steady_after};
use super::reload_reason::{reason, scope};
use crate::channel::Moment;
use crate::protocol::agent_settings::AgentSettings;
use crate::protocol::messages::{AppliedBy, Bundle, ConfigRejection, ProxyConfig, SecretFiles};
use crate::retry::{Retry, RetryLimits};
use crate::runtime::{ApplyMode, ChangeError, ChangeScope, ConfigChange, EngineError, EngineProcess, last_bytes};
use crate::types::{ConfigSource, Digest};

/// For failures that may pass, such as a lack of memory or a port that is still taken.
const RETRY: RetryLimits = RetryLimits { initial: Duration::from_secs(1), max: Duration::from_secs(60) };
/// For each such number of workers that still finish requests, the distance between reloads grows by the least distance: each holds
/// memory.
const WORKERS_PER_DISTANCE: usize = 8;
/// A reload waits at most this long to be combined with others: tasks that are asked to stop have two seconds.
const DISTANCE_MAX: Duration = Duration::from_millis(1500);

/// Why an offer is not applied.
#[derive(Debug, thiserror::Error)]
enum ApplyError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the change did not take effect: {0}")]
    Change(#[from] ChangeError),
}

impl ApplyError {
    /// Whether the engine refused the configuration: it will do so again.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_refusal())
    }
}

/// Applies offers to one running engine.
pub(super) struct Applier<'a> {
    agent: &'a Agent,
    process: &'a dyn EngineProcess,
    offers: OfferReceiver,
    running: Candidate,
    /// The names that the engine refused: they are not tried again.
    refused_names: Option<Digest>,
    /// Names could not be applied, for another reason than the engine's refusal: they are tried again with the next step.
    names_failed: bool,
    /// Since when the newest offer has been fresh, while names are in use.
    fresh_since: Option<Moment>,
    last_reload: Option<Instant>,
    retry: Retry,
}

/// Why the applier wakes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wake {
    Offer,
    /// A reload was requested.
    Requested,
    /// Addresses have become too old, or are fresh again.
    Age,
    /// Tasks have left addresses that are in use, or have returned.
    Departed,
}

impl<'a> Applier<'a> {
    pub(super) fn new(agent: &'a Agent, process: &'a dyn EngineProcess, running: Candidate) -> Self {
        let mut offers = agent.offers.subscribe();
        // An offer that arrived while the engine started is handled as well.
        offers.mark_changed();
        let retry = Retry::new(RETRY);
        Self { agent, process, offers, running, refused_names: None, names_failed: false, fresh_since: None, last_reload: None, retry }
    }

    /// Applies offers forever. `reload` asks for a reload even if nothing has changed.
    pub(super) async fn run(mut self, reload: &Notify) -> Infallible {
        let mut pause = None;
        loop {
            let wake = self.wait(reload, pause).await;
            if wake == Wake::Departed {
                self.disable_departed().await;
                continue;
            }
            pause = match self.step(wake).await {
                Ok(()) => {
                    self.retry.reset();
                    None
                }
                Err(error) if error.is_refusal() => None,
                Err(_) => Some(self.retry.next()),
            };
        }
    }

    async fn wait(&mut self, reload: &Notify, pause: Option<Duration>) -> Wake {
        let again = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        let age = Watcher { agent: self.agent, running: &self.running, refused_names: self.refused_names.as_ref() };
        let wake = tokio::select! {
            // The agent holds the sender: an error cannot occur while this runs.
            _ = self.offers.changed() => Wake::Offer,
            () = reload.notified() => Wake::Requested,
            () = age.until_due(&mut self.fresh_since), if !self.names_failed => Wake::Age,
            () = departed_endpoints::until_due(self.agent, &self.running) => Wake::Departed,
            () = again => Wake::Offer,
        };
        if let Some(last) = self.last_reload.filter(|_| self.process.needs_reload(self.scope(wake))) {
            tokio::time::sleep_until(last + self.distance()).await;
        }
        wake
    }

    /// What the next step will change, as far as that is known.
    fn scope(&self, wake: Wake) -> ChangeScope {
        match wake {
            Wake::Departed => ChangeScope::Endpoints,
            Wake::Offer => self.offers.borrow().as_ref().map_or(ChangeScope::Everything, |offer| self.scope_of(offer, self.form(offer))),
            Wake::Requested | Wake::Age => ChangeScope::Everything,
        }
    }

    /// What an offer changes in the running configuration.
    fn scope_of(&self, offer: &ProxyConfig, form: OfferForm) -> ChangeScope {
        let running = self.running.offer().filter(|_| form == OfferForm::Live && self.running.addressed && self.running.whole);
        running.map_or(ChangeScope::Everything, |running| scope(&running.parts, &offer.parts))
    }

    /// The more workers still finish requests, the longer the time between reloads.
    fn distance(&self) -> Duration {
        let crowd = u32::try_from(self.retiring_workers() / WORKERS_PER_DISTANCE).unwrap_or(u32::MAX);
        let least = self.agent.options.reload_distance;
        least.saturating_mul(crowd.saturating_add(1)).min(DISTANCE_MAX.max(least))
    }

    fn retiring_workers(&self) -> usize {
        self.process.workers().iter().filter(|worker| worker.retiring).count()
    }

    async fn step(&mut self, wake: Wake) -> Result<(), ApplyError> {
        let offer = self.offers.borrow_and_update().clone();
        let outcome = match offer {
            None if wake == Wake::Requested => self.reload_again().await,
            None => Ok(()),
            Some(offer) => self.follow(offer, wake).await,
        };
        // In any case: the running configuration may be an older one that is no longer confirmed.
        self.leave_old_addresses().await?;
        outcome
    }

    /// Runs the offer in the form that its age permits.
    async fn follow(&mut self, offer: Arc<ProxyConfig>, wake: Wake) -> Result<(), ApplyError> {
        let form = self.form(&offer);
        if wake == Wake::Age && form.source() == self.running.source {
            return Ok(());
        }
        let bundle = form.bundle(&offer);
        if bundle.digest == self.running.bundle.digest && self.running.whole && wake != Wake::Requested {
            let disabled = std::mem::take(&mut self.running.disabled);
            self.running = Candidate { disabled, ..Candidate::offered(offer, form, true) };
            self.agent.now_running(&self.running).await;
            return Ok(());
        }
        let digest = bundle.digest.clone();
        self.agent.tests(Some(&digest));
        let outcome = self.bring_into_force(&offer, form).await;
        self.agent.tests(None);
        if let Err(error) = &outcome {
            self.agent.reject(&digest, error, !error.is_refusal());
        }
        outcome
    }

    /// Names stay in use until addresses have been fresh for a while, so that an unstable control plane does not make proxies
    /// switch back and forth.
    fn form(&self, offer: &ProxyConfig) -> OfferForm {
        let fresh = !self.agent.is_stale(offer) || self.refused_names.as_ref() == Some(&offer.boot.digest);
        let steady = self.running.source != ConfigSource::Names || self.fresh_since.is_some_and(|since| since.age() >= steady_after(offer));
        if fresh && steady { OfferForm::Live } else { OfferForm::Names }
    }

    /// Changes to names when the addresses in use were not confirmed for too long.
    async fn leave_old_addresses(&mut self) -> Result<(), ApplyError> {
        let Some(config) = self.running.config.clone().filter(|config| self.running.addressed && self.agent.is_stale(config)) else {
            return Ok(());
        };
        if self.refused_names.as_ref() == Some(&config.boot.digest) {
            return Ok(());
        }
        let outcome = self.bring_into_force(&config, OfferForm::Names).await;
        self.names_failed = false;
        if let Err(error) = &outcome {
            let refused = error.is_refusal();
            self.names_failed = !refused;
            self.refused_names = refused.then(|| config.boot.digest.clone());
            self.agent.reject(&config.boot.digest, error, !refused);
        }
        outcome
    }

    async fn bring_into_force(&mut self, config: &Arc<ProxyConfig>, form: OfferForm) -> Result<(), ApplyError> {
        let (why, scope) = (self.reason(config, form), self.scope_of(config, form));
        let disabled = if form == OfferForm::Live { self.agent.departed.departed_from(&config.digest) } else { BTreeSet::new() };
        if form == OfferForm::Names {
            self.agent.learnt.begin(dns_handover::former_addresses(self.agent.engine.as_ref(), config));
            if self.running.addressed {
                self.resolve_names(config).await;
            }
        }
        let TestedConfig { generation, whole } = self.tested_form(config, form, &disabled).await?;
        let began = Instant::now();
        let applied = self.load(scope, &generation).await?;
        self.agent.configs.keep_only(&generation);
        self.count_fallback(form);
        self.running = Candidate { disabled, ..Candidate::offered(Arc::clone(config), form, whole) };
        self.log(&applied, began, &why);
        self.agent.now_running(&self.running).await;
        Ok(())
    }

    /// Makes the engine load this generation, or leaves everything as it was: a reload for any other reason must find the
    /// configuration that runs.
    async fn load(&mut self, scope: ChangeScope, generation: &ConfigDirectory) -> Result<ApplyMode, ApplyError> {
        let previous = self.agent.configs.current_generation();
        self.agent.configs.promote(generation)?;
        let before = previous.as_ref().map(ConfigDirectory::path);
        let outcome = self.apply(ConfigChange { scope, before, after: generation.path() }).await;
        if outcome.is_err() {
            previous.map_or(Ok(()), |previous| self.agent.configs.promote(&previous))?;
        }
        outcome
    }

    /// Tests one form of an offer; `disabled`: its addresses that must not be used.
    async fn tested_form(
        &mut self,
        config: &ProxyConfig,
        form: OfferForm,
        disabled: &BTreeSet<SocketAddr>,
    ) -> Result<TestedConfig, EngineError> {
        match form {
            OfferForm::Live => {
                self.tested(&departed_endpoints::without(self.agent.engine.as_ref(), &config.live, disabled), &config.contents).await
            }
            OfferForm::Names => self.agent.fallback.take(self.agent, config).await,
        }
    }

    /// Tests a configuration. Departed addresses are removed meanwhile, because a test may take longer than they may stay in use.
    async fn tested(&mut self, bundle: &Bundle, contents: &SecretFiles) -> Result<TestedConfig, EngineError> {
        let agent = self.agent;
        let mut test = pin!(agent.tested(bundle, contents));
        loop {
            tokio::select! {
                tested = &mut test => return tested,
                () = departed_endpoints::until_due(agent, &self.running) => self.disable_departed().await,
            }
        }
    }

    /// Takes addresses out of use that their tasks have left, and back into use if their tasks have returned. The running
    /// configuration was accepted and only loses servers, so it is not tested again: the engine itself refuses what it cannot load.
    async fn disable_departed(&mut self) {
        let Some(config) = self.running.config.clone().filter(|_| self.running.addressed) else { return };
        self.agent.departed.record_attempt();
        let disabled = self.agent.departed.departed_from(&config.digest);
        let bundle = departed_endpoints::without(self.agent.engine.as_ref(), &config.live, &disabled);
        let began = Instant::now();
        match self.load_untested(&bundle, &config.contents).await {
            Ok(applied) => self.log(&applied, began, &format!("{} addresses no longer belong to their services", disabled.len())),
            Err(error) => {
                tracing::error!(config = bundle.digest.short(), %error, "cannot disable addresses that no longer belong to their services");
                return;
            }
        }
        self.running.disabled = disabled;
        self.agent.departed.record_running(&self.running);
    }

    async fn load_untested(&mut self, bundle: &Bundle, contents: &SecretFiles) -> Result<ApplyMode, ApplyError> {
        let before = self.agent.configs.current_generation();
        let (generation, _) = self.agent.staged_in(&self.agent.configs, bundle, contents).await?;
        let applied = self.load(ChangeScope::Endpoints, &generation).await?;
        if let Some(before) = before {
            before.remove();
        }
        Ok(applied)
    }

    /// Has the engine resolve all names while requests still go to addresses. If that fails, the engine resolves them when it has
    /// nothing else, which costs some requests and is no reason to keep the old addresses.
    async fn resolve_names(&mut self, config: &ProxyConfig) {
        let Some((bundle, names)) =
            self.agent.options.names.as_ref().and_then(|_| dns_handover::addresses_to_names(self.agent.engine.as_ref(), config))
        else {
            return;
        };
        let resolution = self.agent.learnt.resolution();
        if let Err(error) = self.load_for_now(&bundle, &config.contents).await {
            tracing::warn!(%error, "cannot resolve names before switching to them");
            return;
        }
        wait_for_names(resolution, names).await;
    }

    async fn load_for_now(&mut self, bundle: &Bundle, contents: &SecretFiles) -> Result<(), ApplyError> {
        let TestedConfig { generation, .. } = self.agent.tested(bundle, contents).await?;
        let before = self.agent.configs.current_generation();
        self.agent.configs.promote(&generation)?;
        let before = before.as_ref().map(ConfigDirectory::path);
        self.apply(ConfigChange { scope: ChangeScope::Everything, before, after: generation.path() }).await.map(drop)
    }

    fn reason(&self, config: &ProxyConfig, form: OfferForm) -> String {
        match (form, &self.running.source) {
            (OfferForm::Names, source) if *source != ConfigSource::Names => {
                tracing::warn!("the control plane is silent; finding endpoints by name until it confirms their addresses again");
                "addresses not confirmed for too long".to_owned()
            }
            (OfferForm::Live, ConfigSource::Names) => "addresses confirmed again".to_owned(),
            _ => reason(self.running.offer().map(|running| &running.parts), &config.parts),
        }
    }

    fn count_fallback(&mut self, form: OfferForm) {
        self.fresh_since = None;
        if form == OfferForm::Names && self.running.source != ConfigSource::Names {
            self.agent.state.send_modify(|state| state.fallbacks += 1);
        }
    }

    async fn reload_again(&mut self) -> Result<(), ApplyError> {
        let began = Instant::now();
        let current = self.agent.configs.current_generation();
        let directory = current.as_ref().map_or_else(|| self.agent.configs.current(), |current| current.path().to_owned());
        let applied = self.apply(ConfigChange { scope: ChangeScope::Everything, before: Some(&directory), after: &directory }).await?;
        self.log(&applied, began, "requested");
        Ok(())
    }

    /// Applies the configuration that the engine's link already names, and counts reloads and changes without one. A failed reload counts as one, because
    /// it costs as much.
    async fn apply(&mut self, change: ConfigChange<'_>) -> Result<ApplyMode, ApplyError> {
        let began = Instant::now();
        let outcome = self.process.apply(change).await;
        let by = match &outcome {
            Ok(ApplyMode::InPlace(_)) => AppliedBy::Runtime,
            Ok(ApplyMode::Reloaded) | Err(_) => AppliedBy::Reload,
        };
        if by == AppliedBy::Reload {
            self.last_reload = Some(began);
        }
        self.agent.state.send_modify(|state| {
            match by {
                AppliedBy::Reload => state.reloads += 1,
                AppliedBy::Runtime => state.runtime_changes += 1,
            }
            state.applied = if outcome.is_ok() { Some(by) } else { state.applied };
        });
        Ok(outcome?)
    }

    fn log(&self, applied: &ApplyMode, began: Instant, reason: &str) {
        let (config, source) = (self.running.bundle.digest.short(), self.running.source.as_str());
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match applied {
            ApplyMode::Reloaded => {
                let retiring = self.retiring_workers();
                tracing::info!(config, source, reason, took_ms, retiring, "reloaded");
            }
            ApplyMode::InPlace(changed) => tracing::info!(config, source, reason, took_ms, changed, "applied without a reload"),
        }
    }
}

impl Agent {
    /// Records the configuration that is being tested and loaded, if any.
    pub(super) fn tests(&self, digest: Option<&Digest>) {
        let testing = digest.map(|digest| (digest.clone(), jiff::Timestamp::now()));
        self.state.send_modify(|state| state.testing = testing);
    }

    /// Records that this configuration runs, and saves it for the next start.
    pub(super) async fn now_running(&self, candidate: &Candidate) {
        self.state.send_modify(|state| {
            state.running = Some(candidate.bundle.digest.clone());
            state.source = Some(candidate.source.clone());
            state.by_name = !candidate.addressed;
            state.generation = state.generation.max(candidate.bundle.generation);
            state.rejected = None;
            state.bounds = AgentSettings::from_bundle(&candidate.bundle);
        });
        self.departed.record_running(candidate);
        self.fallback
            .request(candidate.config.clone().filter(|config| candidate.addressed && config.live.control_plane_timeout().is_some()));
        if let Some(offer) = candidate.offer() {
            self.store.save(Arc::clone(offer), self.confirmed_at(&offer.digest)).await;
        }
    }

    /// Records that this configuration is not used, and why.
    pub(super) fn reject(&self, digest: &Digest, error: &impl std::error::Error, undecided: bool) {
        let message = last_bytes(&error.to_string());
        tracing::error!(config = digest.short(), error = message, "rejected a configuration");
        let refusal = ConfigRejection { undecided, ..ConfigRejection::new(digest.clone(), message) };
        self.state.send_modify(|state| state.rejected = Some(refusal));
    }
}

#[cfg(test)]
mod tests;
