//! Which services use which configs, secrets and networks. Swarm itself checks only current specs, but a rollback needs the
//! objects of the previous spec, and tasks need those with which they were started.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::spec_equivalence::network_id;
use crate::swarm::{Service, Snapshot};

/// Replaces the name of a service that no label or document names: the status does not show names of other services.
const SOMEBODY: &str = "that has no Swarmgate labels";

/// Ids that are in use, each with the name of a service that uses it.
pub(super) struct ReferencedIds(BTreeMap<String, String>);

impl ReferencedIds {
    /// Collects everything that services (current and previous spec) and tasks refer to.
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let mut used = BTreeMap::new();
        for service in snapshot.services.values() {
            let templates = [Some(&service.spec), service.previous_spec.as_ref()];
            for template in templates.into_iter().flatten().filter_map(|spec| spec.get("TaskTemplate")) {
                note(&mut used, template, name_of(service), snapshot);
            }
        }
        for task in snapshot.tasks.values() {
            let service = snapshot.services.get(&task.service).map_or("that no longer exists", name_of);
            note(&mut used, &task.spec, service, snapshot);
        }
        Self(used)
    }

    /// Whether something uses the object.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// The service that uses the object.
    pub(super) fn user(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }
}

fn name_of(service: &Service) -> &str {
    if crate::swarm::is_disclosed(&service.labels) { &service.name } else { SOMEBODY }
}

fn note(used: &mut BTreeMap<String, String>, template: &Value, by: &str, snapshot: &Snapshot) {
    for id in ids(template, snapshot) {
        used.entry(id).or_insert_with(|| by.to_owned());
    }
}

/// The ids of configs, secrets and networks that a task template names.
pub(super) fn ids(template: &Value, snapshot: &Snapshot) -> BTreeSet<String> {
    let list = |pointer: &str| template.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let configs = list("/ContainerSpec/Configs").filter_map(|config| text(config, "ConfigID"));
    let secrets = list("/ContainerSpec/Secrets").filter_map(|secret| text(secret, "SecretID"));
    let networks = list("/Networks").filter_map(|attachment| network_id(attachment, snapshot));
    configs.chain(secrets).chain(networks).collect()
}
