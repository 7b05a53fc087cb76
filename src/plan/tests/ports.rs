//! Host ports that a foreign service requests too.

use serde_json::{Value, json};

use super::world::PlanScenario;
use super::{PROXY, titles};
use crate::fleet::fixtures::{bundle, cluster, publish};
use crate::intent::cluster::Cluster;
use crate::intent::cluster_spec::{Mode, PublishMode, RolloutStrategy};
use crate::plan::{Plan, plan_removal};
use crate::report::{FindingCode, Severity, WaitingOn};
use crate::types::{NetworkId, ServiceName};

fn on_nodes() -> Cluster {
    let mut cluster = cluster();
    cluster.proxy.publish = publish(PublishMode::Host);
    cluster
}

/// The spec of a service that requests a port.
fn requesting(port: u16, protocol: &str, mode: &str, replicas: &Value, constraints: &[&str]) -> Value {
    let ports = json!([{"Protocol": protocol, "TargetPort": 8080, "PublishedPort": port, "PublishMode": mode}]);
    let mode = if replicas.is_null() { json!({"Global": {}}) } else { json!({"Replicated": {"Replicas": replicas}}) };
    let labels = json!({"com.docker.stack.namespace": "stray"});
    let template = json!({"Placement": {"Constraints": constraints}});
    json!({"Name": "stray_web", "Labels": labels, "TaskTemplate": template, "Mode": mode, "EndpointSpec": {"Ports": ports}})
}

fn add(world: &mut PlanScenario, spec: &Value) {
    world.raw.services.push(json!({"ID": "stray", "CreatedAt": "2026-01-01T00:00:00Z", "Spec": spec}));
}

fn run(world: &mut PlanScenario, state: &str, node: &str) {
    let status = json!({"State": state, "Err": "no suitable node (host-mode port already in use on 1 node)"});
    let task = json!({"ID": "stray1", "ServiceID": "stray", "NodeID": node, "DesiredState": "running", "Status": status, "Spec": {}});
    world.raw.tasks.retain(|task| task["ID"] != "stray1");
    world.raw.tasks.push(task);
}

/// A world in which a foreign service waits for port 80.
fn contested(cluster: &Cluster) -> PlanScenario {
    let mut world = PlanScenario::converged(cluster);
    add(&mut world, &requesting(80, "tcp", "host", &json!(1), &[]));
    run(&mut world, "pending", "");
    world
}

fn severity(plan: &Plan) -> Option<Severity> {
    let about = |finding: &&crate::report::Finding| finding.code == FindingCode::HostPortContested;
    plan.findings.iter().find(about).map(|finding| finding.severity)
}

fn is_held(plan: &Plan) -> bool {
    plan.waiting.iter().any(|waiting| matches!(waiting, WaitingOn::HostPort { by, .. } if by == "stray_web"))
}

fn check(spec: &Value, task: Option<(&str, &str)>, expected: Option<Severity>) {
    let mut world = PlanScenario::converged(&on_nodes());
    add(&mut world, spec);
    if let Some((state, node)) = task {
        run(&mut world, state, node);
    }
    let plan = world.plan(&on_nodes());
    assert_eq!(severity(&plan), expected, "{spec} {task:?}");
    let mut newer = on_nodes();
    newer.proxy.workload.image = "newer:1".to_owned();
    let plan = world.plan(&newer);
    assert_eq!(is_held(&plan), expected == Some(Severity::Error), "{plan}");
    assert_eq!(plan.steps.is_empty(), is_held(&plan), "{plan}");
}

#[test]
fn a_service_that_would_take_a_proxy_port_produces_a_finding_and_holds_back_replacements() {
    let (error, warning) = (Some(Severity::Error), Some(Severity::Warning));
    let waits = Some(("pending", ""));
    check(&requesting(80, "tcp", "host", &json!(1), &[]), waits, error);
    check(&requesting(443, "tcp", "host", &json!(1), &[]), None, error);
    check(&requesting(80, "tcp", "host", &Value::Null, &[]), Some(("pending", "node1")), error);
    check(&requesting(80, "tcp", "host", &json!(1), &["engine.labels.disk==ssd"]), waits, error);
    // All its tasks have a node, and no proxy lacks one.
    check(&requesting(80, "tcp", "host", &json!(1), &[]), Some(("running", "elsewhere")), warning);
    check(&requesting(80, "tcp", "host", &json!(1), &[]), Some(("running", "node1")), warning);
    // None of these can get the port.
    check(&requesting(80, "tcp", "host", &json!(0), &[]), None, None);
    check(&requesting(80, "tcp", "host", &json!(1), &["node.id!=node1"]), waits, None);
    check(&requesting(80, "udp", "host", &json!(1), &[]), waits, None);
    check(&requesting(0, "tcp", "host", &json!(1), &[]), waits, None);
    check(&requesting(81, "tcp", "host", &json!(1), &[]), waits, None);
    check(&requesting(80, "tcp", "ingress", &json!(1), &[]), waits, None);
}

#[test]
fn a_service_with_our_labels_but_no_seal_is_foreign() {
    let mut world = PlanScenario::converged(&on_nodes());
    let mut spec = requesting(80, "tcp", "host", &json!(1), &[]);
    spec["Labels"] = world.service(PROXY).spec["Labels"].clone();
    add(&mut world, &spec);
    assert_eq!(severity(&world.plan(&on_nodes())), Some(Severity::Error));
}

