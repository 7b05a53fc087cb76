//! What operator, extensions and proxies trust on a real Swarm: a certificate from the operator's own authority, and neither a
//! name on the control network nor a label on a secret.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use swarmgate_e2e::testbed::{App, Case, Steady, Testbed};
use swarmgate_e2e::wait::{eventually, throughout};

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
        case("channel_trust::services_with_our_aliases_receive_nothing_and_stop_nothing", aliases),
        case("channel_trust::the_channel_rejects_clients_without_a_certificate", clients_without_a_certificate),
        case("channel_trust::a_forged_token_secret_is_never_mounted", forged_token),
        case("channel_trust::a_stolen_token_obtains_no_certificate", stolen_token),
        case("channel_trust::a_foreign_service_with_our_name_is_taken_over_and_works", intruder),
        case("channel_trust::a_label_on_our_service_causes_no_endless_writes", label),
        case("channel_trust::the_recipe_replaces_the_authority_without_losing_a_request", replaced).with_traffic(),
        case("channel_trust::the_authority_is_the_operators_own_and_outlives_deployments", authority),
    ]
}

/// A demo-app that logs every request it receives, over TLS with its own certificate.
pub(super) fn impostor(testbed: &Testbed, name: &str, args: &[&str]) -> Result<()> {
    testbed.create(name, &[&["--env", "TLS=self-signed", "--env", "TELL=yes"], args, &["demo-app:v1"]].concat())?;
    testbed.await_running(name, 1).map(drop)
}

/// An impostor on the control network with one of our names as an alias, on the port where our components look for each other.
fn with_alias(testbed: &Testbed, name: &str, alias: &str, port: &str) -> Result<()> {
    impostor(testbed, name, &["--network", &format!("name={CONTROL},alias={alias}"), "--env", &format!("PORT={port}")])
}

/// A component connected to the impostor, and sent it nothing.
pub(super) fn received_nothing(testbed: &Testbed, name: &str) -> Result<()> {
    let logs = eventually(SLOW, &format!("a client connects to {name}"), || {
        let logs = testbed.log(name, 1000)?;
        ensure!(logs.contains("ended a handshake") || logs.contains("asked"), "the log is {logs}");
        Ok(logs)
    })?;
    ensure!(!logs.contains("asked"), "{name} was told something: {logs}");
    Ok(())
}

fn aliases(testbed: &Testbed) -> Result<()> {
    with_alias(testbed, "false-operator", "swarmgate-operator", "8081")?;
    with_alias(testbed, "false-extension", &format!("tasks.{EXTENSION}"), "8082")?;
    // New tasks look for the operator while an impostor answers to its name.
    testbed.update(EXTENSION, &["--force"])?;
    App::new("believed").create(testbed)?;
    testbed.await_answer(&testbed.at(1, DEFAULT), "believed.test", "/", "believed")?;
    testbed.await_converged("default")?;
    ["false-operator", "false-extension"].iter().try_for_each(|name| received_nothing(testbed, name))
}

/// What an application's container on the control network gets from the channel.
fn clients_without_a_certificate(testbed: &Testbed) -> Result<()> {
    testbed.create("stranger", &["--network", CONTROL, "demo-app:v1"])?;
    let task = &testbed.await_running("stranger", 1)?[0];
    for url in ["http://swarmgate-operator:8081/v1/clusters/default/desired".to_owned(), format!("http://tasks.{EXTENSION}:8082/v1/bundle")]
    {
        let answer = testbed.get_from(task, &url);
        ensure!(answer.as_ref().map_or(true, |text| !text.contains("anchor")), "{url} told {answer:?}");
        ensure!(answer.is_err(), "{url} answered a stranger: {answer:?}");
    }
    let status = testbed.get_from(task, "http://swarmgate-operator:8080/status");
    ensure!(status.as_ref().map_or(true, |text| !text.contains("anchor")), "the status told {status:?}");
    Ok(())
}

/// The ids of the secrets that a service mounts.
fn mounted(testbed: &Testbed, service: &str) -> Result<Vec<String>> {
    let spec = testbed.service(service)?["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"].clone();
    Ok(spec.as_array().into_iter().flatten().filter_map(|mount| mount["SecretID"].as_str().map(str::to_owned)).collect())
}

fn forged_token(testbed: &Testbed) -> Result<()> {
    let before = [mounted(testbed, EXTENSION)?, mounted(testbed, PROXY)?];
    for role in ["extension-token", "proxy-token"] {
        let labels = json!({
            "swarmgate.owner": "swarmgate", "swarmgate.cluster": "default", "swarmgate.role": role,
            "swarmgate.token-sha256": "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b", "swarmgate.seal": "0".repeat(64),
        });
        // `secret` in base64; the forger knows it.
        let body = json!({"Name": format!("forged-{role}"), "Labels": labels, "Data": "c2VjcmV0"});
        testbed.api()?.post("/secrets/create", &body)?;
    }
    App::new("afterwards").create(testbed)?;
    testbed.await_answer(&testbed.at(1, DEFAULT), "afterwards.test", "/", "afterwards")?;
    testbed.await_converged("default")?;
    ensure!([mounted(testbed, EXTENSION)?, mounted(testbed, PROXY)?] == before, "the services mount other secrets");
    Ok(())
}

