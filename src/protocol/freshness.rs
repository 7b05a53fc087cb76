//! How old knowledge is, as it is written into the headers of an answer: as an age, never as a time of another machine's clock.
//! What an operator saw a moment ago is passed on by an extension that adds its own delay, and by the network. Reads no clock.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

/// On every answer to a long poll: how many milliseconds before the answer its content was last confirmed.
const CONFIRMED_AGO: HeaderName = HeaderName::from_static("swarmgate-confirmed-ms-ago");
/// With it: for how many milliseconds the server held the request before it answered, which is not the network's time.
const HELD: HeaderName = HeaderName::from_static("swarmgate-held-ms");

/// The headers of an answer whose content was confirmed `confirmed_ago` and whose request was held for `held`.
pub fn headers(confirmed_ago: Duration, held: Duration) -> [(HeaderName, HeaderValue); 2] {
    [(CONFIRMED_AGO, milliseconds(confirmed_ago)), (HELD, milliseconds(held))]
}

fn milliseconds(duration: Duration) -> HeaderValue {
    HeaderValue::from(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// How old the content of an answer is at the moment it arrives, `round_trip` after it was asked for. The whole round trip is
/// added to the age, except for the time that the server says it held the request. An answer without an age is current.
pub fn age(headers: &HeaderMap, round_trip: Duration) -> Duration {
    let Some(ago) = duration(headers, &CONFIRMED_AGO) else { return Duration::ZERO };
    let held = duration(headers, &HELD).unwrap_or_default();
    ago.saturating_add(round_trip.saturating_sub(held))
}

fn duration(headers: &HeaderMap, name: &HeaderName) -> Option<Duration> {
    headers.get(name)?.to_str().ok()?.parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(ago: &str, held: &str) -> HeaderMap {
        let pairs = [(CONFIRMED_AGO, ago), (HELD, held)].into_iter().filter(|(_, value)| !value.is_empty());
        pairs.map(|(name, value)| (name, value.parse().unwrap())).collect()
    }

    fn check(ago: &str, held: &str, expected_ms: u64) {
        assert_eq!(age(&written(ago, held), Duration::from_secs(3)), Duration::from_millis(expected_ms), "{ago} {held}");
    }

    #[test]
    fn an_age_adds_the_networks_time_but_not_the_time_for_which_the_server_held_the_request() {
        check("0", "3000", 0);
        check("7000", "3000", 7_000);
        check("7000", "1000", 9_000);
        check("7000", "9000", 7_000);
        check("7000", "", 10_000);
    }

    #[test]
    fn an_answer_without_an_age_is_current() {
        check("", "", 0);
        check("soon", "3", 0);
    }

    #[test]
    fn what_is_written_is_read() {
        let (ago, held) = (Duration::from_secs(20), Duration::from_secs(3));
        let written: HeaderMap = headers(ago, held).into_iter().collect();
        assert_eq!(age(&written, held), ago);
    }
}
