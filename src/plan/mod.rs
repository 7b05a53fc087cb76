//! The difference between a fleet and the world, as an ordered list of exact steps. Pure and total: equal input gives an
//! equal plan. Every step carries the object version it was computed from and can be printed; what is held back says on
//! what. An empty plan with nothing waiting is the definition of converged. Never touches an object without our labels.

mod alike;
mod belonging;
mod display;
mod effect;
mod first_alone;
mod json;
mod lint;
mod managed;
mod memory;
mod objects;
mod patch;
mod removal;
mod rollout;
mod service;
mod step;
mod sweep;
mod usage;

pub use effect::{TaskEffect, task_effect, would_replace_tasks};
pub use lint::{Violation, lint};
pub use memory::{Attempt, Memory};
pub use removal::{leftover_clusters, plan_removal};
pub use rollout::{
    ROLLBACK_HANGS_AFTER, ROLLOUT_HOLD_MAX, ROLLOUT_IDLE_AFTER, ROLLOUT_SLOW_AFTER, ROLLOUT_STUCK_AFTER, is_short_of_tasks, wanted_tasks,
};
pub use step::{Applied, Change, ChangeKind, Plan, RolloutNote, RolloutOutcome, SecretContent, Step, UpdateReason};

pub use crate::fleet::pending_name;

use crate::fleet::Fleet;
use crate::swarm::Snapshot;

/// Says what to do so that the world becomes the fleet.
///
/// # Guarantees
/// Steps come in the order network, secret, configs, extension, proxy, removals; a step whose spec names an object
/// that does not exist yet comes after the step that creates it. No step touches a foreign object. A service has at
/// most one step.
pub fn plan(fleet: &Fleet, snapshot: &Snapshot, memory: &Memory) -> Plan {
    let mut draft = objects::Draft::new(fleet, snapshot, memory);
    draft.network();
    draft.tokens();
    draft.services();
    draft.sweep();
    draft.finish()
}

#[cfg(test)]
mod tests;
