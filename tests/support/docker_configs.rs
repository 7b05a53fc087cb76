//! A manager that implements only the calls about configs: it stores them, finds them as Docker does (moby's
//! `daemon/cluster/helpers.go` and swarmkit's `manager/controlapi/config.go`), and counts the bytes that it sends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::Stream;
use futures::stream::{self, StreamExt as _};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use swarmgate::docker::DockerSwarm;
use tokio::net::UnixListener;
use tokio::sync::watch;

/// The size limit of one call between managers, unless the call returns a list.
const CALL_BYTES_MAX: usize = 4 << 20;

#[derive(Clone)]
pub struct FakeConfig {
    pub id: String,
    pub name: String,
    pub version: u64,
    pub labels: BTreeMap<String, String>,
    /// Only the size of the content is kept.
    pub bytes: usize,
}

impl FakeConfig {
    pub fn new(name: &str, labels: &[(&str, &str)], bytes: usize) -> Self {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let id = name.bytes().filter(u8::is_ascii_alphanumeric).map(char::from).collect::<String>() + "id";
        Self { id, name: name.to_owned(), version: 1, labels, bytes }
    }

    /// The config in Docker's format, in pieces.
    fn pieces(self) -> impl Iterator<Item = Bytes> {
        let (id, version, name, labels) = (self.id, self.version, self.name, json!(self.labels));
        let head = format!(
            r#"{{"ID":"{id}","Version":{{"Index":{version}}},"CreatedAt":"2026-01-01T00:00:00Z","Spec":{{"Name":"{name}","Labels":{labels},"Data":""#
        );
        // 48 KiB of content at a time, which becomes 64 KiB of text.
        let sizes = (0..self.bytes.div_ceil(48 << 10)).map(move |n| (self.bytes - n * (48 << 10)).min(48 << 10));
        let contents = sizes.map(|size| Bytes::from(STANDARD.encode(vec![b'x'; size])));
        std::iter::once(Bytes::from(head)).chain(contents).chain(std::iter::once(Bytes::from_static(b"\"}}")))
    }
}

/// Makes one item of a list.
type Make = Arc<dyn Fn(usize) -> Value + Send + Sync>;

#[derive(Default)]
struct ManagerState {
    configs: Vec<FakeConfig>,
    services: Vec<Value>,
    lists: BTreeMap<String, (usize, Make)>,
    requests: Vec<(String, u16)>,
    sent: BTreeMap<String, usize>,
    endless: bool,
}

/// The manager, whose socket is removed when it is dropped.
pub struct FakeManager {
    _folder: tempfile::TempDir,
    socket: PathBuf,
    state: Arc<Mutex<ManagerState>>,
    events: watch::Sender<Vec<String>>,
}

type BodyStream = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

impl FakeManager {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let state = Arc::new(Mutex::new(ManagerState::default()));
        let events = watch::Sender::new(Vec::new());
        let (shared, sent) = (state.clone(), events.clone());
        let app = Router::new().fallback(async move |request: Request| answer(request, shared.clone(), &sent).await);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { _folder: folder, socket, state, events }
    }

    pub fn swarm(&self) -> DockerSwarm {
        // A debug build is slow at writing and reading lists.
        let deadline = Duration::from_secs(120);
        DockerSwarm::connect_with_deadline(&format!("unix://{}", self.socket.display()), deadline).unwrap()
    }

    fn state(&self) -> MutexGuard<'_, ManagerState> {
        self.state.lock().unwrap()
    }

    pub fn add(&self, config: FakeConfig) {
        self.state().configs.push(config);
    }

    pub fn remove(&self, id: &str) {
        self.state().configs.retain(|config| config.id != id);
    }

    pub fn relabel(&self, id: &str, labels: &[(&str, &str)]) {
        let labels = FakeConfig::new("", labels, 0).labels;
        let mut state = self.state();
        let config = state.configs.iter_mut().find(|config| config.id == id).unwrap();
        (config.labels, config.version) = (labels, config.version + 1);
    }

    pub fn set_services(&self, services: Vec<Value>) {
        self.state().services = services;
    }

    /// Sets a list for this path, which is generated while it is sent.
    pub fn set_list(&self, path: &str, count: usize, make: impl Fn(usize) -> Value + Send + Sync + 'static) {
        self.state().lists.insert(path.to_owned(), (count, Arc::new(make)));
    }

    /// From now on every removal is refused with an endless message.
    pub fn set_endless(&self) {
        self.state().endless = true;
    }

    /// Sends an event, also to clients that subscribe later.
    pub fn emit(&self, kind: &str, action: &str, id: &str, name: &str) {
        let event = json!({"Type": kind, "Action": action, "Actor": {"ID": id, "Attributes": {"name": name}}});
        self.events.send_modify(|events| events.push(format!("{event}\n")));
    }

    /// The calls, with the status of each answer.
    pub fn requests(&self) -> Vec<(String, u16)> {
        self.state().requests.clone()
    }

    /// The number of bytes sent in bodies.
    pub fn sent(&self) -> usize {
        self.state().sent.values().sum()
    }

    /// The part of them that was sent for configs.
    pub fn sent_of_configs(&self) -> usize {
        self.state().sent.iter().filter(|(path, _)| path.starts_with("/configs")).map(|(_, bytes)| bytes).sum()
    }
}

