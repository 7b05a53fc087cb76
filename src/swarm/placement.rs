//! The nodes on which a service may have tasks. Swarm does not report them, so a global service without any task would look
//! complete. Must never guess: what a snapshot cannot decide has no answer.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Node, Service, Snapshot, Task};
use crate::types::{NodeAvailability, NodeId, NodeState, TaskId, TaskState};

/// The maximum number of placement constraints of a service that are evaluated: each is checked against each node, and no
/// hand-written service has this many.
const CONSTRAINTS_MAX: usize = 64;

impl Node {
    /// Whether it takes tasks. After a change of the leading manager all nodes are `unknown` for a while, and keep their running tasks.
    pub fn is_in_use(&self) -> bool {
        matches!(self.state, NodeState::Ready | NodeState::Unknown) && self.availability == NodeAvailability::Active
    }
}

/// The nodes that take a task of a service with this spec; `None` if a constraint depends on something that a snapshot does not contain.
pub fn fitting_nodes<'a>(spec: &Value, snapshot: &'a Snapshot) -> Option<Vec<&'a NodeId>> {
    let constraints = spec.pointer("/TaskTemplate/Placement/Constraints").and_then(Value::as_array);
    let constraints: Vec<&str> = constraints.into_iter().flatten().filter_map(Value::as_str).collect();
    if constraints.len() > CONSTRAINTS_MAX { None } else { nodes_that_meet(&constraints, snapshot) }
}

/// The nodes that meet all of these placement constraints, written in Swarm's syntax.
pub fn nodes_that_meet<'a>(constraints: &[&str], snapshot: &'a Snapshot) -> Option<Vec<&'a NodeId>> {
    let nodes = snapshot.nodes.values().filter(|node| node.is_in_use());
    let mut fitting = Vec::new();
    for node in nodes {
        // Evaluate every constraint, so that one that cannot be decided is never skipped.
        if constraints.iter().try_fold(true, |fits, constraint| Some(meets(node, constraint)? && fits))? {
            fitting.push(&node.id);
        }
    }
    Some(fitting)
}

/// The nodes that must each have one task of a service with these constraints: the nodes that take one, and the nodes that have
/// one and from which Swarm does not remove it, such as a paused node. Swarm removes a task before its node drops out of this
/// set, so scaling to the size of the set never stops a running task.
pub fn one_on_each<'a>(constraints: &[&str], service: Option<&Service>, snapshot: &'a Snapshot) -> Option<BTreeSet<&'a NodeId>> {
    let fitting = nodes_that_meet(constraints, snapshot)?;
    let suits =
        |id: &&NodeId| service.is_none_or(|service| snapshot.nodes.get(id).is_some_and(|node| runs_on_platform(&service.spec, node)));
    let holding = service.into_iter().flat_map(|service| tasks_of(service, snapshot)).filter_map(|task| task.node.as_ref());
    Some(fitting.into_iter().filter(suits).chain(holding).collect())
}

/// Tasks of a service that have no node because every matching node already has the maximum number. Swarm creates them to
/// replace tasks on a node that went down; they wait until the node is back or fewer replicas are wanted. Never includes the
/// successors of running tasks, which wait for these to make room. If no node matches at all, the result is empty: the tasks
/// are then pending for a reason that users must see.
pub fn unplaceable_tasks<'a>(service: &Service, snapshot: &'a Snapshot) -> BTreeSet<&'a TaskId> {
    let most = service.spec.pointer("/TaskTemplate/Placement/MaxReplicas").and_then(Value::as_u64).unwrap_or(0);
    let Some(fitting) = fitting_nodes(&service.spec, snapshot).filter(|nodes| most > 0 && !nodes.is_empty()) else {
        return BTreeSet::new();
    };
    let mut held = BTreeMap::<&NodeId, u64>::new();
    tasks_of(service, snapshot).filter_map(|task| task.node.as_ref()).for_each(|node| *held.entry(node).or_default() += 1);
    let room: u64 = fitting.into_iter().map(|node| most.saturating_sub(held.get(node).copied().unwrap_or(0))).sum();
    let wanted = service.replicas.unwrap_or(0).saturating_sub(held.values().sum());
    let waiting = tasks_of(service, snapshot).filter(|task| task.node.is_none() && task.state == TaskState::Pending);
    waiting.take(usize::try_from(wanted.saturating_sub(room)).unwrap_or(usize::MAX)).map(|task| &task.id).collect()
}

