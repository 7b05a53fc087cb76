//! The bollard adapter against a fake manager that is only a unix socket with recorded answers: what Swarm and a bad connection
//! can return, and what the port makes of it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};
use swarmgate::docker::DockerSwarm;
use swarmgate::swarm::{Snapshot, Swarm, SwarmError, SwarmErrorKind};
use swarmgate::types::{ConfigId, ServiceId};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// What the fake manager does with a request whose first line begins with a given text.
#[derive(Clone)]
enum ScriptedResponse {
    Json(u16, Value),
    /// Announces more bytes than it sends, then closes the connection.
    Cut(&'static str),
    /// Sends these lines and closes the connection.
    Stream(&'static str),
    Silence,
}

/// A fake manager, whose socket is removed when it is dropped.
struct ScriptedManager {
    _folder: tempfile::TempDir,
    socket: PathBuf,
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

impl ScriptedManager {
    fn start(answers: &[(&'static str, ScriptedResponse)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answers, log) = (answers.to_vec(), seen.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answers.clone(), log.clone()));
            }
        });
        Self { _folder: folder, socket, seen }
    }

    /// A manager that answers every list with an empty one, except for the given answers.
    fn quiet(answers: &[(&'static str, ScriptedResponse)]) -> Self {
        let lists = ["services", "tasks", "nodes", "networks", "configs", "secrets"];
        let paths = lists.map(|l| &*Box::leak(format!("GET /v1.41/{l}").into_boxed_str()));
        let mut all = answers.to_vec();
        all.extend(paths.map(|p| (p, ScriptedResponse::Json(200, json!([])))));
        Self::start(&all)
    }

    fn swarm(&self) -> DockerSwarm {
        DockerSwarm::connect_with_deadline(&self.url(), Duration::from_millis(500)).unwrap()
    }

    fn url(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(line, _)| line.clone()).collect()
    }

    fn body_of(&self, line: &str) -> Value {
        let seen = self.seen.lock().unwrap();
        let (_, body) = seen.iter().find(|(l, _)| l.starts_with(line)).unwrap();
        serde_json::from_str(body).unwrap()
    }
}

async fn serve(stream: UnixStream, answers: Vec<(&'static str, ScriptedResponse)>, log: Arc<Mutex<Vec<(String, String)>>>) {
    let mut stream = BufReader::new(stream);
    while let Some((line, body)) = request(&mut stream).await {
        log.lock().unwrap().push((line.clone(), body));
        if !answer(&mut stream, find(&line, &answers)).await {
            return;
        }
    }
}

async fn request(stream: &mut BufReader<UnixStream>) -> Option<(String, String)> {
    let (mut first, mut length) = (String::new(), 0);
    stream.read_line(&mut first).await.ok().filter(|n| *n > 0)?;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok().filter(|n| *n > 0)?;
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if header.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((first.trim_end().trim_end_matches(" HTTP/1.1").to_owned(), String::from_utf8(body).ok()?))
}

fn find(line: &str, answers: &[(&'static str, ScriptedResponse)]) -> ScriptedResponse {
    if line == "GET /version" {
        return ScriptedResponse::Json(200, json!({"ApiVersion": "1.41", "MinAPIVersion": "1.12"}));
    }
    let found = answers.iter().find(|(prefix, _)| line.starts_with(prefix));
    found.map_or_else(|| ScriptedResponse::Json(404, json!({"message": format!("no recorded response for {line}")})), |(_, a)| a.clone())
}

/// Sends an answer; returns whether the connection stays open.
async fn answer(stream: &mut BufReader<UnixStream>, answer: ScriptedResponse) -> bool {
    let (text, goes_on) = match answer {
        ScriptedResponse::Json(status, body) => {
            let body = body.to_string();
            (format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()), true)
        }
        ScriptedResponse::Cut(body) => (format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len() + 100), false),
        ScriptedResponse::Stream(lines) => (format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{lines}", lines.len()), false),
        ScriptedResponse::Silence => {
            std::future::pending::<()>().await;
            return false;
        }
    };
    stream.get_mut().write_all(text.as_bytes()).await.is_ok() && goes_on
}

fn refusal(status: u16, message: &str) -> ScriptedResponse {
    ScriptedResponse::Json(status, json!({"message": message}))
}

async fn update_error(answer: ScriptedResponse) -> SwarmError {
    let manager = ScriptedManager::start(&[("POST /v1.41/services/abc/update", answer)]);
    manager.swarm().update_service(&ServiceId("abc".to_owned()), 7, &json!({"Name": "web"})).await.unwrap_err()
}

#[tokio::test]
async fn an_update_of_an_outdated_version_is_out_of_sequence() {
    let error = update_error(refusal(500, "rpc error: code = Unknown desc = update out of sequence")).await;
    assert_eq!(error.kind, SwarmErrorKind::OutOfSequence);
    assert_eq!(error.to_string(), "update service web: rpc error: code = Unknown desc = update out of sequence");
}

#[tokio::test]
async fn a_swarm_without_a_leader_reveals_nothing_about_its_contents() {
    let error = update_error(refusal(500, "rpc error: code = Unknown desc = The swarm does not have a leader")).await;
    assert_eq!(error.kind, SwarmErrorKind::Unavailable);
}

#[tokio::test]
async fn a_missing_object_and_a_name_conflict_are_distinguished() {
    let taken = refusal(409, "rpc error: code = AlreadyExists desc = name conflicts with an existing object");
    let manager = ScriptedManager::start(&[
        ("DELETE /v1.41/configs/gone", refusal(404, "config gone not found")),
        (
            "DELETE /v1.41/configs/used",
            refusal(400, "rpc error: code = InvalidArgument desc = config 'c' is in use by the following service: s"),
        ),
        ("POST /v1.41/configs/create", taken),
    ]);
    let swarm = manager.swarm();
    let remove = |id: &'static str| swarm.remove_config(Box::leak(Box::new(ConfigId(id.to_owned()))));
    assert_eq!(remove("gone").await.unwrap_err().kind, SwarmErrorKind::NotFound);
    assert_eq!(remove("used").await.unwrap_err().kind, SwarmErrorKind::InUse);
    assert_eq!(swarm.create_config("c", &BTreeMap::new(), b"x").await.unwrap_err().kind, SwarmErrorKind::NameTaken);
}

#[tokio::test]
async fn an_html_error_page_keeps_its_message() {
    let error = update_error(ScriptedResponse::Json(403, json!("forbidden by the socket filter"))).await;
    assert_eq!((error.kind, error.message.as_str()), (SwarmErrorKind::Other, "\"forbidden by the socket filter\""));
}

#[tokio::test]
async fn one_failed_list_fails_the_whole_snapshot() {
    for list in ["services", "tasks", "nodes", "networks", "configs", "secrets"] {
        let path = &*Box::leak(format!("GET /v1.41/{list}").into_boxed_str());
        let manager =
            ScriptedManager::quiet(&[(path, refusal(500, "rpc error: code = DeadlineExceeded desc = context deadline exceeded"))]);
        let error = manager.swarm().observe().await.unwrap_err();
        assert_eq!((error.kind, error.doing), (SwarmErrorKind::Unavailable, format!("list {list}")));
    }
}

#[tokio::test]
async fn the_bridge_network_is_in_every_snapshot_but_rarely_requested() {
    let bridge = json!({"Id": "b", "Name": "docker_gwbridge", "Driver": "bridge", "Scope": "local", "IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}]}});
    let by_name = "GET /v1.41/networks?filters=%7B%22name%22";
    let manager = ScriptedManager::quiet(&[(by_name, ScriptedResponse::Json(200, json!([bridge])))]);
    let swarm = manager.swarm();
    for _ in 0..5 {
        let seen = Snapshot::from_raw(&swarm.observe().await.unwrap()).unwrap();
        assert_eq!(seen.gateway_bridge, ["172.18.0.0/16".parse().unwrap()], "also the first time");
    }
    assert_eq!(manager.requests().iter().filter(|line| line.starts_with(by_name)).count(), 1);
    let failing = ScriptedManager::quiet(&[(by_name, refusal(500, "rpc error: code = DeadlineExceeded desc = context deadline exceeded"))]);
    assert_eq!(
        failing.swarm().observe().await.unwrap_err().doing,
        "list the node's gateway bridge",
        "a failed request must not pass for a missing subnet"
    );
}

#[tokio::test]
async fn a_truncated_list_is_an_error_rather_than_a_shorter_list() {
    let manager = ScriptedManager::quiet(&[("GET /v1.41/services", ScriptedResponse::Cut(r#"[{"ID":"a"},"#))]);
    let error = manager.swarm().observe().await.unwrap_err();
    assert_eq!(error.kind, SwarmErrorKind::Unavailable);
}

#[tokio::test]
async fn a_request_to_a_silent_server_fails_at_the_deadline() {
    let manager = ScriptedManager::quiet(&[("GET /v1.41/nodes", ScriptedResponse::Silence)]);
    let error = manager.swarm().observe().await.unwrap_err();
    assert_eq!(error.to_string(), "list nodes: no answer within 500ms");
    assert_eq!(error.kind, SwarmErrorKind::Unavailable);
}

#[tokio::test]
async fn a_missing_socket_is_unavailable_until_a_manager_listens() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let swarm = DockerSwarm::connect(&format!("unix://{}", socket.display())).unwrap();
    assert_eq!(swarm.running_tasks().await.unwrap_err().kind, SwarmErrorKind::Unavailable);
    let manager = ScriptedManager::quiet(&[]);
    std::os::unix::fs::symlink(&manager.socket, &socket).unwrap();
    assert_eq!(swarm.running_tasks().await, Ok(vec![]));
}

#[tokio::test]
async fn an_outdated_docker_engine_is_rejected_with_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("s")).unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        request(&mut stream).await.unwrap();
        answer(&mut stream, ScriptedResponse::Json(200, json!({"ApiVersion": "1.39"}))).await;
    });
    let swarm = DockerSwarm::connect(&format!("unix://{}/s", folder.path().display())).unwrap();
    let error = swarm.running_tasks().await.unwrap_err();
    assert_eq!(error.message, "the server supports API 1.39, but 1.41 is required (Docker 20.10 or newer)");
}

#[tokio::test]
async fn unknown_fields_and_values_survive_a_round_trip() {
    let spec = json!({"Name": "web", "Mode": {"Quantum": {}}, "TaskTemplate": {"Futuristic": [1, null], "Runtime": "wasm"}, "Labels": {}});
    let odd = json!({"ID": "abc", "Spec": spec, "Version": {"Index": 7}, "UpdateStatus": {"State": "pondering"}});
    let task = json!({"ID": "t", "DesiredState": "running", "Status": {"State": "levitating"}});
    let manager = ScriptedManager::quiet(&[
        ("GET /v1.41/services", ScriptedResponse::Json(200, json!([odd, {"ID": "plain"}]))),
        ("GET /v1.41/tasks", ScriptedResponse::Json(200, json!([task]))),
        ("POST /v1.41/services/abc/update", ScriptedResponse::Json(200, json!({"Warnings": null}))),
    ]);
    let swarm = manager.swarm();
    let seen = Snapshot::from_raw(&swarm.observe().await.unwrap()).unwrap();
    let service = &seen.services[&ServiceId("abc".to_owned())];
    swarm.update_service(&service.id, service.version, &service.spec).await.unwrap();
    assert_eq!((seen.services.len(), seen.tasks.len()), (2, 1));
    assert_eq!(manager.body_of("POST /v1.41/services/abc/update?version=7&registryAuthFrom=spec"), spec);
}

#[tokio::test]
async fn every_call_after_the_negotiation_uses_the_negotiated_version() {
    let manager = ScriptedManager::quiet(&[("DELETE /v1.41/services/abc", ScriptedResponse::Json(200, Value::Null))]);
    let swarm = manager.swarm();
    swarm.observe().await.unwrap();
    swarm.remove_service(&ServiceId("abc".to_owned())).await.unwrap();
    let unversioned: Vec<String> = manager.requests().into_iter().filter(|r| !r.contains(" /v1.41/")).collect();
    assert_eq!(unversioned, ["GET /version"]);
}

#[tokio::test]
async fn data_travels_as_base64() {
    let manager = ScriptedManager::start(&[("POST /v1.41/secrets/create", ScriptedResponse::Json(201, json!({"ID": "x"})))]);
    let labels = BTreeMap::from([("swarmgate.owner".to_owned(), "o".to_owned())]);
    let id = manager.swarm().create_secret("token", &labels, b"hello").await.unwrap();
    assert_eq!(id.0, "x");
    assert_eq!(manager.body_of("POST"), json!({"Name": "token", "Labels": {"swarmgate.owner": "o"}, "Data": "aGVsbG8="}));
}

async fn hints(lines: &'static str) -> Vec<Result<String, String>> {
    let manager = ScriptedManager::start(&[("GET /v1.41/events", ScriptedResponse::Stream(lines))]);
    let items = manager.swarm().hints().collect::<Vec<_>>();
    let items = tokio::time::timeout(Duration::from_secs(5), items).await.unwrap();
    items.into_iter().map(|i| i.map(|h| format!("{}: {}", h.kind, h.detail)).map_err(|e| e.to_string())).collect()
}

#[tokio::test]
async fn the_end_of_an_event_stream_is_reported() {
    let lines = "{\"Type\":\"service\",\"Action\":\"update\",\"Actor\":{\"Attributes\":{\"name\":\"web\"}}}\n\n{\"Type\":\"quark\"}\n";
    let expected = [Ok("service: update web".to_owned()), Ok("quark:  ".to_owned()), Err("follow events: the stream ended".to_owned())];
    assert_eq!(hints(lines).await, expected);
}

#[tokio::test]
async fn an_invalid_event_ends_the_event_stream() {
    let expected = [Ok("node:  ".to_owned()), Err("follow events: not an event: <html>".to_owned())];
    assert_eq!(hints("{\"Type\":\"node\"}\n<html>\n{\"Type\":\"node\"}\n").await, expected);
}

#[test]
fn an_invalid_address_is_rejected_immediately() {
    for url in ["", "docker.sock", "unix://relative", "https://host", "tcp://"] {
        let error = DockerSwarm::connect(url).err().unwrap();
        assert!(error.to_string().contains(&format!("'{url}'")), "{error}");
    }
    assert!(DockerSwarm::connect("tcp://127.0.0.1:2375").is_ok());
}

#[tokio::test]
async fn a_missing_socket_is_reported_with_its_address_and_the_options() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("unix://{}/docker.sock", folder.path().display());
    let error = DockerSwarm::connect(&url).unwrap().observe().await.unwrap_err();
    let expected = format!("cannot connect to the Docker API at {url}: No such file or directory; set --docker-url or DOCKER_HOST");
    assert_eq!(error.to_string(), expected);
}
