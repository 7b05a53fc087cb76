//! Rate limits for label changes: a service whose labels keep changing keeps its last settled labels until it is calm, so that its
//! flapping neither delays its neighbours' changes nor causes reloads on every proxy. Pure: time is passed in.
//!
//! Each service may change its labels a number of times in quick succession, and at a lower rate indefinitely (a token bucket). A
//! service that exceeds this is held until its labels have not changed for a while; that time grows with each hold. Never held back
//! are endpoints (tasks that come and go), the end of a service (removing it or its labels closes its routes at once), and a label
//! that closes access. What is closed stays closed until the service is calm, because opening it again is the same flapping.
//!
//! One register serves all clusters, because a service may move from one to another with each change; it is updated once with each
//! complete snapshot. It is kept in memory only: after a restart the operator uses the labels that it finds, and counting starts afresh.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::explain::HeldBackLabels;
use crate::intent::cluster::Cluster;
use crate::intent::config_quotas::{ConfigQuotas, LabelUpdates};
use crate::intent::labels::{LabelReading, PREFIX, access_control_labels, read_labels};
use crate::report::{Finding, Severity, Subject, cases};
use crate::swarm::{Service, Snapshot};
use crate::translate::{is_application, is_claimed_by, label_key};
use crate::types::ServiceId;

/// Labels that lasted this long are settled.
const SETTLED_AFTER: SignedDuration = SignedDuration::from_secs(10);
/// How long the labels of a held service must not change before they are used again; doubles with each further hold.
const CALM_FIRST: SignedDuration = SignedDuration::from_secs(10);
/// The upper limit of that time.
const CALM_MAX: SignedDuration = SignedDuration::from_secs(300);
/// A service that was calm for this long is treated as if it had never flapped.
const FORGIVEN_AFTER: SignedDuration = SignedDuration::from_secs(900);
/// Units per change: allowances grow by fractions.
const WHOLE: i64 = 60_000;

/// Our labels of one service; empty if it does not exist or has none.
type SharedLabels = Arc<BTreeMap<String, String>>;

/// The history of the services' label changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LabelDamping {
    services: HashMap<String, LabelHistory>,
}

#[derive(Debug, Clone, PartialEq)]
struct LabelHistory {
    /// Whether the current snapshot shows the service.
    there: bool,
    /// Its id while it exists: a recreated service has another.
    id: Option<ServiceId>,
    newest: SharedLabels,
    /// Since when it has the newest labels.
    since: Timestamp,
    settled: SharedLabels,
    /// How many changes it may still make, in units of [`WHOLE`], as of the last change.
    allowance: i64,
    counted_at: Timestamp,
    /// The limits applied to the last change.
    limits: LabelUpdates,
    hold: Option<LabelHold>,
    /// How many times it has been held, and until when.
    held: u32,
    free_since: Timestamp,
}

/// A service that must become calm.
#[derive(Debug, Clone, PartialEq)]
struct LabelHold {
    since: Timestamp,
    calm: SignedDuration,
    /// The labels used meanwhile.
    labels: SharedLabels,
    /// Whether it asks for publication and none of it is in effect; once set, this stays.
    nothing_counts: bool,
    /// The limits that it exceeded.
    limits: LabelUpdates,
}

/// The services that are held after a snapshot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HeldLabels {
    /// Those in the snapshot, and when each is released if its labels do not change again.
    services: BTreeMap<ServiceId, (LabelHold, Timestamp)>,
}

impl LabelDamping {
    /// Takes a snapshot of all services into account. `limits` are those of the cluster that would publish a service with these labels.
    pub fn observe(&mut self, limits: impl Fn(&Service) -> Option<LabelUpdates>, snapshot: &Snapshot, now: Timestamp) {
        for service in snapshot.services.values().filter(|service| is_application(service)) {
            match self.services.get_mut(&service.name) {
                Some(record) => record.observe(&limits, Some(service), now),
                None => drop(self.services.insert(service.name.clone(), LabelHistory::new(&limits, service, now))),
            }
        }
        self.services.retain(|_, record| {
            let there = std::mem::take(&mut record.there);
            if !there {
                record.observe(&limits, None, now);
            }
            there || now.duration_since(record.since) < FORGIVEN_AFTER
        });
    }

