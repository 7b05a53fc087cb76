//! When addresses are too old: nobody has confirmed them for longer than their configuration permits. Time is counted by a
//! clock that nobody sets and that goes on while the machine is suspended.

use std::time::Duration;

use super::candidate::Candidate;
use super::{Agent, Source};
use crate::channel::Moment;
use crate::protocol::messages::ProxyConfig;
use crate::protocol::timings::RETURN_AFTER;
use crate::types::Digest;

/// How often ages are looked at: a timer alone does not count the time that the machine was suspended.
const LOOK: Duration = Duration::from_millis(500);

/// How long this offer must have been fresh before it is run with addresses again.
pub(super) fn steady_after(config: &ProxyConfig) -> Duration {
    config.live.control_plane_timeout().map_or(Duration::ZERO, |limit| limit.min(RETURN_AFTER))
}

impl Agent {
    /// Whether nobody has confirmed its addresses for longer than it permits.
    pub(super) fn is_stale(&self, config: &ProxyConfig) -> bool {
        config.live.control_plane_timeout().is_some_and(|limit| self.confirmations.of(&config.digest).age() > limit)
    }
}

/// Looks at the age of what runs.
pub(super) struct Watcher<'a> {
    pub(super) agent: &'a Agent,
    pub(super) running: &'a Candidate,
    pub(super) refused_names: Option<&'a Digest>,
}

impl Watcher<'_> {
    /// Until the addresses in force are too old; or, while names are in force, until those of the newest offer have been fresh
    /// for a while. `fresh_since` remembers that from one wait to the next.
    pub(super) async fn until_due(&self, fresh_since: &mut Option<Moment>) {
        loop {
            let is_due = if self.running.source == Source::Names { self.may_return(fresh_since) } else { self.must_leave() };
            if is_due {
                return;
            }
            tokio::time::sleep(LOOK).await;
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
