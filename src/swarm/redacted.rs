//! A snapshot that may be shown to other people: only the Swarm objects from which routes are computed. Keeps an explicit list
//! of fields and drops all others, so that anything not listed (environments, commands, contents, other programs' labels) never
//! gets out, and contains only objects that labels or documents name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::RawSnapshot;
use super::model::{GATEWAY_BRIDGE, HELD_BY_OTHERS, STACK};
use crate::types::{without_invisible, without_private_key};

/// Fields of services, by path.
const SERVICE: &[&str] = &[
    "ID",
    "Version",
    "CreatedAt",
    "Spec.Name",
    "Spec.Labels",
    "Spec.Mode",
    "Spec.TaskTemplate.Networks.Target",
    "Spec.TaskTemplate.ContainerSpec.Labels",
    "Spec.Networks.Target",
    "Spec.EndpointSpec",
    "Spec.UpdateConfig.Order",
    "Endpoint.Ports",
    "Endpoint.VirtualIPs",
    "UpdateStatus",
];
/// Fields of tasks: also what an operator stores of tasks that are not its own (`dropped_fields`).
pub(super) const TASK: &[&str] = &[
    "ID",
    "ServiceID",
    "NodeID",
    "CreatedAt",
    "DesiredState",
    "Status.State",
    "Status.Message",
    "Status.Err",
    "Status.Timestamp",
    "Status.PortStatus",
    "NetworksAttachments.Addresses",
    "NetworksAttachments.Network.ID",
    "NetworksAttachments.Network.Spec.Name",
    "NetworksAttachments.Network.Spec.Ingress",
    "NetworksAttachments.Network.Spec.DriverConfiguration.Name",
    "NetworksAttachments.Network.DriverState.Name",
];
const NODE: &[&str] = &[
    "ID",
    "Description.Hostname",
    "Description.Platform",
    "Status.State",
    "Status.Addr",
    "Spec.Role",
    "Spec.Availability",
    "Spec.Labels",
    "ManagerStatus.Addr",
];
const NETWORK: &[&str] = &[
    "Id",
    "ID",
    "Name",
    "Driver",
    "Scope",
    "Created",
    "Internal",
    "Ingress",
    "Labels",
    "IPAM.Config.Subnet",
    "IPAM.Config.IPRange",
    "IPAM.Config.Gateway",
    "IPAM.Config.AuxiliaryAddresses",
    HELD_BY_OTHERS,
];
/// Fields of configs and secrets: never the content.
const OBJECT: &[&str] = &["ID", "CreatedAt", "Spec.Name", "Spec.Labels"];

/// Prefixes of the labels from which routes are computed, compared case-insensitively: a misspelt label is reported, too.
const LABELS_KEPT: &[&str] = &[LB, OURS, "com.docker.network", "com.docker.stack.namespace", "com.docker.ucp.access.label"];
/// A service with a label of this prefix opts in to Swarmgate, or was created by it.
const LB: &str = "com.docker.lb.";
const OURS: &str = "swarmgate.";

/// Whether a service may be shown to others: it has a label for Swarmgate (however misspelt), or is one of Swarmgate's own.
pub fn is_disclosed(labels: &BTreeMap<String, String>) -> bool {
    labels.keys().any(|key| is_for_us(key))
}

fn is_for_us(key: &str) -> bool {
    begins(key, &[LB, OURS])
}

/// The labels by which the operator recognizes its own objects: other people have no legitimate use for them.
const WITHHELD: &[&str] = &["swarmgate.seal", "swarmgate.token-sha256"];

fn begins(key: &str, with: &[&str]) -> bool {
    let key = without_invisible(key).trim().to_ascii_lowercase();
    with.iter().any(|kept| key.starts_with(kept))
}