    /// The services that are held now.
    pub fn held(&self) -> HeldLabels {
        let held = self.services.values().filter_map(|record| {
            let hold = record.hold.as_ref()?;
            let until = record.since.checked_add(hold.calm).unwrap_or(Timestamp::MAX);
            Some((record.id.clone()?, (hold.clone(), until)))
        });
        HeldLabels { services: held.collect() }
    }
}

impl HeldLabels {
    /// The Swarm with the settled labels of services that flap. The cost grows with the number of held services only.
    pub fn applied_to(&self, snapshot: &Snapshot) -> Snapshot {
        let mut counts = snapshot.clone();
        for (service, hold, _) in self.of(snapshot).filter(|(service, hold, _)| !has_labels(service, &hold.labels)) {
            let mut as_held = service.clone();
            as_held.labels.retain(|key, _| !key.starts_with(PREFIX));
            as_held.labels.extend(hold.labels.iter().map(|(key, value)| (key.clone(), value.clone())));
            counts.services.replace(as_held);
        }
        counts
    }

    /// Findings for the authors of a cluster's flapping services: the wording does not change while a service is held.
    pub fn findings(&self, cluster: &Cluster, snapshot: &Snapshot, counts: &Snapshot) -> Vec<Finding> {
        let concerned = |service: &Service| {
            is_claimed_by(cluster, service) || counts.services.get(&service.id).is_some_and(|as_held| is_claimed_by(cluster, as_held))
        };
        self.of(snapshot).filter(|(service, _, _)| concerned(service)).map(|(service, hold, _)| finding_for(service, hold)).collect()
    }

    /// The same for queries about a service or a host.
    pub fn held_back(&self, snapshot: &Snapshot) -> Vec<HeldBackLabels> {
        let back = |(service, hold, until): (&Service, &LabelHold, Timestamp)| HeldBackLabels {
            service: service.name.clone(),
            labels: ours(service).map(|(key, value)| (key.clone(), value.clone())).collect(),
            until,
            finding: finding_for(service, hold),
        };
        self.of(snapshot).map(back).collect()
    }

    /// The services in a snapshot that are held.
    fn of<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = (&'a Service, &'a LabelHold, Timestamp)> {
        let held = self.services.iter().filter_map(|(id, (hold, until))| Some((snapshot.services.get(id)?, hold, *until)));
        held.filter(|(service, _, _)| is_application(service))
    }
}

impl LabelHistory {
    /// A service that is seen for the first time is used as it is.
    fn new(limits: impl Fn(&Service) -> Option<LabelUpdates>, service: &Service, now: Timestamp) -> Self {
        let labels = labels_of(Some(service));
        let limits = limits(service).unwrap_or(ConfigQuotas::default().label_updates);
        Self {
            there: true,
            id: Some(service.id.clone()),
            newest: Arc::clone(&labels),
            since: now,
            settled: labels,
            allowance: i64::from(limits.burst) * WHOLE,
            counted_at: now,
            limits,
            hold: None,
            held: 0,
            free_since: now,
        }
    }

    fn observe(&mut self, limits: impl Fn(&Service) -> Option<LabelUpdates>, service: Option<&Service>, now: Timestamp) {
        self.there = service.is_some();
        if self.id.as_ref() != service.map(|service| &service.id) {
            self.id = service.map(|service| service.id.clone());
        }
        self.rest(now);
        let same = service.map_or(self.newest.is_empty(), |service| has_labels(service, &self.newest));
        if !same {
            // The end of a service is not held back: only its return is.
            if let Some(service) = service {
                self.count(limits(service), now);
            }
            self.newest = labels_of(service);
            self.since = now;
        }
        // What is removed stays removed until the service is calm.
        let requests_publication = publishes(&self.newest);
        if let Some(hold) = &mut self.hold {
            if requests_publication {
                hold.close_by(&self.newest);
            } else {
                hold.labels = SharedLabels::default();
            }
            hold.nothing_counts |= requests_publication && !is_usable(&hold.labels);
        }
    }

