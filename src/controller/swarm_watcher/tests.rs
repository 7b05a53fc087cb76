//! What the watching tasks notice, against a Swarm whose answers the test sets, in paused time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use super::{follow_documents, follow_hints, probe_tasks, resync};
use crate::controller::poll_interval::PollIntervals;
use crate::controller::snapshot_cache::SnapshotCache;
use crate::controller::trigger::Trigger;
use crate::controller::trigger_channels::{Notifications, TriggerEvent};
use crate::declaration::{Declared, DocumentSource, WatchGuard, follow_kinds};
use crate::intent::documents::{KINDS_WITH_ONE_MORE, Site, SourceFile, site};
use crate::swarm::{Hint, RawSnapshot, Swarm, SwarmError, SwarmErrorKind};
use crate::types::{ConfigId, NetworkId, SecretId, ServiceId};

/// A Swarm with answers set by the test: tasks, services, and hint streams that are open and silent or break at once.
#[derive(Default)]
struct Scripted {
    tasks: Mutex<Option<Vec<Value>>>,
    service_version: Mutex<u64>,
    streams_opened: Mutex<u32>,
    streams_break: bool,
}

fn unavailable() -> SwarmError {
    SwarmError { kind: SwarmErrorKind::Unavailable, doing: "test".to_owned(), message: "not there".to_owned() }
}

#[async_trait]
impl Swarm for Scripted {
    async fn observe(&self) -> Result<RawSnapshot, SwarmError> {
        let version = *self.service_version.lock().unwrap();
        let services = vec![json!({"ID": "s", "Version": {"Index": version}, "Spec": {"Name": "s"}})];
        let none = Vec::new;
        let taken_at = jiff::Timestamp::UNIX_EPOCH;
        Ok(RawSnapshot { taken_at, services, tasks: none(), nodes: none(), networks: none(), configs: none(), secrets: none() })
    }
    async fn running_tasks(&self) -> Result<Vec<Value>, SwarmError> {
        self.tasks.lock().unwrap().clone().ok_or_else(unavailable)
    }
    async fn stopping_tasks(&self) -> Result<Vec<Value>, SwarmError> {
        Err(unavailable())
    }
    async fn tasks_of(&self, _: &ServiceId) -> Result<Vec<Value>, SwarmError> {
        unreachable!("tasks of a service are read only at startup")
    }
    fn hints(&self) -> BoxStream<'static, Result<Hint, SwarmError>> {
        *self.streams_opened.lock().unwrap() += 1;
        if self.streams_break { futures::stream::once(async { Err(unavailable()) }).boxed() } else { futures::stream::pending().boxed() }
    }
    async fn create_network(&self, _: &Value) -> Result<NetworkId, SwarmError> {
        Err(unavailable())
    }
    async fn create_config(&self, _: &str, _: &BTreeMap<String, String>, _: &[u8]) -> Result<ConfigId, SwarmError> {
        Err(unavailable())
    }
    async fn create_secret(&self, _: &str, _: &BTreeMap<String, String>, _: &[u8]) -> Result<SecretId, SwarmError> {
        Err(unavailable())
    }
    async fn create_service(&self, _: &Value) -> Result<ServiceId, SwarmError> {
        Err(unavailable())
    }
    async fn update_service(&self, _: &ServiceId, _: u64, _: &Value) -> Result<(), SwarmError> {
        Err(unavailable())
    }
    async fn remove_service(&self, _: &ServiceId) -> Result<(), SwarmError> {
        Err(unavailable())
    }
    async fn remove_config(&self, _: &ConfigId) -> Result<(), SwarmError> {
        Err(unavailable())
    }
    async fn remove_secret(&self, _: &SecretId) -> Result<(), SwarmError> {
        Err(unavailable())
    }
    async fn remove_network(&self, _: &NetworkId) -> Result<(), SwarmError> {
        Err(unavailable())
    }
}

fn notifications() -> (Arc<Notifications>, mpsc::Receiver<TriggerEvent>) {
    let (triggers, receiver) = mpsc::channel(64);
    let limits = PollIntervals {
        fast: Duration::from_millis(100),
        normal: Duration::from_secs(1),
        slow: Duration::from_secs(5),
        after_change: Duration::from_secs(5),
        after_change_unsettled: Duration::from_secs(60),
    };
    (Arc::new(Notifications::new(triggers, limits)), receiver)
}

fn task(state: &str) -> Vec<Value> {
    vec![json!({"ID": "t", "ServiceID": "s", "DesiredState": "running", "Status": {"State": state}})]
}

