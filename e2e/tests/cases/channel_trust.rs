//! What operator, extensions and proxies trust on a real Swarm: a certificate from the operator's own authority, and neither a
//! name on the control network nor a label on a secret.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use swarmgate_e2e::wait::{eventually, throughout};
use swarmgate_e2e::world::{App, Case, Steady, World};

use super::SLOW;
use super::shared_swarm::{CLUSTERS, DEFAULT, DEV, GATE, MESH, SPEC};

const CONTROL: &str = "swarmgate-control";
const EXTENSION: &str = "swarmgate-extension-default";
const PROXY: &str = "swarmgate-proxy-default";
const AUTHORITY_FILE: &str = "/run/secrets/swarmgate-ca";
const TOKEN_FILE: &str = "/run/secrets/swarmgate-token";

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("channel_trust::services_with_our_aliases_get_nothing_and_stop_nothing", aliases),
        case("channel_trust::the_channel_speaks_to_nobody_without_a_certificate", strangers),
        case("channel_trust::a_forged_token_secret_is_mounted_by_nobody", forged_token),
        case("channel_trust::a_token_in_a_strangers_hand_gets_no_certificate", stolen_token),
        case("channel_trust::a_service_that_somebody_made_in_our_name_is_taken_over_and_does_our_work", intruder),
        case("channel_trust::a_label_on_our_service_starts_no_endless_writing", label),
        case("channel_trust::the_recipe_replaces_the_authority_and_costs_no_request", replaced).with_traffic(),
        case("channel_trust::the_authority_is_the_operators_own_and_outlives_deployments", authority),
    ]
}

/// A demo-app that logs every request it receives, over TLS with its own certificate.
pub(super) fn impostor(world: &World, name: &str, place: &[&str]) -> Result<()> {
    world.create(name, &[&["--env", "TLS=self-signed", "--env", "TELL=yes"], place, &["demo-app:v1"]].concat())?;
    world.await_running(name, 1).map(drop)
}

/// An impostor on the control network with one of our names as an alias, on the port where our components look for each other.
fn with_alias(world: &World, name: &str, alias: &str, port: &str) -> Result<()> {
    impostor(world, name, &["--network", &format!("name={CONTROL},alias={alias}"), "--env", &format!("PORT={port}")])
}

/// A component connected to the impostor, and sent it nothing.
pub(super) fn told_nothing(world: &World, name: &str) -> Result<()> {
    let logs = eventually(SLOW, &format!("somebody comes to {name}"), || {
        let logs = world.log(name, 1000)?;
        ensure!(logs.contains("ended a handshake") || logs.contains("asked"), "it says {logs}");
        Ok(logs)
    })?;
    ensure!(!logs.contains("asked"), "{name} was told something: {logs}");
    Ok(())
}

fn aliases(world: &World) -> Result<()> {
    with_alias(world, "false-operator", "swarmgate-operator", "8081")?;
    with_alias(world, "false-extension", &format!("tasks.{EXTENSION}"), "8082")?;
    // New tasks look for the operator while an impostor answers to its name.
    world.update(EXTENSION, &["--force"])?;
    App::new("believed").create(world)?;
    world.await_answer(&world.at(1, DEFAULT), "believed.test", "/", "believed")?;
    world.await_converged("default")?;
    ["false-operator", "false-extension"].iter().try_for_each(|name| told_nothing(world, name))
}

/// What an application's container on the control network gets from the channel.
fn strangers(world: &World) -> Result<()> {
    world.create("stranger", &["--network", CONTROL, "demo-app:v1"])?;
    let task = &world.await_running("stranger", 1)?[0];
    for url in ["http://swarmgate-operator:8081/v1/clusters/default/desired".to_owned(), format!("http://tasks.{EXTENSION}:8082/v1/bundle")]
    {
        let answer = world.get_from(task, &url);
        ensure!(answer.as_ref().map_or(true, |text| !text.contains("anchor")), "{url} told {answer:?}");
        ensure!(answer.is_err(), "{url} answered a stranger: {answer:?}");
    }
    let status = world.get_from(task, "http://swarmgate-operator:8080/status");
    ensure!(status.as_ref().map_or(true, |text| !text.contains("anchor")), "the status told {status:?}");
    Ok(())
}

/// The ids of the secrets that a service mounts.
fn mounted(world: &World, service: &str) -> Result<Vec<String>> {
    let spec = world.service(service)?["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"].clone();
    Ok(spec.as_array().into_iter().flatten().filter_map(|mount| mount["SecretID"].as_str().map(str::to_owned)).collect())
}

