//! Moments on this machine's clock, and the conversion of an answer's age into one. The clock includes the time for which the
//! machine was suspended. The headers themselves are in `protocol::freshness`.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};

use crate::protocol::freshness;

/// A moment since this machine started. Later moments compare greater, even if the date is changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// Now.
    pub fn now() -> Self {
        // Every Linux has the clock that continues while the machine is suspended; without it nothing would ever age.
        Self(clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from))
    }

    /// How long ago it was.
    pub fn age(self) -> Duration {
        Self::now().since(self)
    }

    /// The date of this moment by this machine's clock. Unlike the moment, it stays valid after a restart of the machine.
    pub fn date(self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_sub(self.age()).unwrap_or(now)
    }

    /// The time from an earlier moment to this one; zero if that one is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment this much earlier, at the earliest the start of the machine.
    #[must_use]
    pub fn earlier(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by))
    }

    /// The moment this much later.
    #[must_use]
    pub fn later(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }
}

/// The headers of the answer to a request that arrived at `requested_at`, with content that was last confirmed at `confirmed`.
pub fn freshness_headers(requested_at: Moment, confirmed: Moment) -> [(HeaderName, HeaderValue); 2] {
    let now = Moment::now();
    freshness::headers(now.since(confirmed), now.since(requested_at))
}

/// When the content of an answer was last confirmed.
pub(super) fn confirmed_at(headers: &HeaderMap, requested_at: Moment, answered: Moment) -> Moment {
    answered.earlier(freshness::age(headers, answered.since(requested_at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_survives_a_round_trip_through_headers() {
        let now = Moment::now();
        let (requested_at, confirmed) = (now.earlier(Duration::from_secs(3)), now.earlier(Duration::from_secs(20)));
        let headers: HeaderMap = freshness_headers(requested_at, confirmed).into_iter().collect();
        let age = confirmed_at(&headers, requested_at, Moment::now()).age();
        assert!((20_000..20_500).contains(&age.as_millis()), "{age:?}");
        let ancient = Moment::default().later(Duration::from_secs(1));
        assert_eq!(confirmed_at(&headers, ancient, ancient), Moment::default(), "never before the machine started");
    }

    #[test]
    fn moments_are_monotonic() {
        let first = Moment::now();
        assert!(first > Moment::default() && Moment::now() >= first && first.later(Duration::from_secs(1)) > Moment::now());
    }

    #[test]
    fn the_date_of_a_moment_is_as_long_ago_as_the_moment() {
        let ago = Timestamp::now().duration_since(Moment::now().earlier(Duration::from_secs(20)).date()).as_millis();
        assert!((19_900..20_500).contains(&ago), "{ago}");
    }
}
