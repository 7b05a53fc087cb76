//! What the users and machines of a Swarm do: users deploy, scale, edit and remove by hand, and nodes fail. None of it goes
//! through the port, so it is neither subject to faults nor logged.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::SimSwarm;
use super::api_error::ApiError;
use super::model::{Availability, ImageBehaviour, NetworkBehaviour, TaskState};
use super::spec::{self, FileKind};
use super::world::SimState;
use crate::swarm::SwarmError;
use crate::types::{ConfigId, NetworkId, SecretId, ServiceId};

impl SimSwarm {
    fn by_hand<T>(&self, work: impl FnOnce(&mut SimState) -> Result<T, ApiError>) -> Result<T, SwarmError> {
        work(&mut self.world()).map_err(|refusal| refusal.while_doing("by hand"))
    }

    /// A user creates a service from an API-shaped spec.
    pub fn user_creates_service(&self, spec: &Value) -> Result<ServiceId, SwarmError> {
        self.by_hand(|w| w.create_service(spec)).map(ServiceId)
    }

    /// A user edits a service, regardless of its owner.
    pub fn user_edits_service(&self, name: &str, edit: impl FnOnce(&mut Value)) -> Result<(), SwarmError> {
        self.by_hand(|w| {
            let id = w.service_named(name)?;
            let mut spec = w.services.get(&id).map(|s| (*s.spec).clone()).unwrap_or_default();
            edit(&mut spec);
            w.update_service(&id, None, &spec)
        })
    }

    /// A user scales a replicated service.
    pub fn user_scales(&self, name: &str, replicas: u64) -> Result<(), SwarmError> {
        self.user_edits_service(name, |spec| spec["Mode"] = json!({"Replicated": {"Replicas": replicas}}))
    }

    /// A user removes a service.
    pub fn user_removes_service(&self, name: &str) -> Result<(), SwarmError> {
        self.by_hand(|w| {
            let id = w.service_named(name)?;
            w.remove_service(&id)
        })
    }

    /// A user creates a network from an API-shaped body; `IPAM.Config[0].Subnet` is its subnet.
    pub fn user_creates_network(&self, body: &Value) -> Result<NetworkId, SwarmError> {
        self.by_hand(|w| w.create_network(body)).map(NetworkId)
    }

    /// A user creates a config.
    pub fn user_creates_config(&self, name: &str, labels: &BTreeMap<String, String>, data: &[u8]) -> Result<ConfigId, SwarmError> {
        self.by_hand(|w| w.create_file(FileKind::Config, name, labels, data)).map(ConfigId)
    }

    /// A user removes a config, regardless of its owner.
    pub fn user_removes_config(&self, name: &str) -> Result<(), SwarmError> {
        self.by_hand(|w| w.remove_named(FileKind::Config, name))
    }

    /// A user creates a secret.
    pub fn user_creates_secret(&self, name: &str, labels: &BTreeMap<String, String>, data: &[u8]) -> Result<SecretId, SwarmError> {
        self.by_hand(|w| w.create_file(FileKind::Secret, name, labels, data)).map(SecretId)
    }

    /// A user removes a secret, regardless of its owner.
    pub fn user_removes_secret(&self, name: &str) -> Result<(), SwarmError> {
        self.by_hand(|w| w.remove_named(FileKind::Secret, name))
    }

    /// Kills a running task of a service; returns `false` if none is running.
    pub fn kill_task(&self, service: &str) -> bool {
        let world = &mut *self.world();
        let Ok(service) = world.service_named(service) else { return false };
        let found = world.tasks.values().find(|t| t.service == service && t.desired.wanted() && t.state == TaskState::Running);
        let Some(id) = found.map(|t| t.id.clone()) else { return false };
        world.end(&id, TaskState::Failed, "task: non-zero exit (137)");
        true
    }

    /// Sets how containers of an image behave from now on.
    pub fn set_image(&self, image: &str, behaviour: ImageBehaviour) {
        self.world().images.insert(image.to_owned(), behaviour);
    }

    /// Sets what happens to tasks on a network from now on.
    pub fn set_network(&self, name: &str, behaviour: NetworkBehaviour) {
        let mut world = self.world();
        world.networks.values_mut().filter(|network| network.name == name).for_each(|network| network.behaviour = behaviour);
    }

    /// A node (`node1`, ...) is lost: its tasks continue, but they are neither visible nor reachable.
    pub fn node_goes_down(&self, hostname: &str) {
        self.change_node(hostname, |node| node.up = false);
    }

    /// A node is back and now stops the tasks that were asked to stop in the meantime.
    pub fn node_comes_up(&self, hostname: &str) {
        self.change_node(hostname, |node| node.up = true);
        let world = &mut *self.world();
        let Some(id) = world.nodes.values().find(|n| n.hostname == hostname).map(|n| n.id.clone()) else { return };
        let now = world.now;
        for task in world.tasks.values_mut().filter(|t| t.node.as_ref() == Some(&id) && !t.desired.wanted()) {
            task.due = Some(now + 1_000);
        }
    }

    /// A user sets whether a node takes tasks.
    pub fn set_availability(&self, hostname: &str, availability: Availability) {
        self.change_node(hostname, |node| node.availability = availability);
    }

    /// A user labels a node; an empty value removes the label.
    pub fn label_node(&self, hostname: &str, key: &str, value: &str) {
        self.change_node(hostname, |node| {
            if value.is_empty() {
                node.labels.remove(key);
            } else {
                node.labels.insert(key.to_owned(), value.to_owned());
            }
        });
    }

    fn change_node(&self, hostname: &str, change: impl FnOnce(&mut super::model::SimNode)) {
        let world = &mut *self.world();
        let Some(node) = world.nodes.values_mut().find(|n| n.hostname == hostname) else { return };
        change(node);
        let id = node.id.clone();
        world.node_changed(&id);
    }
}

impl SimState {
    fn service_named(&self, name: &str) -> Result<String, ApiError> {
        let found = self.services.values().find(|s| spec::name(&s.spec) == name);
        found.map(|s| s.id.clone()).ok_or_else(|| ApiError::not_found("service", name))
    }

    fn remove_named(&mut self, kind: FileKind, name: &str) -> Result<(), ApiError> {
        let found = self.files(kind).values().find(|f| f.name == name).map(|f| f.id.clone());
        self.remove_file(kind, &found.ok_or_else(|| ApiError::not_found(kind.word(), name))?)
    }
}
