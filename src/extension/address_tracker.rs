//! Whether each address in an offer still belongs to the same service, by the newest observation of the Swarm.
//! Tables are tested one after another, and a large one takes time; but who owns an address does not depend on tests, so this is
//! known as soon as the newest table arrives. Decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::channel::Moment;
use crate::route::RouteTable;
use crate::types::Digest;

/// How many offers are remembered. Those that proxies run are asked about again and again, and so are kept.
const OFFERS_MAX: usize = 64;

/// Each address with its service; it does not matter which of the service's tasks has it.
type EndpointAddresses = BTreeSet<(SocketAddr, String)>;

/// The addresses of the newest table and of the last offers. Clones share their content.
#[derive(Debug, Clone, Default)]
pub(super) struct AddressTracker {
    known: Arc<Mutex<TrackerState>>,
}

#[derive(Debug, Default)]
struct TrackerState {
    newest: Arc<EndpointAddresses>,
    /// When the newest observation that showed these began.
    seen: Option<Moment>,
    offers: BTreeMap<Digest, Offered>,
    uses: u64,
}

#[derive(Debug)]
struct Offered {
    addresses: Arc<EndpointAddresses>,
    /// Higher than for all offers that were made or asked about earlier.
    used: u64,
}

impl AddressTracker {
    /// An observation gave this table.
    pub(super) fn record_table(&self, table: &RouteTable, at: Moment) {
        let addresses = Arc::new(addresses(table));
        let mut known = self.known();
        known.newest = addresses;
        known.seen = Some(at);
    }

    /// A later observation gave the same table.
    pub(super) fn confirm(&self, at: Moment) {
        let mut known = self.known();
        known.seen = known.seen.map(|seen| seen.max(at));
    }

    /// Records a new offer, rendered from that table.
    pub(super) fn offer(&self, offer: &Digest, table: &RouteTable) {
        let addresses = addresses(table);
        let mut known = self.known();
        // Offers differ in routes more often than in addresses.
        let addresses = if *known.newest == addresses { Arc::clone(&known.newest) } else { Arc::new(addresses) };
        known.remember(offer, addresses);
    }

    /// Records that the same content is now offered under another digest.
    pub(super) fn offer_again(&self, before: &Digest, offer: &Digest) {
        let mut known = self.known();
        if let Some(addresses) = known.offers.get(before).map(|offered| Arc::clone(&offered.addresses)) {
            known.remember(offer, addresses);
        }
    }

    /// The addresses of an offer that its services no longer have, and when the observation that shows this began. `None` for an
    /// offer that has been forgotten, and before the first observation.
    pub(super) fn departed_from(&self, offer: &Digest) -> Option<(BTreeSet<SocketAddr>, Moment)> {
        let mut known = self.known();
        let (seen, uses) = (known.seen?, known.uses + 1);
        known.uses = uses;
        let offered = known.offers.get_mut(offer)?;
        offered.used = uses;
        let (addresses, newest) = (Arc::clone(&offered.addresses), Arc::clone(&known.newest));
        drop(known);
        let gone = if Arc::ptr_eq(&addresses, &newest) {
            BTreeSet::new()
        } else {
            addresses.difference(&newest).map(|(address, _)| *address).collect()
        };
        Some((gone, seen))
    }

    fn known(&self) -> MutexGuard<'_, TrackerState> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TrackerState {
    fn remember(&mut self, offer: &Digest, addresses: Arc<EndpointAddresses>) {
        self.uses += 1;
        self.offers.insert(offer.clone(), Offered { addresses, used: self.uses });
        if self.offers.len() > OFFERS_MAX {
            let oldest = self.offers.iter().min_by_key(|(_, offered)| offered.used).map(|(digest, _)| digest.clone());
            self.offers.retain(|digest, _| Some(digest) != oldest.as_ref());
        }
    }
}

