//! The published list of Docker API calls contains exactly the calls of the adapter: this test calls each method of the port
//! once, against a manager that records the requests.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use futures::StreamExt as _;
use serde_json::{Value, json};
use swarmgate::docker::DockerSwarm;
use swarmgate::swarm::Swarm;
use swarmgate::types::{ConfigId, NetworkId, SecretId, ServiceId};
use tokio::net::UnixListener;

/// The methods of the port that this test calls: all of them.
const METHODS: [&str; 15] = [
    "create_config",
    "create_network",
    "create_secret",
    "create_service",
    "hints",
    "observe",
    "remove_config",
    "remove_network",
    "remove_secret",
    "remove_service",
    "running_tasks",
    "stopping_tasks",
    "tasks_of",
    "tasks_of_briefly",
    "update_service",
];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// `METHOD PATH` of each line of the list.
fn published() -> BTreeSet<String> {
    let text = read("charts/swarmgate/docker-api.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            assert!(fields.len() > 3, "a line must give method, path and reason, not {line:?}");
            format!("{} {}", fields[0], fields[1])
        })
        .collect()
}

/// The call in the form of the list: without version and query, with ids as `{id}`.
fn call(request: &Request) -> String {
    let path = request.uri().path();
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && !part.starts_with("v1.")).collect();
    let named = segments.iter().enumerate().map(|(at, part)| if at == 1 && *part != "create" { "{id}" } else { part });
    named.fold(format!("{} ", request.method()), |call, part| call + "/" + part)
}

/// The answers of a manager that has only a service that names a CA, and that accepts every request.
fn answer(call: &str) -> Value {
    match call {
        "GET /version" => json!({"ApiVersion": "1.41", "MinAPIVersion": "1.12"}),
        "GET /services" => json!([{"ID": "s", "Spec": {"Labels": {"com.docker.lb.ssl_backend_tls_verify": "ca"}}}]),
        "GET /configs/{id}" => json!({"ID": "c", "Spec": {"Name": "ca"}}),
        call if call.starts_with("GET") => json!([]),
        _ => json!({"ID": "new"}),
    }
}

/// All requests of the adapter when each method of the port is called once.
async fn called() -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let log = seen.clone();
    let app = Router::new().fallback(async move |request: Request| {
        let call = call(&request);
        let answer = answer(&call).to_string();
        log.lock().unwrap().insert(call);
        answer
    });
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let swarm = DockerSwarm::connect(&format!("unix://{}", socket.display())).unwrap();
    let (none, id) = (BTreeMap::new(), "x".to_owned());
    swarm.observe().await.unwrap();
    swarm.running_tasks().await.unwrap();
    swarm.stopping_tasks().await.unwrap();
    swarm.tasks_of(&ServiceId(id.clone())).await.unwrap();
    swarm.tasks_of_briefly(&ServiceId(id.clone())).await.unwrap();
    let _ = swarm.hints().next().await;
    swarm.create_network(&json!({"Name": "n"})).await.unwrap();
    swarm.create_config("c", &none, b"x").await.unwrap();
    swarm.create_secret("s", &none, b"x").await.unwrap();
    swarm.create_service(&json!({"Name": "s"})).await.unwrap();
    swarm.update_service(&ServiceId(id.clone()), 1, &json!({"Name": "s"})).await.unwrap();
    swarm.remove_service(&ServiceId(id.clone())).await.unwrap();
    swarm.remove_config(&ConfigId(id.clone())).await.unwrap();
    swarm.remove_secret(&SecretId(id.clone())).await.unwrap();
    swarm.remove_network(&NetworkId(id)).await.unwrap();
    server.abort();
    let seen = seen.lock().unwrap();
    seen.clone()
}

#[tokio::test]
async fn the_published_call_list_matches_the_calls_of_the_operator() {
    let called = called().await;
    assert_eq!(published(), called, "left: charts/swarmgate/docker-api.txt, right: the calls of the adapter");
}

#[test]
fn every_method_of_the_swarm_trait_is_exercised() {
    let swarm_trait = read("src/swarm/swarm_trait.rs");
    let methods: BTreeSet<&str> = swarm_trait
        .lines()
        .filter_map(|line| line.trim().strip_prefix("async fn ").or_else(|| line.trim().strip_prefix("fn ")))
        .filter_map(|rest| rest.split('(').next())
        .collect();
    assert_eq!(methods, BTreeSet::from(METHODS));
}

#[test]
fn no_call_touches_containers_images_or_volumes() {
    for call in published() {
        let kind = call.split('/').nth(1).unwrap_or_default();
        assert!(["version", "events", "services", "tasks", "nodes", "networks", "configs", "secrets"].contains(&kind), "{call}");
    }
}
