//! Parts of a snapshot that its copies share. A copy costs only as much as its differences: a pass may evaluate a Swarm in
//! which one of thousands of services differs. Nothing here knows what a service means.

use std::collections::{BTreeMap, btree_map};
use std::ops::{Deref, DerefMut, Index};
use std::sync::Arc;

use super::Service;
use crate::types::ServiceId;

/// A value that is copied on the first write.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CopyOnWrite<T>(Arc<T>);

impl<T> From<T> for CopyOnWrite<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Deref for CopyOnWrite<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for CopyOnWrite<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

/// Services by id. Reads like a map; individual services can be replaced without copying all the others.
#[derive(Debug, Clone, Default)]
pub struct Services {
    all: CopyOnWrite<BTreeMap<ServiceId, Service>>,
    /// Read in place of the service with the same id in `all`; contains only ids that are in `all`.
    instead: BTreeMap<ServiceId, Service>,
}

impl Services {
    /// The service with this id.
    pub fn get(&self, id: &ServiceId) -> Option<&Service> {
        self.all.get(id).map(|service| self.current(service))
    }

    /// Whether there is a service with this id.
    pub fn contains_key(&self, id: &ServiceId) -> bool {
        self.all.contains_key(id)
    }

    /// The ids, in order.
    pub fn keys(&self) -> btree_map::Keys<'_, ServiceId, Service> {
        self.all.keys()
    }

    /// The services, in the order of their ids.
    pub fn values(&self) -> impl Iterator<Item = &Service> + Clone {
        self.all.values().map(|service| self.current(service))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are no services.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Replaces the service with the same id, if there is one; copies only this service.
    pub fn replace(&mut self, service: Service) {
        if self.all.contains_key(&service.id) {
            self.instead.insert(service.id.clone(), service);
        }
    }

    /// Adds a service, or replaces the one with this id.
    pub fn insert(&mut self, id: ServiceId, service: Service) -> Option<Service> {
        self.own().insert(id, service)
    }

    /// Removes a service.
    pub fn remove(&mut self, id: &ServiceId) -> Option<Service> {
        self.own().remove(id)
    }

    /// Removes all services.
    pub fn clear(&mut self) {
        self.own().clear();
    }

    /// Keeps only the services for which `keep` returns true.
    pub fn retain(&mut self, keep: impl FnMut(&ServiceId, &mut Service) -> bool) {
        self.own().retain(keep);
    }

    /// The service with this id, mutable.
    pub fn get_mut(&mut self, id: &ServiceId) -> Option<&mut Service> {
        self.own().get_mut(id)
    }

    /// All services, mutable.
    pub fn values_mut(&mut self) -> btree_map::ValuesMut<'_, ServiceId, Service> {
        self.own().values_mut()
    }

    fn current<'a>(&'a self, service: &'a Service) -> &'a Service {
        if self.instead.is_empty() { service } else { self.instead.get(&service.id).unwrap_or(service) }
    }

    /// The map with all replacements applied, copied first if it is shared.
    fn own(&mut self) -> &mut BTreeMap<ServiceId, Service> {
        self.all.extend(std::mem::take(&mut self.instead));
        &mut self.all
    }
}

impl From<BTreeMap<ServiceId, Service>> for Services {
    fn from(all: BTreeMap<ServiceId, Service>) -> Self {
        Self { all: all.into(), instead: BTreeMap::new() }
    }
}

impl Index<&ServiceId> for Services {
    type Output = Service;

    /// # Panics
    /// If there is no such service, as with every map.
    fn index(&self, id: &ServiceId) -> &Service {
        self.current(&self.all[id])
    }
}

impl PartialEq for Services {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.values().eq(other.values())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::swarm::{RawSnapshot, Snapshot};

    fn services(count: usize) -> Services {
        let service = |n| json!({"ID": format!("s{n}"), "Spec": {"Name": format!("app{n}")}});
        let raw = RawSnapshot {
            taken_at: jiff::Timestamp::UNIX_EPOCH,
            services: (0..count).map(service).collect(),
            tasks: vec![],
            nodes: vec![],
            networks: vec![],
            configs: vec![],
            secrets: vec![],
        };
        Snapshot::from_raw(&raw).unwrap().services
    }

    fn names(services: &Services) -> Vec<&str> {
        services.values().map(|service| service.name.as_str()).collect()
    }

    #[test]
    fn a_replaced_service_is_visible_everywhere_and_copies_no_other() {
        let all = services(3);
        let id = ServiceId("s1".to_owned());
        let mut copy = all.clone();
        copy.replace(Service { name: "other".to_owned(), ..all.get(&id).unwrap().clone() });
        copy.replace(Service { id: ServiceId("unknown".to_owned()), ..all.get(&id).unwrap().clone() });
        assert_eq!((names(&copy), copy.len()), (vec!["app0", "other", "app2"], 3));
        assert_eq!(copy.get(&id).unwrap().name, "other");
        assert_eq!(names(&all), ["app0", "app1", "app2"], "other holders see the original");
        assert!(Arc::ptr_eq(&all.all.0, &copy.all.0) && copy != all);
    }

    #[test]
    fn writing_to_a_copy_does_not_change_the_original() {
        let all = services(2);
        let mut copy = all.clone();
        copy.replace(Service { name: "other".to_owned(), ..all.values().next().unwrap().clone() });
        copy.values_mut().for_each(|service| service.name.push('!'));
        assert_eq!(names(&copy), ["other!", "app1!"]);
        copy.retain(|id, _| id.0 == "s0");
        assert_eq!((names(&copy), names(&all)), (vec!["other!"], vec!["app0", "app1"]));
        copy.clear();
        assert!(copy.is_empty() && copy != all && copy == Services::default());
    }
}