impl RawSnapshot {
    /// A copy with only what routes are computed from: services that have labels for Swarmgate or are its own, with their tasks
    /// and networks, and the secrets, configs and networks that labels name. `documents`: the names of objects that documents
    /// name.
    #[must_use]
    pub fn shareable(&self, documents: &BTreeSet<String>) -> Self {
        let services: Vec<Value> = self.services.iter().filter(|service| is_shown(service)).map(|one| kept(one, SERVICE)).collect();
        let ids: BTreeSet<&str> = services.iter().filter_map(|service| text(service, "/ID")).collect();
        let named = NamedObjects::by(&services, documents);
        let disclosed = |objects: &[Value], fields: &[&str], wanted: &dyn Fn(&Value) -> bool| -> Vec<Value> {
            objects.iter().filter(|object| wanted(object)).map(|object| kept(object, fields)).collect()
        };
        let object = |object: &Value| is_ours(object, "/Spec/Labels") || text(object, "/Spec/Name").is_some_and(|name| named.has(name));
        let mut shared = Self {
            taken_at: self.taken_at,
            tasks: disclosed(&self.tasks, TASK, &|task| text(task, "/ServiceID").is_some_and(|id| ids.contains(id))),
            nodes: disclosed(&self.nodes, NODE, &|_| true),
            networks: disclosed(&self.networks, NETWORK, &|network| named.has_network(network)),
            configs: disclosed(&self.configs, OBJECT, &object),
            secrets: disclosed(&self.secrets, OBJECT, &object),
            services: Vec::new(),
        };
        let held = held_by_others(self, &ids);
        shared.networks.iter_mut().for_each(|network| write_held(network, &held));
        let shown_ports = ports_of(&services);
        let others = others(&self.services, &shown_ports);
        shared.tasks.extend(others_tasks(&self.tasks, &ids, &shown_ports));
        shared.services = services.into_iter().chain(others).collect();
        let of_containers = shared.services.iter_mut().filter_map(|service| service.pointer_mut("/Spec/TaskTemplate/ContainerSpec/Labels"));
        of_containers.for_each(|labels| keep_labels(labels, &[LB]));
        let labelled = shared.services.iter_mut().chain(&mut shared.configs).chain(&mut shared.secrets);
        labelled.filter_map(|object| object.pointer_mut("/Spec/Labels")).for_each(|labels| keep_labels(labels, LABELS_KEPT));
        shared.nodes.iter_mut().filter_map(|node| node.pointer_mut("/Spec/Labels")).for_each(|labels| keep_labels(labels, &[OURS]));
        shared.networks.iter_mut().filter_map(|network| network.get_mut("Labels")).for_each(|labels| keep_labels(labels, LABELS_KEPT));
        shared
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn labels_of(service: &Value) -> Option<&Map<String, Value>> {
    service.pointer("/Spec/Labels").and_then(Value::as_object)
}

fn keys<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a str> {
    object.pointer(pointer).and_then(Value::as_object).into_iter().flat_map(|labels| labels.keys().map(String::as_str))
}

fn is_shown(service: &Value) -> bool {
    keys(service, "/Spec/Labels").any(is_for_us)
}

fn is_ours(object: &Value, labels: &str) -> bool {
    keys(object, labels).any(|key| begins(key, &["swarmgate.owner"]))
}

/// The objects that labels and documents name, and the networks of the services that are shown (ids, or names on old services).
struct NamedObjects {
    names: BTreeSet<String>,
    networks: BTreeSet<String>,
}

impl NamedObjects {
    fn by(services: &[Value], documents: &BTreeSet<String>) -> Self {
        let list = |service: &Value, pointer: &str| service.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
        let attached = services.iter().flat_map(|service| {
            let templates = ["/Spec/TaskTemplate/Networks", "/Spec/Networks"].map(|pointer| list(service, pointer)).concat();
            let targets = templates.into_iter().filter_map(|network| Some(network.get("Target")?.as_str()?.to_owned()));
            let addresses = list(service, "/Endpoint/VirtualIPs").into_iter();
            targets.chain(addresses.filter_map(|address| Some(address.get("NetworkID")?.as_str()?.to_owned()))).collect::<Vec<_>>()
        });
        let names = services.iter().flat_map(named_in_labels).chain(documents.iter().cloned());
        Self { networks: attached.collect(), names: names.collect() }
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Includes the routing mesh, which every Swarm has.
    fn has_network(&self, network: &Value) -> bool {
        let id = text(network, "/Id").or_else(|| text(network, "/ID")).unwrap_or_default();
        let name = text(network, "/Name").unwrap_or_default();
        let mesh = network.get("Ingress").and_then(Value::as_bool).unwrap_or_default();
        let attached = self.networks.contains(id) || self.networks.contains(name);
        let bridge = name == GATEWAY_BRIDGE && text(network, "/Scope") == Some("local");
        mesh || bridge || attached || self.has(id) || self.has(name) || is_ours(network, "/Labels")
    }
}

/// Every word in a service's labels that could be the name of an object, as it is and as a name within the service's stack.
fn named_in_labels(service: &Value) -> Vec<String> {
    let values = labels_of(service).into_iter().flatten().filter(|(key, _)| is_for_us(key)).filter_map(|(_, value)| value.as_str());
    let no_name = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    let words: BTreeSet<&str> = values.flat_map(|value| value.split(no_name)).filter(|word| !word.is_empty()).collect();
    let stack = labels_of(service).and_then(|labels| labels.get(STACK)).and_then(Value::as_str);
    words.iter().flat_map(|word| [Some((*word).to_owned()), stack.map(|stack| format!("{stack}_{word}"))]).flatten().collect()
}

/// The ports that shown services publish, and those in their labels, because a service on its node's own network publishes
/// nothing but listens there.
fn ports_of(shown: &[Value]) -> BTreeSet<u64> {
    let labelled = |service: &Value| {
        let port = labels_of(service)?.iter().find(|(key, _)| begins(key, &["com.docker.lb.port"]))?.1;
        port.as_str()?.trim().parse::<u64>().ok()
    };
    shown.iter().flat_map(|service| published_ports(service, &["host", "ingress"])).chain(shown.iter().filter_map(labelled)).collect()
}

/// Reads ports as the parser does: the ports as Swarm assigned them, else the requested ones. Only ports with one of these modes.
fn published_ports(service: &Value, modes: &[&str]) -> BTreeSet<u64> {
    let given = ["/Endpoint/Ports", "/Spec/EndpointSpec/Ports"];
    let ports = given.iter().filter_map(|pointer| service.pointer(pointer)?.as_array()).find(|ports| !ports.is_empty());
    let of_mode = |port: &&Value| modes.contains(&port.get("PublishMode").and_then(Value::as_str).unwrap_or("ingress"));
    let published = ports.into_iter().flatten().filter(of_mode).filter_map(|port| port.get("PublishedPort")?.as_u64());
    published.filter(|port| *port != 0).collect()
}

/// Represents all services that are not shown as one without a name, for the one property of theirs on which routes depend: a
/// port that a shown service publishes on its nodes (or listens on there) and another service publishes, too, may belong to
/// either.
fn others(all: &[Value], shown_ports: &BTreeSet<u64>) -> Option<Value> {
    let taken = |mode: &'static str| {
        let ports = all.iter().filter(|service| !is_shown(service)).flat_map(move |service| published_ports(service, &[mode]));
        let taken: BTreeSet<u64> = ports.filter(|port| shown_ports.contains(port)).collect();
        taken.into_iter().map(move |port| published(port, mode))
    };
    let list: Vec<Value> = taken("host").chain(taken("ingress")).collect();
    (!list.is_empty()).then(|| json!({"ID": OTHERS, "Spec": {"Name": ""}, "Endpoint": {"Ports": list}}))
}

/// The nodes on which tasks of services that are not shown have such ports.
fn others_tasks(all: &[Value], shown: &BTreeSet<&str>, shown_ports: &BTreeSet<u64>) -> Vec<Value> {
    let mut taken = BTreeSet::new();
    for task in all.iter().filter(|task| text(task, "/ServiceID").is_none_or(|id| !shown.contains(id))) {
        let ports = task.pointer("/Status/PortStatus/Ports").and_then(Value::as_array).into_iter().flatten();
        let ports = ports.filter_map(|port| port.get("PublishedPort")?.as_u64()).filter(|port| shown_ports.contains(port));
        taken.extend(ports.filter_map(|port| Some((text(task, "/NodeID")?, port))));
    }
    let task = |(at, (node, port)): (usize, (&str, u64))| {
        let ports = json!({"Ports": [published(port, "host")]});
        json!({"ID": format!("{OTHERS}-{at}"), "ServiceID": OTHERS, "NodeID": node, "Status": {"PortStatus": ports}})
    };
    taken.into_iter().enumerate().map(task).collect()
}

/// The id that represents all services that are not shown.
const OTHERS: &str = "others";

fn published(port: u64, mode: &str) -> Value {
    json!({"Protocol": "tcp", "TargetPort": port, "PublishedPort": port, "PublishMode": mode})
}

/// How many addresses on each network the omitted tasks and services hold, and on which nodes: whether there is room for the
/// proxies depends on it. Nothing else is disclosed about them.
fn held_by_others(snapshot: &RawSnapshot, disclosed: &BTreeSet<&str>) -> BTreeMap<String, (u64, BTreeSet<String>)> {
    let mut held = BTreeMap::<String, (u64, BTreeSet<String>)>::new();
    let list = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    let is_known = |object: &Value, pointer: &str| text(object, pointer).is_some_and(|id| disclosed.contains(id));
    for task in snapshot.tasks.iter().filter(|task| !is_known(task, "/ServiceID")) {
        for attachment in list(task, "/NetworksAttachments") {
            let Some(network) = text(&attachment, "/Network/ID") else { continue };
            let (addresses, nodes) = held.entry(network.to_owned()).or_default();
            *addresses += list(&attachment, "/Addresses").len() as u64;
            nodes.extend(text(task, "/NodeID").map(str::to_owned));
        }
    }
    for service in snapshot.services.iter().filter(|service| !is_known(service, "/ID")) {
        for address in list(service, "/Endpoint/VirtualIPs") {
            let Some(network) = text(&address, "/NetworkID") else { continue };
            held.entry(network.to_owned()).or_default().0 += 1;
        }
    }
    held
}

/// A value that is already present comes from a snapshot that was shared before.
fn write_held(network: &mut Value, held: &BTreeMap<String, (u64, BTreeSet<String>)>) {
    let id = text(network, "/Id").or_else(|| text(network, "/ID")).unwrap_or_default();
    let Some((addresses, nodes)) = held.get(id) else { return };
    let nodes: Vec<&String> = nodes.iter().collect();
    network[HELD_BY_OTHERS] = json!({"Addresses": addresses, "Nodes": nodes});
}

/// Keeps only the fields at these paths, of an object or of each object of a list.
pub(super) fn kept(value: &Value, paths: &[&str]) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| kept(item, paths)).collect(),
        Value::Object(fields) => {
            fields.iter().filter_map(|(name, field)| Some((name.clone(), kept_field(name, field, paths)?))).collect::<Map<_, _>>().into()
        }
        _ => Value::Null,
    }
}

