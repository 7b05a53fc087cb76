//! Foreign objects that hold a needed name produce findings and are never touched.

use serde_json::json;

use super::world::PlanScenario;
use super::{EXTENSION, PROXY, codes, titles};
use crate::fleet::fixtures::{cluster, token_name};
use crate::pki::ChannelRole;
use crate::plan::{OperationResult, PlanStep, lint};
use crate::protocol::container_contract::{LABEL_OWNER, LABEL_TOKEN_DIGEST};
use crate::report::WaitingOn;
use crate::types::ServiceId;

/// Adds a foreign object to the world and checks that only its dependants are held back.
fn check_foreign(object: &str, put: impl FnOnce(&mut PlanScenario), still: &[&str]) {
    let mut world = PlanScenario::new();
    put(&mut world);
    let plan = world.plan(&cluster());
    assert!(plan.waiting.contains(&WaitingOn::ForeignObject { object: object.to_owned() }), "{object}: {plan}");
    assert!(codes(&plan).contains(&"NameTaken".to_owned()), "{object}: {plan}");
    let titles = titles(&plan);
    assert_eq!(titles.iter().filter(|title| title.contains("service")).map(String::as_str).collect::<Vec<_>>(), still, "{object}");
}

#[test]
fn foreign_objects_hold_back_only_their_dependants() {
    let service =
        |name: &str, labels: serde_json::Value| json!({"ID": "foreign", "Version": {"Index": 1}, "Spec": {"Name": name, "Labels": labels}});
    let (extension, proxy) = (format!("create service {EXTENSION}"), format!("create service {PROXY}"));
    check_foreign(&format!("service {PROXY}"), |w| w.raw.services.push(service(PROXY, json!({}))), &[&extension]);
    check_foreign(&format!("service {EXTENSION}"), |w| w.raw.services.push(service(EXTENSION, json!({LABEL_OWNER: "other"}))), &[&proxy]);
    let secret = |role| json!({"ID": "s", "Spec": {"Name": token_name(role), "Labels": {}}});
    for (role, still) in [(ChannelRole::Extension, &proxy), (ChannelRole::Proxy, &extension)] {
        check_foreign(&format!("secret {}", token_name(role)), |w| w.raw.secrets.push(secret(role)), &[still]);
    }
    let network = json!({"Id": "n", "Name": "swarmgate-control", "Driver": "macvlan"});
    check_foreign("network swarmgate-control", |w| w.raw.networks.push(network), &[]);
}

#[test]
fn a_token_secret_without_its_digest_is_not_used() {
    let mut world = PlanScenario::converged(&cluster());
    world.raw.secrets[0]["Spec"]["Labels"].as_object_mut().unwrap().remove(LABEL_TOKEN_DIGEST);
    let plan = world.plan(&cluster());
    assert_eq!(titles(&plan), [""; 0], "running services are kept: {plan}");
    assert!(codes(&plan).contains(&"NameTaken".to_owned()));
}

#[test]
fn any_overlay_with_the_control_networks_name_is_adopted() {
    let mut world = PlanScenario::new();
    world
        .raw
        .networks
        .push(json!({"Id": "stacks", "Name": "swarmgate-control", "Driver": "overlay", "Labels": {"com.docker.stack.namespace": "x"}}));
    let plan = world.pass(&cluster());
    assert!(!titles(&plan).contains(&"create network swarmgate-control".to_owned()));
    assert_eq!(world.service(PROXY).networks[0].0, "stacks");
}

#[test]
fn an_encrypted_control_network_is_requested_and_an_unencrypted_one_produces_a_finding() {
    let mut world = PlanScenario::new();
    let crate::protocol::ChannelMode::Overlay { encrypted, .. } = &mut world.channel else { unreachable!() };
    *encrypted = true;
    let plan = world.plan(&cluster());
    let bodies = plan.steps.iter().filter_map(|step| if let PlanStep::CreateNetwork { body, .. } = step { Some(body) } else { None });
    assert_eq!(bodies.map(|body| body["Options"].clone()).collect::<Vec<_>>(), [json!({"encrypted": ""})]);
    world.converge(&cluster());
    assert_eq!(codes(&world.plan(&cluster())), [""; 0]);
    // Swarm lists its own options in addition to the requested one, and treats any value of that option as yes.
    let network = world.raw.networks.iter_mut().find(|network| network["Name"] == "swarmgate-control").unwrap();
    network["Options"] = json!({"com.docker.network.driver.overlay.vxlanid_list": "4098", "encrypted": "false"});
    assert_eq!(codes(&world.plan(&cluster())), [""; 0]);
    let network = world.raw.networks.iter_mut().find(|network| network["Name"] == "swarmgate-control").unwrap();
    network["Options"] = json!({"com.docker.network.driver.overlay.vxlanid_list": "4098"});
    let plan = world.plan(&cluster());
    assert_eq!(codes(&plan), ["NetworkNotEncrypted"]);
    assert!(plan.is_converged(), "it is used unchanged: {plan}");
}

#[test]
fn a_name_that_swarm_reports_as_taken_is_left_alone_for_a_while() {
    let mut world = PlanScenario::new();
    let plan = world.plan(&cluster());
    let applied: Vec<_> = plan.steps.iter().map(|step| (step.kind() == "create_config").then_some(OperationResult::NameTaken)).collect();
    world.memory = world.memory.after(&plan, &applied, world.now());
    let plan = world.plan(&cluster());
    assert!(!titles(&plan).iter().any(|title| title.contains("config") || title.contains(PROXY)), "{plan}");
    assert!(codes(&plan).contains(&"NameTaken".to_owned()));
    world.pass_time(31);
    assert!(titles(&world.plan(&cluster())).iter().any(|title| title.contains("config")));
}

#[test]
fn the_lint_refuses_to_touch_foreign_objects() {
    let mut world = PlanScenario::converged(&cluster());
    let mut plan = world.plan(&cluster());
    plan.steps.push(PlanStep::RemoveService { id: world.service(PROXY).id, name: PROXY.to_owned(), reason: String::new() });
    assert_eq!(lint(&plan, &world.snapshot()), []);
    world.by_hand(PROXY, |spec| spec["Labels"][LABEL_OWNER] = json!("other"));
    assert_eq!(lint(&plan, &world.snapshot()).len(), 1);
    plan.steps[0] = PlanStep::RemoveService { id: ServiceId("unknown".to_owned()), name: "x".to_owned(), reason: String::new() };
    assert_eq!(lint(&plan, &world.snapshot()).len(), 1);
}

#[test]
fn the_lint_refuses_to_remove_objects_in_use() {
    let world = PlanScenario::converged(&cluster());
    let mut plan = world.plan(&cluster());
    let snapshot = world.snapshot();
    let config = snapshot.configs.values().next().unwrap();
    let secret = snapshot.secrets.values().next().unwrap();
    plan.steps.push(PlanStep::RemoveConfig { id: config.id.clone(), name: config.name.clone() });
    plan.steps.push(PlanStep::RemoveSecret { id: secret.id.clone(), name: secret.name.clone() });
    assert_eq!(lint(&plan, &snapshot).len(), 2);
}
