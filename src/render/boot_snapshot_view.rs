//! A table as a boot snapshot sees it, whatever the engine: without addresses that may have passed to another container.
//! Only names remain, and node ports that belong to one service ([`Endpoint::lasting`]).

use crate::route::{Backend, BackendService, Endpoint, RouteTable};

/// The table with only those endpoints. Changes of other endpoints must not change the digest in a boot snapshot.
pub(super) fn without_endpoints(table: &RouteTable, kept: fn(&Endpoint) -> bool) -> RouteTable {
    let mut table = table.clone();
    table.awaited.clear();
    table.backends_mut().flat_map(|backend| &mut backend.services).for_each(|service| forget_endpoints(service, kept));
    table
}

/// A pool as a boot snapshot sees it.
pub(super) fn named(backend: &Backend) -> Backend {
    let mut named = backend.clone();
    named.services.iter_mut().for_each(|service| forget_endpoints(service, |endpoint| endpoint.lasting));
    named
}

fn forget_endpoints(service: &mut BackendService, kept: fn(&Endpoint) -> bool) {
    service.endpoints.retain(kept);
    service.endpoints.iter_mut().for_each(|endpoint| endpoint.task = None);
    // Names represent tasks in both modes, so a changed label does not produce a new snapshot.
    service.vip = false;
}

/// Whether a service has a name, or a node port of its own.
pub fn is_found_by_name(service: &BackendService) -> bool {
    !service.on_nodes || service.endpoints.iter().any(|endpoint| endpoint.lasting)
}
