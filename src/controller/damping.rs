//! Fair shares of change: a service whose labels change again and again keeps the last that were settled until it is calm, so
//! that its flapping costs neither its neighbours' changes nor everybody's engines a reload each. Pure: time comes in.
//!
//! Each service may change its labels a number of times in quick succession and fewer for ever (a token bucket). Who does so more
//! often is held until its labels have not changed for a while, which grows each time. Never held are endpoints (tasks that come
//! and go) and the end of a service: whoever takes its labels off, or removes it, closes its routes at once. They stay closed
//! until it is calm, because coming back is the same flapping.
//!
//! Kept in memory only. After a restart of the operator the labels that it finds count, and counting begins anew.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::intent::cluster::Cluster;
use crate::intent::labels::PREFIX;
use crate::intent::limits::LabelUpdates;
use crate::report::{Finding, FindingCode, Severity, Subject};
use crate::swarm::{Service, Snapshot};
use crate::translate::{is_application, is_claimed_by, label_key};

/// Labels that lasted this long are settled.
const SETTLED_AFTER: SignedDuration = SignedDuration::from_secs(10);
/// How long labels must not change before a service that was held counts again; twice as long each further time.
const CALM_FIRST: SignedDuration = SignedDuration::from_secs(10);
/// But never longer.
const CALM_MAX: SignedDuration = SignedDuration::from_secs(300);
/// A service that was calm for so long has never flapped.
const FORGIVEN_AFTER: SignedDuration = SignedDuration::from_secs(900);
/// Parts of a change: allowances grow by fractions.
const WHOLE: i64 = 60_000;

/// Our labels of one service; none: it is not there, or has none.
type Labels = Arc<BTreeMap<String, String>>;

/// What is known of the services' changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Damping {
    services: BTreeMap<String, Record>,
}

#[derive(Debug, Clone, PartialEq)]
struct Record {
    newest: Labels,
    /// Since when it has them.
    since: Timestamp,
    settled: Labels,
    /// How many changes it may still make, in parts of [`WHOLE`], at the time of the last one.
    allowance: i64,
    counted_at: Timestamp,
    hold: Option<Hold>,
    /// How often it has been held, and until when.
    held: u32,
    free_since: Timestamp,
}

/// A service that must become calm.
#[derive(Debug, Clone, PartialEq)]
struct Hold {
    since: Timestamp,
    calm: SignedDuration,
    /// What counts meanwhile.
    labels: Labels,
}

impl Damping {
    /// Takes a look at all services into account.
    pub fn observe(&mut self, limits: LabelUpdates, snapshot: &Snapshot, now: Timestamp) {
        let mut there = std::collections::BTreeSet::new();
        for service in snapshot.services.values().filter(|service| is_application(service)) {
            there.insert(service.name.as_str());
            match self.services.get_mut(&service.name) {
                Some(record) => record.observe(limits, Some(service), now),
                None => drop(self.services.insert(service.name.clone(), Record::new(limits, service, now))),
            }
        }
        for (_, record) in self.services.iter_mut().filter(|(name, _)| !there.contains(name.as_str())) {
            record.observe(limits, None, now);
        }
        self.services.retain(|name, record| there.contains(name.as_str()) || now.duration_since(record.since) < FORGIVEN_AFTER);
    }

    /// The Swarm as it counts: with the settled labels of services that flap.
    pub fn applied_to<'s>(&self, snapshot: &'s Snapshot) -> Cow<'s, Snapshot> {
        let held = snapshot.services.values().filter_map(|service| {
            let hold = self.hold_of(service)?;
            (!has_labels(service, &hold.labels)).then(|| (service.id.clone(), Arc::clone(&hold.labels)))
        });
        let held: Vec<_> = held.collect();
        if held.is_empty() {
            return Cow::Borrowed(snapshot);
        }
        let mut damped = snapshot.clone();
        for (id, labels) in held {
            if let Some(service) = damped.services.get_mut(&id) {
                service.labels.retain(|key, _| !key.starts_with(PREFIX));
                service.labels.extend(labels.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
        }
        Cow::Owned(damped)
    }

    /// What the authors of a cluster's flapping services should know: the same words for as long as one is held.
    pub fn findings(&self, cluster: &Cluster, snapshot: &Snapshot, damped: &Snapshot) -> Vec<Finding> {
        let held = snapshot.services.values().filter_map(|service| {
            let hold = self.hold_of(service)?;
            let concerned =
                is_claimed_by(cluster, service) || damped.services.get(&service.id).is_some_and(|as_held| is_claimed_by(cluster, as_held));
            concerned.then(|| told(cluster.limits.label_updates, service, hold))
        });
        held.collect()
    }

    fn hold_of(&self, service: &Service) -> Option<&Hold> {
        self.services.get(&service.name).filter(|_| is_application(service))?.hold.as_ref()
    }
}

