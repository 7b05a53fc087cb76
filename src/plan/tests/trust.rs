//! What an attacker gains who may create objects with our labels: nothing.

use serde_json::{Value, json};

use super::world::PlanScenario;
use super::{EXTENSION, PROXY, at, codes};
use crate::fleet::fixtures::{INSTANCE, cluster, seals, token_name};
use crate::fleet::{Fleet, admission};
use crate::pki::{Authority, ChannelRole, Seals};
use crate::protocol::AdmittedToken;
use crate::protocol::container_contract::{
    LABEL_AUTHORITY, LABEL_CLUSTER, LABEL_OWNER, LABEL_ROLE, LABEL_SEAL, LABEL_TOKEN_DIGEST, TOKEN_FILE,
};
use crate::types::Digest;

/// The labels of one of our token secrets, with an attacker's token and a seal.
fn forged_labels(seal: &str) -> Value {
    json!({
        LABEL_OWNER: INSTANCE, LABEL_CLUSTER: "dev", LABEL_ROLE: "proxy-token", LABEL_SEAL: seal,
        LABEL_AUTHORITY: seals().authority().to_string(), LABEL_TOKEN_DIGEST: Digest::of_bytes(b"attacker").to_string(),
    })
}

fn admitted(world: &PlanScenario, seals: &Seals) -> Vec<AdmittedToken> {
    admission(INSTANCE, &cluster(), seals, &world.snapshot()).tokens
}

/// A seal that this operator created for another object.
fn stolen_seal(world: &PlanScenario) -> String {
    let role = |secret: &&Value| secret["Spec"]["Labels"][LABEL_ROLE] == "proxy-token";
    world.raw.secrets.iter().find(role).unwrap()["Spec"]["Labels"][LABEL_SEAL].as_str().unwrap().to_owned()
}

#[test]
fn each_role_has_its_own_token_and_nothing_else_is_admitted() {
    let world = PlanScenario::converged(&cluster());
    let roles: Vec<ChannelRole> = admitted(&world, &seals()).into_iter().map(|token| token.role).collect();
    assert_eq!(roles, [ChannelRole::Extension, ChannelRole::Proxy]);
    let tasks = admission(INSTANCE, &cluster(), &seals(), &world.snapshot()).tasks;
    let ours = world.raw.tasks.iter().filter_map(|task| task["ID"].as_str()).all(|id| tasks.iter().any(|(_, task)| task == id));
    assert!(ours && tasks.len() == world.raw.tasks.len() && !tasks.is_empty(), "{tasks:?}");
    let another = Authority::create(world.raw.taken_at).unwrap().seals();
    assert_eq!(admitted(&world, &another), [], "another operator's secrets");
}

#[test]
fn a_forged_token_secret_admits_no_task_whatever_its_labels() {
    let before = PlanScenario::converged(&cluster());
    for seal in ["", "00", &"0".repeat(64), &stolen_seal(&before)] {
        let mut world = before.clone();
        world.raw.secrets.push(json!({"ID": "evil", "Spec": {"Name": "evil", "Labels": forged_labels(seal)}}));
        assert_eq!(admitted(&world, &seals()), admitted(&before, &seals()), "no service mounts it");
        // Even if our own service came to mount it.
        let proxy = world.raw.services.iter_mut().find(|service| service["Spec"]["Name"] == PROXY).unwrap();
        proxy["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"] =
            json!([{"SecretID": "evil", "SecretName": "evil", "File": {"Name": TOKEN_FILE}}]);
        let attackers = Digest::of_bytes(b"attacker");
        assert!(admitted(&world, &seals()).iter().all(|token| token.sha256 != attackers), "{seal}");
    }
}

