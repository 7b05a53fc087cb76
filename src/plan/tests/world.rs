//! A small static world for the planner's tests: it carries out steps as Swarm would, immediately and without errors, and
//! fills in what a real engine (20.10) fills in.

use base64::Engine as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::fleet::fixtures::{INSTANCE, bundle, overlay, seals};
use crate::fleet::{Fleet, NetworkUpdate, ObjectKind, SealedObject, ShapeInput, shape};
use crate::intent::cluster::Cluster;
use crate::plan::{OperationResult, Plan, PlanStep, PlannerState, lint, pending_name, plan, would_replace_tasks};
use crate::protocol::ChannelMode;
use crate::protocol::container_contract::{LABEL_CLUSTER, LABEL_ROLE, LABEL_TOKEN_DIGEST};
use crate::protocol::messages::Bundle;
use crate::route::MaterialRef;
use crate::swarm::{RawSnapshot, Service, Snapshot};
use crate::types::NetworkId;

/// The world, and what the operator knows of it.
#[derive(Clone)]
pub struct PlanScenario {
    pub raw: RawSnapshot,
    pub memory: PlannerState,
    pub networks: Vec<NetworkId>,
    pub network_update: NetworkUpdate,
    pub remembered_hosts: Option<String>,
    pub material: Vec<MaterialRef>,
    pub boot: Option<Bundle>,
    pub live: Option<Bundle>,
    pub channel: ChannelMode,
    count: u64,
}

impl PlanScenario {
    /// One node, the networks `app` and `other`, and a first configuration from the extension.
    pub fn new() -> Self {
        let taken_at = "2026-01-02T03:04:05Z".parse().unwrap();
        let node = json!({"ID": "node1", "Status": {"State": "ready"}, "Spec": {"Availability": "active"}, "Description": {"Platform": {"OS": "linux"}}});
        let network = |name: &str| json!({"Id": format!("net-{name}"), "Name": name, "Driver": "overlay"});
        let networks = vec![network("app"), network("other")];
        let raw = RawSnapshot { taken_at, services: vec![], tasks: vec![], nodes: vec![node], networks, configs: vec![], secrets: vec![] };
        let (memory, channel) = (PlannerState::default(), overlay());
        Self {
            raw,
            memory,
            networks: vec![],
            network_update: NetworkUpdate::default(),
            remembered_hosts: None,
            material: vec![],
            boot: Some(bundle("first")),
            live: None,
            channel,
            count: 0,
        }
    }

    /// A world in which the cluster has converged.
    pub fn converged(cluster: &Cluster) -> Self {
        let mut world = Self::new();
        world.converge(cluster);
        world
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot::from_raw(&self.raw).unwrap()
    }

    pub fn fleet(&self, cluster: &Cluster) -> Fleet {
        shape(&ShapeInput {
            instance: INSTANCE,
            cluster,
            snapshot: &self.snapshot(),
            networks: &self.networks,
            network_update: &self.network_update,
            remembered_hosts: self.remembered_hosts.as_deref(),
            material: &self.material,
            boot: self.boot.as_ref(),
            live: self.live.as_ref(),
            channel: &self.channel,
            seals: &seals(),
            now: self.raw.taken_at,
        })
    }

    /// Only plans.
    pub fn plan(&self, cluster: &Cluster) -> Plan {
        let plan = plan(&self.fleet(cluster), &self.snapshot(), &self.memory);
        assert_eq!(lint(&plan, &self.snapshot()), [], "{plan}");
        plan
    }

    /// One pass: plans and carries out the steps.
    pub fn pass(&mut self, cluster: &Cluster) -> Plan {
        let plan = self.plan(cluster);
        self.carry_out(&plan);
        plan
    }

    /// The same, but everything that the proxies mount and declare comes from the service's spec before its last update.
    pub fn pass_before(&mut self, cluster: &Cluster) -> Plan {
        let mut before = self.clone();
        for service in before.raw.services.iter_mut().filter(|service| service.get("PreviousSpec").is_some()) {
            service["Spec"] = service["PreviousSpec"].clone();
        }
        let plan = plan(&before.fleet(cluster), &self.snapshot(), &self.memory);
        self.carry_out(&plan);
        plan
    }

