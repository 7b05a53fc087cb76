//! On which nodes a service may have tasks: Swarm does not say which those are, so a global service without any task would
//! look complete. Must never guess: what a snapshot cannot decide has no answer.

use serde_json::Value;

use super::{Node, Snapshot};
use crate::types::NodeId;

/// The nodes that take a task of a service with this spec; `None` when a constraint asks for something that a snapshot
/// does not hold.
pub fn fitting_nodes<'a>(spec: &Value, snapshot: &'a Snapshot) -> Option<Vec<&'a NodeId>> {
    let constraints = spec.pointer("/TaskTemplate/Placement/Constraints").and_then(Value::as_array);
    let constraints: Vec<&str> = constraints.into_iter().flatten().filter_map(Value::as_str).collect();
    nodes_that_meet(&constraints, snapshot)
}

/// The same for placement constraints in Swarm's form.
pub fn nodes_that_meet<'a>(constraints: &[&str], snapshot: &'a Snapshot) -> Option<Vec<&'a NodeId>> {
    let nodes = snapshot.nodes.values().filter(|node| node.state == "ready" && node.availability == "active");
    let mut fitting = Vec::new();
    for node in nodes {
        // Every constraint is asked, so that one that cannot be decided is never passed over.
        if constraints.iter().try_fold(true, |fits, constraint| Some(meets(node, constraint)? && fits))? {
            fitting.push(&node.id);
        }
    }
    Some(fitting)
}

fn meets(node: &Node, constraint: &str) -> Option<bool> {
    let (key, value, wants_equal) = match (constraint.split_once("=="), constraint.split_once("!=")) {
        (Some((key, value)), _) => (key, value, true),
        (None, Some((key, value))) => (key, value, false),
        (None, None) => return None,
    };
    // Swarm compares values, but not keys, without regard to case.
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
    fn constraints_decide_on_which_ready_nodes_a_task_must_run() {
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
    fn a_constraint_that_a_snapshot_cannot_decide_gives_no_number() {
        check(&["node.ip==10.0.0.0/8"], None);
        check(&["node.labels.lb==nowhere", "nonsense"], None);
    }
}