impl Record {
    /// A service that is seen for the first time counts as it is.
    fn new(limits: LabelUpdates, service: &Service, now: Timestamp) -> Self {
        let labels = labels_of(Some(service));
        Self {
            newest: Arc::clone(&labels),
            since: now,
            settled: labels,
            allowance: i64::from(limits.burst) * WHOLE,
            counted_at: now,
            hold: None,
            held: 0,
            free_since: now,
        }
    }

    fn observe(&mut self, limits: LabelUpdates, service: Option<&Service>, now: Timestamp) {
        self.rest(now);
        let same = service.map_or(self.newest.is_empty(), |service| has_labels(service, &self.newest));
        if !same {
            // The end of a service is no change that waits: only coming back is.
            if service.is_some() && !self.may_change(limits, now) && self.hold.is_none() {
                self.hold(now);
            }
            self.newest = labels_of(service);
            self.since = now;
        }
        // What is taken off stays off until it is calm.
        if let Some(hold) = self.hold.as_mut().filter(|_| !publishes(&self.newest)) {
            hold.labels = Labels::default();
        }
    }

    /// What has lasted until now.
    fn rest(&mut self, now: Timestamp) {
        let lasted = now.duration_since(self.since);
        if self.hold.as_ref().is_some_and(|hold| lasted >= hold.calm) {
            self.hold = None;
            self.free_since = now;
            self.settled = Arc::clone(&self.newest);
        }
        if self.hold.is_none() && lasted >= SETTLED_AFTER {
            self.settled = Arc::clone(&self.newest);
        }
    }

    /// Takes a change from what is allowed, if one is.
    fn may_change(&mut self, limits: LabelUpdates, now: Timestamp) -> bool {
        let most = i64::from(limits.burst) * WHOLE;
        let passed = i64::try_from(now.duration_since(self.counted_at).as_millis()).unwrap_or(i64::MAX).max(0);
        let grown = passed.saturating_mul(i64::from(limits.per_minute)).saturating_mul(WHOLE / 60_000);
        self.allowance = self.allowance.saturating_add(grown).min(most);
        self.counted_at = now;
        let may = self.allowance >= WHOLE;
        if may {
            self.allowance -= WHOLE;
        }
        may
    }

    fn hold(&mut self, now: Timestamp) {
        if now.duration_since(self.free_since) >= FORGIVEN_AFTER {
            self.held = 0;
        }
        let calm = CALM_FIRST.saturating_mul(1 << self.held.min(16)).min(CALM_MAX);
        self.held = self.held.saturating_add(1);
        self.hold = Some(Hold { since: now, calm, labels: Arc::clone(&self.settled) });
    }
}

fn ours(service: &Service) -> impl Iterator<Item = (&String, &String)> {
    service.labels.range(PREFIX.to_owned()..).take_while(|(key, _)| key.starts_with(PREFIX))
}

fn labels_of(service: Option<&Service>) -> Labels {
    Arc::new(service.into_iter().flat_map(ours).map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn has_labels(service: &Service, labels: &Labels) -> bool {
    ours(service).eq(labels.iter())
}

/// Whether labels ask for anything to be published.
fn publishes(labels: &Labels) -> bool {
    let asks = |name: &str| labels.get(&label_key(name)).is_some_and(|value| !value.trim().is_empty());
    asks("hosts") || asks("default_backend")
}

fn told(limits: LabelUpdates, service: &Service, hold: &Hold) -> Finding {
    let counts = if hold.labels.is_empty() { "it is not published" } else { "the last settled ones count" };
    let message = format!(
        "the labels change more often than {} times in quick succession and {} times a minute after that: since {:.0} {counts}, until they have \
         not changed for {} s; tasks are followed as ever",
        limits.burst,
        limits.per_minute,
        hold.since,
        hold.calm.as_secs()
    );
    let remedy = "Find out what updates the service again and again, or have an administrator raise spec.limits.service.labelUpdates.";
    Finding::new(Severity::Warning, FindingCode::LabelsFlapping, Subject::Service(service.name.clone()), message, remedy)
}

#[cfg(test)]
mod tests;
