//! The world in the API's representation, with lists in the order of ids like Swarm's.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::model::{CachedView, DesiredTaskState, Millis, SimFile, SimNetwork, SimNode, SimService, SimTask, TaskSlot, TaskState};
use super::spec;
use super::store::predefined_name;
use super::world::SimState;
use crate::swarm::{NamedConfigs, OWN_CONFIG_PREFIX, OWNER_LABEL, RawSnapshot};

impl SimState {
    /// One complete observation, as the API returns it.
    pub fn raw_snapshot(&mut self) -> RawSnapshot {
        let release = self.docker_release;
        let services: Vec<Value> = self.services.values_mut().map(|s| shown(s, |s| (&mut s.shown, s.version), service)).collect();
        let named = NamedConfigs::in_list(&services);
        let is_ours = |config: &SimFile| config.labels.contains_key(OWNER_LABEL) && config.name.starts_with(OWN_CONFIG_PREFIX);
        let configs = self.configs.values_mut().filter(|config| is_ours(config) || named.names().contains(&config.name));
        RawSnapshot {
            taken_at: Self::timestamp(self.now),
            services,
            nodes: self.nodes.values_mut().map(|n| shown(n, |n| (&mut n.shown, n.version), |n| node(n, release))).collect(),
            networks: self.networks.values_mut().map(|n| shown(n, |n| (&mut n.shown, 0), network)).collect(),
            configs: configs.map(|c| shown(c, |c| (&mut c.shown, c.version), file)).collect(),
            secrets: self.secrets.values_mut().map(|s| shown(s, |s| (&mut s.shown, s.version), file)).collect(),
            tasks: self.running_tasks(),
        }
    }

    pub fn running_tasks(&mut self) -> Vec<Value> {
        let wanted = self
            .tasks
            .values_mut()
            .filter(|t| matches!(t.desired, DesiredTaskState::Running | DesiredTaskState::Complete) && !t.state.ended());
        wanted.map(|t| shown(t, |t| (&mut t.shown, t.version), |t| task(t, &self.networks))).collect()
    }

    pub fn stopping_tasks(&self) -> Vec<Value> {
        self.tasks.values().filter(|t| !t.desired.wanted() && !t.state.ended()).map(|t| self.task(t)).collect()
    }

    /// Every task of a service that is still stored, including ended ones.
    pub fn all_tasks_of(&self, service: &str) -> Vec<Value> {
        self.tasks.values().filter(|t| t.service == service).map(|t| self.task(t)).collect()
    }

    /// One task, whatever its desired state.
    pub fn task(&self, one: &SimTask) -> Value {
        task(one, &self.networks)
    }
}

/// The cached representation of an object, or a new one if the object changed.
fn shown<T>(object: &mut T, cache: impl Fn(&mut T) -> (&mut CachedView, u64), write: impl FnOnce(&T) -> Value) -> Value {
    let (held, version) = cache(object);
    let mut held = std::mem::take(held);
    let value = held.at(version, || write(object));
    *cache(object).0 = held;
    value
}

fn task(task: &SimTask, networks: &BTreeMap<String, SimNetwork>) -> Value {
    let mut shown = json!({
        "ID": task.id,
        "Version": {"Index": task.version},
        "CreatedAt": time(task.created),
        "UpdatedAt": time(task.since),
        "Labels": *task.labels,
        "Spec": *task.spec,
        "ServiceID": task.service,
        "Status": status(task),
        "DesiredState": task.desired.word(),
    });
    if let TaskSlot::Slot(slot) = task.slot {
        shown["Slot"] = json!(slot);
    }
    if let Some(node) = &task.node {
        shown["NodeID"] = json!(node);
    }
    let attached = task.addresses.iter().filter_map(|(id, address, prefix)| {
        let network = networks.get(id)?;
        let mut spec = json!({"Name": network.name});
        if network.mesh {
            spec["Ingress"] = json!(true);
        }
        Some(json!({"Network": {"ID": id, "Spec": spec}, "Addresses": [format!("{address}/{prefix}")]}))
    });
    // A network that every node has itself appears with a name, a driver and an id that is in no list, and without an address.
    let predefined = spec::attached(&task.spec).filter_map(|id| Some((id, predefined_name(id)?))).filter(|_| task.state > TaskState::New);
    let predefined = predefined.map(|(id, name)| json!({"Network": {"ID": id, "Spec": {"Name": name}, "DriverState": {"Name": name}}}));
    let attached: Vec<Value> = attached.chain(predefined).collect();
    if !attached.is_empty() {
        shown["NetworksAttachments"] = attached.into();
    }
    shown
}

