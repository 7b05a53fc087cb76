//! Addresses in the running configuration that their tasks have left. Usually the next offer no longer has them, but testing a
//! large offer takes time, here and in the extension. Meanwhile the extension reports what the newest snapshot of the Swarm shows
//! about the running configuration: it is confirmed as long as it has no such address, and otherwise loses these addresses without
//! waiting for a test.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Agent;
use super::candidate::Candidate;
use crate::channel::{ChannelClient, Moment};
use crate::protocol::messages::{Addresses, Bundle, ProxyConfig};
use crate::protocol::timings::ADDRESS_CHECK_INTERVAL;
use crate::runtime::Engine;
use crate::types::Digest;

/// How often to check whether addresses have to be removed.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// The agent asks about offers that were not confirmed for this fraction of the limit. An address that its task has left waits as
/// long for a newer offer, which would not need a reload of its own.
const PART: u32 = 6;

/// What is known about the addresses of offers, and what was done about it.
#[derive(Debug, Default)]
pub(super) struct DepartedEndpoints {
    known: Mutex<DepartureState>,
}

#[derive(Debug, Default)]
struct DepartureState {
    /// The addresses that are gone, for each offer of interest, and since when this is known.
    gone: BTreeMap<Digest, BTreeMap<SocketAddr, Moment>>,
    /// The offer that runs with its addresses, and which of these are out of use.
    running: Option<(Digest, BTreeSet<SocketAddr>)>,
    /// When addresses were last taken out of use, or this was last attempted.
    changed: Moment,
}

impl DepartedEndpoints {
    /// The addresses of this offer that their tasks have left.
    pub(super) fn departed_from(&self, offer: &Digest) -> BTreeSet<SocketAddr> {
        self.known().gone.get(offer).into_iter().flat_map(|gone| gone.keys().copied()).collect()
    }

    /// Records the running configuration. Without addresses there is nothing to track.
    pub(super) fn record_running(&self, candidate: &Candidate) {
        let config = candidate.config.as_ref().filter(|_| candidate.addressed);
        self.known().running = config.map(|config| (config.digest.clone(), candidate.disabled.clone()));
    }

    /// Records that addresses were taken out of use, or that this failed.
    pub(super) fn record_attempt(&self) {
        self.known().changed = Moment::now();
    }

    /// Records the extension's answer. `true`: all addresses of the offer that are in use, or would be, belong to their services.
    fn note(&self, offer: &Digest, departed: BTreeSet<SocketAddr>) -> bool {
        let mut known = self.known();
        let former = known.gone.remove(offer).unwrap_or_default();
        let now = Moment::now();
        let gone: BTreeMap<_, _> = departed.into_iter().map(|address| (address, former.get(&address).copied().unwrap_or(now))).collect();
        let out_of_use = known.running.as_ref().filter(|(running, _)| running == offer).map(|(_, left)| left);
        let confirmed = out_of_use.is_none_or(|left| gone.keys().all(|address| left.contains(address)));
        known.gone.insert(offer.clone(), gone);
        confirmed
    }

    fn keep_only(&self, offers: &[&Digest]) {
        self.known().gone.retain(|offer, _| offers.contains(&offer));
    }

    /// Whether addresses of the running configuration have to be taken out of use, or can be used again.
    fn is_due(&self, patience: Duration) -> bool {
        let known = self.known();
        let Some((offer, left)) = &known.running else { return false };
        let nothing = BTreeMap::new();
        let gone = known.gone.get(offer).unwrap_or(&nothing);
        let leave = gone.iter().any(|(address, since)| !left.contains(address) && since.age() >= patience);
        let returned = left.iter().any(|address| !gone.contains_key(address));
        (leave || returned) && known.changed.age() >= patience
    }

