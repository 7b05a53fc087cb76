//! What an operator costs while nothing happens.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::Ingress;
use crate::testbed::{Testbed, http_get};
use crate::wait::eventually;

/// How long the idle Swarm is observed.
const WATCHED: Duration = Duration::from_secs(60);
/// Linux counts processor time in hundredths of a second on every usual build.
const TICKS_PER_SECOND: f64 = 100.0;

/// Creates labelled services until there are `services`, waits until nothing changes, and prints what the operator (or the
/// rival's process) uses in a minute: processor, memory, and for Swarmgate the calls and bytes of the Docker API.
pub fn idle(testbed: &Testbed, ingress: &Ingress, services: usize) -> Result<()> {
    for n in 0..services {
        let mut args: Vec<String> = ["--network", "measured"].map(str::to_owned).to_vec();
        args.extend(ingress.labels(&format!("idle{n}"), &format!("idle{n}.test")));
        args.push("demo-app:v1".to_owned());
        testbed.create(&format!("idle{n}"), &args.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    eventually(Duration::from_secs(1200), "every service is routed", || {
        for n in [0, services / 2, services.saturating_sub(1)] {
            let answer = http_get(&ingress.address(testbed), &format!("idle{n}.test"), "/")?;
            ensure!(answer.status == 200, "idle{n}: status {}", answer.status);
        }
        let running = testbed.api()?.get("/services?status=true")?;
        let short =
            running.as_array().into_iter().flatten().filter(|s| s["ServiceStatus"]["RunningTasks"] != s["ServiceStatus"]["DesiredTasks"]);
        let short = short.count();
        ensure!(short == 0, "{short} services are not complete");
        Ok(())
    })?;
    thread::sleep(Duration::from_secs(15));
    let pid = process(testbed, ingress)?;
    let (cpu, counters) = (cpu_seconds(pid)?, counters(testbed, ingress));
    thread::sleep(WATCHED);
    let used = cpu_seconds(pid)? - cpu;
    println!(
        "{ingress:?}, {services} labelled services, idle: {:.1} % of a core, {} MiB resident (load {})",
        used / WATCHED.as_secs_f64() * 100.0,
        resident_mib(pid)?,
        load()
    );
    for (name, after) in self::counters(testbed, ingress) {
        let before = counters.get(&name).copied().unwrap_or_default();
        println!("  {name}: {:.0} a minute", (after - before) * 60.0 / WATCHED.as_secs_f64());
    }
    Ok(())
}

/// The process of this lab's only task of the service: other labs on this machine have such processes, too.
fn process(testbed: &Testbed, ingress: &Ingress) -> Result<u32> {
    let service = match ingress {
        Ingress::Swarmgate => "swarmgate_operator",
        Ingress::Traefik { .. } => "traefik",
    };
    let task = testbed.await_running(service, 1)?.remove(0);
    let container = task["Status"]["ContainerStatus"]["ContainerID"].as_str().context("the task has no container")?;
    let pids = fs::read_dir("/proc").context("list processes")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // Each node numbers its processes separately, so the id that Docker reports is a different one here.
    let first_of_container = |pid: &u32| {
        let about = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let is_first = about("status").lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1"));
        is_first && about("cgroup").contains(container)
    };
    pids.into_iter().find(first_of_container).with_context(|| format!("no process of container {container}"))
}

/// The load of the machine, as Linux reports it: over 1, 5 and 15 minutes.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(", ")
}

fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("read the times of process {pid}"))?;
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    // utime and stime are fields 14 and 15 of the whole line, 11 and 12 after the name.
    Ok((ticks(11) + ticks(12)) / TICKS_PER_SECOND)
}

fn resident_mib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("read the memory of process {pid}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024)
}

/// The operator's own counters of Docker calls, bytes and writes, summed over their labels.
fn counters(testbed: &Testbed, ingress: &Ingress) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    if !matches!(ingress, Ingress::Swarmgate) {
        return sums;
    }
    for k in 1..=testbed.lab.nodes() {
        let address = format!("{}:8080", testbed.lab.node_ip(k));
        let Ok(answer) = http_get(&address, &address, "/metrics") else { continue };
        for line in answer.body.lines().filter(|line| line.starts_with("swarmgate_docker_") || line.starts_with("swarmgate_writes_total")) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let name = name.split('{').next().unwrap_or(name);
            *sums.entry(name.to_owned()).or_default() += value.parse::<f64>().unwrap_or_default();
        }
    }
    sums
}
