//! The operator's end of the channel: what each cluster's extension must render, and what it last said. In memory only:
//! after a restart of the operator it fills again from the next pass and the next heartbeats. Decides nothing.

mod merge;
mod router;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::wire::{Desired, ExtensionReport, Peers};
use crate::types::{ClusterName, Digest};

/// The hub. Clones share their content.
#[derive(Debug, Clone, Default)]
pub struct Hub {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    clusters: Mutex<BTreeMap<ClusterName, Cluster>>,
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct Cluster {
    desired: watch::Sender<Option<Arc<Desired>>>,
    /// Where everybody is; nothing where the control network's names tell.
    peers: watch::Sender<Option<Arc<Peers>>>,
    tokens: Vec<Digest>,
    /// The last report of each of the extension's tasks: two for a moment while it is replaced.
    reports: BTreeMap<String, Received>,
}

/// A report and when it came, by the operator's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// What the extension said.
    pub report: ExtensionReport,
    /// When.
    pub at: jiff::Timestamp,
}

/// What became of a report that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Kept,
    /// A short report, and the bundles it leaves out are not known here.
    NeedsBundles,
}

impl Hub {
    /// An empty hub.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says what a cluster's proxies must say from now on, and the SHA-256 of every token that its extension may use.
    /// Repeating it unchanged wakes nobody.
    pub fn publish(&self, cluster: &ClusterName, desired: Desired, token_sha256: Vec<Digest>) {
        let mut clusters = self.lock();
        let entry = clusters.entry(cluster.clone()).or_insert_with(Cluster::empty);
        entry.tokens = token_sha256;
        entry.desired.send_if_modified(|current| {
            let changed = current.as_ref().is_none_or(|current| current.digest != desired.digest);
            if changed {
                *current = Some(Arc::new(desired));
            }
            changed
        });
    }

    /// Says where a cluster's peers are from now on. Repeating it unchanged wakes nobody.
    pub fn introduce(&self, cluster: &ClusterName, peers: Peers) {
        let mut clusters = self.lock();
        let entry = clusters.entry(cluster.clone()).or_insert_with(Cluster::empty);
        entry.peers.send_if_modified(|current| {
            let changed = current.as_ref().is_none_or(|current| current.digest != peers.digest);
            if changed {
                *current = Some(Arc::new(peers));
            }
            changed
        });
    }

    /// Forgets a cluster; requests that wait for it end.
    pub fn retire(&self, cluster: &ClusterName) {
        self.lock().remove(cluster);
    }

    /// What the cluster's extension last said. While it is being replaced two tasks report; the one that is further counts,
    /// with the proxies of both.
    pub fn report(&self, cluster: &ClusterName) -> Option<Received> {
        let clusters = self.lock();
        let entry = clusters.get(cluster)?;
        let wanted = entry.desired.borrow().as_ref().map(|desired| desired.digest.clone());
        merge::newest(&entry.reports, wanted.as_ref())
    }

    /// A counter that moves whenever a report says something new: not for a heartbeat alone.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// The HTTP side; serve it with [`super::serve`].
    pub fn router(&self) -> axum::Router {
        router::router(self.clone())
    }

    /// What `choose` takes of a cluster, for those who have its token.
    fn access<T>(&self, cluster: &ClusterName, authorised: impl FnOnce(&[Digest]) -> bool, choose: fn(&Cluster) -> T) -> Access<T> {
        match self.lock().get(cluster) {
            None => Access::Unknown,
            Some(entry) if !authorised(&entry.tokens) => Access::Refused,
            Some(entry) => Access::Granted(choose(entry)),
        }
    }

    fn take(&self, report: ExtensionReport, at: jiff::Timestamp, authorised: impl FnOnce(&[Digest]) -> bool) -> Access<Taken> {
        let mut clusters = self.lock();
        let entry = match clusters.get_mut(&report.cluster) {
            None => return Access::Unknown,
            Some(entry) if !authorised(&entry.tokens) => return Access::Refused,
            Some(entry) => entry,
        };
        let previous = entry.reports.get(&report.task).map(|received| &received.report);
        let Some(complete) = merge::completed(report, previous) else { return Access::Granted(Taken::NeedsBundles) };
        let news = previous.is_none_or(|previous| merge::says_more(&complete, previous));
        entry.reports.retain(|_, received| merge::is_recent(received, at));
        entry.reports.insert(complete.task.clone(), Received { report: complete, at });
        drop(clusters);
        if news {
            self.shared.changes.send_modify(|count| *count += 1);
        }
        Access::Granted(Taken::Kept)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ClusterName, Cluster>> {
        // Nothing in here panics half-way through a change, so a poisoned lock still guards whole values.
        self.shared.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cluster {
    fn empty() -> Self {
        Self { desired: watch::Sender::new(None), peers: watch::Sender::new(None), tokens: Vec::new(), reports: BTreeMap::new() }
    }
}

/// Whether a request may go on.
enum Access<T> {
    Granted(T),
    Refused,
    /// The operator has not published this cluster (yet).
    Unknown,
}

#[cfg(test)]
mod tests;
