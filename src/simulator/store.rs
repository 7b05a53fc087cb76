//! Creates, updates and removes objects: what is rejected, and the immediate effects. Other effects follow over time.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::api_error::ApiError;
use super::model::{CachedView, DesiredTaskState, SimFile, SimService};
use super::spec::{self, FileKind};
use super::world::SimState;
use crate::swarm::SwarmErrorKind;

/// Milliseconds until the allocator processes a service.
const ALLOCATOR_DELAY: u64 = 5;

/// Names of networks that every node has without a Swarm network behind them.
const PREDEFINED: [&str; 3] = ["host", "bridge", "none"];
/// The prefix of the ids by which specs refer to these networks here; no list of networks contains them.
const PREDEFINED_ID: &str = "predefined-";

/// The name of a network that every node has itself, from the id in specs.
pub fn predefined_name(id: &str) -> Option<&str> {
    id.strip_prefix(PREDEFINED_ID)
}

impl SimState {
    /// Creates a service; returns its id.
    pub fn create_service(&mut self, body: &Value) -> Result<String, ApiError> {
        let spec = self.accepted(body, None)?;
        let name = spec::name(&spec).to_owned();
        spec::check_service_name(&name)?;
        if self.services.values().any(|s| spec::name(&s.spec) == name) {
            return Err(ApiError::name_taken("service", &name));
        }
        let (id, version) = (self.new_id(), self.bump());
        let service = SimService {
            shown: CachedView::default(),
            id: id.clone(),
            version,
            created: self.now,
            updated: self.now,
            template: Arc::new(spec::task_spec(&spec)),
            spec: Arc::new(spec),
            previous: None,
            spec_version: version,
            previous_spec_version: version,
            vips: BTreeMap::new(),
            ports: Vec::new(),
            allocate_at: Some(self.now + ALLOCATOR_DELAY),
            status: None,
            rollout: None,
        };
        self.services.insert(id.clone(), service);
        self.dirty.insert(id.clone());
        self.hint("service", &format!("create {name}"));
        Ok(id)
    }

    /// Replaces a service's whole spec, if the service is still at `version` (`None`: at any version).
    pub fn update_service(&mut self, id: &str, version: Option<u64>, body: &Value) -> Result<(), ApiError> {
        let service = self.services.get(id).ok_or_else(|| ApiError::not_found("service", id))?;
        let spec = self.accepted(body, Some(id))?;
        let unsupported =
            |message: &str| Err(ApiError::new(SwarmErrorKind::Invalid, format!("rpc error: code = Unimplemented desc = {message}")));
        if spec::kind(&spec) != spec::kind(&service.spec) {
            return unsupported("service mode change is not allowed");
        }
        if spec::name(&spec) != spec::name(&service.spec) {
            return unsupported("renaming services is not supported");
        }
        if version.is_some_and(|v| v != service.version) {
            return Err(ApiError::new(SwarmErrorKind::OutOfSequence, "rpc error: code = Unknown desc = update out of sequence"));
        }
        self.cancel_rollout(id);
        self.swap_spec(id, spec);
        Ok(())
    }

    fn swap_spec(&mut self, id: &str, spec: Value) {
        let (version, now) = (self.bump(), self.now);
        let Some(service) = self.services.get_mut(id) else { return };
        let name = spec::name(&spec).to_owned();
        service.template = Arc::new(spec::task_spec(&spec));
        service.previous = Some(std::mem::replace(&mut service.spec, Arc::new(spec)));
        service.previous_spec_version = std::mem::replace(&mut service.spec_version, version);
        (service.version, service.updated, service.status) = (version, now, None);
        service.allocate_at = Some(now + ALLOCATOR_DELAY);
        self.dirty.insert(id.to_owned());
        self.hint("service", &format!("update {name}"));
    }

    /// Removes a service immediately; its tasks follow.
    pub fn remove_service(&mut self, id: &str) -> Result<(), ApiError> {
        let service = self.services.remove(id).ok_or_else(|| ApiError::not_found("service", id))?;
        self.release_vips(&service.vips);
        self.bump();
        for task in self.tasks_of(id) {
            self.stop(&task, DesiredTaskState::Remove);
        }
        self.hint("service", &format!("remove {}", spec::name(&service.spec)));
        Ok(())
    }

    /// Creates a config or a secret; returns its id.
    pub fn create_file(&mut self, kind: FileKind, name: &str, labels: &BTreeMap<String, String>, data: &[u8]) -> Result<String, ApiError> {
        spec::check_file_name(name)?;
        let limit = if kind == FileKind::Config { 1_024_000 } else { 512_000 };
        if data.is_empty() || data.len() >= limit {
            return Err(ApiError::invalid(format!("{} data must be larger than 0 and less than {limit} bytes", kind.word())));
        }
        if self.files(kind).values().any(|f| f.name.eq_ignore_ascii_case(name)) {
            return Err(ApiError::name_taken(kind.word(), name));
        }
        let (id, version, created) = (self.new_id(), self.bump(), self.now);
        let file =
            SimFile { shown: CachedView::default(), id: id.clone(), name: name.to_owned(), version, labels: labels.clone(), created };
        self.files_mut(kind).insert(id.clone(), file);
        self.hint(kind.word(), &format!("create {name}"));
        Ok(id)
    }

    /// Removes a config or a secret to which no spec refers. As on a real Swarm, references in previous specs and tasks do not
    /// prevent it.
    pub fn remove_file(&mut self, kind: FileKind, id: &str) -> Result<(), ApiError> {
        let file = self.files(kind).get(id).ok_or_else(|| ApiError::not_found(kind.word(), id))?;
        let name = file.name.clone();
        let user = self.services.values().find(|s| spec::references(&s.template, kind).any(|(used, _, _)| used == id));
        if let Some(user) = user {
            let user = spec::name(&user.spec);
            return Err(ApiError::in_use(format!("{} '{name}' is in use by the following service: {user}", kind.word())));
        }
        self.files_mut(kind).remove(id);
        self.bump();
        self.hint(kind.word(), &format!("remove {name}"));
        Ok(())
    }