#[test]
fn an_existing_secret_with_the_tokens_name_is_not_mounted() {
    let seal = stolen_seal(&PlanScenario::converged(&cluster()));
    for (role, name) in [(ChannelRole::Extension, EXTENSION), (ChannelRole::Proxy, PROXY)] {
        let mut world = PlanScenario::new();
        let mut labels = forged_labels(&seal);
        labels[LABEL_ROLE] = json!(format!("{role}-token"));
        world.raw.secrets.push(json!({"ID": "evil", "Spec": {"Name": token_name(role), "Labels": labels}}));
        let plan = world.pass(&cluster());
        assert!(codes(&plan).contains(&"NameTaken".to_owned()), "{plan}");
        assert!(world.raw.services.iter().all(|service| service["Spec"]["Name"] != name), "{plan}");
    }
}

#[test]
fn a_foreign_service_with_our_labels_keeps_nothing_of_its_creators() {
    let mut world = PlanScenario::new();
    let env = json!(["SWARMGATE_CLUSTER=dev", "LD_PRELOAD=/evil.so"]);
    let container = json!({
        "Image": "swarmgate-nginx:dev", "Command": ["/evil"], "Env": env, "Hosts": ["192.0.2.66 swarmgate-operator"],
        "Configs": [{"ConfigID": "evil", "ConfigName": "evil", "File": {"Name": "/usr/local/bin/swarmgate", "Mode": 0o755}}],
        "Mounts": [{"Type": "volume", "Source": "evil", "Target": "/usr/local/bin"}],
    });
    let labels = json!({LABEL_OWNER: INSTANCE, LABEL_CLUSTER: "dev", LABEL_ROLE: "extension"});
    // Makes our tasks end soon, never restart and run nowhere, and makes every change wait forever.
    let template = json!({
        "ContainerSpec": container, "LogDriver": {"Name": "gelf"}, "RestartPolicy": {"Condition": "none"},
        "Placement": {"Constraints": ["node.labels.evil==1"], "MaxReplicas": 1}, "Resources": {"Limits": {"MemoryBytes": 6_000_000, "Pids": 2}},
    });
    let slow = json!({"Parallelism": 0, "Delay": 3_600_000_000_000_u64, "Monitor": 3_600_000_000_000_u64, "FailureAction": "rollback"});
    let spec = json!({
        "Name": EXTENSION, "Labels": labels, "Mode": {"Replicated": {"Replicas": 0}}, "TaskTemplate": template, "UpdateConfig": slow,
        "RollbackConfig": slow,
    });
    let updating = json!({"State": "updating", "StartedAt": "2026-01-02T03:04:04Z"});
    world.raw.services.push(json!({"ID": "evil", "Version": {"Index": 1}, "Spec": spec, "UpdateStatus": updating}));
    let plan = world.pass(&cluster());
    assert_eq!(codes(&plan).iter().filter(|code| *code == "ServiceTakenOver" || *code == "Drift").count(), 1, "{plan}");
    world.converge(&cluster());
    let spec = world.service(EXTENSION).spec;
    for path in ["Command", "Hosts"] {
        assert_eq!(at(&spec, &format!("TaskTemplate.ContainerSpec.{path}")), Value::Null, "{path}");
    }
    let fresh = PlanScenario::converged(&cluster()).service(EXTENSION).spec;
    for path in [
        "TaskTemplate.LogDriver",
        "TaskTemplate.Resources",
        "TaskTemplate.RestartPolicy",
        "TaskTemplate.Placement",
        "UpdateConfig",
        "RollbackConfig",
        "Mode",
    ] {
        assert_eq!(at(&spec, path), at(&fresh, path), "{path} has its value at creation");
    }
    let text = spec.to_string();
    assert!(!text.contains("evil"), "{text}");
    assert!(!codes(&world.plan(&cluster())).contains(&"ServiceTakenOver".to_owned()));
}

#[test]
fn a_service_with_a_foreign_access_label_is_not_taken_over() {
    let mut world = PlanScenario::converged(&cluster());
    let extension = world.raw.services.iter_mut().find(|service| service["Spec"]["Name"] == EXTENSION).unwrap();
    extension["Spec"]["Labels"][LABEL_SEAL] = json!("0".repeat(64));
    extension["Spec"]["Labels"]["com.docker.ucp.access.label"] = json!("/Shared/evil");
    let plan = world.plan(&cluster());
    assert!(codes(&plan).contains(&"NameTaken".to_owned()), "{plan}");
    assert!(plan.steps.iter().all(|step| step.name() != EXTENSION), "{plan}");
    let mut declared = cluster();
    declared.extension.labels = Some([("com.docker.ucp.access.label".to_owned(), "/Shared/evil".to_owned())].into());
    assert!(codes(&world.plan(&declared)).contains(&"ServiceTakenOver".to_owned()), "the document states the owner");
}

