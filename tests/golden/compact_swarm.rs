//! A short form of a Swarm for cases that people read, and its expansion to the JSON of the Docker API. Shared by the golden
//! cases and the tests of `translate`. Uses no type of the project, so that only the real reader creates snapshots.
//!
//! ```yaml
//! networks: [shop_web, {name: mesh, routingMesh: true}, {name: bridge, driver: bridge}]
//!                             # the Nth has the subnet 10.N.0.0/16 unless `subnet: ...` (or a list) is given;
//!                             # also `range`, `gateway`, `created: MINUTE`, `internal`
//! services:
//!   - name: shop_app            # created one minute after the previous service, unless `created: MINUTE` is given
//!     labels: {hosts: app.example.org, port: 80}    # a key without a dot gets the prefix com.docker.lb.
//!     networks: [shop_web]      # ids are `id-NAME`; the service's virtual IP on the Nth network is 10.N.S.1
//!     tasks: 2                  # or a list of {state: starting, error: ..., networks: [...], node: ..., hostPorts: [30001],
//!                               # hostPortsIpv6: [30002]}, or {desired: shutdown} for one that should stop
//!     replicas: 2               # default: the number of tasks; `global: true`; `dnsrr: true`; `vips: false`
//!     hostPorts: [8080]         # target ports published in host mode; or {target: 8080, published: 80, protocol: udp}
//!     updateOrder: start-first
//!     job: true                 # a replicated job: the desired state of its tasks is `complete`
//!     hostNetwork: true         # on the host network of its nodes
//!     stack: shop               # the stack to which it belongs
//!     containerLabels: {...}    # labels on the container, where they do not belong
//!   - {proxyOf: default, name: swarmgate-proxy-default, networks: [...], tasks: 1}
//! secrets: [cert, {name: shop_cert, stack: shop, labels: {swarmgate.use-by: anyone}}]    # ids are `id-NAME`; configs likewise
//! nodes: [n1, {name: n2, address: 192.0.2.2, manager: true, labels: {swarmgate.address: 198.51.100.2}, availability: drain}]
//! ```

use serde_json::{Map, Value, json};

/// Reads one YAML document as plain values.
pub fn yaml(text: &str) -> Value {
    use saphyr::{LoadableYamlNode as _, Yaml};
    let documents = Yaml::load_from_str(text).expect("the case is YAML");
    documents.first().map_or(Value::Null, plain)
}

fn plain(node: &saphyr::Yaml<'_>) -> Value {
    if let Some(entries) = node.as_mapping() {
        let key = |key: &saphyr::Yaml<'_>| key.as_str().map_or_else(|| plain(key).to_string(), str::to_owned);
        return entries.iter().map(|(name, value)| (key(name), plain(value))).collect::<Map<_, _>>().into();
    }
    if let Some(items) = node.as_sequence() {
        return items.iter().map(plain).collect();
    }
    let number = || node.as_integer().map(Value::from);
    node.as_bool().map(Value::from).or_else(number).or_else(|| node.as_str().map(Value::from)).unwrap_or(Value::Null)
}

