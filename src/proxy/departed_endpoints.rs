//! Addresses in force that their tasks have left. As a rule the next offer is without them; but a large one is tested for as long as
//! that takes, here and by the extension. Meanwhile the extension tells what the newest look at the Swarm says of what runs: so what
//! runs is confirmed as long as it has no such address, and loses those that it has without waiting for a test.

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

/// How often it is looked at whether addresses have to go.
const LOOK: Duration = Duration::from_millis(500);
/// What is not confirmed for this part of the limit is asked about; an address that a task has left waits as long for a newer offer,
/// which would cost no reload of its own.
const PART: u32 = 6;

/// What is known of offers by the addresses that they have, and what of that is done.
#[derive(Debug, Default)]
pub(super) struct DepartedEndpoints {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Of each offer of interest, which addresses are gone, and since when that is known.
    gone: BTreeMap<Digest, BTreeMap<SocketAddr, Moment>>,
    /// The offer that runs with its addresses, and which of them get nothing any more.
    running: Option<(Digest, BTreeSet<SocketAddr>)>,
    /// When they were taken out of use last, or that was tried.
    changed: Moment,
}

impl DepartedEndpoints {
    /// The addresses of this offer that their tasks have left.
    pub(super) fn of(&self, offer: &Digest) -> BTreeSet<SocketAddr> {
        self.known().gone.get(offer).into_iter().flat_map(|gone| gone.keys().copied()).collect()
    }

    /// This runs now; nothing: what runs has no addresses that could be a stranger's.
    pub(super) fn runs(&self, candidate: &Candidate) {
        let config = candidate.config.as_ref().filter(|_| candidate.addressed);
        self.known().running = config.map(|config| (config.digest.clone(), candidate.disabled.clone()));
    }

    /// They were taken out of use now, or could not be.
    pub(super) fn tried(&self) {
        self.known().changed = Moment::now();
    }

    /// Notes what the extension told. `true`: every address that is still used, or would be, is its own.
    fn note(&self, offer: &Digest, told: BTreeSet<SocketAddr>) -> bool {
        let mut known = self.known();
        let former = known.gone.remove(offer).unwrap_or_default();
        let now = Moment::now();
        let gone: BTreeMap<_, _> = told.into_iter().map(|place| (place, former.get(&place).copied().unwrap_or(now))).collect();
        let out_of_use = known.running.as_ref().filter(|(running, _)| running == offer).map(|(_, left)| left);
        let confirmed = out_of_use.is_none_or(|left| gone.keys().all(|place| left.contains(place)));
        known.gone.insert(offer.clone(), gone);
        confirmed
    }

    fn keep_only(&self, offers: &[&Digest]) {
        self.known().gone.retain(|offer, _| offers.contains(&offer));
    }

    /// Whether addresses of what runs are to be taken out of use, or to be used again.
    fn is_due(&self, patience: Duration) -> bool {
        let known = self.known();
        let Some((offer, left)) = &known.running else { return false };
        let nothing = BTreeMap::new();
        let gone = known.gone.get(offer).unwrap_or(&nothing);
        let leave = gone.iter().any(|(place, since)| !left.contains(place) && since.age() >= patience);
        let returned = left.iter().any(|place| !gone.contains_key(place));
        (leave || returned) && known.changed.age() >= patience
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a thing may wait that must be done within the limit; nothing: there is none.
fn patience(config: &ProxyConfig) -> Option<Duration> {
    config.live.control_plane_timeout().map(|limit| limit / PART)
}

/// Until addresses of what runs have to be taken out of use, or may be used again.
pub(super) async fn until_due(agent: &Agent, running: &Candidate) {
    let Some(patience) = running.config.as_ref().filter(|_| running.addressed).and_then(|config| patience(config)) else {
        return std::future::pending().await;
    };
    while !agent.departed.is_due(patience) {
        tokio::time::sleep(LOOK).await;
    }
}

/// Asks for ever about what runs, and about what is offered while names run, as long as nothing else confirms them.
pub(super) async fn ask(client: &ChannelClient, agent: &Agent) -> Infallible {
    loop {
        tokio::time::sleep(ADDRESS_CHECK_INTERVAL).await;
        let offer = agent.offers.borrow().clone();
        let running = agent.departed.known().running.as_ref().map(|(digest, _)| digest.clone());
        let newest = offer.as_ref().map(|offer| offer.digest.clone());
        let interesting: BTreeSet<Digest> = running.into_iter().chain(newest).collect();
        agent.departed.keep_only(&interesting.iter().collect::<Vec<_>>());
        let Some(patience) = offer.as_deref().and_then(patience) else { continue };
        for digest in interesting.iter().filter(|digest| agent.is_doubtful(digest, patience)) {
            ask_about(client, agent, digest).await;
        }
    }
}

async fn ask_about(client: &ChannelClient, agent: &Agent, offer: &Digest) {
    match client.look::<Addresses>("/v1/addresses", &format!("of={offer}")).await {
        Ok((Addresses { of, gone, .. }, seen)) if of == *offer => {
            let whole = gone.is_empty();
            if agent.departed.note(offer, gone) {
                agent.confirmations.note(offer, seen);
            }
            if whole {
                agent.store.confirm(offer, super::date_of(seen));
            }
        }
        Ok(_) => {}
        // An extension that was restarted does not know it, and an older one does not know the question.
        Err(error) => tracing::debug!(offer = offer.short(), %error, "nobody tells of the addresses of an offer"),
    }
}

impl Agent {
    /// Whether nothing has confirmed it lately, or some of its addresses were gone.
    fn is_doubtful(&self, offer: &Digest, patience: Duration) -> bool {
        self.confirmations.of(offer).age() >= patience || !self.departed.of(offer).is_empty()
    }
}

/// The same configuration, in which these addresses get nothing.
pub(super) fn without(engine: &dyn Engine, bundle: &Bundle, left: &BTreeSet<SocketAddr>) -> Bundle {
    Bundle { files: engine.without_endpoints(&bundle.files, left), ..bundle.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_runs_is_confirmed_when_it_uses_no_address_that_was_left() {
        let (left, offer, other) = (DepartedEndpoints::default(), Digest::of_bytes(b"1"), Digest::of_bytes(b"2"));
        let (one, two) = (place("192.0.2.1:80"), place("192.0.2.2:80"));
        let runs = |out_of_use: &[SocketAddr]| left.known().running = Some((offer.clone(), out_of_use.iter().copied().collect()));
        let due = || left.is_due(Duration::ZERO);
        runs(&[]);
        assert!(left.note(&offer, BTreeSet::new()) && !due());
        assert!(!left.note(&offer, BTreeSet::from([one])) && due());
        assert!(left.note(&other, BTreeSet::from([one])), "it is loaded without the address");
        assert!(!left.is_due(Duration::from_secs(3600)), "a newer offer may come");
        runs(&[one]);
        assert!(left.note(&offer, BTreeSet::from([one])) && !due());
        assert!(!left.note(&offer, BTreeSet::from([one, two])) && due());
        assert!(left.note(&offer, BTreeSet::new()) && due(), "its task is back");
        left.keep_only(&[&other]);
        assert_eq!((left.of(&offer), left.of(&other)), (BTreeSet::new(), BTreeSet::from([one])));
    }
}
