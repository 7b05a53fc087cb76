//! Computes the difference between a fleet and the actual state of the Swarm, as an ordered list of exact steps. Pure and
//! total: equal input gives an equal plan. Every step carries the object version it was computed from and can be printed;
//! work that is held back states what it waits for. "Converged" means an empty plan with nothing waiting. Never touches an
//! object without our labels.

mod cluster_of_service;
mod cluster_removal;
mod display;
mod json_path;
mod lint;
mod managed_fields;
mod patch;
mod plan_builder;
mod planner_state;
mod prune;
mod references;
mod rollout_gate;
mod service;
mod spec_equivalence;
mod step;
mod task_impact;
mod update_order;

pub use cluster_removal::{leftover_clusters, plan_removal};
pub use lint::{Violation, lint};
pub use planner_state::{Attempt, PlannerState};
pub use rollout_gate::{
    ROLLBACK_HANGS_AFTER, ROLLOUT_HOLD_MAX, ROLLOUT_IDLE_AFTER, ROLLOUT_SLOW_AFTER, ROLLOUT_STUCK_AFTER, is_short_of_tasks, wanted_tasks,
};
pub use step::{ChangeKind, FieldChange, OperationResult, Plan, PlanStep, RolloutNote, RolloutOutcome, SecretContent, UpdateReason};
pub use task_impact::{TaskEffect, task_effect, would_replace_tasks};

pub use crate::fleet::pending_name;

use crate::fleet::Fleet;
use crate::swarm::Snapshot;

/// Computes the steps that bring the Swarm to the state that the fleet describes.
///
/// # Guarantees
/// Steps come in the order network, secret, configs, extension, proxy, removals; a step whose spec names an object
/// that does not exist yet comes after the step that creates it. No step touches a foreign object. A service has at
/// most one step.
pub fn plan(fleet: &Fleet, snapshot: &Snapshot, memory: &PlannerState) -> Plan {
    let mut draft = plan_builder::PlanBuilder::new(fleet, snapshot, memory);
    draft.network();
    draft.tokens();
    draft.services();
    draft.prune_configs();
    draft.finish()
}

#[cfg(test)]
mod tests;
