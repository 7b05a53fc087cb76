//! The fleet without a control network: what it knows about the operator, and what never replaces its tasks.

use serde_json::{Value, json};

use super::world::PlanScenario;
use super::{EXTENSION, PROXY, at, codes, titles};
use crate::fleet::fixtures::{INSTANCE, cluster};
use crate::fleet::peers;
use crate::intent::cluster_spec::RolloutStrategy;
use crate::protocol::ChannelMode;
use crate::report::WaitingOn;
use crate::types::Port;

fn host() -> ChannelMode {
    ChannelMode::Host { operator_port: Port::new(8081).unwrap() }
}

/// The manager with this number.
fn manager(number: u8, state: &str) -> Value {
    json!({
        "ID": format!("m{number}"), "Status": {"State": state}, "Spec": {"Availability": "active", "Role": "manager"},
        "ManagerStatus": {"Addr": format!("192.0.2.{number}:2377")},
    })
}

/// A converged fleet without a control network, on managers with these numbers.
fn fleet_on(numbers: &[u8]) -> PlanScenario {
    let mut world = PlanScenario::new();
    world.channel = host();
    world.raw.nodes = numbers.iter().map(|number| manager(*number, "ready")).collect();
    world.converge(&cluster());
    world
}

fn operator_urls(world: &PlanScenario, service: &str) -> Value {
    let env = at(&world.service(service).spec, "TaskTemplate.ContainerSpec.Env");
    let entries = env.as_array().into_iter().flatten().filter_map(Value::as_str);
    entries.filter_map(|entry| entry.strip_prefix("SWARMGATE_OPERATOR_URL=")).map(|urls| json!(urls)).next().unwrap_or_default()
}

#[test]
fn without_a_control_network_all_services_get_the_managers_addresses() {
    let world = fleet_on(&[1, 2]);
    assert!(world.raw.networks.iter().all(|network| network["Name"] != "swarmgate-control"));
    for service in [EXTENSION, PROXY] {
        assert_eq!(operator_urls(&world, service), json!("https://192.0.2.1:8081,https://192.0.2.2:8081"), "{service}");
        assert_eq!(at(&world.service(service).spec, "TaskTemplate.Networks"), Value::Null, "{service}");
    }
    let ports = at(&world.service(EXTENSION).spec, "EndpointSpec.Ports");
    assert_eq!(ports, json!([{"Protocol": "tcp", "TargetPort": 8082, "PublishedPort": 0, "PublishMode": "host"}]));
    let proxy = at(&world.service(PROXY).spec, "TaskTemplate.ContainerSpec.Env").to_string();
    assert!(proxy.contains("SWARMGATE_CHANNEL=host") && !proxy.contains("SWARMGATE_EXTENSION_URL"), "{proxy}");
}

#[test]
fn no_task_is_replaced_while_one_of_its_known_managers_remains() {
    let mut world = fleet_on(&[1, 2]);
    world.raw.nodes = vec![manager(2, "ready"), manager(3, "ready"), manager(4, "ready")];
    assert!(world.plan(&cluster()).is_converged(), "{}", world.plan(&cluster()));
    world.raw.nodes[0] = manager(2, "down");
    assert!(world.plan(&cluster()).is_converged(), "it is still a manager");
}

#[test]
fn tasks_that_are_replaced_anyway_get_the_current_managers() {
    let mut world = fleet_on(&[1, 2]);
    world.raw.nodes = vec![manager(3, "ready"), manager(2, "down")];
    let mut changed = cluster();
    changed.proxy.workload.image = "swarmgate-nginx:next".to_owned();
    world.converge(&changed);
    assert_eq!(operator_urls(&world, PROXY), json!("https://192.0.2.3:8081,https://192.0.2.2:8081"));
    assert_eq!(operator_urls(&world, EXTENSION), json!("https://192.0.2.1:8081,https://192.0.2.2:8081"));
}

#[test]
fn when_no_known_manager_remains_all_services_get_new_addresses() {
    let mut world = fleet_on(&[1, 2]);
    world.raw.nodes = vec![manager(3, "ready")];
    world.converge(&cluster());
    assert_eq!(operator_urls(&world, PROXY), json!("https://192.0.2.3:8081"));
}