async fn answer(request: Request, state: Arc<Mutex<ManagerState>>, events: &watch::Sender<Vec<String>>) -> Response {
    let path = request.uri().path().trim_start_matches("/v1.41").to_owned();
    let query = percent_decode_str(request.uri().query().unwrap_or_default()).decode_utf8().unwrap().into_owned();
    let method = request.method().clone();
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let (status, pieces) = found(&method, &path, &query, &body, &mut state.lock().unwrap(), events);
    let mut reference = state.lock().unwrap();
    reference.requests.push((format!("{method} {path}"), status.as_u16()));
    drop(reference);
    let counted = pieces.map(move |piece| {
        *state.lock().unwrap().sent.entry(path.clone()).or_default() += piece.len();
        Ok::<_, std::io::Error>(piece)
    });
    (status, Body::from_stream(counted)).into_response()
}

fn all(value: &Value) -> BodyStream {
    Box::pin(stream::iter([Bytes::from(value.to_string())]))
}

fn refused(status: StatusCode, message: &str) -> (StatusCode, BodyStream) {
    (status, all(&json!({"message": message})))
}

fn found(
    method: &Method,
    path: &str,
    query: &str,
    body: &[u8],
    state: &mut ManagerState,
    events: &watch::Sender<Vec<String>>,
) -> (StatusCode, BodyStream) {
    match (method.as_str(), path) {
        ("GET", "/version") => (StatusCode::OK, all(&json!({"ApiVersion": "1.41", "MinAPIVersion": "1.12"}))),
        ("GET", path) if state.lists.contains_key(path) => {
            let (count, make) = state.lists[path].clone();
            (StatusCode::OK, list((0..count).map(move |n| std::iter::once(Bytes::from(make(n).to_string())))))
        }
        ("GET", "/services") => (StatusCode::OK, all(&json!(state.services))),
        ("GET", "/events") => (StatusCode::OK, following(events.subscribe())),
        ("GET", "/configs") => (StatusCode::OK, list(filtered(&state.configs, query).into_iter().map(FakeConfig::pieces))),
        ("GET", path) if path.starts_with("/configs/") => one(&state.configs, path.trim_start_matches("/configs/")),
        ("GET", _) => (StatusCode::OK, all(&json!([]))),
        ("POST", "/configs/create") => create(state, &serde_json::from_slice(body).unwrap()),
        ("DELETE", _) if state.endless => (StatusCode::BAD_REQUEST, Box::pin(stream::repeat(Bytes::from_static(&[b' '; 1024])))),
        ("DELETE", path) => {
            state.configs.retain(|config| format!("/configs/{}", config.id) != path);
            (StatusCode::NO_CONTENT, Box::pin(stream::empty()))
        }
        _ => refused(StatusCode::NOT_FOUND, "page not found"),
    }
}