/// A service that mounts the secret of cluster dev's extension runs its own extension with it: for dev, and for another cluster.
fn stolen_token(testbed: &Testbed) -> Result<()> {
    let spec = testbed.service("swarmgate-extension-dev")?["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"].take();
    let mounts = spec.as_array().cloned().unwrap_or_default();
    let token = mounts.iter().find(|mount| mount["File"]["Name"] == TOKEN_FILE).context("no token is mounted")?;
    let secret = format!("source={},target={TOKEN_FILE},mode=0444", token["SecretName"].as_str().context("a name")?);
    let thief = |name: &str, cluster: &str| {
        let args = ["extension", "--cluster", cluster, "--operator-url", "https://swarmgate-operator:8081"];
        let service = ["--network", CONTROL, "--secret", &secret, "--restart-condition", "none", "--user", "65532:65532"];
        let run_dir = ["--mount", "type=tmpfs,destination=/run/swarmgate"];
        testbed.create(name, &[&service[..], &run_dir, &["--env", "SWARMGATE_TASK={{.Task.ID}}", "swarmgate-nginx:dev"], &args].concat())
    };
    thief("thief-of-dev", "dev")?;
    thief("thief-of-default", "default")?;
    let has_logged = |name: &str, what: &str| {
        eventually(SLOW, &format!("{name} logs {what:?}"), || {
            let logs = testbed.log(name, 1000)?;
            ensure!(logs.contains(what), "the log is {logs}");
            Ok(())
        })
    };
    // It reached the operator, and got nothing.
    has_logged("thief-of-dev", "answered 503")?;
    has_logged("thief-of-default", "is for the extension of cluster dev")?;
    App::new("unimpressed").network("apps-dev").cluster("dev").create(testbed)?;
    testbed.await_answer(&testbed.at(3, DEV), "unimpressed.test", "/", "unimpressed")?;
    testbed.await_converged("dev")?;
    let logs = testbed.log("thief-of-dev", 1000)?;
    ensure!(!logs.contains("the extension is ready"), "it has a certificate: {logs}");
    Ok(())
}

/// Created before the operator starts, with settings that give its tasks too little memory, never restart them, place them
/// nowhere, and keep every update from ever finishing.
fn intruder(testbed: &Testbed) -> Result<()> {
    const EXTENSION: &str = "swarmgate-extension-dev";
    testbed.docker(&["service", "scale", "--detach", "swarmgate_operator=0"])?;
    testbed.await_alive("swarmgate_operator", 0)?;
    testbed.docker(&["service", "rm", EXTENSION])?;
    let args = "--label swarmgate.owner=swarmgate --label swarmgate.cluster=dev --label swarmgate.role=extension \
                 --label swarmgate.token-sha256=abc --limit-memory 6M --restart-condition none --update-delay 1h --update-parallelism 0 \
                 --update-monitor 1h --update-failure-action rollback --constraint node.labels.nowhere==1 --log-driver none \
                 --network apps-dev --host swarmgate-operator:192.0.2.66 demo-app:v1";
    let args: Vec<&str> = args.split_whitespace().collect();
    testbed.create(EXTENSION, &args)?;
    testbed.docker(&["service", "scale", "--detach", "swarmgate_operator=1"])?;
    App::new("taken-over").network("apps-dev").cluster("dev").create(testbed)?;
    testbed.await_answer(&testbed.at(3, DEV), "taken-over.test", "/", "taken-over")?;
    testbed.await_converged("dev")?;
    let template = testbed.service(EXTENSION)?["Spec"]["TaskTemplate"].take();
    ensure!(template["Resources"]["Limits"]["MemoryBytes"] == 2_u64 << 30, "{}", template["Resources"]);
    ensure!(template["RestartPolicy"]["Condition"] == "any" && template["LogDriver"]["Options"]["max-size"] == "10m", "{template}");
    ensure!(template["ContainerSpec"]["Hosts"].is_null(), "{}", template["ContainerSpec"]["Hosts"]);
    Ok(())
}

