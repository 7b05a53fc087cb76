//! What individual calls do, and what they refuse.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use serde_json::{Value, json};
use swarmgate::swarm::SwarmErrorKind;
use swarmgate::types::{ConfigId, NetworkId, SecretId, ServiceId};

use super::test_swarm::{TestSwarm, owner};

pub async fn an_update_of_an_older_version_is_out_of_sequence(bench: &TestSwarm) {
    let id = bench.create(&bench.spec("a", 0)).await;
    let before = bench.service(&id).await;
    bench.edit(&id, |s| s["Labels"]["a"] = json!("b")).await;
    let error = bench.port().update_service(&id, before.version, &before.spec).await.unwrap_err();
    assert_eq!(error.kind, SwarmErrorKind::OutOfSequence);
    assert_eq!(bench.service(&id).await.labels.len(), 1);
}

pub async fn objects_that_do_not_exist_are_not_found(bench: &TestSwarm) {
    let none = "0123456789abcdefghijklmno".to_owned();
    let kinds = [
        bench.port().remove_service(&ServiceId(none.clone())).await.unwrap_err().kind,
        bench.port().remove_config(&ConfigId(none.clone())).await.unwrap_err().kind,
        bench.port().remove_secret(&SecretId(none.clone())).await.unwrap_err().kind,
        bench.port().remove_network(&NetworkId(none.clone())).await.unwrap_err().kind,
        bench.port().update_service(&ServiceId(none), 1, &bench.spec("a", 0)).await.unwrap_err().kind,
        create_error(bench, |s| s["TaskTemplate"]["Networks"] = json!([{"Target": "there-is-no-such-network"}])).await,
    ];
    assert_eq!(kinds, [SwarmErrorKind::NotFound; 6]);
}

pub async fn a_duplicate_name_is_rejected(bench: &TestSwarm) {
    bench.create(&bench.spec("a", 0)).await;
    bench.config("c", b"x").await;
    bench.network("n").await;
    let network = json!({"Name": bench.name("n"), "Driver": "overlay"});
    bench.port().create_secret(&bench.name("s"), &owner(), b"x").await.unwrap();
    let kinds = [
        bench.port().create_service(&bench.spec("a", 1)).await.unwrap_err().kind,
        bench.port().create_config(&bench.name("c"), &owner(), b"y").await.unwrap_err().kind,
        bench.port().create_secret(&bench.name("s"), &owner(), b"y").await.unwrap_err().kind,
        bench.port().create_network(&network).await.unwrap_err().kind,
    ];
    assert_eq!(kinds, [SwarmErrorKind::NameTaken; 4]);
}

fn reference(id: &ConfigId, name: &str, file: &str) -> Value {
    json!({"ConfigID": id.0, "ConfigName": name, "File": {"Name": file, "UID": "0", "GID": "0", "Mode": 292}})
}

pub async fn objects_in_use_cannot_be_removed(bench: &TestSwarm) {
    let (config, network) = (bench.config("c", b"x").await, bench.network("n").await);
    let mut spec = bench.spec("a", 0);
    spec["TaskTemplate"]["ContainerSpec"]["Configs"] = json!([reference(&config, &bench.name("c"), "/c")]);
    spec["TaskTemplate"]["Networks"] = json!([{"Target": network.0}]);
    let id = bench.create(&spec).await;
    assert_eq!(bench.port().remove_config(&config).await.unwrap_err().kind, SwarmErrorKind::InUse);
    assert_eq!(bench.port().remove_network(&network).await.unwrap_err().kind, SwarmErrorKind::InUse);
    bench
        .edit(&id, |s| {
            s["TaskTemplate"]["ContainerSpec"]["Configs"] = json!([]);
            s["TaskTemplate"]["Networks"] = json!([]);
        })
        .await;
    // The previous spec still refers to both, which does not prevent their removal.
    bench.port().remove_config(&config).await.unwrap();
    bench.remove_network_once_free(&network).await;
}

