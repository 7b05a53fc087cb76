//! The fleet of a case: what planning produces from nothing or, for a case about a change, from the existing fleet. Applies
//! steps like a Swarm without faults. Knows no time other than the case's own.

use serde_json::{Value, json};
use swarmgate::fleet::{ShapeInput, shape};
use swarmgate::intent::cluster::Cluster;
use swarmgate::pki::Seals;
use swarmgate::plan::{Plan, PlanStep, PlannerState, lint, pending_name, plan};
use swarmgate::protocol::ChannelMode;
use swarmgate::protocol::container_contract::{LABEL_OWNER, LABEL_SEAL, LABEL_TOKEN_DIGEST};
use swarmgate::render::{ConfigPurpose, render};
use swarmgate::swarm::Snapshot;
use swarmgate::translate::translate;
use swarmgate::types::Digest;

use crate::golden_cases::read_snapshot;

/// The operator of all cases.
const INSTANCE: &str = "swarmgate";
/// The maximum number of passes until nothing changes.
const PASSES_MAX: usize = 4;

/// The plan for `cluster` in a Swarm, as if its extension had just accepted the newest routes.
pub fn plan_for(cluster: &Cluster, snapshot: &Snapshot) -> Plan {
    let translation = translate(cluster, snapshot);
    let material: Vec<_> = translation.table.material().into_iter().cloned().collect();
    let ours = without_stand_ins(snapshot);
    let (boot, live) = (render(&translation.table, ConfigPurpose::Boot), render(&translation.table, ConfigPurpose::Stock));
    let (network, operator_url) = ("swarmgate-control".to_owned(), "https://swarmgate-operator:8081".to_owned());
    let channel = ChannelMode::Overlay { network, encrypted: false, operator_url };
    let fleet = shape(&ShapeInput {
        instance: INSTANCE,
        cluster,
        snapshot: &ours,
        networks: &translation.networks,
        network_update: &swarmgate::fleet::NetworkUpdate::default(),
        remembered_hosts: translation.remembered_hosts.as_deref(),
        material: &material,
        boot: Some(&boot),
        live: Some(&live),
        channel: &channel,
        seals: &Seals::believing(Digest::of_bytes(b"the authority of all cases")),
        now: snapshot.taken_at,
    });
    let plan = plan(&fleet, &ours, &PlannerState::default());
    assert_eq!(lint(&plan, &ours), [], "{plan}");
    plan
}

/// Removes services that a case uses in place of proxies (`proxyOf`), because they exist only for their networks.
fn without_stand_ins(snapshot: &Snapshot) -> Snapshot {
    let mut ours = snapshot.clone();
    ours.services.retain(|_, service| service.labels.get(LABEL_OWNER).is_none_or(|owner| owner == INSTANCE));
    ours
}

/// Adds to the Swarm `after` the fleet that the previous clusters had in the Swarm `before`.
pub fn add_standing_fleet(after: &mut Value, clusters: &[Cluster], before: &Value) {
    let mut world = before.clone();
    let known: Vec<Value> = KINDS.iter().map(|kind| world[kind].clone()).collect();
    for _ in 0..PASSES_MAX {
        for cluster in clusters {
            let plan = plan_for(cluster, &read_snapshot(&world));
            plan.steps.iter().for_each(|step| take(&mut world, step));
        }
    }
    for (kind, known) in KINDS.iter().zip(known) {
        let made: Vec<_> = items(&world, kind).iter().filter(|item| !items(&json!({"": known}), "").contains(item)).cloned().collect();
        if *kind == "services" {
            list_of(after, "tasks").extend(made.iter().flat_map(tasks));
        }
        list_of(after, kind).extend(made);
    }
}

/// The running tasks of one of our services: as many as desired.
fn tasks(service: &Value) -> Vec<Value> {
    let spec = &service["Spec"];
    let networks = items(&spec["TaskTemplate"], "Networks")
        .iter()
        .map(|network| json!({"Network": {"ID": network["Target"], "Spec": {}}, "Addresses": ["10.250.0.2/16"]}));
    let networks: Vec<_> = networks.collect();
    let task = |at: u64| {
        json!({
            "ID": format!("task-{}-{at}", spec["Name"].as_str().unwrap_or_default()), "ServiceID": service["ID"], "NodeID": "id-n1",
            "CreatedAt": service["CreatedAt"], "DesiredState": "running", "Status": {"State": "running"}, "NetworksAttachments": networks,
            "Spec": spec["TaskTemplate"],
        })
    };
    (1..=spec["Mode"]["Replicated"]["Replicas"].as_u64().unwrap_or(1)).map(task).collect()
}

fn list_of<'a>(world: &'a mut Value, kind: &str) -> &'a mut Vec<Value> {
    world[kind].as_array_mut().expect("a list of objects")
}

const KINDS: [&str; 4] = ["networks", "secrets", "configs", "services"];

fn items<'a>(world: &'a Value, kind: &str) -> &'a [Value] {
    world[kind].as_array().map_or(&[], Vec::as_slice)
}

/// Adds a seal, as the operator's own objects have one. The value is a placeholder, because it cannot be known here.
fn sealed(mut spec: Value) -> Value {
    spec["Labels"][LABEL_SEAL] = "0".repeat(64).into();
    spec
}

/// Applies a step. Ids are `id-NAME`, as everywhere in the cases.
fn take(world: &mut Value, step: &PlanStep) {
    let id = format!("id-{}", step.name());
    let stamped = |spec: Value| json!({"ID": id, "Version": {"Index": 1}, "CreatedAt": "2026-01-01T10:00:00Z", "Spec": spec});
    let (kind, object) = match step {
        PlanStep::CreateNetwork { name, body } => {
            let mut network = body.clone();
            network["Id"] = id.clone().into();
            network["Name"] = name.as_str().into();
            ("networks", network)
        }
        PlanStep::CreateSecret { name, labels, .. } => {
            let mut labels = labels.clone();
            labels.insert(LABEL_TOKEN_DIGEST.to_owned(), "0".repeat(64));
            ("secrets", stamped(sealed(json!({"Name": name, "Labels": labels}))))
        }
        PlanStep::CreateConfig { name, labels, .. } => ("configs", stamped(sealed(json!({"Name": name, "Labels": labels})))),
        PlanStep::CreateService { spec, .. } => ("services", stamped(sealed(with_ids(spec)))),
        // This update stores the seal, whose value cannot be known here beforehand.
        PlanStep::UpdateService { name, spec, changes, .. } if changes.is_empty() => {
            let services = list_of(world, "services");
            services
                .iter_mut()
                .filter(|service| service["Spec"]["Name"] == name.as_str())
                .for_each(|service| service["Spec"] = spec.clone());
            return;
        }
        other => panic!("a fleet that comes to be needs no {}", other.title()),
    };
    list_of(world, kind).push(object);
}

fn with_ids(spec: &Value) -> Value {
    match spec {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), with_ids(value))).collect(),
        Value::Array(values) => values.iter().map(with_ids).collect(),
        Value::String(text) => pending_name(text).map_or_else(|| spec.clone(), |name| format!("id-{name}").into()),
        other => other.clone(),
    }
}
