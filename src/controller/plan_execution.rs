//! Carries out the plan of one pass: passes it to `execute`, and counts and logs the outcome of each step.

use std::sync::atomic::Ordering;

use super::context::Context;
use crate::execute::{OperationResult, StepError, StepOutcome, applied, execute};
use crate::plan::Plan;

/// The outcome of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanOutcome {
    /// It was carried out step by step; `applied` holds the outcome of each step.
    Through {
        /// In the plan's order.
        applied: Vec<Option<OperationResult>>,
        /// The first failure, if there was one.
        error: Option<String>,
    },
    /// There is something to do, but its time has not come.
    Held,
    /// The plan is invalid because of a bug in Swarmgate, so none of it was carried out.
    Refused(String),
}

impl PlanOutcome {
    /// Whether the world had changed before a step.
    pub fn superseded(&self) -> bool {
        matches!(self, Self::Through { applied, .. } if applied.contains(&Some(OperationResult::Superseded)))
    }
}

/// Carries out a plan.
pub async fn execute_plan(context: &Context, plan: &Plan) -> PlanOutcome {
    let mut secrets = (context.secrets)();
    let outcomes = execute(context.swarm.as_ref(), plan, secrets.as_mut()).await;
    let tried = outcomes.iter().filter(|outcome| !matches!(outcome.result, Err(StepError::Skipped { .. }))).count();
    context.writes.fetch_add(tried as u64, Ordering::Relaxed);
    for outcome in &outcomes {
        log_outcome(plan, outcome);
    }
    let failed = outcomes.iter().filter_map(|outcome| outcome.result.as_ref().err());
    let error = failed.map(|error| without_users(&error.to_string())).next();
    PlanOutcome::Through { applied: applied(&outcomes), error }
}

/// Swarm's message without the names of the services that hold a port, a config or a network: these may belong to others,
/// and the status names only what labels and documents cause. The log has the full message.
fn without_users(message: &str) -> String {
    const HELD: &str = " in use by ";
    match message.find(HELD) {
        Some(at) => format!("{}{HELD}another object, which the operator's log names", &message[..at]),
        None => message.to_owned(),
    }
}

fn log_outcome(plan: &Plan, outcome: &StepOutcome) {
    let (cluster, step) = (&plan.cluster, &outcome.title);
    match &outcome.result {
        Ok(applied) => tracing::info!(cluster, step, outcome = applied.as_str(), "step executed"),
        Err(StepError::Skipped { needs, .. }) => tracing::debug!(cluster, step, needs, "step skipped"),
        Err(error) => tracing::warn!(cluster, step, %error, "step failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::without_users;

    #[test]
    fn services_that_use_an_object_are_not_named() {
        for message in [
            "create service p: port '80' is already in use by service 'payroll' (abc) as an ingress port",
            "remove config c: config 'c' is in use by the following service: payroll",
            "remove network n: network n is in use by service payroll",
        ] {
            let shown = without_users(message);
            assert!(!shown.contains("payroll") && shown.starts_with(&message[..20]), "{shown}");
        }
        assert_eq!(without_users("create service p: no leader"), "create service p: no leader");
    }
}
