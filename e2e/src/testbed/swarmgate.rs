//! Swarmgate as cases see it: its report, its metrics, the objects that it created. It must never change anything.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Testbed;
use super::http_client::HttpCall;
use crate::wait::eventually;

/// How long a rollout over all nodes may take on a busy machine.
const CONVERGED: Duration = Duration::from_secs(240);
/// The operator's `ROLLBACK_HANGS_AFTER`, plus the time before and after it.
const ROLLED_BACK: Duration = Duration::from_secs(240);
/// The label on every object of Swarmgate.
const OWNED: &str = "swarmgate.owner=swarmgate";

impl Testbed {
    /// The operator's report, read from the node that publishes it.
    pub fn status(&self) -> Result<Value> {
        serde_json::from_str(&self.query_operator("/status")?).context("read the operator's status")
    }

    /// The operator's response for `path`.
    pub fn query_operator(&self, path: &str) -> Result<String> {
        let mut last = anyhow::anyhow!("there is no node");
        for k in (1..=self.lab.nodes()).filter(|k| self.lab.is_on(*k)) {
            let address = self.at(k, 8080);
            let call = HttpCall::get(&address, &address, path).header("authorization", &format!("Bearer {}", self.status_token()?));
            match call.patience(Duration::from_secs(2)).send() {
                Ok(answer) if answer.status == 200 => return Ok(answer.body),
                Ok(answer) => last = anyhow::anyhow!("node{k} answered {} about {path}: {}", answer.status, answer.body),
                Err(reason) => last = reason,
            }
        }
        Err(last)
    }

    /// The operator's report about one cluster.
    pub fn cluster(&self, name: &str) -> Result<Value> {
        let cluster = self.status()?["clusters"][name].take();
        ensure!(cluster.is_object(), "the status has no cluster {name}");
        Ok(cluster)
    }

    /// Waits until the operator's report about a cluster passes `check`.
    pub fn await_cluster(&self, name: &str, what: &str, check: impl Fn(&Value) -> Result<()>) -> Result<Value> {
        self.await_cluster_within(CONVERGED, name, what, check)
    }

    fn await_cluster_within(&self, limit: Duration, name: &str, what: &str, check: impl Fn(&Value) -> Result<()>) -> Result<Value> {
        eventually(limit, &format!("cluster {name}: {what}"), || {
            let cluster = self.cluster(name)?;
            check(&cluster)?;
            Ok(cluster)
        })
    }

    /// Waits until a cluster's fleet is as declared and every proxy runs the newest configuration.
    pub fn await_converged(&self, name: &str) -> Result<Value> {
        self.await_cluster(name, "is converged", converged)
    }

    /// The same after a rollout that Swarm rolls back: it may hang for a minute and a half before the operator ends it, and
    /// then the proxies still have to start.
    pub fn await_converged_after_rollback(&self, name: &str) -> Result<Value> {
        self.await_cluster_within(ROLLED_BACK, name, "is converged after a rollback", converged)
    }

    /// Waits until a finding about a service appears in its cluster.
    pub fn await_finding(&self, cluster: &str, code: &str, service: &str) -> Result<Value> {
        self.await_finding_at(&format!("/clusters/{cluster}/findings"), code, service)
    }

    /// Waits until a finding about a service appears among those that belong to no cluster.
    pub fn await_global_finding(&self, code: &str, service: &str) -> Result<Value> {
        self.await_finding_at("/findings", code, service)
    }

    fn await_finding_at(&self, pointer: &str, code: &str, service: &str) -> Result<Value> {
        eventually(CONVERGED, &format!("finding {code} about {service}"), || {
            let found = self.status()?.pointer(pointer).cloned().unwrap_or_default();
            let about = |finding: &&Value| finding["code"] == code && finding["subject"]["name"] == service;
            found.as_array().into_iter().flatten().find(about).cloned().with_context(|| format!("the findings are {found}"))
        })
    }