fn label(testbed: &Testbed) -> Result<()> {
    let writes = testbed.counter("swarmgate_writes_total")?;
    testbed.update("swarmgate-extension-dev", &["--label-add", "swarmgate.token-sha256=abc"])?;
    App::new("unmoved").network("apps-dev").cluster("dev").create(testbed)?;
    testbed.await_answer(&testbed.at(3, DEV), "unmoved.test", "/", "unmoved")?;
    throughout(Duration::from_secs(5), "no write is caused", || {
        let written = testbed.counter("swarmgate_writes_total")? - writes;
        ensure!(written <= 3, "{written} writes");
        Ok(())
    })?;
    testbed.update("swarmgate-extension-dev", &["--label-rm", "swarmgate.token-sha256"])?;
    // The other role: it would pass for a leftover of the proxies.
    testbed.update("swarmgate-extension-dev", &["--label-add", "swarmgate.role=proxy"])?;
    eventually(SLOW, "the role is put back", || {
        let labels = testbed.service("swarmgate-extension-dev")?["Spec"]["Labels"].take();
        ensure!(labels["swarmgate.role"] == "extension", "{labels}");
        Ok(())
    })?;
    testbed.await_converged("dev").map(drop)
}

/// SECURITY.md, "The authority's key is not rotated by itself", word for word.
fn replaced(testbed: &Testbed) -> Result<()> {
    let addresses = [testbed.at(1, MESH), testbed.at(2, MESH)];
    App::new("lasting").cluster("mesh").create(testbed)?;
    addresses.iter().try_for_each(|address| testbed.await_answer(address, "lasting.test", "/", "lasting").map(drop))?;
    testbed.await_converged("mesh")?;
    let traffic = Steady::start([&addresses[0], &addresses[1]], "lasting.test")?;
    let before = authority_secret(testbed)?;
    let old_tasks = task_ids(testbed)?;
    let name = testbed.docker(&["secret", "inspect", "--format", "{{.Spec.Name}}", &before])?;
    testbed.docker(&["service", "scale", "--detach", "swarmgate_operator=0"])?;
    testbed.await_alive("swarmgate_operator", 0)?;
    testbed.update("swarmgate_operator", &["--secret-rm", name.trim()])?;
    testbed.docker(&["secret", "rm", name.trim()])?;
    testbed.docker(&["service", "scale", "--detach", "swarmgate_operator=1"])?;
    eventually(SLOW, "the operator mounts its own authority", || {
        ensure!(authority_secret(testbed)? != before, "it is the one from before");
        testbed.query_operator("/readyz").map(drop)
    })?;
    eventually(SLOW, "every task starts with the new authority", || {
        let tasks = task_ids(testbed)?;
        ensure!(
            tasks.len() == old_tasks.len() && tasks.iter().all(|task| !old_tasks.contains(task)),
            "there are {tasks:?} after {old_tasks:?}"
        );
        Ok(())
    })?;
    CLUSTERS.iter().try_for_each(|cluster| testbed.await_converged(cluster).map(drop))?;
    App::new("under-the-new-one").cluster("mesh").create(testbed)?;
    testbed.await_answer(&addresses[0], "under-the-new-one.test", "/", "under-the-new-one")?;
    traffic.stop_without_loss()
}

/// The secret that the operator's service mounts as its authority.
fn authority_secret(testbed: &Testbed) -> Result<String> {
    let service = testbed.service("swarmgate_operator")?;
    let mounts = service["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"].as_array().cloned().unwrap_or_default();
    let mount = mounts.iter().find(|mount| mount["File"]["Name"] == AUTHORITY_FILE).context("no authority is mounted")?;
    mount["SecretID"].as_str().map(str::to_owned).context("an id")
}

fn task_ids(testbed: &Testbed) -> Result<Vec<Value>> {
    let services = CLUSTERS.iter().flat_map(|name| [format!("swarmgate-extension-{name}"), format!("swarmgate-proxy-{name}")]);
    let mut ids = Vec::new();
    for service in services {
        ids.extend(testbed.running_tasks(&service)?.into_iter().map(|task| task["ID"].clone()));
    }
    Ok(ids)
}

/// `docker stack deploy` overwrites the operator's service, without the secret that the operator has added to it.
fn authority(testbed: &Testbed) -> Result<()> {
    let (secret, tasks) = (authority_secret(testbed)?, task_ids(testbed)?);
    for service in CLUSTERS.iter().flat_map(|name| [format!("swarmgate-extension-{name}"), format!("swarmgate-proxy-{name}")]) {
        ensure!(!mounted(testbed, &service)?.contains(&secret), "{service} mounts the operator's authority");
    }
    // Two in a row: the operator of the first deployment had no time to restore its secret.
    testbed.deploy_swarmgate_with(SPEC, &[("SWARMGATE_LOG", "debug")])?;
    testbed.deploy_swarmgate_with(SPEC, &[])?;
    eventually(SLOW, "the operator mounts its authority again", || {
        ensure!(authority_secret(testbed)? == secret, "it is another one");
        ensure!(testbed.running_tasks("swarmgate_operator")?.len() == 1, "the operator does not run");
        testbed.query_operator("/readyz").map(drop)
    })?;
    testbed.await_alive("swarmgate_operator", 1)?;
    for name in CLUSTERS {
        testbed.await_converged(name)?;
    }
    ensure!(task_ids(testbed)? == tasks, "tasks were replaced for a deployment of the operator");
    Ok(())
}