    pub fn carry_out(&mut self, plan: &Plan) {
        assert_eq!(lint(plan, &self.snapshot()), [], "{plan}");
        let applied: Vec<Option<OperationResult>> = plan.steps.iter().map(|step| Some(self.take(step))).collect();
        self.memory = self.memory.after(plan, &applied, self.raw.taken_at);
        self.pass_time(1);
    }

    /// Runs passes until there is nothing to do; returns how many passes did something.
    pub fn converge(&mut self, cluster: &Cluster) -> usize {
        for passes in 0..6 {
            if self.plan(cluster).is_converged() {
                return passes;
            }
            self.pass(cluster);
        }
        panic!("not converged: {}", self.plan(cluster));
    }

    pub fn pass_time(&mut self, seconds: i64) {
        self.raw.taken_at += SignedDuration::from_secs(seconds);
    }

    pub fn now(&self) -> Timestamp {
        self.raw.taken_at
    }

    /// The raw service object.
    pub fn raw_service(&mut self, name: &str) -> &mut Value {
        self.raw.services.iter_mut().find(|service| service["Spec"]["Name"] == name).expect("a service of that name")
    }

    pub fn service(&self, name: &str) -> Service {
        self.snapshot().services.values().find(|service| service.name == name).cloned().expect("a service of that name")
    }

    /// The raw object of the service's first task.
    pub fn first_task(&mut self, service: &str) -> &mut Value {
        let id = self.service(service).id.0;
        self.raw.tasks.iter_mut().find(|task| task["ServiceID"] == id).expect("a task of the service")
    }

    /// Replaces the service's tasks: the spec and the state of each.
    pub fn set_tasks(&mut self, service: &str, tasks: &[(Value, &str)]) {
        let (id, created) = (self.service(service).id.0, self.raw.taken_at.to_string());
        self.raw.tasks.retain(|task| task["ServiceID"] != id);
        let task = |(at, (spec, state)): (usize, &(Value, &str))| {
            json!({"ID": format!("{id}-{at}"), "ServiceID": id, "NodeID": "node1", "DesiredState": "running", "CreatedAt": created,
                "Status": {"State": state, "Timestamp": created}, "Spec": spec})
        };
        self.raw.tasks.extend(tasks.iter().enumerate().map(task));
    }

    /// Changes a service's spec by hand.
    pub fn by_hand(&mut self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut spec = self.raw_service(name)["Spec"].clone();
        change(&mut spec);
        let id = self.raw_service(name)["ID"].as_str().unwrap().to_owned();
        self.update(&id, spec);
    }

    /// Sets the state that Swarm reports for the last rollout.
    pub fn rollout(&mut self, name: &str, state: &str) {
        let started = self.raw.taken_at.to_string();
        self.raw_service(name)["UpdateStatus"] = json!({"State": state, "StartedAt": started, "Message": "in Swarm's words"});
    }

    /// Swarm rolls back: the old spec is active again.
    pub fn roll_back(&mut self, name: &str) {
        let completed = self.raw.taken_at.to_string();
        let service = self.raw_service(name);
        service["Spec"] = service["PreviousSpec"].take();
        service["UpdateStatus"] = json!({"State": "rollback_completed", "StartedAt": completed, "CompletedAt": completed, "Message": "m"});
    }

    fn id(&mut self, kind: &str) -> String {
        self.count += 1;
        format!("{kind}{}", self.count)
    }

