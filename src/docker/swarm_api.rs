//! The port's methods, all with raw JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::stream::{self, BoxStream, StreamExt as _};
use hyper::body::Incoming;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::api_client::ApiClient;
use super::config_cache::{self, ConfigKey, KnownConfigs};
use super::config_events::ConfigNews;
use super::connection::DockerConnection;
use super::error::{CallError, ConnectError, swarm_error, unavailable};
use super::events;
use super::memory_budget::MemoryBudget;
use super::network_filter::{self, KnownBridge};
use crate::swarm::{Hint, RawSnapshot, Swarm, SwarmError, SwarmErrorKind, is_stopping, services_with_our_label, strip_service, strip_task};
use crate::types::{ConfigId, NetworkId, SecretId, ServiceId};

/// The server gives up after 20 s; wait a little longer, so that its own message arrives.
const DEADLINE: Duration = Duration::from_secs(25);
/// The deadline for optional answers: removing ended endpoints must not wait for them.
const BRIEF: Duration = Duration::from_millis(500);
/// The maximum memory of all lists of one observation together, in bytes: three times what 5,000 services with 15,000 tasks need.
pub const SNAPSHOT_MEMORY_MAX: u64 = 768 << 20;

const SERVICES: &str = "/services";
/// `{"desired-state":["running","complete"]}`: omits the history of ended tasks, except those of jobs.
const TASKS: &str = "/tasks?filters=%7B%22desired-state%22%3A%5B%22running%22%2C%22complete%22%5D%7D";
/// `{"desired-state":["shutdown","remove"]}`: asked to stop, most of them long ago.
const STOPPING_TASKS: &str = "/tasks?filters=%7B%22desired-state%22%3A%5B%22shutdown%22%2C%22remove%22%5D%7D";
const NODES: &str = "/nodes";
/// `{"scope":["swarm"]}`
const NETWORKS: &str = "/networks?filters=%7B%22scope%22%3A%5B%22swarm%22%5D%7D";
/// `{"name":["docker_gwbridge"]}`: a network of the answering node. Docker matches any part of the name.
const GATEWAY_BRIDGE: &str = "/networks?filters=%7B%22name%22%3A%5B%22docker_gwbridge%22%5D%7D";
const SECRETS: &str = "/secrets";

/// A real Swarm, through the Docker API of one of its managers. Cheap to clone; all clones share one session.
#[derive(Clone)]
pub struct DockerSwarm {
    link: Arc<DockerConnection>,
    session: Arc<Mutex<Option<ApiClient>>>,
    bridge: Arc<Mutex<Option<KnownBridge>>>,
    configs: Arc<Mutex<KnownConfigs>>,
    news: ConfigNews,
    deadline: Duration,
    snapshot_memory_max: u64,
}

