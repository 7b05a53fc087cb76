//! Where tasks run, why they do not run, and what they leave behind.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use swarmgate::swarm::{Snapshot, SwarmErrorKind};
use swarmgate::types::ServiceId;

use super::test_swarm::{TestSwarm, running, tasks};

fn reports(seen: &Snapshot, id: &ServiceId, text: &str) -> bool {
    tasks(seen, id).iter().any(|t| t.state.as_str() == "pending" && t.error.starts_with("no suitable node (") && t.error.contains(text))
}

pub async fn a_service_without_a_node_reports_the_reason(bench: &TestSwarm) {
    let mut spec = bench.spec("a", 1);
    spec["TaskTemplate"]["Placement"] = json!({"Constraints": ["node.labels.nowhere==at-all"]});
    let id = bench.create(&spec).await;
    bench.until("the task reports the reason", |s| reports(s, &id, "scheduling constraints not satisfied on")).await;
}

/// On the first node only, regardless of the size of the Swarm.
fn on_one_node(bench: &TestSwarm, seen: &Snapshot, name: &str, published: u16) -> Value {
    let node = seen.nodes.values().next().unwrap();
    let mut spec = bench.spec(name, 1);
    spec["TaskTemplate"]["Placement"] = json!({"Constraints": [format!("node.id=={}", node.id)]});
    spec["EndpointSpec"] = json!({"Mode": "dnsrr", "Ports": [{"TargetPort": 80, "PublishedPort": published, "PublishMode": "host"}]});
    spec
}

pub async fn a_host_port_is_bound_once_per_node(bench: &TestSwarm) {
    let seen = bench.snapshot().await;
    let (first, _) = bench.running(&on_one_node(bench, &seen, "a", 18_055), 1).await;
    let second = bench.create(&on_one_node(bench, &seen, "b", 18_055)).await;
    bench.until("the task reports the reason", |s| reports(s, &second, "host-mode port already in use on 1 node")).await;
    bench.port().remove_service(&first).await.unwrap();
    bench.until_running(&second, 1).await;
}

pub async fn host_ports_are_reported_by_running_tasks(bench: &TestSwarm) {
    let seen = bench.snapshot().await;
    let (id, _) = bench.running(&on_one_node(bench, &seen, "a", 0), 1).await;
    let seen = bench.snapshot().await;
    let ports = &running(&seen, &id)[0].host_ports;
    // Two if the engine chose another number for IPv6.
    assert!((1..=2).contains(&ports.len()), "{ports:?}");
    assert!(ports.iter().all(|port| port.host_mode && port.target == 80 && port.published >= 30_000), "{ports:?}");
}

pub async fn tasks_on_one_node_have_separate_ports(bench: &TestSwarm) {
    let seen = bench.snapshot().await;
    let mut spec = on_one_node(bench, &seen, "a", 0);
    spec["Mode"]["Replicated"]["Replicas"] = json!(2);
    let (id, _) = bench.running(&spec, 2).await;
    let seen = bench.snapshot().await;
    let ports: Vec<_> = running(&seen, &id).iter().filter_map(|t| t.host_ports.first()).map(|p| p.published).collect();
    assert!(ports.len() == 2 && ports[0] != ports[1], "{ports:?}");
    // Only the tasks show which ports Swarm chose.
    assert!(seen.services[&id].ports.iter().all(|p| p.host_mode && p.target == 80 && p.published == 0), "{:?}", seen.services[&id].ports);
}

pub async fn a_port_published_twice_on_its_node_is_bound_at_the_last(bench: &TestSwarm) {
    let seen = bench.snapshot().await;
    let mut spec = on_one_node(bench, &seen, "a", 18_056);
    let port = |target: u16, published: u16| json!({"TargetPort": target, "PublishedPort": published, "PublishMode": "host"});
    spec["EndpointSpec"]["Ports"] = json!([port(80, 18_056), port(81, 18_057), port(80, 18_058)]);
    let (id, _) = bench.running(&spec, 1).await;
    let seen = bench.snapshot().await;
    let mut bound: Vec<_> = running(&seen, &id)[0].host_ports.iter().map(|p| (p.target, p.published)).collect();
    bound.sort_unstable();
    assert_eq!(bound, [(80, 18_058), (81, 18_057)]);
}

pub async fn a_global_service_runs_once_per_matching_node(bench: &TestSwarm) {
    let nodes = bench.snapshot().await.nodes.len();
    let mut spec = bench.spec("a", 0);
    spec["Mode"] = json!({"Global": {}});
    let (id, _) = bench.running(&spec, nodes).await;
    // No node matches any more: global tasks stop at once, rather than one after another.
    bench.edit(&id, |s| s["TaskTemplate"]["Placement"] = json!({"Constraints": ["node.labels.nowhere==at-all"]})).await;
    bench.until("no task is left", |s| tasks(s, &id).is_empty()).await;
}

