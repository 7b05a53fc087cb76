//! The parts of a table from which a reload derives its reason, the same for every engine.

use std::collections::BTreeMap;

use super::Materials;
use super::boot_snapshot_view::without_endpoints;
use crate::route::RouteTable;
use crate::types::{Digest, HostKey};

/// The identity of the configuration of each host, so that a reload can state its reason: one digest per part, where a part
/// is `settings`, `endpoints of HOST`, `routes of HOST`, `certificate of HOST`, or one of the latter for `(default)`.
pub fn parts(table: &RouteTable, materials: &Materials) -> BTreeMap<String, String> {
    let named = without_endpoints(table, |_| false);
    let settings = identity(&(&table.cluster, table.http_port, table.https_port, &table.settings));
    let mut parts = BTreeMap::from([("settings".to_owned(), settings)]);
    if !table.awaited.is_empty() {
        parts.insert("endpoints on future networks".to_owned(), identity(&table.awaited));
    }
    for (host, virtual_host) in &table.hosts {
        parts.insert(format!("endpoints of {host}"), identity(virtual_host));
        parts.insert(format!("routes of {host}"), identity(&named.hosts.get(host)));
    }
    for (host, backend) in &table.passthrough {
        parts.insert(format!("endpoints of {host} (passthrough)"), identity(backend));
        parts.insert(format!("routes of {host} (passthrough)"), identity(&named.passthrough.get(host)));
    }
    if let Some(default) = &table.default_backend {
        let key = HostKey::DefaultBackend;
        parts.insert(format!("endpoints of {key}"), identity(default));
        parts.insert(format!("routes of {key}"), identity(&named.default_backend));
    }
    for (host, binding) in table.bindings() {
        let files = materials.pair(binding).map(|pair| (pair.certificate.name(), pair.key.name()));
        parts.insert(format!("certificate of {host}"), identity(&files));
    }
    parts
}

fn identity<T: serde::Serialize>(value: &T) -> String {
    Digest::of_json(value).short().to_owned()
}