fn tasks_of<'a>(service: &Service, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Task> {
    let id = service.id.clone();
    snapshot.tasks.values().filter(move |task| task.service == id)
}

/// A client that determined the platforms of the image wrote them into the spec, in Docker's terms or in the kernel's.
fn runs_on_platform(spec: &Value, node: &Node) -> bool {
    let platforms = spec.pointer("/TaskTemplate/Placement/Platforms").and_then(Value::as_array);
    let field = |platform: &Value, key: &str| platform.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    let is = |wanted: &str, has: &str| wanted.is_empty() || has.is_empty() || architecture(wanted) == architecture(has);
    platforms.is_none_or(|platforms| {
        let suits = |platform: &Value| is(&field(platform, "OS"), &node.os) && is(&field(platform, "Architecture"), &node.architecture);
        platforms.is_empty() || platforms.iter().any(suits)
    })
}

fn architecture(word: &str) -> &str {
    match word {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn meets(node: &Node, constraint: &str) -> Option<bool> {
    let (key, value, wants_equal) = match (constraint.split_once("=="), constraint.split_once("!=")) {
        (Some((key, value)), _) => (key, value, true),
        (None, Some((key, value))) => (key, value, false),
        (None, None) => return None,
    };
    // Swarm compares values case-insensitively, but keys exactly.
    Some(attribute(node, key.trim())?.eq_ignore_ascii_case(value.trim()) == wants_equal)
}

fn attribute<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    match key {
        "node.id" => Some(&node.id.0),
        "node.hostname" => Some(&node.hostname),
        "node.platform.os" => Some(&node.os),
        "node.platform.arch" => Some(&node.architecture),
        "node.role" => Some(if node.manager { "manager" } else { "worker" }),
        _ => key.strip_prefix("node.labels.").map(|label| node.labels.get(label).map_or("", String::as_str)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::swarm::RawSnapshot;

    fn check(constraints: &[&str], expected: Option<usize>) {
        let node = |id: &str, role: &str, state: &str, labels: Value| {
            let spec = json!({"Role": role, "Availability": "active", "Labels": labels});
            json!({"ID": id, "Spec": spec, "Status": {"State": state}, "Description": {"Hostname": format!("host-{id}"), "Platform": {"OS": "linux", "Architecture": "x86_64"}}})
        };
        let nodes = vec![
            node("a", "manager", "ready", json!({})),
            node("b", "worker", "ready", json!({"lb": "Dev"})),
            node("c", "worker", "down", json!({"lb": "dev"})),
        ];
        let taken_at = "2026-01-02T03:04:05Z".parse().unwrap();
        let raw = RawSnapshot { taken_at, services: vec![], tasks: vec![], nodes, networks: vec![], configs: vec![], secrets: vec![] };
        let spec = json!({"TaskTemplate": {"Placement": {"Constraints": constraints}}});
        assert_eq!(fitting_nodes(&spec, &Snapshot::from_raw(&raw).unwrap()).map(|nodes| nodes.len()), expected, "{constraints:?}");
    }

    #[test]
    fn constraints_determine_on_which_ready_nodes_a_task_runs() {
        check(&[], Some(2));
        check(&["node.role==worker"], Some(1));
        check(&["node.labels.lb == dev"], Some(1));
        check(&["node.labels.lb!=dev"], Some(1));
        check(&["node.labels.LB==dev"], Some(0));
        check(&["node.hostname==HOST-a", "node.id!=b"], Some(1));
        check(&["node.role==worker", "node.role==manager"], Some(0));
        check(&["node.platform.os==linux", "node.platform.arch==x86_64"], Some(2));
        check(&["node.platform.os==windows"], Some(0));
    }

    #[test]
    fn a_constraint_that_a_snapshot_cannot_decide_gives_no_answer() {
        check(&["node.ip==10.0.0.0/8"], None);
        check(&["node.labels.lb==nowhere", "nonsense"], None);
    }

    /// Nodes `a` to `c`, the last one down, and tasks of a service, each on a node or waiting for one.
    fn seen(tasks: &[Option<&str>], most: u64, constraints: &[&str]) -> (Service, Snapshot) {
        let node = |id: &str, state: &str| json!({"ID": id, "Spec": {"Role": "worker", "Availability": "active"}, "Status": {"State": state}, "Description": {}});
        let task = |(at, node): (usize, Option<&str>)| {
            let state = if node.is_some() { "running" } else { "pending" };
            json!({"ID": format!("task{at}"), "ServiceID": "s", "NodeID": node.unwrap_or(""), "DesiredState": "running", "Status": {"State": state}, "Spec": {}})
        };
        let placement = json!({"MaxReplicas": most, "Constraints": constraints});
        let service =
            json!({"ID": "s", "Spec": {"Name": "s", "TaskTemplate": {"Placement": placement}, "Mode": {"Replicated": {"Replicas": 3}}}});
        let nodes = vec![node("a", "ready"), node("b", "unknown"), node("c", "down")];
        let tasks = tasks.iter().copied().enumerate().map(task).collect();
        let taken_at = "2026-01-02T03:04:05Z".parse().unwrap();
        let raw = RawSnapshot { taken_at, services: vec![service], tasks, nodes, networks: vec![], configs: vec![], secrets: vec![] };
        let snapshot = Snapshot::from_raw(&raw).unwrap();
        let service = snapshot.services.values().next().unwrap().clone();
        (service, snapshot)
    }

    fn check_homeless(tasks: &[Option<&str>], most: u64, constraints: &[&str], expected: usize) {
        let (service, snapshot) = seen(tasks, most, constraints);
        assert_eq!(unplaceable_tasks(&service, &snapshot).len(), expected, "{tasks:?} {most} {constraints:?}");
    }

    #[test]
    fn tasks_have_no_place_if_every_node_has_the_maximum() {
        check_homeless(&[Some("a"), Some("b"), None], 1, &[], 1);
        check_homeless(&[Some("a"), Some("b"), None], 2, &[], 0);
        check_homeless(&[Some("a"), Some("b"), None], 0, &[], 0);
        // The task on `b` is being replaced.
        check_homeless(&[Some("a"), None, None], 1, &[], 1);
        check_homeless(&[Some("a"), Some("c"), None], 1, &[], 0);
        check_homeless(&[Some("a"), None], 1, &["node.id==a"], 1);
        check_homeless(&[None], 1, &["node.id==x"], 0);
        check_homeless(&[Some("a"), Some("b"), None], 1, &["engine.labels.disk==ssd"], 0);
        // Successors of all running tasks, and of the one on `c`.
        check_homeless(&[Some("a"), Some("b"), None, None, None], 1, &[], 1);
        check_homeless(&[Some("a"), None, None, None], 1, &[], 1);
        check_homeless(&[Some("a"), Some("b"), Some("c"), None, None], 1, &[], 0);
    }

    fn check_one_on_each(tasks: &[Option<&str>], constraints: &[&str], expected: Option<&[&str]>) {
        let (service, snapshot) = seen(tasks, 1, constraints);
        let nodes = one_on_each(constraints, Some(&service), &snapshot);
        let nodes = nodes.map(|nodes| nodes.into_iter().map(|node| node.0.as_str()).collect::<Vec<_>>());
        assert_eq!(nodes.as_deref(), expected, "{tasks:?} {constraints:?}");
    }

    #[test]
    fn nodes_that_match_and_nodes_that_have_a_task_must_have_one() {
        check_one_on_each(&[], &[], Some(&["a", "b"]));
        check_one_on_each(&[None], &[], Some(&["a", "b"]));
        check_one_on_each(&[Some("c"), Some("c")], &[], Some(&["a", "b", "c"]));
        check_one_on_each(&[Some("b")], &["node.id==a"], Some(&["a", "b"]));
        check_one_on_each(&[], &["node.ip==10.0.0.0/8"], None);
    }
}
