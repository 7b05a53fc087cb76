//! The extensions and proxies of the simulated world. What the operator publishes is rendered if an extension task runs with a
//! token that the operator accepts; the running proxies then apply it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use jiff::Timestamp;
use swarmgate::channel::{Moment, Received};
use swarmgate::controller::context::ExtensionChannel;
use swarmgate::pki::ChannelRole;
use swarmgate::protocol::AdmittedTasks;
use swarmgate::protocol::container_contract::{LABEL_CLUSTER, LABEL_ROLE, LABEL_TOKEN_DIGEST};
use swarmgate::protocol::messages::{
    Accepted, Bundle, Delivery, Desired, EngineLoad, ExtensionReport, PeerAddresses, ProxyReport, WIRE_VERSION,
};
use swarmgate::render::{ConfigPurpose, render};
use swarmgate::swarm::{Snapshot, Task};
use swarmgate::types::{ClusterName, Digest, SecretId};

/// The operator's end of the channel. It dies with the operator.
#[derive(Default)]
pub struct TestChannel {
    inner: Mutex<BTreeMap<ClusterName, ChannelEntry>>,
}

#[derive(Default)]
struct ChannelEntry {
    desired: Option<Desired>,
    admission: AdmittedTasks,
    report: Option<Received>,
    /// The configurations of the last table. Rendering is pure, and most rounds change nothing.
    rendered: Option<Rendered>,
}

/// What an extension renders from a table.
struct Rendered {
    table: Digest,
    delivery: Delivery,
    live: Bundle,
    boot: Bundle,
}

impl Rendered {
    fn new(desired: &Desired) -> Self {
        let purpose = if desired.delivery == Delivery::Replace { ConfigPurpose::Stock } else { ConfigPurpose::Live };
        let (live, boot) = (render(&desired.table, purpose), render(&desired.table, ConfigPurpose::Boot));
        Self { table: desired.digest.clone(), delivery: desired.delivery, live, boot }
    }

    fn is_of(&self, desired: &Desired) -> bool {
        self.table == desired.digest && self.delivery == desired.delivery
    }
}

impl ExtensionChannel for TestChannel {
    fn publish(&self, cluster: &ClusterName, desired: Desired, admission: AdmittedTasks, _: Moment) {
        let mut inner = self.lock();
        let entry = inner.entry(cluster.clone()).or_default();
        entry.desired = Some(desired);
        entry.admission = admission;
    }
    fn admit(&self, cluster: &ClusterName, admission: AdmittedTasks) {
        self.lock().entry(cluster.clone()).or_default().admission = admission;
    }
    fn publish_peers(&self, _: &ClusterName, _: PeerAddresses) {}
    fn report(&self, cluster: &ClusterName) -> Option<Received> {
        self.lock().get(cluster).and_then(|entry| entry.report.clone())
    }
    fn retire(&self, cluster: &ClusterName) {
        self.lock().remove(cluster);
    }
}

impl TestChannel {
    /// What is published for each cluster.
    pub fn published(&self) -> BTreeMap<ClusterName, Desired> {
        self.lock().iter().filter_map(|(name, entry)| Some((name.clone(), entry.desired.clone()?))).collect()
    }

    /// Every extension that has a running task and an accepted token renders what is published and reports.
    pub fn extensions_report(&self, truth: &Snapshot, now: Timestamp) {
        for (name, entry) in self.lock().iter_mut() {
            let Some(desired) = &entry.desired else { continue };
            let extension = running(truth, name, "extension").find(|task| has_token(truth, task, &entry.admission));
            if let Some(task) = extension {
                let rendered = entry.rendered.take().filter(|rendered| rendered.is_of(desired)).unwrap_or_else(|| Rendered::new(desired));
                entry.report = Some(Received { report: report(truth, name, &task.id.0, &rendered, now), at: now });
                entry.rendered = Some(rendered);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ClusterName, ChannelEntry>> {
        self.inner.lock().unwrap()
    }
}

fn report(truth: &Snapshot, name: &ClusterName, task: &str, rendered: &Rendered, now: Timestamp) -> ExtensionReport {
    let Rendered { table, delivery, live, boot } = rendered;
    let running_digest = (*delivery == Delivery::Live).then(|| live.digest.clone());
    let proxy = |task: &Task| ProxyReport {
        version: WIRE_VERSION,
        task: task.id.0.clone(),
        node: "node".to_owned(),
        running: running_digest.clone(),
        source: Some("live".into()),
        rejected: None,
        generation: 1,
        reloads: 1,
        applied: None,
        runtime_changes: 0,
        activity: None,
        fallbacks: 0,
        load: EngineLoad::default(),
        seen_at: Some(now),
        silent: false,
    };
    ExtensionReport {
        version: WIRE_VERSION,
        cluster: name.clone(),
        task: task.to_owned(),
        engine_version: "nginx/1.31.3".to_owned(),
        accepted: Some(Accepted { desired_digest: table.clone(), config_digest: live.digest.clone() }),
        refused: None,
        boot: Some(boot.clone()),
        live: (*delivery == Delivery::Replace).then(|| live.clone()),
        proxies: running(truth, name, "proxy").map(proxy).collect(),
        material: Vec::new(),
        quarantined: Vec::new(),
    }
}

/// The running tasks of a cluster's extension or proxy service.
fn running<'a>(truth: &'a Snapshot, cluster: &ClusterName, role: &str) -> impl Iterator<Item = &'a Task> {
    let is = |labels: &BTreeMap<String, String>, key: &str, value: &str| labels.get(key).is_some_and(|found| found == value);
    let services =
        truth.services.values().filter(move |s| is(&s.labels, LABEL_CLUSTER, cluster.as_str()) && is(&s.labels, LABEL_ROLE, role));
    let ids: Vec<_> = services.map(|service| service.id.clone()).collect();
    truth.tasks.values().filter(move |task| task.state.as_str() == "running" && ids.contains(&task.service))
}

/// Whether the task mounts a secret whose token the operator accepts.
fn has_token(truth: &Snapshot, task: &Task, accepted: &AdmittedTasks) -> bool {
    let mounted = task.spec.pointer("/ContainerSpec/Secrets").and_then(|secrets| secrets.as_array()).into_iter().flatten();
    let ids = mounted.filter_map(|secret| secret.get("SecretID")?.as_str());
    let digests = ids.filter_map(|id| truth.secrets.get(&SecretId(id.to_owned()))?.labels.get(LABEL_TOKEN_DIGEST));
    digests
        .into_iter()
        .any(|digest| accepted.tokens.iter().any(|known| known.role == ChannelRole::Extension && known.sha256.as_str() == digest))
}