    fn known(&self) -> MutexGuard<'_, DepartureState> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long something may wait that has to happen within the limit; `None` if there is no limit.
fn patience(config: &ProxyConfig) -> Option<Duration> {
    config.live.control_plane_timeout().map(|limit| limit / PART)
}

/// Returns once addresses of the running configuration have to be taken out of use, or can be used again.
pub(super) async fn until_due(agent: &Agent, running: &Candidate) {
    let Some(patience) = running.config.as_ref().filter(|_| running.addressed).and_then(|config| patience(config)) else {
        return std::future::pending().await;
    };
    while !agent.departed.is_due(patience) {
        tokio::time::sleep(CHECK_EVERY).await;
    }
}

/// Asks forever about the running offer, and about the newest one while names are in use, as long as nothing else confirms them.
pub(super) async fn poll_departures(client: &ChannelClient, agent: &Agent) -> Infallible {
    loop {
        tokio::time::sleep(ADDRESS_CHECK_INTERVAL).await;
        let offer = agent.offers.borrow().clone();
        let running = agent.departed.known().running.as_ref().map(|(digest, _)| digest.clone());
        let newest = offer.as_ref().map(|offer| offer.digest.clone());
        let interesting: BTreeSet<Digest> = running.into_iter().chain(newest).collect();
        agent.departed.keep_only(&interesting.iter().collect::<Vec<_>>());
        let Some(patience) = offer.as_deref().and_then(patience) else { continue };
        for digest in interesting.iter().filter(|digest| agent.is_doubtful(digest, patience)) {
            query_departed(client, agent, digest).await;
        }
    }
}

async fn query_departed(client: &ChannelClient, agent: &Agent, offer: &Digest) {
    match client.get::<Addresses>("/v1/addresses", &format!("of={offer}")).await {
        Ok((Addresses { of, gone, .. }, seen)) if of == *offer => {
            let whole = gone.is_empty();
            if agent.departed.note(offer, gone) {
                agent.confirmations.record(offer, seen);
            }
            if whole {
                agent.store.confirm(offer, seen.date());
            }
        }
        Ok(_) => {}
        // A restarted extension does not know this offer, and an older one does not know this endpoint.
        Err(error) => tracing::debug!(offer = offer.short(), %error, "cannot get the state of an offer's addresses"),
    }
}

impl Agent {
    /// Whether nothing has confirmed this offer lately, or some of its addresses were gone.
    fn is_doubtful(&self, offer: &Digest, patience: Duration) -> bool {
        self.confirmations.confirmed_at(offer).age() >= patience || !self.departed.departed_from(offer).is_empty()
    }
}

/// The same configuration with these addresses out of use.
pub(super) fn without(engine: &dyn Engine, bundle: &Bundle, left: &BTreeSet<SocketAddr>) -> Bundle {
    Bundle { files: engine.without_endpoints(&bundle.files, left), ..bundle.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_running_configuration_without_departed_addresses_is_confirmed() {
        let (left, offer, other) = (DepartedEndpoints::default(), Digest::of_bytes(b"1"), Digest::of_bytes(b"2"));
        let (one, two) = (address("192.0.2.1:80"), address("192.0.2.2:80"));
        let runs = |out_of_use: &[SocketAddr]| left.known().running = Some((offer.clone(), out_of_use.iter().copied().collect()));
        let due = || left.is_due(Duration::ZERO);
        runs(&[]);
        assert!(left.note(&offer, BTreeSet::new()) && !due());
        assert!(!left.note(&offer, BTreeSet::from([one])) && due());
        assert!(left.note(&other, BTreeSet::from([one])), "the configuration is loaded without the address");
        assert!(!left.is_due(Duration::from_secs(3600)), "a newer offer may come");
        runs(&[one]);
        assert!(left.note(&offer, BTreeSet::from([one])) && !due());
        assert!(!left.note(&offer, BTreeSet::from([one, two])) && due());
        assert!(left.note(&offer, BTreeSet::new()) && due(), "the address is in use again");
        left.keep_only(&[&other]);
        assert_eq!((left.departed_from(&offer), left.departed_from(&other)), (BTreeSet::new(), BTreeSet::from([one])));
    }
}
