//! The people of the simulated world: they deploy, label, scale and remove applications, and edit what is not theirs, while
//! nodes fail around them. Everything they do is legal; much of it is unwise.

use std::collections::BTreeMap;

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::{Value, json};
use swarmgate::simulator::{Availability, ImageBehaviour, NetworkBehaviour, SimSwarm};
use swarmgate::swarm::Snapshot;

use crate::documents::NAMES;
use crate::oracle;

/// The applications that may exist.
const APPLICATIONS: [&str; 6] = ["web", "api", "admin", "blog", "cart", "mail"];
/// The networks of the applications.
const NETWORKS: [&str; 4] = ["app1", "app2", "app3", "app4"];
const NODES: [&str; 3] = ["node1", "node2", "node3"];
/// An image that some people deploy although it never starts.
pub const BAD_IMAGE: &str = "app:bad";
/// The certificate secrets and CA configs that labels name.
const CERTIFICATES: [&str; 3] = ["cert-1", "cert-2", "cert-3"];
const AUTHORITIES: [&str; 2] = ["ca-1", "ca-2"];

/// Creates the networks that the applications expect.
pub fn found(swarm: &SimSwarm) {
    for name in NETWORKS {
        swarm.user_creates_network(&json!({"Name": name, "Driver": "overlay"})).unwrap();
    }
    swarm.set_image(BAD_IMAGE, ImageBehaviour::NeverStarts);
}

/// Performs one action of a person; returns its description for the story.
pub fn act(swarm: &SimSwarm, rng: &mut StdRng) -> String {
    let application = *APPLICATIONS.choose(rng).unwrap();
    let truth = Snapshot::from_raw(&swarm.truth()).unwrap();
    let services: Vec<&str> = truth.services.values().map(|service| service.name.as_str()).collect();
    let ours: Vec<&str> = services.iter().copied().filter(|name| name.starts_with("swarmgate-")).collect();
    match rng.random_range(0..22) {
        0..=5 => deploy(swarm, rng, application),
        6 | 7 => label(swarm, rng, application),
        8 => describe("scale", application, swarm.user_scales(application, rng.random_range(0..4))),
        9 => describe("remove", application, swarm.user_removes_service(application)),
        10 => describe(
            "image",
            application,
            swarm.user_edits_service(application, |spec| set_image(spec, ["app:1", BAD_IMAGE].choose(rng).unwrap())),
        ),
        11 => format!("kill a task of {application}: {}", swarm.kill_task(application)),
        12 | 13 => ours.choose(rng).map_or_else(String::new, |name| meddle(swarm, rng, name)),
        14 => ours.choose(rng).map_or_else(String::new, |name| describe("remove", name, swarm.user_removes_service(name))),
        15 => ours.choose(rng).map_or_else(String::new, |name| format!("kill a task of {name}: {}", swarm.kill_task(name))),
        16 => remove_object(swarm, rng, &truth),
        17 => squat(swarm, rng),
        18 | 19 => trouble_on_a_network(swarm, rng),
        _ => node(swarm, rng),
    }
}

/// Deploys an application.
pub fn deploy_something(swarm: &SimSwarm, rng: &mut StdRng) -> String {
    let application = APPLICATIONS.choose(rng).unwrap();
    deploy(swarm, rng, application)
}

/// Publishes an application at a different place, or at an additional one.
pub fn publish_something(swarm: &SimSwarm, rng: &mut StdRng) -> String {
    let application = APPLICATIONS.choose(rng).unwrap();
    let described = deploy(swarm, rng, application);
    let (host, path) = (oracle::GOOD_HOSTS.choose(rng).unwrap(), oracle::GOOD_PATHS.choose(rng).unwrap());
    let labels = json!({"com.docker.lb.hosts": host, "com.docker.lb.port": "8080", "com.docker.lb.context_root": path});
    swarm.user_edits_service(application, |spec| spec["Labels"] = labels).unwrap();
    described
}

