//! Carries out plans through the port, step by step. Makes no decisions: every step states exactly what to do. Every step is
//! idempotent, so that execution converges after a crash at any point and a restart. The only randomness, the content of a
//! new secret, is passed in as an argument and goes only to the Swarm.

mod error;

use std::collections::BTreeMap;

use serde_json::Value;

pub use crate::plan::OperationResult;
use crate::plan::{Plan, PlanStep, SecretContent};
use crate::swarm::{Swarm, SwarmError, SwarmErrorKind};
pub use error::StepError;

/// Counts the writes to the Swarm; documented in `telemetry`.
const WRITES_TOTAL: &str = "swarmgate_writes_total";

/// Generates the contents of secrets: every call returns a new one that cannot be guessed.
pub trait SecretSource: Send {
    /// The content, and the labels including those that depend on it.
    fn make(&mut self, name: &str, labels: &BTreeMap<String, String>, content: &SecretContent) -> NewSecret;
}

/// A secret to be created. `Debug` never shows it.
pub struct NewSecret {
    /// Its content.
    pub data: Vec<u8>,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
}

impl std::fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSecret").field("labels", &self.labels).finish_non_exhaustive()
    }
}

/// The result of one step.
#[derive(Debug)]
pub struct StepOutcome {
    /// The step's title.
    pub title: String,
    /// The result.
    pub result: Result<OperationResult, StepError>,
}

/// The ids of objects created while a plan is carried out, by name.
#[derive(Debug, Clone, Default)]
pub struct Created(BTreeMap<String, String>);

/// Carries out a plan and returns the result of each step, in the plan's order.
///
/// # Expected flow
/// A step that needs an object whose creation failed is skipped; independent steps proceed. If the Swarm cannot be reached,
/// all further steps are skipped.
pub async fn execute(swarm: &dyn Swarm, plan: &Plan, secrets: &mut dyn SecretSource) -> Vec<StepOutcome> {
    let mut created = Created::default();
    let mut unreachable = false;
    let mut outcomes = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        let result = if unreachable {
            Err(StepError::Skipped { step: step.title(), needs: "a reachable Swarm".to_owned() })
        } else {
            apply(swarm, step, &mut created, secrets).await
        };
        unreachable |= result.as_ref().is_err_and(StepError::is_unavailable);
        outcomes.push(StepOutcome { title: step.title(), result });
    }
    outcomes
}

/// The results of the steps in the form that [`crate::plan::PlannerState::after`] takes.
pub fn applied(outcomes: &[StepOutcome]) -> Vec<Option<OperationResult>> {
    outcomes.iter().map(|outcome| outcome.result.as_ref().ok().copied()).collect()
}

/// Carries out one step.
pub async fn apply(
    swarm: &dyn Swarm,
    step: &PlanStep,
    created: &mut Created,
    secrets: &mut dyn SecretSource,
) -> Result<OperationResult, StepError> {
    let result = write(swarm, step, created, secrets).await;
    let outcome = result.as_ref().map_or_else(StepError::category, |applied| applied.as_str());
    // A skipped step wrote nothing.
    if !matches!(result, Err(StepError::Skipped { .. })) {
        metrics::counter!(WRITES_TOTAL, "kind" => step.kind(), "outcome" => outcome).increment(1);
    }
    result
}

async fn write(
    swarm: &dyn Swarm,
    step: &PlanStep,
    created: &mut Created,
    secrets: &mut dyn SecretSource,
) -> Result<OperationResult, StepError> {
    let result = match step {
        PlanStep::CreateNetwork { name, body } => record_created(created, name, swarm.create_network(body).await.map(|id| id.0)),
        PlanStep::CreateSecret { name, labels, content } => {
            let NewSecret { data, labels } = secrets.make(name, labels, content);
            record_created(created, name, swarm.create_secret(name, &labels, &data).await.map(|id| id.0))
        }
        PlanStep::CreateConfig { name, labels, data, .. } => {
            record_created(created, name, swarm.create_config(name, labels, data).await.map(|id| id.0))
        }
        PlanStep::CreateService { spec, name } => {
            let spec = created.fill_in(spec, step)?;
            record_created(created, name, swarm.create_service(&spec).await.map(|id| id.0))
        }
        PlanStep::UpdateService { id, version, spec, .. } => {
            let spec = created.fill_in(spec, step)?;
            swarm.update_service(id, *version, &spec).await.map(|()| OperationResult::Updated)
        }
        PlanStep::RemoveService { id, .. } => swarm.remove_service(id).await.map(|()| OperationResult::Removed),
        PlanStep::RemoveConfig { id, .. } => swarm.remove_config(id).await.map(|()| OperationResult::Removed),
        PlanStep::RemoveSecret { id, .. } => swarm.remove_secret(id).await.map(|()| OperationResult::Removed),
        PlanStep::RemoveNetwork { id, .. } => swarm.remove_network(id).await.map(|()| OperationResult::Removed),
    };
    result.or_else(|error| accept_stale(step, error))
}

fn record_created(created: &mut Created, name: &str, result: Result<String, SwarmError>) -> Result<OperationResult, SwarmError> {
    created.0.insert(name.to_owned(), result?);
    Ok(OperationResult::Created)
}

/// Handles errors that only mean that the Swarm changed since the snapshot.
fn accept_stale(step: &PlanStep, error: SwarmError) -> Result<OperationResult, StepError> {
    let is_removal = step.kind().starts_with("remove_");
    match error.kind {
        SwarmErrorKind::NameTaken => Ok(OperationResult::NameTaken),
        SwarmErrorKind::NotFound if is_removal => Ok(OperationResult::AlreadyRight),
        SwarmErrorKind::NotFound | SwarmErrorKind::OutOfSequence => Ok(OperationResult::Superseded),
        _ => Err(StepError::Refused { source: error }),
    }
}

impl Created {
    /// The spec with the ids of objects that this plan created; an error if one of them was not created.
    fn fill_in(&self, spec: &Value, step: &PlanStep) -> Result<Value, StepError> {
        match spec {
            Value::String(text) => match crate::plan::pending_name(text) {
                Some(name) => self
                    .0
                    .get(name)
                    .map(|id| Value::String(id.clone()))
                    .ok_or_else(|| StepError::Skipped { step: step.title(), needs: name.to_owned() }),
                None => Ok(spec.clone()),
            },
            Value::Array(items) => items.iter().map(|item| self.fill_in(item, step)).collect::<Result<Vec<_>, _>>().map(Value::Array),
            Value::Object(map) => {
                let filled = map.iter().map(|(key, value)| Ok((key.clone(), self.fill_in(value, step)?)));
                filled.collect::<Result<_, StepError>>().map(Value::Object)
            }
            _ => Ok(spec.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
