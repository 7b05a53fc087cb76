//! What individual calls do, and what they refuse.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use serde_json::{Value, json};
use swarmgate::swarm::SwarmErrorKind;
use swarmgate::types::{ConfigId, NetworkId, SecretId, ServiceId};

use super::test_swarm::{TestSwarm, owner};

pub async fn an_update_of_an_older_version_is_out_of_sequence(swarm: &TestSwarm) {
    let id = swarm.create(&swarm.spec("a", 0)).await;
    let before = swarm.service(&id).await;
    swarm.edit(&id, |s| s["Labels"]["a"] = json!("b")).await;
    let error = swarm.port().update_service(&id, before.version, &before.spec).await.unwrap_err();
    assert_eq!(error.kind, SwarmErrorKind::OutOfSequence);
    assert_eq!(swarm.service(&id).await.labels.len(), 1);
}

pub async fn objects_that_do_not_exist_are_not_found(swarm: &TestSwarm) {
    let none = "0123456789abcdefghijklmno".to_owned();
    let kinds = [
        swarm.port().remove_service(&ServiceId(none.clone())).await.unwrap_err().kind,
        swarm.port().remove_config(&ConfigId(none.clone())).await.unwrap_err().kind,
        swarm.port().remove_secret(&SecretId(none.clone())).await.unwrap_err().kind,
        swarm.port().remove_network(&NetworkId(none.clone())).await.unwrap_err().kind,
        swarm.port().update_service(&ServiceId(none), 1, &swarm.spec("a", 0)).await.unwrap_err().kind,
        create_error(swarm, |s| s["TaskTemplate"]["Networks"] = json!([{"Target": "there-is-no-such-network"}])).await,
    ];
    assert_eq!(kinds, [SwarmErrorKind::NotFound; 6]);
}

pub async fn a_taken_name_is_refused(swarm: &TestSwarm) {
    swarm.create(&swarm.spec("a", 0)).await;
    swarm.config("c", b"x").await;
    swarm.network("n").await;
    let network = json!({"Name": swarm.name("n"), "Driver": "overlay"});
    swarm.port().create_secret(&swarm.name("s"), &owner(), b"x").await.unwrap();
    let kinds = [
        swarm.port().create_service(&swarm.spec("a", 1)).await.unwrap_err().kind,
        swarm.port().create_config(&swarm.name("c"), &owner(), b"y").await.unwrap_err().kind,
        swarm.port().create_secret(&swarm.name("s"), &owner(), b"y").await.unwrap_err().kind,
        swarm.port().create_network(&network).await.unwrap_err().kind,
    ];
    assert_eq!(kinds, [SwarmErrorKind::NameTaken; 4]);
}

fn reference(id: &ConfigId, name: &str, file: &str) -> Value {
    json!({"ConfigID": id.0, "ConfigName": name, "File": {"Name": file, "UID": "0", "GID": "0", "Mode": 292}})
}

pub async fn what_is_in_use_stays(swarm: &TestSwarm) {
    let (config, network) = (swarm.config("c", b"x").await, swarm.network("n").await);
    let mut spec = swarm.spec("a", 0);
    spec["TaskTemplate"]["ContainerSpec"]["Configs"] = json!([reference(&config, &swarm.name("c"), "/c")]);
    spec["TaskTemplate"]["Networks"] = json!([{"Target": network.0}]);
    let id = swarm.create(&spec).await;
    assert_eq!(swarm.port().remove_config(&config).await.unwrap_err().kind, SwarmErrorKind::InUse);
    assert_eq!(swarm.port().remove_network(&network).await.unwrap_err().kind, SwarmErrorKind::InUse);
    swarm
        .edit(&id, |s| {
            s["TaskTemplate"]["ContainerSpec"]["Configs"] = json!([]);
            s["TaskTemplate"]["Networks"] = json!([]);
        })
        .await;
    // The previous spec still refers to both, which does not prevent their removal.
    swarm.port().remove_config(&config).await.unwrap();
    swarm.remove_network_once_free(&network).await;
}