fn time(at: Millis) -> Value {
    json!(SimState::timestamp(at).to_string())
}

fn service(service: &SimService) -> Value {
    let mut shown = json!({
        "ID": service.id,
        "Version": {"Index": service.version},
        "CreatedAt": time(service.created),
        "UpdatedAt": time(service.updated),
        "Spec": *service.spec,
        "Endpoint": endpoint(service),
    });
    if let Some(previous) = &service.previous {
        shown["PreviousSpec"] = (**previous).clone();
    }
    if let Some(status) = &service.status {
        shown["UpdateStatus"] = json!({"State": status.state, "StartedAt": time(status.started), "Message": status.message});
        if let Some(completed) = status.completed {
            shown["UpdateStatus"]["CompletedAt"] = time(completed);
        }
    }
    shown
}

fn endpoint(service: &SimService) -> Value {
    let mut shown = Map::from_iter([("Spec".to_owned(), service.spec.get("EndpointSpec").cloned().unwrap_or_else(|| json!({})))]);
    if !service.ports.is_empty() {
        shown.insert("Ports".to_owned(), json!(service.ports));
    }
    if !service.vips.is_empty() {
        let ips =
            service.vips.iter().map(|(network, (address, prefix))| json!({"NetworkID": network, "Addr": format!("{address}/{prefix}")}));
        shown.insert("VirtualIPs".to_owned(), ips.collect());
    }
    Value::Object(shown)
}

fn status(task: &SimTask) -> Value {
    let mut shown = json!({"Timestamp": time(task.since), "State": task.state.word(), "Message": task.message, "PortStatus": {}});
    if !task.error.is_empty() {
        shown["Err"] = json!(task.error);
    }
    if task.state == TaskState::Running && !task.host_ports.is_empty() {
        let port = |(protocol, target, published): &(String, u64, u64)| json!({"Protocol": protocol, "TargetPort": target, "PublishedPort": published, "PublishMode": "host"});
        // First for IPv4, then for IPv6, as the engine reports them.
        shown["PortStatus"] = json!({"Ports": task.host_ports.iter().chain(&task.host_ports_ipv6).map(port).collect::<Vec<_>>()});
    }
    shown
}

fn node(node: &SimNode, release: u32) -> Value {
    let role = if node.manager { "manager" } else { "worker" };
    let mut shown = json!({
        "ID": node.id,
        "Version": {"Index": node.version},
        "Spec": {"Labels": node.labels, "Role": role, "Availability": node.availability.word()},
        "Description": {
            "Hostname": node.hostname,
            "Platform": {"Architecture": "x86_64", "OS": "linux"},
            "Engine": {"EngineVersion": format!("{release}.0.1")},
        },
        "Status": {"State": if node.up { "ready" } else { "down" }, "Addr": if node.manager { "0.0.0.0".to_owned() } else { node.address.to_string() }},
    });
    if node.manager {
        shown["ManagerStatus"] = json!({"Reachability": "reachable", "Addr": format!("{}:2377", node.address)});
    }
    shown
}

fn network(network: &SimNetwork) -> Value {
    json!({
        "Name": network.name,
        "Id": network.id,
        "Created": time(network.created),
        "Scope": "swarm",
        // Both are known only once the network is allocated.
        "Driver": if network.allocated { network.driver.as_str() } else { "" },
        "Ingress": network.mesh,
        "Labels": network.labels,
        "IPAM": {"Driver": "default", "Config": network.allocated.then(|| json!([{"Subnet": network.subnet(), "Gateway": network.gateway()}]))},
    })
}

/// A config or secret, without its content, which the port never returns.
fn file(file: &SimFile) -> Value {
    json!({
        "ID": file.id,
        "Version": {"Index": file.version},
        "CreatedAt": time(file.created),
        "UpdatedAt": time(file.created),
        "Spec": {"Name": file.name, "Labels": file.labels},
    })
}