    fn take(&mut self, step: &PlanStep) -> OperationResult {
        let created = self.raw.taken_at.to_string();
        match step {
            PlanStep::CreateNetwork { body, .. } => {
                let mut network = body.clone();
                network["Id"] = json!(self.id("net"));
                self.raw.networks.push(network);
            }
            PlanStep::CreateSecret { name, labels, .. } => {
                let mut labels = labels.clone();
                labels.insert(LABEL_TOKEN_DIGEST.to_owned(), "0".repeat(64));
                let role = labels[LABEL_ROLE].clone();
                let cluster = labels[LABEL_CLUSTER].clone();
                let described = SealedObject { kind: ObjectKind::Secret, instance: INSTANCE, cluster: &cluster, role: &role, name };
                let labels = described.seal(&seals(), labels);
                let secret = json!({"ID": self.id("sec"), "CreatedAt": created, "Spec": {"Name": name, "Labels": labels}});
                self.raw.secrets.push(secret);
            }
            PlanStep::CreateConfig { name, labels, data, .. } => {
                let data = base64::engine::general_purpose::STANDARD.encode(data);
                let spec = json!({"Name": name, "Labels": labels, "Data": data});
                let config = json!({"ID": self.id("cfg"), "CreatedAt": created, "Spec": spec});
                self.raw.configs.push(config);
            }
            PlanStep::CreateService { spec, .. } => self.create_service(spec),
            PlanStep::UpdateService { id, spec, .. } => {
                let spec = self.resolve(spec);
                self.update(&id.0, spec);
                return OperationResult::Updated;
            }
            PlanStep::RemoveService { id, .. } => {
                self.raw.services.retain(|service| service["ID"] != id.0);
                self.raw.tasks.retain(|task| task["ServiceID"] != id.0);
            }
            PlanStep::RemoveConfig { id, .. } => self.raw.configs.retain(|config| config["ID"] != id.0),
            PlanStep::RemoveSecret { id, .. } => self.raw.secrets.retain(|secret| secret["ID"] != id.0),
            PlanStep::RemoveNetwork { id, .. } => self.raw.networks.retain(|network| network["Id"] != id.0),
        }
        if step.kind().starts_with("create") { OperationResult::Created } else { OperationResult::Removed }
    }

    fn create_service(&mut self, spec: &Value) {
        let mut spec = self.resolve(spec);
        spec["TaskTemplate"]["ContainerSpec"]["Isolation"] = json!("default");
        spec["TaskTemplate"]["ForceUpdate"] = json!(0);
        spec["TaskTemplate"]["Runtime"] = json!("container");
        let id = self.id("svc");
        let created = self.raw.taken_at.to_string();
        self.raw.services.push(json!({"ID": id, "Version": {"Index": 1}, "CreatedAt": created, "Spec": spec}));
        self.run_tasks(&id);
    }

    fn update(&mut self, id: &str, spec: Value) {
        let service = self.raw.services.iter_mut().find(|service| service["ID"] == id).expect("the service to update");
        let old = service["Spec"].take();
        service["Version"]["Index"] = json!(service["Version"]["Index"].as_u64().unwrap() + 1);
        service.as_object_mut().unwrap().remove("UpdateStatus");
        let replaces = would_replace_tasks(&old, &spec) || old["Mode"] != spec["Mode"];
        service["Spec"] = spec;
        service["PreviousSpec"] = old;
        if replaces {
            self.run_tasks(id);
        }
    }

    /// Runs all tasks with the current spec.
    pub fn run_tasks(&mut self, id: &str) {
        self.raw.tasks.retain(|task| task["ServiceID"] != id);
        let spec = self.raw.services.iter().find(|service| service["ID"] == id).unwrap()["Spec"].clone();
        let replicas = if spec["Mode"]["Global"].is_object() { 1 } else { spec["Mode"]["Replicated"]["Replicas"].as_u64().unwrap_or(1) };
        let created = self.raw.taken_at.to_string();
        for _ in 0..replicas {
            let task = json!({
                "ID": self.id("task"), "ServiceID": id, "DesiredState": "running", "CreatedAt": created,
                "Status": {"State": "running"}, "Spec": spec["TaskTemplate"],
            });
            self.raw.tasks.push(task);
        }
    }

    /// Swarm turns network names into ids; the executor does the same with pending ids.
    fn resolve(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => pending_name(text).map_or_else(|| value.clone(), |name| json!(self.id_of(name))),
            Value::Array(items) => items.iter().map(|item| self.resolve(item)).collect(),
            Value::Object(map) => Value::Object(map.iter().map(|(key, value)| (key.clone(), self.resolve(value))).collect()),
            _ => value.clone(),
        }
    }

    fn id_of(&self, name: &str) -> String {
        let named = |objects: &[Value]| {
            let found = objects.iter().find(|object| object["Spec"]["Name"] == name || object["Name"] == name);
            found.and_then(|object| object.get("ID").or(object.get("Id"))).and_then(Value::as_str).map(str::to_owned)
        };
        named(&self.raw.configs).or_else(|| named(&self.raw.secrets)).or_else(|| named(&self.raw.networks)).expect("an object of that name")
    }
}
