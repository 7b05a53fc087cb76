//! Turns the newest table into configurations, has the engine test them, and only then hands them on. A table that the
//! engine refuses changes nothing but the report: the last good configuration stays. When what it refuses is a certificate, a
//! route or an administrator's line, that alone is left out and the rest goes on.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::address_tracker::Sightings;
use super::generation::Stamper;
use super::material::{Keeper, Look};
use super::quarantine::Quarantine;
use super::tls_test_tables::{self, Suspect};
use super::validator::{Bench, Rendered};
use crate::engine::{EngineError, last_words};
use crate::protocol::messages::{Accepted, Bundle, Desired, MaterialReport, ProxyConfig, Quarantined, Refusal};
use crate::render::Materials;
use crate::retry::{Retry, RetryLimits};
use crate::route::RouteTable;
use crate::types::Digest;

const RETRY: RetryLimits = RetryLimits { initial: Duration::from_millis(500), max: Duration::from_secs(30) };
/// How long an extension that has just started waits for material: its proxies go on with what they have, and the operator
/// is about to replace it by one that has everything.
const HOLD_MAX: Duration = Duration::from_secs(20);
/// How soon awaited material is looked for again.
const AWAIT_AGAIN: Duration = Duration::from_secs(1);
/// Clocks are set now and then: what expires later is looked at again after this time.
const NAP_MAX: Duration = Duration::from_secs(3600);

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
    /// What became of the certificates and CAs that the newest table names.
    pub(super) material: Vec<MaterialReport>,
    /// The parts of the newest table that are left out.
    pub(super) quarantined: Vec<Quarantined>,
}

/// What proxies are handed, and the operator's table that it was rendered from.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) config: ProxyConfig,
    pub(super) table: Digest,
    /// The configuration as it is sent: written once, here, and not by whoever answers hundreds of proxies.
    pub(super) written: Bytes,
}

impl Offer {
    fn new(config: ProxyConfig, table: Digest) -> Self {
        // These messages have no content that cannot be written.
        let written = serde_json::to_vec(&config).unwrap_or_default().into();
        Self { config, table, written }
    }
}

/// What was worked on last: the same again gives the same.
#[derive(Debug, PartialEq, Eq)]
struct Done {
    desired: Digest,
    table: RouteTable,
    materials: Materials,
    reports: Vec<MaterialReport>,
}

/// Renders and tests, one table at a time, always the newest.
pub(super) struct Workshop {
    bench: Bench,
    keeper: Keeper,
    quarantine: Quarantine,
    stamper: Stamper,
    sightings: Sightings,
    desired: watch::Receiver<Option<Arc<Desired>>>,
    outcome: watch::Sender<Arc<Outcome>>,
    offers: watch::Sender<Option<Arc<Offer>>>,
    done: Option<Done>,
    /// When the first table came.
    began: Option<Instant>,
}

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Look whether anything is different.
    Look,
    /// Proxies have run a newer generation than the one that is offered.
    Overtaken,
}

/// When to look again although no new table came; none: not before.
type Pause = Option<Duration>;

impl Workshop {
    pub(super) fn new(
        bench: Bench,
        keeper: Keeper,
        stamper: Stamper,
        sightings: Sightings,
        desired: watch::Receiver<Option<Arc<Desired>>>,
        outcome: watch::Sender<Arc<Outcome>>,
        offers: watch::Sender<Option<Arc<Offer>>>,
    ) -> Self {
        Self { bench, keeper, quarantine: Quarantine::default(), stamper, sightings, desired, outcome, offers, done: None, began: None }
    }

    /// Works for ever. Tables that came and went while another was tested are never looked at.
    pub(super) async fn run(mut self) -> Infallible {
        let mut retry = Retry::new(RETRY);
        loop {
            let newest = self.desired.borrow_and_update().clone();
            let result = match &newest {
                Some(desired) => self.work_on(desired).await,
                None => Ok(None),
            };
            let pause = match result {
                Ok(pause) => {
                    retry.reset();
                    pause
                }
                Err(error) => {
                    tracing::error!(%error, "testing a configuration was not possible; trying again");
                    self.done = None;
                    Some(retry.next())
                }
            };
            if self.wait_for_work(pause).await == Work::Overtaken {
                self.offer_again();
            }
        }
    }