fn kept_field(name: &str, field: &Value, paths: &[&str]) -> Option<Value> {
    if paths.contains(&name) {
        return Some(field.clone());
    }
    let below: Vec<&str> = paths.iter().filter_map(|path| path.strip_prefix(name)?.strip_prefix('.')).collect();
    (!below.is_empty()).then(|| kept(field, &below))
}

fn keep_labels(labels: &mut Value, with: &[&str]) {
    if let Value::Object(labels) = labels {
        labels.retain(|key, _| begins(key, with) && !WITHHELD.contains(&key.trim()));
        for value in labels.values_mut() {
            if let Value::String(text) = value {
                *value = without_private_key(text).into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_inputs_of_routes_are_kept() {
        let secret = "hunter2";
        let snapshot = RawSnapshot {
            taken_at: Timestamp::UNIX_EPOCH,
            services: vec![json!({
                "ID": "s1", "Version": {"Index": 7}, "CreatedAt": "2026-01-01T00:00:00Z",
                "Spec": {
                    "Name": "app", "Labels": {"com.docker.lb.ssl_cert": "k", " Com.Docker.LB.hosts": "x", "traefik.auth": secret},
                    "TaskTemplate": {
                        "ContainerSpec": {"Image": "app", "Env": [secret], "Args": [secret], "Labels": {"a": secret}},
                        "Networks": [{"Target": "n1", "Aliases": [secret]}],
                    },
                    "Mode": {"Replicated": {"Replicas": 2}},
                },
                "PreviousSpec": {"Name": secret},
                "Endpoint": {"VirtualIPs": [{"NetworkID": "n1", "Addr": "10.0.0.2/24"}]},
            })],
            tasks: vec![json!({
                "ID": "t1", "ServiceID": "s1", "Spec": {"ContainerSpec": {"Env": [secret]}}, "DesiredState": "running",
                "Status": {"State": "running", "ContainerStatus": {"ContainerID": secret}},
                "NetworksAttachments": [{"Network": {"ID": "n1", "Spec": {"Name": "web"}}, "Addresses": ["10.0.0.3/24"]}],
            })],
            nodes: vec![json!({"ID": "m1", "Description": {"Hostname": "m1", "TLSInfo": secret}})],
            networks: vec![json!({"Id": "n1", "Name": "web", "Driver": "overlay", "Labels": {"x": secret}})],
            configs: vec![
                json!({"ID": "c1", "Spec": {"Name": "c", "Data": secret, "Labels": {"swarmgate.owner": "o", "swarmgate.seal": secret}}}),
            ],
            secrets: vec![json!({"ID": "k1", "Spec": {"Name": "k", "Data": secret, "Labels": {
                "x": secret, "com.docker.stack.namespace": "shop", "com.docker.ucp.access.label": "/Shared/shop", "swarmgate.use-by": "stack:shop",
            }}})],
        };
        let shared = snapshot.shareable(&BTreeSet::new());
        let text = serde_json::to_string(&shared).unwrap();
        assert!(!text.contains(secret), "{text}");
        let labels = json!({"com.docker.lb.ssl_cert": "k", " Com.Docker.LB.hosts": "x"});
        assert_eq!(shared.services[0]["Spec"]["Labels"], labels);
        assert_eq!(shared.services[0]["Spec"]["TaskTemplate"]["Networks"], json!([{"Target": "n1"}]));
        assert_eq!(shared.tasks[0]["NetworksAttachments"], snapshot.tasks[0]["NetworksAttachments"]);
        let grants = json!({
            "com.docker.stack.namespace": "shop", "com.docker.ucp.access.label": "/Shared/shop", "swarmgate.use-by": "stack:shop",
        });
        assert_eq!(shared.secrets[0]["Spec"]["Labels"], grants, "they decide who may use a secret");
        assert_eq!(shared.shareable(&BTreeSet::new()), shared, "nothing else to omit");
    }

    /// Other owners' objects, each with a name that must not get out, beside a service with labels.
    fn neighbours() -> RawSnapshot {
        let service = |id: &str, name: &str, network: &str, labels: Value, port: u16| {
            json!({
                "ID": id, "Spec": {"Name": name, "Labels": labels, "TaskTemplate": {"Networks": [{"Target": network}]}},
                "Endpoint": {"Ports": [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": port, "PublishMode": "host"}]},
            })
        };
        let task = |id: &str, service: &str| json!({"ID": id, "ServiceID": service, "Status": {"Err": format!("words about {id}")}});
        let object = |id: &str, name: &str, labels: Value| json!({"ID": id, "Spec": {"Name": name, "Labels": labels}});
        let network = |id: &str, name: &str, labels: Value| json!({"Id": id, "Name": name, "Labels": labels, "Driver": "overlay"});
        let labels = json!({"com.docker.lb.hosts": "a.example.org", "com.docker.lb.ssl_cert": "cert", STACK: "shop"});
        RawSnapshot {
            taken_at: jiff::Timestamp::UNIX_EPOCH,
            services: vec![
                service("s1", "app", "n1", labels, 8000),
                service("foreign-s", "foreign-service", "foreign-n", json!({"traefik.enable": "true"}), 8000),
                service("foreign-t", "foreign-other", "n1", json!({}), 9000),
                service("p1", "proxy", "n2", json!({"swarmgate.owner": "swarmgate"}), 80),
            ],
            tasks: vec![task("t1", "s1"), task("foreign-task", "foreign-s")],
            nodes: vec![
                json!({"ID": "m", "Description": {"Hostname": "m"}, "Spec": {"Labels": {"foreign-label": "1", "swarmgate.address": "192.0.2.1"}}}),
            ],
            networks: vec![
                network("n1", "apps", json!({})),
                network("n2", "control", json!({"swarmgate.owner": "swarmgate"})),
                network("n3", "declared", json!({})),
                network("foreign-n", "foreign-network", json!({})),
                json!({"Id": "mesh", "Name": "ingress", "Ingress": true}),
            ],
            configs: vec![object("c1", "ours", json!({"swarmgate.owner": "swarmgate"})), object("foreign-c", "foreign-config", json!({}))],
            secrets: vec![
                object("k1", "shop_cert", json!({})),
                object("k2", "cert", json!({})),
                object("foreign-k", "foreign_cert", json!({})),
                object("foreign-l", "foreign-db-password", json!({"com.docker.stack.namespace": "foreign-stack"})),
            ],
        }
    }

    #[test]
    fn only_objects_that_labels_or_documents_name_are_shown() {
        let shared = neighbours().shareable(&["declared".to_owned()].into());
        let text = serde_json::to_string(&shared).unwrap();
        assert!(!text.contains("foreign"), "{text}");
        let ids = |objects: &[Value]| -> Vec<String> {
            let id = |object: &Value| object.get("Id").or_else(|| object.get("ID")).and_then(Value::as_str).map(str::to_owned);
            objects.iter().filter_map(id).collect()
        };
        assert_eq!(ids(&shared.services), ["s1", "p1", "others"]);
        assert_eq!(ids(&shared.tasks), ["t1"]);
        assert_eq!(ids(&shared.networks), ["n1", "n2", "n3", "mesh"]);
        assert_eq!(ids(&shared.configs), ["c1"]);
        assert_eq!(ids(&shared.secrets), ["k1", "k2"]);
        assert_eq!(shared.nodes[0]["Spec"]["Labels"], json!({"swarmgate.address": "192.0.2.1"}));
        // Port 8000 is also published by another service; port 9000 is irrelevant.
        let ports = json!([{"Protocol": "tcp", "TargetPort": 8000, "PublishedPort": 8000, "PublishMode": "host"}]);
        assert_eq!(shared.services[2]["Endpoint"]["Ports"], ports);
        assert_eq!(shared.shareable(&["declared".to_owned()].into()), shared, "nothing else to omit");
        assert!(crate::swarm::Snapshot::from_raw(&shared).is_ok());
    }
}