    /// The sum of all series of a counter; 0 before its first increment.
    pub fn counter(&self, name: &str) -> Result<u64> {
        let text = self.query_operator("/metrics")?;
        let values = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            (series.split('{').next() == Some(name)).then(|| value.parse::<u64>().ok())?
        });
        Ok(values.sum())
    }

    /// A service as the Docker API shows it.
    pub fn service(&self, name: &str) -> Result<Value> {
        self.api()?.get(&format!("/services/{name}"))
    }

    /// Waits until Swarm reports `state` for the last update of a service.
    pub fn await_rollout(&self, service: &str, state: &str) -> Result<()> {
        eventually(CONVERGED, &format!("the update of {service} is {state}"), || {
            let now = self.service(service)?["UpdateStatus"].take();
            ensure!(now["State"] == state, "it is {now}");
            Ok(())
        })
    }

    /// Adds a label to a node, or removes it.
    pub fn label_node(&self, k: usize, key: &str, value: Option<&str>) -> Result<()> {
        let args =
            value.map_or_else(|| ["--label-rm".to_owned(), key.to_owned()], |value| ["--label-add".to_owned(), format!("{key}={value}")]);
        self.docker(&["node", "update", &args[0], &args[1], &format!("node{k}")]).map(drop)
    }

    /// Kind, name and version index of every object that Swarmgate created: two equal results mean that nothing was written in
    /// between.
    pub fn owned(&self) -> Result<BTreeMap<String, u64>> {
        let api = self.api()?;
        let filters = format!("filters=%7B%22label%22%3A%5B%22{}%22%5D%7D", OWNED.replace('=', "%3D"));
        let mut found = BTreeMap::new();
        for kind in ["services", "configs", "secrets"] {
            for object in api.get(&format!("/{kind}?{filters}"))?.as_array().into_iter().flatten() {
                let name = object["Spec"]["Name"].as_str().unwrap_or_default();
                found.insert(format!("{kind} {name}"), object["Version"]["Index"].as_u64().unwrap_or_default());
            }
        }
        Ok(found)
    }

    /// Waits until no more than `count` containers of a service exist, including those that were told to stop: the moment at
    /// which they end is the most dangerous one for requests in flight.
    pub fn await_alive(&self, service: &str, count: usize) -> Result<()> {
        eventually(CONVERGED, &format!("{count} containers of {service} live"), || {
            let tasks = self.api()?.get(&format!("/tasks?filters=%7B%22service%22%3A%5B%22{service}%22%5D%7D"))?;
            let alive = |task: &&Value| matches!(task["Status"]["State"].as_str(), Some("running" | "starting" | "preparing"));
            let alive = tasks.as_array().into_iter().flatten().filter(alive).count();
            ensure!(alive == count, "{alive} live");
            Ok(())
        })
    }

    /// Kills the container of a task, as a crash does.
    pub fn kill(&self, task: &Value) -> Result<()> {
        self.to_container("kill", task)
    }

    /// Freezes the processes of a task; Swarm still reports the task as running.
    pub fn freeze(&self, task: &Value) -> Result<()> {
        self.to_container("pause", task)
    }

    /// Resumes the processes of a task.
    pub fn thaw(&self, task: &Value) -> Result<()> {
        self.to_container("unpause", task)
    }

    fn to_container(&self, word: &str, task: &Value) -> Result<()> {
        let container = task["Status"]["ContainerStatus"]["ContainerID"].as_str().context("the task has no container")?;
        self.lab.docker(self.node_of(task)?, &[word, container]).map(drop)
    }

    /// The ids of the running tasks of a service, sorted.
    pub fn task_ids(&self, service: &str) -> Result<Vec<String>> {
        let tasks = self.running_tasks(service)?;
        let mut ids: Vec<_> = tasks.iter().map(|task| task["ID"].as_str().unwrap_or_default().to_owned()).collect();
        ids.sort();
        Ok(ids)
    }
}

/// Whether a cluster's fleet is as declared, nothing is pending, and every proxy runs the newest configuration.
fn converged(cluster: &Value) -> Result<()> {
    for kind in ["Accepted", "FleetConverged", "Programmed"] {
        let condition = cluster["conditions"].as_array().into_iter().flatten().find(|condition| condition["type"] == kind);
        let condition = condition.with_context(|| format!("there is no condition {kind}"))?;
        ensure!(condition["status"] == "True", "{kind} is {}: {}", condition["status"], condition["message"]);
    }
    let waiting = &cluster["waiting"];
    ensure!(waiting.as_array().is_some_and(Vec::is_empty), "it waits for {waiting}");
    ensure!(cluster["observedGeneration"] == cluster["generation"], "the newest declaration is not observed yet");
    Ok(())
}
