//! A Swarm for one test case, and what all cases need: waiting, names of their own, and cleanup.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use swarmgate::docker::DockerSwarm;
use swarmgate::simulator::{ImageBehaviour, SimOptions, SimSwarm};
use swarmgate::swarm::{Service, Snapshot, Swarm, SwarmErrorKind, Task};
use swarmgate::types::{ConfigId, NetworkId, ServiceId};

/// The maximum time until a condition must hold.
const LIMIT: Duration = Duration::from_secs(90);
/// An image that no node has.
pub const NO_IMAGE: &str = "swarmgate-test-there-is-no-such-image:1";

/// A Swarm, and a prefix for the names of one case.
pub struct TestSwarm {
    swarm: Box<dyn Swarm>,
    simulated: Option<SimSwarm>,
    image: String,
    prefix: String,
}

impl TestSwarm {
    /// A simulated Swarm of one node, like the smallest real one.
    pub fn simulated(case: &str) -> Self {
        let swarm = SimSwarm::new(SimOptions { seed: 1, nodes: 2, ..SimOptions::default() });
        swarm.set_image(NO_IMAGE, ImageBehaviour::Missing);
        Self { swarm: Box::new(swarm.clone()), simulated: Some(swarm), image: "app".to_owned(), prefix: prefix(case) }
    }

    /// The real Swarm that the environment names. Skips the case if there is none.
    pub async fn real(case: &str) -> Option<Self> {
        let (Some(url), Some(image)) = (variable("SWARMGATE_TEST_DOCKER"), variable("SWARMGATE_TEST_IMAGE")) else {
            crate::skip::skip("no SWARMGATE_TEST_DOCKER and SWARMGATE_TEST_IMAGE, which name a real Swarm and an image");
            return None;
        };
        let bench = Self { swarm: Box::new(DockerSwarm::connect(&url).unwrap()), simulated: None, image, prefix: prefix(case) };
        bench.clean().await;
        Some(bench)
    }

    /// Removes everything that the case has created, in this run or an earlier one.
    pub async fn clean(&self) {
        let ours = |name: &str| name.starts_with(&self.prefix);
        let seen = self.snapshot().await;
        for service in seen.services.values().filter(|s| ours(&s.name)) {
            self.swarm.remove_service(&service.id).await.unwrap();
        }
        for config in seen.configs.values().filter(|c| ours(&c.name)) {
            self.swarm.remove_config(&config.id).await.unwrap();
        }
        for secret in seen.secrets.values().filter(|s| ours(&s.name)) {
            self.swarm.remove_secret(&secret.id).await.unwrap();
        }
        for network in seen.networks.values().filter(|n| ours(&n.name)) {
            self.remove_network_once_free(&network.id).await;
        }
    }

    /// Removes a network once the last task has left it. A node's engine lists a removed network until the node's last
    /// container has left it, so a network that is not found is gone, too.
    pub async fn remove_network_once_free(&self, id: &NetworkId) {
        let mut waited = Duration::ZERO;
        while let Err(error) = self.swarm.remove_network(id).await {
            if error.kind == SwarmErrorKind::NotFound {
                return;
            }
            assert!(error.kind == SwarmErrorKind::InUse && waited < LIMIT, "{error}");
            waited += self.pass(Duration::from_millis(200)).await;
        }
    }

    pub fn port(&self) -> &dyn Swarm {
        &*self.swarm
    }

    /// A name that no other case uses.
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A service with this many tasks that stop quickly.
    pub fn spec(&self, name: &str, replicas: u64) -> Value {
        json!({
            "Name": self.name(name),
            "Labels": {},
            "TaskTemplate": {"ContainerSpec": {"Image": self.image, "StopGracePeriod": 500_000_000}},
            "Mode": {"Replicated": {"Replicas": replicas}},
            "UpdateConfig": {"Parallelism": 1, "Monitor": 500_000_000},
            "RollbackConfig": {"Parallelism": 1, "Monitor": 500_000_000},
        })
    }

    pub async fn create(&self, spec: &Value) -> ServiceId {
        self.swarm.create_service(spec).await.unwrap()
    }

    pub async fn config(&self, name: &str, data: &[u8]) -> ConfigId {
        self.swarm.create_config(&self.name(name), &owner(), data).await.unwrap()
    }

    pub async fn network(&self, name: &str) -> NetworkId {
        self.swarm.create_network(&json!({"Name": self.name(name), "Driver": "overlay"})).await.unwrap()
    }

    pub async fn snapshot(&self) -> Snapshot {
        Snapshot::from_raw(&self.swarm.observe().await.unwrap()).unwrap()
    }