pub async fn data_sizes_are_limited(bench: &TestSwarm) {
    let swarm = bench.port();
    let config =
        async |size: usize| swarm.create_config(&bench.name(&format!("c{size}")), &owner(), &vec![b'x'; size]).await.map_err(|e| e.kind);
    let secret =
        async |size: usize| swarm.create_secret(&bench.name(&format!("s{size}")), &owner(), &vec![b'x'; size]).await.map_err(|e| e.kind);
    assert!(config(1_023_999).await.is_ok());
    assert!(secret(511_999).await.is_ok());
    let refused = [
        config(0).await.unwrap_err(),
        config(1_024_000).await.unwrap_err(),
        secret(0).await.unwrap_err(),
        secret(512_000).await.unwrap_err(),
    ];
    assert_eq!(refused, [SwarmErrorKind::Invalid; 4]);
}

pub async fn name_lengths_are_limited(bench: &TestSwarm) {
    let filled = |length: usize| format!("{:x<length$}", bench.name(""));
    let config = async |name: String| bench.port().create_config(&name, &owner(), b"x").await.map(|_| ()).map_err(|e| e.kind);
    assert_eq!(config(filled(64)).await, Ok(()));
    assert_eq!(config(filled(65)).await, Err(SwarmErrorKind::Invalid));
    assert_eq!(config(bench.name("-")).await, Err(SwarmErrorKind::Invalid));
    assert_eq!(create_error(bench, |s| s["Name"] = json!(filled(64))).await, SwarmErrorKind::Invalid);
    assert_eq!(create_error(bench, |s| s["Name"] = json!("a.b")).await, SwarmErrorKind::Invalid);
}

async fn create_error(bench: &TestSwarm, spoil: impl Fn(&mut Value)) -> SwarmErrorKind {
    let mut spec = bench.spec("spoilt", 0);
    spoil(&mut spec);
    bench.port().create_service(&spec).await.unwrap_err().kind
}

pub async fn a_labelled_config_is_found_only_by_its_exact_name(bench: &TestSwarm) {
    let stack = bench.name("").trim_end_matches('-').to_owned();
    let none = BTreeMap::new();
    let mut ids = Vec::new();
    for name in ["ca", "cab", "own_ca"] {
        let name = if name == "own_ca" { format!("{stack}_ca") } else { bench.name(name) };
        ids.push(bench.port().create_config(&name, &none, b"x").await.unwrap());
    }
    let seen = async || bench.snapshot().await.configs.keys().filter(|id| ids.contains(id)).cloned().collect::<BTreeSet<_>>();
    let naming = |name: &str, value: String, stack: &str| {
        let mut spec = bench.spec(name, 0);
        spec["Labels"] = json!({"com.docker.lb.ssl_backend_tls_verify": value, "com.docker.stack.namespace": stack});
        spec
    };
    assert_eq!(seen().await, BTreeSet::new());
    // A name that only begins like one, an id, and the beginning of an id.
    for (name, value) in [("a", bench.name("c")), ("b", ids[1].0.clone()), ("c", ids[1].0[..5].to_owned())] {
        bench.create(&naming(name, value, "")).await;
    }
    assert_eq!(seen().await, BTreeSet::new());
    bench.create(&naming("d", bench.name("ca"), "")).await;
    assert_eq!(seen().await, BTreeSet::from([ids[0].clone()]));
    bench.create(&naming("e", "ca".to_owned(), &stack)).await;
    assert_eq!(seen().await, BTreeSet::from([ids[0].clone(), ids[2].clone()]));
    for id in &ids {
        bench.port().remove_config(id).await.unwrap();
    }
    assert_eq!(seen().await, BTreeSet::new());
}

pub async fn an_invalid_spec_is_rejected(bench: &TestSwarm) {
    let config = bench.config("c", b"x").await;
    let name = bench.name("c");
    let configs = |s: &mut Value, list: Value| s["TaskTemplate"]["ContainerSpec"]["Configs"] = list;
    let constraint = |s: &mut Value, text: &str| s["TaskTemplate"]["Placement"] = json!({"Constraints": [text]});
    let refused = [
        create_error(bench, |s| s["TaskTemplate"]["ContainerSpec"]["Image"] = json!("")).await,
        create_error(bench, |s| constraint(s, "node.role=worker")).await,
        create_error(bench, |s| constraint(s, "node.labels.a==b,c")).await,
        create_error(bench, |s| configs(s, json!([reference(&config, "another-name", "/c")]))).await,
        create_error(bench, |s| configs(s, json!([reference(&ConfigId("none".to_owned()), &name, "/c")]))).await,
        create_error(bench, |s| configs(s, json!([reference(&config, &name, "/c"), reference(&config, &name, "/c")]))).await,
        create_error(bench, |s| s["EndpointSpec"] = json!({"Mode": "dnsrr", "Ports": [{"TargetPort": 80, "PublishedPort": 8099}]})).await,
        create_error(bench, |s| s["TaskTemplate"]["Networks"] = json!([{"Target": "ingress"}])).await,
    ];
    assert_eq!(refused, [SwarmErrorKind::Invalid; 8]);
    let id = bench.create(&bench.spec("a", 0)).await;
    assert_eq!(update_error(bench, &id, |s| s["Name"] = json!(bench.name("b"))).await, SwarmErrorKind::Invalid);
    assert_eq!(update_error(bench, &id, |s| s["Mode"] = json!({"Global": {}})).await, SwarmErrorKind::Invalid);
}

