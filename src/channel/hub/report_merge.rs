//! Which of several reports is used, and whether a report contains something new. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Received;
use crate::protocol::messages::{ExtensionReport, MaterialState, ProxyReport};
use crate::protocol::timings::FORGOTTEN_AFTER;
use crate::types::Digest;

/// The report to use, with the proxies of all recent ones. Recent is relative to the newest report, so that the last report of
/// an extension that is down remains.
pub(super) fn newest(reports: &BTreeMap<String, Received>, wanted: Option<&Digest>) -> Option<Received> {
    let at = reports.values().map(|received| received.at).max()?;
    let recent: Vec<&Received> = reports.values().filter(|received| is_recent(received, at)).collect();
    let best = recent.iter().max_by_key(|received| (progress(&received.report, wanted), is_complete(&received.report), received.at))?;
    let mut report = best.report.clone();
    report.proxies = proxies_of(&recent);
    Some(Received { report, at })
}

/// Whether a task had reported recently at `now`.
pub(super) fn is_recent(received: &Received, now: Timestamp) -> bool {
    now.duration_since(received.at) <= FORGOTTEN_AFTER
}

/// A report with its bundles: its own, or those of the previous report if that one accepted the same. `None` if they are missing.
pub(super) fn completed(mut report: ExtensionReport, previous: Option<&ExtensionReport>) -> Option<ExtensionReport> {
    if report.accepted.is_none() || report.boot.is_some() {
        return Some(report);
    }
    let previous = previous.filter(|previous| previous.accepted == report.accepted && previous.boot.is_some())?;
    report.boot.clone_from(&previous.boot);
    report.live.clone_from(&previous.live);
    Some(report)
}

/// Whether a report differs from the previous one by more than the times at which proxies last reported.
pub(super) fn has_news(report: &ExtensionReport, previous: &ExtensionReport) -> bool {
    let timeless = |report: &ExtensionReport| {
        let mut report = report.clone();
        report.proxies.iter_mut().for_each(|proxy| proxy.seen_at = None);
        report
    };
    timeless(report) != timeless(previous)
}

/// How far a task is with the wanted configuration: accepted it, then refused it, then accepted any, then none.
fn progress(report: &ExtensionReport, wanted: Option<&Digest>) -> u8 {
    let accepted = report.accepted.as_ref().map(|accepted| &accepted.desired_digest);
    let refused = report.refused.as_ref().map(|refused| &refused.digest);
    match wanted {
        Some(wanted) if accepted == Some(wanted) => 3,
        Some(wanted) if refused == Some(wanted) => 2,
        _ => u8::from(accepted.is_some()),
    }
}

/// While an extension is replaced by one that mounts a new certificate, both accept the same routes but only one has the certificate.
fn is_complete(report: &ExtensionReport) -> bool {
    report.material.iter().all(|material| material.state != MaterialState::Awaited)
}

fn proxies_of(reports: &[&Received]) -> Vec<ProxyReport> {
    let mut proxies = BTreeMap::<&str, &ProxyReport>::new();
    for proxy in reports.iter().flat_map(|received| &received.report.proxies) {
        let known = proxies.entry(proxy.task.as_str()).or_insert(proxy);
        if proxy.seen_at > known.seen_at {
            *known = proxy;
        }
    }
    proxies.into_values().cloned().collect()
}