fn addresses(table: &RouteTable) -> EndpointAddresses {
    let services = table.backends().flat_map(|backend| &backend.services);
    let endpoints = services.flat_map(|service| service.endpoints.iter().map(move |endpoint| (service, endpoint)));
    let each: BTreeSet<(SocketAddr, &str)> =
        endpoints.map(|(service, endpoint)| (SocketAddr::new(endpoint.address, endpoint.port.get()), service.id.0.as_str())).collect();
    each.into_iter().map(|(address, owner)| (address, owner.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;
    use crate::route::{Backend, BackendService, Endpoint, PathRoute, VirtualHost};
    use crate::types::{ClusterName, ContextPath, HostPattern, Port, ServiceId, ServiceName, TaskId};

    /// A table with one host whose services have these addresses: the last byte of each, and the service.
    fn table(host: &str, services: &[(u8, &str)]) -> RouteTable {
        let port = Port::new(80).unwrap();
        let service = |(last, service): &(u8, &str)| {
            let task = Some(TaskId(format!("any-{host}")));
            let endpoint = Endpoint { address: Ipv4Addr::new(10, 0, 1, *last).into(), port, task, lasting: false };
            BackendService::new(ServiceId((*service).to_owned()), ServiceName::parse(service).unwrap(), port, vec![endpoint])
        };
        let backend = Backend::new(services.iter().map(service).collect());
        let paths = BTreeMap::from([(ContextPath::root(), PathRoute::to(backend))]);
        let hosts = BTreeMap::from([(HostPattern::parse(host).unwrap(), VirtualHost { paths, ..VirtualHost::default() })]);
        RouteTable { hosts, ..RouteTable::empty(ClusterName::parse("dev").unwrap(), port) }
    }

    fn offer(number: usize) -> Digest {
        Digest::of_bytes(&number.to_le_bytes())
    }

    fn at(second: u64) -> Moment {
        Moment::default().later(Duration::from_secs(second))
    }

    fn gone(addresses: &AddressTracker, number: usize) -> Option<(Vec<String>, Moment)> {
        let (gone, seen) = addresses.departed_from(&offer(number))?;
        Some((gone.iter().map(SocketAddr::to_string).collect(), seen))
    }

    #[test]
    fn an_address_is_gone_once_its_service_no_longer_has_it() {
        let addresses = AddressTracker::default();
        addresses.offer(&offer(1), &table("a.test", &[(1, "web"), (2, "web"), (3, "api")]));
        assert_eq!(gone(&addresses, 1), None, "there is no observation yet");
        for (second, host, tasks, expected) in [
            (10, "a.test", &[(1, "web"), (2, "web"), (3, "api")][..], &[][..]),
            (20, "b.test", &[(1, "web"), (2, "web"), (3, "api"), (4, "web")], &[]),
            (30, "a.test", &[(1, "web"), (3, "api")], &["10.0.1.2:80"]),
            (40, "a.test", &[(1, "stranger"), (2, "web"), (3, "stranger")], &["10.0.1.1:80", "10.0.1.3:80"]),
            (50, "a.test", &[], &["10.0.1.1:80", "10.0.1.2:80", "10.0.1.3:80"]),
            (60, "a.test", &[(1, "web"), (2, "web"), (3, "api")], &[]),
        ] {
            addresses.record_table(&table(host, tasks), at(second));
            assert_eq!(gone(&addresses, 1), Some((expected.iter().map(|text| (*text).to_owned()).collect(), at(second))));
        }
        addresses.confirm(at(70));
        addresses.confirm(at(65));
        assert_eq!(gone(&addresses, 1), Some((Vec::new(), at(70))));
    }

    #[test]
    fn offers_in_use_are_kept_when_many_others_are_made() {
        let addresses = AddressTracker::default();
        let table = table("a.test", &[(1, "web")]);
        addresses.record_table(&table, at(1));
        addresses.offer(&offer(0), &table);
        for number in 1..1000 {
            addresses.offer(&offer(number), &table);
            assert!(gone(&addresses, 0).is_some());
        }
        assert!(gone(&addresses, 1).is_none() && gone(&addresses, 999).is_some());
        addresses.offer_again(&offer(999), &offer(1000));
        assert!(gone(&addresses, 1000).is_some());
        assert_eq!(addresses.known().offers.len(), OFFERS_MAX);
    }
}
