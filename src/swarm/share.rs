//! A snapshot that may be shown to others: only what routes are made from. Keeps named fields and drops all others, so
//! that what is not known here (environments, commands, contents, other programs' labels) never gets out.

use serde_json::{Map, Value};

use super::RawSnapshot;

/// Fields of services, by path.
const SERVICE: &[&str] = &[
    "ID",
    "Version",
    "CreatedAt",
    "Spec.Name",
    "Spec.Labels",
    "Spec.Mode",
    "Spec.TaskTemplate.Networks.Target",
    "Spec.Networks.Target",
    "Spec.EndpointSpec",
    "Spec.UpdateConfig.Order",
    "Endpoint.Ports",
    "Endpoint.VirtualIPs",
    "UpdateStatus",
];
const TASK: &[&str] = &[
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
];
const NODE: &[&str] =
    &["ID", "Description.Hostname", "Status.State", "Status.Addr", "Spec.Role", "Spec.Availability", "Spec.Labels", "ManagerStatus.Addr"];
const NETWORK: &[&str] = &["Id", "ID", "Name", "Driver", "Scope", "Ingress", "Labels"];
/// Of configs and secrets: never the content.
const OBJECT: &[&str] = &["ID", "CreatedAt", "Spec.Name", "Spec.Labels"];

/// Labels that routes are made from begin so (in any case: a slip is told, too).
const LABELS_KEPT: &[&str] =
    &["com.docker.lb.", "com.docker.network", "com.docker.stack.namespace", "com.docker.ucp.access.label", "swarmgate."];

impl RawSnapshot {
    /// The same with nothing in it that routes are not made from.
    #[must_use]
    pub fn shareable(&self) -> Self {
        let all = |objects: &[Value], fields: &[&str]| -> Vec<Value> { objects.iter().map(|object| kept(object, fields)).collect() };
        let mut shared = Self {
            taken_at: self.taken_at,
            services: all(&self.services, SERVICE),
            tasks: all(&self.tasks, TASK),
            nodes: all(&self.nodes, NODE),
            networks: all(&self.networks, NETWORK),
            configs: all(&self.configs, OBJECT),
            secrets: all(&self.secrets, OBJECT),
        };
        let labelled = shared.services.iter_mut().chain(&mut shared.configs).chain(&mut shared.secrets);
        labelled.filter_map(|object| object.pointer_mut("/Spec/Labels")).for_each(keep_ours);
        shared.networks.iter_mut().filter_map(|network| network.get_mut("Labels")).for_each(keep_ours);
        shared
    }
}

/// What the paths name, of an object or of each object of a list.
fn kept(value: &Value, paths: &[&str]) -> Value {
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

fn keep_ours(labels: &mut Value) {
    if let Value::Object(labels) = labels {
        let ours = |key: &str| LABELS_KEPT.iter().any(|kept| key.trim().to_ascii_lowercase().starts_with(kept));
        labels.retain(|key, _| ours(key));
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::RawSnapshot;

    #[test]
    fn what_routes_are_not_made_from_is_left_out() {
        let secret = "hunter2";
        let snapshot = RawSnapshot {
            taken_at: Timestamp::UNIX_EPOCH,
            services: vec![json!({
                "ID": "s1", "Version": {"Index": 7}, "CreatedAt": "2026-01-01T00:00:00Z",
                "Spec": {
                    "Name": "app", "Labels": {"com.docker.lb.port": "80", " Com.Docker.LB.hosts": "x", "traefik.auth": secret},
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
            configs: vec![json!({"ID": "c1", "Spec": {"Name": "c", "Data": secret, "Labels": {"swarmgate.owner": "o"}}})],
            secrets: vec![json!({"ID": "k1", "Spec": {"Name": "k", "Data": secret, "Labels": {
                "x": secret, "com.docker.stack.namespace": "shop", "com.docker.ucp.access.label": "/Shared/shop", "swarmgate.use-by": "stack:shop",
            }}})],
        };
        let shared = snapshot.shareable();
        let text = serde_json::to_string(&shared).unwrap();
        assert!(!text.contains(secret), "{text}");
        let labels = json!({"com.docker.lb.port": "80", " Com.Docker.LB.hosts": "x"});
        assert_eq!(shared.services[0]["Spec"]["Labels"], labels);
        assert_eq!(shared.services[0]["Spec"]["TaskTemplate"]["Networks"], json!([{"Target": "n1"}]));
        assert_eq!(shared.tasks[0]["NetworksAttachments"], snapshot.tasks[0]["NetworksAttachments"]);
        let grants = json!({
            "com.docker.stack.namespace": "shop", "com.docker.ucp.access.label": "/Shared/shop", "swarmgate.use-by": "stack:shop",
        });
        assert_eq!(shared.secrets[0]["Spec"]["Labels"], grants, "who may use a secret is decided from them");
        assert_eq!(shared.shareable(), shared, "nothing more to leave out");
    }
}
