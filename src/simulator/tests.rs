//! What is specific to the simulator: randomness, faults and a clock. Its behaviour as a Swarm is tested in `tests/swarm_behavior.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};

use super::*;
use crate::swarm::{RawSnapshot, Snapshot, Swarm as _, SwarmError, SwarmErrorKind};
use crate::types::ServiceId;

const SOON: Duration = Duration::from_secs(30);

fn swarm(seed: u64) -> SimSwarm {
    SimSwarm::new(SimOptions { seed, ..SimOptions::default() })
}

fn spec(name: &str, replicas: u64) -> Value {
    json!({"Name": name, "TaskTemplate": {"ContainerSpec": {"Image": "app"}}, "Mode": {"Replicated": {"Replicas": replicas}}})
}

/// The result of a future of the simulator, which never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

fn observe(swarm: &SimSwarm) -> Result<RawSnapshot, SwarmError> {
    now(swarm.observe())
}

fn running(swarm: &SimSwarm) -> usize {
    Snapshot::from_raw(&swarm.truth()).unwrap().tasks.values().filter(|t| t.state.as_str() == "running").count()
}

#[test]
fn equal_seeds_give_equal_histories_and_different_seeds_do_not() {
    let history = |seed| {
        let swarm = swarm(seed);
        swarm.user_creates_service(&spec("web", 3)).unwrap();
        swarm.advance(Duration::from_millis(700));
        swarm.kill_task("web");
        swarm.advance(SOON);
        swarm.truth()
    };
    assert_eq!(history(7), history(7));
    assert_ne!(history(7), history(8));
}

#[test]
fn an_observation_fails_completely_and_never_partially() {
    let swarm = swarm(1);
    swarm.fail_next(SwarmCall::Observe, FaultPoint::Before);
    assert_eq!(observe(&swarm).unwrap_err().kind, SwarmErrorKind::Unavailable);
    assert_eq!(observe(&swarm), Ok(swarm.truth()));
}

#[test]
fn a_write_can_take_effect_although_its_call_fails() {
    let swarm = swarm(1);
    swarm.fail_next(SwarmCall::CreateService, FaultPoint::Before);
    swarm.fail_next(SwarmCall::CreateService, FaultPoint::After);
    let tries = [(); 3].map(|()| now(swarm.create_service(&spec("web", 1))).map_err(|e| e.kind).map(|_| ()));
    assert_eq!(tries, [Err(SwarmErrorKind::Unavailable), Err(SwarmErrorKind::Unavailable), Err(SwarmErrorKind::NameTaken)]);
    let effects: Vec<WriteResult> = swarm.writes().iter().map(|w| w.effect).collect();
    assert_eq!(effects, [WriteResult::FailedBefore, WriteResult::DoneButFailed, WriteResult::Refused(SwarmErrorKind::NameTaken)]);
}

