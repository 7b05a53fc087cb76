//! Unusual objects, as found in real Swarms.

use serde_json::{Value, json};

use super::*;
use crate::swarm::{Node, PublishedPort, Service};
use crate::types::NetworkId;

fn service(value: &Value) -> Service {
    service::read(value).unwrap()
}

fn node(value: &Value) -> Node {
    objects::node(value).unwrap()
}

fn networks(ids: &[&str]) -> Vec<NetworkId> {
    ids.iter().map(|id| NetworkId((*id).to_owned())).collect()
}

fn raw(tasks: Vec<Value>) -> RawSnapshot {
    let taken_at = "2026-01-02T03:04:05Z".parse().unwrap();
    RawSnapshot { taken_at, services: vec![], tasks, nodes: vec![], networks: vec![], configs: vec![], secrets: vec![] }
}

#[test]
fn a_service_with_nothing_but_an_id_is_read_with_swarms_defaults() {
    let read = service(&json!({"ID": "s"}));
    assert_eq!((read.replicas, read.vip_mode, read.version), (Some(1), true, 0));
    assert_eq!((read.networks, read.ports, read.update_status, read.previous_spec), (vec![], vec![], None, None));
}

#[test]
fn a_service_without_an_endpoint_spec_is_in_vip_mode() {
    assert!(service(&json!({"ID": "s", "Spec": {"Name": "a"}, "Endpoint": {"Spec": {}}})).vip_mode);
    assert!(!service(&json!({"ID": "s", "Spec": {"EndpointSpec": {"Mode": "dnsrr"}}})).vip_mode);
}

#[test]
fn deprecated_networks_are_used_only_if_the_task_template_has_none() {
    let old = json!({"ID": "s", "Spec": {"Networks": [{"Target": "old"}]}});
    let both =
        json!({"ID": "s", "Spec": {"Networks": [{"Target": "old"}], "TaskTemplate": {"Networks": [{"Target": "b"}, {"Target": "a"}]}}});
    assert_eq!(service(&old).networks, networks(&["old"]));
    assert_eq!(service(&both).networks, networks(&["b", "a"]));
}

#[test]
fn only_replicated_services_have_replicas() {
    let with = |mode: Value| service(&json!({"ID": "s", "Spec": {"Mode": mode}})).replicas;
    assert_eq!(with(json!({"Replicated": {"Replicas": 0}})), Some(0));
    assert_eq!(with(json!({"Replicated": {}})), Some(1));
    assert_eq!(with(json!({"Global": {}})), None);
    assert_eq!(with(json!({"ReplicatedJob": {"TotalCompletions": 3}})), None);
    assert_eq!(with(json!({"GlobalJob": {}})), None);
}

#[test]
fn an_empty_update_status_is_none() {
    assert_eq!(service(&json!({"ID": "s", "UpdateStatus": {}})).update_status, None);
    let paused = json!({"ID": "s", "UpdateStatus": {"State": "paused", "CompletedAt": "0001-01-01T00:00:00Z", "Message": "m"}});
    let status = service(&paused).update_status.unwrap();
    assert_eq!((status.state.as_str(), status.message.as_str(), status.completed_at), ("paused", "m", None));
}

#[test]
fn a_spec_is_kept_whole_including_unknown_fields() {
    let spec = json!({"Name": "a", "Labels": {"k": "v", "odd": 7}, "Futuristic": {"Deep": [1, null]}});
    let read = service(&json!({"ID": "s", "Spec": spec, "PreviousSpec": {"X": 1}, "Version": {"Index": 18_446_744_073_709_551_615_u64}}));
    assert_eq!((&read.spec, read.previous_spec, read.version), (&spec, Some(json!({"X": 1})), u64::MAX));
    assert_eq!(read.labels, BTreeMap::from([("k".to_owned(), "v".to_owned())]));
}

#[test]
fn virtual_ips_are_sorted_by_network_and_lose_their_prefix() {
    let ips = json!([{"NetworkID": "n2", "Addr": "10.0.2.4/24"}, {"NetworkID": "n1", "Addr": "10.0.1.7/24"}, {"NetworkID": "n0"}]);
    let read = service(&json!({"ID": "s", "Endpoint": {"VirtualIPs": ips}})).virtual_ips;
    let shown: Vec<String> = read.iter().map(|v| format!("{} {}", v.network, v.address)).collect();
    assert_eq!(shown, ["n1 10.0.1.7", "n2 10.0.2.4"]);
}

