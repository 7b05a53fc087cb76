//! The operator's end of the channel on a stage: a hub with its server, and snapshots of a Swarm that never changes by itself.
//! Knows neither extension nor proxy.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use swarmgate::channel::{Hub, Moment, Received, serve};
use swarmgate::pki::{Authority, ChannelRole, ClientAuthentication, Credentials, server_config};
use swarmgate::protocol::messages::{Desired, ExtensionReport};
use swarmgate::protocol::{AdmittedTasks, AdmittedToken, SharedSecret};
use swarmgate::types::{ClusterName, Digest};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::listening::until_free;

/// The time between two of the operator's snapshots of the Swarm.
const OBSERVE_EVERY: Duration = Duration::from_millis(500);

/// The cluster of each stage.
pub fn cluster() -> ClusterName {
    ClusterName::parse("dev").unwrap()
}

/// The token of a role on every stage, as it is in the token file.
pub fn token_text(role: ChannelRole) -> String {
    format!("a-token-for-each-{role}")
}

/// The parsed token of a role on every stage.
pub fn token(role: ChannelRole) -> SharedSecret {
    SharedSecret::new(&token_text(role)).unwrap()
}

/// The tasks that get certificates on every stage.
pub fn admission() -> AdmittedTasks {
    let roles = [ChannelRole::Extension, ChannelRole::Proxy];
    let tokens = roles.map(|role| AdmittedToken { role, sha256: token(role).digest() });
    let extensions = ["extension", "replayed", "t1"].map(|task| (ChannelRole::Extension, task.to_owned()));
    let proxies = ["proxy-task", "local", "t1"].map(|task| (ChannelRole::Proxy, task.to_owned()));
    AdmittedTasks { tokens: tokens.to_vec(), tasks: extensions.into_iter().chain(proxies).collect() }
}

/// Looks at its Swarm again and again and sees the same until the test publishes something else.
pub struct OperatorEnd {
    hub: Hub,
    seen: Arc<Mutex<Option<(Desired, AdmittedTasks)>>>,
    observer: JoinHandle<()>,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl OperatorEnd {
    /// Starts listening, without having seen anything yet.
    pub async fn start(address: SocketAddr, authority: &Arc<Authority>) -> Self {
        let hub = Hub::new();
        let stop = CancellationToken::new();
        until_free(address).await;
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let credentials = Credentials::new(authority.root().clone());
        credentials.replace(authority.own(Timestamp::now()).unwrap());
        let tls = server_config(&credentials, ClientAuthentication::Optional).unwrap();
        let serving = serve(listener, tls, hub.router(Arc::clone(authority)), stop.clone());
        let server = tokio::spawn(async move { serving.await.unwrap() });
        let seen = Arc::new(Mutex::new(None));
        let observer = tokio::spawn(observe(hub.clone(), Arc::clone(&seen)));
        Self { hub, seen, observer, stop, server }
    }

    pub fn hub(&self) -> Hub {
        self.hub.clone()
    }

    /// Makes this the state that each following snapshot shows.
    pub fn publish(&self, desired: Desired) -> Digest {
        let digest = desired.digest.clone();
        self.hub.publish(&cluster(), desired.clone(), admission(), Moment::now());
        *self.seen.lock().unwrap() = Some((desired, admission()));
        digest
    }

    fn received(&self) -> Option<Received> {
        self.hub.report(&cluster())
    }

    pub fn report(&self) -> Option<ExtensionReport> {
        self.received().map(|received| received.report)
    }

    /// When it last accepted a report.
    pub fn reports_taken(&self) -> Timestamp {
        self.received().map_or(Timestamp::MIN, |received| received.at)
    }

    /// `Some` if the current report comes from this task and is later than `before`.
    pub fn task_reported_since(&self, task: &str, before: Timestamp) -> Option<()> {
        let received = self.received()?;
        (received.report.task == task && received.at > before).then_some(())
    }

    /// From now on its snapshots of the Swarm fail; it still answers requests.
    pub fn blind(&self) {
        self.observer.abort();
    }

    pub async fn stop(&mut self) {
        self.blind();
        self.stop.cancel();
        (&mut self.server).await.unwrap();
    }
}

async fn observe(hub: Hub, seen: Arc<Mutex<Option<(Desired, AdmittedTasks)>>>) {
    loop {
        let sight = seen.lock().unwrap().clone();
        if let Some((desired, admission)) = sight {
            hub.publish(&cluster(), desired, admission, Moment::now());
        }
        tokio::time::sleep(OBSERVE_EVERY).await;
    }
}
