//! `backend_mode=vip` against the simulated Swarm: changes to a service behind its virtual IP never change a byte of the
//! proxies' configurations, not even temporarily.

#![expect(clippy::unwrap_used, reason = "a test that cannot build its simulated Swarm has failed")]

use std::collections::BTreeMap;
use std::time::Duration;

use futures::FutureExt as _;
use serde_json::{Value, json};
use swarmgate::intent::cluster::Cluster;
use swarmgate::intent::documents::{SourceFile, read_documents};
use swarmgate::render::{ConfigPurpose, render};
use swarmgate::report::FindingCode;
use swarmgate::route::BackendService;
use swarmgate::simulator::{Availability, SimOptions, SimSwarm};
use swarmgate::swarm::{Snapshot, Swarm as _};
use swarmgate::translate::{Translation, translate};

const APP: &str = "web";
/// Longer than any rollout in the simulated Swarm.
const A_WHILE: Duration = Duration::from_secs(90);

fn cluster() -> Cluster {
    let text = include_str!("golden/default-spec.yaml");
    read_documents(&[SourceFile::new("spec.yaml", text.to_owned())]).valid().next().unwrap().clone()
}

/// A Swarm with one service in VIP mode whose tasks all run.
fn swarm() -> SimSwarm {
    let swarm = SimSwarm::new(SimOptions { seed: 7, ..SimOptions::default() });
    let networks = ["apps", "more"].map(|name| swarm.user_creates_network(&json!({"Name": name, "Driver": "overlay"})).unwrap());
    let spec = json!({
        "Name": APP,
        "Labels": {
            "com.docker.lb.hosts": "web.example.org", "com.docker.lb.port": "8080", "com.docker.lb.backend_mode": "vip",
            "com.docker.lb.network": "apps",
        },
        "TaskTemplate": {"ContainerSpec": {"Image": "app:1"}, "Networks": [{"Target": networks[0].0}]},
        "Mode": {"Replicated": {"Replicas": 2}},
        "UpdateConfig": {"Parallelism": 1, "Monitor": 500_000_000},
    });
    swarm.user_creates_service(&spec).unwrap();
    swarm.advance(A_WHILE);
    swarm
}

fn translated(swarm: &SimSwarm) -> Translation {
    let raw = swarm.observe().now_or_never().unwrap().unwrap();
    translate(&cluster(), &Snapshot::from_raw(&raw).unwrap())
}

/// The only service of the only route.
fn service(translation: &Translation) -> BackendService {
    let host = translation.table.hosts.values().next().unwrap();
    host.paths.values().next().unwrap().backend.services[0].clone()
}

fn config(swarm: &SimSwarm) -> String {
    let table = translated(swarm).table;
    [ConfigPurpose::Live, ConfigPurpose::Stock, ConfigPurpose::Boot]
        .map(|purpose| render(&table, purpose).files[table.engine.main_file()].clone())
        .join("\n")
}

/// Triggers a change and checks the configuration ten times a second until the change is long complete.
fn check_unchanged(what: &str, happens: impl FnOnce(&SimSwarm)) {
    let swarm = swarm();
    let before = config(&swarm);
    let service = service(&translated(&swarm));
    assert!(service.vip && service.endpoints.len() == 1, "{service:?}");
    happens(&swarm);
    let step = Duration::from_millis(100);
    let mut elapsed = Duration::ZERO;
    while elapsed < A_WHILE {
        swarm.advance(step);
        elapsed += step;
        assert_eq!(config(&swarm), before, "{what}: {elapsed:?} later");
    }
}

fn edit(swarm: &SimSwarm, change: impl FnOnce(&mut Value)) {
    swarm.user_edits_service(APP, change).unwrap();
}

fn file(id: &str, name: &str, kind: &str) -> Value {
    json!([{format!("{kind}ID"): id, format!("{kind}Name"): name, "File": {"Name": name, "UID": "0", "GID": "0", "Mode": 292}}])
}

