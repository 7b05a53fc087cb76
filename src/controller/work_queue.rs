//! Decides which key gets a pass when: plain maps and explicit time, no tasks, no clock of its own.
//!
//! The rules: repeated requests are merged; the first request for a quiet key is due at once, later ones are debounced but
//! never delayed longer than the maximum; a key never has two passes at once; failures are counted per key and delay only
//! *acting*, so that a stuck fleet never delays an endpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::retry::{Retry, RetryLimits};

/// How requests are batched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// A key whose last pass was less than this long ago waits this long for further requests.
    pub debounce: Duration,
    /// No request waits longer than this, however many follow.
    pub max_delay: Duration,
    /// The backoff after failures.
    pub retry: RetryLimits,
}

/// A pass that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DuePass<K> {
    /// The key.
    pub key: K,
    /// The pass must use a read of the Swarm that began no earlier.
    pub since: Instant,
    /// Whether it may write, or must wait until the backoff is over.
    pub acting: WritePermission,
}

/// Whether a pass may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WritePermission {
    /// It may.
    Allowed,
    /// Not before this moment: an earlier write failed.
    HeldUntil(Instant),
}

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassEnd {
    /// Successfully; nothing more to do until the next request.
    Done,
    /// Successfully; run again after this time (it wrote, or waits for something with a known time).
    Again(Duration),
    /// It failed; run again after the backoff.
    Failed,
    /// Acting was held back or nothing could be seen, so the pass proves nothing about an earlier failure: the backoff
    /// remains as it is.
    Held,
}

/// The keys that want a pass.
#[derive(Debug)]
pub struct WorkQueue<K> {
    limits: QueueLimits,
    entries: BTreeMap<K, QueueEntry>,
}

#[derive(Debug)]
struct QueueEntry {
    /// The first and newest request that no pass has answered yet.
    requested: Option<(Instant, Instant)>,
    /// How fresh the snapshot must be that answers them.
    since: Option<Instant>,
    /// A pass that is scheduled without a request.
    scheduled: Option<Instant>,
    running: bool,
    last_started: Option<Instant>,
    retry: Retry,
    held_until: Option<Instant>,
}

impl<K: Ord + Clone> WorkQueue<K> {
    /// An empty queue.
    pub fn new(limits: QueueLimits) -> Self {
        Self { limits, entries: BTreeMap::new() }
    }

    /// Requests a pass for this key, for a reason visible in any snapshot of the Swarm that began at `since` or later. A new
    /// key is known from now on.
    pub fn enqueue(&mut self, key: &K, now: Instant, since: Instant) {
        let entry = self.entry(key);
        entry.since = entry.since.max(Some(since));
        entry.requested = Some((entry.requested.map_or(now, |(first, _)| first), now));
    }

    /// Forgets every key that is not among these. The result of a running pass is ignored.
    pub fn retain(&mut self, keys: &BTreeSet<K>) {
        self.entries.retain(|key, entry| keys.contains(key) || entry.running);
    }

    /// When the next pass is due; `None` while every wanted key is running or there are no requests.
    pub fn next_due(&self) -> Option<Instant> {
        self.entries.values().filter_map(|entry| entry.due(&self.limits)).min()
    }

    /// Takes every key that is due; each counts as running until [`WorkQueue::finished`].
    pub fn take_due(&mut self, now: Instant) -> Vec<DuePass<K>> {
        let limits = self.limits;
        let due = self.entries.iter_mut().filter(|(_, entry)| entry.due(&limits).is_some_and(|at| at <= now));
        due.map(|(key, entry)| DuePass { key: key.clone(), since: entry.since.take().unwrap_or(now), acting: entry.start(now) }).collect()
    }

    /// A pass has ended. Requests that came meanwhile become due by the usual rules.
    pub fn finished(&mut self, key: &K, now: Instant, ended: PassEnd) {
        let entry = self.entry(key);
        entry.running = false;
        match ended {
            PassEnd::Done => entry.succeeded(None),
            PassEnd::Again(after) => entry.succeeded(Some(now + after)),
            PassEnd::Failed => {
                entry.held_until = Some(now + entry.retry.next());
                entry.scheduled = entry.held_until;
            }
            PassEnd::Held => entry.scheduled = entry.held_until,
        }
    }

    /// When acting is allowed again for this key, if it is held back.
    pub fn held_until(&self, key: &K) -> Option<Instant> {
        self.entries.get(key).and_then(|entry| entry.held_until)
    }

    fn entry(&mut self, key: &K) -> &mut QueueEntry {
        let retry = self.limits.retry;
        self.entries.entry(key.clone()).or_insert_with(|| QueueEntry {
            requested: None,
            since: None,
            scheduled: None,
            running: false,
            last_started: None,
            retry: Retry::new(retry),
            held_until: None,
        })
    }
}

impl QueueEntry {
    fn due(&self, limits: &QueueLimits) -> Option<Instant> {
        if self.running {
            return None;
        }
        let requested = self.requested.map(|(first, newest)| match self.last_started {
            Some(started) if first < started + limits.debounce => (newest + limits.debounce).min(first + limits.max_delay),
            _ => first,
        });
        [requested, self.scheduled].into_iter().flatten().min()
    }

    fn start(&mut self, now: Instant) -> WritePermission {
        self.requested = None;
        self.scheduled = None;
        self.running = true;
        self.last_started = Some(now);
        match self.held_until {
            Some(until) if until > now => WritePermission::HeldUntil(until),
            _ => WritePermission::Allowed,
        }
    }

    fn succeeded(&mut self, next: Option<Instant>) {
        self.retry.reset();
        self.held_until = None;
        self.scheduled = next;
    }
}

#[cfg(test)]
mod tests;
