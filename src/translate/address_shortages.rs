//! Finds attached networks that lack addresses for proxies that are replaced or restarted.

use std::collections::{BTreeMap, BTreeSet};

use super::TranslationContext;
use super::address_capacity::{self, AddressNeeds, AddressShortage};
use super::address_shortage_cause;
use super::endpoints::ServiceEndpoints;
use super::service_team::Team;
use crate::types::NetworkId;

/// The attached networks on which replaced or restarted proxies would not get their addresses.
pub fn shortages(context: &TranslationContext<'_>, reaches: &[ServiceEndpoints<'_>]) -> BTreeMap<NetworkId, AddressShortage> {
    let Some(service) = context.proxies.service() else { return BTreeMap::new() };
    let needs = AddressNeeds::new(context.cluster, Some(service), context.snapshot);
    let attached = context.snapshot.networks.values().filter(|n| context.proxies.declare(&n.id) && context.is_application_network(n));
    let short = attached.filter_map(|network| {
        let usage = context.usage.get(&network.id)?;
        let short = address_capacity::shortage_of_attached(network, usage, &needs, service, context.snapshot)?;
        let over_it = reaches.iter().filter(|reach| reach.networks.contains(&network.id));
        let teams: BTreeSet<Team<'_>> = over_it.map(|reach| Team::new(reach.published.service)).collect();
        let by_others = address_shortage_cause::used_by_others(&network.id, &service.id, &teams, short.lacking, context.snapshot);
        Some((network.id.clone(), AddressShortage { by_others, ..short }))
    });
    short.collect()
}