#[test]
fn the_log_records_owners_and_users_of_objects() {
    let swarm = swarm(1);
    let owner = BTreeMap::from([("swarmgate.owner".to_owned(), "me".to_owned())]);
    let config = now(swarm.create_config("c1", &owner, b"x")).unwrap();
    let mut with_config = spec("web", 0);
    with_config["TaskTemplate"]["ContainerSpec"]["Configs"] = json!([{"ConfigID": config.0, "ConfigName": "c1", "File": {"Name": "/c"}}]);
    let id = swarm.user_creates_service(&with_config).unwrap();
    swarm.user_edits_service("web", |s| s["TaskTemplate"]["ContainerSpec"]["Configs"] = json!([])).unwrap();
    now(swarm.remove_config(&config)).unwrap();
    now(swarm.remove_service(&id)).unwrap();
    let shown: Vec<String> =
        swarm.take_writes().iter().map(|w| format!("{:?} {} {} {:?}", w.call, w.target, w.owned, w.still_needed_by)).collect();
    assert_eq!(shown, ["CreateConfig c1 true []", r#"RemoveConfig c1 true ["web"]"#, "RemoveService web false []"]);
    assert_eq!(swarm.writes(), []);
}

#[test]
fn a_cut_off_lets_a_number_of_calls_through_and_blocks_all_later_ones() {
    let swarm = swarm(1);
    swarm.cut_off_after(1);
    assert!(now(swarm.create_service(&spec("a", 1))).is_ok());
    assert!(now(swarm.create_service(&spec("b", 1))).is_err());
    assert!(observe(&swarm).is_err());
    swarm.reconnect();
    assert!(observe(&swarm).is_ok());
}

#[test]
fn stale_observations_are_older_true_states() {
    let swarm = swarm(3);
    swarm.set_faults(FaultRates { stale: 1.0, ..FaultRates::NONE });
    assert_eq!(observe(&swarm).unwrap().services.len(), 0);
    swarm.user_creates_service(&spec("web", 1)).unwrap();
    assert_eq!(observe(&swarm).unwrap().services.len(), 0);
    swarm.set_faults(FaultRates::NONE);
    assert_eq!(observe(&swarm).unwrap().services.len(), 1);
}

#[test]
fn hints_report_changes_until_the_stream_breaks() {
    let swarm = swarm(1);
    let mut hints = swarm.hints();
    swarm.user_creates_service(&spec("web", 1)).unwrap();
    assert_eq!(now(hints.next()).unwrap().unwrap().detail, "create web");
    swarm.break_hints();
    assert!(now(hints.next()).unwrap().is_err());
    assert!(now(hints.next()).is_none());
}

#[test]
fn a_lost_hint_never_arrives_and_a_duplicated_one_arrives_twice() {
    let count = |faults| {
        let swarm = swarm(1);
        swarm.set_faults(faults);
        let hints = swarm.hints();
        swarm.user_creates_service(&spec("web", 1)).unwrap();
        swarm.break_hints();
        now(hints.collect::<Vec<_>>()).len() - 1
    };
    assert_eq!(count(FaultRates { hint_lost: 1.0, ..FaultRates::NONE }), 0);
    assert_eq!(count(FaultRates { hint_doubled: 1.0, ..FaultRates::NONE }), 2);
}

#[test]
fn tasks_of_lost_and_drained_nodes_move_to_other_nodes() {
    let swarm = swarm(5);
    swarm.user_creates_service(&spec("web", 3)).unwrap();
    swarm.settle(SOON);
    swarm.node_goes_down("node2");
    swarm.set_availability("node3", Availability::Drain);
    swarm.settle(SOON);
    let seen = Snapshot::from_raw(&swarm.truth()).unwrap();
    let manager = seen.nodes.values().find(|n| n.manager).unwrap();
    assert_eq!(seen.tasks.values().filter(|t| t.node.as_ref() == Some(&manager.id) && t.state.as_str() == "running").count(), 3);
}

#[test]
fn crashed_tasks_restart_after_the_restart_delay() {
    let swarm = swarm(5);
    swarm.user_creates_service(&spec("web", 2)).unwrap();
    swarm.settle(SOON);
    assert!(swarm.kill_task("web"));
    swarm.advance(Duration::from_secs(1));
    assert_eq!(running(&swarm), 1);
    swarm.settle(SOON);
    assert_eq!(running(&swarm), 2);
}

/// A service on a port of each node that was given an image which no node has, and is rolling back.
fn rolling_back(seed: u64, faults: FaultRates) -> SimSwarm {
    let swarm = SimSwarm::new(SimOptions { seed, nodes: 1, managers: 1, faults, ..SimOptions::default() });
    swarm.set_image("none", ImageBehaviour::Missing);
    let mut on_port = spec("web", 1);
    on_port["Mode"] = json!({"Global": {}});
    on_port["UpdateConfig"] = json!({"Parallelism": 1, "FailureAction": "rollback"});
    on_port["EndpointSpec"] = json!({"Mode": "dnsrr", "Ports": [{"TargetPort": 80, "PublishedPort": 80, "PublishMode": "host"}]});
    swarm.user_creates_service(&on_port).unwrap();
    swarm.settle(SOON);
    swarm.user_edits_service("web", |spec| spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!("none")).unwrap();
    swarm.advance(SOON);
    swarm
}

fn rollout(swarm: &SimSwarm) -> String {
    swarm.truth().services[0]["UpdateStatus"]["State"].as_str().unwrap_or("none").to_owned()
}

#[test]
fn a_rollback_blocked_by_a_port_is_quick_or_takes_a_minute() {
    let early: Vec<(String, usize)> =
        (0..20).map(|seed| rolling_back(seed, FaultRates::NONE)).map(|s| (rollout(&s), running(&s))).collect();
    let times = |state: &str, count| early.iter().filter(|seen| **seen == (state.to_owned(), count)).count();
    assert!(times("rollback_completed", 1) > 0 && times("rollback_started", 0) > 0, "{early:?}");
    assert_eq!(times("rollback_completed", 1) + times("rollback_started", 0), early.len(), "{early:?}");
    for seed in 0..20 {
        let swarm = rolling_back(seed, FaultRates::NONE);
        swarm.advance(Duration::from_secs(60));
        assert_eq!((rollout(&swarm), running(&swarm)), ("rollback_completed".to_owned(), 1), "seed {seed}");
    }
}

#[test]
fn a_rollback_with_a_duplicated_task_may_not_end_until_the_service_is_updated() {
    let doubled = FaultRates { rollback_doubled: 1.0, ..FaultRates::NONE };
    let mut endless = 0;
    for seed in 0..20 {
        let swarm = rolling_back(seed, doubled);
        swarm.advance(Duration::from_secs(3600));
        assert_eq!(running(&swarm), 1, "seed {seed}");
        if rollout(&swarm) == "rollback_started" {
            endless += 1;
            swarm.user_edits_service("web", |_| ()).unwrap();
            swarm.settle(SOON);
            assert!(["none", "completed"].contains(&rollout(&swarm).as_str()), "seed {seed}: {}", rollout(&swarm));
            assert_eq!(running(&swarm), 1, "seed {seed}");
        }
    }
    assert!((1..20).contains(&endless), "{endless} of 20 never end");
}

#[test]
fn a_world_that_crashes_forever_never_settles() {
    let swarm = swarm(5);
    swarm.set_image("app", ImageBehaviour::CrashesAfter(100));
    swarm.user_creates_service(&spec("web", 1)).unwrap();
    assert_eq!(swarm.settle(SOON), SOON);
}

#[test]
fn a_full_network_keeps_tasks_new_and_gives_no_address_twice() {
    let swarm = swarm(5);
    swarm.user_creates_network(&json!({"Name": "tiny", "IPAM": {"Config": [{"Subnet": "10.9.0.0/29"}]}})).unwrap();
    let mut wide = spec("web", 9);
    wide["TaskTemplate"]["Networks"] = json!([{"Target": "tiny"}]);
    swarm.user_creates_service(&wide).unwrap();
    swarm.advance(SOON);
    let seen = Snapshot::from_raw(&swarm.truth()).unwrap();
    let service = seen.services.values().next().unwrap();
    let mut addresses: Vec<String> = seen.tasks.values().flat_map(|t| &t.addresses).map(|(_, a)| a.addr().to_string()).collect();
    addresses.extend(service.virtual_ips.iter().map(|v| v.address.to_string()));
    addresses.sort();
    addresses.dedup();
    assert_eq!((addresses.len(), running(&swarm)), (5, 4));
    assert_eq!(seen.tasks.values().filter(|t| t.state.as_str() == "new").count(), 5);
}

#[test]
fn a_write_to_a_missing_object_is_logged_with_its_id() {
    let swarm = swarm(1);
    assert_eq!(now(swarm.remove_service(&ServiceId("gone".to_owned()))).unwrap_err().kind, SwarmErrorKind::NotFound);
    assert_eq!(swarm.writes()[0].target, "gone");
}
