//! Decides whether services of other teams cause the address shortage of a network. Anyone who may attach services to a
//! network can fill it, even with tasks that no node can run; that must not take the network away from the teams that have
//! routes there. Only counts what the snapshot shows; takes no action.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::address_capacity::{unallocated, waits_for_virtual_ip};
use super::service_team::{Team, TeamTotals};
use crate::swarm::{Service, Snapshot};
use crate::types::{NetworkId, ServiceId};

/// The service of another team that has or wants the most addresses, if one of these teams would have no shortage without
/// all the other services. `proxies` is our own service; `lacking` is the number of missing addresses.
pub fn used_by_others(
    network: &NetworkId,
    proxies: &ServiceId,
    teams: &BTreeSet<Team<'_>>,
    lacking: u64,
    snapshot: &Snapshot,
) -> Option<String> {
    let demand: Vec<(&Service, u64)> = demand_of(network, snapshot)
        .into_iter()
        .filter(|(id, _)| *id != proxies)
        .filter_map(|(id, count)| Some((snapshot.services.get(id)?, count)))
        .collect();
    let (mut all, mut of_teams) = (0_u64, TeamTotals::default());
    for (service, count) in &demand {
        all = all.saturating_add(*count);
        of_teams.add(Team::new(service), *count);
    }
    let victim = teams.iter().find(|team| lacking <= all.saturating_sub(of_teams.total(team)))?;
    let others = demand.iter().filter(|(service, _)| !Team::new(service).is_same(victim));
    others.max_by_key(|(service, count)| (*count, Reverse(&service.name))).map(|(service, _)| service.name.clone())
}

/// How many addresses each service has or waits for on a network.
fn demand_of<'s>(network: &NetworkId, snapshot: &'s Snapshot) -> BTreeMap<&'s ServiceId, u64> {
    let mut demand = BTreeMap::<&ServiceId, u64>::new();
    for task in snapshot.tasks.values().chain(snapshot.stopping.values()) {
        let addresses = task.addresses.iter().filter(|(id, _)| id == network).count() as u64;
        let waits = || u64::from(unallocated(task, snapshot).contains(&network));
        let count = if addresses > 0 { addresses } else { waits() };
        if count > 0 {
            *demand.entry(&task.service).or_default() += count;
        }
    }
    for service in snapshot.services.values() {
        let has = service.virtual_ips.iter().any(|vip| vip.network == *network);
        if has || (service.networks.contains(network) && waits_for_virtual_ip(service, network)) {
            *demand.entry(&service.id).or_default() += 1;
        }
    }
    demand
}
