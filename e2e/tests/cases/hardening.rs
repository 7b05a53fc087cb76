//! What our containers cannot do, from the kernel's point of view: `/proc` on the nodes where they run.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use swarmgate_e2e::lab::SOCKET_GROUP;
use swarmgate_e2e::testbed::{Case, Testbed};
use swarmgate_e2e::wait::eventually;

use super::shared_swarm::{DEFAULT, GATE};

const NOTHING: &str = "0000000000000000";

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("hardening::the_operator_runs_as_nobody_with_the_group_of_the_socket", operator),
        case("hardening::a_command_in_the_operator_container_also_runs_as_nobody", beside_the_operator),
        case("hardening::extensions_and_proxies_run_unprivileged_and_bounded", bounds),
        case("hardening::a_stock_image_serves_with_its_own_privileges", stock),
        case("hardening::calls_that_are_not_published_are_refused", refused),
    ]
}

/// The only running task of a service, and the kernel's status of its first process.
fn first_process(testbed: &Testbed, service: &str) -> Result<(Value, String)> {
    let task = testbed.running_tasks(service)?.pop().with_context(|| format!("no task of {service} runs"))?;
    let status = process(testbed, &task)?;
    Ok((task, status))
}

fn process(testbed: &Testbed, task: &Value) -> Result<String> {
    let pid = task["Status"]["ContainerStatus"]["PID"].as_u64().context("the task has no process")?;
    testbed.lab.node_file(testbed.node_of(task)?, &format!("/proc/{pid}/status"))
}

fn line<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map_or("", str::trim)
}

fn is_nobody(status: &str) -> Result<()> {
    for (name, expected) in [("Uid", "65532\t65532\t65532\t65532"), ("Gid", "65532\t65532\t65532\t65532"), ("NoNewPrivs", "1")] {
        ensure!(line(status, name) == expected, "{name} is {:?}", line(status, name));
    }
    ["CapEff", "CapPrm", "CapAmb", "CapInh"].iter().try_for_each(|set| {
        ensure!(line(status, set) == NOTHING, "{set} is {:?}", line(status, set));
        Ok(())
    })
}

fn operator(testbed: &Testbed) -> Result<()> {
    let (task, status) = first_process(testbed, "swarmgate_operator")?;
    is_nobody(&status)?;
    ensure!(line(&status, "Groups") == SOCKET_GROUP.to_string(), "the groups are {:?}", line(&status, "Groups"));
    let host = host_config(testbed, &task)?;
    ensure!(host["Memory"] == 2_u64 << 30 && host["PidsLimit"] == 1024, "the limits are {} and {}", host["Memory"], host["PidsLimit"]);
    Ok(())
}

/// `docker exec` starts as root, but without the capability to read other users' files: a command can read what the operator
/// reads only by becoming the operator's user.
fn beside_the_operator(testbed: &Testbed) -> Result<()> {
    let (task, _) = first_process(testbed, "swarmgate_operator")?;
    let answer = testbed.exec(&task, &["swarmgate", "plan", "--spec", "/etc/swarmgate/spec.yaml"])?;
    ensure!(answer.contains("cluster default"), "{answer}");
    Ok(())
}

fn bounds(testbed: &Testbed) -> Result<()> {
    for (service, memory, pids) in [
        ("swarmgate-extension-default", 2_u64 << 30, 1024),
        ("swarmgate-proxy-default", 4 << 30, 4096),
        ("swarmgate-proxy-mesh", 4 << 30, 4096),
    ] {
        let (task, status) = first_process(testbed, service)?;
        is_nobody(&status).with_context(|| service.to_owned())?;
        ensure!(line(&status, "CapBnd") == NOTHING, "{service} could gain {:?}", line(&status, "CapBnd"));
        let host = host_config(testbed, &task)?;
        ensure!(host["Memory"] == memory && host["PidsLimit"] == pids, "{service}: {} and {}", host["Memory"], host["PidsLimit"]);
        let log = &host["LogConfig"];
        ensure!(log["Type"] == "json-file" && log["Config"]["max-size"] == "10m" && log["Config"]["max-file"] == "5", "{service}: {log}");
    }
    // Without any capability, it still listens on ports below 1024 and serves.
    testbed.await_answer(&testbed.at(1, DEFAULT), "anchor.test", "/", "anchor").map(drop)
}

fn host_config(testbed: &Testbed, task: &Value) -> Result<Value> {
    let container = task["Status"]["ContainerStatus"]["ContainerID"].as_str().context("the task has no container")?;
    let mut found = testbed.lab.docker_json(testbed.node_of(task)?, &["container", "inspect", container])?;
    Ok(found[0]["HostConfig"].take())
}

/// It starts as root and drops that itself, for which it needs capabilities: they are the image's own concern.
fn stock(testbed: &Testbed) -> Result<()> {
    let (task, status) = first_process(testbed, "swarmgate-proxy-stock")?;
    ensure!(line(&status, "Uid").starts_with("0\t"), "the stock image runs as {:?}", line(&status, "Uid"));
    let host = host_config(testbed, &task)?;
    ensure!(host["CapDrop"].is_null() && host["PidsLimit"] == 4096, "{} and {}", host["CapDrop"], host["PidsLimit"]);
    Ok(())
}

fn refused(testbed: &Testbed) -> Result<()> {
    let engine = testbed.lab.filtered_engine(testbed.manager()?)?;
    ensure!(engine.get("/services")?.is_array(), "what is published passes");
    let forbidden = ["/containers/json", "/v1.41/images/json", "/volumes", "/swarm", "/services/x/logs"];
    for path in forbidden {
        let reason = engine.get(path).err().with_context(|| format!("{path} passed"))?;
        ensure!(format!("{reason:#}").contains("403"), "{path}: {reason:#}");
    }
    ensure!(engine.post("/containers/create", &serde_json::json!({"Image": "x"})).is_err(), "a container can be created");
    let seen = eventually(Duration::from_secs(5), "refused calls are recorded", || {
        let refused = testbed.lab.take_refused_calls()?;
        ensure!(!refused.is_empty(), "no call was refused");
        Ok(refused)
    })?;
    ensure!(seen.iter().any(|call| call.contains("POST") && call.contains("/containers/create")), "{seen:?}");
    Ok(())
}
