//! What config objects and labels make the operator download and hold: the adapter against a manager that finds configs as
//! Docker does and counts the bytes that it sends.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

#[path = "support/docker_lists.rs"]
mod lists;
#[path = "support/docker_configs.rs"]
mod manager;

use std::collections::BTreeMap;

use futures::StreamExt as _;
use lists::{routed, task};
use manager::{FakeConfig, FakeManager};
use serde_json::{Value, json};
use swarmgate::docker::DockerSwarm;
use swarmgate::swarm::{Snapshot, Swarm, SwarmErrorKind};
use swarmgate::types::ConfigId;

const VERIFY: &str = "com.docker.lb.ssl_backend_tls_verify";
/// Just below the largest config that Swarm accepts.
const LARGE: usize = 920_000;

async fn read_snapshot(swarm: &DockerSwarm) -> Snapshot {
    Snapshot::from_raw(&swarm.observe().await.unwrap()).unwrap()
}

fn names(snapshot: &Snapshot) -> Vec<&str> {
    let mut names: Vec<&str> = snapshot.configs.values().map(|config| config.name.as_str()).collect();
    names.sort_unstable();
    names
}

/// A service that names a CA.
fn service(id: &str, value: &str) -> Value {
    json!({"ID": id, "CreatedAt": "2026-01-01T00:00:00Z", "Spec": {"Name": id, "Labels": {VERIFY: value}}})
}

/// One of the operator's services, which mounts a config.
fn mounting(config: &FakeConfig) -> Value {
    let mount = json!({"ConfigID": config.id, "ConfigName": config.name, "File": {"Name": "/etc/swarmgate/boot.json"}});
    json!({"ID": "proxy", "CreatedAt": "2026-01-01T00:00:00Z", "Spec": {
        "Name": "proxy",
        "Labels": {"swarmgate.owner": "swarmgate"},
        "TaskTemplate": {"ContainerSpec": {"Configs": [mount]}},
    }})
}

#[tokio::test]
async fn a_config_whose_id_starts_with_a_name_is_not_downloaded() {
    let manager = FakeManager::start();
    for n in 0..50 {
        manager.add(FakeConfig::new(&format!("j{n:03}"), &[], LARGE));
    }
    manager.add(FakeConfig::new("ja", &[("com.docker.stack.namespace", "shop")], 1_000));
    manager.set_services(vec![service("s1", "j"), service("s2", "ja")]);
    let snapshot = read_snapshot(&manager.swarm()).await;
    assert_eq!(names(&snapshot), ["ja"]);
    assert_eq!(snapshot.configs.values().next().unwrap().labels["com.docker.stack.namespace"], "shop");
    assert!(manager.sent() < 10_000, "{} bytes", manager.sent());
}

#[tokio::test]
async fn a_config_that_docker_matches_by_id_is_not_the_named_config() {
    let manager = FakeManager::start();
    manager.add(FakeConfig { id: "abc1".to_owned(), ..FakeConfig::new("one", &[], 10) });
    manager.add(FakeConfig { id: "xyz1".to_owned(), ..FakeConfig::new("two", &[], 10) });
    manager.add(FakeConfig { id: "xyz2".to_owned(), ..FakeConfig::new("three", &[], 10) });
    // Found as an id, as the beginning of one id and of two, and with different capitalization.
    manager.set_services(["abc1", "abc", "xyz", "ONE", "four"].map(|value| service(value, value)).to_vec());
    assert_eq!(names(&read_snapshot(&manager.swarm()).await), [""; 0]);
}

#[tokio::test]
async fn large_configs_with_similar_ids_do_not_block_the_snapshot() {
    // Docker loads all of them before it notices that there are several, which exceeds the limit of one call.
    let manager = FakeManager::start();
    for n in 0..6 {
        manager.add(FakeConfig { id: format!("j{n}"), ..FakeConfig::new(&format!("large{n}"), &[], LARGE) });
    }
    manager.set_services(vec![service("s", "j")]);
    let snapshot = read_snapshot(&manager.swarm()).await;
    assert_eq!((names(&snapshot).len(), snapshot.services.len()), (0, 1));
    assert!(manager.requests().iter().any(|(call, status)| call == "GET /configs/j" && *status == 500), "{:?}", manager.requests());
}