    /// Counts a change. It concerns both the cluster that the service leaves and the one that it joins.
    fn count(&mut self, limits: Option<LabelUpdates>, now: Timestamp) {
        let new = limits.unwrap_or(self.limits);
        let strictest = self.limits.strictest(new);
        self.limits = new;
        if !self.may_change(strictest, now) && self.hold.is_none() {
            self.hold(strictest, now);
        }
    }

    /// Applies what has lasted until now.
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

    /// Takes one change from the allowance, if there is one.
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

    fn hold(&mut self, limits: LabelUpdates, now: Timestamp) {
        if now.duration_since(self.free_since) >= FORGIVEN_AFTER {
            self.held = 0;
        }
        let calm = CALM_FIRST.saturating_mul(1 << self.held.min(16)).min(CALM_MAX);
        self.held = self.held.saturating_add(1);
        self.hold = Some(LabelHold { since: now, calm, labels: Arc::clone(&self.settled), nothing_counts: false, limits });
    }
}

impl LabelHold {
    /// Access that was closed stays closed until the service is calm, and the labels that closed it stay in effect.
    fn close_by(&mut self, newest: &SharedLabels) {
        if !self.labels.is_empty() && access_control_labels(&self.labels).next().is_none() {
            let added: Vec<_> = access_control_labels(newest).map(|(key, value)| (key.clone(), value.clone())).collect();
            if !added.is_empty() {
                Arc::make_mut(&mut self.labels).extend(added);
            }
        }
    }
}

fn ours(service: &Service) -> impl Iterator<Item = (&String, &String)> {
    let from = (Bound::Included(PREFIX), Bound::Unbounded);
    service.labels.range::<str, _>(from).take_while(|(key, _)| key.starts_with(PREFIX))
}

fn labels_of(service: Option<&Service>) -> SharedLabels {
    Arc::new(service.into_iter().flat_map(ours).map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn has_labels(service: &Service, labels: &SharedLabels) -> bool {
    ours(service).eq(labels.iter())
}

/// Whether labels ask for anything to be published.
fn publishes(labels: &SharedLabels) -> bool {
    let requests_publication = |name: &str| labels.get(&label_key(name)).is_some_and(|value| !value.trim().is_empty());
    requests_publication("hosts") || requests_publication("default_backend")
}

/// Whether labels result in anything being published.
fn is_usable(labels: &SharedLabels) -> bool {
    matches!(read_labels("", labels).reading, LabelReading::Published(_))
}

fn finding_for(service: &Service, hold: &LabelHold) -> Finding {
    let closed = access_control_labels(&hold.labels).next().is_some();
    let (severity, counts) = match (hold.nothing_counts, hold.labels.is_empty()) {
        (true, _) => (Severity::Error, "the service publishes nothing"),
        (false, true) => (Severity::Warning, "the service is not published"),
        (false, false) if closed => (Severity::Warning, "the last stable labels are used, as well as new labels that close its routes"),
        (false, false) => (Severity::Warning, "the last stable labels are used"),
    };
    let message = format!(
        "the labels change more often than {} times in quick succession and {} times a minute after that: since {:.0} {counts}, until the \
         labels have not changed for {} s; changes of tasks still take effect",
        hold.limits.burst,
        hold.limits.per_minute,
        hold.since,
        hold.calm.as_secs()
    );
    Finding::new(cases::LabelsFlapping, Subject::Service(service.name.clone()), message).with_severity(severity)
}

#[cfg(test)]
mod tests;
