//! Services and tasks in the format of `GET /services` and `GET /tasks`, as large as in practice.

use serde_json::{Value, json};

/// A realistic task template with this many variables.
fn template(n: usize, variables: usize) -> Value {
    let env: Vec<String> = (0..variables).map(|v| format!("SOME_VARIABLE_{v}=some value of {v} for {n}")).collect();
    json!({
        "ContainerSpec": {"Image": format!("registry.example.org/app{n}:1.2.3@sha256:{}", "ab".repeat(32)), "Env": env, "Isolation": "default",
            "Labels": {"com.docker.stack.namespace": format!("stack{n}")}, "Privileges": {"CredentialSpec": null, "SELinuxContext": null},
            "Mounts": [{"Type": "volume", "Source": "data", "Target": "/data"}]},
        "Resources": {"Limits": {"MemoryBytes": 1_000_000_000}},
        "Placement": {"Constraints": ["node.role==worker"], "Platforms": [{"Architecture": "amd64", "OS": "linux"}]},
        "Networks": [{"Target": "abcdefghijklmnopqrstuvwxy", "Aliases": ["app"]}],
        "ForceUpdate": 0,
        "Runtime": "container",
    })
}

/// A published service with this many variables.
pub fn routed(n: usize, variables: usize) -> Value {
    let labels = json!({"com.docker.lb.hosts": format!("app{n}.example.org"), "com.docker.lb.port": "8080", "com.docker.stack.namespace": format!("stack{n}")});
    let name = format!("stack{n}_app");
    json!({
        "ID": format!("service{n:018}"), "Version": {"Index": n}, "CreatedAt": "2026-01-01T00:00:00Z", "UpdatedAt": "2026-01-01T00:00:00Z",
        "Spec": {"Name": name, "Labels": labels, "TaskTemplate": template(n, variables), "Mode": {"Replicated": {"Replicas": 3}},
            "UpdateConfig": {"Parallelism": 1, "FailureAction": "pause", "Order": "start-first"}, "EndpointSpec": {"Mode": "vip"}},
        "PreviousSpec": {"Name": name, "Labels": labels, "TaskTemplate": template(n, variables)},
        "Endpoint": {"Spec": {"Mode": "vip"}, "VirtualIPs": [{"NetworkID": "abcdefghijklmnopqrstuvwxy", "Addr": "10.0.1.5/24"}]},
    })
}

/// One of the three tasks of such a service.
pub fn task(n: usize, variables: usize) -> Value {
    let network = json!({"ID": "abcdefghijklmnopqrstuvwxy", "Spec": {"Name": "net", "Labels": {}, "DriverConfiguration": {"Name": "overlay"}},
        "DriverState": {"Name": "overlay"}, "IPAMOptions": {"Configs": [{"Subnet": "10.0.1.0/24", "Gateway": "10.0.1.1"}]}});
    json!({
        "ID": format!("task{n:021}"), "Version": {"Index": n}, "CreatedAt": "2026-01-01T00:00:00Z", "UpdatedAt": "2026-01-01T00:00:00Z",
        "Labels": {}, "Spec": template(n, variables), "ServiceID": format!("service{:018}", n / 3), "Slot": 1, "NodeID": "n".repeat(25),
        "Status": {"Timestamp": "2026-01-01T00:00:00Z", "State": "running", "Message": "started", "PortStatus": {},
            "ContainerStatus": {"ContainerID": "ab".repeat(32), "PID": 1234, "ExitCode": 0}},
        "DesiredState": "running",
        "NetworksAttachments": [{"Network": network, "Addresses": ["10.0.1.6/24"]}],
    })
}
