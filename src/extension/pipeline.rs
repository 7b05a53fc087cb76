//! Renders the newest table, validates the result with the engine, and only then offers it to proxies. A refused table changes only
//! the report: the last good configuration stays. If the cause is a certificate, a route or an administrator's line, only that is
//! left out.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::address_tracker::AddressTracker;
use super::bundle_signing::BundleSigner;
use super::route_quarantine::Quarantine;
use super::tls_material::{MaterialStore, ResolvedTable};
use super::tls_test_tables::{self, Suspect};
use super::validator::{RenderedTable, ValidationError, Validator};
use crate::protocol::messages::{Accepted, Bundle, ConfigRejection, Desired, MaterialReport, ProxyConfig, Quarantined};
use crate::render::Materials;
use crate::retry::{Retry, RetryLimits};
use crate::route::RouteTable;
use crate::runtime::{EngineError, last_bytes};
use crate::types::Digest;

const RETRY: RetryLimits = RetryLimits { initial: Duration::from_millis(500), max: Duration::from_secs(30) };
/// How long an extension that has just started waits for material: its proxies keep what they have, and the operator soon replaces
/// it by one that has everything.
const HOLD_MAX: Duration = Duration::from_secs(20);
/// How soon to check again for awaited material.
const MATERIAL_POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Clocks are adjusted now and then, so later expiries are checked again after this time.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// The result of all tables so far.
#[derive(Debug, Clone, Default)]
pub(super) struct PipelineResult {
    /// The newest table that was accepted.
    pub(super) accepted: Option<Accepted>,
    /// The newest table, if it was refused.
    pub(super) refused: Option<ConfigRejection>,
    /// The boot snapshot of `accepted`.
    pub(super) boot: Option<Bundle>,
    /// What to mount, if proxies do not follow the extension.
    pub(super) mounted: Option<Bundle>,
    /// The state of the certificates and CAs that the newest table names.
    pub(super) material: Vec<MaterialReport>,
    /// The parts of the newest table that are left out.
    pub(super) quarantined: Vec<Quarantined>,
}

/// What proxies receive, and the operator's table that it was rendered from.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) config: ProxyConfig,
    pub(super) table: Digest,
    /// The configuration as it is sent, serialized once for hundreds of proxies.
    pub(super) written: Bytes,
}

impl Offer {
    fn new(config: ProxyConfig, table: Digest) -> Self {
        // These messages have no content that cannot be serialized.
        let written = serde_json::to_vec(&config).unwrap_or_default().into();
        Self { config, table, written }
    }
}

/// The last input, because the same input gives the same result.
#[derive(Debug, PartialEq, Eq)]
struct Done {
    desired: Digest,
    table: RouteTable,
    materials: Materials,
    reports: Vec<MaterialReport>,
}

/// Renders and validates one table at a time, always the newest.
pub(super) struct Pipeline {
    validator: Validator,
    store: MaterialStore,
    quarantine: Quarantine,
    signer: BundleSigner,
    addresses: AddressTracker,
    desired: watch::Receiver<Option<Arc<Desired>>>,
    outcome: watch::Sender<Arc<PipelineResult>>,
    offers: watch::Sender<Option<Arc<Offer>>>,
    done: Option<Done>,
    /// When the first table arrived.
    began: Option<Instant>,
}

/// The next thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Check whether anything has changed.
    Check,
    /// Proxies have run a newer generation than the one on offer.
    Overtaken,
}

/// When to check again without a new table; `None`: not before the next table.
type Pause = Option<Duration>;

impl Pipeline {
    pub(super) fn new(
        validator: Validator,
        store: MaterialStore,
        signer: BundleSigner,
        addresses: AddressTracker,
        desired: watch::Receiver<Option<Arc<Desired>>>,
        outcome: watch::Sender<Arc<PipelineResult>>,
        offers: watch::Sender<Option<Arc<Offer>>>,
    ) -> Self {
        Self { validator, store, quarantine: Quarantine::default(), signer, addresses, desired, outcome, offers, done: None, began: None }
    }

    /// Runs forever. Skips tables that were replaced while another was being validated.
    pub(super) async fn run(mut self) -> Infallible {
        let mut retry = Retry::new(RETRY);
        loop {
            let newest = self.desired.borrow_and_update().clone();
            let result = match &newest {
                Some(desired) => self.work_on(desired).await,
                None => Ok(None),
            };
            let pause = self.pause_after(result, &mut retry);
            if self.wait_for_work(pause).await == Work::Overtaken {
                self.offer_again();
            }
        }
    }

    /// How long to wait; after an error, the same table is tested again.
    fn pause_after(&mut self, result: Result<Pause, EngineError>, retry: &mut Retry) -> Pause {
        match result {
            Ok(pause) => {
                retry.reset();
                pause
            }
            Err(error) => {
                tracing::error!(%error, "cannot test a configuration; retrying");
                self.done = None;
                Some(retry.next())
            }
        }
    }