impl DockerSwarm {
    /// Prepares access to `unix:///path`, `tcp://host:port` or `http://host:port`. Connects and negotiates the API version
    /// (1.41 or newer) at the first call, and again if no server was reachable then: a manager may come up later.
    pub fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::connect_with_deadline(url, DEADLINE)
    }

    /// Like `connect`, with another deadline for each call.
    pub fn connect_with_deadline(url: &str, deadline: Duration) -> Result<Self, ConnectError> {
        Ok(Self {
            link: Arc::new(DockerConnection::new(url)?),
            session: Arc::default(),
            bridge: Arc::default(),
            configs: Arc::default(),
            news: ConfigNews::default(),
            deadline,
            snapshot_memory_max: SNAPSHOT_MEMORY_MAX,
        })
    }

    /// Sets another limit for the memory of all lists of one observation together, in bytes.
    #[must_use]
    pub fn with_snapshot_memory_max(self, snapshot_memory_max: u64) -> Self {
        Self { snapshot_memory_max, ..self }
    }

    /// One call: gets a session and does the call's own work, both within the deadline.
    async fn call<T, F>(&self, doing: &str, work: impl FnOnce(ApiClient) -> F + Send) -> Result<T, SwarmError>
    where
        F: Future<Output = Result<T, CallError>> + Send,
    {
        let all = async { work(self.session().await?).await.map_err(|e| swarm_error(doing, &e)) };
        let result = match tokio::time::timeout(self.deadline, all).await {
            Ok(result) => result,
            Err(_) => Err(unavailable(doing, format!("no answer within {:?}", self.deadline))),
        };
        if result.as_ref().is_err_and(|e| e.message.contains("client version")) {
            // The engine was replaced by one that speaks other API versions.
            *self.session.lock().await = None;
        }
        result
    }

    async fn session(&self) -> Result<ApiClient, SwarmError> {
        let mut held = self.session.lock().await;
        if let Some(session) = held.as_ref() {
            return Ok(session.clone());
        }
        let session = ApiClient::negotiate(&self.link).await?;
        Ok(held.insert(session).clone())
    }

    fn room(&self) -> MemoryBudget {
        MemoryBudget::new(self.snapshot_memory_max)
    }

    async fn list(&self, doing: &str, path: &str, room: &MemoryBudget) -> Result<Vec<Value>, SwarmError> {
        self.trimmed_list(doing, path, room, |object| object).await
    }

    /// A list whose objects are trimmed as they arrive, so that only the fields in use are held.
    async fn trimmed_list(
        &self,
        doing: &str,
        path: &str,
        room: &MemoryBudget,
        spare: impl Fn(Value) -> Value + Send,
    ) -> Result<Vec<Value>, SwarmError> {
        self.call(doing, |s| async move { s.list(doing, path, room, spare).await }).await
    }

    /// The tasks that should run; only those of the services `ours` keep their specs.
    async fn tasks(&self, ours: &BTreeSet<String>, room: &MemoryBudget) -> Result<Vec<Value>, SwarmError> {
        self.trimmed_list("list tasks", TASKS, room, |task| strip_task(&task, ours)).await
    }

    /// The networks of the Swarm, and the answering node's bridge.
    async fn networks(&self, room: &MemoryBudget) -> Result<Vec<Value>, SwarmError> {
        let mut networks = network_filter::of_the_swarm(self.list("list networks", NETWORKS, room).await?)?;
        let bridge = self.bridge(&networks, room).await?;
        networks.extend(bridge);
        Ok(networks)
    }

    /// The answering node's bridge, requested periodically and whenever the set of networks changes.
    async fn bridge(&self, networks: &[Value], room: &MemoryBudget) -> Result<Vec<Value>, SwarmError> {
        let mut known = self.bridge.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.is_current(networks)) {
            return Ok(known.last_bridge.clone());
        }
        let requested_at = Instant::now();
        let found = self.list("list the node's gateway bridge", GATEWAY_BRIDGE, room).await?;
        let last_bridge: Vec<Value> = network_filter::gateway_bridge(found).collect();
        *known = KnownBridge::new(requested_at, networks, last_bridge.clone());
        Ok(last_bridge)
    }

    /// The configs that an observation of these services must contain. Observations take turns, and each reuses what earlier ones found.
    async fn configs(&self, services: &[Value]) -> Result<Vec<Value>, SwarmError> {
        let mut known = self.configs.lock().await;
        known.apply_changes(self.news.take());
        if known.must_list(Instant::now()) {
            let listed = self
                .call("list configs", |s| async move {
                    s.configs(config_cache::LIST, config_cache::LIST_BOUNDS, config_cache::without_data).await
                })
                .await;
            match listed {
                Ok((list, all)) => known.listed(list, all, Instant::now()),
                Err(error) => known.not_listed(error, Instant::now())?,
            }
        }
        let keys = known.missing(services, Instant::now());
        let mut answers = stream::iter(keys).map(|key| self.fetch_config(key)).buffer_unordered(config_cache::AT_ONCE);
        while let Some(answer) = answers.next().await {
            let (key, config) = answer?;
            known.answered(key, config, Instant::now());
        }
        Ok(known.all())
    }

    async fn fetch_config(&self, key: ConfigKey) -> Result<(ConfigKey, Option<Value>), SwarmError> {
        let (doing, path) = (format!("inspect config {key}"), format!("/configs/{key}"));
        match self.call(&doing, |s| async move { s.config(&path, config_cache::ONE_BYTES_MAX).await }).await {
            Ok(config) => Ok((key, config.map(config_cache::without_data))),
            Err(error) if config_cache::is_absence(&error) => Ok((key, None)),
            Err(error) => Err(error),
        }
    }

    /// Posts a body to a `create` path; returns the new object's id.
    async fn create(&self, doing: String, path: &'static str, body: &Value) -> Result<String, SwarmError> {
        let answer = self.call(&doing, |s| async move { s.post(path, body).await }).await?;
        let id = answer.get("ID").or_else(|| answer.get("Id")).and_then(Value::as_str);
        id.map(str::to_owned).ok_or_else(|| unavailable(&doing, "the answer contains no id"))
    }

    /// Swarm rejects a spec that names a config which no longer exists.
    fn invalidate_configs_if_rejected<T>(&self, written: &Result<T, SwarmError>) {
        if written.as_ref().is_err_and(|error| matches!(error.kind, SwarmErrorKind::Invalid | SwarmErrorKind::NotFound)) {
            self.news.mark_uncertain();
        }
    }

    async fn remove(&self, kind: &str, id: &str) -> Result<(), SwarmError> {
        let path = format!("/{kind}s/{id}");
        self.call(&format!("remove {kind} {id}"), |s| async move { s.delete(&path).await }).await
    }

    async fn open_events(self) -> Result<Incoming, SwarmError> {
        self.call(events::DOING, |s| async move { s.open(events::PATH).await }).await
    }
}