async fn update_error(bench: &TestSwarm, id: &ServiceId, spoil: impl Fn(&mut Value)) -> SwarmErrorKind {
    let service = bench.service(id).await;
    let mut spec = service.spec;
    spoil(&mut spec);
    bench.port().update_service(id, service.version, &spec).await.unwrap_err().kind
}

pub async fn a_published_port_belongs_to_one_service(bench: &TestSwarm) {
    let publishing = |name: &str, mode: &str| {
        let mut spec = bench.spec(name, 0);
        spec["EndpointSpec"] = json!({"Ports": [{"TargetPort": 80, "PublishedPort": 8077, "PublishMode": mode}]});
        spec
    };
    let mesh = bench.create(&publishing("a", "ingress")).await;
    let in_use = async |mode: &str| bench.port().create_service(&publishing("b", mode)).await.unwrap_err().kind;
    assert_eq!([in_use("ingress").await, in_use("host").await], [SwarmErrorKind::InUse; 2]);
    bench.port().remove_service(&mesh).await.unwrap();
    bench.create(&publishing("c", "host")).await;
    bench.create(&publishing("d", "host")).await;
    assert_eq!(in_use("ingress").await, SwarmErrorKind::InUse);
}

/// A spec with everything that Swarm returns in a different form.
fn rich(bench: &TestSwarm) -> Value {
    let mut spec = bench.spec("rich", 0);
    spec["Unknown"] = json!(1);
    spec["TaskTemplate"] = json!({
        "ContainerSpec": {
            "Image": "x", "Env": [], "Args": ["a"], "Labels": {}, "ReadOnly": false, "TTY": false, "Init": true, "User": "", "Unknown": 2,
            "StopGracePeriod": 1_000_000_000, "Mounts": [{"Type": "tmpfs", "Target": "/run"}], "DNSConfig": {}
        },
        "Resources": {"Limits": {}, "Reservations": {"MemoryBytes": 0}},
        "RestartPolicy": {},
        "Placement": {"Constraints": ["node.role==worker"], "Preferences": [], "MaxReplicas": 0},
        "Networks": [{"Target": bench.name("n"), "Aliases": []}]
    });
    spec["UpdateConfig"] = json!({"Delay": 0, "Monitor": 0, "Parallelism": 2, "MaxFailureRatio": 0.5});
    spec["EndpointSpec"] =
        json!({"Ports": [{"TargetPort": 80, "PublishedPort": 8066}, {"TargetPort": 82, "PublishedPort": 0, "PublishMode": "host"}]});
    spec
}

pub async fn a_spec_reads_back_normalised(bench: &TestSwarm) {
    let network = bench.network("n").await;
    let id = bench.create(&rich(bench)).await;
    let expected = json!({
        "Name": bench.name("rich"),
        "Labels": {},
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": "x", "Args": ["a"], "Init": true, "StopGracePeriod": 1_000_000_000, "Mounts": [{"Type": "tmpfs", "Target": "/run"}],
                "DNSConfig": {}, "Isolation": "default"
            },
            "Resources": {"Limits": {}, "Reservations": {}},
            "RestartPolicy": {"Condition": "any", "MaxAttempts": 0},
            "Placement": {"Constraints": ["node.role==worker"]},
            "Networks": [{"Target": network.0}],
            "ForceUpdate": 0,
            "Runtime": "container"
        },
        "Mode": {"Replicated": {"Replicas": 0}},
        "UpdateConfig": {"Parallelism": 2, "FailureAction": "pause", "MaxFailureRatio": 0.5, "Order": "stop-first"},
        "RollbackConfig": {"Parallelism": 1, "FailureAction": "pause", "Monitor": 500_000_000, "MaxFailureRatio": 0, "Order": "stop-first"},
        "EndpointSpec": {"Mode": "vip", "Ports": [
            {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8066, "PublishMode": "ingress"},
            {"Protocol": "tcp", "TargetPort": 82, "PublishMode": "host"}
        ]}
    });
    assert_eq!(bench.service(&id).await.spec, expected);
}