#[tokio::test]
async fn the_operator_label_alone_causes_no_download() {
    let manager = FakeManager::start();
    for n in 0..50 {
        manager.add(FakeConfig::new(&format!("stranger{n}"), &[("swarmgate.owner", "swarmgate")], LARGE));
    }
    manager.add(FakeConfig::new("swarmgate-boot-dev-0123456789abcdef", &[("swarmgate.owner", "swarmgate")], 5_000));
    manager.add(FakeConfig::new("swarmgate-notes", &[], LARGE));
    assert_eq!(names(&read_snapshot(&manager.swarm()).await), ["swarmgate-boot-dev-0123456789abcdef"]);
    assert!(manager.sent() < 20_000, "{} bytes", manager.sent());
}

#[tokio::test]
async fn known_configs_are_not_downloaded_again() {
    let manager = FakeManager::start();
    let boot = FakeConfig::new("swarmgate-boot-dev-0123456789abcdef", &[("swarmgate.owner", "swarmgate")], LARGE);
    manager.set_services(vec![service("s1", "ca"), service("s2", "nowhere"), mounting(&boot)]);
    manager.add(boot);
    manager.add(FakeConfig::new("ca", &[], LARGE));
    let swarm = manager.swarm();
    let mut hints = swarm.hints();
    manager.emit("config", "update", "of-an-other", "other");
    hints.next().await.unwrap().unwrap();
    let first = read_snapshot(&swarm).await;
    let sent = manager.sent_of_configs();
    for _ in 0..10 {
        assert_eq!(read_snapshot(&swarm).await.configs, first.configs);
    }
    assert_eq!(manager.sent_of_configs(), sent, "{:?}", manager.requests());
    assert_eq!(names(&first), ["ca", "swarmgate-boot-dev-0123456789abcdef"]);
}

#[tokio::test]
async fn config_events_update_the_cache() {
    let manager = FakeManager::start();
    manager.set_services(vec![service("s", "ca")]);
    let swarm = manager.swarm();
    let mut hints = swarm.hints();
    manager.emit("service", "update", "s", "s");
    hints.next().await.unwrap().unwrap();
    assert_eq!(names(&read_snapshot(&swarm).await), [""; 0]);
    for (id, label) in [("first", "a"), ("second", "b")] {
        manager.add(FakeConfig { id: id.to_owned(), ..FakeConfig::new("ca", &[("swarmgate.use-by", label)], 10) });
        manager.emit("config", "create", id, "ca");
        hints.next().await.unwrap().unwrap();
        let snapshot = read_snapshot(&swarm).await;
        assert_eq!(snapshot.configs[&ConfigId(id.to_owned())].labels["swarmgate.use-by"], label);
        manager.relabel(id, &[("swarmgate.use-by", "anyone")]);
        manager.emit("config", "update", id, "ca");
        hints.next().await.unwrap().unwrap();
        assert_eq!(read_snapshot(&swarm).await.configs[&ConfigId(id.to_owned())].labels["swarmgate.use-by"], "anyone");
        manager.remove(id);
        manager.emit("config", "remove", id, "ca");
        hints.next().await.unwrap().unwrap();
        assert_eq!(names(&read_snapshot(&swarm).await), [""; 0]);
    }
}