    /// Creates a network; returns its id.
    pub fn create_network(&mut self, body: &Value) -> Result<String, ApiError> {
        let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or("");
        let (name, driver) = (text("Name").to_owned(), text("Driver").to_owned());
        spec::check_service_name(&name)?;
        if PREDEFINED.contains(&name.as_str()) || self.networks.values().any(|n| n.name == name) {
            return Err(ApiError::new(SwarmErrorKind::NameTaken, format!("network with name {name} already exists")));
        }
        let subnet = body.pointer("/IPAM/Config/0/Subnet").and_then(Value::as_str).and_then(|s| s.parse().ok());
        let labels = body.get("Labels").filter(|l| l.is_object()).cloned().unwrap_or(json!(null));
        let id = self.add_network(&name, if driver.is_empty() { "overlay" } else { &driver }, labels, false, subnet);
        self.hint("network", &format!("create {name}"));
        Ok(id)
    }

    /// Removes a network to which no service and no task is attached; stopping tasks do not prevent it.
    pub fn remove_network(&mut self, id: &str) -> Result<(), ApiError> {
        let name = self.networks.get(id).ok_or_else(|| ApiError::not_found("network", id))?.name.clone();
        let service = self.services.values().find(|s| spec::attached(&s.template).any(|n| n == id)).map(|s| format!("service {}", s.id));
        let task = || {
            self.tasks
                .values()
                .find(|t| t.desired.wanted() && t.addresses.iter().any(|(n, _, _)| n == id))
                .map(|t| format!("task {}", t.id))
        };
        if let Some(user) = service.or_else(task) {
            return Err(ApiError::in_use(format!("network {id} is in use by {user}")));
        }
        self.networks.remove(id);
        self.bump();
        self.hint("network", &format!("remove {name}"));
        Ok(())
    }

    pub fn files(&self, kind: FileKind) -> &BTreeMap<String, SimFile> {
        match kind {
            FileKind::Config => &self.configs,
            FileKind::Secret => &self.secrets,
        }
    }

    fn files_mut(&mut self, kind: FileKind) -> &mut BTreeMap<String, SimFile> {
        match kind {
            FileKind::Config => &mut self.configs,
            FileKind::Secret => &mut self.secrets,
        }
    }

    /// The spec as Swarm would store it, or why Swarm rejects it.
    fn accepted(&self, body: &Value, own: Option<&str>) -> Result<Value, ApiError> {
        spec::check(body)?;
        let mut body = body.clone();
        self.resolve_networks(&mut body)?;
        let spec = spec::normal(&body, self.docker_release);
        let template = &spec["TaskTemplate"];
        for kind in [FileKind::Config, FileKind::Secret] {
            for (id, name, _) in spec::references(template, kind) {
                if self.files(kind).get(id).is_none_or(|f| f.name != name) {
                    return Err(ApiError::invalid(format!("{} not found: {name}", kind.word())));
                }
            }
        }
        self.check_ports(&spec, own)?;
        Ok(spec)
    }

    /// Replaces network names by ids.
    fn resolve_networks(&self, body: &mut Value) -> Result<(), ApiError> {
        let attached = body.pointer_mut("/TaskTemplate/Networks").and_then(Value::as_array_mut);
        for attachment in attached.into_iter().flatten() {
            let target = attachment.get("Target").and_then(Value::as_str).unwrap_or("").to_owned();
            if PREDEFINED.contains(&target.as_str()) {
                attachment["Target"] = json!(format!("{PREDEFINED_ID}{target}"));
                continue;
            }
            if predefined_name(&target).is_some() {
                continue;
            }
            let found = self.networks.values().find(|n| n.id == target || n.name == target);
            let found = found.ok_or_else(|| ApiError::not_found("network", &target))?;
            if found.mesh {
                return Err(ApiError::invalid(format!("Service cannot be explicitly attached to the ingress network \"{}\"", found.name)));
            }
            attachment["Target"] = json!(found.id);
        }
        Ok(())
    }

    /// A port in the routing mesh belongs to one service only; host ports may be shared, because the tasks may be on different nodes.
    fn check_ports(&self, spec: &Value, own: Option<&str>) -> Result<(), ApiError> {
        let published = |spec: &Value| -> Vec<(String, u64, bool)> {
            let ports = spec.pointer("/EndpointSpec/Ports").and_then(Value::as_array).cloned().unwrap_or_default();
            let text = |p: &Value, k: &str| p.get(k).and_then(Value::as_str).unwrap_or("").to_owned();
            let all = ports.iter().map(|p| {
                (text(p, "Protocol"), p.get("PublishedPort").and_then(Value::as_u64).unwrap_or(0), text(p, "PublishMode") == "host")
            });
            all.filter(|(_, port, _)| *port != 0).collect()
        };
        let wanted = published(spec);
        if wanted.is_empty() {
            return Ok(());
        }
        for other in self.services.values().filter(|s| Some(s.id.as_str()) != own) {
            for (protocol, port, host) in published(&other.spec) {
                if wanted.iter().any(|(p, n, h)| *p == protocol && *n == port && !(*h && host)) {
                    let mode = if host { "a host-published" } else { "an ingress" };
                    let (name, id) = (spec::name(&other.spec), &other.id);
                    return Err(ApiError::in_use(format!("port '{port}' is already in use by service '{name}' ({id}) as {mode} port")));
                }
            }
        }
        Ok(())
    }
}
