//! The owner of each host, kept from one pass to the next, so that the first publisher keeps a host even if an older
//! service asks for it later. What a restart must not lose (the hosts that ages alone would give to another team) is
//! written to a label.
//!
//! It must never keep a host for a service that is gone or no longer asks for it, and no label may make it say anything
//! about services that do not ask.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::intent::cluster::Cluster;
use crate::protocol::container_contract::{LABEL_CLUSTER, LABEL_HOST_HOLDERS, LABEL_OWNER};
use crate::swarm::Snapshot;
use crate::types::{HostKey, HostPattern, ServiceId};

/// The label is part of every read of the Swarm, and people may want to read it. This fits a thousand hosts of ordinary
/// length.
pub const LABEL_BYTES_MAX: usize = 32 * 1024;

/// The bytes around all entries of the label, with some to spare.
const FRAME_BYTES: usize = 32;
/// The bytes around one item of a list: quotes and a comma.
const AROUND_BYTES: usize = 3;

/// The owners of each host. The default knows nothing, so ages decide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostOwners {
    holders: BTreeMap<HostKey, Arc<[ServiceId]>>,
    /// Who comes first at a name that its team owns only through the wildcard.
    ahead: BTreeMap<HostPattern, ServiceId>,
    guests: BTreeMap<HostPattern, Guests>,
    late: BTreeSet<ServiceId>,
    complete: bool,
}

/// The services that entries of `allow` admitted to a host that others own. Such an entry does not make its services
/// owners.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guests {
    /// Those who ask for the host.
    pub claimants: Vec<ServiceId>,
    /// Replaces a list that is too long for a label: all services that ask for the host and that an entry names more
    /// exactly than with this rank.
    pub better_than: Option<u8>,
    /// Whether the owners of the wildcard above are guests.
    pub above: bool,
}

impl Guests {
    /// Whether there are no guests.
    pub fn is_empty(&self) -> bool {
        self.claimants.is_empty() && self.better_than.is_none() && !self.above
    }
}

impl HostOwners {
    /// An empty register that will hold everything that services ask for.
    pub fn complete() -> Self {
        Self { complete: true, ..Self::default() }
    }

    /// Reads what is recorded in the Swarm. An invalid label is ignored; ages decide then.
    pub fn from_label(cluster: &Cluster, snapshot: &Snapshot) -> Self {
        let name = cluster.extension.service_name.as_str();
        let service = snapshot.services.values().find(|service| service.name == name);
        let label = service.filter(|service| {
            service.labels.contains_key(LABEL_OWNER) && service.labels.get(LABEL_CLUSTER).is_some_and(|of| of == cluster.name.as_str())
        });
        label.and_then(|service| service.labels.get(LABEL_HOST_HOLDERS)).and_then(|label| Self::parse(label)).unwrap_or_default()
    }

    /// Whether it names every owner of the last pass. That is not known of a register read from a label.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The owners of a host, if it names any.
    pub fn holders(&self, host: &HostKey) -> Option<&[ServiceId]> {
        self.holders.get(host).map(AsRef::as_ref)
    }

    /// Who comes first at a name that its team owns only through the wildcard, if recorded.
    pub fn first(&self, host: &HostPattern) -> Option<&ServiceId> {
        self.ahead.get(host)
    }

    /// The guests admitted beside the owners, if any.
    pub fn guests(&self, host: &HostPattern) -> Option<&Guests> {
        self.guests.get(host)
    }

    /// Whether a service comes after all others wherever the register names no owner.
    pub fn is_late(&self, service: &ServiceId) -> bool {
        self.late.contains(service)
    }

    /// Records the owners of a host.
    pub fn record(&mut self, host: HostKey, holders: Arc<[ServiceId]>) {
        if !holders.is_empty() {
            self.holders.insert(host, holders);
        }
    }

    /// Records who comes first at a name that its team owns only through the wildcard.
    pub fn record_first(&mut self, host: &HostPattern, first: ServiceId) {
        self.ahead.insert(host.clone(), first);
    }

    /// Records the guests admitted to a host beside its owners.
    pub fn record_guests(&mut self, host: &HostPattern, guests: Guests) {
        if !guests.is_empty() {
            self.guests.insert(host.clone(), guests);
        }
    }

    /// Records the services that come after all others wherever the register names no owner.
    pub fn record_late(&mut self, services: BTreeSet<ServiceId>) {
        self.late = services;
    }

