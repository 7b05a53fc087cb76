//! The only place that decides how long to wait before a retry: exponentially longer, with jitter and a ceiling. It is the
//! only file that uses the `backoff` crate (which is no longer developed), so that replacing it stays a change of one file.
//! A leaf: imports no other room. It never sleeps itself; callers await the returned time.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// The limits of the waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryLimits {
    /// The first wait, before jitter.
    pub initial: Duration,
    /// No wait is longer than this, jitter included.
    pub max: Duration,
}

/// A series of waits for one operation that keeps failing. Never gives up: the caller decides when to stop.
#[derive(Debug)]
pub struct Retry {
    series: ExponentialBackoff,
    max: Duration,
}

impl Retry {
    /// A new series. Each wait is about twice as long as the one before, give or take half of it.
    pub fn new(limits: RetryLimits) -> Self {
        let series = ExponentialBackoff {
            initial_interval: limits.initial,
            current_interval: limits.initial,
            max_interval: limits.max,
            multiplier: 2.0,
            randomization_factor: 0.5,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        Self { series, max: limits.max }
    }

    /// How long to wait before the next attempt.
    pub fn next(&mut self) -> Duration {
        self.series.next_backoff().unwrap_or(self.max).min(self.max)
    }

    /// Starts over, after a success.
    pub fn reset(&mut self) {
        self.series.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RetryLimits = RetryLimits { initial: Duration::from_millis(100), max: Duration::from_secs(5) };

    #[test]
    fn waits_grow_to_the_ceiling_and_never_above() {
        let mut retry = Retry::new(LIMITS);
        let waits: Vec<Duration> = (0..40).map(|_| retry.next()).collect();
        assert!(waits[0] >= Duration::from_millis(50) && waits[0] <= Duration::from_millis(150), "first wait {:?}", waits[0]);
        assert!(waits.iter().all(|wait| *wait <= LIMITS.max));
        assert!(waits[20..].iter().all(|wait| *wait >= LIMITS.max / 2), "late waits stay near the ceiling: {waits:?}");
    }

    #[test]
    fn a_reset_starts_over() {
        let mut retry = Retry::new(LIMITS);
        for _ in 0..20 {
            retry.next();
        }
        retry.reset();
        assert!(retry.next() <= Duration::from_millis(150));
    }

    #[test]
    fn waits_of_two_series_differ() {
        let series = || {
            let mut retry = Retry::new(LIMITS);
            (0..8).map(|_| retry.next()).collect::<Vec<_>>()
        };
        assert_ne!(series(), series(), "without jitter, a whole fleet would retry at the same moment");
    }
}
