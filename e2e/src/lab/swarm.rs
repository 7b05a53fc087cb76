//! Forms one Swarm from a lab's engines and reports its state. It must never include an engine that is not the lab's.

use std::thread;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::wait::eventually;

use super::{Lab, cgroup};

const PORT: u16 = 2377;
/// Far more than the 4 seconds that it takes on an idle machine.
const READY: Duration = Duration::from_secs(90);

/// Initializes the Swarm on node 1 and joins all other nodes.
pub(crate) fn form(lab: &Lab, heartbeat_seconds: u64) -> Result<()> {
    let first = lab.engine(1)?;
    let heartbeat = Duration::from_secs(heartbeat_seconds).as_nanos();
    first.post(
        "/swarm/init",
        &json!({
            "AdvertiseAddr": lab.node_ip(1),
            "ListenAddr": listen_address(lab, 1),
            "Spec": {"Dispatcher": {"HeartbeatPeriod": u64::try_from(heartbeat)?}},
        }),
    )?;
    let tokens = first.get("/swarm")?["JoinTokens"].clone();
    thread::scope(|scope| {
        let workers: Vec<_> = (lab.managers() + 1..=lab.nodes())
            .map(|k| {
                let token = &tokens["Worker"];
                scope.spawn(move || join(lab, k, token))
            })
            .collect();
        // Raft accepts one membership change at a time, so managers join one after the other.
        let managers = (2..=lab.managers()).try_for_each(|k| join(lab, k, &tokens["Manager"]));
        let workers = workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a joining thread panicked")));
        managers.and(workers)
    })
}

fn join(lab: &Lab, k: usize, token: &Value) -> Result<()> {
    let request = json!({
        "AdvertiseAddr": lab.node_ip(k),
        "ListenAddr": listen_address(lab, k),
        "RemoteAddrs": [listen_address(lab, 1)],
        "JoinToken": token,
    });
    lab.engine(k)?.post("/swarm/join", &request).map(drop)
}

fn listen_address(lab: &Lab, k: usize) -> String {
    format!("{}:{PORT}", lab.node_ip(k))
}

/// Waits until a manager sees every node of the lab as ready.
pub(crate) fn await_ready(lab: &Lab) -> Result<()> {
    let engine = lab.engine(1)?;
    eventually(READY, "all nodes are ready", || {
        let nodes = engine.get("/nodes")?;
        let states: Vec<_> = nodes.as_array().into_iter().flatten().map(|node| node["Status"]["State"].as_str().unwrap_or("?")).collect();
        ensure!(states.len() == lab.nodes() && states.iter().all(|state| *state == "ready"), "node states: {states:?}");
        Ok(())
    })
}

/// One line about node `k`.
pub(crate) fn describe(lab: &Lab, k: usize) -> String {
    let node = lab.node(k);
    let process = |pid: Option<i32>| pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    let memory = cgroup::memory_of(lab.name(), k).unwrap_or_default() >> 20;
    let about = lab.engine(k).and_then(|engine| {
        engine.ping(Duration::from_secs(3))?;
        engine.get("/info")
    });
    let about = match about {
        Ok(info) => {
            let manager = if info["Swarm"]["ControlAvailable"] == true { "manager" } else { "worker" };
            let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
            let containers = info["ContainersRunning"].as_u64().unwrap_or_default();
            format!("{} {manager} {} containers={containers}", text(&info["ServerVersion"]), text(&info["Swarm"]["LocalNodeState"]))
        }
        Err(_) => "no answer".to_owned(),
    };
    let (first, daemon) = (process(node.first_process()), process(node.daemon()));
    format!("node{k} {} first={first} dockerd={daemon} memory={memory}MiB {about}", lab.node_ip(k))
}