    /// Waits until there is a newer table, the pause is over, or proxies have run something newer.
    async fn wait_for_work(&mut self, pause: Pause) -> Work {
        let next_check = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The sender lives as long as the extension: an error here cannot occur.
            _ = self.desired.changed() => Work::Check,
            () = next_check => Work::Check,
            () = self.signer.advance() => Work::Overtaken,
        }
    }

    /// Another extension's clock was ahead, and proxies that followed it refuse what seems older: offers the same under a newer
    /// generation.
    fn offer_again(&mut self) {
        let stamp = self.signer.next(Timestamp::now());
        let Some(offer) = self.offers.borrow().clone() else { return };
        let ProxyConfig { live, boot, contents, parts, .. } = offer.config.clone();
        tracing::info!(config = live.digest.short(), "proxies have run a newer generation; offering this one again");
        let config = ProxyConfig::new(stamp.sign(live), boot, contents, parts);
        self.addresses.offer_again(&offer.config.digest, &config.digest);
        self.offers.send_replace(Some(Arc::new(Offer::new(config, offer.table.clone()))));
    }

    /// When to check again. An error says nothing about the table: the engine could not be run.
    async fn work_on(&mut self, desired: &Desired) -> Result<Pause, EngineError> {
        let began = *self.began.get_or_insert_with(Instant::now);
        let resolved = self.store.resolve(&desired.table, Timestamp::now());
        let holds = resolved.awaits && self.outcome.borrow().accepted.is_none() && began.elapsed() < HOLD_MAX;
        if holds {
            self.report_material(&resolved);
            return Ok(Some(MATERIAL_POLL_INTERVAL));
        }
        let pause = next_check(&resolved, Timestamp::now());
        if self.done.as_ref() == Some(&Done::of(desired, &resolved)) {
            return Ok(pause);
        }
        if let Some(foreign) = self.validator.check_engine(&desired.table) {
            self.done = Some(Done::of(desired, &resolved));
            self.refuse(desired, &resolved, &foreign);
            return Ok(pause);
        }
        match self.validate(desired, resolved).await {
            Ok((resolved, rendered)) => {
                self.done = Some(Done::of(desired, &resolved));
                self.accept(desired, &resolved, rendered);
            }
            Err((resolved, error)) => {
                self.done = Some(Done::of(desired, &resolved));
                self.refuse(desired, &resolved, &error);
                if let ValidationError::Unavailable(error) = error {
                    return Err(error);
                }
            }
        }
        Ok(pause)
    }

    /// Renders and validates. Leaves out what the engine refuses: certificates if they are the cause, otherwise other parts.
    async fn validate(
        &mut self,
        desired: &Desired,
        resolved: ResolvedTable,
    ) -> Result<(ResolvedTable, RenderedTable), (ResolvedTable, ValidationError)> {
        let (resolved, error) = match self.validate_certificates(desired, resolved).await {
            Err((resolved, error)) => (resolved, error),
            accepted => return accepted,
        };
        let found = match &error {
            ValidationError::Refused(_) => Box::pin(self.quarantine.search(&self.validator, desired, &resolved)).await,
            ValidationError::TooLarge(message) => self.quarantine.drop_to_fit(&self.validator, desired, &resolved, message).await,
            ValidationError::Unavailable(_) => Ok(None),
        };
        match found {
            Ok(Some((table, rendered))) => {
                self.quarantine.settle(&table);
                Ok((resolved, rendered))
            }
            Ok(None) => Err((resolved, error)),
            Err(unavailable) => Err((resolved, unavailable.into())),
        }
    }

    /// Renders and validates all that is not in quarantine.
    async fn validate_table(&mut self, desired: &Desired, resolved: &ResolvedTable) -> Result<RenderedTable, ValidationError> {
        let table = self.quarantine.applied_to(&resolved.table);
        let rendered = self.validator.render_table(desired, resolved, &table);
        self.validator.validate(&rendered, &resolved.contents).await?;
        self.quarantine.settle(&table);
        Ok(rendered)
    }

    /// Leaves out the certificates that the engine refuses, if they are the cause of a refusal.
    async fn validate_certificates(
        &mut self,
        desired: &Desired,
        resolved: ResolvedTable,
    ) -> Result<(ResolvedTable, RenderedTable), (ResolvedTable, ValidationError)> {
        let error = match self.validate_table(desired, &resolved).await {
            Ok(rendered) => return Ok((resolved, rendered)),
            Err(error) => error,
        };
        if !matches!(error, ValidationError::Refused(_)) || !self.reject_certificates(&resolved).await {
            return Err((resolved, error));
        }
        let resolved = self.store.resolve(&desired.table, Timestamp::now());
        match self.validate_table(desired, &resolved).await {
            Ok(rendered) => Ok((resolved, rendered)),
            Err(error) => Err((resolved, error)),
        }
    }

    /// Finds the certificates that the engine refuses by themselves. `true` if there are any.
    async fn reject_certificates(&mut self, resolved: &ResolvedTable) -> bool {
        let refused = self.validator.refused_suspects(resolved, tls_test_tables::suspects(self.store.unproven(resolved))).await;
        for (suspect, fault) in &refused {
            match suspect {
                Suspect::Pair(binding) => self.store.reject_pair(binding, fault.clone()),
                Suspect::Authority(authority) => self.store.reject_authority(authority, fault.clone()),
            }
        }
        !refused.is_empty()
    }

    fn accept(&mut self, desired: &Desired, resolved: &ResolvedTable, rendered: RenderedTable) {
        self.store.settle(resolved);
        let RenderedTable { live, boot, stock, parts } = rendered;
        let stamp = self.signer.next(Timestamp::now());
        let (live, stock) = (stamp.sign(live), stock.map(|stock| stamp.sign(stock)));
        let boot = self.same_boot(&boot).unwrap_or_else(|| stamp.sign(Bundle { accepted_at: Some(Timestamp::now()), ..boot }));
        self.validator.remember_good([&live, &boot]);
        let config_digest = stock.as_ref().unwrap_or(&live).digest.clone();
        tracing::info!(table = desired.digest.short(), config = config_digest.short(), "the engine accepted the configuration");
        let accepted = Accepted { desired_digest: desired.digest.clone(), config_digest };
        let config = ProxyConfig::new(live, boot.clone(), resolved.contents.clone(), parts);
        self.addresses.offer(&config.digest, &desired.table);
        self.offers.send_replace(Some(Arc::new(Offer::new(config, desired.digest.clone()))));
        let material = resolved.reports.clone();
        let quarantined = self.quarantine.reports();
        let outcome = PipelineResult { accepted: Some(accepted), refused: None, boot: Some(boot), mounted: stock, material, quarantined };
        self.outcome.send_replace(Arc::new(outcome));
    }

    /// The previous boot snapshot, if it is the same: it does not change with endpoints, and to the operator a new signature makes
    /// a new one.
    fn same_boot(&self, boot: &Bundle) -> Option<Bundle> {
        let is_same = |before: &&Bundle| {
            (&before.digest, &before.routes_digest, &before.material) == (&boot.digest, &boot.routes_digest, &boot.material)
        };
        self.outcome.borrow().boot.as_ref().filter(is_same).cloned()
    }

    fn refuse(&self, desired: &Desired, resolved: &ResolvedTable, error: &ValidationError) {
        let (message, undecided, too_large) = match error {
            ValidationError::Refused(message) => (message.clone(), false, false),
            ValidationError::TooLarge(message) => (message.clone(), false, true),
            ValidationError::Unavailable(error) => (last_bytes(&error.to_string()), true, false),
        };
        tracing::warn!(
            table = desired.digest.short(),
            message,
            undecided,
            too_large,
            "the configuration was rejected; the last good one stays in use"
        );
        let refused = Some(ConfigRejection { undecided, too_large, ..ConfigRejection::new(desired.digest.clone(), message) });
        let outcome = PipelineResult { refused, material: resolved.reports.clone(), ..self.outcome.borrow().as_ref().clone() };
        self.outcome.send_replace(Arc::new(outcome));
    }

    /// Reports awaited material while nothing is rendered.
    fn report_material(&self, resolved: &ResolvedTable) {
        self.outcome.send_if_modified(|outcome| {
            let changed = outcome.material != resolved.reports;
            *outcome = Arc::new(PipelineResult { material: resolved.reports.clone(), ..outcome.as_ref().clone() });
            changed
        });
    }
}

impl Done {
    fn of(desired: &Desired, resolved: &ResolvedTable) -> Self {
        let (desired, table) = (desired.digest.clone(), resolved.table.clone());
        Self { desired, table, materials: resolved.materials.clone(), reports: resolved.reports.clone() }
    }
}

/// When the result may differ without a new table: awaited material may be mounted, material in use may have expired.
fn next_check(resolved: &ResolvedTable, now: Timestamp) -> Pause {
    if resolved.awaits {
        return Some(MATERIAL_POLL_INTERVAL);
    }
    let until = resolved.next_change?.duration_since(now).max(jiff::SignedDuration::ZERO);
    // A little later, so that the clock is certainly past it.
    Some(until.unsigned_abs().saturating_add(Duration::from_millis(10)).min(PAUSE_MAX))
}
