//! Whom operator, extensions and proxies believe on a real Swarm: a certificate of the operator's own authority, and neither a
//! name on the control network nor a label on a secret.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use swarmgate_e2e::wait::eventually;
use swarmgate_e2e::world::{App, Case, World};

use super::SLOW;
use super::ground::{CLUSTERS, DEFAULT, GATE, SPEC};

const CONTROL: &str = "swarmgate-control";
const EXTENSION: &str = "swarmgate-extension-default";
const PROXY: &str = "swarmgate-proxy-default";
const AUTHORITY_FILE: &str = "/run/secrets/swarmgate-ca";

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case { name, setting: GATE, check };
    vec![
        case("trust::services_with_our_aliases_get_nothing_and_stop_nothing", aliases),
        case("trust::the_channel_speaks_to_nobody_without_a_certificate", strangers),
        case("trust::a_forged_token_secret_is_mounted_by_nobody", forged_token),
        case("trust::the_authority_is_the_operators_own_and_outlives_deployments", authority),
    ]
}

/// A demo-app on the control network that answers to a name of ours, on the port where we are looked for.
fn impostor(world: &World, name: &str, alias: &str, port: &str) -> Result<()> {
    let network = format!("name={CONTROL},alias={alias}");
    let port = format!("PORT={port}");
    world.create(name, &["--network", &network, "--env", &port, "--replicas", "2", "demo-app:v1"])?;
    world.await_running(name, 2).map(drop)
}

fn aliases(world: &World) -> Result<()> {
    impostor(world, "false-operator", "swarmgate-operator", "8081")?;
    impostor(world, "false-extension", &format!("tasks.{EXTENSION}"), "8082")?;
    // New tasks look for the operator while somebody else answers to its name.
    world.update(EXTENSION, &["--force"])?;
    App::new("believed").create(world)?;
    world.await_answer(&world.at(1, DEFAULT), "believed.test", "/", "believed")?;
    world.await_converged("default")?;
    let logs = world.docker(&["service", "logs", "--raw", "false-operator"])?;
    ensure!(!logs.contains("Bearer") && !logs.contains("/v1/clusters"), "somebody told the impostor something: {logs}");
    Ok(())
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
        // `secret` in base64; whoever forges it knows it.
        let body = json!({"Name": format!("forged-{role}"), "Labels": labels, "Data": "c2VjcmV0"});
        world.api()?.post("/secrets/create", &body)?;
    }
    App::new("afterwards").create(world)?;
    world.await_answer(&world.at(1, DEFAULT), "afterwards.test", "/", "afterwards")?;
    world.await_converged("default")?;
    ensure!([mounted(world, EXTENSION)?, mounted(world, PROXY)?] == before, "the services mount other secrets");
    Ok(())
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

/// `docker stack deploy` writes the operator's service anew, without the secret that the operator has added to it.
fn authority(world: &World) -> Result<()> {
    let (secret, tasks) = (authority_secret(world)?, task_ids(world)?);
    for service in CLUSTERS.iter().flat_map(|name| [format!("swarmgate-extension-{name}"), format!("swarmgate-proxy-{name}")]) {
        ensure!(!mounted(world, &service)?.contains(&secret), "{service} mounts the operator's authority");
    }
    // Two in a row: the operator of the first one had no time to put its secret back.
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