/// Capabilities and logging are returned exactly as sent. Of the security options, the engine returns all that it knows,
/// whether or not they were sent.
pub async fn limits_read_back_unchanged(bench: &TestSwarm) {
    let mut spec = bench.spec("bounds", 0);
    let (drop, driver) = (json!(["ALL"]), json!({"Name": "json-file", "Options": {"max-file": "3", "max-size": "1m"}}));
    spec["TaskTemplate"]["ContainerSpec"]["CapabilityDrop"] = drop.clone();
    spec["TaskTemplate"]["ContainerSpec"]["CapabilityAdd"] = json!([]);
    spec["TaskTemplate"]["ContainerSpec"]["Privileges"] = json!({"NoNewPrivileges": true});
    spec["TaskTemplate"]["LogDriver"] = driver.clone();
    spec["TaskTemplate"]["Resources"] = json!({"Limits": {"MemoryBytes": 8 << 20, "Pids": 64, "NanoCPUs": 0}});
    let id = bench.create(&spec).await;
    let template = bench.service(&id).await.spec["TaskTemplate"].clone();
    let container = &template["ContainerSpec"];
    assert_eq!((&container["CapabilityDrop"], &template["LogDriver"]), (&drop, &driver));
    assert!(container.get("CapabilityAdd").is_none(), "{container}");
    assert_eq!(template["Resources"]["Limits"], json!({"MemoryBytes": 8 << 20, "Pids": 64}));
    let known: Vec<&str> = container["Privileges"].as_object().unwrap().keys().map(String::as_str).collect();
    // Engine 25 and later keep the last one.
    assert!(
        [&["CredentialSpec", "SELinuxContext"][..], &["CredentialSpec", "NoNewPrivileges", "SELinuxContext"]].contains(&&known[..]),
        "{known:?}"
    );
    bench.edit(&id, |s| s["TaskTemplate"]["LogDriver"] = json!({"Name": "local", "Options": {}})).await;
    assert_eq!(bench.service(&id).await.spec["TaskTemplate"]["LogDriver"], json!({"Name": "local"}));
}

pub async fn a_virtual_ip_is_assigned_after_creation(bench: &TestSwarm) {
    let network = bench.network("n").await;
    let attached = |name: &str, mode: &str| {
        let mut spec = bench.spec(name, 0);
        spec["TaskTemplate"]["Networks"] = json!([{"Target": network.0}]);
        spec["EndpointSpec"] = json!({"Mode": mode});
        spec
    };
    let (vip, dnsrr) = (bench.create(&attached("vip", "vip")).await, bench.create(&attached("dnsrr", "dnsrr")).await);
    let seen = bench.until("there is a virtual IP", |s| !s.services[&vip].virtual_ips.is_empty()).await;
    assert_eq!(seen.services[&vip].virtual_ips[0].network, network);
    assert_eq!(seen.services[&dnsrr].virtual_ips, []);
}

pub async fn changes_produce_events(bench: &TestSwarm) {
    let mut hints = bench.port().hints();
    let mut kind = None;
    // The stream may not be open until it is read, so the change is repeated until its event arrives.
    for number in 0..50 {
        let id = bench.config(&format!("c{number}"), b"x").await;
        bench.port().remove_config(&id).await.unwrap();
        let received = tokio::time::timeout(std::time::Duration::from_millis(300), hints.next()).await;
        kind = received.ok().flatten().map(|hint| hint.unwrap().kind);
        // Other cases change other objects at the same time.
        if kind.as_deref() == Some("config") {
            break;
        }
    }
    assert_eq!(kind.as_deref(), Some("config"));
}