    /// The value of the label; `None` if there is nothing to record.
    pub fn label(&self) -> Option<String> {
        let mut entries = BTreeMap::<(&[ServiceId], Option<&Guests>), Vec<&str>>::new();
        for (host, holders) in &self.holders {
            let guests = host.pattern().and_then(|host| self.guests(host));
            entries.entry((holders, guests)).or_default().push(host.as_str());
        }
        if entries.is_empty() && self.late.is_empty() {
            return None;
        }
        let holders = entries.into_iter().map(|((services, guests), hosts)| OwnersEntry::of(services, guests, &hosts)).collect();
        let written = OwnersLabel { late: texts(&self.late), holders };
        serde_json::to_string(&written).ok()
    }

    /// As much of it as one label holds, and the number of hosts left out. `first`: the hosts to keep, most important
    /// first. A host that does not fit does not displace another one. The default backend always fits.
    pub fn shortened(mut self, first: &[HostPattern]) -> (Self, usize) {
        let mut all = std::mem::take(&mut self.holders);
        self.holders.extend(all.remove_entry(&HostKey::DefaultBackend));
        let bytes = |host_owners: &Self| host_owners.label().map_or(0, |label| label.len()) + FRAME_BYTES;
        if bytes(&self) > LABEL_BYTES_MAX {
            self.late.clear();
        }
        let kept = self.fitting(&all, first, LABEL_BYTES_MAX.saturating_sub(bytes(&self)));
        let left_out = all.len() - kept.len();
        self.guests.retain(|host, _| kept.contains_key(&HostKey::from(host)));
        self.holders.extend(kept);
        (self, left_out)
    }

    /// Those of `all` that fit into so many bytes, most important first.
    fn fitting(
        &self,
        all: &BTreeMap<HostKey, Arc<[ServiceId]>>,
        first: &[HostPattern],
        bytes: usize,
    ) -> BTreeMap<HostKey, Arc<[ServiceId]>> {
        let mut left = bytes;
        let mut entries = BTreeSet::new();
        let mut kept = BTreeMap::new();
        for host in first {
            let Some((key, holders)) = all.get_key_value(&HostKey::from(host)) else { continue };
            let entry = (holders.as_ref(), self.guests.get(host));
            let of_entry = if entries.contains(&entry) { 0 } else { OwnersEntry::of(entry.0, entry.1, &[]).bytes() };
            let needed = of_entry + host.as_str().len() + AROUND_BYTES;
            if needed <= left {
                left -= needed;
                entries.insert(entry);
                kept.insert(key.clone(), Arc::clone(holders));
            }
        }
        kept
    }

    fn parse(label: &str) -> Option<Self> {
        if label.len() > LABEL_BYTES_MAX {
            return None;
        }
        let OwnersLabel { late, holders } = serde_json::from_str(label).ok()?;
        let mut host_owners = Self { late: late.into_iter().map(ServiceId).collect(), ..Self::default() };
        for OwnersEntry { services, guests, guests_better_than: better_than, guests_above: above, hosts } in holders {
            let services: Arc<[ServiceId]> = services.into_iter().map(ServiceId).collect();
            let guests = Guests { claimants: guests.into_iter().map(ServiceId).collect(), better_than, above };
            for host in hosts {
                let host = HostKey::parse(&host).ok()?;
                if let Some(host) = host.pattern() {
                    host_owners.record_guests(host, guests.clone());
                }
                host_owners.record(host, services.clone());
            }
        }
        Some(host_owners)
    }
}

/// The label as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnersLabel {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    late: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    holders: Vec<OwnersEntry>,
}

/// The hosts of the same services.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OwnersEntry {
    services: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    guests: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guests_better_than: Option<u8>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    guests_above: bool,
    hosts: Vec<String>,
}

impl OwnersEntry {
    fn of(services: &[ServiceId], guests: Option<&Guests>, hosts: &[&str]) -> Self {
        Self {
            services: texts(services),
            guests: guests.map_or_else(Vec::new, |guests| texts(&guests.claimants)),
            guests_better_than: guests.and_then(|guests| guests.better_than),
            guests_above: guests.is_some_and(|guests| guests.above),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        }
    }

    /// The size of the entry in the list, without its hosts. The comma before the entry is covered by that of its first host,
    /// which has none.
    fn bytes(&self) -> usize {
        serde_json::to_string(self).map_or(LABEL_BYTES_MAX, |entry| entry.len())
    }
}

fn texts<'a>(ids: impl IntoIterator<Item = &'a ServiceId>) -> Vec<String> {
    ids.into_iter().map(|id| id.0.clone()).collect()
}
