//! Carrying out the plan of one pass: hands it to `act`, counts and logs what became of each step.

use std::sync::atomic::Ordering;

use super::surroundings::Surroundings;
use crate::act::{ActError, Applied, Outcome, applied, carry_out};
use crate::plan::Plan;

/// What became of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Performed {
    /// It was carried out, step by step; `applied` says per step what became of it.
    Through {
        /// In the plan's order.
        applied: Vec<Option<Applied>>,
        /// The first failure, if there was one.
        error: Option<String>,
    },
    /// There is something to do, and the time for it has not come.
    Held,
    /// It is wrong by a mistake of ours, so nothing of it was done.
    Refused(String),
}

impl Performed {
    /// Whether the world had moved before a step.
    pub fn superseded(&self) -> bool {
        matches!(self, Self::Through { applied, .. } if applied.contains(&Some(Applied::Superseded)))
    }
}

/// Carries out a plan.
pub async fn perform(around: &Surroundings, plan: &Plan) -> Performed {
    let mut secrets = (around.secrets)();
    let outcomes = carry_out(around.swarm.as_ref(), plan, secrets.as_mut()).await;
    let tried = outcomes.iter().filter(|outcome| !matches!(outcome.result, Err(ActError::Skipped { .. }))).count();
    around.writes.fetch_add(tried as u64, Ordering::Relaxed);
    for outcome in &outcomes {
        tell(plan, outcome);
    }
    let failed = outcomes.iter().filter_map(|outcome| outcome.result.as_ref().err());
    let error = failed.map(ToString::to_string).next();
    Performed::Through { applied: applied(&outcomes), error }
}

fn tell(plan: &Plan, outcome: &Outcome) {
    let (cluster, step) = (&plan.cluster, &outcome.title);
    match &outcome.result {
        Ok(applied) => tracing::info!(cluster, step, outcome = applied.as_str(), "act"),
        Err(ActError::Skipped { needs, .. }) => tracing::debug!(cluster, step, needs, "act: skipped"),
        Err(error) => tracing::warn!(cluster, step, %error, "act: failed"),
    }
}
