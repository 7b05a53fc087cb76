//! Carries out plans against a recorded port.

mod simulated;

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde_json::{Value, json};

use super::OperationResult::{Created as Made, Removed, Updated};
use super::*;
use crate::pki::ChannelRole;
use crate::plan::{TaskEffect, UpdateReason};
use crate::protocol::container_contract::LABEL_TOKEN_DIGEST;
use crate::swarm::{Hint, RawSnapshot};
use crate::types::{ClusterName, ConfigId, Digest, NetworkId, SecretId, ServiceId};

/// Records every write, and fails the configured ones.
#[derive(Default)]
struct Recorder {
    writes: Mutex<Vec<String>>,
    specs: Mutex<Vec<Value>>,
    failing: BTreeMap<&'static str, SwarmErrorKind>,
}

impl Recorder {
    fn failing(write: &'static str, kind: SwarmErrorKind) -> Self {
        Self { failing: BTreeMap::from([(write, kind)]), ..Self::default() }
    }

    fn note(&self, write: &str, what: &str) -> Result<String, SwarmError> {
        self.writes.lock().unwrap().push(format!("{write} {what}"));
        match self.failing.get(write) {
            Some(kind) => Err(SwarmError { kind: *kind, doing: format!("{write} {what}"), message: "words".to_owned() }),
            None => Ok(format!("id-of-{what}")),
        }
    }

    fn writes(&self) -> Vec<String> {
        self.writes.lock().unwrap().clone()
    }
}

#[async_trait]
impl Swarm for Recorder {
    async fn observe(&self) -> Result<RawSnapshot, SwarmError> {
        panic!("executing a plan reads nothing")
    }
    async fn running_tasks(&self) -> Result<Vec<Value>, SwarmError> {
        panic!("executing a plan reads nothing")
    }
    async fn stopping_tasks(&self) -> Result<Vec<Value>, SwarmError> {
        panic!("executing a plan reads nothing")
    }
    async fn tasks_of(&self, _: &ServiceId) -> Result<Vec<Value>, SwarmError> {
        panic!("executing a plan reads nothing")
    }
    fn hints(&self) -> BoxStream<'static, Result<Hint, SwarmError>> {
        futures::stream::empty().boxed()
    }
    async fn create_network(&self, body: &Value) -> Result<NetworkId, SwarmError> {
        self.note("create_network", body["Name"].as_str().unwrap()).map(NetworkId)
    }
    async fn create_config(&self, name: &str, _: &BTreeMap<String, String>, _: &[u8]) -> Result<ConfigId, SwarmError> {
        self.note("create_config", name).map(ConfigId)
    }
    async fn create_secret(&self, name: &str, labels: &BTreeMap<String, String>, data: &[u8]) -> Result<SecretId, SwarmError> {
        assert_eq!(labels.get("digest"), Some(&Digest::of_bytes(data).to_string()));
        assert_eq!(data, b"a token");
        self.note("create_secret", name).map(SecretId)
    }
    async fn create_service(&self, spec: &Value) -> Result<ServiceId, SwarmError> {
        self.specs.lock().unwrap().push(spec.clone());
        self.note("create_service", spec["Name"].as_str().unwrap()).map(ServiceId)
    }
    async fn update_service(&self, id: &ServiceId, version: u64, spec: &Value) -> Result<(), SwarmError> {
        self.specs.lock().unwrap().push(spec.clone());
        self.note("update_service", &format!("{id} at {version}")).map(drop)
    }
    async fn remove_service(&self, id: &ServiceId) -> Result<(), SwarmError> {
        self.note("remove_service", &id.0).map(drop)
    }
    async fn remove_config(&self, id: &ConfigId) -> Result<(), SwarmError> {
        self.note("remove_config", &id.0).map(drop)
    }
    async fn remove_secret(&self, id: &SecretId) -> Result<(), SwarmError> {
        self.note("remove_secret", &id.0).map(drop)
    }
    async fn remove_network(&self, id: &NetworkId) -> Result<(), SwarmError> {
        self.note("remove_network", &id.0).map(drop)
    }
}

/// Creates every secret with this text.
pub(super) struct Text(pub(super) String);

impl SecretSource for Text {
    fn make(&mut self, _name: &str, labels: &BTreeMap<String, String>, _content: &SecretContent) -> NewSecret {
        let digest = Digest::of_bytes(self.0.as_bytes()).to_string();
        let label = |key: &str| (key.to_owned(), digest.clone());
        NewSecret {
            data: self.0.clone().into_bytes(),
            labels: labels.clone().into_iter().chain([label("digest"), label(LABEL_TOKEN_DIGEST)]).collect(),
        }
    }
}

fn plan(steps: Vec<PlanStep>) -> Plan {
    let (instance, cluster) = ("swarmgate".to_owned(), "dev".to_owned());
    Plan { instance, cluster, steps, waiting: vec![], findings: vec![], rollouts: vec![] }
}

