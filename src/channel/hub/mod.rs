//! The operator's side of the channel: what each cluster's extension must render, and what it last reported. In memory only:
//! after a restart of the operator it fills again from the next pass and the next heartbeats. Decides nothing.

mod report_merge;
mod router;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::freshness::Moment;
use crate::pki::{Authority, ChannelRole};
use crate::protocol::AdmittedTasks;
use crate::protocol::messages::{Desired, ExtensionReport, PeerAddresses};
use crate::types::ClusterName;

/// The hub. Clones share their content.
#[derive(Debug, Clone, Default)]
pub struct Hub {
    shared: Arc<HubState>,
}

#[derive(Debug, Default)]
struct HubState {
    clusters: Mutex<BTreeMap<ClusterName, ClusterChannel>>,
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct ClusterChannel {
    published: watch::Sender<Option<Arc<PublishedState>>>,
    /// The addresses of all peers; `None` where they use names on the control network.
    peers: watch::Sender<Option<Arc<PeerAddresses>>>,
    admission: AdmittedTasks,
    /// The last report of each of the extension's tasks: there are two for a moment while it is replaced.
    reports: BTreeMap<String, Received>,
}

/// What an extension must render, and how fresh that is.
#[derive(Debug)]
struct PublishedState {
    desired: Arc<Desired>,
    /// When the newest observation of the Swarm that produced it began.
    confirmed: Moment,
}

/// A report and when it arrived, by the operator's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// What the extension reported.
    pub report: ExtensionReport,
    /// When it arrived.
    pub at: jiff::Timestamp,
}

/// The outcome of a received report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReportOutcome {
    Kept,
    /// A short report that omits bundles which are not known here.
    NeedsBundles,
}

impl Hub {
    /// An empty hub.
    pub fn new() -> Self {
        Self::default()
    }

    /// Publishes what a cluster's proxies must serve from now on, and who gets certificates for it; `observed` is when the
    /// observation of the Swarm that determined this began. Publishing the same again confirms it and wakes no long poll.
    pub fn publish(&self, cluster: &ClusterName, desired: Desired, admission: AdmittedTasks, observed: Moment) {
        let mut clusters = self.lock();
        let entry = clusters.entry(cluster.clone()).or_insert_with(ClusterChannel::empty);
        entry.admission = admission;
        entry.published.send_if_modified(|current| {
            let same = current.as_ref().filter(|current| current.desired.digest == desired.digest).map(|current| current.desired.clone());
            let changed = same.is_none();
            *current = Some(Arc::new(PublishedState { desired: same.unwrap_or_else(|| Arc::new(desired)), confirmed: observed }));
            changed
        });
    }

    /// Sets who gets certificates for a cluster from now on, without changing what its proxies must serve.
    pub fn admit(&self, cluster: &ClusterName, admission: AdmittedTasks) {
        self.lock().entry(cluster.clone()).or_insert_with(ClusterChannel::empty).admission = admission;
    }

    /// Publishes where a cluster's peers are from now on. Publishing the same again wakes no long poll.
    pub fn publish_peers(&self, cluster: &ClusterName, peers: PeerAddresses) {
        let mut clusters = self.lock();
        let entry = clusters.entry(cluster.clone()).or_insert_with(ClusterChannel::empty);
        entry.peers.send_if_modified(|current| {
            let changed = current.as_ref().is_none_or(|current| current.digest != peers.digest);
            if changed {
                *current = Some(Arc::new(peers));
            }
            changed
        });
    }

    /// Removes a cluster; requests waiting for it end.
    pub fn retire(&self, cluster: &ClusterName) {
        self.lock().remove(cluster);
    }

    /// What the cluster's extension last reported. While the extension is being replaced, two tasks report: the result is the
    /// report of the one that is further, with the proxies of both.
    pub fn report(&self, cluster: &ClusterName) -> Option<Received> {
        let clusters = self.lock();
        let entry = clusters.get(cluster)?;
        let wanted = entry.published.borrow().as_ref().map(|published| published.desired.digest.clone());
        report_merge::newest(&entry.reports, wanted.as_ref())
    }

    /// A counter that increases whenever a report contains something new, but not for a mere heartbeat.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// The HTTP routes, which issue certificates of this authority and answer clients that have one; serve them with [`super::serve`].
    pub fn router(&self, authority: Arc<Authority>) -> axum::Router {
        router::router(self.clone(), authority)
    }

    /// Applies `choose` to a cluster; `None` while the operator has not published it.
    fn of_cluster<T>(&self, cluster: &ClusterName, choose: impl FnOnce(&ClusterChannel) -> T) -> Option<T> {
        self.lock().get(cluster).map(choose)
    }

    /// Stores a report of an authenticated extension. `None` if the cluster is not published, or the Swarm has no such task (yet).
    fn take(&self, mut report: ExtensionReport, at: jiff::Timestamp) -> Option<ReportOutcome> {
        let mut clusters = self.lock();
        let entry = clusters.get_mut(&report.cluster).filter(|entry| entry.admission.has(ChannelRole::Extension, &report.task))?;
        report.proxies.retain(|proxy| entry.admission.has(ChannelRole::Proxy, &proxy.task));
        let previous = entry.reports.get(&report.task).map(|received| &received.report);
        let Some(complete) = report_merge::completed(report, previous) else { return Some(ReportOutcome::NeedsBundles) };
        let news = previous.is_none_or(|previous| report_merge::has_news(&complete, previous));
        entry.reports.retain(|_, received| report_merge::is_recent(received, at));
        entry.reports.insert(complete.task.clone(), Received { report: complete, at });
        drop(clusters);
        if news {
            self.shared.changes.send_modify(|count| *count += 1);
        }
        Some(ReportOutcome::Kept)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ClusterName, ClusterChannel>> {
        // Nothing here panics in the middle of a change, so a poisoned lock still guards complete values.
        self.shared.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClusterChannel {
    fn empty() -> Self {
        Self {
            published: watch::Sender::new(None),
            peers: watch::Sender::new(None),
            admission: AdmittedTasks::default(),
            reports: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests;
