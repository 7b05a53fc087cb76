//! Decides when addresses are too old: they were not confirmed for longer than their configuration permits. Time is measured by a
//! clock that cannot be set and that continues while the machine is suspended.

use std::time::Duration;

use super::Agent;
use super::candidate::Candidate;
use crate::channel::Moment;
use crate::protocol::messages::ProxyConfig;
use crate::protocol::timings::RETURN_AFTER;
use crate::types::{ConfigSource, Digest};

/// How often ages are checked: a single timer would not include time during which the machine was suspended.
const CHECK_EVERY: Duration = Duration::from_millis(500);

/// How long this offer must have been fresh before it is run with addresses again.
pub(super) fn steady_after(config: &ProxyConfig) -> Duration {
    config.live.control_plane_timeout().map_or(Duration::ZERO, |limit| limit.min(RETURN_AFTER))
}

impl Agent {
    /// Whether its addresses were not confirmed for longer than it permits.
    pub(super) fn is_stale(&self, config: &ProxyConfig) -> bool {
        config.live.control_plane_timeout().is_some_and(|limit| self.confirmations.confirmed_at(&config.digest).age() > limit)
    }
}

/// Watches the age of the running configuration.
pub(super) struct Watcher<'a> {
    pub(super) agent: &'a Agent,
    pub(super) running: &'a Candidate,
    pub(super) refused_names: Option<&'a Digest>,
}

impl Watcher<'_> {
    /// Returns once the addresses in use are too old; or, while names are in use, once those of the newest offer have been fresh
    /// for a while. `fresh_since` carries that from one call to the next.
    pub(super) async fn until_due(&self, fresh_since: &mut Option<Moment>) {
        loop {
            let is_due = if self.running.source == ConfigSource::Names { self.may_return(fresh_since) } else { self.must_leave() };
            if is_due {
                return;
            }
            tokio::time::sleep(CHECK_EVERY).await;
        }
    }

    fn must_leave(&self) -> bool {
        let config = self.running.config.as_ref().filter(|config| self.refused_names != Some(&config.boot.digest));
        self.running.addressed && config.is_some_and(|config| self.agent.is_stale(config))
    }

    fn may_return(&self, fresh_since: &mut Option<Moment>) -> bool {
        let offer = self.agent.offers.borrow().clone().filter(|offer| !self.agent.is_stale(offer));
        let Some(offer) = offer else {
            *fresh_since = None;
            return false;
        };
        fresh_since.get_or_insert_with(Moment::now).age() >= steady_after(&offer)
    }
}
