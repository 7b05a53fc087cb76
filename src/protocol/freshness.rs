//! The age of information in the headers of an answer: written as an age, never as a time of another machine's clock. An
//! extension passes on what the operator observed, adding its own delay and that of the network. Reads no clock.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

/// On every answer to a long poll: how many milliseconds before the answer its content was last confirmed.
const CONFIRMED_AGO: HeaderName = HeaderName::from_static("swarmgate-confirmed-ms-ago");
/// Sent with it: for how many milliseconds the server held the request before it answered, which is not network time.
const HELD: HeaderName = HeaderName::from_static("swarmgate-held-ms");

/// The headers of an answer whose content was confirmed `confirmed_ago` and whose request was held for `held`.
pub fn headers(confirmed_ago: Duration, held: Duration) -> [(HeaderName, HeaderValue); 2] {
    [(CONFIRMED_AGO, milliseconds(confirmed_ago)), (HELD, milliseconds(held))]
}

fn milliseconds(duration: Duration) -> HeaderValue {
    HeaderValue::from(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// The age of an answer's content at the moment it arrives, `round_trip` after the request. The age includes the whole round
/// trip, except for the time for which the server reports to have held the request. An answer without an age is current.
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
    fn an_age_includes_network_time_but_not_the_time_for_which_the_server_held_the_request() {
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
    fn a_written_age_is_read_back() {
        let (ago, held) = (Duration::from_secs(20), Duration::from_secs(3));
        let written: HeaderMap = headers(ago, held).into_iter().collect();
        assert_eq!(age(&written, held), ago);
    }
}
