//! Addresses, virtual IPs and ports of the routing mesh, allocated serially and released.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::model::{NetworkBehaviour, SimNetwork, SimService};
use super::spec;
use super::world::SimState;

/// The first port that the routing mesh chooses automatically.
const FIRST_PORT: u64 = 30_000;

impl SimNetwork {
    /// Allocates the next free address, but never the network's own, the gateway's or the broadcast address.
    pub fn take(&mut self) -> Option<(Ipv4Addr, u8)> {
        let size = self.size();
        for _ in 0..size.min(if self.allocated { u32::MAX } else { 0 }) {
            self.cursor = (self.cursor + 1) % size;
            if (2..size - 1).contains(&self.cursor) && self.used.insert(self.cursor) {
                return Some((Ipv4Addr::from(self.base + self.cursor), self.prefix));
            }
        }
        None
    }

    /// The number of addresses in its subnet.
    fn size(&self) -> u32 {
        1u32.checked_shl(32 - u32::from(self.prefix)).unwrap_or(u32::MAX)
    }

    /// Its subnet in CIDR notation.
    pub fn subnet(&self) -> String {
        format!("{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }

    /// The first address after the network's own.
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from(self.base.saturating_add(1))
    }

    /// Whether the two subnets overlap.
    pub fn overlaps(&self, other: &Self) -> bool {
        let shorter = u32::from(self.prefix.min(other.prefix));
        let mask = u32::MAX.checked_shl(32 - shorter).unwrap_or(0);
        self.allocated && other.allocated && self.base & mask == other.base & mask
    }

    /// Releases an address.
    pub fn give_back(&mut self, address: Ipv4Addr) {
        self.used.remove(&(u32::from(address) - self.base));
    }
}

impl SimState {
    /// Allocates what services have been waiting for; a new version indicates it.
    pub fn allocate_services(&mut self) {
        let now = self.now;
        let due = self.services.values().filter(|s| s.allocate_at.is_some_and(|at| at <= now));
        for id in due.map(|s| s.id.clone()).collect::<Vec<_>>() {
            self.allocate(&id);
        }
    }

    fn allocate(&mut self, id: &str) {
        let Some(mut service) = self.services.remove(id) else { return };
        service.allocate_at = None;
        let vips_changed = self.allocate_vips(&mut service);
        let ports = self.mesh_ports(&service);
        if vips_changed || ports != service.ports {
            service.ports = ports;
            service.version = self.bump();
            service.updated = self.now;
            self.hint("service", &format!("update {}", spec::name(&service.spec)));
        }
        self.services.insert(id.to_owned(), service);
    }

    /// Allocates one address on each network of a service in vip mode, and on the routing mesh's network if it publishes ports there.
    fn allocate_vips(&mut self, service: &mut SimService) -> bool {
        let wanted = if spec::dnsrr(&service.spec) { Vec::new() } else { self.networks_of(service) };
        let before = service.vips.len();
        let (kept, gone) = std::mem::take(&mut service.vips).into_iter().partition(|(network, _)| wanted.contains(network));
        service.vips = kept;
        self.release_vips(&gone);
        for network in wanted.iter().filter(|n| !service.vips.contains_key(*n)).cloned().collect::<Vec<_>>() {
            // A full network provides none, and reports it nowhere.
            if let Some(address) = self.networks.get_mut(&network).and_then(SimNetwork::take) {
                service.vips.insert(network, address);
            }
        }
        !gone.is_empty() || service.vips.len() != before
    }

    /// The networks that a service's tasks are attached to, the routing mesh's first.
    fn networks_of(&self, service: &SimService) -> Vec<String> {
        let endpoint = service.spec.get("EndpointSpec").unwrap_or(&Value::Null);
        let mesh = self.networks.values().filter(|n| n.mesh && spec::mesh_ports(endpoint)).map(|n| n.id.clone());
        mesh.chain(spec::attached(&service.template).map(str::to_owned)).collect()
    }

    pub fn release_vips(&mut self, vips: &BTreeMap<String, (Ipv4Addr, u8)>) {
        for (network, (address, _)) in vips {
            if let Some(network) = self.networks.get_mut(network) {
                network.give_back(*address);
            }
        }
    }

    /// Allocates addresses for a task on each of its networks; `None` if one of them is full.
    pub fn take_addresses(&mut self, service: &str) -> Option<Vec<(String, Ipv4Addr, u8)>> {
        let networks = self.services.get(service).map(|s| self.networks_of(s)).unwrap_or_default();
        let mut taken = Vec::new();
        for id in networks {
            let Some(network) = self.networks.get_mut(&id) else { continue };
            let is_full = network.behaviour == NetworkBehaviour::NoAddresses;
            let Some((address, prefix)) = (if is_full { None } else { network.take() }) else {
                self.release_addresses(&taken);
                return None;
            };
            taken.push((id, address, prefix));
        }
        Some(taken)
    }

    pub fn release_addresses(&mut self, addresses: &[(String, Ipv4Addr, u8)]) {
        for (network, address, _) in addresses {
            if let Some(network) = self.networks.get_mut(network) {
                network.give_back(*address);
            }
        }
    }

    /// Gives the load balancer of a task's node an address on each of the task's networks; if none is free, it does without.
    pub fn balance(&mut self, task: &str) {
        let Some((node, addresses)) = self.tasks.get(task).and_then(|t| Some((t.node.clone()?, t.addresses.clone()))) else { return };
        for (id, _, _) in addresses {
            let Some(network) = self.networks.get_mut(&id).filter(|n| !n.mesh && !n.balancers.contains_key(&node)) else { continue };
            if let Some((address, _)) = network.take() {
                network.balancers.insert(node.clone(), address);
            }
        }
    }

    /// Removes the load balancer of a node with the node's last task on a network.
    pub fn unbalance(&mut self, node: &str, left: &[(String, Ipv4Addr, u8)]) {
        for (id, _, _) in left {
            let on_it = |t: &super::model::SimTask| t.node.as_deref() == Some(node) && t.addresses.iter().any(|(n, _, _)| n == id);
            if self.tasks.values().any(on_it) {
                continue;
            }
            let Some(network) = self.networks.get_mut(id) else { continue };
            if let Some(address) = network.balancers.remove(node) {
                network.give_back(address);
            }
        }
    }

    /// The requested ports, with a number where the routing mesh chooses one.
    fn mesh_ports(&self, service: &SimService) -> Vec<Value> {
        let mut ports = service.spec.pointer("/EndpointSpec/Ports").and_then(Value::as_array).cloned().unwrap_or_default();
        let published = |port: &Value| port.get("PublishedPort").and_then(Value::as_u64).unwrap_or(0);
        for index in 0..ports.len() {
            if ports[index]["PublishMode"] != "host" && published(&ports[index]) == 0 {
                let kept = service.ports.get(index).filter(|old| old["TargetPort"] == ports[index]["TargetPort"]).map(published);
                let taken = |n: &u64| self.services.values().flat_map(|s| &s.ports).chain(&ports).any(|p| published(p) == *n);
                let free = kept.filter(|n| *n != 0).or_else(|| (FIRST_PORT..32_768).find(|n| !taken(n)));
                ports[index]["PublishedPort"] = json!(free.unwrap_or(FIRST_PORT));
            }
        }
        ports
    }
}