#[tokio::test]
async fn the_operators_own_writes_appear_in_the_next_snapshot() {
    let manager = FakeManager::start();
    let swarm = manager.swarm();
    let owner = BTreeMap::from([("swarmgate.owner".to_owned(), "swarmgate".to_owned())]);
    assert_eq!(names(&read_snapshot(&swarm).await), [""; 0]);
    let id = swarm.create_config("swarmgate-boot-dev-1", &owner, b"x").await.unwrap();
    assert_eq!(names(&read_snapshot(&swarm).await), ["swarmgate-boot-dev-1"]);
    swarm.remove_config(&id).await.unwrap();
    assert_eq!(names(&read_snapshot(&swarm).await), [""; 0]);
    // A config of another process. The operator does not list configs again to find it, but learns of it because the name is
    // taken.
    manager.add(FakeConfig::new("swarmgate-boot-dev-2", &[("swarmgate.owner", "swarmgate")], 10));
    assert_eq!(names(&read_snapshot(&swarm).await), [""; 0]);
    assert_eq!(swarm.create_config("swarmgate-boot-dev-2", &owner, b"x").await.unwrap_err().kind, SwarmErrorKind::NameTaken);
    assert_eq!(names(&read_snapshot(&swarm).await), ["swarmgate-boot-dev-2"]);
}

#[tokio::test]
async fn mounted_configs_are_found_among_any_number_of_lookalikes() {
    // So many configs with such large labels that the adapter does not read the list to its end. The mounted config comes last.
    let manager = FakeManager::start();
    let large = "x".repeat(400_000);
    for n in 0..100 {
        let labels = [("swarmgate.content", large.as_str()), ("swarmgate.owner", "o"), ("note", large.as_str())];
        manager.add(FakeConfig::new(&format!("swarmgate-boot-aaa{n:03}"), &labels, 1_000));
    }
    let boot = FakeConfig { id: "zzz".to_owned(), ..FakeConfig::new("swarmgate-boot-zzz", &[("swarmgate.owner", "o")], 10) };
    manager.set_services(vec![mounting(&boot)]);
    manager.add(boot);
    let snapshot = read_snapshot(&manager.swarm()).await;
    assert!(snapshot.configs.contains_key(&ConfigId("zzz".to_owned())), "{:?}", names(&snapshot));
    assert!(snapshot.configs.len() < 101, "the list was left before its end");
    let held: usize = snapshot.configs.values().flat_map(|config| config.labels.values()).map(String::len).sum();
    assert!(held < 34 << 20, "{held}");
}

#[tokio::test]
async fn an_oversized_snapshot_is_an_error_with_a_remedy() {
    let manager = FakeManager::start();
    let large = |n: usize| json!({"ID": format!("s{n}"), "Spec": {"Name": "large", "Labels": {"note": "x".repeat(100_000)}}});
    manager.set_services((0..10).map(large).collect());
    let swarm = manager.swarm().with_snapshot_memory_max(900_000);
    let error = swarm.observe().await.unwrap_err();
    assert_eq!(error.kind, SwarmErrorKind::Unavailable, "the error must not describe the Swarm's contents");
    let error_text = error.to_string();
    let prefix =
        "list services: the lists of one snapshot of the Swarm take more than 900000 bytes of memory, most of it \"list services\",";
    assert!(error_text.starts_with(prefix), "{error_text}");
    assert!(error_text.contains("--snapshot-memory-max (SWARMGATE_SNAPSHOT_MEMORY_MAX)"), "{error_text}");
    manager.set_services(vec![large(0)]);
    assert_eq!(read_snapshot(&swarm).await.services.len(), 1, "the next snapshot has the whole budget again");
}

#[tokio::test]
async fn replicas_do_not_multiply_the_size_of_a_large_environment() {
    let manager = FakeManager::start();
    manager.set_services(vec![routed(0, 3_000)]);
    manager.set_list("/tasks", 200, |n| task(n, 3_000));
    let snapshot = read_snapshot(&manager.swarm().with_snapshot_memory_max(2 << 20)).await;
    assert!(manager.sent() > 10 << 20, "{}", manager.sent());
    assert_eq!(snapshot.tasks.len(), 200);
    assert!(snapshot.tasks.values().all(|task| task.state.as_str() == "running" && task.addresses.len() == 1));
}

#[tokio::test]
async fn an_endless_error_response_is_not_read_to_its_end() {
    let manager = FakeManager::start();
    manager.set_endless();
    let error = manager.swarm().remove_config(&ConfigId("c".to_owned())).await.unwrap_err();
    assert!(error.to_string().contains("remove config c: the answer is larger than 1 MiB"), "{error}");
}