pub async fn data_has_its_limits(swarm: &TestSwarm) {
    let swarm = swarm.port();
    let config =
        async |size: usize| swarm.create_config(&swarm.name(&format!("c{size}")), &owner(), &vec![b'x'; size]).await.map_err(|e| e.kind);
    let secret =
        async |size: usize| swarm.create_secret(&swarm.name(&format!("s{size}")), &owner(), &vec![b'x'; size]).await.map_err(|e| e.kind);
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

pub async fn a_name_has_its_limits(swarm: &TestSwarm) {
    let filled = |length: usize| format!("{:x<length$}", swarm.name(""));
    let config = async |name: String| swarm.port().create_config(&name, &owner(), b"x").await.map(|_| ()).map_err(|e| e.kind);
    assert_eq!(config(filled(64)).await, Ok(()));
    assert_eq!(config(filled(65)).await, Err(SwarmErrorKind::Invalid));
    assert_eq!(config(swarm.name("-")).await, Err(SwarmErrorKind::Invalid));
    assert_eq!(create_error(swarm, |s| s["Name"] = json!(filled(64))).await, SwarmErrorKind::Invalid);
    assert_eq!(create_error(swarm, |s| s["Name"] = json!("a.b")).await, SwarmErrorKind::Invalid);
}

async fn create_error(swarm: &TestSwarm, spoil: impl Fn(&mut Value)) -> SwarmErrorKind {
    let mut spec = swarm.spec("spoilt", 0);
    spoil(&mut spec);
    swarm.port().create_service(&spec).await.unwrap_err().kind
}

pub async fn a_config_that_a_label_names_is_seen_and_none_that_begins_so(swarm: &TestSwarm) {
    let stack = swarm.name("").trim_end_matches('-').to_owned();
    let none = BTreeMap::new();
    let mut ids = Vec::new();
    for name in ["ca", "cab", "own_ca"] {
        let name = if name == "own_ca" { format!("{stack}_ca") } else { swarm.name(name) };
        ids.push(swarm.port().create_config(&name, &none, b"x").await.unwrap());
    }
    let seen = async || swarm.look().await.configs.keys().filter(|id| ids.contains(id)).cloned().collect::<BTreeSet<_>>();
    let naming = |name: &str, value: String, stack: &str| {
        let mut spec = swarm.spec(name, 0);
        spec["Labels"] = json!({"com.docker.lb.ssl_backend_tls_verify": value, "com.docker.stack.namespace": stack});
        spec
    };
    assert_eq!(seen().await, BTreeSet::new());
    // A name that only begins like one, an id, and the beginning of an id.
    for (name, value) in [("a", swarm.name("c")), ("b", ids[1].0.clone()), ("c", ids[1].0[..5].to_owned())] {
        swarm.create(&naming(name, value, "")).await;
    }
    assert_eq!(seen().await, BTreeSet::new());
    swarm.create(&naming("d", swarm.name("ca"), "")).await;
    assert_eq!(seen().await, BTreeSet::from([ids[0].clone()]));
    swarm.create(&naming("e", "ca".to_owned(), &stack)).await;
    assert_eq!(seen().await, BTreeSet::from([ids[0].clone(), ids[2].clone()]));
    for id in &ids {
        swarm.port().remove_config(id).await.unwrap();
    }
    assert_eq!(seen().await, BTreeSet::new());
}

pub async fn a_wrong_spec_is_refused(swarm: &TestSwarm) {
    let config = swarm.config("c", b"x").await;
    let name = swarm.name("c");
    let configs = |s: &mut Value, list: Value| s["TaskTemplate"]["ContainerSpec"]["Configs"] = list;
    let constraint = |s: &mut Value, text: &str| s["TaskTemplate"]["Placement"] = json!({"Constraints": [text]});
    let refused = [
        create_error(swarm, |s| s["TaskTemplate"]["ContainerSpec"]["Image"] = json!("")).await,
        create_error(swarm, |s| constraint(s, "node.role=worker")).await,
        create_error(swarm, |s| constraint(s, "node.labels.a==b,c")).await,
        create_error(swarm, |s| configs(s, json!([reference(&config, "another-name", "/c")]))).await,
        create_error(swarm, |s| configs(s, json!([reference(&ConfigId("none".to_owned()), &name, "/c")]))).await,
        create_error(swarm, |s| configs(s, json!([reference(&config, &name, "/c"), reference(&config, &name, "/c")]))).await,
        create_error(swarm, |s| s["EndpointSpec"] = json!({"Mode": "dnsrr", "Ports": [{"TargetPort": 80, "PublishedPort": 8099}]})).await,
        create_error(swarm, |s| s["TaskTemplate"]["Networks"] = json!([{"Target": "ingress"}])).await,
    ];
    assert_eq!(refused, [SwarmErrorKind::Invalid; 8]);
    let id = swarm.create(&swarm.spec("a", 0)).await;
    assert_eq!(update_error(swarm, &id, |s| s["Name"] = json!(swarm.name("b"))).await, SwarmErrorKind::Invalid);
    assert_eq!(update_error(swarm, &id, |s| s["Mode"] = json!({"Global": {}})).await, SwarmErrorKind::Invalid);
}

async fn update_error(swarm: &TestSwarm, id: &ServiceId, spoil: impl Fn(&mut Value)) -> SwarmErrorKind {
    let service = swarm.service(id).await;
    let mut spec = service.spec;
    spoil(&mut spec);
    swarm.port().update_service(id, service.version, &spec).await.unwrap_err().kind
}

pub async fn a_published_port_is_one_services_alone(swarm: &TestSwarm) {
    let publishing = |name: &str, mode: &str| {
        let mut spec = swarm.spec(name, 0);
        spec["EndpointSpec"] = json!({"Ports": [{"TargetPort": 80, "PublishedPort": 8077, "PublishMode": mode}]});
        spec
    };
    let mesh = swarm.create(&publishing("a", "ingress")).await;
    let in_use = async |mode: &str| swarm.port().create_service(&publishing("b", mode)).await.unwrap_err().kind;
    assert_eq!([in_use("ingress").await, in_use("host").await], [SwarmErrorKind::InUse; 2]);
    swarm.port().remove_service(&mesh).await.unwrap();
    swarm.create(&publishing("c", "host")).await;
    swarm.create(&publishing("d", "host")).await;
    assert_eq!(in_use("ingress").await, SwarmErrorKind::InUse);
}

/// A spec with everything that Swarm returns in a different form.
fn rich(swarm: &TestSwarm) -> Value {
    let mut spec = swarm.spec("rich", 0);
    spec["Unknown"] = json!(1);
    spec["TaskTemplate"] = json!({
        "ContainerSpec": {
            "Image": "x", "Env": [], "Args": ["a"], "Labels": {}, "ReadOnly": false, "TTY": false, "Init": true, "User": "", "Unknown": 2,
            "StopGracePeriod": 1_000_000_000, "Mounts": [{"Type": "tmpfs", "Target": "/run"}], "DNSConfig": {}
        },
        "Resources": {"Limits": {}, "Reservations": {"MemoryBytes": 0}},
        "RestartPolicy": {},
        "Placement": {"Constraints": ["node.role==worker"], "Preferences": [], "MaxReplicas": 0},
        "Networks": [{"Target": swarm.name("n"), "Aliases": []}]
    });
    spec["UpdateConfig"] = json!({"Delay": 0, "Monitor": 0, "Parallelism": 2, "MaxFailureRatio": 0.5});
    spec["EndpointSpec"] =
        json!({"Ports": [{"TargetPort": 80, "PublishedPort": 8066}, {"TargetPort": 82, "PublishedPort": 0, "PublishMode": "host"}]});
    spec
}

pub async fn a_spec_reads_back_in_swarms_form(swarm: &TestSwarm) {
    let network = swarm.network("n").await;
    let id = swarm.create(&rich(swarm)).await;
    let expected = json!({
        "Name": swarm.name("rich"),
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
    assert_eq!(swarm.service(&id).await.spec, expected);
}

/// Capabilities and logging are returned exactly as sent. Of the security options, the engine returns all that it knows,
/// whether or not they were sent.
pub async fn bounds_read_back_as_they_were_sent(swarm: &TestSwarm) {
    let mut spec = swarm.spec("bounds", 0);
    let (drop, driver) = (json!(["ALL"]), json!({"Name": "json-file", "Options": {"max-file": "3", "max-size": "1m"}}));
    spec["TaskTemplate"]["ContainerSpec"]["CapabilityDrop"] = drop.clone();
    spec["TaskTemplate"]["ContainerSpec"]["CapabilityAdd"] = json!([]);
    spec["TaskTemplate"]["ContainerSpec"]["Privileges"] = json!({"NoNewPrivileges": true});
    spec["TaskTemplate"]["LogDriver"] = driver.clone();
    spec["TaskTemplate"]["Resources"] = json!({"Limits": {"MemoryBytes": 8 << 20, "Pids": 64, "NanoCPUs": 0}});
    let id = swarm.create(&spec).await;
    let template = swarm.service(&id).await.spec["TaskTemplate"].clone();
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
    swarm.edit(&id, |s| s["TaskTemplate"]["LogDriver"] = json!({"Name": "local", "Options": {}})).await;
    assert_eq!(swarm.service(&id).await.spec["TaskTemplate"]["LogDriver"], json!({"Name": "local"}));
}

pub async fn a_virtual_ip_comes_after_the_creation(swarm: &TestSwarm) {
    let network = swarm.network("n").await;
    let attached = |name: &str, mode: &str| {
        let mut spec = swarm.spec(name, 0);
        spec["TaskTemplate"]["Networks"] = json!([{"Target": network.0}]);
        spec["EndpointSpec"] = json!({"Mode": mode});
        spec
    };
    let (vip, dnsrr) = (swarm.create(&attached("vip", "vip")).await, swarm.create(&attached("dnsrr", "dnsrr")).await);
    let seen = swarm.until("there is a virtual IP", |s| !s.services[&vip].virtual_ips.is_empty()).await;
    assert_eq!(seen.services[&vip].virtual_ips[0].network, network);
    assert_eq!(seen.services[&dnsrr].virtual_ips, []);
}

pub async fn changes_are_hinted_at(swarm: &TestSwarm) {
    let mut hints = swarm.port().hints();
    let mut kind = None;
    // The stream may not be open until it is read, so the change is repeated until its event arrives.
    for number in 0..50 {
        let id = swarm.config(&format!("c{number}"), b"x").await;
        swarm.port().remove_config(&id).await.unwrap();
        let heard = tokio::time::timeout(std::time::Duration::from_millis(300), hints.next()).await;
        kind = heard.ok().flatten().map(|hint| hint.unwrap().kind);
        // Other cases change other objects at the same time.
        if kind.as_deref() == Some("config") {
            break;
        }
    }
    assert_eq!(kind.as_deref(), Some("config"));
}