/// The label has a meaning on secrets only: writing it on a service breaks nothing.
#[test]
fn a_token_label_on_a_service_changes_nothing() {
    let mut world = PlanScenario::converged(&cluster());
    for service in &mut world.raw.services {
        service["Spec"]["Labels"][LABEL_TOKEN_DIGEST] = json!("abc");
    }
    let plan = world.plan(&cluster());
    assert!(plan.is_converged(), "{plan}");
    assert_eq!(admitted(&world, &seals()).len(), 2);
}

/// Swapping the role labels makes one service look like a leftover of the other.
#[test]
fn a_wrong_role_label_is_reverted_and_blocks_nothing() {
    for (name, role) in [(PROXY, "extension"), (EXTENSION, "proxy")] {
        let mut world = PlanScenario::converged(&cluster());
        let service = world.raw.services.iter_mut().find(|service| service["Spec"]["Name"] == name).unwrap();
        service["Spec"]["Labels"][LABEL_ROLE] = json!(role);
        world.converge(&cluster());
        assert_ne!(world.service(name).labels[LABEL_ROLE], role, "{name}");
        assert_eq!(admitted(&world, &seals()).len(), 2);
    }
}

#[test]
fn a_job_with_our_name_is_replaced_by_our_service() {
    for mode in [json!({"ReplicatedJob": {"MaxConcurrent": 1}}), json!({"GlobalJob": {}})] {
        let mut world = PlanScenario::converged(&cluster());
        let service = world.raw.services.iter_mut().find(|service| service["Spec"]["Name"] == EXTENSION).unwrap();
        service["Spec"]["Labels"][LABEL_SEAL] = json!("0".repeat(64));
        service["Spec"]["Mode"] = mode;
        world.converge(&cluster());
        assert_eq!(at(&world.service(EXTENSION).spec, "Mode.Replicated.Replicas"), json!(1));
    }
}

/// A take-over names the lost fields by path, without their values, even in a preview without an operator.
#[test]
fn a_take_over_names_the_lost_fields() {
    let mut world = PlanScenario::converged(&cluster());
    let proxy = world.raw.services.iter_mut().find(|service| service["Spec"]["Name"] == PROXY).unwrap();
    proxy["Spec"]["Labels"].as_object_mut().unwrap().remove(LABEL_SEAL);
    proxy["Spec"]["Labels"]["team"] = json!("hunter2");
    proxy["Spec"]["TaskTemplate"]["Resources"]["Limits"]["MemoryBytes"] = json!(1 << 30);
    let message_of = |plan: &crate::plan::Plan| {
        let finding = plan.findings.iter().find(|finding| finding.code == crate::report::FindingCode::ServiceTakenOver);
        finding.map(|finding| finding.message.clone()).unwrap_or_default()
    };
    let (snapshot, believing) = (world.snapshot(), Seals::believing(seals().authority().clone()));
    let fleet = Fleet { seals: believing, ..world.fleet(&cluster()) };
    for message in [message_of(&world.plan(&cluster())), message_of(&crate::plan::plan(&fleet, &snapshot, &world.memory))] {
        assert!(message.contains("Labels.team") && message.contains("Limits.MemoryBytes") && !message.contains("hunter2"), "{message}");
    }
}

/// Before there was an authority, both roles shared one token.
#[test]
fn tokens_of_earlier_versions_are_removed() {
    let mut world = PlanScenario::converged(&cluster());
    let labels = json!({LABEL_OWNER: INSTANCE, LABEL_CLUSTER: "dev", LABEL_ROLE: "token"});
    world.raw.secrets.push(json!({"ID": "former", "Spec": {"Name": "swarmgate-token-dev", "Labels": labels}}));
    world.converge(&cluster());
    assert!(world.raw.secrets.iter().all(|secret| secret["ID"] != "former"));
}