#[tokio::test(start_paused = true)]
async fn a_task_that_becomes_running_is_detected_within_the_normal_period() {
    let swarm = Arc::new(Scripted { tasks: Mutex::new(Some(task("starting"))), ..Scripted::default() });
    let (notifications, mut triggers) = notifications();
    notifications.settle(false, true);
    let probe = tokio::spawn(probe_tasks(swarm.clone(), notifications));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(triggers.try_recv().is_err(), "unchanged tasks trigger nothing");
    *swarm.tasks.lock().unwrap() = Some(task("running"));
    let changed = Instant::now();
    assert_eq!(triggers.recv().await.map(|triggered| triggered.trigger), Some(Trigger::TasksChanged));
    assert!(changed.elapsed() <= Duration::from_secs(1), "{:?}", changed.elapsed());
    probe.abort();
}

#[tokio::test(start_paused = true)]
async fn a_swarm_that_answers_again_wakes_the_loop() {
    let swarm = Arc::new(Scripted::default());
    let (notifications, mut triggers) = notifications();
    let probe = tokio::spawn(probe_tasks(swarm.clone(), notifications));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(triggers.try_recv().is_err(), "a failed read says nothing about the tasks");
    *swarm.tasks.lock().unwrap() = Some(task("running"));
    assert_eq!(triggers.recv().await.map(|triggered| triggered.trigger), Some(Trigger::SwarmBack));
    probe.abort();
}

#[tokio::test(start_paused = true)]
async fn a_broken_event_stream_is_reopened_and_triggers_a_pass() {
    let swarm = Arc::new(Scripted { streams_break: true, ..Scripted::default() });
    let (notifications, mut triggers) = notifications();
    let hints = tokio::spawn(follow_hints(swarm.clone(), notifications.clone()));
    assert_eq!(triggers.recv().await.map(|triggered| triggered.trigger), Some(Trigger::SwarmHint), "changes in the meantime left no hint");
    assert_eq!(triggers.recv().await.map(|triggered| triggered.trigger), Some(Trigger::SwarmHint));
    assert!(*swarm.streams_opened.lock().unwrap() >= 2 && !notifications.events_alive());
    hints.abort();
}

#[tokio::test(start_paused = true)]
async fn a_silent_open_event_stream_is_detected_when_services_change() {
    let swarm = Arc::new(Scripted::default());
    let (notifications, mut triggers) = notifications();
    let hints = tokio::spawn(follow_hints(swarm.clone(), notifications.clone()));
    let (_declares, declared) = watch::channel(Arc::default());
    let timer = tokio::spawn(resync(Arc::new(SnapshotCache::new(swarm.clone(), declared)), notifications.clone(), Duration::from_secs(3)));
    for _ in 0..3 {
        assert_eq!(triggers.recv().await.map(|triggered| triggered.trigger), Some(Trigger::Resync));
    }
    assert!(notifications.events_alive(), "an unchanged Swarm is silent too");
    assert_eq!(*swarm.streams_opened.lock().unwrap(), 1);
    while *swarm.streams_opened.lock().unwrap() == 1 {
        *swarm.service_version.lock().unwrap() += 1;
        triggers.recv().await;
    }
    hints.abort();
    timer.abort();
}

/// Documents that the test changes, without a watch.
#[derive(Clone, Default)]
struct Documents(Arc<Mutex<Vec<SourceFile>>>);

#[async_trait]
impl DocumentSource for Documents {
    async fn read(&self) -> Vec<SourceFile> {
        self.0.lock().unwrap().clone()
    }
    fn watch(&self, _: Arc<Notify>) -> Option<WatchGuard> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_an_object_of_any_kind_wakes_the_loop_and_no_change_does_not() {
    let (notifications, mut triggers) = notifications();
    let (sender, declared) = watch::channel(Arc::new(Declared::default()));
    let documents = Documents::default();
    let reading = tokio::spawn(follow_kinds(KINDS_WITH_ONE_MORE, documents.clone(), Duration::from_secs(1), sender));
    let waking = tokio::spawn(follow_documents(declared.clone(), notifications));
    let ports = |declared: &Declared| declared.all().map(|site: &Site| site.port).collect::<Vec<_>>();
    for (texts, expected) in [
        (vec![], vec![]),
        (vec![site("a", "{port: 81}")], vec![Some(81)]),
        (vec![site("a", "{port: 82}")], vec![Some(82)]),
        (vec![], vec![]),
    ] {
        *documents.0.lock().unwrap() = texts.into_iter().map(|text| SourceFile::new("0.yaml", text)).collect();
        assert_eq!(triggers.recv().await.map(|triggered| triggered.trigger), Some(Trigger::SpecChanged));
        assert_eq!(ports(&declared.borrow()), expected);
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(triggers.try_recv().is_err(), "unchanged documents trigger nothing");
    }
    reading.abort();
    waking.abort();
}