/// Ends all activity: nodes are up, images work, and no foreign service holds our names.
pub fn rest(swarm: &SimSwarm) {
    for node in NODES {
        swarm.node_comes_up(node);
        swarm.set_availability(node, Availability::Active);
    }
    swarm.set_image(BAD_IMAGE, ImageBehaviour::Healthy);
    for name in NETWORKS {
        swarm.set_network(name, NetworkBehaviour::Healthy);
    }
    let truth = Snapshot::from_raw(&swarm.truth()).unwrap();
    for service in truth.services.values().filter(|service| oracle::is_squatter(service)) {
        swarm.user_removes_service(&service.name).unwrap();
    }
}

fn describe(what: &str, target: &str, result: Result<(), swarmgate::swarm::SwarmError>) -> String {
    format!("{what} {target}: {}", result.map_or_else(|error| error.message, |()| "done".to_owned()))
}

fn deploy(swarm: &SimSwarm, rng: &mut StdRng, name: &str) -> String {
    let truth = Snapshot::from_raw(&swarm.truth()).unwrap();
    let network = truth.networks.values().find(|network| Some(&network.name.as_str()) == NETWORKS.choose(rng).as_ref().copied());
    let networks: Vec<Value> = network.map(|network| json!({"Target": network.id.0})).into_iter().collect();
    let spec = json!({
        "Name": name,
        "Labels": labels(rng),
        "TaskTemplate": {"ContainerSpec": {"Image": "app:1"}, "Networks": networks},
        "Mode": {"Replicated": {"Replicas": rng.random_range(0..4)}},
        "EndpointSpec": {"Mode": if rng.random_bool(0.8) { "vip" } else { "dnsrr" }, "Ports": ports(rng)},
    });
    describe("deploy", name, swarm.user_creates_service(&spec).map(|_| ()))
}

/// Ports that some applications also publish on their nodes, chosen by Swarm or by the application.
fn ports(rng: &mut StdRng) -> Value {
    let published = if rng.random_bool(0.3) { 8000 } else { 0 };
    let port = json!({"TargetPort": 8080, "PublishedPort": published, "PublishMode": "host"});
    if rng.random_bool(0.3) { json!([port]) } else { json!([]) }
}

fn label(swarm: &SimSwarm, rng: &mut StdRng, name: &str) -> String {
    store(swarm, rng);
    let labels = labels(rng);
    describe("label", name, swarm.user_edits_service(name, |spec| spec["Labels"] = labels))
}

/// Stores a certificate or a CA, which often already exists.
fn store(swarm: &SimSwarm, rng: &mut StdRng) {
    let _ = swarm.user_creates_secret(CERTIFICATES.choose(rng).unwrap(), &BTreeMap::new(), b"certificate");
    let _ = swarm.user_creates_config(AUTHORITIES.choose(rng).unwrap(), &BTreeMap::new(), b"authority");
}

/// Labels of an application: mostly valid, with every kind of mistake among them.
fn labels(rng: &mut StdRng) -> Value {
    let mut labels = serde_json::Map::new();
    let mut set_label = |key: &str, value: &str| labels.insert(format!("com.docker.lb.{key}"), json!(value));
    let cluster = NAMES.iter().chain(&["nowhere"]).copied().collect::<Vec<_>>();
    let cluster = *cluster.choose(rng).unwrap();
    if cluster != "default" {
        set_label("service_cluster", cluster);
    }
    let good = rng.random_bool(0.75);
    let hosts = if good { oracle::GOOD_HOSTS } else { oracle::BAD_HOSTS };
    set_label("hosts", hosts.choose(rng).unwrap());
    if good || rng.random_bool(0.5) {
        set_label("port", if good { "8080" } else { ["http", "", "0", "99999"].choose(rng).unwrap() });
    }
    if rng.random_bool(0.3) {
        set_label("context_root", oracle::GOOD_PATHS.choose(rng).unwrap());
    }
    if rng.random_bool(0.2) {
        set_label("backend_mode", ["task", "vip"].choose(rng).unwrap());
    }
    if rng.random_bool(0.4) {
        set_label("ssl_cert", CERTIFICATES.choose(rng).unwrap());
    }
    if rng.random_bool(0.2) {
        set_label("ssl_backend", "true");
        set_label("ssl_backend_tls_verify", AUTHORITIES.choose(rng).unwrap());
    }
    if rng.random_bool(0.2) {
        set_label("network", "bridge");
    }
    if rng.random_bool(0.1) {
        set_label("misspelt_label", "x; }\nserver {");
    }
    Value::Object(labels)
}

