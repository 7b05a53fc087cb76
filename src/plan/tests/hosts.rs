//! What is remembered of whose hosts are, on the extension service.

use super::world::PlanScenario;
use super::{EXTENSION, titles};
use crate::fleet::fixtures::cluster;
use crate::plan::would_replace_tasks;
use crate::protocol::container_contract::LABEL_HOST_HOLDERS;

#[test]
fn whose_hosts_are_is_written_down_once_replaces_nothing_and_goes_when_it_is_over() {
    let cluster = cluster();
    let mut world = PlanScenario::converged(&cluster);
    let before = world.service(EXTENSION).spec;
    assert_eq!(before["Labels"].get(LABEL_HOST_HOLDERS), None);
    for label in ["first", "second"] {
        world.remembered_hosts = Some(label.to_owned());
        assert_eq!(titles(&world.pass(&cluster)), [format!("update service {EXTENSION}")]);
        let after = world.service(EXTENSION).spec;
        assert_eq!(after["Labels"][LABEL_HOST_HOLDERS], label);
        assert!(!would_replace_tasks(&before, &after) && world.plan(&cluster).is_converged());
    }
    world.by_hand(EXTENSION, |spec| spec["Labels"][LABEL_HOST_HOLDERS] = "by hand".into());
    world.pass(&cluster);
    assert_eq!(world.service(EXTENSION).spec["Labels"][LABEL_HOST_HOLDERS], "second");
    world.remembered_hosts = None;
    world.pass(&cluster);
    assert_eq!(world.service(EXTENSION).spec["Labels"].get(LABEL_HOST_HOLDERS), None);
    assert!(world.plan(&cluster).is_converged());
}

/// A rollout that failed is not tried again because some host has another owner.
#[test]
fn it_is_no_part_of_what_is_declared() {
    let mut world = PlanScenario::converged(&cluster());
    let identity = |world: &PlanScenario| world.fleet(&cluster()).extension.identity();
    let before = identity(&world);
    world.remembered_hosts = Some("something".to_owned());
    assert_eq!(identity(&world), before);
}