    pub async fn service(&self, id: &ServiceId) -> Service {
        self.snapshot().await.services.remove(id).unwrap()
    }

    /// Edits the current spec of a service, and retries while Swarm itself updates it.
    pub async fn edit(&self, id: &ServiceId, edit: impl Fn(&mut Value)) {
        loop {
            let service = self.service(id).await;
            let mut spec = service.spec;
            edit(&mut spec);
            match self.swarm.update_service(id, service.version, &spec).await {
                Err(error) if error.kind == SwarmErrorKind::OutOfSequence => {}
                other => return other.unwrap(),
            }
        }
    }

    /// Lets time pass and returns how much.
    pub async fn pass(&self, time: Duration) -> Duration {
        match &self.simulated {
            Some(swarm) => swarm.advance(time),
            None => tokio::time::sleep(time).await,
        }
        time
    }

    /// Waits until the Swarm satisfies `so`; returns that snapshot.
    pub async fn until(&self, what: &str, so: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let mut waited = Duration::ZERO;
        loop {
            let seen = self.snapshot().await;
            if so(&seen) {
                return seen;
            }
            assert!(waited < LIMIT, "timed out waiting until {what}: {seen:#?}");
            waited += self.pass(Duration::from_millis(100)).await;
        }
    }

    /// Creates a service and waits until the case can rely on all of its tasks; returns their ids.
    pub async fn running(&self, spec: &Value, tasks: usize) -> (ServiceId, BTreeSet<String>) {
        let id = self.create(spec).await;
        let ids = self.until_running(&id, tasks).await;
        (id, ids)
    }

    /// Waits until this many tasks run; returns their ids.
    pub async fn until_running(&self, id: &ServiceId, tasks: usize) -> BTreeSet<String> {
        let seen = self.until("tasks run", |s| running(s, id).len() == tasks).await;
        running(&seen, id).into_iter().map(|t| t.id.0.clone()).collect()
    }

    /// Waits until no old task is left and equally many new ones run.
    pub async fn until_replaced(&self, id: &ServiceId, old: &BTreeSet<String>) {
        let new = |s: &Snapshot| running(s, id).iter().filter(|t| !old.contains(&t.id.0)).count();
        self.until("all tasks are replaced", |s| new(s) == old.len() && running(s, id).len() == old.len()).await;
    }

    /// The tasks of a service that should stop and have not ended.
    pub async fn stopping(&self, id: &ServiceId) -> BTreeSet<String> {
        let stopping = self.swarm.stopping_tasks().await.unwrap();
        let stopping = self.snapshot().await.with_stopping(&stopping).unwrap().stopping;
        stopping.values().filter(|t| t.service == *id).map(|t| t.id.0.clone()).collect()
    }

    /// Waits until all of them have ended.
    pub async fn until_none_is_stopping(&self, id: &ServiceId) {
        let mut waited = Duration::ZERO;
        while !self.stopping(id).await.is_empty() {
            assert!(waited < LIMIT, "waiting until no task is on its way out");
            waited += self.pass(Duration::from_millis(100)).await;
        }
    }

    /// Watches for a while and checks that the tasks stay the same.
    pub async fn stays(&self, id: &ServiceId, old: &BTreeSet<String>) {
        for _ in 0..15 {
            self.pass(Duration::from_millis(100)).await;
            let seen = self.snapshot().await;
            let ids: BTreeSet<String> = tasks(&seen, id).into_iter().map(|t| t.id.0.clone()).collect();
            assert_eq!(ids, *old);
        }
    }
}

/// A service's tasks whose desired state is to run.
pub fn tasks<'a>(seen: &'a Snapshot, id: &ServiceId) -> Vec<&'a Task> {
    seen.tasks.values().filter(|t| t.service == *id).collect()
}

/// A service's tasks whose desired state is to run and that do run.
pub fn running<'a>(seen: &'a Snapshot, id: &ServiceId) -> Vec<&'a Task> {
    tasks(seen, id).into_iter().filter(|t| t.state.as_str() == "running").collect()
}

/// The label without which the port does not list configs.
pub fn owner() -> BTreeMap<String, String> {
    BTreeMap::from([("swarmgate.owner".to_owned(), "behaviour".to_owned())])
}

/// A prefix that only this case uses. Short, because the length of names is limited.
fn prefix(case: &str) -> String {
    let initials: String = case.split('_').filter_map(|word| word.chars().next()).collect();
    // The port lists only configs named like the operator's own.
    format!("swarmgate-t{}-{initials}-", case.len())
}

#[expect(clippy::disallowed_methods, reason = "a test has no command line of its own")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}