fn following(events: watch::Receiver<Vec<String>>) -> BodyStream {
    Box::pin(stream::unfold((events, 0), |(mut events, sent)| async move {
        let event = events.wait_for(|all| all.len() > sent).await.ok()?[sent].clone();
        Some((Bytes::from(event), (events, sent + 1)))
    }))
}

fn create(state: &mut ManagerState, spec: &Value) -> (StatusCode, BodyStream) {
    let name = spec["Name"].as_str().unwrap();
    if state.configs.iter().any(|config| config.name.eq_ignore_ascii_case(name)) {
        return refused(StatusCode::CONFLICT, &format!("rpc error: code = AlreadyExists desc = config {name} already exists"));
    }
    let labels = serde_json::from_value(spec["Labels"].clone()).unwrap();
    let config = FakeConfig { labels, ..FakeConfig::new(name, &[], 1) };
    let id = config.id.clone();
    state.configs.push(config);
    (StatusCode::CREATED, all(&json!({"ID": id})))
}

/// Filters: names and ids match by prefix, and one match suffices; all labels must match.
fn filtered(configs: &[FakeConfig], query: &str) -> Vec<FakeConfig> {
    let filters: Value = query.strip_prefix("filters=").map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
    let values = |key: &str| -> Vec<String> { serde_json::from_value(filters[key].clone()).unwrap_or_default() };
    let (names, ids, labels) = (values("name"), values("id"), values("label"));
    let begins = |config: &FakeConfig| {
        let by_name = names.iter().any(|name| config.name.to_lowercase().starts_with(&name.to_lowercase()));
        by_name || ids.iter().any(|id| config.id.starts_with(id)) || (names.is_empty() && ids.is_empty())
    };
    let has = |config: &FakeConfig| {
        labels.iter().all(|label| match label.split_once('=') {
            Some((key, value)) if !value.is_empty() => config.labels.get(key).is_some_and(|found| found == value),
            _ => config.labels.contains_key(label.trim_end_matches('=')),
        })
    };
    let mut found: Vec<FakeConfig> = configs.iter().filter(|config| begins(config) && has(config)).cloned().collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn list<P: Iterator<Item = Bytes> + Send + 'static>(items: impl Iterator<Item = P> + Send + 'static) -> BodyStream {
    let items = items.enumerate().flat_map(|(n, pieces)| {
        let before = Bytes::from_static(if n == 0 { b"" } else { b"," });
        std::iter::once(before).chain(pieces)
    });
    let all = std::iter::once(Bytes::from_static(b"[")).chain(items).chain(std::iter::once(Bytes::from_static(b"]\n")));
    Box::pin(stream::iter(all))
}

/// Docker looks up a reference as an id, then as a name regardless of case, then as the prefix of an id.
fn one(configs: &[FakeConfig], reference: &str) -> (StatusCode, BodyStream) {
    let exact = configs.iter().find(|config| config.id == reference);
    let named = exact.or_else(|| configs.iter().find(|config| config.name.eq_ignore_ascii_case(reference)));
    if let Some(config) = named {
        return (StatusCode::OK, Box::pin(stream::iter(config.clone().pieces())));
    }
    let begin: Vec<&FakeConfig> = configs.iter().filter(|config| config.id.starts_with(reference)).collect();
    let bytes: usize = begin.iter().map(|config| config.bytes).sum();
    match begin.as_slice() {
        _ if bytes > CALL_BYTES_MAX => {
            let message =
                format!("rpc error: code = ResourceExhausted desc = grpc: received message larger than max ({bytes} vs. {CALL_BYTES_MAX})");
            refused(StatusCode::INTERNAL_SERVER_ERROR, &message)
        }
        [] => refused(StatusCode::NOT_FOUND, &format!("config {reference} not found")),
        [config] => (StatusCode::OK, Box::pin(stream::iter((*config).clone().pieces()))),
        several => refused(StatusCode::BAD_REQUEST, &format!("config {reference} is ambiguous ({} matches found)", several.len())),
    }
}
