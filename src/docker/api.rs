//! The port, call by call. Reads and bodies that must survive a round trip are raw JSON; the rest is bollard.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::errors::Error;
use futures::stream::BoxStream;
use hyper::body::Incoming;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::error::{ConnectError, swarm_error, unavailable};
use super::events;
use super::link::Link;
use super::networks;
use super::session::Session;
use crate::swarm::{Hint, RawSnapshot, Swarm, SwarmError, is_named, is_stopping, named_configs};
use crate::types::{ConfigId, NetworkId, SecretId, ServiceId};

/// The server gives up after 20 s; a little longer, so that its own words arrive.
const DEADLINE: Duration = Duration::from_secs(25);

const SERVICES: &str = "/services";
/// `{"desired-state":["running","complete"]}`: without the history of ended tasks, but with those of jobs.
const TASKS: &str = "/tasks?filters=%7B%22desired-state%22%3A%5B%22running%22%2C%22complete%22%5D%7D";
/// `{"desired-state":["shutdown","remove"]}`: told to stop, most of them long ago.
const TOLD_TO_STOP: &str = "/tasks?filters=%7B%22desired-state%22%3A%5B%22shutdown%22%2C%22remove%22%5D%7D";
const NODES: &str = "/nodes";
/// `{"scope":["swarm"]}`
const NETWORKS: &str = "/networks?filters=%7B%22scope%22%3A%5B%22swarm%22%5D%7D";
/// `{"name":["docker_gwbridge"]}`: a network of the answering node, which Docker finds by any part of its name.
const GATEWAY_BRIDGE: &str = "/networks?filters=%7B%22name%22%3A%5B%22docker_gwbridge%22%5D%7D";
/// `{"label":["swarmgate.owner"]}`: a config list carries all data, so others' configs are not asked for.
const CONFIGS: &str = "/configs?filters=%7B%22label%22%3A%5B%22swarmgate.owner%22%5D%7D";
const SECRETS: &str = "/secrets";

/// A real Swarm, through the Docker API of one of its managers. Cheap to clone; all clones share one session.
#[derive(Clone)]
pub struct DockerSwarm {
    link: Arc<Link>,
    session: Arc<Mutex<Option<Session>>>,
    deadline: Duration,
}

impl DockerSwarm {
    /// Prepares access to `unix:///path`, `tcp://host:port` or `http://host:port`. Connects and negotiates the API
    /// version (1.41 or newer) at the first call, and again after a call that found nobody: a manager may come later.
    pub fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::connect_with_deadline(url, DEADLINE)
    }

    /// As `connect`, with another deadline for each call.
    pub fn connect_with_deadline(url: &str, deadline: Duration) -> Result<Self, ConnectError> {
        Ok(Self { link: Arc::new(Link::new(url)?), session: Arc::default(), deadline })
    }

    /// One call: a session, the call's own work, and the deadline over both.
    async fn call<T, F>(&self, doing: &str, work: impl FnOnce(Session) -> F + Send) -> Result<T, SwarmError>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        let all = async { work(self.session().await?).await.map_err(|e| swarm_error(doing, &e)) };
        let result = match tokio::time::timeout(self.deadline, all).await {
            Ok(result) => result,
            Err(_) => Err(unavailable(doing, format!("no answer within {:?}", self.deadline))),
        };
        if result.as_ref().is_err_and(|e| e.message.contains("client version")) {
            // The engine was replaced by one that speaks other versions.
            *self.session.lock().await = None;
        }
        result
    }

    async fn session(&self) -> Result<Session, SwarmError> {
        let mut held = self.session.lock().await;
        if let Some(session) = held.as_ref() {
            return Ok(session.clone());
        }
        let session = Session::negotiate(&self.link, self.deadline.as_secs().max(1)).await?;
        Ok(held.insert(session).clone())
    }

    async fn list(&self, doing: &str, path: impl Into<String> + Send) -> Result<Vec<Value>, SwarmError> {
        let path = path.into();
        self.call(doing, move |s| async move { s.list(&path).await }).await
    }

    /// The configs that labels name. Swarm takes each name for the beginning of one.
    async fn named_configs(&self, services: &[Value]) -> Result<Vec<Value>, SwarmError> {
        let names = named_configs(services);
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let quoted = names.iter().map(|name| format!("%22{name}%22")).collect::<Vec<_>>().join("%2C");
        let found = self.list("list configs that labels name", format!("/configs?filters=%7B%22name%22%3A%5B{quoted}%5D%7D")).await?;
        Ok(found.into_iter().filter(|config| is_named(config, &names)).collect())
    }

    /// Posts a body to a `create` path; the new object's id.
    async fn create(&self, doing: String, path: &'static str, body: &Value) -> Result<String, SwarmError> {
        let answer = self.call(&doing, |s| async move { s.post(path, body).await }).await?;
        let id = answer.get("ID").or_else(|| answer.get("Id")).and_then(Value::as_str);
        id.map(str::to_owned).ok_or_else(|| unavailable(&doing, "the answer holds no id"))
    }

    async fn open_events(self) -> Result<Incoming, SwarmError> {
        self.call(events::DOING, |s| async move { s.open(events::PATH).await }).await
    }
}

