//! Networks by what services call theirs: an id, or on very old services a name.

use std::collections::BTreeMap;

use super::{Network, Snapshot};
use crate::types::NetworkId;

/// The networks of a snapshot, by id and by name.
#[derive(Debug)]
pub struct NetworksByName<'a> {
    snapshot: &'a Snapshot,
    named: BTreeMap<&'a str, &'a Network>,
}

impl<'a> NetworksByName<'a> {
    /// Of all networks. Of those of one name the one with the first id counts.
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let mut named = BTreeMap::new();
        for network in snapshot.networks.values() {
            named.entry(network.name.as_str()).or_insert(network);
        }
        Self { snapshot, named }
    }

    /// What a service means.
    pub fn find(&self, id: &NetworkId) -> Option<&'a Network> {
        self.snapshot.networks.get(id).or_else(|| self.named.get(id.0.as_str()).copied())
    }
}
