//! What the proxies that follow this extension last said. Silent ones are forgotten; nothing is decided here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::channel::wire::ProxyReport;

/// A proxy that was not heard of for this long follows another extension or is gone.
const SILENT_MAX: SignedDuration = SignedDuration::from_secs(60);

/// The proxies' reports by task. Clones share their content.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxies {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    reports: Mutex<BTreeMap<String, ProxyReport>>,
    news: watch::Sender<()>,
    /// The highest generation that any of them has run.
    highest: watch::Sender<u64>,
}

impl Proxies {
    /// Keeps a report, stamped with the time at which it came.
    pub(super) fn take(&self, mut report: ProxyReport, now: Timestamp) {
        report.seen_at = None;
        self.shared.highest.send_if_modified(|highest| {
            let higher = report.generation > *highest;
            *highest = report.generation.max(*highest);
            higher
        });
        let mut reports = self.lock();
        let known = reports.get(&report.task).map(|known| ProxyReport { seen_at: None, ..known.clone() });
        let is_news = known.as_ref() != Some(&report);
        report.seen_at = Some(now);
        reports.insert(report.task.clone(), report);
        drop(reports);
        if is_news {
            self.shared.news.send_replace(());
        }
    }

    /// Everything heard of lately, by task.
    pub(super) fn recent(&self, now: Timestamp) -> Vec<ProxyReport> {
        let mut reports = self.lock();
        reports.retain(|_, report| report.seen_at.is_some_and(|seen| now.duration_since(seen) <= SILENT_MAX));
        reports.values().cloned().collect()
    }

    /// Changes when a proxy says something that it has not said before.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.shared.news.subscribe()
    }

    /// The highest generation that a proxy has run, of whichever extension.
    pub(super) fn highest_generation(&self) -> watch::Receiver<u64> {
        self.shared.highest.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ProxyReport>> {
        // Nothing in here panics half-way through a change, so a poisoned lock still guards whole values.
        self.shared.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::wire::{EngineLoad, WIRE_VERSION};

    fn report(task: &str, reloads: u64) -> ProxyReport {
        let (task, node) = (task.to_owned(), "n1".to_owned());
        ProxyReport {
            version: WIRE_VERSION,
            task,
            node,
            running: None,
            source: None,
            rejected: None,
            generation: 0,
            reloads,
            load: EngineLoad::default(),
            seen_at: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_heartbeat_that_says_nothing_new_wakes_nobody() {
        let proxies = Proxies::default();
        let mut news = proxies.news();
        proxies.take(report("a", 1), at(0));
        assert!(news.has_changed().unwrap());
        news.mark_unchanged();
        proxies.take(report("a", 1), at(5));
        assert!(!news.has_changed().unwrap());
        proxies.take(report("a", 2), at(6));
        assert!(news.has_changed().unwrap());
    }

    #[test]
    fn a_proxy_that_fell_silent_is_forgotten_after_a_minute() {
        let proxies = Proxies::default();
        proxies.take(report("a", 1), at(0));
        proxies.take(report("b", 1), at(30));
        let names = |now| proxies.recent(at(now)).into_iter().map(|report| report.task).collect::<Vec<_>>();
        assert_eq!(names(60), ["a", "b"]);
        assert_eq!(names(61), ["b"]);
        assert_eq!(names(200), Vec::<String>::new());
    }
}