#[test]
fn a_take_over_keeps_replicas_and_constraints_that_nodes_meet() {
    let here = json!(["node.hostname!=elsewhere"]);
    let rows = [
        (3, here.clone(), true),
        (0, json!(["node.labels.nowhere==1"]), false),
        // If a snapshot cannot decide it, the constraint cannot be trusted.
        (0, json!(["engine.labels.x==1"]), false),
        (4_000_000, here, false),
    ];
    for (replicas, constraints, kept) in rows {
        let cluster = cluster();
        let mut world = PlanScenario::converged(&cluster);
        let proxy = world.raw.services.iter_mut().find(|service| service["Spec"]["Name"] == PROXY).unwrap();
        proxy["Spec"]["Labels"][LABEL_SEAL] = json!("0".repeat(64));
        proxy["Spec"]["Mode"] = json!({"Replicated": {"Replicas": replicas}});
        proxy["Spec"]["TaskTemplate"]["Placement"]["Constraints"] = constraints.clone();
        world.pass(&cluster);
        let spec = world.service(PROXY).spec;
        assert_eq!(at(&spec, "Mode.Replicated.Replicas") == json!(replicas), kept, "{spec}");
        let met = constraints == json!(["node.hostname!=elsewhere"]);
        assert_eq!(at(&spec, "TaskTemplate.Placement.Constraints") == constraints, met, "{spec}");
    }
}

#[test]
fn a_new_authority_takes_over_the_fleet_and_removes_the_old_tokens() {
    let mut world = PlanScenario::converged(&cluster());
    let old = world.raw.secrets.clone();
    for object in world.raw.services.iter_mut().chain(&mut world.raw.secrets).chain(&mut world.raw.configs) {
        object["Spec"]["Labels"][LABEL_SEAL] = json!("0".repeat(64));
    }
    for (number, secret) in world.raw.secrets.iter_mut().enumerate() {
        secret["Spec"]["Name"] = json!(format!("swarmgate-token-of-old-{number}"));
    }
    // The extension that follows the new operator signs again.
    world.boot.as_mut().unwrap().generation += 1;
    world.converge(&cluster());
    assert_eq!(admitted(&world, &seals()).len(), 2);
    let left = |id: &Value| world.raw.secrets.iter().any(|secret| &secret["ID"] == id);
    let previous: Vec<String> = world.raw.services.iter().map(|service| service["PreviousSpec"].to_string()).collect();
    for secret in &old {
        let id = secret["ID"].as_str().unwrap();
        assert!(!left(&secret["ID"]) || previous.iter().any(|spec| spec.contains(id)), "{id} is unused but not removed");
    }
}

#[test]
fn a_config_with_our_labels_is_mounted_only_if_this_operator_created_it() {
    let mut world = PlanScenario::new();
    let forged = json!({"ID": "evil", "CreatedAt": "2026-01-02T03:04:04Z", "Spec": {"Name": "swarmgate-boot-dev-0000000000000000", "Data": "", "Labels": {
        LABEL_OWNER: INSTANCE, LABEL_CLUSTER: "dev", LABEL_ROLE: "boot", LABEL_SEAL: "0".repeat(64), "swarmgate.content": "0".repeat(64),
    }}});
    world.raw.configs.push(forged);
    world.boot = None;
    world.pass(&cluster());
    assert!(world.raw.services.iter().all(|service| service["Spec"]["Name"] != PROXY), "no genuine config to mount: the step waits");
    world.boot = Some(crate::fleet::fixtures::bundle("genuine"));
    world.converge(&cluster());
    assert!(!world.service(PROXY).spec.to_string().contains("evil"));
    assert!(world.raw.configs.iter().all(|config| config["ID"] != "evil"), "nor is it kept for a rollback");
}
