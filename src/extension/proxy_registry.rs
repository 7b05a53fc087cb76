//! The last reports of the proxies that follow this extension. Forgets silent proxies; decides nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::protocol::messages::ProxyReport;
use crate::protocol::timings::{FORGOTTEN_AFTER, SILENT_AFTER};

/// The proxies' reports by task. Clones share their content.
#[derive(Debug, Clone, Default)]
pub(super) struct ProxyRegistry {
    shared: Arc<RegistryState>,
}

#[derive(Debug, Default)]
struct RegistryState {
    reports: Mutex<BTreeMap<String, ProxyReport>>,
    news: watch::Sender<()>,
    /// The highest generation that any of them has run.
    highest: watch::Sender<u64>,
}

impl ProxyRegistry {
    /// Stores a report with the time of its arrival.
    pub(super) fn record(&self, mut report: ProxyReport, now: Timestamp) {
        report.seen_at = None;
        self.shared.highest.send_if_modified(|highest| {
            let higher = report.generation > *highest;
            *highest = report.generation.max(*highest);
            higher
        });
        let mut reports = self.lock();
        report.silent = false;
        let before = reports.get(&report.task);
        let was_silent = before.and_then(|before| age(before, now)).is_some_and(|age| age > SILENT_AFTER);
        let known = before.map(|known| ProxyReport { seen_at: None, ..known.clone() });
        let is_news = was_silent || known.as_ref() != Some(&report);
        report.seen_at = Some(now);
        reports.insert(report.task.clone(), report);
        drop(reports);
        if is_news {
            self.shared.news.send_replace(());
        }
    }

    /// All recent reports by task, and for each proxy whether it has fallen silent.
    pub(super) fn recent(&self, now: Timestamp) -> Vec<ProxyReport> {
        let mut reports = self.lock();
        reports.retain(|_, report| age(report, now).is_some_and(|age| age <= FORGOTTEN_AFTER));
        let reported =
            |report: &ProxyReport| ProxyReport { silent: age(report, now).is_some_and(|age| age > SILENT_AFTER), ..report.clone() };
        reports.values().map(reported).collect()
    }

    /// How long until the next proxy becomes silent unless it reports; `None` if none can.
    pub(super) fn next_silence(&self, now: Timestamp) -> Option<Duration> {
        let left = |report: &ProxyReport| Some(SILENT_AFTER - age(report, now)?);
        let least = self.lock().values().filter_map(left).filter(|left| *left > SignedDuration::ZERO).min()?;
        // A little later, so that the time has certainly passed.
        Some(least.unsigned_abs() + Duration::from_millis(10))
    }

    /// Changes when a proxy reports something new.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.shared.news.subscribe()
    }

    /// The highest generation that a proxy has run, from any extension.
    pub(super) fn highest_generation(&self) -> watch::Receiver<u64> {
        self.shared.highest.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ProxyReport>> {
        // Nothing here panics halfway through a change, so a poisoned lock still guards consistent values.
        self.shared.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn age(report: &ProxyReport, now: Timestamp) -> Option<SignedDuration> {
    report.seen_at.map(|seen| now.duration_since(seen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::messages::{EngineLoad, WIRE_VERSION};

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
            applied: None,
            runtime_changes: 0,
            activity: None,
            fallbacks: 0,
            load: EngineLoad::default(),
            seen_at: None,
            silent: false,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_unchanged_heartbeat_is_not_news() {
        let proxies = ProxyRegistry::default();
        let mut news = proxies.news();
        proxies.record(report("a", 1), at(0));
        assert!(news.has_changed().unwrap());
        news.mark_unchanged();
        proxies.record(report("a", 1), at(5));
        assert!(!news.has_changed().unwrap());
        proxies.record(report("a", 2), at(6));
        assert!(news.has_changed().unwrap());
    }

    #[test]
    fn a_proxy_that_misses_two_reports_is_silent_until_its_next_report() {
        let proxies = ProxyRegistry::default();
        proxies.record(report("a", 1), at(0));
        proxies.record(report("b", 1), at(4));
        let silent = |now| proxies.recent(at(now)).into_iter().map(|report| report.silent).collect::<Vec<_>>();
        assert_eq!((silent(6), silent(7), silent(20)), (vec![false, false], vec![true, false], vec![true, true]));
        let seconds = |now| proxies.next_silence(at(now)).map(|left| left.as_secs());
        assert_eq!((seconds(0), seconds(7), seconds(20)), (Some(6), Some(3), None));
        let mut news = proxies.news();
        news.mark_unchanged();
        proxies.record(report("a", 1), at(21));
        assert!(news.has_changed().unwrap(), "a proxy that reports again is news");
        assert_eq!(silent(21), [false, true]);
    }

    #[test]
    fn a_silent_proxy_is_forgotten_after_thirty_seconds() {
        let proxies = ProxyRegistry::default();
        proxies.record(report("a", 1), at(0));
        proxies.record(report("b", 1), at(10));
        let names = |now| proxies.recent(at(now)).into_iter().map(|report| report.task).collect::<Vec<_>>();
        assert_eq!(names(30), ["a", "b"]);
        assert_eq!(names(31), ["b"]);
        assert_eq!(names(200), Vec::<String>::new());
    }
}