/// Expands the short form to API answers.
pub fn expand(compact: &Value) -> Value {
    let networks: Vec<_> = list(compact, "networks").iter().map(named).collect();
    let bridge = compact["gatewayBridge"].as_str().map(gateway_bridge);
    let nodes: Vec<_> = list(compact, "nodes").iter().map(named).collect();
    let services: Vec<_> = list(compact, "services")
        .iter()
        .enumerate()
        .map(|(at, service)| CompactService { at, given: service, networks: &networks })
        .collect();
    json!({
        "takenAt": "2026-01-01T12:00:00Z",
        "services": services.iter().map(CompactService::body).collect::<Vec<_>>(),
        "tasks": services.iter().flat_map(CompactService::tasks).collect::<Vec<_>>(),
        "nodes": nodes.iter().map(node).collect::<Vec<_>>(),
        "networks": networks.iter().enumerate().map(network).chain(bridge).collect::<Vec<_>>(),
        "configs": list(compact, "configs").iter().map(object).collect::<Vec<_>>(),
        "secrets": list(compact, "secrets").iter().map(object).collect::<Vec<_>>(),
    })
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// Treats `x` as `{name: x}`.
fn named(value: &Value) -> Value {
    if value.is_string() { json!({ "name": value }) } else { value.clone() }
}

fn id(name: &Value) -> String {
    format!("id-{}", name.as_str().expect("a name"))
}

fn node(node: &Value) -> Value {
    let manager = node["manager"] == true;
    let mut whole = json!({
        "ID": id(&node["name"]), "Description": {"Hostname": node["name"], "Platform": {"OS": "linux", "Architecture": "x86_64"}}, "Status": {"State": "ready", "Addr": node["address"]},
        "Spec": {
            "Role": if manager { "manager" } else { "worker" }, "Labels": node["labels"],
            "Availability": node["availability"].as_str().unwrap_or("active"),
        },
    });
    if manager {
        whole["ManagerStatus"] = json!({"Addr": format!("{}:2377", node["address"].as_str().unwrap_or("0.0.0.0"))});
    }
    whole
}

/// A secret or config.
fn object(object: &Value) -> Value {
    let object = named(object);
    let mut labels = object["labels"].as_object().cloned().unwrap_or_default();
    labels.extend(object["stack"].as_str().map(|stack| ("com.docker.stack.namespace".to_owned(), stack.into())));
    json!({"ID": id(&object["name"]), "CreatedAt": "2026-01-01T10:00:00Z", "Spec": {"Name": object["name"], "Labels": labels}})
}

fn network((at, network): (usize, &Value)) -> Value {
    let own = format!("10.{}.0.0/16", at + 1);
    let minute = network["created"].as_u64().unwrap_or(at as u64);
    let stated = network["subnet"].as_array().map_or_else(|| vec![network["subnet"].clone()], Clone::clone);
    let subnets = stated.iter().map(|subnet| subnet.as_str().unwrap_or(&own)).filter(|subnet| !subnet.is_empty());
    let config = |subnet: &str| json!({"Subnet": subnet, "IPRange": network["range"], "Gateway": network["gateway"]});
    json!({
        "Id": id(&network["name"]), "Name": network["name"], "Driver": network["driver"].as_str().unwrap_or("overlay"),
        "Scope": network["scope"].as_str().unwrap_or("swarm"), "Created": format!("2025-12-31T{:02}:{:02}:00Z", minute / 60, minute % 60),
        "Ingress": network["routingMesh"] == true, "Internal": network["internal"] == true, "Labels": {},
        "IPAM": {"Driver": "default", "Config": subnets.map(config).collect::<Vec<_>>()},
    })
}

/// The bridge of the manager that answers the request: `gatewayBridge: SUBNET`.
fn gateway_bridge(subnet: &str) -> Value {
    json!({"Id": "id-gwbridge", "Name": "docker_gwbridge", "Driver": "bridge", "Scope": "local", "IPAM": {"Config": [{"Subnet": subnet}]}})
}

struct CompactService<'a> {
    at: usize,
    given: &'a Value,
    networks: &'a [Value],
}