/// The behaviour on which `mode: global` of proxies relies.
pub async fn max_replicas_per_node_hold_and_pending_tasks_are_removed_first(bench: &TestSwarm) {
    let nodes = bench.snapshot().await.nodes.len();
    let (id, ids) = bench.running(&bench.spec("a", nodes as u64), nodes).await;
    // Changing the limit per node does not replace running tasks; neither does changing the number of replicas.
    bench.edit(&id, |spec| spec["TaskTemplate"]["Placement"] = json!({"MaxReplicas": 1})).await;
    bench.stays(&id, &ids).await;
    bench.edit(&id, |spec| spec["Mode"]["Replicated"]["Replicas"] = json!(nodes + 1)).await;
    bench.until("one task is not placed and reports the reason", |s| reports(s, &id, "max replicas per node limit exceed")).await;
    bench.edit(&id, |spec| spec["Mode"]["Replicated"]["Replicas"] = json!(nodes)).await;
    bench.until("no task is pending", |s| tasks(s, &id).len() == nodes).await;
    bench.stays(&id, &ids).await;
    // A task is replaced on its own node, although the limit per node is one.
    bench.edit(&id, |spec| spec["TaskTemplate"]["ForceUpdate"] = json!(1)).await;
    bench.until_replaced(&id, &ids).await;
    let seen = bench.snapshot().await;
    let used_nodes: BTreeSet<_> = running(&seen, &id).iter().filter_map(|task| task.node.clone()).collect();
    assert_eq!(used_nodes.len(), nodes, "{used_nodes:?}");
}

pub async fn tasks_of_a_removed_service_leave_the_list(bench: &TestSwarm) {
    let (id, _) = bench.running(&bench.spec("a", 2), 2).await;
    bench.port().remove_service(&id).await.unwrap();
    assert!(!bench.snapshot().await.services.contains_key(&id));
    bench.until("no task is desired", |s| tasks(s, &id).is_empty()).await;
}

pub async fn a_network_stays_while_a_task_on_it_is_desired(bench: &TestSwarm) {
    let network = bench.network("n").await;
    let mut spec = bench.spec("a", 2);
    spec["TaskTemplate"]["Networks"] = json!([{"Target": network.0}]);
    let (id, old) = bench.running(&spec, 2).await;
    // The tasks leave the network one after another.
    bench.edit(&id, |s| s["TaskTemplate"]["Networks"] = json!([])).await;
    assert_eq!(bench.port().remove_network(&network).await.unwrap_err().kind, SwarmErrorKind::InUse);
    bench.until_replaced(&id, &old).await;
    bench.port().remove_network(&network).await.unwrap();
}

pub async fn a_network_with_only_stopping_tasks_can_be_removed(bench: &TestSwarm) {
    let network = bench.network("n").await;
    let mut spec = bench.spec("a", 1);
    spec["TaskTemplate"]["Networks"] = json!([{"Target": network.0}]);
    let (id, _) = bench.running(&spec, 1).await;
    bench.port().remove_service(&id).await.unwrap();
    bench.until("no task is desired", |s| tasks(s, &id).is_empty()).await;
    bench.port().remove_network(&network).await.unwrap();
}

pub async fn a_task_with_a_stop_order_is_stopping_until_it_ends(bench: &TestSwarm) {
    let mut spec = bench.spec("a", 2);
    // This signal ends nothing, so the task keeps running until its grace period is over.
    spec["TaskTemplate"]["ContainerSpec"]["StopSignal"] = json!("SIGWINCH");
    spec["TaskTemplate"]["ContainerSpec"]["StopGracePeriod"] = json!(3_000_000_000_u64);
    let (id, ids) = bench.running(&spec, 2).await;
    assert_eq!(bench.stopping(&id).await, BTreeSet::new());
    bench.edit(&id, |spec| spec["Mode"]["Replicated"]["Replicas"] = json!(1)).await;
    let seen = bench.until("one task is no longer desired", |s| tasks(s, &id).len() == 1).await;
    let kept = tasks(&seen, &id)[0].id.0.clone();
    let stopping = bench.stopping(&id).await;
    assert_eq!(stopping, ids.into_iter().filter(|id| *id != kept).collect());
    bench.until_none_is_stopping(&id).await;
}

pub async fn tasks_of_a_job_are_seen_while_they_run(bench: &TestSwarm) {
    let mut spec = bench.spec("a", 0);
    spec["Mode"] = json!({"ReplicatedJob": {"MaxConcurrent": 2, "TotalCompletions": 3}});
    for key in ["UpdateConfig", "RollbackConfig"] {
        spec.as_object_mut().unwrap().remove(key);
    }
    let (id, _) = bench.running(&spec, 2).await;
    let service = bench.service(&id).await;
    assert!(service.is_job() && service.replicas.is_none(), "{:?}", service.spec["Mode"]);
}

pub async fn a_task_on_a_node_network_reports_it(bench: &TestSwarm) {
    let mut spec = bench.spec("a", 1);
    spec["TaskTemplate"]["Networks"] = json!([{"Target": "host"}]);
    let (id, _) = bench.running(&spec, 1).await;
    let seen = bench.snapshot().await;
    let tasks = running(&seen, &id);
    assert!(tasks[0].on_host_network && tasks[0].addresses.is_empty(), "{tasks:?}");
    // Its network is in no list, and has a separate id in the Swarm.
    let networks = &seen.services[&id].networks;
    assert!(networks.len() == 1 && networks[0].0 != "host" && !seen.networks.contains_key(&networks[0]), "{networks:?}");
    let (other, _) = bench.running(&bench.spec("b", 1), 1).await;
    let seen = bench.snapshot().await;
    assert!(!running(&seen, &other)[0].on_host_network);
}