fn whole_plan() -> Plan {
    let labels = BTreeMap::new();
    let content = SecretContent::Token { role: ChannelRole::Proxy, cluster: ClusterName::parse("dev").unwrap() };
    plan(vec![
        PlanStep::CreateNetwork { name: "net".to_owned(), body: json!({"Name": "net"}) },
        PlanStep::CreateSecret { name: "token".to_owned(), labels: labels.clone(), content },
        PlanStep::CreateConfig { name: "boot".to_owned(), labels, data: vec![], bytes: 0 },
        PlanStep::CreateService { name: "a".to_owned(), spec: json!({"Name": "a", "S": [{"ID": "created:token"}], "N": "created:net"}) },
        PlanStep::UpdateService {
            id: ServiceId("b".to_owned()),
            name: "b".to_owned(),
            version: 7,
            spec: json!({"C": {"ID": "created:boot"}, "Other": ["created", 3]}),
            changes: vec![],
            tasks: TaskEffect::Keeps,
            reason: UpdateReason::Differs,
        },
        PlanStep::RemoveConfig { id: ConfigId("old".to_owned()), name: "old".to_owned() },
    ])
}

async fn run(swarm: &Recorder) -> Vec<Result<OperationResult, &'static str>> {
    let outcomes = execute(swarm, &whole_plan(), &mut Text("a token".to_owned())).await;
    outcomes.into_iter().map(|outcome| outcome.result.map_err(|error| error.category())).collect()
}

#[tokio::test]
async fn later_specs_get_the_ids_of_created_objects() {
    let swarm = Recorder::default();
    let outcomes = run(&swarm).await;
    assert_eq!(outcomes, [Ok(Made), Ok(Made), Ok(Made), Ok(Made), Ok(Updated), Ok(Removed)]);
    let specs = swarm.specs.lock().unwrap().clone();
    assert_eq!(specs[0], json!({"Name": "a", "S": [{"ID": "id-of-token"}], "N": "id-of-net"}));
    assert_eq!(specs[1], json!({"C": {"ID": "id-of-boot"}, "Other": ["created", 3]}));
    assert_eq!(swarm.writes()[4..], ["update_service b at 7", "remove_config old"]);
}

#[tokio::test]
async fn a_failed_creation_skips_only_its_dependants() {
    let swarm = Recorder::failing("create_secret", SwarmErrorKind::Other);
    let outcomes = run(&swarm).await;
    assert_eq!(outcomes[1], Err("failed"));
    assert_eq!(outcomes[3], Err("skipped"));
    assert_eq!(outcomes[4..], [Ok(OperationResult::Updated), Ok(OperationResult::Removed)]);
    assert!(!swarm.writes().iter().any(|write| write.starts_with("create_service")));
}

#[tokio::test]
async fn an_unreachable_swarm_ends_the_plan() {
    let swarm = Recorder::failing("create_network", SwarmErrorKind::Unavailable);
    let outcomes = run(&swarm).await;
    assert_eq!(outcomes[0], Err("unavailable"));
    assert!(outcomes[1..].iter().all(|outcome| *outcome == Err("skipped")));
    assert_eq!(swarm.writes().len(), 1);
}

async fn check(write: &'static str, kind: SwarmErrorKind, expected: Result<OperationResult, &'static str>) {
    let swarm = Recorder::failing(write, kind);
    let outcomes = execute(&swarm, &whole_plan(), &mut Text("a token".to_owned())).await;
    let found = outcomes.into_iter().find(|outcome| outcome.title.starts_with(&write.replace('_', " "))).unwrap().result;
    assert_eq!(found.map_err(|error| error.category()), expected, "{write} {kind:?}");
}

#[tokio::test]
async fn errors_caused_by_a_stale_snapshot_are_outcomes() {
    check("update_service", SwarmErrorKind::OutOfSequence, Ok(OperationResult::Superseded)).await;
    check("update_service", SwarmErrorKind::NotFound, Ok(OperationResult::Superseded)).await;
    check("create_service", SwarmErrorKind::NotFound, Ok(OperationResult::Superseded)).await;
    check("create_config", SwarmErrorKind::NameTaken, Ok(OperationResult::NameTaken)).await;
    check("remove_config", SwarmErrorKind::NotFound, Ok(OperationResult::AlreadyRight)).await;
}

#[tokio::test]
async fn other_errors_are_failures_with_a_stable_category() {
    check("update_service", SwarmErrorKind::Invalid, Err("invalid")).await;
    check("update_service", SwarmErrorKind::Other, Err("failed")).await;
    check("remove_config", SwarmErrorKind::InUse, Err("in_use")).await;
}

#[tokio::test]
async fn an_error_names_its_step_once() {
    let swarm = Recorder::failing("remove_config", SwarmErrorKind::Other);
    let outcomes = execute(&swarm, &whole_plan(), &mut Text("a token".to_owned())).await;
    assert_eq!(outcomes[5].result.as_ref().unwrap_err().to_string(), "remove_config old: words");
    assert_eq!(applied(&outcomes)[5], None);
}