#[async_trait]
impl Swarm for DockerSwarm {
    async fn observe(&self) -> Result<RawSnapshot, SwarmError> {
        let services_then_others = async {
            // A task whose service is missing could not be told from one whose service was removed.
            let services = self.list("list services", SERVICES).await?;
            let (tasks, named) = tokio::try_join!(self.running_tasks(), self.named_configs(&services))?;
            Ok((services, tasks, named))
        };
        let ((services, tasks, named), nodes, mut swarm_networks, bridge, mut configs, secrets) = tokio::try_join!(
            services_then_others,
            self.list("list nodes", NODES),
            async { networks::of_the_swarm(self.list("list networks", NETWORKS).await?) },
            self.list("list the node's gateway bridge", GATEWAY_BRIDGE),
            self.list("list configs", CONFIGS),
            self.list("list secrets", SECRETS),
        )?;
        swarm_networks.extend(networks::gateway_bridge(bridge));
        let ours: Vec<Option<Value>> = configs.iter().map(|config| config.get("ID").cloned()).collect();
        configs.extend(named.into_iter().filter(|config| !ours.contains(&config.get("ID").cloned())));
        Ok(RawSnapshot { taken_at: Timestamp::now(), services, tasks, nodes, networks: swarm_networks, configs, secrets })
    }

    async fn running_tasks(&self) -> Result<Vec<Value>, SwarmError> {
        self.list("list tasks", TASKS).await
    }

    async fn stopping_tasks(&self) -> Result<Vec<Value>, SwarmError> {
        let told = self.list("list tasks that are told to stop", TOLD_TO_STOP).await?;
        Ok(told.into_iter().filter(is_stopping).collect())
    }

    async fn tasks_of(&self, service: &ServiceId) -> Result<Vec<Value>, SwarmError> {
        // An id is letters and digits.
        let path = format!("/tasks?filters=%7B%22service%22%3A%5B%22{service}%22%5D%7D");
        self.list("list the tasks of a service", path).await
    }

    fn hints(&self) -> BoxStream<'static, Result<Hint, SwarmError>> {
        events::hints(self.clone().open_events())
    }

    async fn create_network(&self, body: &Value) -> Result<NetworkId, SwarmError> {
        self.create(format!("create network {}", name(body)), "/networks/create", body).await.map(NetworkId)
    }

    async fn create_config(&self, name: &str, labels: &BTreeMap<String, String>, data: &[u8]) -> Result<ConfigId, SwarmError> {
        self.create(format!("create config {name}"), "/configs/create", &file(name, labels, data)).await.map(ConfigId)
    }

    async fn create_secret(&self, name: &str, labels: &BTreeMap<String, String>, data: &[u8]) -> Result<SecretId, SwarmError> {
        self.create(format!("create secret {name}"), "/secrets/create", &file(name, labels, data)).await.map(SecretId)
    }

    async fn create_service(&self, spec: &Value) -> Result<ServiceId, SwarmError> {
        self.create(format!("create service {}", name(spec)), "/services/create", spec).await.map(ServiceId)
    }

    async fn update_service(&self, id: &ServiceId, version: u64, spec: &Value) -> Result<(), SwarmError> {
        // The registry credentials that the service was created with stay with it.
        let path = format!("/services/{id}/update?version={version}&registryAuthFrom=spec");
        let doing = format!("update service {}", name(spec));
        self.call(&doing, |s| async move { s.post(&path, spec).await }).await.map(|_| ())
    }

    async fn remove_service(&self, id: &ServiceId) -> Result<(), SwarmError> {
        self.call(&format!("remove service {id}"), |s| async move { s.docker.delete_service(&id.0).await }).await
    }

    async fn remove_config(&self, id: &ConfigId) -> Result<(), SwarmError> {
        self.call(&format!("remove config {id}"), |s| async move { s.docker.delete_config(&id.0).await }).await
    }

    async fn remove_secret(&self, id: &SecretId) -> Result<(), SwarmError> {
        self.call(&format!("remove secret {id}"), |s| async move { s.docker.delete_secret(&id.0).await }).await
    }

    async fn remove_network(&self, id: &NetworkId) -> Result<(), SwarmError> {
        self.call(&format!("remove network {id}"), |s| async move { s.docker.remove_network(&id.0).await }).await
    }
}

fn name(body: &Value) -> &str {
    body.get("Name").and_then(Value::as_str).unwrap_or("without a name")
}

/// The body that creates a config or a secret.
fn file(name: &str, labels: &BTreeMap<String, String>, data: &[u8]) -> Value {
    json!({"Name": name, "Labels": labels, "Data": STANDARD.encode(data)})
}
