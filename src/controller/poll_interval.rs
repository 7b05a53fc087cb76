//! How often to poll the tasks: pure rules over explicit time. Swarm sends no task events, so these intervals determine
//! the time from a task's start to its first request.

use std::time::Duration;

use tokio::time::Instant;

/// The intervals between polls of the tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollIntervals {
    /// While something is changing.
    pub fast: Duration,
    /// While services are routed and nothing is changing.
    pub normal: Duration,
    /// While nothing is routed.
    pub slow: Duration,
    /// How long a hint or a change counts as movement.
    pub after_change: Duration,
    /// How long after the last change tasks that are not running yet count as movement. A task that fits no node stays
    /// pending forever; an image that takes minutes to pull is noticed at the normal interval.
    pub after_change_unsettled: Duration,
}

/// What is known about movement.
#[derive(Debug)]
pub struct PollInterval {
    limits: PollIntervals,
    last_change: Option<Instant>,
    unsettled: bool,
    routed: bool,
}

impl PollInterval {
    /// Starts fast: after a start everything is new.
    pub fn new(limits: PollIntervals, now: Instant) -> Self {
        Self { limits, last_change: Some(now), unsettled: true, routed: true }
    }

    /// A hint arrived or the tasks changed.
    pub fn changed(&mut self, now: Instant) {
        self.last_change = Some(now);
    }

    /// Records what the newest pass saw: whether tasks of interest are not running yet, or a rollout is in progress.
    pub fn set_unsettled(&mut self, unsettled: bool) {
        self.unsettled = unsettled;
    }

    /// Records whether any service is routed.
    pub fn set_routed(&mut self, routed: bool) {
        self.routed = routed;
    }

    /// The interval between polls.
    pub fn period(&self, now: Instant) -> Duration {
        let window = if self.unsettled { self.limits.after_change_unsettled } else { self.limits.after_change };
        match self.last_change {
            Some(change) if now < change + window => self.limits.fast,
            _ if self.routed || self.unsettled => self.limits.normal,
            _ => self.limits.slow,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{PollInterval, PollIntervals};

    const FAST: Duration = Duration::from_millis(100);
    const NORMAL: Duration = Duration::from_secs(1);
    const SLOW: Duration = Duration::from_secs(5);

    fn check(unsettled: bool, routed: bool, seconds_after_change: u64, expected: Duration) {
        let limits = PollIntervals {
            fast: FAST,
            normal: NORMAL,
            slow: SLOW,
            after_change: Duration::from_secs(5),
            after_change_unsettled: Duration::from_secs(60),
        };
        let start = Instant::now();
        let mut pace = PollInterval::new(limits, start);
        pace.changed(start);
        pace.set_unsettled(unsettled);
        pace.set_routed(routed);
        assert_eq!(pace.period(start + Duration::from_secs(seconds_after_change)), expected);
    }

    #[test]
    fn polling_is_fast_for_a_while_after_a_change() {
        check(false, true, 4, FAST);
        check(false, true, 5, NORMAL);
    }

    #[test]
    fn polling_stays_fast_while_tasks_start_but_not_forever() {
        check(true, true, 59, FAST);
        check(true, true, 60, NORMAL);
    }

    #[test]
    fn polling_is_slow_when_nothing_is_routed() {
        check(false, false, 6, SLOW);
    }
}