#[test]
fn scaling_changes_nothing_while_one_task_is_desired() {
    check_unchanged("scaled up", |swarm| swarm.user_scales(APP, 6).unwrap());
    check_unchanged("scaled down", |swarm| swarm.user_scales(APP, 1).unwrap());
}

#[test]
fn container_updates_change_nothing() {
    check_unchanged("another image", |swarm| edit(swarm, |spec| spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!("app:2")));
    check_unchanged("environment added", |swarm| edit(swarm, |spec| spec["TaskTemplate"]["ContainerSpec"]["Env"] = json!(["A=b"])));
    check_unchanged("a container label added", |swarm| {
        edit(swarm, |spec| spec["TaskTemplate"]["ContainerSpec"]["Labels"] = json!({"a": "b"}));
    });
}

#[test]
fn changes_of_configs_and_secrets_change_nothing() {
    check_unchanged("another config", |swarm| {
        let id = swarm.user_creates_config("settings", &BTreeMap::new(), b"x").unwrap();
        edit(swarm, |spec| spec["TaskTemplate"]["ContainerSpec"]["Configs"] = file(&id.0, "settings", "Config"));
    });
    check_unchanged("another secret", |swarm| {
        let id = swarm.user_creates_secret("password", &BTreeMap::new(), b"x").unwrap();
        edit(swarm, |spec| spec["TaskTemplate"]["ContainerSpec"]["Secrets"] = file(&id.0, "password", "Secret"));
    });
}

#[test]
fn unrelated_labels_change_nothing() {
    check_unchanged("a label added", |swarm| edit(swarm, |spec| spec["Labels"]["team"] = json!("shop")));
    check_unchanged("a label added and removed", |swarm| {
        edit(swarm, |spec| spec["Labels"]["team"] = json!("shop"));
        edit(swarm, |spec| drop(spec["Labels"].as_object_mut().unwrap().remove("team")));
    });
}

#[test]
fn moved_or_failed_tasks_change_nothing() {
    check_unchanged("a node drained", |swarm| swarm.set_availability("node2", Availability::Drain));
    check_unchanged("a node lost", |swarm| swarm.node_goes_down("node3"));
    check_unchanged("a task dead", |swarm| assert!(swarm.kill_task(APP)));
    check_unchanged("all tasks are replaced", |swarm| edit(swarm, |spec| spec["TaskTemplate"]["ForceUpdate"] = json!(1)));
}

#[test]
fn an_additional_network_changes_nothing_while_the_label_names_the_first() {
    check_unchanged("a network added", |swarm| {
        let more = Snapshot::from_raw(&swarm.truth()).unwrap().networks.values().find(|network| network.name == "more").cloned().unwrap();
        edit(swarm, |spec| spec["TaskTemplate"]["Networks"].as_array_mut().unwrap().push(json!({"Target": more.id.0})));
    });
}

#[test]
fn zero_replicas_answer_503_and_scaling_up_restores_the_configuration() {
    let swarm = swarm();
    let before = config(&swarm);
    swarm.user_scales(APP, 0).unwrap();
    swarm.advance(A_WHILE);
    let translation = translated(&swarm);
    assert!(translation.findings.iter().any(|finding| finding.code == FindingCode::NoEndpoints), "{:?}", translation.findings);
    assert!(render(&translation.table, ConfigPurpose::Live).files[translation.table.engine.main_file()].matches("return 503").count() >= 2);
    swarm.user_scales(APP, 2).unwrap();
    swarm.advance(A_WHILE);
    assert_eq!(config(&swarm), before);
}

#[test]
fn without_a_virtual_ip_tasks_are_used_and_a_finding_reports_it() {
    let swarm = swarm();
    edit(&swarm, |spec| spec["EndpointSpec"] = json!({"Mode": "dnsrr"}));
    swarm.advance(A_WHILE);
    let translation = translated(&swarm);
    assert!(translation.findings.iter().any(|finding| finding.code == FindingCode::NoVirtualIp), "{:?}", translation.findings);
    let service = service(&translation);
    assert!(!service.vip && service.endpoints.len() == 2, "{service:?}");
}