fn forged_token(world: &World) -> Result<()> {
    let before = [mounted(world, EXTENSION)?, mounted(world, PROXY)?];
    for role in ["extension-token", "proxy-token"] {
        let labels = json!({
            "swarmgate.owner": "swarmgate", "swarmgate.cluster": "default", "swarmgate.role": role,
            "swarmgate.token-sha256": "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b", "swarmgate.seal": "0".repeat(64),
        });
        // `secret` in base64; the forger knows it.
        let body = json!({"Name": format!("forged-{role}"), "Labels": labels, "Data": "c2VjcmV0"});
        world.api()?.post("/secrets/create", &body)?;
    }
    App::new("afterwards").create(world)?;
    world.await_answer(&world.at(1, DEFAULT), "afterwards.test", "/", "afterwards")?;
    world.await_converged("default")?;
    ensure!([mounted(world, EXTENSION)?, mounted(world, PROXY)?] == before, "the services mount other secrets");
    Ok(())
}

/// A service that mounts the secret of cluster dev's extension runs its own extension with it: for dev, and for another cluster.
fn stolen_token(world: &World) -> Result<()> {
    let spec = world.service("swarmgate-extension-dev")?["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"].take();
    let mounts = spec.as_array().cloned().unwrap_or_default();
    let token = mounts.iter().find(|mount| mount["File"]["Name"] == TOKEN_FILE).context("no token is mounted")?;
    let secret = format!("source={},target={TOKEN_FILE},mode=0444", token["SecretName"].as_str().context("a name")?);
    let thief = |name: &str, cluster: &str| {
        let words = ["extension", "--cluster", cluster, "--operator-url", "https://swarmgate-operator:8081"];
        let service = ["--network", CONTROL, "--secret", &secret, "--restart-condition", "none", "--user", "65532:65532"];
        let run_dir = ["--mount", "type=tmpfs,destination=/run/swarmgate"];
        world.create(name, &[&service[..], &run_dir, &["--env", "SWARMGATE_TASK={{.Task.ID}}", "swarmgate-nginx:dev"], &words].concat())
    };
    thief("thief-of-dev", "dev")?;
    thief("thief-of-default", "default")?;
    let says = |name: &str, what: &str| {
        eventually(SLOW, &format!("{name} says {what:?}"), || {
            let logs = world.log(name, 1000)?;
            ensure!(logs.contains(what), "it says {logs}");
            Ok(())
        })
    };
    // It reached the operator, and got nothing.
    says("thief-of-dev", "answered 503")?;
    says("thief-of-default", "is for the extension of cluster dev")?;
    App::new("unimpressed").network("apps-dev").cluster("dev").create(world)?;
    world.await_answer(&world.at(3, DEV), "unimpressed.test", "/", "unimpressed")?;
    world.await_converged("dev")?;
    let logs = world.log("thief-of-dev", 1000)?;
    ensure!(!logs.contains("the extension is ready"), "it has a certificate: {logs}");
    Ok(())
}

/// Created before the operator starts, with settings that give its tasks too little memory, never restart them, place them
/// nowhere, and keep every update from ever finishing.
fn intruder(world: &World) -> Result<()> {
    const EXTENSION: &str = "swarmgate-extension-dev";
    world.docker(&["service", "scale", "--detach", "swarmgate_operator=0"])?;
    world.await_alive("swarmgate_operator", 0)?;
    world.docker(&["service", "rm", EXTENSION])?;
    let words = "--label swarmgate.owner=swarmgate --label swarmgate.cluster=dev --label swarmgate.role=extension \
                 --label swarmgate.token-sha256=abc --limit-memory 6M --restart-condition none --update-delay 1h --update-parallelism 0 \
                 --update-monitor 1h --update-failure-action rollback --constraint node.labels.nowhere==1 --log-driver none --network apps-dev \
                 --host swarmgate-operator:192.0.2.66 demo-app:v1";
    let words: Vec<&str> = words.split_whitespace().collect();
    world.create(EXTENSION, &words)?;
    world.docker(&["service", "scale", "--detach", "swarmgate_operator=1"])?;
    App::new("taken-over").network("apps-dev").cluster("dev").create(world)?;
    world.await_answer(&world.at(3, DEV), "taken-over.test", "/", "taken-over")?;
    world.await_converged("dev")?;
    let template = world.service(EXTENSION)?["Spec"]["TaskTemplate"].take();
    ensure!(template["Resources"]["Limits"]["MemoryBytes"] == 2_u64 << 30, "{}", template["Resources"]);
    ensure!(template["RestartPolicy"]["Condition"] == "any" && template["LogDriver"]["Options"]["max-size"] == "10m", "{template}");
    ensure!(template["ContainerSpec"]["Hosts"].is_null(), "{}", template["ContainerSpec"]["Hosts"]);
    Ok(())
}