#[async_trait]
impl Swarm for DockerSwarm {
    async fn observe(&self) -> Result<RawSnapshot, SwarmError> {
        let room = &self.room();
        let services_then_others = async {
            // A task whose service is missing would look like one whose service was removed.
            let services = self.trimmed_list("list services", SERVICES, room, strip_service).await?;
            let ours = services_with_our_label(&services);
            let (tasks, configs) = tokio::try_join!(self.tasks(&ours, room), self.configs(&services))?;
            Ok((services, tasks, configs))
        };
        let ((services, tasks, configs), nodes, networks, secrets) = tokio::try_join!(
            services_then_others,
            self.list("list nodes", NODES, room),
            self.networks(room),
            self.list("list secrets", SECRETS, room),
        )?;
        Ok(RawSnapshot { taken_at: Timestamp::now(), services, tasks, nodes, networks, configs, secrets })
    }

    async fn running_tasks(&self) -> Result<Vec<Value>, SwarmError> {
        self.tasks(&BTreeSet::new(), &self.room()).await
    }

    async fn stopping_tasks(&self) -> Result<Vec<Value>, SwarmError> {
        let spare = |task: Value| if is_stopping(&task) { strip_task(&task, &BTreeSet::new()) } else { Value::Null };
        let stopping = self.trimmed_list("list stopping tasks", STOPPING_TASKS, &self.room(), spare).await?;
        Ok(stopping.into_iter().filter(is_stopping).collect())
    }

    async fn tasks_of(&self, service: &ServiceId) -> Result<Vec<Value>, SwarmError> {
        // An id consists of letters and digits.
        let path = format!("/tasks?filters=%7B%22service%22%3A%5B%22{service}%22%5D%7D");
        self.list("list the tasks of a service", &path, &self.room()).await
    }

    async fn tasks_of_briefly(&self, service: &ServiceId) -> Result<Vec<Value>, SwarmError> {
        Self { deadline: self.deadline.min(BRIEF), ..self.clone() }.tasks_of(service).await
    }

    fn hints(&self) -> BoxStream<'static, Result<Hint, SwarmError>> {
        events::hints(self.clone().open_events(), self.news.clone())
    }

    async fn create_network(&self, body: &Value) -> Result<NetworkId, SwarmError> {
        self.create(format!("create network {}", name(body)), "/networks/create", body).await.map(NetworkId)
    }

    async fn create_config(&self, name: &str, labels: &BTreeMap<String, String>, data: &[u8]) -> Result<ConfigId, SwarmError> {
        let created = self.create(format!("create config {name}"), "/configs/create", &file(name, labels, data)).await;
        // A create that failed may still have taken effect, or the object existed before.
        self.news.changed(created.as_deref().unwrap_or_default(), name);
        created.map(ConfigId)
    }

    async fn create_secret(&self, name: &str, labels: &BTreeMap<String, String>, data: &[u8]) -> Result<SecretId, SwarmError> {
        self.create(format!("create secret {name}"), "/secrets/create", &file(name, labels, data)).await.map(SecretId)
    }

    async fn create_service(&self, spec: &Value) -> Result<ServiceId, SwarmError> {
        let created = self.create(format!("create service {}", name(spec)), "/services/create", spec).await;
        self.invalidate_configs_if_rejected(&created);
        created.map(ServiceId)
    }

    async fn update_service(&self, id: &ServiceId, version: u64, spec: &Value) -> Result<(), SwarmError> {
        // Keep the registry credentials with which the service was created.
        let path = format!("/services/{id}/update?version={version}&registryAuthFrom=spec");
        let doing = format!("update service {}", name(spec));
        let updated = self.call(&doing, |s| async move { s.post(&path, spec).await }).await;
        self.invalidate_configs_if_rejected(&updated);
        updated.map(|_| ())
    }

    async fn remove_service(&self, id: &ServiceId) -> Result<(), SwarmError> {
        self.remove("service", &id.0).await
    }

    async fn remove_config(&self, id: &ConfigId) -> Result<(), SwarmError> {
        let removed = self.remove("config", &id.0).await;
        self.news.changed(&id.0, "");
        removed
    }

    async fn remove_secret(&self, id: &SecretId) -> Result<(), SwarmError> {
        self.remove("secret", &id.0).await
    }

    async fn remove_network(&self, id: &NetworkId) -> Result<(), SwarmError> {
        self.remove("network", &id.0).await
    }
}

fn name(body: &Value) -> &str {
    body.get("Name").and_then(Value::as_str).unwrap_or("without a name")
}

/// The request body that creates a config or a secret.
fn file(name: &str, labels: &BTreeMap<String, String>, data: &[u8]) -> Value {
    json!({"Name": name, "Labels": labels, "Data": STANDARD.encode(data)})
}
