//! The first configuration of a proxy. The order is this, because a wrong configuration is worse than a late one:
//!
//! 1. the extension's current offer, if it arrives soon: with names if its addresses were not confirmed lately;
//! 2. the state on the volume, if its addresses were confirmed so recently that a running proxy would also use them;
//! 3. the names variant from the volume: the same routes, resolved anew;
//! 4. the mounted boot snapshot (also names, as of the last update of the proxy service). It replaces the state on the volume if it is
//!    newer, as on a node that had no proxy for a while;
//! 5. any offer of the extension, whenever it comes.
//!
//! Each of these is signed by the cluster's extension and no older than what ran on this node before, because the volume or the
//! snapshot may have been exchanged. The engine tests each before it is used, and one that is refused is skipped.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::candidate::{Candidate, OfferForm, OfferReceiver, TestedConfig};
use super::last_good_state::SavedState;
use super::{Agent, dns_handover, mounted_snapshot};
use crate::channel::Moment;
use crate::protocol::boot_snapshot;
use crate::protocol::messages::{Bundle, BundleFault, ProxyConfig};
use crate::protocol::timings::START_WAITS_FOR_EXTENSION;
use crate::runtime::EngineError;
use crate::types::ConfigSource;

/// How old the addresses of a volume may be if the document sets no limit. Swarm assigns the addresses of a network in turn, so in
/// a /24 one is reused after some two hundred task starts. Even a busy network does not get there in this time.
const ADDRESSES_MAX: Duration = Duration::from_secs(300);

impl Agent {
    /// Reads from the volume which generation ran on this node before, so that nothing older is accepted, even at the very start.
    pub(super) fn remember_generation(&self) {
        if let Some(SavedState { config, .. }) = self.store.load(&self.options.cluster, Timestamp::now()) {
            let had = config.live.generation.max(config.boot.generation);
            self.state.send_modify(|state| state.generation = state.generation.max(had));
        }
    }

    /// The first configuration that the engine accepts. It is then the current generation, and nothing runs yet. Waits for one as
    /// long as necessary.
    pub(super) async fn first_accepted(&self) -> Result<Candidate, EngineError> {
        let mut offers = self.offers.subscribe();
        let live = tokio::time::timeout(START_WAITS_FOR_EXTENSION, next_offer(&mut offers)).await.ok();
        for mut candidate in live.map(|offer| self.offered(offer)).into_iter().chain(self.kept_candidates()) {
            if self.accepts(&mut candidate).await? {
                return Ok(candidate);
            }
        }
        tracing::warn!("no configuration to start with; waiting for the extension");
        loop {
            let mut candidate = self.offered(next_offer(&mut offers).await);
            if self.accepts(&mut candidate).await? {
                return Ok(candidate);
            }
            // The engine would refuse the same offer again.
            let _ = offers.changed().await;
        }
    }

    fn offered(&self, offer: Arc<ProxyConfig>) -> Candidate {
        let form = if self.is_stale(&offer) { OfferForm::Names } else { OfferForm::Live };
        Candidate::offered(offer, form, true)
    }

    /// The configurations that this node has, best first.
    fn kept_candidates(&self) -> Vec<Candidate> {
        let Some(SavedState { config, age }) = self.store.load(&self.options.cluster, Timestamp::now()) else {
            return self.boot_snapshot(0).map(Candidate::boot).into_iter().collect();
        };
        let had = config.live.generation.max(config.boot.generation);
        match self.boot_snapshot(config.boot.generation) {
            // It was signed later than everything on the volume.
            Some(snapshot) if snapshot.generation > had => vec![Candidate::boot(snapshot)],
            snapshot => self.volume_candidates(config, age).into_iter().chain(snapshot.map(Candidate::boot)).collect(),
        }
    }

    /// The configurations on a volume: with addresses if a running proxy would still use them, then with names.
    fn volume_candidates(&self, config: ProxyConfig, age: SignedDuration) -> Vec<Candidate> {
        let limit = config.live.control_plane_timeout().unwrap_or(ADDRESSES_MAX);
        // A date in the future is as doubtful as one that is as far in the past.
        let is_young = age.unsigned_abs() <= limit;
        self.confirmations.record(&config.digest, Moment::now().earlier(age.unsigned_abs()));
        let config = Arc::new(config);
        let live = is_young.then(|| Candidate::volume(Arc::clone(&config), OfferForm::Live));
        live.into_iter().chain([Candidate::volume(config, OfferForm::Names)]).collect()
    }

    /// The mounted boot snapshot, if it is no older than that generation.
    fn boot_snapshot(&self, had: u64) -> Option<Bundle> {
        let path = &self.options.boot_file;
        let text =
            mounted_snapshot::read(path).inspect_err(|error| tracing::info!(path = %path.display(), %error, "no boot snapshot")).ok()?;
        let read = boot_snapshot::decode(&text).map_err(|error| error.to_string());
        let bundle = read.inspect_err(|error| tracing::error!(path = %path.display(), error, "cannot read the boot snapshot")).ok()?;
        self.checked(bundle, had).inspect_err(|fault| log_unused(path, fault)).ok()
    }

    fn checked(&self, bundle: Bundle, had: u64) -> Result<Bundle, BundleFault> {
        bundle.check_usable(&self.options.cluster, self.options.engine_kind, self.root(), had).map(|()| bundle)
    }

    async fn accepts(&self, candidate: &mut Candidate) -> Result<bool, EngineError> {
        let offered = candidate.config.as_ref().map(|config| config.contents.clone()).unwrap_or_default();
        if let Some(config) = candidate.config.as_ref().filter(|_| !candidate.addressed) {
            self.learnt.begin(dns_handover::former_addresses(self.engine.as_ref(), config));
        }
        self.tests(Some(&candidate.bundle.digest));
        let tested = self.tested(&candidate.bundle, &offered).await;
        self.tests(None);
        match tested {
            Ok(TestedConfig { generation, whole }) => {
                candidate.whole = whole;
                self.configs.promote(&generation)?;
                self.configs.keep_only(&generation);
                Ok(true)
            }
            Err(error) if error.is_refusal() => {
                self.reject(&candidate.bundle.digest, &error, false);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// It changes only when the proxy service is updated, so the volume is usually newer.
fn log_unused(path: &Path, fault: &BundleFault) {
    if let BundleFault::Older { .. } = fault {
        tracing::info!(path = %path.display(), "ignoring the boot snapshot, which is older than the last configuration here");
    } else {
        tracing::error!(path = %path.display(), %fault, "ignoring an invalid boot snapshot");
    }
}

async fn next_offer(offers: &mut OfferReceiver) -> Arc<ProxyConfig> {
    loop {
        let offer = offers.borrow_and_update().clone();
        if let Some(offer) = offer {
            return offer;
        }
        if offers.changed().await.is_err() {
            // The agent holds the sender: this is never reached while the future is awaited.
            std::future::pending::<()>().await;
        }
    }
}

impl Candidate {
    fn volume(config: Arc<ProxyConfig>, form: OfferForm) -> Self {
        Self { source: ConfigSource::Volume, ..Self::offered(config, form, true) }
    }

    fn boot(bundle: Bundle) -> Self {
        Self { bundle, source: ConfigSource::Boot, config: None, addressed: false, whole: true, disabled: BTreeSet::new() }
    }
}