impl CompactService<'_> {
    fn body(&self) -> Value {
        let service = self.given;
        let minute = service["created"].as_u64().unwrap_or(self.at as u64);
        let (vip, wanted) = (service["dnsrr"] != true, service["replicas"].as_u64().unwrap_or(self.tasks().len() as u64));
        let mode = if service["global"] == true {
            json!({"Global": {}})
        } else if service["job"] == true {
            json!({"ReplicatedJob": {"MaxConcurrent": wanted, "TotalCompletions": wanted}})
        } else {
            json!({"Replicated": {"Replicas": wanted}})
        };
        let host = (service["hostNetwork"] == true).then(|| json!({"Target": "id-of-host"}));
        json!({
            "ID": id(&service["name"]),
            "Version": {"Index": 10 + self.at},
            "CreatedAt": format!("2026-01-01T{:02}:{:02}:00Z", minute / 60, minute % 60),
            "Spec": {
                "Name": service["name"], "Labels": self.labels(), "Mode": mode,
                "TaskTemplate": {"ContainerSpec": {"Labels": service["containerLabels"]}, "Networks": self.own_networks().map(|name| json!({"Target": id(name)})).chain(host).collect::<Vec<_>>()},
                "EndpointSpec": {"Mode": if vip { "vip" } else { "dnsrr" }, "Ports": self.ports()},
                "UpdateConfig": {"Order": service["updateOrder"].as_str().unwrap_or("start-first")},
            },
            "Endpoint": {"VirtualIPs": if vip && service["vips"] != false { self.virtual_ips() } else { json!([]) }},
        })
    }

    fn labels(&self) -> Map<String, Value> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let whole = |key: &String| if key.contains('.') { key.clone() } else { format!("com.docker.lb.{key}") };
        let written = self.given["labels"].as_object().into_iter().flatten();
        let mut labels: Map<_, _> = written.map(|(key, value)| (whole(key), text(value).into())).collect();
        labels.extend(self.given["stack"].as_str().map(|stack| ("com.docker.stack.namespace".to_owned(), stack.into())));
        if let Some(cluster) = self.given["proxyOf"].as_str() {
            let ours = [("swarmgate.owner", "test"), ("swarmgate.cluster", cluster), ("swarmgate.role", "proxy")];
            labels.extend(ours.map(|(key, value)| (key.to_owned(), value.into())));
        }
        labels
    }

    fn own_networks(&self) -> impl Iterator<Item = &Value> {
        list(self.given, "networks").iter()
    }

    fn ports(&self) -> Vec<Value> {
        let whole = |port: &Value| if port.is_object() { port.clone() } else { json!({ "target": port }) };
        let ports = list(self.given, "hostPorts").iter().map(whole);
        ports
            .map(|port| {
                let published = port["published"].as_u64().unwrap_or(0);
                let protocol = port["protocol"].as_str().unwrap_or("tcp");
                json!({"Protocol": protocol, "TargetPort": port["target"], "PublishedPort": published, "PublishMode": "host"})
            })
            .collect()
    }

    /// The ports that a task bound on its node: as stated, otherwise from 32768 upwards. Each appears twice, because the engine
    /// reports IPv4 and IPv6, with the same number unless another one is stated for IPv6.
    fn bound(&self, at: usize, task: &Value) -> Vec<Value> {
        let chosen = 32_768 + 100 * self.at as u64 + at as u64;
        let numbers =
            |stated: &[Value]| -> Vec<u64> { stated.iter().filter_map(Value::as_u64).chain(chosen..).take(self.ports().len()).collect() };
        let ipv4 = list(task, "hostPorts");
        let ipv6 = if task["hostPortsIpv6"].is_null() { ipv4 } else { list(task, "hostPortsIpv6") };
        let bind = |(mut port, number): (Value, u64)| {
            if port["PublishedPort"] == 0 {
                port["PublishedPort"] = number.into();
            }
            port
        };
        let once = self.ports().into_iter().zip(numbers(ipv4).into_iter().zip(numbers(ipv6)));
        once.flat_map(|(port, (ipv4, ipv6))| [(port.clone(), ipv4), (port, ipv6)].map(bind)).collect()
    }

    fn virtual_ips(&self) -> Value {
        let networks = self.own_networks();
        networks.map(|name| json!({"NetworkID": id(name), "Addr": format!("{}/16", self.address(name, 1))})).collect()
    }

    /// `last` is 1 for the virtual IP; tasks count from 2.
    fn address(&self, network: &Value, last: usize) -> String {
        let position = self.networks.iter().position(|known| known["name"] == *network).expect("a network that the case lists");
        format!("10.{}.{}.{last}", position + 1, self.at + 1)
    }

    fn tasks(&self) -> Vec<Value> {
        let counted = |count: u64| (0..count).map(|_| json!({})).collect();
        let tasks: Vec<Value> = self.given["tasks"].as_u64().map_or_else(|| list(self.given, "tasks").to_vec(), counted);
        tasks.iter().enumerate().map(|(at, task)| self.task(at, task)).collect()
    }

    fn task(&self, at: usize, task: &Value) -> Value {
        let own: Vec<_> = task["networks"].as_array().map_or_else(|| self.own_networks().cloned().collect(), Clone::clone);
        let attachment = |name: &Value| {
            let mesh = self.networks.iter().any(|known| known["name"] == *name && known["routingMesh"] == true);
            let address = format!("{}/16", self.address(name, at + 2));
            json!({"Network": {"ID": id(name), "Spec": {"Name": name, "Ingress": mesh}}, "Addresses": [address]})
        };
        let host = json!({"Network": {"ID": "id-of-host", "Spec": {"Name": "host"}, "DriverState": {"Name": "host"}}});
        let host = (self.given["hostNetwork"] == true).then_some(host);
        let wanted = self.own_networks().filter(|_| task["state"] == "new").map(|name| json!({"Target": id(name)}));
        json!({
            "Spec": {"Networks": wanted.collect::<Vec<_>>()},
            "ID": format!("task-{}-{}", self.given["name"].as_str().expect("a name"), at + 1),
            "ServiceID": id(&self.given["name"]),
            "NodeID": task["node"].as_str().map_or_else(|| "id-n1".to_owned(), |node| format!("id-{node}")),
            "CreatedAt": "2026-01-01T11:00:00Z",
            "DesiredState": task["desired"].as_str().unwrap_or(if self.given["job"] == true { "complete" } else { "running" }),
            "Status": {
                "State": task["state"].as_str().unwrap_or("running"), "Message": task["message"].as_str().unwrap_or_default(),
                "Err": task["error"].as_str().unwrap_or_default(), "PortStatus": {"Ports": self.bound(at, task)},
            },
            "NetworksAttachments": own.iter().map(attachment).chain(host).collect::<Vec<_>>(),
        })
    }
}