fn label(world: &World) -> Result<()> {
    let writes = world.counter("swarmgate_writes_total")?;
    world.update("swarmgate-extension-dev", &["--label-add", "swarmgate.token-sha256=abc"])?;
    App::new("unmoved").network("apps-dev").cluster("dev").create(world)?;
    world.await_answer(&world.at(3, DEV), "unmoved.test", "/", "unmoved")?;
    throughout(Duration::from_secs(5), "nobody writes for it", || {
        let written = world.counter("swarmgate_writes_total")? - writes;
        ensure!(written <= 3, "{written} writes");
        Ok(())
    })?;
    world.update("swarmgate-extension-dev", &["--label-rm", "swarmgate.token-sha256"])?;
    // The other role: it would pass for a leftover of the proxies.
    world.update("swarmgate-extension-dev", &["--label-add", "swarmgate.role=proxy"])?;
    eventually(SLOW, "the role is put back", || {
        let labels = world.service("swarmgate-extension-dev")?["Spec"]["Labels"].take();
        ensure!(labels["swarmgate.role"] == "extension", "{labels}");
        Ok(())
    })?;
    world.await_converged("dev").map(drop)
}

/// SECURITY.md, "The authority's key is not rotated by itself", word for word.
fn replaced(world: &World) -> Result<()> {
    let addresses = [world.at(1, MESH), world.at(2, MESH)];
    App::new("lasting").cluster("mesh").create(world)?;
    addresses.iter().try_for_each(|address| world.await_answer(address, "lasting.test", "/", "lasting").map(drop))?;
    world.await_converged("mesh")?;
    let traffic = Steady::start([&addresses[0], &addresses[1]], "lasting.test")?;
    let before = authority_secret(world)?;
    let old_tasks = task_ids(world)?;
    let name = world.docker(&["secret", "inspect", "--format", "{{.Spec.Name}}", &before])?;
    world.docker(&["service", "scale", "--detach", "swarmgate_operator=0"])?;
    world.await_alive("swarmgate_operator", 0)?;
    world.update("swarmgate_operator", &["--secret-rm", name.trim()])?;
    world.docker(&["secret", "rm", name.trim()])?;
    world.docker(&["service", "scale", "--detach", "swarmgate_operator=1"])?;
    eventually(SLOW, "the operator mounts an authority of its own", || {
        ensure!(authority_secret(world)? != before, "it is the one from before");
        world.ask_operator("/readyz").map(drop)
    })?;
    eventually(SLOW, "every task starts with the new authority", || {
        let tasks = task_ids(world)?;
        ensure!(
            tasks.len() == old_tasks.len() && tasks.iter().all(|task| !old_tasks.contains(task)),
            "there are {tasks:?} after {old_tasks:?}"
        );
        Ok(())
    })?;
    CLUSTERS.iter().try_for_each(|cluster| world.await_converged(cluster).map(drop))?;
    App::new("under-the-new-one").cluster("mesh").create(world)?;
    world.await_answer(&addresses[0], "under-the-new-one.test", "/", "under-the-new-one")?;
    traffic.stop_without_loss()
}

/// The secret that the operator's service mounts as its authority.
fn authority_secret(world: &World) -> Result<String> {
    let service = world.service("swarmgate_operator")?;
    let mounts = service["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"].as_array().cloned().unwrap_or_default();
    let mount = mounts.iter().find(|mount| mount["File"]["Name"] == AUTHORITY_FILE).context("no authority is mounted")?;
    mount["SecretID"].as_str().map(str::to_owned).context("an id")
}

fn task_ids(world: &World) -> Result<Vec<Value>> {
    let services = CLUSTERS.iter().flat_map(|name| [format!("swarmgate-extension-{name}"), format!("swarmgate-proxy-{name}")]);
    let mut ids = Vec::new();
    for service in services {
        ids.extend(world.running_tasks(&service)?.into_iter().map(|task| task["ID"].clone()));
    }
    Ok(ids)
}

/// `docker stack deploy` overwrites the operator's service, without the secret that the operator has added to it.
fn authority(world: &World) -> Result<()> {
    let (secret, tasks) = (authority_secret(world)?, task_ids(world)?);
    for service in CLUSTERS.iter().flat_map(|name| [format!("swarmgate-extension-{name}"), format!("swarmgate-proxy-{name}")]) {
        ensure!(!mounted(world, &service)?.contains(&secret), "{service} mounts the operator's authority");
    }
    // Two in a row: the operator of the first deployment had no time to restore its secret.
    world.deploy_swarmgate_with(SPEC, &[("SWARMGATE_LOG", "debug")])?;
    world.deploy_swarmgate_with(SPEC, &[])?;
    eventually(SLOW, "the operator mounts its authority again", || {
        ensure!(authority_secret(world)? == secret, "it is another one");
        ensure!(world.running_tasks("swarmgate_operator")?.len() == 1, "the operator does not run");
        world.ask_operator("/readyz").map(drop)
    })?;
    world.await_alive("swarmgate_operator", 1)?;
    for name in CLUSTERS {
        world.await_converged(name)?;
    }
    ensure!(task_ids(world)? == tasks, "tasks were replaced for a deployment of the operator");
    Ok(())
}
