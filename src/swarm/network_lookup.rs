//! Looks up networks by the reference in a service: an id, or a name in very old services.

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
    /// Indexes all networks. If several have the same name, the one with the first id is used.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let mut named = BTreeMap::new();
        for network in snapshot.networks.values() {
            named.entry(network.name.as_str()).or_insert(network);
        }
        Self { snapshot, named }
    }

    /// The network that a service refers to.
    pub fn find(&self, id: &NetworkId) -> Option<&'a Network> {
        self.snapshot.networks.get(id).or_else(|| self.named.get(id.0.as_str()).copied())
    }
}
