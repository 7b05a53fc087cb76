//! What the extension service remembers about the owners of hosts.

use super::world::PlanScenario;
use super::{EXTENSION, titles};
use crate::fleet::fixtures::cluster;
use crate::plan::would_replace_tasks;
use crate::protocol::container_contract::LABEL_HOST_HOLDERS;

#[test]
fn host_owners_are_recorded_once_without_replacing_tasks_and_removed_when_obsolete() {
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

/// A failed rollout is not retried because a host has another owner.
#[test]
fn host_owners_are_not_part_of_the_identity() {
    let mut world = PlanScenario::converged(&cluster());
    let identity = |world: &PlanScenario| world.fleet(&cluster()).extension.identity();
    let before = identity(&world);
    world.remembered_hosts = Some("something".to_owned());
    assert_eq!(identity(&world), before);
}