#[test]
fn changes_that_stop_proxies_wait_until_the_foreign_service_is_gone() {
    let with = |change: fn(&mut Cluster)| {
        let mut cluster = on_nodes();
        change(&mut cluster);
        cluster
    };
    let ports = with(|cluster| cluster.proxy.publish.http.published = crate::types::Port::new(81).unwrap());
    let mode = with(|cluster| cluster.proxy.publish = publish(PublishMode::Ingress));
    let name = with(|cluster| cluster.proxy.workload.service_name = ServiceName::parse("another-name").unwrap());
    let grace = with(|cluster| cluster.proxy.stop_grace_period = Some(std::time::Duration::from_secs(7)));
    for newer in [ports, mode, name, grace] {
        let mut world = contested(&on_nodes());
        let plan = world.plan(&newer);
        assert!(is_held(&plan) && plan.steps.is_empty(), "{plan}");
        world.raw.services.retain(|service| service["ID"] != "stray");
        assert!(!world.plan(&newer).steps.is_empty());
    }
}

#[test]
fn networks_and_mounted_configurations_wait_as_well() {
    let mut world = contested(&on_nodes());
    world.networks = vec![NetworkId("net-app".to_owned())];
    assert!(is_held(&world.plan(&on_nodes())) && titles(&world.plan(&on_nodes())).is_empty());
    let mut cluster = on_nodes();
    cluster.proxy.rollout = RolloutStrategy::Replace;
    let mut world = PlanScenario::new();
    world.live = Some(bundle("live"));
    world.converge(&cluster);
    add(&mut world, &requesting(80, "tcp", "host", &json!(1), &[]));
    world.live = Some(bundle("newer"));
    assert!(is_held(&world.plan(&cluster)) && titles(&world.plan(&cluster)).is_empty(), "{}", world.plan(&cluster));
}

#[test]
fn swarms_own_global_mode_is_not_left_by_removing_proxies_that_run() {
    let mut global = on_nodes();
    global.proxy.mode = Mode::Global;
    let mut world = contested(&on_nodes());
    world.by_hand(PROXY, |spec| spec["Mode"] = json!({"Global": {}}));
    let plan = world.plan(&on_nodes());
    assert!(is_held(&plan) && plan.steps.is_empty(), "{plan}");
    assert!(titles(&world.plan(&global)).is_empty(), "it matches the declaration");
}

#[test]
fn changes_that_stop_no_running_proxy_proceed() {
    let mut cluster = on_nodes();
    cluster.proxy.replicas = Some(4);
    let mut world = contested(&on_nodes());
    assert_eq!(titles(&world.plan(&cluster)), [format!("update service {PROXY}")]);
    // The same applies if no proxy runs, if failed networks are withdrawn, or if the operator did not create the service.
    let mut newer = on_nodes();
    newer.proxy.workload.image = "newer:1".to_owned();
    let spec = world.service(PROXY).spec["TaskTemplate"].clone();
    world.set_tasks(PROXY, &[(spec, "pending")]);
    assert_eq!(titles(&world.plan(&newer)), [format!("update service {PROXY}")]);
    let mut world = contested(&on_nodes());
    world.network_update.withdraws = true;
    assert_eq!(titles(&world.plan(&newer)), [format!("update service {PROXY}")]);
    let mut world = contested(&on_nodes());
    world.by_hand(PROXY, |spec| spec["Labels"]["swarmgate.seal"] = json!("forged"));
    assert!(titles(&world.plan(&newer)).contains(&format!("update service {PROXY}")));
    assert!(!plan_removal("swarmgate", &newer.name, &world.snapshot()).steps.is_empty());
}

#[test]
fn a_rollout_that_stopped_halfway_continues_only_if_no_proxy_can_be_lost() {
    let mut world = contested(&on_nodes());
    let now = world.service(PROXY).spec["TaskTemplate"].clone();
    let mut old = now.clone();
    old["ForceUpdate"] = json!(7);
    world.set_tasks(PROXY, &[(old, "running"), (now, "running")]);
    world.rollout(PROXY, "paused");
    world.pass(&on_nodes());
    world.pass_time(3600);
    assert!(is_held(&world.plan(&on_nodes())), "{}", world.plan(&on_nodes()));
    world.raw.services.retain(|service| service["ID"] != "stray");
    assert_eq!(titles(&world.plan(&on_nodes())), [format!("update service {PROXY}")]);
}

#[test]
fn a_proxy_that_waits_for_a_port_names_the_service_that_holds_it() {
    let mut world = PlanScenario::converged(&on_nodes());
    add(&mut world, &requesting(80, "tcp", "host", &json!(1), &[]));
    run(&mut world, "running", "node1");
    for (stray, plan) in [("pending", true), ("running", true)] {
        let spec = world.service(PROXY).spec["TaskTemplate"].clone();
        world.set_tasks(PROXY, &[(spec.clone(), "running"), (spec, "pending")]);
        let waiting = world.raw.tasks.iter_mut().find(|task| task["Status"]["State"] == "pending" && task["ServiceID"] != "stray").unwrap();
        waiting["Status"]["Err"] = json!("no suitable node (host-mode port already in use on 1 node)");
        run(&mut world, stray, "node1");
        assert_eq!(severity(&world.plan(&on_nodes())) == Some(Severity::Error), plan, "{stray}");
    }
    let findings = world.plan(&on_nodes()).findings.iter().map(ToString::to_string).collect::<String>();
    assert!(findings.contains("service stray_web") && findings.contains("of the stack stray publishes 80/tcp"), "{findings}");
}