/// Edits one of our services by hand.
fn meddle(swarm: &SimSwarm, rng: &mut StdRng, name: &str) -> String {
    let edit: fn(&mut Value) = *[
        (|spec: &mut Value| spec["TaskTemplate"]["ContainerSpec"]["Env"] = json!(["HACKED=1"])) as fn(&mut Value),
        |spec| spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!("other:1"),
        |spec| spec["TaskTemplate"]["Placement"] = json!({"Constraints": ["node.labels.none!=x"]}),
        |spec| spec["TaskTemplate"]["Networks"] = json!([]),
        |spec| spec["TaskTemplate"]["ContainerSpec"]["Configs"] = json!([]),
        |spec| spec["TaskTemplate"]["ContainerSpec"]["Secrets"] = json!([]),
        |spec| spec["TaskTemplate"]["ContainerSpec"]["StopGracePeriod"] = json!(3_000_000_000_i64),
        |spec| spec["EndpointSpec"] = json!({}),
        |spec| spec["Labels"]["note"] = json!("mine"),
    ]
    .choose(rng)
    .unwrap();
    describe("meddle with", name, swarm.user_edits_service(name, edit))
}

fn remove_object(swarm: &SimSwarm, rng: &mut StdRng, truth: &Snapshot) -> String {
    let configs: Vec<&str> = truth.configs.values().map(|config| config.name.as_str()).collect();
    let secrets: Vec<&str> = truth.secrets.values().map(|secret| secret.name.as_str()).collect();
    match (configs.choose(rng), secrets.choose(rng)) {
        (Some(name), _) if rng.random_bool(0.5) => describe("remove config", name, swarm.user_removes_config(name)),
        (_, Some(name)) => describe("remove secret", name, swarm.user_removes_secret(name)),
        _ => String::new(),
    }
}

/// Takes a name that is ours by convention.
fn squat(swarm: &SimSwarm, rng: &mut StdRng) -> String {
    let name = format!("swarmgate-{}-{}", ["proxy", "extension"].choose(rng).unwrap(), NAMES.choose(rng).unwrap());
    let spec = json!({
        "Name": name,
        "Labels": {"squatter": "yes"},
        "TaskTemplate": {"ContainerSpec": {"Image": "app:1"}},
        "Mode": {"Replicated": {"Replicas": 1}},
    });
    describe("squat on", &name, swarm.user_creates_service(&spec).map(|_| ()))
}

fn node(swarm: &SimSwarm, rng: &mut StdRng) -> String {
    let node = *NODES.choose(rng).unwrap();
    match rng.random_range(0..4) {
        0 => swarm.node_goes_down(node),
        1 => swarm.set_availability(node, Availability::Drain),
        2 => swarm.set_availability(node, Availability::Active),
        _ => swarm.node_comes_up(node),
    }
    format!("something happens to {node}")
}

/// Makes a network run out of addresses, fail to be set up or lead nowhere, or repairs it.
fn trouble_on_a_network(swarm: &SimSwarm, rng: &mut StdRng) -> String {
    use NetworkBehaviour::{Healthy, NeverReached, NoAddresses, Rejected};
    let (name, behaviour) = (*NETWORKS.choose(rng).unwrap(), *[Healthy, NeverReached, NoAddresses, Rejected].choose(rng).unwrap());
    swarm.set_network(name, behaviour);
    format!("the network {name} is {behaviour:?} from now on")
}

fn set_image(spec: &mut Value, image: &str) {
    spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!(image);
}
