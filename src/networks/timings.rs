//! Time arithmetic, and the interval within which the proxies are replaced for networks at most once.

use jiff::{SignedDuration, Timestamp};

use super::{AttachmentState, NetworkInput};

/// Two to this power.
pub(super) fn doubled(times: u32) -> i32 {
    1_i32.checked_shl(times.min(16)).unwrap_or(i32::MAX)
}

/// Until when the proxies are not replaced for networks again.
pub(super) fn next_rollout_at(input: &NetworkInput<'_>, memory: &AttachmentState) -> Timestamp {
    memory.last_update.map_or(Timestamp::MIN, |at| later(at, input.interval))
}

/// The point in time this long after another.
pub(super) fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
