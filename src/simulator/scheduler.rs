//! Chooses a node for a task, or explains why there is none.

use std::collections::BTreeMap;

use super::model::{Availability, SimNode, SimTask, TaskSlot, TaskState};
use super::spec::{self, ConstraintSubject, PlacementConstraint};
use super::world::SimState;

impl SimNode {
    fn takes_tasks(&self) -> bool {
        self.up && self.availability == Availability::Active
    }

    /// Whether it satisfies all constraints.
    pub fn satisfies(&self, constraints: &[PlacementConstraint]) -> bool {
        let role = if self.manager { "manager" } else { "worker" };
        let target = ConstraintSubject { id: &self.id, hostname: &self.hostname, role, labels: &self.labels };
        constraints.iter().all(|c| c.holds(&target))
    }
}

impl SimState {
    /// The node for a pending task, or Swarm's explanation.
    pub fn choose_node(&self, task: &SimTask) -> Result<String, String> {
        let constraints = spec::constraints(&task.spec);
        let mut reasons: BTreeMap<&'static str, usize> = BTreeMap::new();
        let mut best: Option<(usize, &SimNode)> = None;
        for node in self.nodes.values().filter(|n| may_be_on(&task.slot, n)) {
            if let Some(reason) = self.objection(task, node, &constraints) {
                *reasons.entry(reason).or_default() += 1;
                continue;
            }
            let load = self.tasks.values().filter(|t| t.service == task.service && t.node.as_ref() == Some(&node.id)).count();
            if best.is_none_or(|(least, _)| load < least) {
                best = Some((load, node));
            }
        }
        best.map(|(_, node)| node.id.clone()).ok_or_else(|| explanation(&reasons))
    }

    fn objection(&self, task: &SimTask, node: &SimNode, constraints: &[PlacementConstraint]) -> Option<&'static str> {
        if !node.takes_tasks() {
            return Some("not available for new tasks");
        }
        if !node.satisfies(constraints) {
            return Some("scheduling constraints not satisfied");
        }
        let here = || self.tasks.values().filter(|t| t.id != task.id && t.node.as_ref() == Some(&node.id) && !t.state.ended());
        // A task that waits for a port does not hold it.
        let bound = |wanted: &(String, u64, u64)| {
            wanted.2 != 0
                && here()
                    .filter(|t| t.state > TaskState::Pending)
                    .any(|t| t.host_ports.iter().any(|p| (&p.0, p.2) == (&wanted.0, wanted.2)))
        };
        if task.host_ports.iter().any(bound) {
            return Some("host-mode port already in use");
        }
        let most = spec::max_replicas(&task.spec);
        let count = here().filter(|t| t.service == task.service && t.desired.wanted()).count();
        (most != 0 && u64::try_from(count).is_ok_and(|c| c >= most)).then_some("max replicas per node limit exceed")
    }

    /// Whether a global service wants a task on a node.
    pub fn wants_task_on(&self, service: &str, node: &SimNode) -> bool {
        let template = self.services.get(service).map(|s| &s.template);
        node.takes_tasks() && template.is_some_and(|t| node.satisfies(&spec::constraints(t)))
    }
}

fn may_be_on(slot: &TaskSlot, node: &SimNode) -> bool {
    match slot {
        TaskSlot::Slot(_) => true,
        TaskSlot::Node(id) => *id == node.id,
    }
}

fn explanation(reasons: &BTreeMap<&'static str, usize>) -> String {
    let one = |(reason, count): (&&str, &usize)| format!("{reason} on {count} node{}", if *count == 1 { "" } else { "s" });
    let all: Vec<String> = reasons.iter().map(one).collect();
    if all.is_empty() { "no suitable node".to_owned() } else { format!("no suitable node ({})", all.join("; ")) }
}