    /// Until there is a newer table, the pause before the next look is over, or proxies have run something newer.
    async fn wait_for_work(&mut self, pause: Pause) -> Work {
        let next_look = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The sender lives as long as the extension: an error here cannot occur.
            _ = self.desired.changed() => Work::Look,
            () = next_look => Work::Look,
            () = self.stamper.overtaken() => Work::Overtaken,
        }
    }

    /// Another extension's clock was ahead, and proxies that followed it refuse what looks older: offers the same as newer.
    fn offer_again(&mut self) {
        let stamp = self.stamper.next(Timestamp::now());
        let Some(offer) = self.offers.borrow().clone() else { return };
        let ProxyConfig { live, boot, contents, parts, .. } = offer.config.clone();
        tracing::info!(config = live.digest.short(), "proxies have run a newer generation; offering this one again");
        let config = ProxyConfig::new(stamp.on(live), boot, contents, parts);
        self.sightings.offer_again(&offer.config.digest, &config.digest);
        self.offers.send_replace(Some(Arc::new(Offer::new(config, offer.table.clone()))));
    }

    /// An error is only what says nothing about the table: the engine could not be asked. Else it says when to look again.
    async fn work_on(&mut self, desired: &Desired) -> Result<Pause, EngineError> {
        let began = *self.began.get_or_insert_with(Instant::now);
        let look = self.keeper.look(&desired.table, Timestamp::now());
        let holds = look.awaits && self.outcome.borrow().accepted.is_none() && began.elapsed() < HOLD_MAX;
        if holds {
            self.tell_material(&look);
            return Ok(Some(AWAIT_AGAIN));
        }
        let pause = next_look(&look, Timestamp::now());
        if self.done.as_ref() == Some(&Done::of(desired, &look)) {
            return Ok(pause);
        }
        if let Some(foreign) = self.bench.foreign(&desired.table) {
            self.done = Some(Done::of(desired, &look));
            self.refuse(desired, &look, &foreign);
            return Ok(pause);
        }
        match self.try_out(desired, look).await {
            Ok((look, rendered)) => {
                self.done = Some(Done::of(desired, &look));
                self.accept(desired, &look, rendered);
            }
            Err((look, error)) => {
                self.done = Some(Done::of(desired, &look));
                self.refuse(desired, &look, &error);
                if !matches!(error, EngineError::Refused(_) | EngineError::Oversized(_)) {
                    return Err(error);
                }
            }
        }
        Ok(pause)
    }

    /// Renders and tests; leaves out what the engine refuses: certificates, if it is for these, else other parts.
    async fn try_out(&mut self, desired: &Desired, look: Look) -> Result<(Look, Rendered), (Look, EngineError)> {
        match self.try_certificates(desired, look).await {
            Err((look, EngineError::Refused(words))) => match Box::pin(self.quarantine.search(&self.bench, desired, &look)).await {
                Ok(Some((table, rendered))) => {
                    self.quarantine.settle(&table);
                    Ok((look, rendered))
                }
                Ok(None) => Err((look, EngineError::Refused(words))),
                Err(error) => Err((look, error)),
            },
            Err((look, EngineError::Oversized(words))) => match self.quarantine.shed(&self.bench, desired, &look, &words).await {
                Ok(Some((table, rendered))) => {
                    self.quarantine.settle(&table);
                    Ok((look, rendered))
                }
                Ok(None) => Err((look, EngineError::Oversized(words))),
                Err(error) => Err((look, error)),
            },
            tried => tried,
        }
    }

    /// Renders and tests what is not in quarantine.
    async fn try_table(&mut self, desired: &Desired, look: &Look) -> Result<Rendered, EngineError> {
        let table = self.quarantine.applied_to(&look.table);
        let rendered = self.bench.render_table(desired, look, &table);
        self.bench.test(&rendered, &look.contents).await?;
        self.quarantine.settle(&table);
        Ok(rendered)
    }

    /// Leaves out what certificates the engine refuses, if that is what it refuses.
    async fn try_certificates(&mut self, desired: &Desired, look: Look) -> Result<(Look, Rendered), (Look, EngineError)> {
        let refused = match self.try_table(desired, &look).await {
            Ok(rendered) => return Ok((look, rendered)),
            Err(error) => error,
        };
        if !matches!(refused, EngineError::Refused(_)) || !self.blame(&look).await {
            return Err((look, refused));
        }
        let look = self.keeper.look(&desired.table, Timestamp::now());
        match self.try_table(desired, &look).await {
            Ok(rendered) => Ok((look, rendered)),
            Err(error) => Err((look, error)),
        }
    }

    /// Finds the certificates that the engine refuses by themselves. `true`: there are some.
    async fn blame(&mut self, look: &Look) -> bool {
        let found = self.bench.culprits(look, tls_test_tables::suspects(self.keeper.unproven(look))).await;
        for (suspect, words) in &found {
            match suspect {
                Suspect::Pair(binding) => self.keeper.blame_pair(binding, words),
                Suspect::Authority(authority) => self.keeper.blame_authority(authority, words),
            }
        }
        !found.is_empty()
    }

    fn accept(&mut self, desired: &Desired, look: &Look, rendered: Rendered) {
        self.keeper.settle(look);
        let Rendered { live, boot, stock, parts } = rendered;
        let stamp = self.stamper.next(Timestamp::now());
        let (live, stock) = (stamp.on(live), stock.map(|stock| stamp.on(stock)));
        let boot = self.same_boot(&boot).unwrap_or_else(|| stamp.on(Bundle { accepted_at: Some(Timestamp::now()), ..boot }));
        self.bench.remember_good([&live, &boot]);
        let config_digest = stock.as_ref().unwrap_or(&live).digest.clone();
        tracing::info!(table = desired.digest.short(), config = config_digest.short(), "the engine accepts the configuration");
        let accepted = Accepted { desired_digest: desired.digest.clone(), config_digest };
        let config = ProxyConfig::new(live, boot.clone(), look.contents.clone(), parts);
        self.sightings.offer(&config.digest, &desired.table);
        self.offers.send_replace(Some(Arc::new(Offer::new(config, desired.digest.clone()))));
        let material = look.reports.clone();
        let quarantined = self.quarantine.told();
        let outcome = Outcome { accepted: Some(accepted), refused: None, boot: Some(boot), mounted: stock, material, quarantined };
        self.outcome.send_replace(Arc::new(outcome));
    }

    /// The boot snapshot from before, if it is the same: it does not change with endpoints, and what is signed anew is another
    /// one to the operator.
    fn same_boot(&self, boot: &Bundle) -> Option<Bundle> {
        let is_same = |before: &&Bundle| {
            (&before.digest, &before.routes_digest, &before.material) == (&boot.digest, &boot.routes_digest, &boot.material)
        };
        self.outcome.borrow().boot.as_ref().filter(is_same).cloned()
    }

    fn refuse(&self, desired: &Desired, look: &Look, error: &EngineError) {
        let (words, undecided, too_large) = match error {
            EngineError::Refused(words) => (words.clone(), false, false),
            EngineError::Oversized(words) => (words.clone(), false, true),
            other => (last_words(&other.to_string()), true, false),
        };
        tracing::warn!(
            table = desired.digest.short(),
            words,
            undecided,
            too_large,
            "the configuration is not accepted; the last good one stays"
        );
        let refused = Some(Refusal { undecided, too_large, ..Refusal::new(desired.digest.clone(), words) });
        let outcome = Outcome { refused, material: look.reports.clone(), ..self.outcome.borrow().as_ref().clone() };
        self.outcome.send_replace(Arc::new(outcome));
    }

    /// Tells what is awaited while nothing is rendered.
    fn tell_material(&self, look: &Look) {
        self.outcome.send_if_modified(|outcome| {
            let changed = outcome.material != look.reports;
            *outcome = Arc::new(Outcome { material: look.reports.clone(), ..outcome.as_ref().clone() });
            changed
        });
    }
}

impl Done {
    fn of(desired: &Desired, look: &Look) -> Self {
        let (desired, table) = (desired.digest.clone(), look.table.clone());
        Self { desired, table, materials: look.materials.clone(), reports: look.reports.clone() }
    }
}

/// When something may be different without a new table: what is awaited may have come, what is used may have expired.
fn next_look(look: &Look, now: Timestamp) -> Pause {
    if look.awaits {
        return Some(AWAIT_AGAIN);
    }
    let until = look.next_change?.duration_since(now).max(jiff::SignedDuration::ZERO);
    // A little later, so that the clock is past it for certain.
    Some(until.unsigned_abs().saturating_add(Duration::from_millis(10)).min(NAP_MAX))
}
