//! The first configuration of a proxy. In this order, because a wrong answer is worse than a late one:
//!
//! 1. what the extension offers now, if it answers soon;
//! 2. what the volume holds, while it is so young that its addresses cannot have become another service's;
//! 3. the names variant from the volume: the same routes, resolved anew, for as long as routes are likely to still hold;
//! 4. the mounted boot snapshot (names as well, of the time when the proxy service was last updated); it comes before what
//!    the volume holds when it is the newer of the two, as on a node that had no proxy for a while;
//! 5. whatever the extension offers, whenever it comes.
//!
//! Each is tested by the engine before it is used; one that is refused is passed over.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::apply::{Candidate, Offered, Tested};
use super::store::Saved;
use super::{Agent, Source};
use crate::channel::boot;
use crate::channel::wire::{Bundle, ProxyConfig};
use crate::engine::EngineError;
use crate::types::ClusterName;

/// How long a start waits for the extension when there is something else to start with.
const LIVE_PATIENCE: Duration = Duration::from_millis(1500);
/// Swarm gives out the addresses of a network in turn, so one is reused after some two hundred task starts in a /24. In
/// this time that does not happen even to a busy network.
const ADDRESSES_MAX: SignedDuration = SignedDuration::from_mins(5);
/// For how long the routes of a volume are better than a snapshot of unknown age.
const NAMES_MAX: SignedDuration = SignedDuration::from_hours(24);

impl Agent {
    /// The first configuration that the engine accepts; it is the current generation then, and nothing runs yet. Waits for
    /// one as long as it takes.
    pub(super) async fn first_accepted(&self) -> Result<Candidate, EngineError> {
        let mut offers = self.offers.subscribe();
        let live = tokio::time::timeout(LIVE_PATIENCE, next_offer(&mut offers)).await.ok();
        for mut candidate in live.map(Candidate::live).into_iter().chain(self.kept_candidates()) {
            if self.accepts(&mut candidate).await? {
                return Ok(candidate);
            }
        }
        tracing::warn!("there is no configuration to start with; waiting for the extension");
        loop {
            let mut candidate = Candidate::live(next_offer(&mut offers).await);
            if self.accepts(&mut candidate).await? {
                return Ok(candidate);
            }
            // The same offer would be refused again.
            let _ = offers.changed().await;
        }
    }

    /// What this node has at hand, the best first.
    fn kept_candidates(&self) -> Vec<Candidate> {
        let now = Timestamp::now();
        let snapshot = boot_snapshot(&self.options.boot_file, &self.options.cluster);
        let Some(saved) = self.store.load(&self.options.cluster, now) else {
            return snapshot.map(Candidate::boot).into_iter().collect();
        };
        let accepted_at = snapshot.as_ref().and_then(|snapshot| snapshot.accepted_at);
        let snapshot_is_newer = accepted_at.is_some_and(|accepted| now.duration_since(accepted) < saved.age);
        let snapshot = snapshot.map(Candidate::boot);
        let volume = volume_candidates(saved);
        if snapshot_is_newer { snapshot.into_iter().chain(volume).collect() } else { volume.into_iter().chain(snapshot).collect() }
    }

    async fn accepts(&self, candidate: &mut Candidate) -> Result<bool, EngineError> {
        let offered = candidate.offer.as_ref().map(|offer| offer.contents.clone()).unwrap_or_default();
        match self.tested(&candidate.bundle, &offered).await {
            Ok(Tested { generation, whole }) => {
                candidate.whole = whole;
                self.generations.promote(&generation)?;
                self.generations.keep_only(&generation);
                Ok(true)
            }
            Err(error @ EngineError::Refused(_)) => {
                self.reject(&candidate.bundle.digest, &error, false);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

async fn next_offer(offers: &mut Offered) -> Arc<ProxyConfig> {
    loop {
        let offer = offers.borrow_and_update().clone();
        if let Some(offer) = offer {
            return offer;
        }
        if offers.changed().await.is_err() {
            // The agent holds the sender: this is never reached while anyone waits.
            std::future::pending::<()>().await;
        }
    }
}

/// What a volume holds, as far as it is young enough.
fn volume_candidates(saved: Saved) -> Vec<Candidate> {
    let is_younger_than = |limit: SignedDuration| saved.age >= -limit && saved.age <= limit;
    let live = is_younger_than(ADDRESSES_MAX).then_some(saved.config.live);
    let names = is_younger_than(NAMES_MAX).then_some(saved.config.boot);
    live.into_iter().chain(names).map(Candidate::volume).collect()
}

fn boot_snapshot(path: &Path, cluster: &ClusterName) -> Option<Bundle> {
    let text = match boot::read(path) {
        Ok(text) => text,
        Err(error) => {
            tracing::info!(path = %path.display(), %error, "there is no boot snapshot");
            return None;
        }
    };
    let read = boot::decode(&text).map_err(|error| error.to_string());
    let checked = read.and_then(|bundle| bundle.check(cluster).map(|()| bundle).map_err(|fault| fault.to_string()));
    checked.inspect_err(|error| tracing::error!(path = %path.display(), error, "the boot snapshot cannot be used")).ok()
}

impl Candidate {
    fn live(config: Arc<ProxyConfig>) -> Self {
        Self { bundle: config.live.clone(), source: Source::Live, offer: Some(config), whole: true }
    }

    fn volume(bundle: Bundle) -> Self {
        Self { bundle, source: Source::Volume, offer: None, whole: true }
    }

    fn boot(bundle: Bundle) -> Self {
        Self { bundle, source: Source::Boot, offer: None, whole: true }
    }
}
