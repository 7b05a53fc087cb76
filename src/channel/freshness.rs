//! How old knowledge is, told from one process to the next: as an age, never as a time of another machine's clock. What an
//! operator saw a moment ago is passed on by an extension that is somewhat older with it, and by the network, which takes its
//! time as well. Counts the time that a machine was suspended. No I/O but the clock.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use nix::time::{ClockId, clock_gettime};

/// On every answer to a long poll: for how many milliseconds before the answer nobody has looked whether its content still
/// holds.
const CONFIRMED_AGO: HeaderName = HeaderName::from_static("swarmgate-confirmed-ms-ago");
/// With it: for how many milliseconds the question waited before it was answered, which is not the network's time.
const HELD: HeaderName = HeaderName::from_static("swarmgate-held-ms");

/// For how long addresses must have been confirmed without a break before a proxy that found endpoints by name uses them again.
pub const RETURN_AFTER: Duration = Duration::from_secs(10);

/// A moment of this machine since it started. Later ones are greater, whatever becomes of its date.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// Now.
    pub fn now() -> Self {
        // The clock that goes on while the machine is suspended is there on every Linux; without it nothing would ever be old.
        Self(clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from))
    }

    /// How long ago it was.
    pub fn age(self) -> Duration {
        Self::now().since(self)
    }

    /// The time from an earlier moment to this one; zero if that one is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// So much earlier; the start of the machine at the earliest.
    #[must_use]
    pub fn earlier(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by))
    }

    /// So much later.
    #[must_use]
    pub fn later(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }
}

/// What an answer tells about its age. `asked` is when the question came, `confirmed` when its content was last known to hold.
pub fn told(asked: Moment, confirmed: Moment) -> [(HeaderName, HeaderValue); 2] {
    let now = Moment::now();
    [(CONFIRMED_AGO, milliseconds(now.since(confirmed))), (HELD, milliseconds(now.since(asked)))]
}

fn milliseconds(duration: Duration) -> HeaderValue {
    HeaderValue::from(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// When the content of an answer was last known to hold. All the time that question and answer took counts as having passed
/// since, but for what the answerer says that it waited. An answerer that tells no age is taken to know what it says.
pub fn heard(headers: &HeaderMap, asked: Moment, answered: Moment) -> Moment {
    let Some(ago) = duration(headers, &CONFIRMED_AGO) else { return answered };
    let held = duration(headers, &HELD).unwrap_or_default();
    answered.earlier(ago.saturating_add(answered.since(asked).saturating_sub(held)))
}

fn duration(headers: &HeaderMap, name: &HeaderName) -> Option<Duration> {
    headers.get(name)?.to_str().ok()?.parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::default().later(Duration::from_millis(ms))
    }

    fn headers(ago: &str, held: &str) -> HeaderMap {
        let pairs = [(CONFIRMED_AGO, ago), (HELD, held)].into_iter().filter(|(_, value)| !value.is_empty());
        pairs.map(|(name, value)| (name, value.parse().unwrap())).collect()
    }

    #[test]
    fn an_age_is_the_answerers_and_the_networks_and_not_the_time_that_was_waited_for_news() {
        let check = |ago: &str, held: &str, expected_ms| assert_eq!(heard(&headers(ago, held), at(50_000), at(53_000)), at(expected_ms));
        check("0", "3000", 53_000);
        check("7000", "3000", 46_000);
        check("7000", "1000", 44_000);
        check("7000", "9000", 46_000);
        check("7000", "", 43_000);
        check("99000000", "3000", 0);
    }

    #[test]
    fn an_answerer_that_tells_no_age_knows_what_it_says() {
        assert_eq!(heard(&headers("", ""), at(1), at(2)), at(2));
        assert_eq!(heard(&headers("soon", "3"), at(1), at(2)), at(2));
    }

    #[test]
    fn what_is_told_is_heard() {
        let now = Moment::now();
        let (asked, confirmed) = (now.earlier(Duration::from_secs(3)), now.earlier(Duration::from_secs(20)));
        let headers: HeaderMap = told(asked, confirmed).into_iter().collect();
        let age = heard(&headers, asked, Moment::now()).age();
        assert!((20_000..20_500).contains(&age.as_millis()), "{age:?}");
    }

    #[test]
    fn moments_go_on() {
        let first = Moment::now();
        assert!(first > Moment::default() && Moment::now() >= first && first.later(Duration::from_secs(1)) > Moment::now());
    }
}