#[test]
fn without_any_address_new_services_wait_and_others_stay() {
    let mut world = PlanScenario::new();
    world.channel = host();
    let plan = world.plan(&cluster());
    assert!(!titles(&plan).iter().any(|title| title.contains(EXTENSION)), "{plan}");
    assert!(plan.waiting.contains(&WaitingOn::ManagerAddress), "{plan}");
    assert_eq!(codes(&plan), ["NodeAddress"]);

    let mut world = fleet_on(&[1]);
    world.raw.nodes = vec![json!({"ID": "m1", "Status": {"State": "ready", "Addr": "0.0.0.0"}, "Spec": {"Role": "manager"}})];
    assert_eq!(titles(&world.plan(&cluster())), [""; 0]);
    assert_eq!(codes(&world.plan(&cluster())), ["NodeAddress"]);
}

#[test]
fn a_fleet_moves_from_the_control_network_and_back() {
    let mut world = fleet_on(&[1]);
    world.channel = crate::fleet::fixtures::overlay();
    world.converge(&cluster());
    let env = at(&world.service(PROXY).spec, "TaskTemplate.ContainerSpec.Env").to_string();
    assert!(env.contains("SWARMGATE_EXTENSION_URL=https://tasks.") && !env.contains("SWARMGATE_CHANNEL"), "{env}");
    assert_eq!(at(&world.service(EXTENSION).spec, "EndpointSpec.Ports"), json!([]));
    world.channel = host();
    world.converge(&cluster());
    assert_eq!(operator_urls(&world, PROXY), json!("https://192.0.2.1:8081"));
}

#[test]
fn stock_images_need_no_channel() {
    let mut stock = cluster();
    stock.proxy.rollout = RolloutStrategy::Replace;
    let mut world = PlanScenario::new();
    (world.channel, world.live) = (host(), world.boot.clone());
    world.raw.nodes = vec![manager(1, "ready")];
    world.converge(&stock);
    assert_eq!(operator_urls(&world, PROXY), Value::Null);
}

#[test]
fn peers_learn_the_address_of_the_running_extension() {
    let mut world = fleet_on(&[1, 2]);
    world.raw.nodes[1]["Spec"]["Labels"] = json!({"swarmgate.address": "198.51.100.2"});
    let port =
        |target: u16, published: u16| json!({"Protocol": "tcp", "TargetPort": target, "PublishedPort": published, "PublishMode": "host"});
    let id = world.service(EXTENSION).id.0;
    let task = world.raw.tasks.iter_mut().find(|task| task["ServiceID"] == id).unwrap();
    task["NodeID"] = json!("m2");
    task["Status"]["PortStatus"] = json!({"Ports": [port(8082, 32_768), port(8082, 32_768)]});
    let known_peers = |world: &PlanScenario| peers(&host(), INSTANCE, &cluster(), &world.snapshot()).unwrap();
    assert_eq!(known_peers(&world).extensions, ["https://198.51.100.2:32768"]);
    assert_eq!(known_peers(&world).operators, ["https://192.0.2.1:8081", "https://198.51.100.2:8081"]);
    world.raw.tasks.clear();
    assert_eq!(known_peers(&world).extensions, [""; 0]);
    assert!(peers(&crate::fleet::fixtures::overlay(), INSTANCE, &cluster(), &world.snapshot()).is_none());
}

#[test]
fn an_extension_on_a_node_without_a_known_address_produces_a_finding() {
    let mut world = fleet_on(&[1]);
    world.raw.nodes.push(json!({"ID": "w", "Description": {"Hostname": "worker"}, "Status": {"State": "ready", "Addr": "127.0.0.1"}}));
    let id = world.service(EXTENSION).id.0;
    world.raw.tasks.iter_mut().filter(|task| task["ServiceID"] == id).for_each(|task| task["NodeID"] = json!("w"));
    assert_eq!(codes(&world.plan(&cluster())), ["NodeAddress"]);
    world.raw.nodes[1]["Spec"]["Labels"] = json!({"swarmgate.address": "198.51.100.9"});
    assert_eq!(codes(&world.plan(&cluster())), [""; 0]);
}