#[test]
fn the_routing_mesh_network_gives_no_task_address() {
    let attached = json!([
        {"Network": {"ID": "mesh", "Spec": {"Ingress": true}}, "Addresses": ["10.255.0.3/16"]},
        {"Network": {"ID": "app", "Spec": {}}, "Addresses": ["10.0.1.3/24", "fd00::3/64", "nonsense"]},
        {"Network": {"ID": "host"}}
    ]);
    let task = Task::from_api(&json!({"ID": "t", "NetworksAttachments": attached})).unwrap();
    let shown: Vec<String> = task.addresses.iter().map(|(n, a)| format!("{n} {a}")).collect();
    assert_eq!(shown, ["app 10.0.1.3/24", "app fd00::3/64"]);
}

#[test]
fn host_ports_reported_for_both_families_are_one_port() {
    let port = json!({"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 32768, "PublishMode": "host"});
    let wild = json!({"TargetPort": 80, "PublishedPort": 99999});
    let task = Task::from_api(&json!({"ID": "t", "Status": {"PortStatus": {"Ports": [port, port, wild]}}})).unwrap();
    assert_eq!(task.host_ports, [PublishedPort { protocol: "tcp".to_owned(), target: 80, published: 32768, host_mode: true }]);
}

#[test]
fn a_node_is_reached_at_the_address_it_advertises() {
    let leader = json!({"ID": "n", "ManagerStatus": {"Addr": "198.18.0.11:2377"}, "Status": {"Addr": "0.0.0.0"}});
    let worker = json!({"ID": "n", "Status": {"Addr": "198.18.0.12"}});
    let local = json!({"ID": "n", "Status": {"Addr": "127.0.0.1"}});
    let six = json!({"ID": "n", "ManagerStatus": {"Addr": "[fd00::1]:2377"}});
    let shown = [leader, worker, local, six].map(|n| node(&n).address.map_or("none".to_owned(), |a| a.to_string()));
    assert_eq!(shown, ["198.18.0.11", "198.18.0.12", "none", "fd00::1"]);
}

#[test]
fn stopping_tasks_are_omitted() {
    let task = |id: &str, desired: &str| json!({"ID": id, "DesiredState": desired});
    let read =
        Snapshot::from_raw(&raw(vec![task("a", "running"), task("b", "shutdown"), task("c", "remove"), json!({"ID": "d"})])).unwrap();
    let ids: Vec<&str> = read.tasks.keys().map(|id| id.0.as_str()).collect();
    assert_eq!(ids, ["a", "d"]);
}

#[test]
fn stopping_tasks_are_kept_separately_until_they_end() {
    let task = |id: &str, desired: &str, state: &str| json!({"ID": id, "DesiredState": desired, "Status": {"State": state}});
    let seen = Snapshot::from_raw(&raw(vec![task("a", "running", "running"), task("b", "running", "running")])).unwrap();
    let stopping = [task("b", "shutdown", "running"), task("c", "remove", "starting"), task("d", "shutdown", "complete")];
    let read = seen.with_stopping(&stopping).unwrap();
    let ids = |tasks: &BTreeMap<TaskId, Task>| tasks.keys().map(|id| id.0.clone()).collect::<Vec<_>>();
    assert_eq!((ids(&read.tasks), ids(&read.stopping)), (vec!["a".to_owned()], vec!["b".to_owned(), "c".to_owned()]));
}

#[test]
fn an_object_without_an_id_is_the_only_error() {
    let error = Snapshot::from_raw(&raw(vec![json!({"Spec": {}})])).unwrap_err();
    assert_eq!(error.to_string(), r#"reading the tasks list: an object without an id: {"Spec":{}}"#);
    let odd = json!({"ID": "t", "Status": "no object", "Spec": 5, "NetworksAttachments": {"a": 1}, "CreatedAt": 7});
    assert!(Task::from_api(&odd).is_ok());
}
