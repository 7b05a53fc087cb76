//! Measures the cost of snapshots of a Swarm: how much data is sent, how long each takes, and how much memory a process uses
//! after three snapshots. Run with `cargo bench --package swarmgate-benches --bench observe`. Measures only, and prints the
//! results.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that cannot be made ends, and is for whoever reads it")]

#[path = "../tests/support/docker_lists.rs"]
mod lists;
#[path = "../tests/support/docker_configs.rs"]
#[expect(dead_code, reason = "tests ask more of the manager")]
mod manager;

use lists::{routed, task};
use manager::{FakeConfig, FakeManager};
use serde_json::json;
use swarmgate::swarm::{Snapshot, Swarm as _};

/// Just below the largest config that Swarm accepts.
const LARGE: usize = 920_000;

#[tokio::main]
async fn main() {
    measure_configs().await;
    measure_lists().await;
}

/// Other people's configs that look like those the operator needs.
async fn measure_configs() {
    for (what, prefix) in [("others that begin like a label's value", "j"), ("those that look like the operator's own", "swarmgate-j")] {
        let manager = FakeManager::start();
        for n in 0..460 {
            manager.add(FakeConfig::new(&format!("{prefix}{n:03}"), &[("swarmgate.owner", "x")], LARGE));
        }
        let labels = json!({"com.docker.lb.ssl_backend_tls_verify": "j"});
        manager.set_services(vec![json!({"ID": "s", "CreatedAt": "2026-01-01T00:00:00Z", "Spec": {"Name": "s", "Labels": labels}})]);
        let swarm = manager.swarm();
        for _ in 0..3 {
            let began = tokio::time::Instant::now();
            let seen = swarm.observe().await.map(|raw| raw.configs.len());
            println!("{what}: {seen:?} configs, {} MB sent in all, {:?}, {}", manager.sent() / 1_000_000, began.elapsed(), memory());
        }
    }
}

/// A large Swarm.
async fn measure_lists() {
    let manager = FakeManager::start();
    manager.set_list("/services", 5_000, |n| routed(n, 60));
    manager.set_list("/tasks", 15_000, |n| task(n, 60));
    for _ in 0..3 {
        let began = tokio::time::Instant::now();
        let seen = Snapshot::from_raw(&manager.swarm().observe().await.unwrap()).unwrap();
        let sent = manager.sent() / 1_000_000;
        println!(
            "{} services, {} tasks: {sent} MB sent in all, {:?}, {}",
            seen.services.len(),
            seen.tasks.len(),
            began.elapsed(),
            memory()
        );
    }
    for most in [64 << 20, 128 << 20, 192 << 20, 256 << 20, 384 << 20] {
        let fits = manager.swarm().with_snapshot_memory_max(most).observe().await.is_ok();
        println!("{} MiB are enough: {fits}", most >> 20);
    }
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS")).collect::<Vec<_>>().join(", ").replace('\t', " ")
}
