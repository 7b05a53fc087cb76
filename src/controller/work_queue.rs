//! Which key gets a pass when: plain maps and plain time, no tasks, no clock of its own.
//!
//! The rules: asking twice is asking once; the first ask of a quiet key is due at once, those that follow are held for the
//! debounce and never longer than the maximum delay; a key never has two passes at once; failures are counted per key and
//! hold back *acting* only, so that a stuck fleet never delays an endpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::retry::{Retry, RetryLimits};

/// How asks are held together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// A key that was looked at less than this ago waits this long for further asks.
    pub debounce: Duration,
    /// No ask waits longer than this, however many follow.
    pub max_delay: Duration,
    /// The waits after failures.
    pub retry: RetryLimits,
}

/// A pass that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DuePass<K> {
    /// For which key.
    pub key: K,
    /// The pass must look at a Swarm read that began no earlier.
    pub since: Instant,
    /// Whether it may write, or must leave that until the backoff is over.
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
    /// Well; nothing more to do until somebody asks.
    Done,
    /// Well; look again after this time (it wrote, or waits for something with a known time).
    Again(Duration),
    /// It failed; look again after the backoff.
    Failed,
    /// Acting was held back or nothing could be seen, so the pass proves nothing about a failure before: the backoff stays
    /// as it is.
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
    /// The first and newest ask that no pass has answered yet.
    asked: Option<(Instant, Instant)>,
    /// How fresh the look must be that answers them.
    since: Option<Instant>,
    /// A pass wanted at a time of its own, without anybody asking.
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

    /// Somebody asks for a pass of this key, for a reason that a look at the Swarm that began at `since` or later shows.
    /// A new key is known from now on.
    pub fn ask(&mut self, key: &K, now: Instant, since: Instant) {
        let entry = self.entry(key);
        entry.since = entry.since.max(Some(since));
        entry.asked = Some((entry.asked.map_or(now, |(first, _)| first), now));
    }

    /// Forgets every key that is not among these. A pass that runs ends unnoticed.
    pub fn retain(&mut self, keys: &BTreeSet<K>) {
        self.entries.retain(|key, entry| keys.contains(key) || entry.running);
    }

    /// When the next pass is due; nothing while every wanted key is running or nobody asks.
    pub fn next_due(&self) -> Option<Instant> {
        self.entries.values().filter_map(|entry| entry.due(&self.limits)).min()
    }

    /// Takes every key that is due; each is running until [`WorkQueue::finished`].
    pub fn take_due(&mut self, now: Instant) -> Vec<DuePass<K>> {
        let limits = self.limits;
        let due = self.entries.iter_mut().filter(|(_, entry)| entry.due(&limits).is_some_and(|at| at <= now));
        due.map(|(key, entry)| DuePass { key: key.clone(), since: entry.since.take().unwrap_or(now), acting: entry.start(now) }).collect()
    }

    /// A pass has ended. Asks that came meanwhile become due by the usual rules.
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
            asked: None,
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
        let asked = self.asked.map(|(first, newest)| match self.last_started {
            Some(started) if first < started + limits.debounce => (newest + limits.debounce).min(first + limits.max_delay),
            _ => first,
        });
        [asked, self.scheduled].into_iter().flatten().min()
    }

    fn start(&mut self, now: Instant) -> WritePermission {
        self.asked = None;
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
